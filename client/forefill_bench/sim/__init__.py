"""The service's own code on a model of the engine, at virtual time."""
