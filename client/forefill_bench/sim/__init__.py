"""Simulation: the service's own code on a model of the engine, at virtual time."""
