"""Who types what, when, and in which way it is served: pure and seeded."""
