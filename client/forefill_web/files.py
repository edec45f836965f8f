"""The files of the page and of the module, as they are in the package."""

import hashlib
import re
from importlib.resources.abc import Traversable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
"""What is served; the system's own table of types would differ from machine to machine."""
_PATH: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*(?P<suffix>\.[a-z0-9]+)")
"""No part begins with a dot, so none leads up."""


class Files:
    """Serves the files of one folder. A browser asks each time whether its copy is still right."""

    def __init__(self, root: Traversable) -> None:
        self._root = root

    async def serve(self, request: Request) -> Response:
        """Answer a request for the file in its path parameter `path`."""
        return self.response(request, request.path_params["path"])

    def response(self, request: Request, path: str) -> Response:
        """Return a file, or the status 304 if the browser has it, or 404."""
        found = _PATH.fullmatch(path)
        kind = TYPES.get(found["suffix"]) if found is not None else None
        file = self._root.joinpath(*path.split("/"))
        if kind is None or not file.is_file():
            raise HTTPException(404)
        content = file.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if tag in re.split(r"\s*,\s*", request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=kind)
