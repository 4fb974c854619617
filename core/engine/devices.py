"""What a model can run on: graphics cards, accelerators and the processor, with their memory."""

import ctypes
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

Kind = Literal["cpu", "gpu", "integrated", "accelerator"]

# ggml_backend_dev_type
_KINDS: tuple[Kind, ...] = ("cpu", "gpu", "integrated", "accelerator")


@dataclass(frozen=True)
class Device:
    """A device that llama.cpp was compiled for and found; memory in bytes."""

    name: str  # llama.cpp's, as “CUDA0”
    description: str  # what it is sold as
    backend: str  # CUDA, Vulkan, Metal, CPU, …
    kind: Kind
    memory_total: int
    memory_free: int
    cores: int = 0  # of a processor, without hyper-threads


def processor() -> Device:
    """The processor and the system's memory; needs no native code."""
    memory = psutil.virtual_memory()
    return Device("CPU", _processor_name(), "CPU", "cpu", memory.total, memory.available, physical_cores())


def physical_cores() -> int:
    """The cores that this process may use, without hyper-threads: more threads make llama.cpp slower."""
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return max(1, min(cores, allowed))


def devices() -> list[Device]:
    """All devices, the processor last. Calls native code: for the worker's child only."""
    from core.engine.native import log, native

    log()
    found = []
    if native.llama_supports_gpu_offload():
        try:
            found = list(_native_devices())
        except (AttributeError, OSError, RuntimeError):  # a build that exports less
            found = [Device("GPU", "GPU", "", "gpu", 0, 0)]
    return [*(device for device in found if device.kind != "cpu"), processor()]


def devices_job() -> Iterator[list[Device]]:
    """A worker's job: the devices, once."""
    yield devices()


def carrying(found: Sequence[Device]) -> list[Device]:
    """Those that llama.cpp puts layers on: the graphics cards, or where there are none, what is in the processor."""
    return [device for device in found if device.kind == "gpu"] or [d for d in found if d.kind == "integrated"]


def _native_devices() -> Iterator[Device]:
    from llama_cpp._ctypes_extensions import load_shared_library
    from llama_cpp._ggml import libggml, libggml_base_path

    base: Any = load_shared_library("ggml-base", libggml_base_path)
    size, pointer, text = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
    for function, result, arguments in (
        (libggml.ggml_backend_dev_count, size, []),
        (libggml.ggml_backend_dev_get, pointer, [size]),
        (base.ggml_backend_dev_type, ctypes.c_int, [pointer]),
        (base.ggml_backend_dev_name, text, [pointer]),
        (base.ggml_backend_dev_description, text, [pointer]),
        (base.ggml_backend_dev_backend_reg, pointer, [pointer]),
        (base.ggml_backend_reg_name, text, [pointer]),
        (base.ggml_backend_dev_memory, None, [pointer, ctypes.POINTER(size), ctypes.POINTER(size)]),
    ):
        function.restype, function.argtypes = result, arguments
    for index in range(libggml.ggml_backend_dev_count()):
        device = libggml.ggml_backend_dev_get(index)
        kind = base.ggml_backend_dev_type(device)
        if kind >= len(_KINDS):
            continue
        free, total = size(), size()
        base.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        yield Device(
            name=_text(base.ggml_backend_dev_name(device)),
            description=_text(base.ggml_backend_dev_description(device)),
            backend=_text(base.ggml_backend_reg_name(base.ggml_backend_dev_backend_reg(device))),
            kind=_KINDS[kind],
            memory_total=total.value,
            memory_free=free.value,
        )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", errors="replace")


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
