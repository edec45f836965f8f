"""What `/v1/models` lists."""

from dataclasses import dataclass

from .fields import Fields, nonsense

_MOST_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model of a server, or one of its LoRA adapters.

    `root` is its path or name there, "" if the server does not say. `context_tokens` is 0 if it is not reported.
    """

    id: str
    root: str = ""
    context_tokens: int = 0


def cards_in(answer: object) -> tuple[ModelCard, ...]:
    """Return the cards in the answer of `/v1/models`. Raises EngineNonsense."""
    return tuple(_card(fields) for fields in Fields(answer, "/v1/models").objects("data"))


def _card(fields: Fields) -> ModelCard:
    names = fields.text("id"), fields.text("root")
    if not names[0] or any(len(name) > _MOST_CHARACTERS or not name.isprintable() for name in names):
        nonsense("a name in /v1/models")  # it is shown to clients, and logged
    return ModelCard(*names, fields.count("max_model_len") or 0)
