"""Reckons the memory that a model takes, and what to try, in which order, where it does not fit. No native code.

The sums are those of llama.cpp's allocator: weights and cache to the byte, the compute buffers by what lives at once in
the widest places of its graph (attention, feed-forward, a recurrent layer, logits). A test compares them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import psutil

from core.engine.devices import Device, carrying
from core.engine.requests import TOKENS_A_SEQUENCE, EngineSettings
from core.engine.shape import LEAST_CELLS, MOST_SEQUENCES, Shape, padded
from core.models.dimensions import FLOAT_BYTES, Dimensions, Layer
from core.models.files import ModelFile
from core.models.recommended import Recommended

LEAST_CONTEXT = 4_096  # tokens, so that one long prompt fits
SMALLEST_CONTEXT = 512
SPARE = 1 << 30  # bytes of each device's memory and of the system's, for others and for what no sum knows
LEAST_PART = 2  # layers on the graphics card, with the output: less is not worth the way
# With a part of the layers on the graphics card, llama.cpp tries flash attention with a token of each sequence; from 32
# tokens on it computes on the card what lies elsewhere, takes that for missing support, and needs far more memory.
MOST_OF_PARTS = 31

_BLOCK_BYTES = {"f32": 128, "f16": 64, "q8_0": 34}  # of 32 numbers in the cache


@dataclass(frozen=True)
class Need:
    """Bytes of memory."""

    weights: int = 0
    cache: int = 0
    compute: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute

    def __add__(self, other: "Need") -> "Need":
        return Need(self.weights + other.weights, self.cache + other.cache, self.compute + other.compute)


@dataclass(frozen=True)
class Estimate:
    """What a model takes of the system's memory and of the graphics cards', all of them together."""

    system: Need = field(default_factory=Need)
    gpu: Need = field(default_factory=Need)

    @property
    def all(self) -> Need:
        return self.system + self.gpu


@dataclass(frozen=True)
class Plan:
    """One rung of the ladder: where the layers go and what context they get."""

    rung: int
    gpu_layers: int  # as llama.cpp counts, the output before the last layer; 0 = the graphics card is not touched
    shape: Shape
    estimate: Estimate
    missing: int  # bytes that are lacking, by the estimate; 0 = it fits

    def layers_on_gpu(self, layers: int) -> int:
        """How many of a model's `layers`, without its output."""
        return min(max(0, self.gpu_layers - 1), layers)


@dataclass(frozen=True)
class Fit:
    """How a model fits this computer, for a reader: bytes, and where it would run."""

    need: Need  # on all devices together
    layers: int
    gpu_layers: int  # how many of them on the graphics card
    device: str
    context: int
    sequences: int
    missing: int  # bytes that are lacking; 0 = it fits


def estimate(dimensions: Dimensions, gpu_layers: int, shape: Shape) -> Estimate:
    """The memory of a loaded model with a context. The last layers go to the graphics card, the output before them."""
    if shape.flash is None:
        shape = replace(shape, flash=gpu_layers > 0)
    if shape.exact and not gpu_layers:
        shape = replace(shape, cache="f32")
    first = len(dimensions.layers) + 1 - gpu_layers  # the first layer on the graphics card
    below, above = dimensions.layers[: max(0, first)], dimensions.layers[max(0, first) :]
    weights = sum(layer.weights for layer in below) + dimensions.input_weights
    logits = FLOAT_BYTES * shape.sequences * dimensions.vocabulary  # where the outputs are copied to
    if not gpu_layers:
        weights += 0 if dimensions.tied else dimensions.output_weights
        return Estimate(Need(weights, _cache(dimensions, below, shape), _compute(dimensions, shape) + logits))
    row = FLOAT_BYTES * shape.together * dimensions.width
    inputs = _masks(dimensions, shape) + (2 if shape.flash else 2.5) * row
    if below:  # long batches are computed on the graphics card throughout: what the other layers have is copied there
        remembered = max(_cache(dimensions, [layer], shape) for layer in below)
        compute = _compute(dimensions, shape, remembered, dimensions.largest_weight)
    else:
        compute = _compute(dimensions, shape) - 2 * row
    return Estimate(
        Need(weights, _cache(dimensions, below, shape), int(inputs) + logits),
        Need(
            sum(layer.weights for layer in above) + dimensions.output_weights,
            _cache(dimensions, above, shape),
            compute,
        ),
    )


def ladder(file: ModelFile, devices: Sequence[Device], settings: EngineSettings) -> tuple[Plan, ...]:
    """Everything that may be tried, the best first: all layers on the graphics card, then with a shorter context and
    fewer sequences, then with a cache of 8 bits, then as many layers as fit, half of them, and the processor alone.

    What a rung's number stands for depends on the model, the settings and the kinds of device, not on the memory that
    is free just now: a child that begins anew goes on where the last one failed.
    """
    cells, sequences = wanted_context(file, settings)
    contexts = list(_contexts(cells, sequences))
    shorter = contexts[min(1, len(contexts) - 1)]
    layers = len(file.dimensions.layers)
    steps: list[tuple[int, tuple[int, int], str]] = []
    if carrying(devices) and settings.gpu_layers != 0:
        top = min(settings.gpu_layers or layers + 1, layers + 1)
        steps += [(top, contexts[0], "f16"), (top, shorter, "f16"), (top, shorter, "q8_0")]
        if settings.gpu_layers is None:
            part = _layers_that_fit(file.dimensions, devices, shorter)
            steps += [(part, shorter, "f16"), (max(LEAST_PART, part // 2), shorter, "f16")]
        else:
            steps += [(top, context, "q8_0") for context in contexts[2:]]
    if not steps or settings.gpu_layers is None:
        steps += [(0, context, "f16") for context in contexts]
    return tuple(_plan(rung, file.dimensions, devices, *step) for rung, step in enumerate(steps))


def choose(file: ModelFile, devices: Sequence[Device], settings: EngineSettings) -> list[Plan]:
    """The plans to try in their order, from `settings.rung` on: those that fit by the estimate, and the last.

    Where none fits, the small ones that leave the graphics card alone: the weights are mapped, and may be read from the
    disk again and again. `settings.rung` beyond the ladder stands for its end.
    """
    plans = ladder(file, devices, settings)
    left = plans[min(settings.rung, len(plans) - 1) :]
    small = [plan for plan in left if plan.shape.cells <= LEAST_CONTEXT and plan.gpu_layers == plans[-1].gpu_layers]
    fitting = [plan for plan in left if not plan.missing]
    return [*fitting, plans[-1]] if fitting and fitting[-1] is not plans[-1] else fitting or small


def fit(file: ModelFile, devices: Sequence[Device], settings: EngineSettings) -> Fit:
    """How a model fits, before it is loaded."""
    plan = choose(file, devices, settings)[0]
    gpus = carrying(devices) if plan.gpu_layers else []
    layers = len(file.dimensions.layers)
    return Fit(
        need=plan.estimate.all,
        layers=layers,
        gpu_layers=plan.layers_on_gpu(layers),
        device=" + ".join(device.description for device in gpus) or "CPU",
        context=plan.shape.cells,
        sequences=plan.shape.sequences,
        missing=plan.missing,
    )


def holds(model: Recommended) -> bool:
    """Whether this computer's memory holds a model that is not here yet, with the cache that a run asks for first."""
    return model.memory(EngineSettings().sequences * TOKENS_A_SEQUENCE) <= psutil.virtual_memory().total


def words(fit: Fit) -> str:
    """The same in a sentence or two."""
    need = fit.need
    parts = f"weights {size(need.weights)}, cache {size(need.cache)}, compute {size(need.compute)}"
    if fit.missing:
        return f"Needs {size(fit.missing)} more memory than is free ({parts})."
    if not fit.gpu_layers:
        where = "on the processor"
    elif fit.gpu_layers == fit.layers:
        where = f"all on the {fit.device}"
    else:
        where = f"{fit.gpu_layers} of {fit.layers} layers on the {fit.device}"
    return (
        f"Fits this computer: {where}, with {fit.context:,} tokens of context for {fit.sequences} at a time ({parts})."
    )


def size(count: int) -> str:
    """Bytes in MB or GB."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{max(count, 1e6 * (count > 0)) / 1e6:,.0f} MB"


def wanted_context(file: ModelFile, settings: EngineSettings) -> tuple[int, int]:
    """Cells and sequences at the top of the ladder. More cells than the sequences may fill by the model's training are
    never used."""
    sequences = max(1, min(settings.sequences, MOST_SEQUENCES))
    cells = settings.context or max(LEAST_CONTEXT, sequences * TOKENS_A_SEQUENCE)
    return max(1, min(cells, file.context_length * sequences)), sequences


def _contexts(cells: int, sequences: int) -> Iterator[tuple[int, int]]:
    """Sizes of the context and how many share it, each half of the one before."""
    yield cells, sequences
    while cells > SMALLEST_CONTEXT:
        cells = max(cells // 2, SMALLEST_CONTEXT)
        yield cells, max(1, min(sequences, cells // TOKENS_A_SEQUENCE))


def _plan(
    rung: int, dimensions: Dimensions, devices: Sequence[Device], gpu_layers: int, context: tuple[int, int], kind: str
) -> Plan:
    cells, sequences = context
    part = 0 < gpu_layers <= len(dimensions.layers)
    together = max(1, min(sequences, cells // LEAST_CELLS, MOST_OF_PARTS if part else MOST_SEQUENCES))
    shape = Shape(together, cells, together, cache=kind)
    needed = estimate(dimensions, gpu_layers, shape)
    return Plan(rung, gpu_layers, shape, needed, _missing(needed, devices))


def _missing(needed: Estimate, devices: Sequence[Device]) -> int:
    """Bytes that are lacking. The graphics cards count as one: llama.cpp splits the layers by what each has free."""
    lacking = 0
    gpus = carrying(devices)
    if needed.gpu.total and all(device.memory_total for device in gpus):
        copies = (len(gpus) - 1) * needed.gpu.compute
        lacking += max(0, needed.gpu.total + copies - sum(max(0, device.memory_free - SPARE) for device in gpus))
    for device in devices:
        if device.kind == "cpu":
            shared = needed.gpu.total if any(gpu.kind == "integrated" for gpu in gpus) else 0
            lacking = max(lacking, needed.system.total + shared - max(0, device.memory_free - SPARE))
    return lacking


def _layers_that_fit(dimensions: Dimensions, devices: Sequence[Device], context: tuple[int, int]) -> int:
    """As many as there is memory for on the graphics card, but not all; half of them where nobody knows."""
    layers = len(dimensions.layers)
    if not all(device.memory_total for device in carrying(devices)):
        return max(LEAST_PART, layers // 2)
    for count in range(layers, LEAST_PART, -1):
        if not _plan(0, dimensions, devices, count, context, "f16").missing:
            return count
    return LEAST_PART


def _cache(dimensions: Dimensions, layers: Sequence[Layer], shape: Shape) -> int:
    """The KV cache, and the states of recurrent layers."""
    all_cells = shape.stream_cells * shape.streams
    window_cells = _window_cells(dimensions, shape) * shape.streams
    total = 0
    for layer in layers:
        cells = window_cells if layer.windowed else all_cells
        total += (
            cells * (layer.key_width + layer.value_width) * _BLOCK_BYTES[shape.cache] // 32
            + layer.state * shape.sequences
        )
    return total


def _window_cells(dimensions: Dimensions, shape: Shape) -> int:
    """Cells a stream of the layers that see a window (llama.cpp's llama_kv_cache_iswa)."""
    if shape.whole_windows or not dimensions.window:
        return shape.stream_cells
    sharing = shape.sequences if shape.shared else 1
    return padded(min(shape.stream_cells, dimensions.window * sharing + shape.together))


def _masks(dimensions: Dimensions, shape: Shape) -> int:
    """Who sees whom: one mask for the layers that see everything, one for those that see a window."""
    if not dimensions.key_width:
        return 0
    cells = shape.stream_cells + (_window_cells(dimensions, shape) if dimensions.window else 0)
    return cells * shape.together * (2 if shape.flash else FLOAT_BYTES)


def _compute(dimensions: Dimensions, shape: Shape, copied_cache: int = 0, copied_weight: int = 0) -> int:
    """The widest place of the graph for one batch, with what is copied there for it."""
    d = dimensions
    keys_and_values = d.key_width + d.value_width
    attention = 3 * d.width + 2 * d.query_width
    if shape.flash:
        residual = 4 * d.width
    else:
        attention += keys_and_values + (d.heads * shape.stream_cells if d.key_width else 0)
        residual = 3 * d.width + keys_and_values
    feed = 3 * d.feed_width
    if d.experts_used:
        feed = max(feed, 2 * d.experts_used * d.width + d.feed_width)
    row = FLOAT_BYTES * shape.together
    layer = _masks(d, shape) + max(row * attention + copied_cache, row * (feed + residual) + copied_weight)
    scan = row * (4 * d.scan_width + 5 * d.width) + shape.sequences * max(layer.state for layer in d.layers)
    logits = FLOAT_BYTES * min(max(shape.outputs, shape.sequences), shape.together) * d.vocabulary + 2 * row * d.width
    return max(layer, scan, logits)
