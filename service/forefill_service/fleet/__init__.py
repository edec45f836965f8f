"""The parts that the sessions of a server share: engines, their supervision, placement, metrics."""
