"""The prompts of one turn: made by the fast path where the engine's chat endpoint agrees, else as `rendering` rules."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from ..chat.messages import Conversation
from ..chat.prompt import PROBES, TurnPrompt
from ..chat.token_ids import TokenIds, common_prefix, compact
from ..chat.tool_choice import ToolChoice
from ..engine import ChatEndpoint
from ..errors import Reason, Refusal, ServiceError
from ..fleet.backend import Backend, Render
from .comparison import Comparison, compared, or_refusal
from .rendering import RULES, Asks, Rule, Verdict, Warms, probe_drafts, under_another_choice

log = logging.getLogger(__name__)

VERDICT_SECONDS = 1.0
"""How long a warm waits for the comparison."""


class NotExact(ServiceError):
    """Raised when the exact ids of a prompt are not known here: only the engine's own chat endpoint makes them."""


class Prompts:
    """The prompts of one turn, which are in the making when it begins, as is the comparison.

    `conversation` is what comes before the draft. `own` is given each task that it spawns, to cancel it with the
    session. `render` runs what makes them; by default for nobody in particular. If the fast path finds that the
    template renders another head than before, as one with a date does after midnight, they are compared once more.
    """

    def __init__(
        self,
        backend: Backend,
        endpoint: ChatEndpoint,
        conversation: Conversation,
        own: Callable[[asyncio.Future[Any]], None],
        render: Render | None = None,
    ) -> None:
        self._backend = backend
        self._render = render or backend.render
        self._owned_by = own
        self._endpoint = endpoint
        self._conversation = conversation
        self._made_for = conversation.tool_choice
        self._context_tokens = backend.info.context_tokens
        making = self._render(TurnPrompt, backend.replicas.chat, conversation, self._context_tokens, backend.clock)
        self._made: asyncio.Future[TurnPrompt] = asyncio.ensure_future(making)
        self._made.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # SUBMIT will report it
        own(self._made)
        self._compared = self._comparing()

    def end(self) -> None:
        """Compare nothing more: the turn is over."""
        self._compared.cancel()

    @property
    def tool_choice(self) -> ToolChoice:
        """Whether the answers call tools."""
        return self._conversation.tool_choice

    def choosing(self, choice: ToolChoice | None) -> "Prompts":
        """Return the prompts of the same turn under another choice of tools; itself under the same one, or None.

        They may be other prompts, and the comparison says nothing of them: the endpoint makes them.
        """
        if choice is None or choice == self.tool_choice:
            return self
        chosen = copy(self)
        chosen._conversation = replace(self._conversation, tool_choice=choice)
        return chosen

    @property
    def verdict(self) -> Verdict:
        """What came of the comparison so far."""
        return Verdict.CHECKING if self._comparison is None else self._comparison.verdict

    @property
    def rule(self) -> Rule:
        """What follows from that."""
        rule = self._rule_of_ids
        return rule.answered_by_endpoint() if self.answered_by_endpoint else rule

    @property
    def answered_by_endpoint(self) -> bool:
        """Whether the endpoint itself has to answer, since it does more than generate from the ids of a prompt."""
        elsewhere = self._another_choice and not self._endpoint.in_process
        return elsewhere or self._endpoint.answers_itself(self._conversation)

    @property
    def _rule_of_ids(self) -> Rule:
        rule = RULES[self.verdict, self._endpoint.in_process]
        return under_another_choice(rule) if self._another_choice else rule

    @property
    def _another_choice(self) -> bool:
        return self.tool_choice != self._made_for

    @property
    def _may_show_other_tools(self) -> bool:
        """Whether one of the two choices allows no call: the engine may leave the tools out of that prompt."""
        return self._another_choice and "none" in (self.tool_choice, self._made_for)

    @property
    def lead(self) -> TokenIds:
        """Leading ids of every prompt of this turn, as far as they are known or guessed by now."""
        if self._may_show_other_tools:
            return TokenIds((), ())
        if self._comparison is not None and self._comparison.base is not None:
            return self._comparison.base
        made = self._made_by_now
        return TokenIds((), ()) if made is None else made.base

    def covered(self, confirmed_code_points: int, lacking_tokens: int) -> int | None:
        """Return how much of the draft all stable ids but the last `lacking_tokens` cover, in code points.

        None if only the engine knows, or if the stable ids of a text of that length were not the last that were made.
        """
        if (made := self._made_by_now) is None or self.rule.warms is Warms.BASE:
            return None
        return made.covered(confirmed_code_points, lacking_tokens)

    def conversation(self, text: str | None) -> Conversation:
        """Return the conversation that asks for the answer to this text, or, without one, to what was said before."""
        return self._conversation.drafted(text)

    def headed(self, ids: Sequence[int]) -> TokenIds:
        """Return ids with the head that the turn's other prompts have, if they have it."""
        base = None if self._comparison is None else self._comparison.base
        if base is None or base.head != compact(ids[: len(base)]):
            return TokenIds((), tuple(ids))
        return TokenIds(base.head, tuple(ids[len(base) :]))

    async def made(self) -> None:
        """Wait until the fast path's prompts are made, or cannot be."""
        await asyncio.wait({self._made})

    async def base(self) -> TokenIds:
        """Return the ids of everything before the draft.

        Raises what making the prompts raises, unless the endpoint accepts what the fast path refuses.
        """
        try:
            return (await self._own()).base
        except Refusal as refusal:
            if refusal.reason is Reason.TEMPLATE_REFUSED:
                await self._wait_for_verdict()
                if self._comparison is not None and self._comparison.base is not None:
                    return self._comparison.base
            raise

    async def stable(self, confirmed: str) -> TokenIds:
        """Return the leading ids that all continuations of the confirmed text are expected to share.

        Raises Refusal (PROMPT_TOO_LONG) if none of these can be submitted, NotExact if another choice may change them,
        and what making the prompts, the template or the endpoint raises.
        """
        if self._may_show_other_tools:
            raise NotExact
        await self._wait_for_verdict()
        if self._comparison is not None and self._comparison.refusal is not None:
            raise self._comparison.refusal
        match self.rule.warms:
            case Warms.STABLE:
                ids: TokenIds = await self._render((await self._own()).stable, confirmed)
                return ids
            case Warms.COMMON:
                return await self._common(confirmed)
            case Warms.BASE:
                return (await self._own()).base

    async def final(self, text: str) -> TokenIds:
        """Return the ids of the prompt that asks for the answer to this text, to begin it before SUBMIT.

        Raises what `submitted` raises; NotExact if they are not known here.
        """
        await self._wait_for_verdict()
        if (ids := await self.ids(text)) is None:
            raise NotExact
        return ids

    async def submitted(self, text: str | None) -> TokenIds | None:
        """Return the ids of the prompt that asks for the answer to this text; None if the endpoint has to answer it.

        Without a text, the conversation before the draft is asked for, which the fast path has not been compared on. It
        does not wait for the comparison. Raises Refusal (PROMPT_TOO_LONG, TEMPLATE_REFUSED), EngineError.
        """
        return None if self.answered_by_endpoint else await self.ids(text)

    async def ids(self, text: str | None) -> TokenIds | None:
        """Return the ids of the prompt, even if the endpoint answers it; None if only the endpoint knows them."""
        asks = self._rule_of_ids.asks
        if text is not None and asks is Asks.FAST_PATH:
            ids: TokenIds = await self._render((await self._own()).final, text)
            return ids
        if asks is Asks.ENDPOINT:
            return None
        theirs = await self._endpoint.ids(self.conversation(text))
        return None if theirs is None else self._with_room(self.headed(theirs))

    @property
    def _made_by_now(self) -> TurnPrompt | None:
        made = self._made.done() and not self._made.cancelled() and self._made.exception() is None
        return self._made.result() if made else None

    async def _own(self) -> TurnPrompt:
        await asyncio.wait({self._made})  # to stop waiting must not cancel them for others
        if isinstance(refusal := self._made.exception(), Refusal):
            raise refusal.again()
        return self._made.result()

    async def _common(self, confirmed: str) -> TokenIds:
        if (spliced := await self._spliced(confirmed)) is not None:
            return spliced
        if self._endpoint.in_process:
            return self._with_room(common_prefix(await self._theirs([confirmed + rest for rest in PROBES])))
        return self.lead

    async def _spliced(self, confirmed: str) -> TokenIds | None:
        """Return the endpoint's base and what the fast path holds stable of the draft; None if they do not fit."""
        comparison = self._comparison
        if comparison is None or comparison.base is None or not comparison.own_base_tokens:
            return None
        own: TokenIds = await self._render((await self._own()).stable, confirmed)
        if own.head and own.head is not comparison.own_head and self._compared.done():
            self._compared = self._comparing()
        return comparison.base.extended(own.since(comparison.own_base_tokens))

    async def _theirs(self, texts: Sequence[str]) -> list[TokenIds]:
        made = await asyncio.gather(*(self._endpoint.ids(self.conversation(text)) for text in texts))
        if any(ids is None for ids in made):
            raise NotExact
        return [self.headed(ids) for ids in made if ids is not None]

    def _with_room(self, ids: TokenIds) -> TokenIds:
        if len(ids) >= self._context_tokens:
            raise Refusal(Reason.PROMPT_TOO_LONG, f"{len(ids)} tokens of {self._context_tokens}")
        return ids

    @property
    def _comparison(self) -> Comparison | None:
        ended = self._compared.done() and not self._compared.cancelled()
        return self._compared.result() if ended else None

    async def _wait_for_verdict(self) -> None:
        """Wait for the comparison, once the fast path's prompts are made, but not for long."""
        if self._compared.done():
            return
        await asyncio.wait({self._made})
        patience = asyncio.ensure_future(self._backend.sleep(VERDICT_SECONDS))
        try:
            await asyncio.wait({self._compared, patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()

    def _comparing(self) -> asyncio.Task[Comparison]:
        task = asyncio.create_task(self._compare())
        self._owned_by(task)
        return task

    async def _compare(self) -> Comparison:
        comparison = await self._compared_with_endpoint()
        verdict = comparison.verdict
        self._backend.rendered(verdict.name.lower(), verdict.value, agrees=verdict is Verdict.AGREES)
        return comparison

    async def _compared_with_endpoint(self) -> Comparison:
        await asyncio.wait({self._made})  # the first FLUSH needs them sooner than anybody needs this
        chat = self._backend.replicas.chat
        try:
            comparison = await self._compared_on(probe_drafts(chat.split_texts))
            if comparison.refusal is not None:  # some templates refuse the text of a special token
                comparison = await self._compared_on(probe_drafts(()))
        except Exception as error:  # the endpoint cannot be asked, or not now, or the prompt is too long for either
            log.debug("the rendering of a turn is not checked: %s", type(error).__name__)
            return Comparison(Verdict.UNKNOWN)
        return comparison

    async def _compared_on(self, drafts: Sequence[str]) -> Comparison:
        theirs, ours = await asyncio.gather(or_refusal(self._theirs, drafts), or_refusal(self._ours, drafts))
        plain_draft = self._backend.replicas.chat.encode(drafts[0].strip())
        comparison: Comparison = await self._render(compared, ours, theirs, plain_draft)
        return comparison

    async def _ours(self, texts: Sequence[str]) -> list[TokenIds]:
        prompt = await self._own()
        ids: list[TokenIds] = await self._render(lambda: [prompt.final(text) for text in texts])
        return ids
