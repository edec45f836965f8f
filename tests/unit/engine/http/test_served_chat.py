"""The fast path to a server's chats: which template, tokenizer and content format, and what if the server differs."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import Chat
from forefill_service.chat.template import HfChat
from forefill_service.engine import EngineInfo
from forefill_service.engine.http.chat_ids import TOKENIZE, ChatIds
from forefill_service.engine.http.discovery import ServedModel, difference
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.engine.http.served_chat import ServedChat, served_chat
from forefill_service.engine.probes import CONVERSATIONS
from forefill_service.errors import EngineStartError
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.remote_engine import remote_settings
from tests.support.template_habits import HABITS
from tests.support.templates import CHATML, DROPS_REASONING, OWN_SYSTEM_PROMPT

REASONED = Conversation(
    (
        ChatMessage("user", "How many beds?"),
        ChatMessage("assistant", "<think>\ncount the beds\n</think>\n\nTwelve."),
        ChatMessage("user", "And free ones?"),
    ),
    {},
)
EMPTY_SYSTEM = Conversation((ChatMessage("system", ""), ChatMessage("user", "x")))


class WithDefaults(HfChat):
    """A chat on a server that was started with `--default-chat-template-kwargs`."""

    defaults: Mapping[str, Any] = {}

    def render(self, conversation: Conversation) -> str:
        return super().render(replace(conversation, template_kwargs={**self.defaults, **conversation.template_kwargs}))


def a_tokenizer(shift: int = 0, special: Sequence[str] = ("<|im_start|>", "<|im_end|>")) -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token for each byte; another `shift` makes other ids."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {byte: (number + shift) % len(alphabet) for number, byte in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in special])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


class Model:
    """A model's files: its tokenizer, its template, and a config if `model_type` is given."""

    def __init__(self, directory: Path, template: str, model_type: str = "", **tokenizer: Any) -> None:
        self.tokenizer = a_tokenizer(**tokenizer)
        self.tokenizer.chat_template = self.template = template
        self.directory = str(directory)
        self.tokenizer.save_pretrained(directory)
        if model_type:
            (directory / "config.json").write_text(json.dumps({"model_type": model_type}))

    def chat(self, content_format: Any = "string", **defaults: Any) -> WithDefaults:
        """Return what a server makes of it."""
        chat = WithDefaults(self.tokenizer, self.template, content_format)
        chat.defaults = defaults
        return chat


@asynccontextmanager
async def serving(chat: Chat, **knobs: Any) -> AsyncIterator[tuple[FakeVllm, Endpoint]]:
    """Serve a chat within the block, without `render`."""
    async with fake_vllm() as server:
        server.chat, server.render_status = chat, 403
        for name, value in knobs.items():
            setattr(server, name, value)
        endpoint = Endpoint(server.url)
        try:
            yield server, endpoint
        finally:
            await endpoint.close()


async def started(endpoint: Endpoint, model: Model) -> ServedChat:
    return await served_chat(endpoint, "fake", model.directory, None)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, 258),
        ({}, 258),
        ({"vocab_size": 300}, 300),
        ({"model_type": "x", "text_config": {"vocab_size": 301}}, 301),
        ({"vocab_size": None, "text_config": None}, 258),
    ],
)
async def test_the_vocabulary_is_that_of_the_model_which_may_be_larger_than_the_tokenizers(
    tmp_path: Path, config: dict[str, Any] | None, expected: int
) -> None:
    model = Model(tmp_path, CHATML)
    assert len(model.tokenizer) == 258
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    async with serving(model.chat()) as (_, endpoint):
        assert (await started(endpoint, model)).vocabulary == expected


def ids(chat: Chat, conversation: Conversation) -> list[int]:
    return chat.encode(chat.render(conversation))


async def test_a_server_that_renders_alike_is_started_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(tmp_path, DROPS_REASONING)
    async with serving(model.chat()) as (_, endpoint):
        served = await started(endpoint, model)
    assert served.agreed == CONVERSATIONS.keys()
    assert not served.harmony
    assert ids(served.chat, REASONED) == ids(model.chat(), REASONED)
    assert caplog.messages == []


@pytest.mark.parametrize("content_format", ["string", "openai"])
async def test_the_content_format_is_the_servers(tmp_path: Path, content_format: str) -> None:
    model = Model(tmp_path, OWN_SYSTEM_PROMPT)
    async with serving(model.chat(content_format)) as (_, endpoint):
        served = await started(endpoint, model)
    assert ids(served.chat, EMPTY_SYSTEM) == ids(model.chat(content_format), EMPTY_SYSTEM)
    assert served.agreed == CONVERSATIONS.keys()


@pytest.mark.parametrize("excludes", [True, False])
@pytest.mark.parametrize("render_status", [200, 403])
async def test_whether_tools_that_may_not_be_called_are_left_out_is_up_to_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, render_status: int, excludes: bool
) -> None:
    model = Model(tmp_path, HABITS["tools_in_the_system_prompt"])
    async with serving(model.chat(), render_status=render_status, excludes_tools=excludes) as (_, endpoint):
        served = await started(endpoint, model)
    allowed, forbidden = CONVERSATIONS["a tool"], CONVERSATIONS["a tool that may not be called"]
    assert served.agreed == CONVERSATIONS.keys()
    assert caplog.messages == []
    assert ids(served.chat, allowed) != ids(served.chat, replace(allowed, tools=()))
    assert (ids(served.chat, forbidden) == ids(served.chat, replace(forbidden, tools=()))) is excludes


async def test_defaults_of_the_server_that_show_with_reasoning_alone_are_said_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(tmp_path, DROPS_REASONING)
    theirs = model.chat(clear_thinking=False)
    async with serving(theirs) as (_, endpoint):
        served = await started(endpoint, model)
        said = await ChatIds(endpoint, "fake").of(REASONED)
    assert said == ids(theirs, REASONED) != ids(served.chat, REASONED), "so the turn goes to the chat endpoint"
    [warning] = caplog.messages
    assert f"2 in {len(CONVERSATIONS)} kinds of conversation, such as reasoning in the history" in warning
    assert served.agreed == CONVERSATIONS.keys() - {"reasoning in the history", "reasoning in an older turn"}


async def test_older_releases_that_ignore_these_defaults_at_tokenize_are_found_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(tmp_path, DROPS_REASONING)
    theirs = model.chat(clear_thinking=False)
    async with serving(theirs, tokenize_chat=model.chat()) as (_, endpoint):
        served = await started(endpoint, model)
    assert "reasoning in the history" not in served.agreed
    assert "does not say which token ids its chat endpoint makes" in caplog.messages[0]


async def test_defaults_that_end_every_prompt_otherwise_are_no_reason_not_to_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(tmp_path, DROPS_REASONING)
    async with serving(model.chat(enable_thinking=False)) as (_, endpoint):
        served = await started(endpoint, model)
    assert served.agreed == frozenset()
    assert f"{len(CONVERSATIONS)} in {len(CONVERSATIONS)} kinds" in caplog.text


async def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    model = Model(tmp_path, CHATML)
    theirs = HfChat(a_tokenizer(shift=7), CHATML)
    async with serving(theirs) as (_, endpoint):
        with pytest.raises(EngineStartError, match="set --model to the server's tokenizer"):
            await started(endpoint, model)


GPT_OSS = ("<|start|>", "<|channel|>", "<|message|>")


@pytest.mark.parametrize(
    ("files", "harmony"),
    [
        ({"model_type": "gpt_oss"}, True),
        ({"special": GPT_OSS}, True),
        ({"model_type": "llama", "special": GPT_OSS}, False),
        ({}, False),
    ],
)
async def test_harmony_models_are_known_by_their_config_else_by_their_tokens(
    tmp_path: Path, files: dict[str, Any], *, harmony: bool
) -> None:
    model = Model(tmp_path, CHATML, **files)
    async with serving(model.chat(), render_status=200) as (_, endpoint):
        assert (await started(endpoint, model)).harmony is harmony


async def test_a_harmony_model_without_render_is_served_by_its_chat_endpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(tmp_path, CHATML, model_type="gpt_oss")
    harmony = HfChat(model.tokenizer, "{{ 'harmony' }}" + CHATML)
    async with serving(harmony, tokenize_chat=model.chat()) as (server, endpoint):
        served = await started(endpoint, model)
    assert (served.harmony, served.agreed) == (True, frozenset())
    assert TOKENIZE not in [path for path, _ in server.asked_for_ids]
    assert "start the server with --enable-scale-out" in caplog.text


async def test_one_that_the_files_do_not_show_is_found_out_by_its_chat_endpoint(tmp_path: Path) -> None:
    model = Model(tmp_path, CHATML)
    rendered = HfChat(model.tokenizer, CHATML + "{{ 'as Harmony does' }}")
    async with serving(rendered, tokenize_chat=model.chat()) as (_, endpoint):
        asked = ChatIds(endpoint, "fake")
        await asked.checked(CONVERSATIONS.values())
        assert await asked.of(REASONED) is None


async def test_with_render_even_a_harmony_model_has_a_fast_path_as_far_as_they_agree(tmp_path: Path) -> None:
    model = Model(tmp_path, CHATML, model_type="gpt_oss")
    async with serving(model.chat(), render_status=200, tokenize_status=404) as (_, endpoint):
        assert (await started(endpoint, model)).agreed == CONVERSATIONS.keys()


async def test_a_router_that_says_nothing_is_taken_at_its_word_and_the_log_says_what_it_costs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(tmp_path, CHATML)
    silent = {"render_status": 404, "tokenize_status": 404, "says_prompt_ids": False}
    async with serving(model.chat(), **silent) as (_, endpoint):
        served = await started(endpoint, model)
    assert ids(served.chat, REASONED) == ids(model.chat(), REASONED)
    [warning] = caplog.messages
    assert "does not say which token ids" in warning


async def test_a_server_that_comes_up_later_has_to_render_as_the_first_one_where_that_agreed(tmp_path: Path) -> None:
    model = Model(tmp_path, DROPS_REASONING)
    defaults, none = model.chat(clear_thinking=False), model.chat()
    other = HfChat(a_tokenizer(shift=7), DROPS_REASONING)
    info = EngineInfo("fake", 16, 8192)
    cases: list[tuple[Chat, Chat, str]] = [
        (none, none, ""),
        (defaults, defaults, ""),
        (defaults, none, ""),  # each turn is checked by itself, at its own server
        (none, defaults, "other token ids"),
        (defaults, other, "other token ids"),
        (model.chat(enable_thinking=False), other, "other token ids"),  # though there is nothing in which it agreed
    ]
    for first, later, says in cases:
        async with serving(first) as (_, endpoint):
            chat, harmony, agreed, *_ = await started(endpoint, model)
        served = ServedModel(info, chat, True, True, harmony, agreed)
        async with serving(later) as (server, endpoint):
            found = await difference(endpoint, served, remote_settings(server.url), ChatIds(endpoint, "fake"))
        assert says in found
        assert bool(found) == bool(says)
