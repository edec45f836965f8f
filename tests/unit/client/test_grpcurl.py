"""The messages that the examples send by hand with grpcurl: as JSON, and what a server answers to them."""

import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_client.testing import FakeServer
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

README = (Path(__file__).parents[3] / "client" / "examples" / "README.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", README, re.MULTILINE)]
[SESSION] = [block for block in BLOCKS if "/Compose" in block]
MESSAGES = SESSION.splitlines()[1:-1]
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("grpcurl")]
ANSWER = "SELECT * FROM patients;"


def parsed(message_class: Any) -> list[Any]:
    return [json_format.Parse(line, message_class()) for line in MESSAGES]


def check(replies: list[dict[str, Any]]) -> None:
    """Check what was answered: JSON, with the names of the schema."""
    kinds = [kind for reply in replies for kind in reply]
    deltas = [reply["generation_delta"] for reply in replies if "generation_delta" in reply]
    others = [kind for kind in kinds if kind != "generation_delta"]
    assert sorted(others) == ["flush_result", "generation_finished", "generation_started", "opened"]
    assert "".join(delta["text"] for delta in deltas) == ANSWER
    assert {delta["seq"] for delta in deltas} == {"4"}


def test_the_messages_are_those_of_one_session() -> None:
    kinds = [message.WhichOneof("request") for message in parsed(pb.ComposeRequest)]
    assert kinds == ["open", *["event"] * 5]


def test_a_server_answers_them() -> None:
    with FakeServer(answer=ANSWER) as server, grpc.insecure_channel(server.address) as channel:
        replies = list(KeystrokeServiceStub(channel).Compose(iter(parsed(pb.ComposeRequest)), timeout=20))
    check([json_format.MessageToDict(reply, preserving_proto_field_name=True) for reply in replies])


def test_the_servers_reflection_is_enough_to_make_and_read_them() -> None:
    with FakeServer(answer=ANSWER) as server, grpc.insecure_channel(server.address) as channel:
        reflected = ProtoReflectionDescriptorDatabase(channel)
        assert "forefill.v1.KeystrokeService" in reflected.get_services()
        pool = DescriptorPool(reflected)
        method = pool.FindServiceByName("forefill.v1.KeystrokeService").FindMethodByName("Compose")
        request, reply = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        compose = channel.stream_stream(
            "/forefill.v1.KeystrokeService/Compose", request.SerializeToString, reply.FromString
        )
        replies: list[Any] = list(compose(iter(parsed(request)), timeout=20))
    check([json_format.MessageToDict(reply, preserving_proto_field_name=True) for reply in replies])


@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not installed")
def test_grpcurl_itself_runs_the_commands() -> None:
    with FakeServer(answer=ANSWER) as server:

        def run(command: str) -> str:
            shell = ["bash", "-c", command.replace("127.0.0.1:50051", server.address)]
            return subprocess.run(shell, capture_output=True, text=True, check=True, timeout=20).stdout

        assert len(COMMANDS) == 3
        assert "forefill.v1.KeystrokeService" in run(COMMANDS[0])
        assert "CharAdd char_add = 3" in run(COMMANDS[1])
        replies, reader, text = [], json.JSONDecoder(), run(SESSION).lstrip()
        while text:
            reply, end = reader.raw_decode(text)
            replies.append(reply)
            text = text[end:].lstrip()
    check(replies)
