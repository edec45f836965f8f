"""Arms, workloads, scripts and their schedule: pure and seeded, but for `playing`, which plays them on any clock."""
