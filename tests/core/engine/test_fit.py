"""The estimate of a model's memory against llama.cpp's own figures, and what is tried in which order."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest

from core.engine import fit
from core.engine.devices import Device
from core.engine.fit import SPARE, Estimate, Need, choose, estimate, ladder
from core.engine.requests import EngineSettings
from core.engine.shape import Shape
from core.models.files import ModelFile, read_model
from core.worker import Worker
from tests.core.engine.measuring import MIB, growth_job, measure_job
from tests.data.gguf_shape import lfm2, mamba, transformer, with_experts
from tests.data.gguf_tiny import write_tiny

CLOSE = 0.15
GB = 10**9

NORMED = ("head:attn_q_norm.weight", "head:attn_k_norm.weight")
SANDWICH = ("post_attention_norm.weight", "post_ffw_norm.weight")

# The shapes of real models, with smaller vocabularies where those only cost the test time.
MODELS = {
    "tiny": lambda: transformer("llama", 64, 2, 4, 2, 128),
    "smollm2-135m": lambda: transformer("llama", 576, 30, 9, 3, 1536, vocabulary=49_152, tied=True),
    "llama-2-7b": lambda: transformer("llama", 4096, 32, 32, 32, 11_008, vocabulary=32_000),
    "llama-3-8b": lambda: transformer("llama", 4096, 32, 32, 8, 14_336, vocabulary=32_000),
    "wide heads": lambda: transformer("llama", 512, 4, 8, 2, 1024, vocabulary=4096, head=128),
    "qwen3-0.6b": lambda: transformer("qwen3", 1024, 28, 16, 8, 3072, 151_936, 128, tied=True, also=NORMED),
    "gemma-2-2b": lambda: windowed("gemma2", 2304, 26, 9216, 4096, SANDWICH),
    "gemma-3-4b": lambda: windowed("gemma3", 2560, 34, 10_240, 1024, SANDWICH + NORMED),
    "mixtral-8x7b": lambda: with_experts(transformer("llama", 4096, 32, 32, 8, 14_336), 8, 2, 14_336),
    "qwen3-30b-a3b": lambda: with_experts(
        transformer("qwen3moe", 2048, 48, 32, 4, 6144, head=128, also=NORMED), 128, 8, 768
    ),
    "mamba": lambda: mamba(512, 4, 4096),
    "lfm2": lambda: lfm2(1024, 9, 4096),
}


def windowed(architecture: str, width: int, layers: int, feed: int, window: int, also: tuple[str, ...]) -> Any:
    shape = transformer(architecture, width, layers, 8, 4, feed, 8192, 256, tied=True, also=also)
    shape.metadata["attention.sliding_window"] = window
    return shape


CONTEXTS = [
    Shape(2, 512, 2),
    Shape(8, 8192, 8),
    Shape(32, 32_768, 32),
    Shape(1, 256, 1),
    Shape(1, 8192, 1),
    Shape(256, 65_536, 256),
    Shape(8, 2048, 8, shared=True),
    Shape(64, 16_384, 64, shared=True),
    Shape(64, 4096, 512, batch=4096, shared=True, exact=True),
    Shape(8, 8192, 8, flash=True),
    Shape(32, 8192, 32, shared=True, flash=True),
    Shape(32, 8192, 32, cache="q8_0", shared=True, flash=True),
    Shape(4, 8192, 4, whole_windows=False),
    Shape(4, 8192, 4, shared=True, whole_windows=False),
]


@pytest.fixture(scope="module")
def child() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def assert_close(estimated: Need, measured: Need, what: object) -> None:
    for part in ("weights", "cache", "compute"):
        told, true = getattr(estimated, part), getattr(measured, part)
        assert abs(told - true) <= CLOSE * true + MIB / 50, (what, part, told / MIB, true / MIB)  # logs have 2 decimals


QUICK = ("tiny", "smollm2-135m", "gemma-3-4b", "qwen3-30b-a3b", "mamba", "lfm2")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in MODELS])
def test_the_estimate_is_close_to_what_llama_cpp_takes(name: str, child: Worker, tmp_path: Path) -> None:
    path = MODELS[name]().write(tmp_path / "model.gguf")
    model = read_model(path)
    compared = 0
    for shape, measured in zip(CONTEXTS, child.run(measure_job, path, 0, CONTEXTS), strict=True):
        if measured is None:
            assert shape.cache == "q8_0"  # heads of 16 are no blocks of 32
            continue
        assert_close(estimate(model.dimensions, 0, shape).all, measured.all, shape)
        compared += 1
    assert compared >= len(CONTEXTS) - 1


def test_the_estimate_is_close_to_what_a_process_takes(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "wide.gguf", width=512, layers=4)
    shape = Shape(4, 16_384, 4)
    needed = estimate(read_model(path).dimensions, 0, shape).system
    with Worker() as fresh:  # with nothing that was freed before and is taken again
        ((made, decoded),) = fresh.run(growth_job, path, shape)
    assert made == pytest.approx(needed.weights + needed.cache, rel=CLOSE)
    assert made < decoded < needed.total * (1 + CLOSE)  # of the compute buffer, only what the batch needs is touched


def test_quantised_weights_are_known_to_the_byte(child: Worker, tmp_path: Path) -> None:
    shape = transformer("llama", 512, 4, 8, 2, 1024, vocabulary=1024)
    path = shape.write(tmp_path / "model.gguf", gguf.GGMLQuantizationType.Q4_K)
    (measured,) = child.run(measure_job, path, 0, CONTEXTS[:1])
    assert measured is not None
    assert estimate(read_model(path).dimensions, 0, CONTEXTS[0]).all.weights == measured.all.weights


def test_real_weights_are_known_to_the_byte(tiny: Path, child: Worker) -> None:
    (measured,) = child.run(measure_job, tiny, 0, [Shape(8, 2048, 8)], False)
    assert measured is not None
    told = estimate(read_model(tiny).dimensions, 0, Shape(8, 2048, 8)).system
    assert told.weights == pytest.approx(measured.system.weights, abs=0.01 * MIB)
    assert told.cache == measured.system.cache == 2 * 2 * 32 * 2 * 2048


# --- the ladder ---

PROCESSOR = Device("CPU", "Some processor", "CPU", "cpu", 64 * GB, 60 * GB, 8)


def card(free: float, kind: Any = "gpu", total: float = 0) -> Device:
    return Device("Vulkan0", "Some card", "Vulkan", kind, int((total or free) * GB), int(free * GB))


@pytest.fixture(scope="module")
def llama_8b(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """16 GB of weights in 32 layers; a token of its cache takes 128 KiB."""
    shape = transformer("llama", 4096, 32, 32, 8, 14_336, vocabulary=128_256)
    return read_model(shape.write(tmp_path_factory.mktemp("models") / "llama.gguf"))


def described(plans: Any) -> list[tuple[int, int, int, str]]:
    return [(plan.gpu_layers, plan.shape.cells, plan.shape.sequences, plan.shape.cache) for plan in plans]


def test_a_roomy_card_takes_all_layers(llama_8b: ModelFile) -> None:
    plan, *_ = choose(llama_8b, [card(40), PROCESSOR], EngineSettings())
    assert described([plan]) == [(33, 16_384, 16, "f16")]
    assert not plan.missing
    assert plan.estimate.gpu.cache == 16_384 * 128 * 1024
    assert plan.estimate.gpu.weights + plan.estimate.system.weights == 8_030_261_248 * 2 + 65 * 4096 * 2  # F32 norms
    assert plan.estimate.system.weights == 128_256 * 4096 * 2  # the input's


def test_the_ladder_goes_from_all_layers_to_the_processor(llama_8b: ModelFile) -> None:
    plans = ladder(llama_8b, [card(10), PROCESSOR], EngineSettings())
    part = plans[3].gpu_layers
    assert described(plans) == [
        (33, 16_384, 16, "f16"),
        (33, 8192, 8, "f16"),
        (33, 8192, 8, "q8_0"),
        (part, 8192, 8, "f16"),
        (part // 2, 8192, 8, "f16"),
        (0, 16_384, 16, "f16"),
        (0, 8192, 8, "f16"),
        (0, 4096, 4, "f16"),
        (0, 2048, 2, "f16"),
        (0, 1024, 1, "f16"),
        (0, 512, 1, "f16"),
    ]
    assert [plan.rung for plan in plans] == list(range(11))
    assert 10 < part < 20
    one_more = estimate(llama_8b.dimensions, part + 1, plans[3].shape)
    assert plans[3].estimate.gpu.total <= 10 * GB - SPARE < one_more.gpu.total


@pytest.mark.parametrize(
    ("free", "first"),
    [
        (19.4, (33, 16_384, 16, "f16")),
        (18.2, (33, 8192, 8, "f16")),
        (17.2, (33, 8192, 8, "q8_0")),
        (1.2, (0, 16_384, 16, "f16")),
    ],
)
def test_what_the_card_has_free_decides_the_rung(llama_8b: ModelFile, free: float, first: Any) -> None:
    assert described(choose(llama_8b, [card(free), PROCESSOR], EngineSettings()))[0] == first


def test_two_cards_count_together(llama_8b: ModelFile) -> None:
    plan, *_ = choose(llama_8b, [card(11), card(11), PROCESSOR], EngineSettings())
    assert plan.gpu_layers == 33


def test_an_integrated_card_shares_the_systems_memory(llama_8b: ModelFile) -> None:
    small = replace(PROCESSOR, memory_free=12 * GB)
    plans = choose(llama_8b, [card(60, "integrated"), small], EngineSettings())
    assert plans[0].missing or plans[0].gpu_layers < 33


def test_a_card_of_unknown_memory_is_tried(llama_8b: ModelFile) -> None:
    unknown = Device("GPU", "GPU", "", "gpu", 0, 0)
    plans = choose(llama_8b, [unknown, PROCESSOR], EngineSettings())
    assert [plan.gpu_layers for plan in plans[:6]] == [33, 33, 33, 16, 8, 0]


def test_a_child_that_died_goes_on_below(llama_8b: ModelFile) -> None:
    found = [card(40), PROCESSOR]
    assert choose(llama_8b, found, EngineSettings(rung=2))[0].rung == 2
    assert choose(llama_8b, found, EngineSettings(rung=99))[0].rung == 10
    assert choose(llama_8b, [card(17.2), PROCESSOR], EngineSettings(rung=1))[0].rung == 2


def test_who_names_the_layers_gets_them_or_less_context(llama_8b: ModelFile) -> None:
    plans = ladder(llama_8b, [card(40), PROCESSOR], EngineSettings(gpu_layers=20))
    assert {plan.gpu_layers for plan in plans} == {20}
    assert [plan.shape.cells for plan in plans] == [16_384, 8192, 8192, 4096, 2048, 1024, 512]
    assert {plan.gpu_layers for plan in ladder(llama_8b, [card(40), PROCESSOR], EngineSettings(gpu_layers=0))} == {0}
    assert {plan.gpu_layers for plan in ladder(llama_8b, [PROCESSOR], EngineSettings(gpu_layers=20))} == {0}


def test_a_part_of_the_layers_gets_fewer_sequences(llama_8b: ModelFile) -> None:
    """With 32, llama.cpp would leave flash attention off."""
    plans = ladder(llama_8b, [card(10), PROCESSOR], EngineSettings(sequences=64))
    assert [plan.shape.sequences for plan in plans[:6]] == [64, 32, 32, 31, 31, 64]


def test_the_processor_alone_takes_what_its_memory_allows(llama_8b: ModelFile) -> None:
    assert described(choose(llama_8b, [PROCESSOR], EngineSettings()))[0] == (0, 16_384, 16, "f16")
    tight = replace(PROCESSOR, memory_free=18 * GB)
    assert described(choose(llama_8b, [tight], EngineSettings()))[0] == (0, 4096, 4, "f16")
    hopeless = replace(PROCESSOR, memory_free=4 * GB)
    plans = choose(llama_8b, [hopeless], EngineSettings())
    assert described(plans)[0] == (0, 4096, 4, "f16")  # the weights are mapped: slow, but it may run
    assert plans[0].missing > 12 * GB


def test_no_more_cells_than_the_training_lets_the_sequences_fill(tiny: Path) -> None:
    model = read_model(tiny)  # trained for 2,048
    for sequences, context, cells in ((1, None, 2048), (1, 100_000, 2048), (4, 100_000, 8192), (4, 1000, 1000)):
        settings = EngineSettings(sequences=sequences, context=context)
        assert choose(model, [PROCESSOR], settings)[0].shape.cells == cells


def test_how_it_fits_in_numbers_and_in_words(llama_8b: ModelFile) -> None:
    settings = EngineSettings()
    whole = fit.fit(llama_8b, [card(40), PROCESSOR], settings)
    assert (whole.layers, whole.gpu_layers, whole.device, whole.missing) == (32, 32, "Some card", 0)
    assert whole.need.cache == 16_384 * 128 * 1024
    assert fit.words(whole).startswith(
        "Fits this computer: all on the Some card, with 16,384 tokens of context for 16 at a time ("
    )
    part = fit.fit(llama_8b, [card(10), PROCESSOR], settings)
    assert 10 <= part.gpu_layers < 20
    assert f"{part.gpu_layers} of 32 layers on the Some card" in fit.words(part)
    alone = fit.fit(llama_8b, [PROCESSOR], settings)
    assert "on the processor" in fit.words(alone)
    assert "weights 16.1 GB, cache 2.1 GB, compute 128 MB" in fit.words(alone)
    lacking = fit.fit(llama_8b, [replace(PROCESSOR, memory_free=4 * GB)], settings)
    assert fit.words(lacking).startswith(f"Needs {lacking.missing / GB:.1f} GB more memory than is free (")


def test_sizes_are_told_in_the_larger_unit() -> None:
    assert [fit.size(count) for count in (0, 12, 12_345_678, 3_140_000_000)] == ["0 MB", "1 MB", "12 MB", "3.1 GB"]


def test_a_sum_of_needs() -> None:
    both = Estimate(Need(1, 2, 3), Need(10, 20, 30)).all
    assert (both.weights, both.cache, both.compute, both.total) == (11, 22, 33, 66)
