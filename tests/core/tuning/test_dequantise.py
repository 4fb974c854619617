"""Blocks of every type unpacked: by ggml, by torch, and by the reader of the gguf package, bit for bit alike."""

import gguf
import numpy as np
import pytest
import torch

from core.tuning import dequantise
from core.tuning.traits import TYPES
from tests.data.gguf_architectures import quantise

PACKED = sorted(TYPES - set(dequantise.PLAIN))


def random_blocks(kind: str, count: int) -> torch.Tensor:
    """Blocks that no quantiser would write: every byte may be anything."""
    raw = np.random.default_rng(0).integers(0, 256, count * dequantise.BLOCKS[kind][1], dtype=np.uint8)
    return torch.from_numpy(raw)


def test_that_all_types_can_be_unpacked_on_every_device() -> None:
    assert set(dequantise.PLAIN) | set(dequantise._KINDS) == TYPES


@pytest.mark.parametrize("kind", PACKED)
def test_that_torch_unpacks_as_ggml_does(kind: str) -> None:
    packed = random_blocks(kind, 300)
    by_ggml = torch.empty(300 * dequantise.BLOCKS[kind][0])
    dequantise.unpack(packed, kind, by_ggml)
    by_torch = dequantise.unpack_in_torch(packed, kind).view(-1)
    same = by_ggml.view(torch.int32) == by_torch.view(torch.int32)
    assert (same | (by_ggml.isnan() & by_torch.isnan())).all()
    assert by_ggml.isfinite().float().mean() > 0.9


@pytest.mark.parametrize("kind", PACKED)
def test_that_ggml_is_asked_rightly(kind: str) -> None:
    values = np.random.default_rng(1).standard_normal((8, 512)).astype(np.float32)
    packed = quantise(values, kind)
    known = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType[kind])
    out = torch.empty(8, 512)
    dequantise.unpack(torch.from_numpy(packed.reshape(-1)), kind, out)
    assert (out.numpy() == known).all()
    assert np.abs(known - values).mean() < 0.3


@pytest.mark.parametrize("kind", sorted(dequantise.PLAIN))
def test_that_plain_numbers_stay_what_they_are(kind: str) -> None:
    numbers = torch.randn(64, generator=torch.Generator().manual_seed(0)).to(dequantise.PLAIN[kind])
    out = torch.empty(64)
    dequantise.unpack(numbers.view(torch.uint8), kind, out)
    assert torch.equal(out, numbers.float())


def test_that_several_threads_and_smaller_floats_give_the_same() -> None:
    count = 5_000  # blocks of 256: more than one thread's share, and more than the scratch room
    packed = random_blocks("Q6_K", count)
    alone, together = torch.empty(count * 256), torch.empty(count * 256)
    halves = torch.empty(count * 256, dtype=torch.bfloat16)
    dequantise.unpack(packed, "Q6_K", alone)
    torch.set_num_threads(3)
    try:
        dequantise.unpack(packed, "Q6_K", together)
        dequantise.unpack(packed, "Q6_K", halves)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(alone.view(torch.int32), together.view(torch.int32))
    assert torch.equal(alone.bfloat16().nan_to_num(), halves.nan_to_num())
