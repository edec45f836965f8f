"""The command line of `forefill-server`: its help, its version, and the one line for a bad value."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from forefill_service import cli
from forefill_service.cli import main
from forefill_service.settings import GROUPS, Flags

Help = dict[str, dict[str, str]]


@pytest.fixture
def width() -> int:
    return 80


@pytest.fixture
def page(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.fixture
def sections(page: str) -> Help:
    """The help of each flag by the heading that it stands under, its lines joined."""
    sections: Help = {}
    for heading, body in re.findall(r"^(\w[\w -]*):\n(.*?)(?=^\w|\Z)", page, re.MULTILINE | re.DOTALL):
        flags = re.split(r"^  (?=-)", body, flags=re.MULTILINE)[1:]
        sections[heading] = {re.split(r"[ ,\n]", flag)[0]: " ".join(flag.split()) for flag in flags}
    return sections


def test_the_help_is_grouped_by_subject(sections: Help) -> None:
    assert list(sections) == [
        "examples",
        "options",
        "listening",
        "access",
        "engine",
        "remote servers",
        "fake engine",
        "hand-off",
        "warming",
        "pre-generation",
        "sessions",
        "limits",
        "observability",
    ]
    by_subject = [list(flags) for flags in list(sections.values())[2:]]
    assert by_subject == [[f"--{flag.replace('_', '-')}" for flag in group.by_flag()] for group in GROUPS.values()]


def test_the_help_of_each_flag_says_what_it_is_for_and_its_default(sections: Help) -> None:
    helps = {flag: text for flags in sections.values() for flag, text in flags.items()}
    for name, field in Flags.model_fields.items():
        text = helps[f"--{name.replace('_', '-')}"]
        assert field.description is not None
        assert field.description in text
        if field.default or field.default == 0:
            assert text.endswith(f"(default: {field.default})")
        else:  # nothing, or an empty text: then the description says what happens instead, if anything does
            assert not re.search(r"\(default: ?(None|\[\]|\{\})?\)", text)


def test_the_help_of_the_engine_shows_its_choices(sections: Help) -> None:
    assert sections["engine"]["--engine"].startswith("--engine {embedded,remote,fake} embedded: ")


@pytest.mark.parametrize("width", [80, 120])
def test_the_help_fits_the_terminal(page: str, width: int) -> None:
    assert [line for line in page.splitlines() if len(line) > width] == []
    assert "X-Session-ID" in page
    assert "\N{NO-BREAK SPACE}" not in page


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"forefill-server {version('forefill')}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--port", "70000"], "--port: Input should be less than or equal to 65535"),
        (["--port", "x"], "--port: Input should be a valid integer, unable to parse string as an integer"),
        (["--port"], "argument --port: expected one argument"),
        (["--por", "1"], "unrecognized arguments: --por 1"),
        (["--no-such-flag"], "unrecognized arguments: --no-such-flag"),
        (["stray"], "unrecognized arguments: stray"),
        (["--engine", "none"], "--engine: Input should be 'embedded', 'remote' or 'fake'"),
        (["--engine", "remote"], "--engine remote and --engine-url belong together"),
        (["--chat-template", "/no/such/file"], "--chat-template: Path does not point to a file"),
        (
            ["--host", "0.0.0.0"],  # noqa: S104
            "--host 0.0.0.0 is not loopback and needs TLS (--tls-cert, --tls-key) and credentials (--callers, "
            "--jwt-keys or --tls-client-ca), or --insecure",
        ),
        (["--engine-args", "{x"], "--engine-args: not valid JSON"),
        (["--engine-headers", "x"], "--engine-headers: not valid JSON"),
    ],
)
def test_a_bad_command_line_is_reported_in_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"forefill-server: {line}; see --help\n"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("FOREFILL_PORT", "x", "--port: Input should be a valid integer, unable to parse string as an integer"),
        ("FOREFILL_ENGINE_ARGS", "{x", "--engine-args: not valid JSON"),
        ("FOREFILL_ENGINE_URL", "http://a", "--engine-url: not valid JSON"),
        ("FOREFILL_ENGINE", "remote", "--engine remote and --engine-url belong together"),
    ],
)
def test_a_bad_environment_is_reported_in_one_line(
    name: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main([]) == 2
    assert capsys.readouterr().err == f"forefill-server: {line}; see --help\n"


def test_a_new_key_is_printed_with_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--new-api-key", "web"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert 'name = "web"' in printed
    assert "key_sha256" in printed


@pytest.mark.parametrize("flags", [["--callers"], ["--tls-key", __file__, "--tls-cert"]])
def test_a_file_of_access_that_cannot_be_used_is_reported_before_an_engine_starts(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def starts(_: object) -> None:
        raise AssertionError("no engine is needed to find that out")

    monkeypatch.setattr(cli, "start_engines", starts)
    assert main([*flags, str(tmp_path / "missing")]) == 1
    complaint = capsys.readouterr().err
    assert "cannot read" in complaint
    assert "missing" in complaint
