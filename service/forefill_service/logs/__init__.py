"""The log of the program: one form for all lines of this process and its children, and nothing in it that was typed.

Text could come in by the messages of exceptions, so they are left out wherever an exception is logged: its type and
where it was raised stay. What nobody caught is logged like that, too, and not as Python would.
"""

from .failures import report_failures, report_failures_of_the_loop
from .lines import configure, forwarded, unify

__all__ = ["configure", "forwarded", "report_failures", "report_failures_of_the_loop", "unify"]
