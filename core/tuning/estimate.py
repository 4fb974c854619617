"""Reckons what a training will take, in memory and in time, and chooses what follows from that."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch
from torch import Tensor

from core.errors import UserError
from core.tuning import losses
from core.tuning.batches import Order, size, units
from core.tuning.decoder import Batch, Decoder
from core.tuning.lora import Lora
from core.tuning.records import Estimate, Recipe
from core.tuning.tokens import Group
from core.tuning.weights import STRIP

FLOAT = 4  # bytes
GEMM = (256, 1024, 4096)  # of the test that chooses the type: about what a layer of a small model does
FASTER = 1.2  # how much faster bfloat16 has to be to be worth its rounding
MEASURING = 1.2  # seconds after which no longer text is tried
FIRST, LONGEST = 128, 512  # tokens of the texts that are tried
KEPT = 5  # times the adapter's parameters: themselves, their gradient, two moments, and the best so far
LIVE = 4  # layers' worth of what autograd keeps of one, that the backward pass holds besides; as many to compute again
CHUNKS = 2  # of logits at once
OURS = 80 << 20  # what allocators, threads and kernels take
FOR_DENSE = 0.5  # of the memory that is free, which unpacked layers may take: they only save time


@dataclass(frozen=True)
class Saved:
    """Bytes that autograd keeps of a layer."""

    token: float
    squared: float  # a token and a token before it: where attention keeps its scores


@dataclass(frozen=True)
class Speed:
    """Seconds, measured with one layer of the model."""

    forward: float  # a token and layer
    backward: float
    head: float  # a learned token, forward and back


@dataclass(frozen=True)
class Work:
    """What there is to read. `longest` is the largest pass, `longest_text` the longest text of all."""

    longest: int
    longest_text: int
    learned: int  # most targets of a pass
    tokens: int  # an epoch's
    answers: int  # of those, the ones that are learned
    held_out: int

    @classmethod
    def of(cls, groups: Sequence[Group], held_out: Sequence[Group], recipe: Recipe) -> "Work":
        """The passes are as full as they may come to be, in whatever order the examples come."""
        read = units((*groups, *held_out), recipe.objective == "dpo")
        sizes = [size(unit) for unit in read]
        fullest = max(sizes)
        if recipe.packing:
            several = recipe.batch * sum(sizes) // len(sizes) if recipe.batch > 1 else fullest
            fullest = max(fullest, min(recipe.context, 2 * several))
        texts = [text for unit in read for text in unit]
        share = sum(len(text.targets) for text in texts) / max(1, sum(sizes))
        return cls(
            longest=fullest,
            longest_text=max(len(text.tokens) for text in texts),
            learned=max(max(sum(len(text.targets) for text in unit) for unit in read), round(share * fullest)),
            tokens=sum(map(size, groups)),
            answers=sum(len(text.targets) for group in groups for text in group),
            held_out=sum(map(size, held_out)),
        )


def estimate(decoder: Decoder, lora: Lora, recipe: Recipe, work: Work, order: Order, besides: int) -> Estimate:
    """Measures for a second or two, and chooses what is computed again and what is kept unpacked.

    `besides` is what the process takes already (bytes): torch, and the model that answers.
    """
    weights, layers = decoder.weights, decoder.traits.layers
    shallow = Decoder(weights)
    shallow.traits = replace(decoder.traits, layers=1)
    kept = saved(shallow, lora)
    available = free(weights.device) + besides
    needed = {again: besides + _memory(decoder, lora, work, kept, again) for again in (False, True)}
    recompute = needed[False] > available
    memory, dense = needed[recompute], 0
    layer = sum(out * inner for out, inner in weights.linears.values()) * weights.dtype.itemsize // layers
    if weights.unpacks:
        dense = max(0, min(layers, int(min(available - memory, available * FOR_DENSE)) // layer))
    weights.keep_dense(min(1, dense))
    measured = measure(shallow, lora, min(LONGEST, work.longest))
    token = layers * (measured.forward * (1 + recompute) + measured.backward)
    epoch = token * work.tokens + measured.head * work.answers
    looks = (1 + recipe.evaluations * recipe.epochs) * layers * measured.forward * work.held_out
    return Estimate(
        memory=memory + dense * layer,
        available=available,
        seconds=epoch * order.steps / order.steps_each + looks,
        tokens_per_second=work.tokens / epoch,
        tokens=work.tokens,
        device=weights.device.type,
        dtype=str(weights.dtype).removeprefix("torch."),
        dense_layers=dense,
        layers=layers,
        recompute=recompute,
    )


def _memory(decoder: Decoder, lora: Lora, work: Work, kept: Saved, recompute: bool) -> int:
    """The most at any time, without what is chosen afterwards."""
    traits, weights = decoder.traits, decoder.weights
    parameters = sum(parameter.numel() for parameter in lora.parameters())
    row = FLOAT * traits.width
    layer = work.longest * (kept.token + kept.squared * work.longest_text)
    through = traits.layers * (work.longest * row if recompute else layer)
    live = LIVE * (1 + recompute) * layer
    rows = min(work.learned, max(1, losses.CHUNK // traits.vocabulary))
    head = CHUNKS * FLOAT * rows * traits.vocabulary + 3 * work.learned * row
    halves = weights.dtype != torch.float32
    buffer = STRIP * (weights.dtype.itemsize + FLOAT * halves) if weights.unpacks else 0
    return int(weights.size + KEPT * FLOAT * parameters + through + live + head + buffer + OURS)


def measure(shallow: Decoder, lora: Lora, most: int) -> Speed:
    """Reads texts of rising length, up to `most` tokens, with the first layer alone."""
    tokens, spent = max(2, min(FIRST, most)), 0.0
    _read(shallow, lora, tokens)  # reads the file, and what kernels prepare
    while True:
        times = [_read(shallow, lora, tokens) for _ in range(2)]
        spent += sum(map(sum, times))
        if tokens >= most or spent * 3 > MEASURING:
            break
        tokens = min(most, 2 * tokens)
    forward, backward, head = map(min, zip(*times, strict=True))  # others run on this machine, too
    return Speed(forward / tokens, backward / tokens, head / tokens)


def _read(shallow: Decoder, lora: Lora, tokens: int) -> tuple[float, float, float]:
    """Seconds of a layer forward and backward, and of the head for all tokens."""
    device = shallow.weights.device
    batch = Batch.of([[0] * tokens], device)
    found: list[Tensor] = []
    forward = seconds(lambda: found.append(shallow.hidden(batch, lora)), device)
    backward = seconds(lambda: torch.autograd.backward(found, [torch.ones_like(found[0])]), device)
    states = found[0].detach().requires_grad_()
    targets = torch.zeros(tokens, dtype=torch.int64, device=device)
    head = seconds(lambda: losses.nll(states, targets, shallow.logits, shallow.traits.vocabulary), device)
    lora.zero_grad()
    return forward, backward, head


def saved(shallow: Decoder, lora: Lora) -> Saved:
    """What autograd keeps of the first layer, counted with two texts."""
    own = {parameter.untyped_storage().data_ptr() for parameter in lora.parameters()}
    counts = []
    for tokens in (64, 128):
        kept: dict[int, int] = {}

        def keep(tensor: Tensor, kept: dict[int, int] = kept) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            hidden = shallow.hidden(Batch.of([[0] * tokens], shallow.weights.device), lora)
        counts.append(sum(kept.values()) / tokens)
        del hidden
    squared = max(0.0, (counts[1] - counts[0]) / 64)
    return Saved(max(0.0, counts[0] - 64 * squared), squared)


def chosen_device(wanted: str) -> str:
    """The device to compute on: a graphics card where there is one. Raises UserError when the wanted is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, found in there.items() if found)
    if not there.get(wanted):
        raise UserError(f"There is no device “{wanted}” here, or this torch was built without it. Choose “auto”.")
    return wanted


def chosen_dtype(wanted: str, device: str) -> str:
    """The type of the operands of products: bfloat16 where a test of some 50 ms says that it is faster."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if _gemm(torch.bfloat16, device) * FASTER < _gemm(torch.float32, device) else "float32"


def _gemm(dtype: torch.dtype, device: str) -> float:
    """Seconds of one product, the best of some."""
    rows, inner, out = GEMM
    a, b = torch.ones(rows, inner, dtype=dtype, device=device), torch.ones(out, inner, dtype=dtype, device=device)
    return min(seconds(lambda: a @ b.T, device) for _ in range(5))


def seconds(work: Callable[[], object], device: str | torch.device) -> float:
    """How long something takes on a device."""
    wait_for(device)
    began = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - began


def wait_for(device: str | torch.device) -> None:
    """Until the device has done what it was given."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize()
    elif kind == "mps":
        torch.mps.synchronize()


def free(device: torch.device) -> int:
    """Bytes that a training may take on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def resident() -> int:
    """Bytes that this process takes now."""
    return psutil.Process().memory_info().rss


def forget_peak(device: torch.device) -> None:
    """From now on `peak` counts anew, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak(device: torch.device) -> int:
    """The most memory (bytes) that was taken: of the graphics card, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    with suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) << 10
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
