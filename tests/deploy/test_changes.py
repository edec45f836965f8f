"""What a change of the values changes in the manifests."""

from pathlib import Path

import pytest

from tests.deploy import tools
from tests.deploy.chart import template, values_of
from tests.deploy.manifest import Manifest, title
from tests.deploy.rules.network import Endpoint, allowed, endpoint_of

ISSUER = Endpoint("issuer", address="203.0.113.7", is_pod=False)


def _with(variant: str, *changes: str) -> Manifest:
    status, text = template(*values_of(variant), *(word for change in changes for word in ("--set", change)))
    assert status == 0, text
    return Manifest.parsed(text)


def _pods_of(manifest: Manifest, component: str) -> object:
    [workload] = manifest.component(component)
    return workload.template


@pytest.mark.parametrize(
    ("change", "restarted"),
    [
        ("settings.max_sessions=7", True),
        ("drain.stopGraceSeconds=40", True),
        ("replicaCount=3", False),
        ("networkPolicy.enabled=false", False),
        ("metrics.podMonitor.enabled=true", False),
    ],
)
def test_copies_are_replaced_if_their_settings_change_and_only_then(change: str, restarted: bool) -> None:
    before, after = _pods_of(_with("remote"), "forefill"), _pods_of(_with("remote", change), "forefill")
    assert (before != after) is restarted


def test_a_rollback_finds_the_same_pods() -> None:
    """Nothing in a manifest is random or a time: the same values make the same objects."""
    assert _with("everything").objects == _with("everything").objects


@pytest.mark.parametrize(
    "change",
    [
        "access.jwt.keys=https://203.0.113.7/keys,access.jwt.issuer=i,access.jwt.audience=a",
        "settings.otlp_endpoint=https://203.0.113.7",
        "networkPolicy.modelHubEgress=true",
    ],
)
def test_only_what_needs_https_outside_opens_it(change: str) -> None:
    def is_open(*changes: str) -> bool:
        manifest = _with("remote", "networkPolicy.modelHubEgress=false", *changes)
        [forefill] = manifest.component("forefill")
        return allowed(manifest, endpoint_of(forefill), ISSUER, 443)

    assert not is_open()
    assert is_open(change)


@pytest.mark.parametrize(
    ("changes", "protocol"), [((), "https"), (("access.tls.secretName=", "access.insecure=true"), "http")], ids=str
)
def test_what_speaks_to_the_openai_port_is_told_whether_that_speaks_tls(
    changes: tuple[str, ...], protocol: str
) -> None:
    services = _with("scaled", *changes).of("Service")
    ports = [port for service in services for port in service["spec"]["ports"] if port["name"] == "openai"]
    assert [(port["port"], port["appProtocol"]) for port in ports] == [(8001, protocol)]


def test_two_releases_share_no_name_and_pick_no_pods_of_each_other() -> None:
    ours = _with("stack")
    status, text = template(*values_of("stack"), release="other")
    assert status == 0, text
    others = Manifest.parsed(text)
    assert not {title(one) for one in ours.objects} & {title(one) for one in others.objects}
    for service in ours.of("Service"):
        assert others.picked_by(service["spec"]["selector"]) == []


def test_missing_tools_skip_the_tests_but_fail_them_in_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tools, "MADE", tmp_path / "stamp")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        tools.require()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        tools.require()
