"""Does to a text what a script's strokes do to the draft."""

from forefill_bench.typing.script import Kind, Script


def replayed(script: Script) -> str:
    """Return the draft in the end, checking each stroke's own account of it."""
    draft = ""
    for stroke in script:
        match stroke.kind:
            case Kind.TYPE:
                draft += stroke.text
            case Kind.DELETE:
                draft = draft[:-1]
            case Kind.REPLACE:
                draft = draft[: stroke.start] + stroke.text + draft[stroke.end :]
        assert stroke.draft == draft
    return draft
