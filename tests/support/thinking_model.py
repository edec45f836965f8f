"""The packaged model as one that thinks: a copy that writes <think> and </think>, as parsers of vLLM look for them.

Some tokens of the packaged model mean nothing in a chat, such as <repo_name>. In the copy they have other names, and
two of them are made likelier than the words that they stand for: <think> is written where the model would begin with
"The", and </think> in place of a full stop. So an answer that begins with "The" has its first sentence for a thought.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from forefill_service.engine.packaged_model import packaged_model_path, publish_once

from .template_habits import HABITS

NEW_NAMES = {
    "<repo_name>": "<think>",
    "<reponame>": "</think>",
    "<file_sep>": "<tool_call>",
    "<filename>": "</tool_call>",
}
WRITTEN_FOR = {"<think>": "The", "</think>": "."}
"""Tokens, and those that they are written in place of."""
_LIKELIER = 1.1
_VERSION = 1


def thinking_model() -> Path:
    """Return the directory of the copy, which is made once beside the packaged model; its template is Qwen3's."""
    packaged = packaged_model_path()
    return publish_once(packaged.with_name(f"{packaged.name}-thinking-{_VERSION}"), lambda new: _fill(new, packaged))


def _fill(directory: Path, packaged: Path) -> None:
    shutil.copytree(packaged, directory, dirs_exist_ok=True)
    tokenizer = _renamed(json.loads((packaged / "tokenizer.json").read_text()))
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    (directory / "chat_template.jinja").write_text(HABITS["tools_in_the_system_prompt"])
    _write_weights(directory / "model.safetensors", tokenizer["model"]["vocab"])


def _renamed(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """Return a tokenizer with the new names, which are no special tokens, as those of Qwen3 are none."""
    for token in tokenizer["added_tokens"]:
        if new := NEW_NAMES.get(token["content"]):
            token |= {"content": new, "special": False}
    vocabulary = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {NEW_NAMES.get(name, name): number for name, number in vocabulary.items()}
    return tokenizer


def _write_weights(file: Path, vocabulary: dict[str, int]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(file)
    rows = weights["model.embed_tokens.weight"]  # the model's input and output
    for new, old in WRITTEN_FOR.items():
        rows[vocabulary[new]] = _LIKELIER * rows[vocabulary[old]]
    save_file(weights, file, metadata={"format": "pt"})
