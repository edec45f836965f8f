"""The file that names the callers: what it may say, and that its keys are nowhere."""

from datetime import datetime
from pathlib import Path

import pytest
from forefill_service.access.caller import USUAL, Permission
from forefill_service.access.callers_file import KEY_PREFIX, Callers, hash_of, new_api_key
from forefill_service.errors import SettingsFileError

HASH = hash_of("secret")
WHOLE = f"""
[[caller]]
name = "web"
key_sha256 = "{HASH}"
tenant = "acme"
permissions = ["compose"]
expires = 2027-01-01T00:00:00Z

[[caller]]
name = "proxy"
certificate = "proxy.internal"
permissions = ["compose", "name-tenant"]
"""


def read(tmp_path: Path, text: str) -> Callers:
    path = tmp_path / "callers.toml"
    path.write_text(text, encoding="utf-8")
    return Callers.read(path)


def test_a_caller_is_found_by_its_key(tmp_path: Path) -> None:
    caller = read(tmp_path, WHOLE).with_key("secret")
    assert caller is not None
    assert (caller.name, caller.tenant, caller.permissions) == ("web", "acme", frozenset({Permission.COMPOSE}))
    assert caller.expires_at == datetime.fromisoformat("2027-01-01T00:00:00+00:00").timestamp()


def test_a_caller_is_found_by_any_name_of_its_certificate(tmp_path: Path) -> None:
    caller = read(tmp_path, WHOLE).with_certificate(["anything", "proxy.internal"])
    assert caller is not None
    assert (caller.name, caller.tenant, caller.expires_at) == ("proxy", "", None)
    assert Permission.NAME_TENANT in caller.permissions


def test_nobody_else_is_found(tmp_path: Path) -> None:
    callers = read(tmp_path, WHOLE)
    assert callers.with_key("") is None
    assert callers.with_key(HASH) is None, "the hash is no key"
    assert callers.with_key("\udcff") is None
    assert callers.with_certificate(["web"]) is None, "names of callers are no names of certificates"


def test_a_caller_of_whom_little_is_said_has_the_usual_permissions(tmp_path: Path) -> None:
    caller = read(tmp_path, f'[[caller]]\nname = "a"\nkey_sha256 = "{HASH}"').with_key("secret")
    assert caller is not None
    assert caller.permissions == USUAL
    assert Permission.NAME_TENANT not in USUAL


def test_a_name_may_have_an_old_key_and_a_new_one(tmp_path: Path) -> None:
    both = "".join(f'[[caller]]\nname = "a"\nkey_sha256 = "{hash_of(key)}"\n' for key in ("old", "new"))
    callers = read(tmp_path, both)
    assert callers.with_key("old") == callers.with_key("new") is not None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[caller", "not TOML"),
        ("", "caller: "),
        ("caller = []", "caller: "),
        (f'[[caller]]\nkey_sha256 = "{HASH}"', "caller.1.name"),
        ('[[caller]]\nname = "a"', "either key_sha256 or certificate"),
        (f'[[caller]]\nname = "a"\nkey_sha256 = "{HASH}"\ncertificate = "b"', "either key_sha256 or certificate"),
        ('[[caller]]\nname = "a"\nkey_sha256 = "secret"', "caller.1.key_sha256"),
        (f'[[caller]]\nname = "a"\nkey_sha256 = "{HASH}"\npermissions = ["all"]', "caller.1.permissions"),
        (f'[[caller]]\nname = "a"\nkey_sha256 = "{HASH}"\nexpires = 2027-01-01T00:00:00', "timezone"),
        (f'[[caller]]\nname = "a"\nkey = "{HASH}"', "caller.1."),
        (f'[[caller]]\nname = "a"\nkey_sha256 = "{HASH}"\n' * 2, "the same key"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_without_its_values(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsFileError, match=complaint) as refused:
        read(tmp_path, text)
    assert HASH not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError, match="cannot read"):
        Callers.read(tmp_path / "callers.toml")


def test_a_new_key_comes_with_the_entry_that_lets_it_in(tmp_path: Path) -> None:
    said = new_api_key("web")
    key = said.partition("only now): ")[2].split()[0]
    assert key.startswith(KEY_PREFIX)
    assert len(key) > 40
    entry = said[said.index("[[caller]]") :]
    assert key not in entry
    caller = read(tmp_path, entry).with_key(key)
    assert caller is not None
    assert caller.name == "web"
    assert new_api_key("web") != said


def test_a_name_that_toml_must_escape_is_escaped(tmp_path: Path) -> None:
    said = new_api_key('a "b" \\ c')
    key = said.partition("only now): ")[2].split()[0]
    caller = read(tmp_path, said[said.index("[[caller]]") :]).with_key(key)
    assert caller is not None
    assert caller.name == 'a "b" \\ c'
