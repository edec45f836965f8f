"""The variables that a chat template reads, found as vLLM finds them: it gives no others to the template."""

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import EngineStartError


class _Generation(Extension):
    """Reads `{% generation %}`, which Hugging Face's templates put around what the assistant says."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_"), [], [], body).set_lineno(line)


def variables_of(template: str) -> frozenset[str]:
    """Return the names that a template takes from outside.

    What it sets itself before it reads it, and what Jinja always defines, such as `range`, are not among them. Raises
    EngineStartError for a template that is none. Source: `vllm.renderers.hf._resolve_chat_template_kwargs` (0.32).
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    try:
        return frozenset(find_undeclared_variables(environment.parse(template)))
    except TemplateSyntaxError as error:
        raise EngineStartError(f"the chat template is not valid in line {error.lineno}: {error.message}") from error
