"""The fixture that an application's tests ask for, in runs of pytest as an application would start them."""

import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "client" / "examples"

pytest_plugins = ["pytester"]

OPTIONS = ("-p", "no:cacheprovider", "--strict-markers", "-W", "error")
LOOPS = ("-o", "asyncio_default_fixture_loop_scope=function")


def run(pytester: pytest.Pytester, code: str) -> pytest.RunResult:
    """Run tests in this process, where the packages are loaded already."""
    pytester.makepyfile(code)
    return pytester.runpytest_inprocess(*OPTIONS, *LOOPS)


def test_tests_with_and_without_a_loop_ask_for_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        from forefill_client import AsyncClient, Client

        def test_sync(forefill_server):
            with Client.connect(forefill_server.address) as client, client.session() as session:
                assert session.submit("x").text()

        @pytest.mark.asyncio
        async def test_async(forefill_server):
            forefill_server.answer = "two"
            async with AsyncClient.connect(forefill_server.address) as client, client.session() as session:
                assert await (await session.submit("x")).text() == "two"
        """,
    )
    result.assert_outcomes(passed=2)


def test_a_marker_sets_it_up_and_the_nearest_wins(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        from forefill_client import Client

        pytestmark = pytest.mark.forefill_server(answer="the module's", max_draft_code_points=7)

        def ask(server):
            with Client.connect(server.address) as client, client.session() as session:
                return session.submit("x").text(), session.opened.limits.max_draft_code_points

        def test_of_the_module(forefill_server):
            assert ask(forefill_server) == ("the module's", 7)

        @pytest.mark.forefill_server(answer="its own")
        def test_of_its_own(forefill_server):
            assert ask(forefill_server) == ("its own", 7)
        """,
    )
    result.assert_outcomes(passed=2)


def test_each_test_has_a_server_of_its_own_which_ends_with_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import threading
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_own(forefill_server, number):
            assert forefill_server.answer == ""
            forefill_server.answer = "mine"
            assert [thread.name for thread in threading.enumerate()].count("forefill-server") == 1
        """,
    )
    result.assert_outcomes(passed=2)


def test_who_does_not_ask_for_it_loads_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert "forefill_pytest" in loaded
            assert not loaded & {"grpc", "google", "forefill", "forefill_client", "forefill_service", "pydantic"}
        """
    )
    pytester.runpytest_subprocess(*OPTIONS, *LOOPS, timeout=60).assert_outcomes(passed=1)


def test_the_fixture_and_the_marker_are_documented(pytester: pytest.Pytester) -> None:
    fixtures = pytester.runpytest_inprocess("--fixtures", *LOOPS)
    fixtures.stdout.fnmatch_lines(["forefill_server -- *", "*see forefill_client.testing*"])
    markers = pytester.runpytest_inprocess("--markers", *LOOPS)
    markers.stdout.fnmatch_lines(["@pytest.mark.forefill_server(*"])


def test_the_example_passes(pytester: pytest.Pytester) -> None:
    for name in ("text_to_sql.py", "test_text_to_sql.py"):
        shutil.copy(EXAMPLES / name, pytester.path)
    pytester.runpytest_inprocess(*OPTIONS, *LOOPS).assert_outcomes(passed=3)
