"""What a PromQL expression asks for: enough of a parser to compare it with a table of metrics.

Every name that is neither a known function or word nor a label in a list of labels counts as a metric. So what this
parser does not know is reported as a metric that nobody has.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FUNCTIONS = "absent avg changes count histogram_quantile increase max max_over_time min rate sum"
WORDS = frozenset(FUNCTIONS.split()) | {"and", "or", "unless"}
LABEL_LIST = re.compile(r"\b(?:by|without|on|ignoring) ?\(([^)]*)\)")
RANGE = re.compile(r"\[[^\]]*\]")
SELECTOR = re.compile(r"\b(?P<metric>[a-zA-Z_:][\w:]*)(?:\{(?P<matchers>[^}]*)\})?")
MATCHER = re.compile(r'\s*(?P<label>\w+)\s*(?P<how>=~|!~|!=|=)\s*"(?P<value>[^"]*)"\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Selector:
    """One choice of series: the metric, the values asked of each label, and the function around it, "" if none."""

    metric: str
    asked: Mapping[str, tuple[str, ...]]
    function: str


def selectors(expr: str) -> Iterator[Selector]:
    """Yield every choice of series in an expression."""
    text = RANGE.sub("", LABEL_LIST.sub("", expr))
    for found in SELECTOR.finditer(text):
        if found["metric"] not in WORDS:
            around = re.search(r"(\w+)\($", text[: found.start()])
            yield Selector(found["metric"], _asked(found["matchers"] or ""), around[1] if around else "")


def grouping_labels(expr: str) -> set[str]:
    """Return the labels by which an expression adds up or joins."""
    return {label.strip() for labels in LABEL_LIST.findall(expr) for label in labels.split(",")}


def _asked(matchers: str) -> dict[str, tuple[str, ...]]:
    asked, end = {}, 0
    while end < len(matchers):
        found = MATCHER.match(matchers, end)
        if not found:
            raise ValueError(f"no matcher of a label: {matchers[end:]}")
        asked[found["label"]] = tuple(found["value"].split("|")) if "~" in found["how"] else (found["value"],)
        end = found.end()
    return asked
