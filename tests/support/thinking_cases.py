"""Requests whose answers have thoughts, calls of tools, or both, in the words of chat completions.

They are for `thinking_model`, which thinks as long as its first sentence is. What it then says is brought into the form
of calls by regular expressions; they hold once it has thought.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forefill_client import Sampling

PARAMETERS = {"type": "object", "properties": {"ward": {"type": "integer"}}, "required": ["ward"]}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ("beds", "staff")
]
STRICT = [{"type": "function", "function": {**tool["function"], "strict": True}} for tool in TOOLS]
HERMES = r'<tool_call>\n\{"name": "(beds|staff)", "arguments": \{"ward": [1-9]\}\}\n</tool_call>'
QWEN3 = r"<tool_call>\n<function=(beds|staff)>\n<parameter=ward>\n[1-9]\n</parameter>\n</function>\n</tool_call>"
CALLS = {"hermes": HERMES, "qwen3_coder": QWEN3}
"""A call in the format of a parser."""

SKY, CAPITAL, SEA = "Is the sky blue?", "What is the capital of France?", "Tell me about the sea."
MOST = 20


@dataclass(frozen=True, slots=True)
class Case:
    """One request: the draft, what is said before it, and what goes with it."""

    draft: str
    before: tuple[dict[str, Any], ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: Any = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    continues: bool = False
    calls_several: bool = True

    def request(self) -> dict[str, Any]:
        """Return it for vLLM's chat endpoint."""
        last = {"role": "assistant" if self.continues else "user", "content": self.draft}
        fields = dict(self.sampling)
        structure: dict[str, Any] = {name: fields.pop(name) for name in ("regex", "choice") if name in fields}
        if schema := fields.pop("json_schema", None):
            structure["json"] = schema
        given = {
            "structured_outputs": structure,
            "tools": list(self.tools),
            "tool_choice": self.tool_choice,
            "chat_template_kwargs": dict(self.variables),
            "continue_final_message": self.continues,
        }
        said = {name: value for name, value in given.items() if value}
        if not self.calls_several:
            said["parallel_tool_calls"] = False
        if self.continues:
            said["add_generation_prompt"] = False
        return {"messages": [*self.before, last], "max_tokens": MOST} | fields | said

    def session(self) -> dict[str, Any]:
        """Return the arguments of the SDK's session."""
        return {
            "messages": self.before,
            "sampling": Sampling(**{"temperature": 0, "max_tokens": MOST, "logprobs": 0} | dict(self.sampling)),
            "tools": self.tools,
            "tool_choice": self.tool_choice,
            "chat_template_kwargs": self.variables,
            "continue_final_message": self.continues,
            "parallel_tool_calls": self.calls_several,
        }


def _called(name: str, result: str) -> tuple[dict[str, Any], ...]:
    """A turn in which the model has thought, called a tool, and got its result."""
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": '{"ward": 3}'}}
    said = {"role": "assistant", "content": None, "reasoning": "They ask for beds.", "tool_calls": [call]}
    return {"role": "user", "content": SKY}, said, {"role": "tool", "content": result, "tool_call_id": "c1"}


def cases(call: str) -> dict[str, Case]:
    """Return the requests, by name; `call` is the form of a call."""
    tools, strict = tuple(TOOLS), tuple(STRICT)
    return {
        "a thought and an answer": Case(SKY),
        "a thought alone": Case(CAPITAL),
        "cut in the thought": Case(SKY, sampling={"max_tokens": 3}),
        "cut after the thought": Case(SEA, sampling={"max_tokens": 3}),
        "a stop text in the thought": Case(SKY, sampling={"stop": ["deed"]}),
        "a stop text across the end of the thought": Case(SKY, sampling={"stop": ["blue</think> This"]}),
        "a stop text in the answer": Case(SKY, sampling={"stop": ["fundamental concept"]}),
        "the end of the thought stops": Case(SKY, sampling={"stop_token_ids": [4]}),
        "biases": Case(SEA, sampling={"logit_bias": {4: 2.0}, "bad_words": ["vast"], "repetition_penalty": 1.1}),
        "no thinking": Case(SKY, variables={"enable_thinking": False}),
        "a structure after the thought": Case(SKY, sampling={"regex": "(yes|no), [a-z]{3,9}"}),
        "a schema after the thought": Case(SKY, sampling={"json_schema": '{"enum": ["yes", "no"]}'}),
        "a structure and no thinking": Case(
            SKY, sampling={"regex": "(yes|no), [a-z]{3,9}"}, variables={"enable_thinking": False}
        ),
        "a thought, then a call": Case(SKY, tools=tools, sampling={"regex": call, "max_tokens": 64}),
        "a thought, a word, then two calls": Case(
            SKY, tools=tools, sampling={"regex": rf"Well\. {call}\n{call}", "max_tokens": 96}
        ),
        "two calls where one may be": Case(
            SKY, tools=tools, sampling={"regex": rf"{call}\n{call}", "max_tokens": 96}, calls_several=False
        ),
        "strict tools": Case(SKY, tools=strict),
        "a call that has to be": Case(SKY, tools=tools, tool_choice="required", sampling={"max_tokens": 64}),
        "a named call": Case(
            SKY,
            tools=strict,
            tool_choice={"type": "function", "function": {"name": "staff"}},
            sampling={"max_tokens": 64},
        ),
        "no call": Case(SKY, tools=tools, tool_choice="none"),
        "thoughts of the turn before": Case(
            SEA,
            before=(
                {"role": "user", "content": CAPITAL},
                {"role": "assistant", "content": "Paris.", "reasoning": "The capital of France is Paris."},
            ),
        ),
        "thoughts in the same turn": Case("And now?", before=_called("beds", "7"), tools=tools),
        "a thought that goes on": Case("<think>\nThe sky", before=({"role": "user", "content": SKY},), continues=True),
        "an answer that goes on": Case(
            "<think>\nThe sky is blue.\n</think>\n\nIt is", before=({"role": "user", "content": SKY},), continues=True
        ),
    }
