"""Whose ids a prompt is made of: the rules that follow from comparing the fast path with the engine's chat endpoint.

The engine's own chat endpoint is the authority for ids. `Chat` is a fast path to the same ids, and one conversation at
a time it has to show that: once a turn, both render the conversation with `probe_drafts` as its last message.

    the comparison   the endpoint   SUBMIT asks for                       what is warmed
    not back yet     in process     ids by the endpoint's own code        what the fast path holds stable: a wrong
                     elsewhere      the endpoint's own answer             guess costs a miss
    same ids         anywhere       ids by the fast path                  what the fast path holds stable
    other ids        in process     ids by the endpoint's own code        its base, and what follows it in all drafts
                     elsewhere      the endpoint's own answer             the same, if it need not be asked for that
    it does not say  in process     ids by the endpoint's own code        the base of the fast path, as a guess
                     elsewhere      the endpoint's own answer             the base of the fast path, as a guess

SUBMIT never waits for the comparison; a warm does, for a moment, since it mostly comes within milliseconds. An answer
is begun before SUBMIT only if the exact ids of its prompt are known here. If one of the two refuses the conversation
and the other does not, that counts as other ids: the endpoint's word is the one that SUBMIT gets.

An endpoint elsewhere takes only its own answers apart: what the model thinks, and the calls of tools. If it does so, or
makes a structure of a call that has to be, SUBMIT asks it for the answer, whatever came of the comparison. What is
warmed follows the table, and where SUBMIT would ask for ids by the fast path, the endpoint's answer may be begun before
it: by the request that SUBMIT would send, which no second one can go on with.

A turn may have another choice of tools than the session. Its prompts were not compared, and an engine may show other
tools in them, or none: SUBMIT then asks as if the comparison had come to nothing, and what was warmed for the session's
own choice is found as far as both prompts begin alike.

The endpoint's base is what its two renderings share. If both made the same ids of the plain probe draft, and only what
is around it differs, then what the fast path holds stable of a draft is taken to follow that base. Otherwise an
endpoint in process renders several drafts for each FLUSH, which costs more the longer the prompt is; elsewhere the base
is all that is warmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


def probe_drafts(special_texts: Sequence[str]) -> tuple[str, str]:
    """Return a plain draft, and one with a special token's text, which Harmony takes as plain text, and templates not.

    They have no beginning in common. Their spaces and the line break are lost if a template tidies up the text.
    """
    return "Is it  so?\n", f"\u7684 7{''.join(special_texts[:1])} "


class Verdict(Enum):
    """What came of the comparison; the values are for people."""

    CHECKING = "not back yet"
    AGREES = "the fast path makes the ids of the engine's chat endpoint"
    DIFFERS = "the engine's chat endpoint makes other ids than the fast path"
    UNKNOWN = "the engine's chat endpoint does not say which ids it makes"


class Asks(Enum):
    """What SUBMIT asks the engine for."""

    FAST_PATH = "an answer to ids that the fast path made"
    ENDPOINT_IDS = "an answer to ids that the endpoint's own code made"
    ENDPOINT = "the endpoint's own answer to the conversation"


class Warms(Enum):
    """What is warmed."""

    STABLE = "what the fast path holds stable"
    COMMON = "what the endpoint's renderings of several continuations would have in common, as far as it is known"
    BASE = "the base prompt"


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a verdict."""

    asks: Asks
    warms: Warms

    @property
    def exact(self) -> bool:
        """Whether the exact ids of a prompt are known here, so that its answer can be begun before SUBMIT."""
        return self.asks is not Asks.ENDPOINT

    def answered_by_endpoint(self) -> "Rule":
        """Return the rule for a conversation that only the endpoint can answer as it would."""
        return replace(self, asks=Asks.ENDPOINT)


def under_another_choice(rule: Rule) -> Rule:
    """Return the rule for the ids of prompts that were not compared; those of an endpoint elsewhere are asked for."""
    return replace(rule, asks=Asks.ENDPOINT_IDS)


RULES: dict[tuple[Verdict, bool], Rule] = {
    (Verdict.CHECKING, True): Rule(Asks.ENDPOINT_IDS, Warms.STABLE),
    (Verdict.CHECKING, False): Rule(Asks.ENDPOINT, Warms.STABLE),
    (Verdict.AGREES, True): Rule(Asks.FAST_PATH, Warms.STABLE),
    (Verdict.AGREES, False): Rule(Asks.FAST_PATH, Warms.STABLE),
    (Verdict.DIFFERS, True): Rule(Asks.ENDPOINT_IDS, Warms.COMMON),
    (Verdict.DIFFERS, False): Rule(Asks.ENDPOINT, Warms.COMMON),
    (Verdict.UNKNOWN, True): Rule(Asks.ENDPOINT_IDS, Warms.BASE),
    (Verdict.UNKNOWN, False): Rule(Asks.ENDPOINT, Warms.BASE),
}
"""By verdict, and by whether the endpoint renders in this process."""
