"""`forefill-server`. If only the client was installed, one line says what is missing."""

import sys


def main() -> int:
    """Run the server's command line; return its exit code."""
    try:
        from .cli import main as run
    except ModuleNotFoundError as error:
        hint = "install forefill with its extra 'vllm' (GPU), 'cpu', or 'service' (no engine)"
        print(f"forefill-server: {error}; {hint}", file=sys.stderr)  # noqa: T201 - it talks to people
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
