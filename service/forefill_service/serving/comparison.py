"""What came of comparing the fast path's prompts with those of the engine's chat endpoint."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ..chat.token_ids import TokenIds, common_length, common_prefix, compact
from ..errors import Reason, Refusal
from .rendering import Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing the two: `base` is what the endpoint's renderings share, `refusal` its refusal, if any.

    `own_base_tokens` is how many tokens those of the fast path share, if both make the same ids of the plain draft that
    follows, and else 0; `own_head` is the head of those.
    """

    verdict: Verdict
    base: TokenIds | None = None
    refusal: Refusal | None = None
    own_base_tokens: int = 0
    own_head: Sequence[int] = ()


def compared(
    ours: list[TokenIds] | Refusal, theirs: list[TokenIds] | Refusal, plain_draft: Sequence[int]
) -> Comparison:
    """Compare what both made of the probe drafts, the first of which has the ids `plain_draft` by itself."""
    if isinstance(theirs, Refusal):
        agrees = isinstance(ours, Refusal)
        return Comparison(Verdict.AGREES if agrees else Verdict.DIFFERS, refusal=theirs)
    base = TokenIds(compact(common_prefix(theirs).to_list()), ())
    if isinstance(ours, Refusal):
        return Comparison(Verdict.DIFFERS, base)
    if [ids.to_list() for ids in ours] == [ids.to_list() for ids in theirs]:
        return Comparison(Verdict.AGREES)
    own_base_tokens = len(common_prefix(ours))
    same = common_length(ours[0].to_list()[own_base_tokens:], theirs[0].to_list()[len(base) :])
    return Comparison(
        Verdict.DIFFERS,
        base,
        own_base_tokens=own_base_tokens if same >= len(plain_draft) else 0,
        own_head=ours[0].head,
    )


async def or_refusal(
    render: Callable[[Sequence[str]], Awaitable[list[TokenIds]]], drafts: Sequence[str]
) -> list[TokenIds] | Refusal:
    """Return what comes of it, or that the template refuses it."""
    try:
        return await render(drafts)
    except Refusal as refusal:
        if refusal.reason is not Reason.TEMPLATE_REFUSED:
            raise
        return refusal
