"""The JSON of vLLM's API: a conversation as a client asks about it, and the events of an answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from forefill_service.chat.generation import Output, TokenLogprob
from forefill_service.chat.messages import ChatMessage, Conversation, ToolCall


def conversation_of(asked: Mapping[str, Any]) -> Conversation:
    """Return the conversation that the body of a chat completion holds."""
    return Conversation(
        tuple(_message(message) for message in asked["messages"]),
        asked.get("chat_template_kwargs") or {},
        tuple(asked.get("tools", ())),
        tuple(asked.get("documents", ())),
        asked.get("reasoning_effort", ""),
        asked.get("continue_final_message", False),
    )


def _message(message: Mapping[str, Any]) -> ChatMessage:
    calls = [(call["id"], call["function"]) for call in message.get("tool_calls", ())]
    return ChatMessage(
        message["role"],
        _text_of(message["content"] or ""),
        name=message.get("name"),
        tool_calls=tuple(ToolCall(id_, function["name"], function["arguments"]) for id_, function in calls),
        tool_call_id=message.get("tool_call_id"),
        reasoning=message.get("reasoning"),
    )


def _text_of(content: str | list[dict[str, Any]]) -> str:
    """Return a message's content with a placeholder for what is no text."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] if part["type"] == "text" else "<|image|>" for part in content)


def first_event(prompt_ids: Sequence[int] | None) -> dict[str, Any]:
    """Return the event before the answer to a conversation, with the ids of its prompt if there are any."""
    event: dict[str, Any] = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    return event if prompt_ids is None else event | {"prompt_token_ids": prompt_ids}


def part_event(asked: Mapping[str, Any], output: Output, *, first: bool, reasoning: bool) -> dict[str, Any]:
    """Return the event of one part of an answer."""
    choice = {"index": 0, "finish_reason": output.finish_reason, **_said(asked, output, first, reasoning)}
    if asked.get("return_token_ids"):
        choice["token_ids"] = list(output.token_ids)
    if output.logprobs:
        choice["logprobs"] = _logprobs(asked, output)
    return {"choices": [choice]}


def _said(asked: Mapping[str, Any], output: Output, first: bool, reasoning: bool) -> dict[str, Any]:
    if "prompt" in asked:
        return {"text": output.text}
    if asked.get("tool_choice", "auto") not in ("auto", "none"):
        return {"delta": {"tool_calls": [_required_call(asked, output.text, first=first)]}}
    return {"delta": {"reasoning" if reasoning else "content": output.text}}


def _required_call(asked: Mapping[str, Any], arguments: str, *, first: bool) -> dict[str, Any]:
    """Return the next part of a call of the tool that was named, or else of the first."""
    if not first:
        return {"index": 0, "function": {"arguments": arguments}}
    choice = asked["tool_choice"]
    tool = asked["tools"][0] if choice == "required" else choice
    return {"index": 0, "id": "call-1", "function": {"name": tool["function"]["name"], "arguments": arguments}}


def _logprobs(asked: Mapping[str, Any], output: Output) -> dict[str, Any]:
    """Return those of one part as vLLM reports them, with tokens as ids."""

    def named(token: TokenLogprob) -> tuple[str, float]:
        return f"token_id:{token.id}", token.logprob

    places = [(named(place.token), dict(map(named, place.likeliest))) for place in output.logprobs]
    if "messages" in asked:
        return {
            "content": [
                {
                    "token": token,
                    "logprob": logprob,
                    "top_logprobs": [{"token": other, "logprob": found} for other, found in others.items()],
                }
                for (token, logprob), others in places
            ]
        }
    return {
        "tokens": [token for (token, _), _ in places],
        "token_logprobs": [logprob for (_, logprob), _ in places],
        "top_logprobs": [{token: logprob} | others for (token, logprob), others in places],
    }
