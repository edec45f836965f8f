"""The rules of a session know no clock, no event loop, no wire and no engine."""

import ast
import subprocess
import sys
from pathlib import Path

import forefill_service.session
import pytest

PURE = (
    "session",
    "planner",
    "cached_blocks",
    "prefill_times",
    "pressure",
    "payback",
    "fair_shares",
    "ledger",
    "pregeneration",
    "draft",
    "events",
    "errors",
    "token_ids",
    "prompt",
    "engine/block_pool",
    "engine/steps",
)
FORBIDDEN = {"asyncio", "grpc", "vllm", "time", "threading", "forefill"}


@pytest.mark.parametrize("module", ["session", "planner"])
def test_importing_it_loads_neither_asyncio_nor_grpc_nor_vllm(module: str) -> None:
    code = (
        f"import sys, forefill_service.{module}; "
        "print(','.join(name for name in ('asyncio', 'grpc', 'vllm') if name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert loaded.stdout.strip() == ""


@pytest.mark.parametrize("module", PURE)
def test_its_source_neither_imports_nor_awaits(module: str) -> None:
    path = Path(forefill_service.session.__file__).parent / f"{module}.py"
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        assert not FORBIDDEN & {name.partition(".")[0] for name in names}
