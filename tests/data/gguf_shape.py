"""Writes a GGUF file of any shape over zeros that take no room on the disk: to reckon with models of real sizes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import gguf
import numpy as np

Number = int | float | Sequence[int]


@dataclass
class ShapeOfModel:
    """What a file is to declare: metadata without the architecture's name, tensors with lengths as numpy has them."""

    architecture: str
    vocabulary: int
    metadata: dict[str, Number] = field(default_factory=dict)
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def write(self, path: Path, kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F16) -> Path:
        """The file. Vectors are F32, matrices of the type `kind`, all of them zeros."""
        writer = gguf.GGUFWriter(path, self.architecture)
        for key, value in self.metadata.items():
            name = f"{self.architecture}.{key}"
            if isinstance(value, int):
                writer.add_uint32(name, value)
            elif isinstance(value, float):
                writer.add_float32(name, value)
            else:
                writer.add_array(name, value)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list([f"t{number}" for number in range(self.vocabulary)])
        writer.add_token_types([1] * self.vocabulary)
        writer.add_token_merges(["a b"])
        room = 0
        for name, shape in self.tensors.items():
            own = kind if len(shape) > 1 else gguf.GGMLQuantizationType.F32
            block, size = gguf.GGML_QUANT_SIZES[own]
            count = prod(shape) // block * size
            writer.add_tensor_info(name, shape, np.dtype(np.float32), count, raw_dtype=own)
            room += -(-count // 32) * 32
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.close()
        with open(path, "r+b") as file:
            file.truncate(-(-file.seek(0, 2) // 32) * 32 + room)
        return path


def transformer(
    architecture: str,
    width: int,
    layers: int,
    heads: int,
    kv_heads: int,
    feed: int,
    vocabulary: int = 512,
    head: int = 0,
    tied: bool = False,
    also: Sequence[str] = (),
    context: int = 8192,
) -> ShapeOfModel:
    """A model of attention and feed-forward layers. `also`: vectors of each layer, `head:NAME` for one of a head."""
    head = head or width // heads
    shape = ShapeOfModel(
        architecture,
        vocabulary,
        {
            "context_length": context,
            "embedding_length": width,
            "block_count": layers,
            "feed_forward_length": feed,
            "attention.head_count": heads,
            "attention.head_count_kv": kv_heads,
            "attention.key_length": head,
            "attention.value_length": head,
            "attention.layer_norm_rms_epsilon": 1e-6,
            "rope.dimension_count": head,
        },
        {"token_embd.weight": (vocabulary, width), "output_norm.weight": (width,)},
    )
    if not tied:
        shape.tensors["output.weight"] = (vocabulary, width)
    for layer in range(layers):
        parts = {
            "attn_norm.weight": (width,),
            "attn_q.weight": (heads * head, width),
            "attn_k.weight": (kv_heads * head, width),
            "attn_v.weight": (kv_heads * head, width),
            "attn_output.weight": (width, heads * head),
            "ffn_norm.weight": (width,),
            "ffn_gate.weight": (feed, width),
            "ffn_up.weight": (feed, width),
            "ffn_down.weight": (width, feed),
        }
        for name in also:
            parts[name.removeprefix("head:")] = (head if name.startswith("head:") else width,)
        shape.tensors |= {f"blk.{layer}.{name}": lengths for name, lengths in parts.items()}
    return shape


def with_experts(shape: ShapeOfModel, experts: int, used: int, feed: int) -> ShapeOfModel:
    """The same with a choice of experts in each layer, each `feed` wide."""
    width = shape.tensors["output_norm.weight"][0]
    shape.metadata |= {
        "expert_count": experts,
        "expert_used_count": used,
        "expert_feed_forward_length": feed,
    }
    for name in [name for name in shape.tensors if name.endswith("ffn_norm.weight")]:
        block = name.removesuffix("ffn_norm.weight")
        for part in ("gate", "up", "down"):
            del shape.tensors[f"{block}ffn_{part}.weight"]
        shape.tensors |= {
            f"{block}ffn_gate_inp.weight": (experts, width),
            f"{block}ffn_gate_exps.weight": (experts, feed, width),
            f"{block}ffn_up_exps.weight": (experts, feed, width),
            f"{block}ffn_down_exps.weight": (experts, width, feed),
        }
    return shape


def mamba(width: int, layers: int, vocabulary: int = 512) -> ShapeOfModel:
    """A model of recurrent layers alone."""
    inner, states, rank = 2 * width, 16, width // 16
    shape = ShapeOfModel(
        "mamba",
        vocabulary,
        {
            "context_length": 2048,
            "embedding_length": width,
            "block_count": layers,
            "feed_forward_length": 0,
            "attention.head_count": 0,
            "attention.layer_norm_rms_epsilon": 1e-6,
            "ssm.conv_kernel": 4,
            "ssm.inner_size": inner,
            "ssm.state_size": states,
            "ssm.time_step_rank": rank,
        },
        {
            "token_embd.weight": (vocabulary, width),
            "output_norm.weight": (width,),
            "output.weight": (vocabulary, width),
        },
    )
    for layer in range(layers):
        parts = {
            "attn_norm.weight": (width,),
            "ssm_in.weight": (2 * inner, width),
            "ssm_conv1d.weight": (inner, 4),
            "ssm_conv1d.bias": (inner,),
            "ssm_x.weight": (rank + 2 * states, inner),
            "ssm_dt.weight": (inner, rank),
            "ssm_dt.bias": (inner,),
            "ssm_a": (inner, states),
            "ssm_d": (inner,),
            "ssm_out.weight": (width, inner),
        }
        shape.tensors |= {f"blk.{layer}.{name}": lengths for name, lengths in parts.items()}
    return shape


def lfm2(width: int, layers: int, vocabulary: int = 512) -> ShapeOfModel:
    """A model of which every third layer attends and the others convolve."""
    also = ("head:attn_q_norm.weight", "head:attn_k_norm.weight")
    shape = transformer("lfm2", width, layers, 16, 4, 3 * width, vocabulary, tied=True, also=also)
    shape.metadata |= {
        "attention.head_count_kv": [0 if layer % 3 else 4 for layer in range(layers)],
        "shortconv.l_cache": 3,
    }
    shape.tensors["token_embd_norm.weight"] = shape.tensors.pop("output_norm.weight")
    for layer in range(layers):
        block = f"blk.{layer}."
        if layer % 3:
            for name in [n for n in shape.tensors if n.startswith(block + "attn_") and n != block + "attn_norm.weight"]:
                del shape.tensors[name]
            shape.tensors |= {
                f"{block}shortconv.conv.weight": (width, 3),
                f"{block}shortconv.in_proj.weight": (3 * width, width),
                f"{block}shortconv.out_proj.weight": (width, width),
            }
    return shape
