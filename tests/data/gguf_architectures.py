"""Writes small GGUF models of random weights in every architecture and type that can be trained."""

import ctypes
import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from core.engine.ggml import ggml
from core.models.gguf_header import TENSOR_TYPES
from tests.data.gguf_tiny import CHATML, begin, end

NUMBERS = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
Floats = NDArray[np.float32]


def quantise(values: Floats, kind: str) -> NDArray[np.uint8]:
    """Rows of numbers as ggml packs them."""
    _, block, size = TENSOR_TYPES[NUMBERS[kind]]
    rows, columns = values.shape
    packed = np.empty((rows, columns // block * size), np.uint8)
    values = np.ascontiguousarray(values, np.float32)
    convert = ggml().ggml_quantize_chunk
    convert.restype = ctypes.c_size_t
    convert.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p)
    convert(NUMBERS[kind], values.ctypes.data, packed.ctypes.data, 0, rows, columns, None)
    return packed


def dequantise(packed: NDArray[np.uint8], kind: str) -> Floats:
    """What the reader of the `gguf` package, which is no code of ours, unpacks."""
    return gguf.quants.dequantize(packed, gguf.GGMLQuantizationType[kind]).astype(np.float32)


class _Tensors:
    """Adds random tensors to a file."""

    def __init__(self, writer: gguf.GGUFWriter, seed: int, kind: str, twin: bool) -> None:
        self.writer, self.kind, self.twin = writer, kind, twin
        self.random = np.random.default_rng(seed)

    def matrix(self, name: str, rows: int, columns: int, scale: float = 1.0) -> None:
        values = (self.random.standard_normal((rows, columns)) * scale / math.sqrt(columns)).astype(np.float32)
        if self.kind == "F32":
            self.writer.add_tensor(name, values)
            return
        packed = quantise(values, self.kind)
        if self.twin:
            self.writer.add_tensor(name, dequantise(packed, self.kind))
        elif self.kind == "F16":
            self.writer.add_tensor(name, packed.view(np.float16))
        else:
            self.writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType[self.kind])

    def vector(self, name: str, size: int, mean: float = 1.0) -> None:
        values = mean + 0.2 * self.random.standard_normal(size)
        self.writer.add_tensor(name, values.astype(np.float32))


def write_model(
    path: Path,
    architecture: str,
    *,
    kind: str = "F32",
    twin: bool = False,
    seed: int = 0,
    width: int = 256,
    feed: int = 512,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int | None = 2,
    head: int = 64,
    context: int = 2048,
    tied: bool = False,
    gate: float = 1.0,
    split: int = 0,
    factors: Floats | None = None,
    metadata: dict[str, Any] | None = None,
    extra: tuple[str, ...] = (),
) -> Path:
    """A model whose matrices have the type `kind`; with `twin`, the same numbers as F32.

    `gate` is the size of what goes into the activation, `metadata` are keys of the architecture's own, and `extra`
    are matrices that no such model has. With `split`, it lies in several files of so many tensors.
    """
    writer, size = begin(path, architecture, CHATML, context, width, layers, split=split)
    writer.add_feed_forward_length(feed)
    writer.add_head_count(heads)
    if kv_heads is not None:
        writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(1e-6)
    for key, value in (metadata or {}).items():
        add = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32, list: writer.add_array}
        add[type(value)](f"{architecture}.{key}", value)
    tensors = _Tensors(writer, seed, kind, twin)
    tensors.matrix("token_embd.weight", size, width, scale=1.0)
    gemma = architecture.startswith("gemma")
    inner, kv_inner = heads * head, (kv_heads or heads) * head
    for index in range(layers):
        block = f"blk.{index}."
        tensors.vector(block + "attn_norm.weight", width)
        tensors.vector(block + "ffn_norm.weight", width)
        if gemma:
            tensors.vector(block + "post_attention_norm.weight", width)
            tensors.vector(block + "post_ffw_norm.weight", width)
        if architecture in ("qwen3", "gemma3"):
            tensors.vector(block + "attn_q_norm.weight", head)
            tensors.vector(block + "attn_k_norm.weight", head)
        if architecture == "phi3":
            tensors.matrix(block + "attn_qkv.weight", inner + 2 * kv_inner, width, scale=2.0)
            tensors.matrix(block + "ffn_up.weight", 2 * feed, width)
        else:
            for name, rows in (("attn_q", inner), ("attn_k", kv_inner), ("attn_v", kv_inner)):
                tensors.matrix(f"{block}{name}.weight", rows, width, scale=2.0)
                if architecture == "qwen2":
                    tensors.vector(f"{block}{name}.bias", rows, mean=0.0)
            tensors.matrix(block + "ffn_gate.weight", feed, width, scale=gate)
            tensors.matrix(block + "ffn_up.weight", feed, width)
        tensors.matrix(block + "attn_output.weight", width, inner)
        tensors.matrix(block + "ffn_down.weight", width, feed)
    for name in extra:
        tensors.matrix(name, width, width)
    if factors is not None:
        long = architecture == "phi3"
        writer.add_tensor("rope_factors_short.weight" if long else "rope_freqs.weight", factors)
        if long:
            writer.add_tensor("rope_factors_long.weight", factors * 4)
    tensors.vector("output_norm.weight", width)
    if not tied:
        tensors.matrix("output.weight", size, width, scale=3.0)
    end(writer, path)
    return next(path.parent.glob(f"{path.stem}-00001-of-*.gguf")) if split else path
