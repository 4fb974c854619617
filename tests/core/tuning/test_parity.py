"""The decoder against llama.cpp: every architecture, every type, adapters; and the gate that refuses what is wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.engine.logits import every_logit
from core.engine.requests import Loading
from core.errors import UserError
from core.tuning import decoder as decoding
from core.tuning.decoder import Batch, Decoder
from core.tuning.parity import check, parity_job
from core.tuning.records import Agreement
from core.tuning.traits import TYPES
from core.tuning.weights import Weights
from tests.core.tuning.conftest import Loaded, Write
from tests.core.tuning.variants import VARIANTS, some_lora, some_tokens, write_lora

PLAIN = [variant for variant in VARIANTS if not variant.startswith("gemma")]
GEMMAS = [variant for variant in VARIANTS if variant.startswith("gemma")]
PACKED = sorted(TYPES - {"F32"})


def logits(decoder: Decoder, tokens: list[int], lora: object = None) -> torch.Tensor:
    with torch.no_grad():
        return decoder.logits(decoder.hidden(Batch.of([tokens]), lora))  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", PLAIN)
def test_that_the_decoder_computes_what_llama_cpp_does(written: Write, loaded: Loaded, variant: str) -> None:
    path = written(variant)
    agreement = check(Decoder(Weights(path)), loaded(path), some_tokens(48))
    assert agreement.relative_l2 < 1e-5
    assert agreement.kl < 1e-9
    assert agreement.top1 == 1
    assert agreement.architecture == variant.partition(",")[0]
    assert agreement.passed


@pytest.mark.parametrize("variant", GEMMAS)
def test_that_gemma_agrees_but_for_the_table_of_its_activation(written: Write, loaded: Loaded, variant: str) -> None:
    """llama.cpp looks GELU up for numbers of 16 bits; far from zero the function needs no table."""
    path = written(variant, gate=3000.0)
    assert check(Decoder(Weights(path)), loaded(path), some_tokens(48)).relative_l2 < 1e-5
    path = written(variant)
    agreement = check(Decoder(Weights(path)), loaded(path), some_tokens(48))
    assert agreement.relative_l2 < 1e-3
    assert agreement.kl < 1e-6


def test_that_a_model_in_several_files_is_one(written: Write, loaded: Loaded) -> None:
    path = written("llama", split=8)
    assert path.stem.endswith("-00001-of-00003")
    assert check(Decoder(Weights(path)), loaded(path), some_tokens(16)).relative_l2 < 1e-5


@pytest.mark.parametrize("kind", PACKED)
def test_that_packed_weights_are_those_of_the_file(written: Write, loaded: Loaded, kind: str) -> None:
    tokens = some_tokens(32)
    path, twin = (written("llama", kind=kind, layers=1, twin=twin) for twin in (False, True))
    decoder = Decoder(Weights(path))
    assert check(decoder, loaded(twin), tokens).relative_l2 < 1e-5
    live = check(decoder, loaded(path), tokens)  # which rounds what it multiplies with
    assert live.kl < 5e-3
    assert live.passed


@pytest.mark.parametrize("variant", ["llama", "qwen2", "phi3"])
def test_that_an_adapter_does_what_llama_cpp_makes_of_it(
    written: Write, loaded: Loaded, tmp_path: Path, variant: str
) -> None:
    tokens = some_tokens(32)
    for kind, bound in (("F32", 1e-5), ("Q4_K", 0.1)):
        path = written(variant, kind=kind)
        decoder, model = Decoder(Weights(path)), loaded(path)
        lora = some_lora(decoder.weights, size=0.15)
        adapter = model.adapter(write_lora(tmp_path / f"{kind}.gguf", variant, lora))
        ours = logits(decoder, tokens, lora) - logits(decoder, tokens)
        base = every_logit(model, tokens)
        theirs = torch.from_numpy(every_logit(model, tokens, adapter) - base)
        assert float(theirs.norm()) > 0.2 * float(np.linalg.norm(base))  # it changes something
        assert (ours - theirs).norm() / theirs.norm() < bound
        assert (every_logit(model, tokens, adapter, scale=0.0) == base).all()
        if kind == "F32":
            assert check(decoder, model, tokens, lora, adapter).relative_l2 < 1e-5


def test_that_the_starter_and_a_real_model_pass(shared: Path) -> None:
    for path in (Path("resources/models/starter.gguf"), shared / "models" / "stories260K.gguf"):
        *loading, agreement = parity_job(path)
        assert all(isinstance(item, Loading) for item in loading)
        assert isinstance(agreement, Agreement)
        assert agreement.kl < 1e-4
        assert agreement.tokens == 64


def test_that_the_gate_refuses_a_wrong_rotation(written: Write, loaded: Loaded) -> None:
    path = written("llama")
    decoder = Decoder(Weights(path))
    decoder.traits = replace(decoder.traits, rotation="halves")
    agreement = check(decoder, loaded(path), some_tokens(48))
    assert agreement.kl > agreement.limit
    assert not agreement.passed


def test_that_the_gate_refuses_dropped_factors(written: Write, loaded: Loaded) -> None:
    path = written("llama, rope_freqs")
    decoder = Decoder(Weights(path))
    decoder.traits = replace(decoder.traits, rope_factors="")
    assert not check(decoder, loaded(path), some_tokens(48)).passed


def test_that_the_gate_refuses_a_dropped_window_and_cap(written: Write, loaded: Loaded) -> None:
    path = written("gemma2")
    decoder = Decoder(Weights(path))
    decoder.traits = replace(decoder.traits, windows=(0,) * decoder.traits.layers, attention_cap=0.0)
    assert not check(decoder, loaded(path), some_tokens(48)).passed


def test_that_no_number_does_not_pass(written: Write, loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written("llama")
    monkeypatch.setattr(decoding, "gated", lambda both, activation: both.chunk(2, -1)[0] * torch.nan)
    assert not check(Decoder(Weights(path)), loaded(path), some_tokens(8)).passed


def test_that_a_model_that_lacks_something_is_refused(written: Write, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(written("llama").read_bytes().replace(b"blk.1.ffn_norm.weight", b"blk.1.attn_qkv.weight"))
    with pytest.raises(UserError, match=r"model\.gguf” could not be loaded: .*attn_qkv\.weight"):
        list(parity_job(path))


def test_that_an_unknown_architecture_is_refused_before_it_is_loaded(written: Write) -> None:
    told = []
    with pytest.raises(UserError, match="“falcon” is not known"):
        told += parity_job(written("falcon"))
    assert not told


def test_that_a_text_of_ones_own_is_taken(shared: Path) -> None:
    *_, agreement = parity_job(shared / "models" / "stories260K.gguf", "Once upon a time there was a gate.")
    assert isinstance(agreement, Agreement)
    assert 5 < agreement.tokens < 30
