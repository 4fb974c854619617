"""ggml's types of numbers: unpacks and packs blocks of them, by the library that llama.cpp computes with."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp._ctypes_extensions import load_shared_library
from numpy.typing import NDArray

from core.models.gguf_header import TENSOR_TYPES

NUMBERS = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
BLOCKS = {name: (values, size) for name, values, size in TENSOR_TYPES.values()}

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
    library = load_shared_library("ggml-base", Path(llama_cpp.__file__).parent / "lib")
    library.ggml_get_type_traits.restype = ctypes.POINTER(_TypeTraits)
    library.ggml_get_type_traits.argtypes = (ctypes.c_int,)
    library.ggml_quantize_requires_imatrix.restype = ctypes.c_bool
    library.ggml_quantize_requires_imatrix.argtypes = (ctypes.c_int,)
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = (
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
        *(ctypes.c_int64,) * 3,
        ctypes.c_void_p,
    )
    return library


@cache
def to_float(kind: str) -> Any:
    """ggml's function (blocks, floats, count) that unpacks a type; F32 has none."""
    return _ToFloat(ggml().ggml_get_type_traits(NUMBERS[kind]).contents.to_float)


def unpacked(data: bytes, kind: str) -> NDArray[np.float32]:
    """The numbers of some blocks."""
    if kind == "F32":
        return np.frombuffer(data, "<f4").copy()
    values, size = BLOCKS[kind]
    found = np.empty(len(data) // size * values, np.float32)
    to_float(kind)(data, found.ctypes.data, found.size)
    return found


def packed(rows: NDArray[np.float32], kind: str) -> bytes:
    """Rows of numbers as blocks, as llama.cpp's quantiser makes them without an importance matrix."""
    rows = np.ascontiguousarray(rows, np.float32)
    if kind == "F32":
        return rows.astype("<f4").tobytes()
    values, size = BLOCKS[kind]
    found = ctypes.create_string_buffer(rows.size // values * size)
    ggml().ggml_quantize_chunk(NUMBERS[kind], rows.ctypes.data, found, 0, *rows.shape, None)
    return found.raw


def can_pack(kind: str) -> bool:
    """Whether numbers can be put into a type without knowing which of them count for most."""
    return not ggml().ggml_quantize_requires_imatrix(NUMBERS[kind])
