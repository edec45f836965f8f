"""The request bodies of vLLM's completions and chat completions, as values: no clock, no await.

Ids or messages go in; what comes out is read by `answers`.
"""

from dataclasses import replace
from typing import Any

from ...chat.messages import Conversation
from ...chat.openai_form import chat_fields
from ..base import ChatRequest, Priority, Request
from .logprobs import asked_of_chat, asked_of_completions

COMPLETIONS = "/v1/completions"
CHAT_COMPLETIONS = "/v1/chat/completions"

_SAMPLING_FIELDS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "seed",
)


def body(request: Request, model: str, max_tokens: int, *, priorities: bool) -> dict[str, Any]:
    """Return the JSON body of a request; sampling fields that are None are left to the server's defaults."""
    prompt = {"model": request.adapter or model, "prompt": request.prompt_ids, "max_tokens": max_tokens}
    asked = _asked(replace(request, sampling=request.sampling.limited(max_tokens)), priorities=priorities)
    likeliest = request.sampling.logprobs
    return prompt | asked | ({} if likeliest is None else asked_of_completions(likeliest))


def chat_body(request: ChatRequest, model: str, *, priorities: bool) -> dict[str, Any]:
    """Return the JSON body of a request to the chat endpoint, which sets the limit of an answer if the caller does not.

    What an OpenAI client may leave out is left out, so the endpoint fills it in as for any client.
    """
    limit = {} if request.sampling.max_tokens is None else {"max_tokens": request.sampling.max_tokens}
    asked = limit | _asked(request, priorities=priorities)
    if (likeliest := request.sampling.logprobs) is not None:
        asked |= asked_of_chat(likeliest)
    return said(request.conversation, request.adapter or model) | asked


def said(conversation: Conversation, model: str) -> dict[str, Any]:
    """Return the fields by which a conversation is given to a server that renders it."""
    return {"model": model} | chat_fields(conversation)


def _asked(request: Request | ChatRequest, *, priorities: bool) -> dict[str, Any]:
    sampling = request.sampling
    asked: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    if request.priority is not Priority.WARM:
        # A warm's token is discarded, and the ids of its whole prompt would come back with it.
        asked["return_token_ids"] = True
    for name in _SAMPLING_FIELDS:
        if (value := getattr(sampling, name)) is not None:
            asked[name] = value
    asked |= sampling.extras
    if request.cache_salt is not None:
        asked["cache_salt"] = request.cache_salt
    if priorities and request.priority:
        asked["priority"] = int(request.priority)
    return asked
