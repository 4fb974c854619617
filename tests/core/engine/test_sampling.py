"""The sampler in numpy gives the candidates and probabilities of llama.cpp's own chain."""

import ctypes
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest

from core.engine.answer import decode
from core.engine.native import log, native
from core.engine.requests import GREEDY, Sampling
from core.engine.sampling import choose, highest, likely
from core.errors import UserError


def chain(logits: Any, sampling: Sampling, recent: list[int]) -> dict[int, float]:
    """Token → probability after llama.cpp's chain in its default order."""
    sampler = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
    for part in (
        native.llama_sampler_init_penalties(len(logits), 64, sampling.repeat_penalty, 0.0, 0.0),
        native.llama_sampler_init_top_k(sampling.top_k),
        native.llama_sampler_init_top_p(sampling.top_p, 1),
        native.llama_sampler_init_min_p(sampling.min_p, 1),
        native.llama_sampler_init_temp(sampling.temperature),
        native.llama_sampler_init_dist(1),
    ):
        native.llama_sampler_chain_add(sampler, part)
    for token in recent:
        native.llama_sampler_accept(sampler, token)
    data = (native.llama_token_data * len(logits))(*((n, x, 0.0) for n, x in enumerate(logits.tolist())))
    array = native.llama_token_data_array(data, len(logits), -1, False)
    native.llama_sampler_apply(sampler, ctypes.byref(array))
    result = {array.data[n].id: array.data[n].p for n in range(array.size)}
    native.llama_sampler_free(sampler)
    return {token: p for token, p in result.items() if p > 0}


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.02),
        Sampling(temperature=0.3, top_k=5, top_p=0.5, min_p=0.0),
        Sampling(temperature=1.0, top_k=20, top_p=0.9, repeat_penalty=1.4),
    ],
)
def test_probabilities_are_those_of_llamas_chain(sampling: Sampling) -> None:
    log()
    random = np.random.default_rng(1)
    for _ in range(5):
        logits = (random.standard_normal(300) * 2.5).astype(np.float32)
        recent = [int(token) for token in highest(logits, 8)[::2]] if sampling.repeat_penalty != 1 else []
        expected = chain(logits, sampling, recent)
        source = Random(3)
        draws = Counter(choose(logits, sampling, source, recent) for _ in range(3000))
        assert set(draws) <= set(expected)
        for token, probability in expected.items():
            assert abs(draws[token] / 3000 - probability) < 0.05


def test_a_choice_among_some_is_made_among_them() -> None:
    logits = np.arange(100, dtype=np.float32)
    among = np.array([3, 7, 50])
    assert choose(logits, GREEDY, Random(0), [], among) == 50
    warm = Sampling(temperature=30.0, top_k=0, top_p=1.0, min_p=0.0)
    assert {choose(logits, warm, Random(n), [], among) for n in range(200)} == {3, 7, 50}


def test_ties_and_narrow_settings_leave_one() -> None:
    logits = np.zeros(10, np.float32)
    assert choose(logits, Sampling(top_k=1), Random(0), []) in range(10)
    assert len(likely(np.array([1.0, 0.5, 0.0]), Sampling(top_p=0.0))) == 1
    assert len(likely(np.array([1.0, 0.5, 0.0]), Sampling(min_p=1.0))) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_told(bad: float) -> None:
    logits = np.zeros(10, np.float32)
    logits[4] = bad
    for sampling in (GREEDY, Sampling(), Sampling(top_k=0)):
        with pytest.raises(UserError, match="no valid numbers"):
            choose(logits, sampling, Random(0), [])


@pytest.mark.parametrize("text", ["", "a", "é", "aé", "€", "春x", "🙂", "x🙂"])
def test_a_cut_character_is_left_out(text: str) -> None:
    data = text.encode()
    for cut in range(len(data) + 1):
        assert text.startswith(decode(data[:cut]))
    assert decode(data) == text
    assert decode(b"\x80\x80") == "\ufffd\ufffd"
