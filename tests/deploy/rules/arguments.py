"""The command line of a container as flags and values."""

from tests.deploy.manifest import Object


def command_line(container: Object) -> list[str]:
    """Return command and args."""
    return [str(word) for word in (*container.get("command", []), *container.get("args", []))]


def flags_of(container: Object) -> dict[str, str]:
    """Return the flags of a command line with the words after each, joined by spaces: `--port 8000`, `--port=8000`."""
    found: dict[str, str] = {}
    flag = ""
    for word in command_line(container):
        if word.startswith("--"):
            flag, _, value = word.partition("=")
            found[flag] = value
        elif flag:
            found[flag] = f"{found[flag]} {word}".strip()
    return found
