"""Models of random weights in every architecture, tokens and adapters for them."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from core.tuning.lora import Lora
from core.tuning.weights import Weights

FACTORS = np.linspace(1, 8, 32).astype(np.float32)
STRETCHED = {"rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 128}

# Every way in which the architectures differ. Windows are shorter than the texts.
VARIANTS: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama, tied": {"tied": True},
    "llama, rope_freqs": {"factors": FACTORS},
    "llama, linear": {"metadata": {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}},
    "llama, yarn": {"metadata": {"rope.scaling.type": "yarn", **STRETCHED}},
    "qwen2": {"metadata": {"rope.freq_base": 1e6}},
    "qwen2, yarn": {"tied": True, "metadata": {"rope.scaling.type": "yarn", **STRETCHED}},
    "qwen3": {"heads": 2, "kv_heads": 1, "head": 128},  # heads wider than the model
    "gemma2": {
        "tied": True,
        "layers": 3,
        "metadata": {
            "attention.sliding_window": 16,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 4.0,
        },
    },
    "gemma3": {
        "tied": True,
        "layers": 7,
        "metadata": {
            "attention.sliding_window": 16,
            "rope.freq_base": 1e6,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 8.0,
        },
    },
    "gemma3, without windows": {"tied": True},
    "phi3": {"metadata": {"attention.sliding_window": 16}},  # which llama.cpp takes no notice of
    "phi3, partial": {"metadata": {"rope.dimension_count": 48}},
    "phi3, long": {
        "factors": FACTORS,
        "metadata": {
            "rope.scaling.type": "longrope",
            "rope.scaling.attn_factor": 1.19,
            "rope.scaling.original_context_length": 1024,
        },
    },
    "smollm3": {"layers": 4},
}


def some_tokens(count: int, seed: int = 0, vocabulary: int = 470) -> list[int]:
    return torch.randint(0, vocabulary, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def some_lora(weights: Weights, rank: int = 4, size: float = 0.05, **settings: Any) -> Lora:
    """An adapter that changes something."""
    generator = torch.Generator().manual_seed(5)
    lora = Lora(weights.linears, rank, 2.0 * rank, generator=generator, **settings)
    for name in weights.linears:
        torch.nn.init.normal_(lora.b(name), std=size, generator=generator)
    return lora


def write_lora(path: Path, architecture: str, lora: Lora) -> Path:
    """The adapter as a file for llama.cpp."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", lora.alpha)
    for name, tensor in lora.tensors().items():
        writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
