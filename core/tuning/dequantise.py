"""Unpacks the blocks of ggml's quantised types into plain numbers, bit for bit as ggml does."""

import ctypes
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp
import torch
from llama_cpp._ctypes_extensions import load_shared_library
from torch import Tensor

from core.models.gguf_header import TENSOR_TYPES

NUMBERS = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
BLOCKS = {name: (values, size) for name, values, size in TENSOR_TYPES.values()}
PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}  # that torch reads itself
WORTH_A_THREAD = 1 << 18  # numbers

_ToFloat = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


class _TypeTraits(ctypes.Structure):
    """ggml.h's ggml_type_traits."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("block", ctypes.c_int64),
        ("interleave", ctypes.c_int64),
        ("size", ctypes.c_size_t),
        ("quantised", ctypes.c_bool),
        ("to_float", ctypes.c_void_p),
        ("from_float", ctypes.c_void_p),
    )


@cache
def ggml() -> Any:
    """The library that holds the types."""
    return load_shared_library("ggml-base", Path(llama_cpp.__file__).parent / "lib")


@cache
def _to_float(kind: str) -> Any:
    library = ggml()
    library.ggml_get_type_traits.restype = ctypes.POINTER(_TypeTraits)
    library.ggml_get_type_traits.argtypes = (ctypes.c_int,)
    return _ToFloat(library.ggml_get_type_traits(NUMBERS[kind]).contents.to_float)


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="unpack")


def unpack(packed: Tensor, kind: str, out: Tensor) -> None:
    """Unpacks bytes into `out`, which is contiguous, of as many numbers, and of any type of float."""
    if kind in PLAIN:
        out.view(-1).copy_(packed.view(PLAIN[kind]))
    elif out.dtype != torch.float32:
        floats = torch.empty(out.numel(), dtype=torch.float32)
        _unpack_floats(packed, kind, floats)
        out.view(-1).copy_(floats)
    else:
        _unpack_floats(packed, kind, out)


def _unpack_floats(packed: Tensor, kind: str, out: Tensor) -> None:
    """By ggml itself, which lets other threads of Python run meanwhile."""
    values, size = BLOCKS[kind]
    blocks = out.numel() // values
    convert, source, target = _to_float(kind), packed.data_ptr(), out.data_ptr()
    count = min(torch.get_num_threads(), -(-out.numel() // WORTH_A_THREAD))
    share = -(-blocks // count)
    waiting: list[Future[None]] = []
    for start in range(share, blocks, share):
        numbers = min(share, blocks - start) * values
        job = _threads(count).submit(convert, source + start * size, target + start * values * 4, numbers)
        waiting.append(job)
    convert(source, target, min(share, blocks) * values)
    for job in waiting:
        job.result()
