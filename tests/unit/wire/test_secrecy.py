"""Text that was typed stays out of logs and error messages."""

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine import FakeEngine

from tests.support.wire import Wire


async def test_a_defect_reaches_the_client_as_an_id_and_not_as_text(
    wire: Wire, engine: FakeEngine, bystander: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(text: str) -> list[int]:
        raise ValueError("secret text")

    encode = engine.chat.encode
    engine.chat.encode = broken  # type: ignore[method-assign]
    await wire.write(pb.ComposeRequest(open=pb.Open()))
    assert await wire.status() == (grpc.StatusCode.INTERNAL, "INTERNAL")
    error_id = dict(await wire.call.trailing_metadata())["forefill-error-id"]
    assert error_id in caplog.text
    assert "secret text" not in await wire.call.details()
    engine.chat.encode = encode  # type: ignore[method-assign]


async def test_nothing_typed_is_logged(wire: Wire, engine: FakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await wire.open()
    await wire.type("Zyzzyva is my password ")
    wire.draft = "Zyzzyva is my passwort "
    await wire.send_flush()
    message = (await wire.error()).message
    await wire.event(replace=pb.Replace(start=90, end=91, text="Zyzzyva"))
    message += (await wire.error()).message
    await wire.event(submit=pb.Submit())
    await wire.answer()
    assert "Zyzzyva" not in caplog.text + message
