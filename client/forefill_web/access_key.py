"""The key that lets a browser in beyond loopback, and the cookie that it gets for it.

The cookie is derived from the key, so it holds until the key changes, and nothing has to be remembered here.
"""

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final, Self

SHORTEST_KEY: Final = 16
_PURPOSE: Final = b"forefill web: cookie"


class AccessKey:
    """Tells whether a key, or the cookie for it, is right, in a time that does not depend on how wrong it is."""

    def __init__(self, key: str) -> None:
        """Raises ValueError for a key that could be guessed."""
        if len(key) < SHORTEST_KEY:
            raise ValueError(
                f"the access key must have {SHORTEST_KEY} characters or more, of which nobody can guess one"
            )
        self._digest = hashlib.sha256(key.encode()).digest()
        self._cookie = hmac.new(key.encode(), _PURPOSE, "sha256").hexdigest()

    def __repr__(self) -> str:
        return "<AccessKey>"

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the key in a file. Raises OSError and ValueError, which name the file."""
        try:
            return cls(path.read_text(encoding="utf-8").strip())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def is_key(self, given: str) -> bool:
        """Return whether this is the key."""
        digest = hashlib.sha256(given.encode(errors="surrogatepass")).digest()
        return hmac.compare_digest(digest, self._digest)

    def is_in(self, cookies: str, *, secure: bool) -> bool:
        """Return whether the cookie is among those of a Cookie header."""
        try:
            cookie = SimpleCookie(cookies).get(_name(secure))
        except CookieError:
            return False
        given = "" if cookie is None else cookie.value
        return hmac.compare_digest(given.encode(errors="surrogatepass"), self._cookie.encode())

    def cookie(self, *, secure: bool) -> str:
        """Return the Set-Cookie header: no script reads it, and no other site has it sent."""
        attributes = "Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
        return f"{_name(secure)}={self._cookie}; {attributes}"


def _name(secure: bool) -> str:
    """Return the cookie's name: over TLS no other host may set one of this prefix."""
    return "__Host-forefill" if secure else "forefill"
