"""An error as one line: for a log, or for an error of ours."""


def one_line(said: object, otherwise: str = "no reason given") -> str:
    """Return the first three lines of an error, or of what a server says, as one line of at most 300 characters.

    `otherwise` is returned if they say nothing.
    """
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return " ".join(lines[:3])[:300] or otherwise
