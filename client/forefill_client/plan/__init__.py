"""Capacity planning: what a fleet of typists needs, from simulations of one replica.

scenario           what is planned for, and how a simulation came out
virtual_time       an event loop whose time jumps
simulate           the service's own code on the fake engine, at virtual time
capacity, fleet    how many one replica carries; how many replicas that makes, with uneven hashing
paper              the same by hand
table, plots       for people
"""

from .command import PlanCommand, run
from .scenario import Outcome, Replica, Use

__all__ = ["Outcome", "PlanCommand", "Replica", "Use", "run"]
