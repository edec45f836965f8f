"""The capacity of a fleet: what its typists need, by simulation of one replica and by an estimate."""
