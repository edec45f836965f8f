"""Tables of plain text, laid out by rich: the same on a terminal and in a file."""

import io
from collections.abc import Sequence
from typing import Final

from rich.box import Box
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table

DASHES: Final = Box("    \n    \n----\n    \n----\n----\n    \n    \n")
"""A rule of dashes below the head and above the foot, and a space between columns."""
WIDEST_COLUMNS: Final = 1000


def table_text(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    widths: Sequence[int] = (),
    foot: Sequence[str] = (),
    gap: int = 1,
    labels: int = 1,
) -> str:
    """Return a head, a rule, rows and a foot as lines of text; numbers are right-aligned.

    The first `labels` columns hold text and are left-aligned. `widths` are the columns' least widths, and `gap` is the
    space between two of them, both in terminal columns.
    """
    table = Table(box=DASHES, show_edge=False, padding=(0, 0, 0, gap - 1), pad_edge=False, show_footer=bool(foot))
    for index, name in enumerate(head):
        table.add_column(
            name,
            footer=foot[index] if foot else "",
            justify="left" if index < labels else "right",
            min_width=widths[index] if widths else None,
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=WIDEST_COLUMNS, color_system=None, markup=False, emoji=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def fit(text: str, width: int) -> str:
    """Return the text cut to `width` terminal columns, with dots in place of what was cut."""
    return text if cell_len(text) <= width else chop_cells(text, width - 3)[0] + "..."
