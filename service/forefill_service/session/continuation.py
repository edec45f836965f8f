"""Whether a second request can continue the answer that a first one began.

It can if the rest is drawn from the ids alone: then the ids of the answer so far, as the end of its prompt, are all it
needs to know of the first.
"""

from collections.abc import Callable

from ..chat.generation import Sampling


def _always(sampling: Sampling) -> bool:
    return True


CONTINUES: dict[str, Callable[[Sampling], bool]] = {
    # The second request is asked for that much less of it.
    "max_tokens": _always,
    "min_tokens": _always,
    # Each token is drawn from its logits alone, which the ids before it decide.
    "temperature": _always,
    "top_p": _always,
    "top_k": _always,
    "min_p": _always,
    "logit_bias": _always,
    "allowed_token_ids": _always,
    "ignore_eos": _always,
    "stop_token_ids": _always,
    "logprobs": _always,
    # It counts prompt and answer alike, and what was made is part of the second request's prompt.
    "repetition_penalty": _always,
    # They count the answer alone, which is empty when the second request begins.
    "presence_penalty": lambda sampling: not sampling.presence_penalty,
    "frequency_penalty": lambda sampling: not sampling.frequency_penalty,
    # The state of a seeded generator is the request's own; a greedy answer draws nothing.
    "seed": lambda sampling: sampling.seed is None or sampling.temperature == 0,
    # One may have begun in what was made.
    "stop": lambda sampling: not sampling.stop,
    "bad_words": lambda sampling: not sampling.bad_words,
    # They change only what is shown, and where a stop text ends.
    "include_stop_str_in_output": _always,
    "skip_special_tokens": _always,
    # The second request's answer would have the structure from its own beginning on.
    "structure": lambda sampling: sampling.structure is None,
}
"""Whether a second request continues what a first one made as the first would have, by the fields of a sampling."""


def continuable(sampling: Sampling, *, penalizes: bool = False) -> bool:
    """Tell whether a second request can continue what a first one made, as the first would have.

    `penalizes`: the model has a penalty of its own if the session sets none.
    """
    open_penalties = None in (sampling.presence_penalty, sampling.frequency_penalty)
    return all(continues(sampling) for continues in CONTINUES.values()) and not (penalizes and open_penalties)
