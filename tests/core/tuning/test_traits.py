"""What is read from a header, and what is refused with a sentence that names it."""

from pathlib import Path

import pytest

from core.errors import UserError
from core.tuning.traits import Rope, read_traits
from tests.core.tuning.conftest import Write
from tests.data.gguf_architectures import write_model
from tests.data.gguf_tiny import write_encoder, write_recurrent


def test_the_traits_of_a_plain_model(written: Write) -> None:
    traits = read_traits(written("llama"))
    assert (traits.architecture, traits.layers, traits.width, traits.feed) == ("llama", 2, 256, 512)
    assert (traits.heads, traits.kv_heads, traits.head_size, traits.value_size) == (4, 2, 64, 64)
    assert traits.ropes == (Rope(10_000.0, 1.0),) * 2
    assert (traits.rotation, traits.activation, traits.tied) == ("adjacent", "silu", False)
    assert (traits.attention_scale, traits.embedding_scale) == (0.125, 1.0)


def test_the_traits_of_gemma(written: Write) -> None:
    traits = read_traits(written("gemma3"))
    assert traits.windows == (16, 16, 16, 16, 16, 0, 16)
    assert traits.ropes[0] == Rope(10_000.0, 1.0)  # of layers with a window
    assert traits.ropes[5] == Rope(1e6, 0.125)
    assert (traits.embedding_scale, traits.activation, traits.tied) == (16.0, "gelu", True)
    assert (traits.attention_cap, traits.output_cap) == (0.0, 0.0)
    older = read_traits(written("gemma2"))
    assert older.windows == (16, 0, 16)
    assert (older.attention_cap, older.output_cap) == (5.0, 4.0)


def test_that_every_fourth_layer_of_smollm3_does_not_rotate(written: Write) -> None:
    assert [rope.base for rope in read_traits(written("smollm3")).ropes] == [10_000.0] * 3 + [0.0]


def test_that_no_text_is_longer_than_the_factors_for_short_ones_hold(written: Write) -> None:
    """Beyond, llama.cpp takes others."""
    assert read_traits(written("phi3, long")).context == 1024
    assert [read_traits(written(name)).context for name in ("phi3", "llama")] == [2048, 2048]


@pytest.mark.parametrize(
    ("architecture", "settings", "named"),
    [
        ("falcon", {}, "architecture “falcon” is not known"),
        ("gemma4", {}, "architecture “gemma4” is not known"),
        ("llama", {"metadata": {"expert_count": 8}}, "mixture of experts"),
        ("qwen3moe", {"extra": ("blk.0.ffn_gate_exps.weight",)}, r"mixture of experts \(qwen3moe\)"),
        ("llama", {"extra": ("blk.0.attn_sinks.weight",)}, "tensor “blk.0.attn_sinks.weight” is not known"),
        ("llama", {"metadata": {"rope.scaling.type": "spiral"}}, "“spiral”"),
        ("llama", {"metadata": {"attention.head_count_kv": [2, 4]}, "kv_heads": None}, "differ in “attention.head_"),
        ("llama", {"kind": "TQ1_0"}, "has the type TQ1_0"),
    ],
)
def test_that_what_is_not_known_is_refused(tmp_path: Path, architecture: str, settings: dict, named: str) -> None:
    path = write_model(tmp_path / "model.gguf", architecture, **settings)
    with pytest.raises(UserError, match=named) as refused:
        read_traits(path)
    assert "Choose a dense model of one of these: gemma2, gemma3, llama" in str(refused.value)


def test_that_hybrids_and_encoders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="“mamba” is recurrent"):
        read_traits(write_recurrent(tmp_path / "mamba.gguf"))
    with pytest.raises(UserError, match="“bert” is not known"):
        read_traits(write_encoder(tmp_path / "bert.gguf"))
