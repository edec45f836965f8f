"""Measuring what forefill does, against every other way of serving the same SUBMIT, and what it costs the neighbours.

arms, workloads    what is compared, as two tables
schedule, script   who does what when: pure, seeded
trial, load        do it: one session, one window of many
doors, servers     where plain generations go; the servers of a run's own
results, summary   what came out: rows, then figures with their spread (`spread`)
table, plots       for people
"""

from .arms import ARMS, Arm
from .command import BenchCommand, run
from .workloads import WORKLOADS, Workload

__all__ = ["ARMS", "WORKLOADS", "Arm", "BenchCommand", "Workload", "run"]
