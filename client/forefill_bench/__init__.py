"""Measures what forefill does against every other way of serving the same SUBMIT, and plans what a fleet needs.

typing     arms, workloads, scripts and schedules: who types what when; pure, seeded
live       runs them on real servers
sim        the service's own code on a model of the engine, at virtual time
capacity   typists per replica, and replicas for a fleet
report     results, figures with their spread, tables and plots
"""
