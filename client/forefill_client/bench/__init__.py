"""Measuring what forefill does for the time to the first token."""

from .arms import ARMS, Arm, Outcome, Question

__all__ = ["ARMS", "Arm", "Outcome", "Question"]
