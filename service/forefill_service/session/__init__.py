"""One stream as values and tables: events, state machine, draft, ledger. Pure: no clock, no await, no I/O."""
