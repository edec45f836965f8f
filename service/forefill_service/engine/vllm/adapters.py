"""The LoRA adapters of an embedded vLLM: each is loaded when the first session asks for it.

So one that cannot be loaded is refused at Open. A request would take all of vLLM down with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ...errors import EngineDied, Reason, Refusal
from ..one_line import one_line

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm.lora.request import LoRARequest
    from vllm.v1.engine.async_llm import AsyncLLM


class Adapters:
    """The adapters of one vLLM; `paths` are their directories, by name. `loaded` has those that it can answer with."""

    def __init__(self, vllm: AsyncLLM, paths: Mapping[str, str]) -> None:
        self._vllm = vllm
        self._paths = dict(paths)
        self._numbers = {name: number for number, name in enumerate(paths, 1)}
        self.loaded: dict[str, LoRARequest] = {}

    async def load(self, name: str) -> None:
        """Have vLLM load an adapter. Raises Refusal (ADAPTER_NOT_FOUND), EngineDied."""
        from vllm.v1.engine.exceptions import EngineDeadError

        if name not in self._paths:
            raise Refusal(Reason.ADAPTER_NOT_FOUND, f"it has {', '.join(sorted(self._paths)) or 'none'}")
        if name in self.loaded:
            return
        request = self.request(name)
        try:
            await self._vllm.add_lora(request)
        except EngineDeadError as error:
            raise EngineDied("vLLM's engine process has died") from error
        except Exception as error:  # a file may be anything
            log.warning("the adapter %s cannot be loaded: %s", name, one_line(error, type(error).__name__))
            raise Refusal(Reason.ADAPTER_NOT_FOUND, "the engine cannot load it; the server's log says why") from error
        self.loaded[name] = request

    def request(self, name: str) -> LoRARequest:
        """Return what vLLM takes beside a request that this adapter answers."""
        from vllm.lora.request import LoRARequest

        return LoRARequest(name, self._numbers[name], self._paths[name])
