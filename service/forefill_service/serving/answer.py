"""One running answer: what is known of it, and how it ends."""

from dataclasses import dataclass, field

from ..chat.generation import Output, Sampling, ToolCallPart
from ..chat.messages import Conversation, ToolCall
from ..chat.parts import AnswerSplitter
from ..chat.token_ids import TokenIds
from ..errors import Refusal
from ..fleet.replicas import Place
from ..session.ledger import Balance
from ..session.responses import GenerationFinished, GenerationStarted, Source
from .attempt import Attempt
from .tasks import Interruption
from .turn import Turn


@dataclass(slots=True)
class Answer:
    """One running answer: what is known of it so far; times by the backend's clock.

    `place` is where its first token comes from. `cached_tokens` is what is believed until the engine reports it. If the
    engine's chat endpoint makes the prompt, this is the `conversation` to ask it about; then `prompt` is what is known
    of the ids, and `prompt_known` says whether that is all of them. `prompt_by_engine` says whether the endpoint's own
    code made it, here or at the engine. `attempt` is what was begun of it before SUBMIT.
    The last `made_tokens` of the prompt are the beginning of an answer that goes on here. `splitter` takes its parts
    apart, if the engine does not.
    """

    turn: Turn
    seq: int
    prompt: TokenIds
    made_tokens: int
    place: Place
    received_at: float
    rendered_at: float
    interruption: Interruption
    conversation: Conversation | None = None
    prompt_known: bool = True
    prompt_by_engine: bool = False
    first_token_at: float = 0.0
    cached_tokens: int = 0
    attempt: Attempt | None = None
    splitter: AnswerSplitter | None = None
    sampling: Sampling = Sampling()
    texts: list[str] = field(default_factory=list)
    calls: list[ToolCallPart] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None

    @property
    def adopted(self) -> bool:
        """Whether it was begun before SUBMIT."""
        return self.attempt is not None

    @property
    def engine_seconds(self) -> float:
        """The engine's time for it, what was made of it before SUBMIT included."""
        if self.attempt is not None:
            return self.attempt.engine_seconds
        times = self.place.replica.admission.times
        return times.request_seconds(len(self.prompt) - self.cached_tokens, self.cached_tokens, len(self.token_ids))

    @property
    def text(self) -> str:
        """All of it that came so far."""
        return "".join(self.texts)

    @property
    def source(self) -> Source:
        """What it began on."""
        if self.adopted:
            return Source.PREGENERATED
        return Source.WARM if self.cached_tokens else Source.COLD

    @property
    def found_tokens(self) -> int:
        """Leading tokens of its prompt that were computed ahead: all of them if it was begun before SUBMIT."""
        return len(self.prompt) if self.adopted else self.cached_tokens

    @property
    def prompt_tokens(self) -> int:
        """Length of its prompt; 0 if only the engine knows it."""
        return len(self.prompt) if self.prompt_known else 0

    def take(self, output: Output) -> Output:
        """Take its next part, and return it as the client is to have it.

        Raises EngineRefused if it cannot be split.
        """
        if output.prompt_ids is not None:
            self.prompt, self.prompt_known = self.turn.prompts.headed(output.prompt_ids), True
            self.cached_tokens = min(self.cached_tokens, len(self.prompt))  # it was believed of another prompt
        self.token_ids.extend(output.token_ids)
        if output.cached_tokens is not None:
            self.cached_tokens = output.cached_tokens
        part = output if self.splitter is None else self.splitter.split(output)
        self.texts.append(part.text)
        self.calls.extend(part.tool_calls)
        self.finish_reason = part.finish_reason
        return part

    def started(self) -> GenerationStarted:
        """Return what the client is told at its first token."""
        ttft_seconds = self.first_token_at - self.received_at
        return GenerationStarted(
            self.seq,
            ttft_seconds,
            self.prompt_tokens,
            self.cached_tokens,
            self.source,
            prompt_by_engine=self.prompt_by_engine,
        )

    def finished(self, balance: Balance, now: float) -> GenerationFinished:
        """Return what the client is told at its end."""
        return GenerationFinished(
            self.seq,
            self.finish_reason or "stop",
            self.prompt_tokens,
            self.cached_tokens,
            len(self.token_ids),
            render_seconds=self.rendered_at - self.received_at,
            ttft_seconds=max(0.0, self.first_token_at - self.received_at),
            total_seconds=now - self.received_at,
            ledger=balance,
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer, or one that was stopped: all of it is sent but this last response."""

    finished: GenerationFinished
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or not all of one: `sent_text` is what of it was sent."""

    refusal: Refusal
    sent_text: str = ""
