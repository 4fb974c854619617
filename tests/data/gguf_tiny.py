"""Writes a small GGUF model with random weights and a byte-level BPE tokenizer of its own, for tests and benchmarks."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
SAMPLE = (
    """The quick brown fox jumps over the lazy dog while the old captain of the river boat watches from the shore.
Every question has an answer in the passage, and the passage is a part of the page. Why is the sky blue? Because the
light of the sun is scattered by the air. The harbour was built in 1874 by the engineers of the northern railway, and
the lighthouse followed ten years later; it stood on the cliff until the storm of 1911. Über die Brücke fährt ein Zug,
für Gäste kostet er nichts. İstanbul'da güneşli bir gün: çocuklar parkta oynuyor. 春天来了,花园里的花都开了。"""
    * 2
)


def byte_names() -> dict[int, str]:
    """GPT-2's printable character for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(rest)}


def merges(text: str, count: int) -> list[tuple[str, str]]:
    """The first `count` merges of a byte-level BPE trained on `text`."""
    names = byte_names()
    words = Counter(
        tuple(names[byte] for byte in word.encode()) for word in re.findall(r" ?[^\W\d_]+| ?\d| ?[^\w\s]+|\s", text)
    )
    found: list[tuple[str, str]] = []
    for _ in range(count):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        found.append(best)
        words = Counter({_merge(word, best): times for word, times in words.items()})
    return found


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for piece in word:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(merged)


def write_tiny(
    path: Path,
    *,
    seed: int = 0,
    template: str | None = CHATML,
    context: int = 2048,
    width: int = 64,
    layers: int = 2,
    nan: bool = False,
    kind: str = "model",
    name: str = "tiny-random",
    adds_end: bool = False,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A llama-shaped model of about 500 tokens. With `nan`, its last weights are no numbers."""
    random = np.random.default_rng(seed)
    heads, kv_heads = 4, 2
    head = width // heads
    writer, size = begin(path, "llama", template, context, width, layers, kind, name)
    writer.add_add_eos_token(adds_end)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(1e-6)
    for key, text in (metadata or {}).items():
        writer.add_string(key, text)

    def add(name: str, *shape: int, scale: float = 0.1) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * scale).astype(np.float32))

    add("token_embd.weight", size, width, scale=1.0)
    for index in range(layers):
        block = f"blk.{index}."
        writer.add_tensor(block + "attn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(block + "ffn_norm.weight", np.ones(width, np.float32))
        for name, rows, columns in (
            ("attn_q", width, width),
            ("attn_k", head * kv_heads, width),
            ("attn_v", head * kv_heads, width),
            ("attn_output", width, width),
            ("ffn_gate", 2 * width, width),
            ("ffn_up", 2 * width, width),
            ("ffn_down", width, 2 * width),
        ):
            add(f"{block}{name}.weight", rows, columns)
    last: Any = np.full(width, np.nan if nan else 1.0, np.float32)
    writer.add_tensor("output_norm.weight", last)
    add("output.weight", size, width, scale=0.4)
    return end(writer, path)


def write_recurrent(path: Path, *, seed: int = 0, width: int = 32, layers: int = 2) -> Path:
    """The same for Mamba, whose state cannot forget the last tokens."""
    random = np.random.default_rng(seed)
    writer, size = begin(path, "mamba", CHATML, 2048, width, layers)
    inner, state, rank, kernel = 2 * width, 8, 4, 4
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)

    def add(name: str, *shape: int, scale: float = 0.3) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * scale).astype(np.float32))

    add("token_embd.weight", size, width, scale=1.0)
    for index in range(layers):
        block = f"blk.{index}."
        writer.add_tensor(block + "attn_norm.weight", np.ones(width, np.float32))
        add(block + "ssm_in.weight", 2 * inner, width)
        add(block + "ssm_conv1d.weight", inner, kernel)
        add(block + "ssm_conv1d.bias", inner)
        add(block + "ssm_x.weight", rank + 2 * state, inner)
        add(block + "ssm_dt.weight", inner, rank)
        add(block + "ssm_dt.bias", inner)
        writer.add_tensor(block + "ssm_a", -np.tile(np.arange(1, state + 1, dtype=np.float32), (inner, 1)))
        add(block + "ssm_d", inner)
        add(block + "ssm_out.weight", width, inner)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    add("output.weight", size, width, scale=0.4)
    return end(writer, path)


def write_adapter(path: Path, seed: int = 0, width: int = 64, rank: int = 4, layers: int = 2) -> Path:
    """A LoRA of random weights for the tiny model."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for index in range(layers):
        for name in ("attn_q", "ffn_down"):
            inner = 2 * width if name == "ffn_down" else width
            for part, shape in (("a", (rank, inner)), ("b", (width, rank))):
                values = (random.standard_normal(shape) * 0.2).astype(np.float32)
                writer.add_tensor(f"blk.{index}.{name}.weight.lora_{part}", values)
    return end(writer, path)


def begin(
    path: Path,
    architecture: str,
    template: str | None,
    context: int,
    width: int,
    layers: int,
    kind: str = "model",
    name: str = "tiny-random",
    split: int = 0,
) -> tuple[gguf.GGUFWriter, int]:
    """A file with what every model says of itself and the vocabulary; how many tokens that has.

    With `split`, several files of so many tensors.
    """
    pairs = merges(SAMPLE, 220)
    tokens = [*byte_names().values(), *("".join(pair) for pair in pairs), *CONTROL]
    size = len(tokens)
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=split)
    writer.add_name(name)
    writer.add_type(kind)
    writer.add_file_type(0)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (size - len(CONTROL)) + [3] * len(CONTROL))
    writer.add_token_merges([" ".join(pair) for pair in pairs])
    writer.add_bos_token_id(size - 3)
    writer.add_eos_token_id(size - 1)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    return writer, size


def end(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_encoder(path: Path, *, seed: int = 0, width: int = 48, layers: int = 2) -> Path:
    """The same for BERT, which makes vectors: it reads a text in both directions and takes the mean of its states."""
    random = np.random.default_rng(seed)
    words = sorted({word.lower() for word in re.findall(r"[A-Za-z]{2,}", SAMPLE)})
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"▁{word}" for word in [*letters, *words]), *letters]
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("tiny-encoder")
    writer.add_type("model")
    writer.add_file_type(0)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(4)
    writer.add_layer_norm_eps(1e-6)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 4 + [1] * (len(tokens) - 4))
    writer.add_token_type_count(2)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)

    def add(name: str, *shape: int, scale: float = 0.2) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * scale).astype(np.float32))

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(width, np.float32))

    add("token_embd.weight", len(tokens), width, scale=1.0)
    add("position_embd.weight", 128, width)
    add("token_types.weight", 2, width)
    norm("token_embd_norm")
    for index in range(layers):
        block = f"blk.{index}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{block}{name}.weight", width, width)
            add(f"{block}{name}.bias", width)
        norm(block + "attn_output_norm")
        add(block + "ffn_up.weight", 2 * width, width)
        add(block + "ffn_up.bias", 2 * width)
        add(block + "ffn_down.weight", width, 2 * width)
        add(block + "ffn_down.bias", width)
        norm(block + "layer_output_norm")
    return end(writer, path)
