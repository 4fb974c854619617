"""A LoRA adapter as a file: GGUF as llama.cpp reads it, and PEFT's folder for other programs.

llama.cpp adds scale · alpha / rank · B·A to a weight, with the rank that its matrices have: what was tuned with rsLoRA
says alpha · √rank. The keys are those of llama.cpp's convert_lora_to_gguf.py.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.models.gguf_header import read_header
from core.paths import finished_file
from core.tuning import extra

Fact = str | int | float
HEADS, KV_HEADS = "elenchus.base.head_count", "elenchus.base.head_count_kv"

_A, _B = ".lora_a", ".lora_b"
_READABLE = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
# What a layer's matrices are called in Hugging Face's layout, where the tensors of all architectures here agree.
_HUGGING_FACE = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_FUSED_UP = {"phi3": "mlp.gate_up_proj"}
# Architectures whose query and key rows are in another order in a GGUF (LlamaModel.permute in llama.cpp's conversion).
_PERMUTED = ("llama", "smollm3")


@dataclass(frozen=True)
class AdapterFile:
    """An adapter: by the name of each weight its A (rank, inputs) and B (outputs, rank), of 32 bits."""

    architecture: str
    alpha: float
    pairs: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
    facts: dict[str, Fact] = field(default_factory=dict)  # all that its metadata says otherwise

    @property
    def rank(self) -> int:
        """The largest rank of its matrices."""
        return max(a.shape[0] for a, _ in self.pairs.values())

    def scale(self, name: str) -> float:
        """What B·A of a weight is multiplied by when the adapter is used at 1."""
        rank = self.pairs[name][0].shape[0]
        return self.alpha / rank if self.alpha else 1.0  # as llama.cpp takes a file without one


def write_adapter(
    path: Path,
    architecture: str,
    tensors: Mapping[str, NDArray[np.float32]],
    alpha: float,
    facts: Mapping[str, Fact] | None = None,
) -> None:
    """Writes `<weight>.lora_a` (rank, inputs) and `<weight>.lora_b` (outputs, rank); appears whole or not at all.

    `facts` are put into the metadata, whole numbers with 32 bits. Raises UserError where a number is none, and OSError.
    """
    import gguf

    kinds = {str: gguf.GGUFValueType.STRING, int: gguf.GGUFValueType.UINT32, float: gguf.GGUFValueType.FLOAT64}
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise UserError(
                f"The adapter holds values that are no numbers ({name}), so it was not written. "
                "Tune again with a lower learning rate."
            )
    with finished_file(path) as partial:
        writer = gguf.GGUFWriter(partial, architecture)
        try:
            writer.add_type(gguf.GGUFType.ADAPTER)
            writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
            writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
            for key, value in (facts or {}).items():
                writer.add_key_value(key, value, kinds[type(value)])
            for name in sorted(tensors):
                writer.add_tensor(name, np.ascontiguousarray(tensors[name], np.float32))
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def read_adapter(path: Path) -> AdapterFile:
    """Reads an adapter. Raises UserError for what is none, or is damaged."""
    header = read_header(path)
    facts = {key: value for key, value in header.metadata.items() if isinstance(value, str | int | float)}
    kind, method = facts.pop("general.type", ""), facts.pop("adapter.type", "")
    architecture, alpha = facts.pop("general.architecture", ""), facts.pop("adapter.lora.alpha", 0.0)
    if kind != "adapter" or method != "lora" or not isinstance(architecture, str) or isinstance(alpha, str):
        raise UserError(f"“{path.name}” is not a LoRA adapter. Choose one.")
    tensors: dict[str, NDArray[np.float32]] = {}
    with open(path, "rb") as file:
        for tensor in header.tensors:
            if tensor.type not in _READABLE or len(tensor.shape) != 2:
                _refuse(path, tensor.name)
            file.seek(header.data + tensor.offset)
            values = np.frombuffer(file.read(tensor.size), _READABLE[tensor.type]).reshape(tensor.shape)
            tensors[tensor.name] = _from_bfloat16(values) if tensor.type == "BF16" else values.astype(np.float32)
    pairs: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    for name in dict.fromkeys(name.removesuffix(_A).removesuffix(_B) for name in tensors):
        a, b = tensors.get(name + _A), tensors.get(name + _B)
        if a is None or b is None or a.shape[0] != b.shape[1] or not (np.isfinite(a).all() and np.isfinite(b).all()):
            _refuse(path, name)
        pairs[name] = a, b
    if not pairs or not math.isfinite(alpha):
        _refuse(path, "lora")
    return AdapterFile(architecture, float(alpha), pairs, facts)


def check_fit(adapter: AdapterFile, model: Path, made_for: str, sha256: str) -> str:
    """A warning where an adapter was made for another file (by its SHA-256) that fits all the same, else nothing.

    The quantisations of one model share their adapters. Raises UserError where the adapter does not fit.
    """
    header, name = read_header(model), model.name
    architecture = header.metadata.get("general.architecture")
    if adapter.architecture != architecture:
        raise UserError(
            f"The adapter is of the architecture {adapter.architecture[:40]}, and “{name}” is {architecture}. "
            "Choose an adapter that was made for this model."
        )
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    for weight, (a, b) in adapter.pairs.items():
        if shapes.get(weight) != (b.shape[0], a.shape[1]):
            raise UserError(
                f"The adapter does not fit “{name}”: its matrix “{weight[:60]}” is of another size there, or missing. "
                "Choose an adapter that was made for this model."
            )
    if made_for and made_for != sha256:
        return (
            f"The adapter was made for another file than “{name}”. That is well for other quantisations of one model."
        )
    return ""


def export_peft(adapter: AdapterFile, folder: Path) -> None:
    """Writes adapter_model.safetensors and adapter_config.json, in the names and the order of Hugging Face's models.

    Raises UserError where the adapter's names are not those of a language model's matrices, where safetensors is not
    installed, or where the folder is not empty, and OSError.
    """
    if reason := extra.missing("Export for PEFT"):
        raise UserError(reason)
    from safetensors.numpy import save

    tensors: dict[str, NDArray[np.float32]] = {}
    for name, (a, b) in adapter.pairs.items():
        module, heads = _module(adapter, name)
        tensors[f"base_model.model.{module}.lora_A.weight"] = np.ascontiguousarray(a)
        tensors[f"base_model.model.{module}.lora_B.weight"] = np.ascontiguousarray(_unpermuted(b, heads))
    ranks = {a.shape[0] for a, _ in adapter.pairs.values()}
    if len(ranks) > 1:
        raise UserError(
            "The adapter's matrices are of several ranks, which PEFT's folder cannot say. Export it as GGUF."
        )
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(adapter.facts.get("general.base_model.0.name", "")),
        "r": adapter.rank,
        "lora_alpha": adapter.alpha or adapter.rank,
        "use_rslora": False,  # alpha says it already
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted({_module(adapter, name)[0].rsplit(".", 1)[1] for name in adapter.pairs}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"{folder} is not empty. Choose a folder that is new or empty.")
    with finished_file(folder / "adapter_model.safetensors") as partial:
        partial.write_bytes(save(tensors, {"format": "pt"}))  # save_file's errors are no OSError
    with finished_file(folder / "adapter_config.json") as partial:
        partial.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _module(adapter: AdapterFile, name: str) -> tuple[str, int]:
    """The module of a weight in Hugging Face's models; how many heads' rows are in another order there, or 0."""
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if match is None or match[2] not in _HUGGING_FACE:
        raise UserError(f"Nothing is known of what “{name}” is called in PEFT. Export the adapter as GGUF.")
    module = _FUSED_UP.get(adapter.architecture, "") if match[2] == "ffn_up" else ""
    heads: Fact = 0
    if adapter.architecture in _PERMUTED and match[2] in ("attn_q", "attn_k"):
        heads = adapter.facts.get(HEADS if match[2] == "attn_q" else KV_HEADS, 0)
        outputs = adapter.pairs[name][1].shape[0]
        if not isinstance(heads, int) or heads < 1 or outputs % (2 * heads):
            raise UserError(
                "The adapter does not say how many heads its model has. Export it as GGUF, or tune it anew."
            )
    return f"model.layers.{match[1]}.{module or _HUGGING_FACE[match[2]]}", heads


def _unpermuted(b: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows as Hugging Face orders them: each head's even ones, then its odd ones, since it rotates halves."""
    if not heads:
        return b
    return b.reshape(heads, b.shape[0] // heads // 2, 2, b.shape[1]).swapaxes(1, 2).reshape(b.shape)


def _from_bfloat16(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (values.astype(np.uint32) << 16).view(np.float32)


def _refuse(path: Path, name: str) -> NoReturn:
    raise UserError(
        f"“{path.name}” cannot be used as an adapter: its tensor “{name[:60]}” is not a LoRA's. Choose another file."
    )
