"""A model's own chat template and tokenizer, used as vLLM's chat endpoint uses them.

Source of the steps: `vllm.renderers.hf` and `vllm.entrypoints.openai.chat_completion.protocol` (0.32). A template is
rendered to text with the generation prompt, then the text is tokenized whole, without adding special tokens.
"""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any, Literal

from ..errors import Reason, Refusal
from .holdback import Holdback
from .messages import ChatMessage

ContentFormat = Literal["string", "openai"]
"""How a template takes the content of a message: as text, or as a list of typed parts."""

_RESERVED = frozenset(
    {
        *("messages", "self", "conversation", "tools", "documents", "chat_template", "tokenizer_kwargs", "tokenize"),
        *("add_generation_prompt", "continue_final_message", "return_assistant_tokens_mask", "return_dict"),
        *("return_tensors", "padding", "truncation", "max_length", "model_config", "tokenizer"),
    }
)
"""Names that no variable of a template may have: those of `apply_chat_template`'s own parameters, and of vLLM's."""
_UNSET = (None, "auto")
"""Values of variables that vLLM takes for no value at all: `vllm.renderers.params.merge_kwargs`."""
_MOST_BYTES_OF_WORDS = 500
"""A refusal travels in the headers of a response, twice, and these have a limit of some kilobytes."""
_SPACE_OF_A_PIECE = "▁"
_SYSTEM_ROLES = ("system", "developer")
_BILLING_HEADER = "x-anthropic-billing-header"
"""A line that changes with every request of one client program; vLLM drops it from the head of system messages."""


class HfChat:
    """The `Chat` of a Hugging Face tokenizer.

    `template` is the Jinja source that the engine uses; `content_format` is what vLLM detected for it. `variables` are
    the names that the template reads, and others are not given to it; None: all are given to it.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: str,
        content_format: ContentFormat = "string",
        variables: Collection[str] | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._template = template
        self._content_format = content_format
        self._variables = None if variables is None else frozenset(variables)
        self._knows_developer = "'developer'" in template or '"developer"' in template
        self._reserved = _RESERVED | _parameters(type(tokenizer).apply_chat_template)
        self._backend = _private_backend(tokenizer)
        self._texts: dict[int, str] = {}
        self.split_texts = _split_texts(self._backend)
        self.longest_token = max(map(len, tokenizer.get_vocab()))

    def render(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        """Return the text of a prompt that asks for the assistant's answer to these messages.

        Raises Refusal: INVALID_OPEN for a variable that the template does not own, TEMPLATE_REFUSED with the
        template's own words, as far as they are short.
        """
        variables = self._own_variables(kwargs)
        try:
            text = self._tokenizer.apply_chat_template(
                self._conversation([_without_billing_header(message) for message in messages]),
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=True,
                continue_final_message=False,
                **variables,
            )
        except Exception as error:  # a template may raise anything, on anything
            raise Refusal(Reason.TEMPLATE_REFUSED, _words_of(error)) from error
        if not isinstance(text, str):
            raise Refusal(Reason.TEMPLATE_REFUSED, f"it makes a {type(text).__name__}, not a text")
        return text

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, special tokens recognized.

        Raises Refusal: TEMPLATE_REFUSED for what is no text to a tokenizer, such as half a surrogate pair.
        """
        try:
            if self._backend is not None:
                return list(self._backend.encode(text, add_special_tokens=False).ids)
            return list(self._tokenizer.encode(text, add_special_tokens=False))
        except Exception as error:
            raise Refusal(Reason.TEMPLATE_REFUSED, "its text cannot be tokenized") from error

    def text_of(self, token: int) -> str:
        """Return the text of one token, as vLLM reports it beside its probability."""
        if (known := self._texts.get(token)) is None:
            text, piece = self._tokenizer.decode([token]), self._tokenizer.convert_ids_to_tokens(token) or ""
            # A SentencePiece tokenizer drops the space that begins a text.
            spaces = len(piece) - len(piece.lstrip(_SPACE_OF_A_PIECE)) - (len(text) - len(text.lstrip(" ")))
            self._texts[token] = known = " " * spaces + text
        return known

    def _own_variables(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what vLLM gives to the template: what it reads, as far as it has a value."""
        if taken := sorted(self._reserved & kwargs.keys()):
            raise Refusal(Reason.INVALID_OPEN, f"chat_template_kwargs may not set {', '.join(taken)}")
        names = kwargs.keys() if self._variables is None else self._variables & kwargs.keys()
        return {name: kwargs[name] for name in names if kwargs[name] not in _UNSET}

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]] | None:
        """Return the ids of a text and the code points before the end of each; None if the tokenizer is a slow one."""
        if self._backend is None:
            return None
        encoding = self._backend.encode(text, add_special_tokens=False)
        return encoding.ids, [end for _, end in encoding.offsets]

    @cached_property
    def holdback(self) -> Holdback:
        """How much of a text's end the tokenizer may still change; measured when it is first asked for."""
        return Holdback.measured(self.encode, every=1 if self._backend is not None else 8)

    def _conversation(self, messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
        """Return the messages as vLLM gives them to the template: developer messages may become system messages."""
        if self._knows_developer or all(message.role != "developer" for message in messages):
            return [self._message(message) for message in messages]
        system = [m for m in messages if m.role in _SYSTEM_ROLES]
        others = [self._message(m) for m in messages if m.role not in _SYSTEM_ROLES]
        if len(system) == 1 and messages[0] is system[0]:
            return [self._message(ChatMessage("system", system[0].content)), *others]
        # vLLM gives what it merges as text, even to templates that take parts.
        return [{"role": "system", "content": "\n\n".join(m.content for m in system if m.content)}, *others]

    def _message(self, message: ChatMessage) -> dict[str, Any]:
        if self._content_format == "string" or message.role == "tool":  # vLLM gives results of tools as text always
            return {"role": message.role, "content": message.content}
        return {"role": message.role, "content": [{"type": "text", "text": message.content}]}


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names that a function gives to its parameters, without what takes all the others."""
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return frozenset(p.name for p in inspect.signature(function).parameters.values() if p.kind not in variadic)


def _words_of(error: Exception) -> str:
    """Return what an error says, or its type if it says nothing; cut if it is long."""
    said = (str(error) or type(error).__name__).encode(errors="replace")
    return said[:_MOST_BYTES_OF_WORDS].decode(errors="ignore") + (" ..." if len(said) > _MOST_BYTES_OF_WORDS else "")


def _without_billing_header(message: ChatMessage) -> ChatMessage:
    if message.role == "system" and message.content.startswith(_BILLING_HEADER):
        return ChatMessage(message.role, message.content.partition("\n")[2])
    return message


def _private_backend(tokenizer: Any) -> Any:
    """Return a private copy of a fast tokenizer's Rust part, without truncation or padding; None for a slow one."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    backend = deepcopy(backend)
    backend.no_truncation()
    backend.no_padding()
    return backend


def _split_texts(backend: Any) -> tuple[str, ...]:
    """Return the special tokens at which tokenization restarts, whatever comes before them."""
    if backend is None or backend.encode_special_tokens:
        return ()
    added = backend.get_added_tokens_decoder().values()
    return tuple(t.content for t in added if t.special and not (t.normalized or t.lstrip or t.single_word))
