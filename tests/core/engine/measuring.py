"""Asks llama.cpp how much memory a model and its contexts take; for a worker's child."""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from core.engine.context import Context
from core.engine.fit import Estimate, Need
from core.engine.llama import Model
from core.engine.native import log, native
from core.engine.shape import Shape

MIB = 1 << 20


def measure_job(path: Path, gpu_layers: int, shapes: list[Shape], pretend: bool = True) -> Iterator[Estimate | None]:
    """What llama.cpp reports for each shape; None where it makes no such context. To `pretend` allocates nothing."""
    lines: list[str] = []
    log()
    callback = native.llama_log_callback(lambda _level, text, _data: lines.append(text.decode(errors="replace")))
    native.llama_log_set(callback, ctypes.c_void_p(0))
    parameters = native.llama_model_default_params()
    parameters.n_gpu_layers = gpu_layers
    parameters.use_extra_bufts = False
    no_devices = (ctypes.c_void_p * 1)()
    if not gpu_layers:
        parameters.devices = ctypes.addressof(no_devices)
    if pretend:
        parameters.no_alloc, parameters.load_mode = True, 0  # no memory map
    pointer = native.llama_model_load_from_file(bytes(path), parameters)
    assert pointer, "".join(lines)[-2000:]
    model = Model(pointer, gpu_layers)
    weights = _sizes(r"(\S+) model buffer size = +([\d.]+) MiB", lines)
    if pretend:
        weights = (native.llama_model_size(pointer), 0)
    for shape in shapes:
        lines.clear()
        context = Context.create(model, shape, 1)
        yield context and _measured(weights, lines)
        if context:
            context.close()
    model.close()
    log().listen()


def _measured(weights: tuple[int, int], lines: list[str]) -> Estimate:
    compute = _sizes(r"(\S+) compute buffer size = +([\d.]+) MiB", lines)
    output = _sizes(r"(\S+) +output buffer size = +([\d.]+) MiB", lines)
    cache = _sizes(r"(\S+) KV buffer size = +([\d.]+) MiB", lines)
    state = _sizes(r"(\S+) RS buffer size = +([\d.]+) MiB", lines)
    if not any(cache):  # it was only pretended
        totals = re.findall(r"llama_kv_cache: size = +([\d.]+) MiB", "".join(lines))
        cache = (int(MIB * sum(map(float, totals))), 0)
    needs = [Need(weights[at], cache[at] + state[at], compute[at] + output[at]) for at in (0, 1)]
    return Estimate(*needs)


def _sizes(pattern: str, lines: list[str]) -> tuple[int, int]:
    """Bytes in the system's memory and in the graphics card's."""
    found = re.findall(pattern, "".join(lines))
    system = sum(float(size) for name, size in found if name.startswith("CPU") or name.endswith("_Host"))
    return int(MIB * system), int(MIB * sum(float(size) for _, size in found)) - int(MIB * system)


def growth_job(path: Path, shape: Shape) -> Iterator[tuple[int, int]]:
    """How many bytes the process has grown by the model and its context, before and after a batch was decoded."""
    from core.engine.llama import load_model
    from core.engine.loading import _warm_up

    log()
    before = psutil.Process().memory_info().rss
    loading: Any = load_model(path, 0, lambda: False)
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            model = stop.value
            break
    context = Context.create(model, shape, 1)
    assert context is not None
    made = psutil.Process().memory_info().rss - before
    assert _warm_up(context, model)
    yield made, psutil.Process().memory_info().rss - before
    context.close()
    model.close()
