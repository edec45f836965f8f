"""LoRA adapters made of random numbers, for the packaged model."""

import json
from pathlib import Path

import numpy as np
from forefill_service.engine.packaged_model import packaged_model_path
from safetensors.numpy import save_file

RANK = 8
MODULE = "o_proj"


def random_adapter(directory: Path, seed: int) -> Path:
    """Write an adapter that answers otherwise than the model and than one of another seed; return its directory."""
    config = json.loads((Path(packaged_model_path()) / "config.json").read_text())
    hidden, made = config["hidden_size"], np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return made.normal(0, 0.2, shape).astype(np.float32)

    weights = {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.{MODULE}"
        weights[f"{name}.lora_A.weight"] = matrix(RANK, hidden)
        weights[f"{name}.lora_B.weight"] = matrix(hidden, RANK)
    directory.mkdir(parents=True)
    save_file(weights, directory / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": [MODULE], "bias": "none"}
    (directory / "adapter_config.json").write_text(json.dumps(told))
    return directory
