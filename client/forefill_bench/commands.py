"""The commands that this package adds to `forefill`, as entry points of the group `forefill.commands`.

`forefill --help` calls them all, so they import flags alone. The modules that do the work, and with them the packages
of the extra `bench`, are imported when a command starts (`check_extra`).
"""

from .bench_flags import add_bench as bench
from .demo_flags import add_demo as demo
from .plan_flags import add_plan as plan

__all__ = ["bench", "demo", "plan"]
