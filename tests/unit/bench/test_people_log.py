"""The public log: which messages are read, and what of them is typing."""

import importlib.metadata
from pathlib import Path

import pytest
from forefill_bench.typing.people_log import LoggedMessage, find_log, is_for_judging, read_log
from forefill_client import ForefillError

from tests.support.logged import Event, file_of, log_of, rows_of, typed_events, user


def read(tmp_path: Path, *events: list[Event], text: str = "hi", created: str = "0") -> list[LoggedMessage]:
    rows = []
    for number, own in enumerate(events):
        rows += rows_of(own, user="u", message=str(number), text=text, created=created)
    (tmp_path / "log.csv").write_text(file_of(rows))
    return read_log(tmp_path / "log.csv")


def test_a_message_has_every_content_of_the_box_and_the_send(tmp_path: Path) -> None:
    [message] = read(tmp_path, typed_events("hi", 100, key_ms=30))
    began_ms = message.begins_ms
    assert [(at_ms - began_ms, draft) for at_ms, draft in message.changes] == [(0, "h"), (30, "hi")]
    assert (message.text, message.sent_ms - began_ms) == ("hi", 90)


def test_the_send_is_the_first_after_the_last_change(tmp_path: Path) -> None:
    events: list[Event] = [("4", "", 0), ("0", "h", 10), ("4", "", 20), ("0", "hi", 30), ("4", "", 70), ("4", "", 90)]
    [message] = read(tmp_path, [*events, ("0", "", 95), ("1", "hi", 95)])
    assert message.sent_ms - message.begins_ms == 60


def test_a_box_that_is_emptied_while_typing_goes_on(tmp_path: Path) -> None:
    events: list[Event] = [("0", "x", 0), ("0", "", 10), ("0", "h", 20), ("0", "hi", 30), ("4", "", 40)]
    [message] = read(tmp_path, events)
    assert [draft for _, draft in message.changes] == ["x", "", "h", "hi"]


@pytest.mark.parametrize(
    ("events", "text", "created"),
    [
        ([("0", "h", 0), ("0", "hi", 10)], "hi", "0"),  # never sent
        ([("0", "hi", 0), ("4", "", 10)], "hi", "0"),  # one change
        (typed_events("hi", 0), "ho", "0"),  # something else was sent
        (typed_events("hi", 0), "hi", "1"),  # not typed to an agent
    ],
)
def test_what_is_no_typed_message_is_left_out(events: list[Event], text: str, created: str, tmp_path: Path) -> None:
    assert read(tmp_path, events, text=text, created=created) == []


def test_messages_keep_their_order_users_and_sittings(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(log_of({"a": ["one", "two"], "b": ["three"]}))
    told = [(message.user, message.sitting, message.text) for message in read_log(tmp_path / "log.csv")]
    assert told == [("a", "a", "one"), ("a", "a", "two"), ("b", "b", "three")]


def test_another_file_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("content,key_time\n")
    with pytest.raises(ForefillError, match=r"other.csv is not the log: it has no column USER_ID"):
        read_log(tmp_path / "other.csv")


def test_half_of_the_users_are_kept_for_judging() -> None:
    assert is_for_judging(user(True))
    assert not is_for_judging(user(False))
    assert 400 < sum(is_for_judging(f"user{index}") for index in range(1000)) < 600


def test_without_the_package_there_is_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert find_log() is None


def test_the_installed_log_is_found_without_an_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Installed(importlib.metadata.PathDistribution):
        def locate_file(self, path: object) -> Path:
            return tmp_path / str(path)

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(tmp_path))
    assert find_log() is None, "the package has no such file"
    (tmp_path / "keylogging_analysis" / "data").mkdir(parents=True)
    (tmp_path / "keylogging_analysis" / "data" / "lh_default.csv").touch()
    assert find_log() == tmp_path / "keylogging_analysis" / "data" / "lh_default.csv"
