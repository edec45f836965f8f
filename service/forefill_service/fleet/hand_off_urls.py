"""Where applications reach the OpenAI API of each engine, by what the operator lets them be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..engine.http.endpoint import root_of
from ..settings import Settings

_ANY_HOST = ("0.0.0.0", "::", "[::]")  # noqa: S104 - to tell nobody that address


@dataclass(frozen=True, slots=True)
class HandOffUrls:
    """The base URLs by server; `everywhere` is that of all engines if they are in one process, "" if there is none."""

    by_server: Mapping[str, str] = field(default_factory=dict)
    everywhere: str = ""

    @classmethod
    def of(cls, settings: Settings, openai_address: str = "") -> "HandOffUrls":
        """Return what the settings let applications be told; `openai_address` is that of `--openai-port`, if any."""
        told = [f"{root_of(url)}/v1" for url in settings.hand_off.urls]
        if settings.remote.urls:
            servers = map(root_of, settings.remote.urls)
            return cls(dict(zip(servers, told, strict=bool(told))))
        if told:
            return cls(everywhere=told[0])
        if openai_address and settings.server.host not in _ANY_HOST:
            return cls(everywhere=f"{settings.access.http_scheme}://{openai_address}/v1")
        return cls()

    @property
    def offered(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.by_server or self.everywhere)

    def base_url(self, server: str) -> str:
        """Return where the OpenAI API of a server is reached."""
        return self.by_server.get(server, self.everywhere)
