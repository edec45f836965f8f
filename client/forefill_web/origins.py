"""Which page may open a socket, and by which names this host is called: pure.

A browser sends cookies and reaches private addresses for any page, so the page must be one of ours. `Origin` says which
page it is. And a page of another name that resolves to our address is of our origin to the browser (DNS rebinding), so
the name in `Host` must be one of ours, too.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Final

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:(?P<port>[0-9]{1,5}))?")
_ORIGIN: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>.+)")


def origin(text: str) -> str | None:
    """Return an origin in its one form, lower case and without the scheme's own port; None if it is none."""
    found = _ORIGIN.fullmatch(text.lower())
    return None if found is None else own_origin(found["scheme"], found["host"])


def own_origin(scheme: str, host: str) -> str | None:
    """Return the origin of the pages that a host serves, from the scheme and the Host header of a request to it."""
    scheme = _SCHEMES.get(scheme, scheme)
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{found['name']}" + ("" if port == _DEFAULT_PORTS.get(scheme) else f":{port}")


def origins(texts: Iterable[str]) -> frozenset[str]:
    """Return origins that are allowed; raises ValueError for what is none, such as a URL with a path."""
    found = {text: origin(text) for text in texts}
    for text, one in found.items():
        if one is None:
            raise ValueError(f"{text!r} is no origin: give SCHEME://HOST or SCHEME://HOST:PORT")
    return frozenset(one for one in found.values() if one is not None)


def may_open(
    given: list[str], scheme: str, hosts: list[str], allowed: Collection[str], *, missing_is_allowed: bool
) -> bool:
    """Return whether the page with these Origin headers may open a socket here, asked for with these Host headers."""
    if not given:
        return missing_is_allowed
    if len(given) > 1 or len(hosts) != 1 or (page := origin(given[0])) is None:
        return False
    return page == own_origin(scheme, hosts[0]) or page in allowed


def name_in(host: str) -> str | None:
    """Return the name in a Host header, without its port; None if it is no Host header."""
    found = _HOST.fullmatch(host.lower())
    return None if found is None else found["name"].strip("[]")


def is_loopback(name: str) -> bool:
    """Return whether a name or an address can only mean this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
