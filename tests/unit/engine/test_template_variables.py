"""What a template's source says: the variables that it takes from outside, and why it refuses messages."""

import pytest
from forefill_service.engine.template_variables import reasons_of, variables_of
from forefill_service.errors import EngineStartError

from tests.support.templates import TEMPLATES


@pytest.mark.parametrize(
    ("template", "variables"),
    [
        ("text", set()),
        ("{{ a }}{{ b.c }}{{ d['e'] }}", {"a", "b", "d"}),
        ("{% for m in messages %}{{ m.content }}{{ loop.index }}{% endfor %}", {"messages"}),
        ("{% set a = 1 %}{{ a }}", set()),
        ("{% if b %}{% set a = 1 %}{% endif %}{{ a }}", {"a", "b"}),
        ("{{ a is defined }}{{ b | default(c) }}", {"a", "b", "c"}),
        ("{% macro m(a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", {"b"}),
        ("{% for i in range(3) %}{{ namespace(x=i).x }}{% endfor %}", set()),
        ("{{ raise_exception('no') }}{{ strftime_now('%Y') }}", {"raise_exception", "strftime_now"}),
        ("{% generation %}{{ a }}{% endgeneration %}", {"a"}),
        ("{% for i in a %}{% break %}{% endfor %}", {"a"}),
        ("{# {{ a }} #}{% raw %}{{ b }}{% endraw %}", set()),
    ],
)
def test_a_template_takes_what_it_reads_and_does_not_set(template: str, variables: set[str]) -> None:
    assert variables_of(template) == variables


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_of_every_temper_read_the_messages(name: str) -> None:
    assert "messages" in variables_of(TEMPLATES[name])


@pytest.mark.parametrize("template", ["\n{% for", "\n{{ a", "\n{% endif %}", "\n{{ 'a' | }}"])
def test_what_is_no_template_is_said_with_its_line(template: str) -> None:
    with pytest.raises(EngineStartError, match="in line 2: "):
        variables_of(template)


@pytest.mark.parametrize(
    ("template", "reasons"),
    [
        ("text", set()),
        ("{{ raise_exception('Roles must alternate!') }}", {"Roles must alternate!"}),
        ("{% if x %}{{- raise_exception(' Only one system prompt ') -}}{% endif %}", {"Only one system prompt"}),
        ("{{ raise_exception('Unexpected role ' + m['a long key'] ~ ' in here') }}", {"Unexpected role"}),
        (
            "{{ raise_exception('no such role' if x == 'some other' else 'no such name') }}",
            {"no such role", "no such name"},
        ),
        ("{{ raise_exception('short') }}{{ raise_exception(words) }}{{ print('something longer') }}", set()),
    ],
)
def test_its_reasons_to_refuse_are_the_texts_that_it_raises(template: str, reasons: set[str]) -> None:
    assert reasons_of(template) == reasons


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_of_every_temper_have_reasons_of_their_own_or_none(name: str) -> None:
    assert all(reason in TEMPLATES[name] for reason in reasons_of(TEMPLATES[name]))
