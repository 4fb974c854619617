"""Adapters as files: what llama.cpp reads, what Hugging Face's models understand, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from core.engine import stream_answer
from core.engine.requests import GREEDY, Adapter, EngineSettings, Piece, Request
from core.errors import UserError
from core.tuning.adapter_file import HEADS, KV_HEADS, AdapterFile, export_peft, read_adapter, write_adapter
from core.worker import Worker
from tests.data import gguf_tiny

Matrix = NDArray[np.float32]


def random_pair(name: str, outputs: int, inputs: int, rank: int = 4, seed: int = 0) -> dict[str, Matrix]:
    chance = np.random.default_rng(seed)
    a, b = chance.standard_normal((rank, inputs)), chance.standard_normal((outputs, rank))
    return {f"{name}.lora_a": a.astype(np.float32), f"{name}.lora_b": b.astype(np.float32)}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    tensors = random_pair("blk.0.attn_q.weight", 64, 32) | random_pair("blk.1.ffn_down.weight", 32, 128)
    facts = {"general.name": "Kısa", "elenchus.seed": 7, "elenchus.best_loss": 0.1}
    write_adapter(tmp_path / "a.gguf", "llama", tensors, 32.0, facts)
    adapter = read_adapter(tmp_path / "a.gguf")
    assert (adapter.architecture, adapter.alpha, adapter.rank, adapter.facts) == ("llama", 32.0, 4, facts)
    assert adapter.scale("blk.0.attn_q.weight") == 8.0
    assert list(adapter.pairs) == ["blk.0.attn_q.weight", "blk.1.ffn_down.weight"]
    for name, pair in adapter.pairs.items():
        for values, part in zip(pair, ("a", "b"), strict=True):
            np.testing.assert_array_equal(values, tensors[f"{name}.lora_{part}"])
    assert [file.name for file in tmp_path.iterdir()] == ["a.gguf"]


def test_llama_cpp_answers_alike_with_what_was_written_and_with_another_writers_file(tmp_path: Path) -> None:
    model = gguf_tiny.write_tiny(tmp_path / "tiny.gguf")
    theirs = gguf_tiny.write_adapter(tmp_path / "theirs.gguf")
    adapter = read_adapter(theirs)
    tensors = {
        f"{name}.lora_{part}": v for name, pair in adapter.pairs.items() for part, v in zip("ab", pair, strict=True)
    }
    write_adapter(tmp_path / "ours.gguf", adapter.architecture, tensors, adapter.alpha)
    request = Request((("user", "Why is the sky blue?"),), max_tokens=12, sampling=GREEDY)
    adapters = (None, Adapter(theirs), Adapter(tmp_path / "ours.gguf"))
    settings = EngineSettings(context=512, sequences=1, threads=1)
    with Worker() as worker:
        texts = [
            [item.text for item in worker.run(stream_answer, model, request, settings, one) if isinstance(item, Piece)]
            for one in adapters
        ]
    assert texts[0] != texts[1] == texts[2]


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a LoRA adapter"):
        read_adapter(gguf_tiny.write_tiny(tmp_path / "tiny.gguf"))
    lone = random_pair("blk.0.attn_q.weight", 64, 32)
    del lone["blk.0.attn_q.weight.lora_b"]
    write_adapter(tmp_path / "lone.gguf", "llama", lone, 1.0)
    other = random_pair("blk.0.attn_q.weight", 64, 32)
    other["blk.0.attn_q.weight.lora_b"] = np.ones((64, 5), np.float32)
    write_adapter(tmp_path / "other.gguf", "llama", other, 1.0)
    write_adapter(tmp_path / "empty.gguf", "llama", {}, 1.0)
    for name in ("lone", "other", "empty"):
        with pytest.raises(UserError, match="cannot be used as an adapter"):
            read_adapter(tmp_path / f"{name}.gguf")


def test_numbers_that_are_none_are_not_written(tmp_path: Path) -> None:
    tensors = random_pair("blk.0.attn_q.weight", 64, 32)
    tensors["blk.0.attn_q.weight.lora_b"][3, 1] = np.nan
    with pytest.raises(UserError, match="lower learning rate"):
        write_adapter(tmp_path / "a.gguf", "llama", tensors, 1.0)
    assert not list(tmp_path.iterdir())


def permute(weights: Matrix, n_head: int) -> Matrix:
    """LlamaModel.permute of llama.cpp's conversion/llama.py: from Hugging Face's order of rows to GGUF's."""
    return (
        weights.reshape(n_head, 2, weights.shape[0] // n_head // 2, *weights.shape[1:])
        .swapaxes(1, 2)
        .reshape(weights.shape)
    )


def turned(x: NDArray[Any], heads: int, position: int, adjacent: bool) -> NDArray[Any]:
    """Rotary positions of one token's query or key: of adjacent pairs (GGUF's llama), or of halves (Hugging Face)."""
    x = x.reshape(heads, -1)
    half = x.shape[1] // 2
    angle = position * 10000.0 ** (-np.arange(half) / half)
    first, second = (x[:, 0::2], x[:, 1::2]) if adjacent else (x[:, :half], x[:, half:])
    return np.stack((first * np.cos(angle) - second * np.sin(angle), first * np.sin(angle) + second * np.cos(angle)))


def test_peft_of_a_llama_attends_as_the_gguf_does(tmp_path: Path) -> None:
    heads, kv_heads, width, size = 4, 2, 32, 8
    tensors = random_pair("blk.0.attn_q.weight", heads * size, width, seed=1)
    tensors |= random_pair("blk.0.attn_k.weight", kv_heads * size, width, seed=2)
    tensors |= random_pair("blk.0.ffn_up.weight", 48, width, seed=3)
    facts = {HEADS: heads, KV_HEADS: kv_heads, "general.base_model.0.name": "Small"}
    write_adapter(tmp_path / "a.gguf", "llama", tensors, 8.0, facts)
    export_peft(read_adapter(tmp_path / "a.gguf"), tmp_path / "peft")
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (4, 8.0, "Small")
    assert config["target_modules"] == ["k_proj", "q_proj", "up_proj"]
    theirs = load_file(tmp_path / "peft" / "adapter_model.safetensors")
    layer = "base_model.model.model.layers.0"

    def delta(x: Matrix, module: str) -> NDArray[Any]:
        return theirs[f"{layer}.{module}.lora_B.weight"] @ (theirs[f"{layer}.{module}.lora_A.weight"] @ x)

    def own(x: Matrix, name: str) -> NDArray[Any]:
        return tensors[f"blk.0.{name}.weight.lora_b"] @ (tensors[f"blk.0.{name}.weight.lora_a"] @ x)

    x, y = np.random.default_rng(4).standard_normal((2, width)).astype(np.float32)
    np.testing.assert_allclose(permute(delta(x, "self_attn.q_proj"), heads), own(x, "attn_q"), rtol=1e-5)
    np.testing.assert_allclose(permute(delta(y, "self_attn.k_proj"), kv_heads), own(y, "attn_k"), rtol=1e-5)
    np.testing.assert_allclose(delta(x, "mlp.up_proj"), own(x, "ffn_up"), rtol=1e-6)
    # What it is for: query and key meet with the same product, each rotated as its own program does.

    def scores(q: NDArray[Any], k: NDArray[Any], adjacent: bool) -> NDArray[Any]:
        query, key = turned(q, heads, 7, adjacent), turned(k, kv_heads, 3, adjacent).repeat(heads // kv_heads, axis=1)
        return (query * key).sum(axis=(0, 2))

    ours = scores(own(x, "attn_q"), own(y, "attn_k"), True)
    np.testing.assert_allclose(
        scores(delta(x, "self_attn.q_proj"), delta(y, "self_attn.k_proj"), False), ours, rtol=1e-4
    )


def test_peft_of_fused_matrices_keeps_their_order(tmp_path: Path) -> None:
    tensors = random_pair("blk.2.attn_qkv.weight", 96, 32) | random_pair("blk.2.ffn_up.weight", 128, 32)
    write_adapter(tmp_path / "a.gguf", "phi3", tensors, 8.0)
    export_peft(read_adapter(tmp_path / "a.gguf"), tmp_path / "peft")
    theirs = load_file(tmp_path / "peft" / "adapter_model.safetensors")
    layer = "base_model.model.model.layers.2"
    for module, name in (("self_attn.qkv_proj", "attn_qkv"), ("mlp.gate_up_proj", "ffn_up")):
        for theirs_part, part in (("A", "a"), ("B", "b")):
            ours = tensors[f"blk.2.{name}.weight.lora_{part}"]
            np.testing.assert_array_equal(theirs[f"{layer}.{module}.lora_{theirs_part}.weight"], ours)


def test_peft_on_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    limits = pytest.importorskip("resource")
    tensors = random_pair("blk.0.ffn_up.weight", 64, 64)
    write_adapter(tmp_path / "a.gguf", "llama", tensors, 8.0)
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            export_peft(read_adapter(tmp_path / "a.gguf"), tmp_path / "peft")
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, before)
    export_peft(read_adapter(tmp_path / "a.gguf"), tmp_path / "peft")  # nothing of it is in the way


def test_peft_that_cannot_be_is_refused(tmp_path: Path) -> None:
    def adapter(tensors: dict[str, Matrix]) -> AdapterFile:
        write_adapter(tmp_path / "a.gguf", "llama", tensors, 8.0)
        return read_adapter(tmp_path / "a.gguf")

    with pytest.raises(UserError, match="how many heads"):
        export_peft(adapter(random_pair("blk.0.attn_q.weight", 32, 32)), tmp_path / "peft")
    with pytest.raises(UserError, match="Nothing is known of"):
        export_peft(adapter(random_pair("output.weight", 32, 32)), tmp_path / "peft")
    mixed = random_pair("blk.0.ffn_up.weight", 32, 32) | random_pair("blk.1.ffn_up.weight", 32, 32, rank=8)
    with pytest.raises(UserError, match="several ranks"):
        export_peft(adapter(mixed), tmp_path / "peft")
    assert not (tmp_path / "peft").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        export_peft(adapter(random_pair("blk.0.ffn_up.weight", 32, 32)), tmp_path / "full")
