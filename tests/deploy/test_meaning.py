"""Every variant keeps every rule about what the objects mean. The rules, and why: `tests/deploy/rules`."""

import pytest

from tests.deploy.manifest import Manifest
from tests.deploy.rules.table import RULES, Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_variant_keeps_the_rule(manifest: Manifest, rule: Rule) -> None:
    wrong = "\n".join(rule(manifest))
    assert not wrong, wrong
