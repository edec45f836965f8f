"""The logprobs of an answer's tokens, as plain values."""

from dataclasses import dataclass

from forefill.v1 import keystroke_pb2 as pb


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and its probability, before penalties, biases, structure and temperature change it."""

    id: int
    """Id of the token in the model's vocabulary."""
    text: str
    """The token as text; of a part of a character it is empty or has U+FFFD."""
    logprob: float
    """Natural logarithm of the probability; -9999 stands for all that is less."""


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """One token of an answer, and what else could have stood there."""

    token: TokenLogprob
    """The token that the answer has."""
    likeliest: tuple[TokenLogprob, ...]
    """As many as `Sampling.logprobs` asks for, likeliest first; `token` is among them if it is one of these."""


def logprobs_from_wire(delta: pb.GenerationDelta) -> tuple[TokenLogprobs, ...]:
    return tuple(TokenLogprobs(_token(place.token), tuple(map(_token, place.likeliest))) for place in delta.logprobs)


def _token(token: pb.TokenLogprob) -> TokenLogprob:
    return TokenLogprob(id=token.id, text=token.text, logprob=token.logprob)
