"""deploy/kubernetes.md names values of the chart, flags and make targets that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from forefill_client.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "deploy" / "kubernetes.md").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads((ROOT / "deploy/helm/forefill/values.schema.json").read_text(encoding="utf-8"))
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
COMMANDS = "\n".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)).replace("\\\n", "")


def is_value(path: str) -> bool:
    """Return whether the chart has a value of this name."""
    schema = SCHEMA
    for name in path.split("."):
        if "properties" not in schema:
            return schema.get("type") == "object"
        if name not in schema["properties"]:
            return False
        schema = schema["properties"][name]
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return True


def paths(values: Any, before: str = "") -> Iterator[str]:
    """Yield the names of all values in a file of them."""
    for name, value in values.items():
        path = f"{before}{name}"
        yield path
        if isinstance(value, dict):
            yield from paths(value, f"{path}.")


def named() -> set[str]:
    """Return the values that the text names, such as `drain.preStopSeconds`."""
    roots = "|".join(SCHEMA["properties"])
    return set(re.findall(rf"`((?:{roots})(?:\.\w+)+)", PAGE))


@pytest.mark.parametrize("path", sorted({path for block in BLOCKS for path in paths(block)} | named()))
def test_a_value_that_it_names_is_a_value_of_the_chart(path: str) -> None:
    assert is_value(path)


def test_a_value_that_the_chart_does_not_have_is_found_out() -> None:
    assert len(named()) > 20
    assert not is_value("drain.preStop")
    assert not is_value("settings.max_session")
    assert not is_value("vllm.podDisruptionBudget.most")


def test_the_flags_of_the_plan_exist(capsys: pytest.CaptureFixture[str]) -> None:
    [line] = [line for line in COMMANDS.splitlines() if line.startswith("$ forefill plan")]
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    helped = capsys.readouterr().out
    flags = re.findall(r"--[a-z-]+", line)
    assert "--values" in flags
    assert [flag for flag in flags if flag not in helped] == []


def test_the_grace_of_a_pod_is_the_sum_that_it_says() -> None:
    values = yaml.safe_load((ROOT / "deploy/helm/forefill/values.yaml").read_text(encoding="utf-8"))
    rows = re.findall(r"^\| (\d+) \| (?:`drain\.(\w+)`)? ?\|", PAGE, re.MULTILINE)
    told = {name: int(seconds) for seconds, name in rows if name}
    assert told == values["drain"]
    assert int(rows[-1][0]) == sum(told.values()) + 15
