"""What the engine is believed to hold, and which prefill comes next. Pure: no clock, no await, no I/O."""
