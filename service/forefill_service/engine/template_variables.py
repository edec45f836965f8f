"""What the source of a chat template says of it: the variables that it reads, and its reasons to refuse messages."""

from collections.abc import Iterator

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import EngineStartError

_LEAST_CHARACTERS = 8
"""A shorter text is a part of too many others to be told."""


class _Generation(Extension):
    """Reads `{% generation %}`, which Hugging Face's templates put around what the assistant says."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_"), [], [], body).set_lineno(line)


def variables_of(template: str) -> frozenset[str]:
    """Return the names that a template takes from outside, as vLLM finds them: it gives no others to the template.

    What it sets itself before it reads it, and what Jinja always defines, such as `range`, are not among them. Raises
    EngineStartError for a template that is none. Source: `vllm.renderers.hf._resolve_chat_template_kwargs` (0.32).
    """
    return frozenset(find_undeclared_variables(_parsed(template)))


def reasons_of(template: str) -> frozenset[str]:
    """Return the texts that a template may refuse messages with, without what it puts into them.

    They are its author's, so they repeat nothing that was typed. Raises EngineStartError for a template that is none.
    """
    calls = _parsed(template).find_all(nodes.Call)
    raised = [call for call in calls if isinstance(call.node, nodes.Name) and call.node.name == "raise_exception"]
    texts = (text.strip() for call in raised for argument in call.args for text in _texts_in(argument))
    return frozenset(text for text in texts if len(text) >= _LEAST_CHARACTERS)


def _texts_in(part: nodes.Node) -> Iterator[str]:
    """Yield the texts that an expression puts together, without those that it only looks up or compares with."""
    if isinstance(part, nodes.Const) and isinstance(part.value, str):
        yield part.value
    elif not isinstance(part, nodes.Getitem | nodes.Compare | nodes.Call | nodes.Filter):
        for child in part.iter_child_nodes():
            yield from _texts_in(child)


def _parsed(template: str) -> nodes.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    try:
        return environment.parse(template)
    except TemplateSyntaxError as error:
        raise EngineStartError(f"the chat template is not valid in line {error.lineno}: {error.message}") from error
