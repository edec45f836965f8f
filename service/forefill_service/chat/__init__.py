"""Messages, templates and token ids: what a prompt is made of. Pure: no clock, no await, no I/O."""
