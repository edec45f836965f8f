"""A model's own chat template and tokenizer, used as vLLM's chat endpoint uses them.

Source of the steps: `vllm.renderers.hf` and `vllm.entrypoints.openai.chat_completion.protocol` (0.32). A template is
rendered to text with the generation prompt, then the text is tokenized whole, without adding special tokens.
"""

import inspect
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import Reason, Refusal
from .holdback import Holdback
from .messages import Conversation
from .template_input import ContentFormat, messages_for_template, tool_for_template, variables_for_template

_RESERVED = frozenset(
    {
        *("messages", "self", "conversation", "tools", "documents", "chat_template", "tokenizer_kwargs", "tokenize"),
        *("add_generation_prompt", "continue_final_message", "return_assistant_tokens_mask", "return_dict"),
        *("return_tensors", "padding", "truncation", "max_length", "model_config", "tokenizer"),
    }
)
"""Names that no variable of a template may have: those of `apply_chat_template`'s own parameters, and of vLLM's."""
_MOST_BYTES_OF_WORDS = 500
"""A refusal travels in the headers of a response, twice, and these have a limit of some kilobytes."""
_LONG = 2048
"""Code points of a text that takes longer than to wake up another thread."""
_SPACE_OF_A_PIECE = "▁"
_CHAT_FOLLOWS = "Final message to continue:"
"""In the words of `transformers.utils.chat_template_utils`, if a template does not show the message to continue."""


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template that the engine uses."""

    source: str
    """Jinja."""
    content_format: ContentFormat = "string"
    """Found out as vLLM does."""
    variables: frozenset[str] | None = None
    """The names that it reads, and others are not given to it; None: all are given to it."""

    @property
    def knows_developer(self) -> bool:
        """Whether it knows the role of a developer, as vLLM finds out."""
        return "'developer'" in self.source or '"developer"' in self.source


class HfChat:
    """The `Chat` of a Hugging Face tokenizer.

    `template`, `content_format` and `variables` are those of the engine's `Template`; `with_tools` is the one that it
    uses if there are tools, since some models have another one then. `excludes_tools` says whether the engine leaves
    them out of the prompt if none may be called.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: str,
        content_format: ContentFormat = "string",
        variables: Collection[str] | None = None,
        with_tools: Template | None = None,
        *,
        excludes_tools: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._template = Template(template, content_format, None if variables is None else frozenset(variables))
        self._with_tools = with_tools or self._template
        self._excludes_tools = excludes_tools
        self._reserved = _RESERVED | _parameters(type(tokenizer).apply_chat_template)
        self._backend = _private_backend(tokenizer)
        self._texts: dict[int, str] = {}
        self.split_texts = _split_texts(self._backend)
        self.longest_token = max(map(len, tokenizer.get_vocab()))

    def render(self, conversation: Conversation) -> str:
        """Return the text of a prompt that asks for the assistant's answer, or for the rest of its message.

        Raises Refusal: INVALID_OPEN for a variable that the template does not own, TEMPLATE_REFUSED with the
        template's own words, as far as they are short.
        """
        conversation = conversation.prompting(excludes_tools=self._excludes_tools)
        template = self._with_tools if conversation.tools else self._template
        variables = self._own_variables(conversation, template)
        try:
            text = self._tokenizer.apply_chat_template(
                messages_for_template(
                    conversation.messages, template.content_format, knows_developer=template.knows_developer
                ),
                tools=[tool_for_template(tool) for tool in conversation.tools] or None,
                documents=list(conversation.documents) or None,
                chat_template=template.source,
                tokenize=False,
                add_generation_prompt=not conversation.continue_final_message,
                continue_final_message=conversation.continue_final_message,
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
                return list(self._encoding(text).ids)
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

    def _own_variables(self, conversation: Conversation, template: Template) -> dict[str, Any]:
        """Return what vLLM gives to the template: what it reads, as far as it has a value."""
        if taken := sorted(self._reserved & conversation.template_kwargs.keys()):
            words = f"chat_template_kwargs may not set {', '.join(taken)}; tools and documents are fields of Open"
            raise Refusal(Reason.INVALID_OPEN, words)
        variables = variables_for_template(conversation)
        names = variables.keys() if template.variables is None else template.variables & variables.keys()
        return {name: variables[name] for name in names}

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]] | None:
        """Return the ids of a text and the code points before the end of each; None if the tokenizer is a slow one."""
        if self._backend is None:
            return None
        encoding = self._encoding(text)
        return encoding.ids, [end for _, end in encoding.offsets]

    def _encoding(self, text: str) -> Any:
        """Tokenize with the Rust part, which lets other threads run meanwhile only if it is given a batch."""
        if len(text) < _LONG:
            return self._backend.encode(text, add_special_tokens=False)
        [encoding] = self._backend.encode_batch([text], add_special_tokens=False)
        return encoding

    @cached_property
    def holdback(self) -> Holdback:
        """How much of a text's end the tokenizer may still change; measured when it is first asked for."""
        return Holdback.measured(self.encode, every=1 if self._backend is not None else 8)


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names that a function gives to its parameters, without what takes all the others."""
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return frozenset(p.name for p in inspect.signature(function).parameters.values() if p.kind not in variadic)


def without_the_chat(words: str) -> str:
    """Return what a template's refusal says without the conversation: transformers may add all of it."""
    return words.partition(_CHAT_FOLLOWS)[0]


def _words_of(error: Exception) -> str:
    """Return what an error says, or its type if it says nothing; cut if it is long."""
    said = (without_the_chat(str(error)) or type(error).__name__).encode(errors="replace")
    return said[:_MOST_BYTES_OF_WORDS].decode(errors="ignore") + (" ..." if len(said) > _MOST_BYTES_OF_WORDS else "")


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
