"""What can be set on the vLLM server without a model: what kind of server it is, and what goes wrong with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from forefill_service.chat.prompt import Chat
from forefill_service.engine import FakeEngine

Twist = Callable[[dict[str, Any]], dict[str, Any] | bytes]


@dataclass
class Faults:
    """The faults of the server; set and reset them at any time.

    Every completion is answered with `status`, if set, and every question for ids with `ids_status`. Streams end after
    `cut_after` parts, and fall silent after `stall_after`. Nothing at all is answered while `flowing` is not set.
    `tells_cached` is `--enable-prompt-tokens-details`; older releases leave out a count of 0 (`tells_zero`).

    What it refuses it refuses with `words`, and with a Retry-After header if one is set. Each event of an answer is
    what `twist` makes of it: an event, or bytes that are sent as they are. Answers of one token are probes and warms,
    which are only twisted if it `twists_all`. `says` has the bodies that it answers with at other paths in place of its
    own.
    """

    status: int | None = None
    ids_status: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    priorities: bool = True
    tells_cached: bool = True
    tells_zero: bool = True
    tells_metrics: bool = True
    metrics_hang: bool = False
    words: str = "no"
    retry_after: str = ""
    twist: Twist | None = None
    twists_all: bool = False
    says: dict[str, bytes] = field(default_factory=dict)
    flowing: asyncio.Event = field(default_factory=asyncio.Event)


class Knobs:
    """What kind of server it is: its model, its flags and its release.

    It reports `model`, `context_tokens` and `block_size`. It has the adapters of its engine, each at the path of its
    version; `lacks` are models that it does not have. Its metrics are `running` and `tokens`; the one named by `moving`
    is one higher each time that they are read.

    Its chat endpoint renders with `chat`, or every conversation as the ids `renders`. It says its ids at
    `/v1/chat/completions/render` if `render_status` is 200, else that is the answer there; `/tokenize` has
    `tokenize_status`, and may render with another `tokenize_chat`. Older releases drop tools there (`tokenizes_tools`)
    and answer renderings in another form (`render_as_older_releases`). An answer to a conversation brings the ids of
    its prompt if the server `says_prompt_ids`, and its first `reasoning_tokens` are reasoning.

    `parses_calls` is `--enable-auto-tool-choice`, `parses_thoughts` is `--reasoning-parser`, and `excludes_tools` is
    `--exclude-tools-when-tool-choice-none`. `ignores` are fields that it does not know, and `refuses` is what it says
    of structures, of logprobs and of calls that have to be.
    """

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.model = engine.info.model
        self.context_tokens = engine.info.context_tokens
        self.block_size = engine.info.block_size
        self.lacks: set[str] = set()
        self.running = 0
        self.tokens = 0
        self.moving: str | None = None
        self.chat: Chat = engine.chat
        self.renders: list[int] | None = None
        self.render_status = 200
        self.render_as_older_releases = False
        self.tokenize_status = 200
        self.tokenize_chat: Chat | None = None
        self.tokenizes_tools = True
        self.says_prompt_ids = True
        self.reasoning_tokens = 0
        self.parses_calls = True
        self.parses_thoughts = False
        self.excludes_tools = False
        self.ignores: set[str] = set()
        self.refuses = ""
