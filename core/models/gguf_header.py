"""Reads the header of a GGUF file from a stranger: under limits, in pure Python, trusting no number in it.

The layout is that of github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from core.errors import UserError

MAGIC = b"GGUF"
VERSIONS = (2, 3)

# What the largest models of 2025 need (a vocabulary of 262,144 with 514,906 merges), and some room.
HEADER_BYTES = 64 << 20
STRINGS = 2_000_000
KEYS = 65_536
KEY_BYTES = 65_535
TENSORS = 65_536
TENSOR_NAME_BYTES = 63
DIMENSIONS = 4
STRING_BYTES = 8 << 20
KEPT_NUMBERS = 4_096  # longer arrays are only counted
CHUNK = 1 << 20

_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
FLOAT32, INT32, UINT32 = 6, 5, 4
STRING, ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
_COUNT = struct.Struct("<I")

# ggml's tensor types: name, values in a block, bytes of a block.
TENSOR_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}


@dataclass(frozen=True)
class Array:
    """An array of the metadata: its element type and length; the values only of short arrays of numbers."""

    type: int
    count: int
    values: tuple[int | float | bool, ...] | None = None


Value = int | float | bool | str | Array


@dataclass(frozen=True)
class Tensor:
    """One tensor: `elements` values of ggml type `type` in `size` bytes, `offset` bytes into the data."""

    name: str
    type: str
    elements: int
    offset: int
    size: int
    shape: tuple[int, ...] = ()  # as numpy counts: what lies side by side in the file comes last


@dataclass(frozen=True)
class Header:
    """All that precedes the weights of a GGUF file."""

    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]
    file_size: int
    data: int = 0  # where in the file the tensors begin
    described: int = 0  # where in the file their descriptions begin, behind the metadata
    alignment: int = 32


class _Reader:
    """Reads a file from its start, piece by piece: no more is in memory than the header has proved to need.

    A memory map would be shorter, but a file that shrinks meanwhile would end the process.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self.name = name
        self.size = os.fstat(file.fileno()).st_size
        self.buffer = bytearray()
        self.position = 0
        self.strings = 0

    def incomplete(self) -> NoReturn:
        raise UserError(f"“{self.name}” is incomplete: the file ends too early. Download it again.")

    def damaged(self, why: str) -> NoReturn:
        raise UserError(
            f"“{self.name}” is damaged or not a model file: {why}. Download it again or choose another model."
        )

    def need(self, count: int) -> int:
        """Makes sure that `count` more bytes are in the buffer; gives the position where they start."""
        end = self.position + count
        if end > len(self.buffer):
            if end > self.size:
                self.incomplete()
            if end > HEADER_BYTES:
                self.damaged(f"its description is longer than {HEADER_BYTES >> 20} MB")
            self.buffer += self._file.read(max(end - len(self.buffer), CHUNK))
            if end > len(self.buffer):
                self.incomplete()
        return self.position

    def number(self, layout: struct.Struct) -> int | float | bool:
        start = self.need(layout.size)
        self.position += layout.size
        return layout.unpack_from(self.buffer, start)[0]

    def count(self, layout: struct.Struct, most: int, what: str) -> int:
        value = int(self.number(layout))
        if value > most:
            self.damaged(f"it declares {value:,} {what}")
        return value

    def text(self, most: int = STRING_BYTES) -> str:
        length = self.count(_LENGTH, most, "bytes for one text")
        start = self.need(length)
        self.position += length
        return self.buffer[start : self.position].decode("utf-8", errors="replace")

    def skip_texts(self, count: int) -> None:
        self.strings += count
        if self.strings > STRINGS:
            self.damaged(f"it declares {self.strings:,} texts")
        unpack, buffer, read, position = _LENGTH.unpack_from, self.buffer, len(self.buffer), self.position
        for _ in range(count):  # hundreds of thousands: without a call for each
            if position + 8 > read:
                self.position = position
                self.need(8)
                read = len(buffer)
            position += 8 + unpack(buffer, position)[0]
        self.position = position
        self.need(0)


def read_header(path: Path) -> Header:
    """The header of a GGUF file, checked against the file's size; reads at most 64 MB.

    Raises UserError when the file cannot be read, is no GGUF file, is damaged, or was cut short.
    """
    if path.exists() and not path.is_file():  # a pipe would wait for ever
        raise UserError(f"“{path.name}” is not a file. Choose a model file.")
    try:
        with open(path, "rb") as file:
            return _read(_Reader(file, path.name))
    except OSError as error:
        raise UserError(f"“{path.name}” cannot be read: {error.strerror or error}. Choose another file.") from error


def _read(reader: _Reader) -> Header:
    _check_magic(reader)
    tensor_count = reader.count(_LENGTH, TENSORS, "tensors")
    key_count = reader.count(_LENGTH, KEYS, "entries")
    metadata: dict[str, Value] = {}
    for _ in range(key_count):
        key = reader.text(KEY_BYTES)
        if key in metadata:
            reader.damaged(f"it says “{_short(key)}” twice")
        metadata[key] = _value(reader)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1 or alignment > 1 << 20 or alignment & (alignment - 1):
        reader.damaged("its alignment is not a power of two")
    described = reader.position
    tensors = _tensors(reader, tensor_count, alignment)
    data = _aligned(reader.position, alignment)
    if tensors and data + tensors[-1].offset + tensors[-1].size > reader.size:
        reader.incomplete()
    return Header(metadata, tensors, reader.size, data, described, alignment)


def _check_magic(reader: _Reader) -> None:
    start = bytes(reader.buffer[: reader.need(min(8, reader.size)) + min(8, reader.size)])
    if not start:
        raise UserError(f"“{reader.name}” is empty. Download it again.")
    if start[:4] != MAGIC[: len(start)]:
        reader.damaged("it does not begin as a GGUF file does")
    if len(start) < 8:
        reader.incomplete()
    version = _COUNT.unpack(start[4:8])[0]
    if version not in VERSIONS:
        if int.from_bytes(start[4:8], "big") in VERSIONS:
            reason = "it was written for big-endian machines"
        else:
            reason = f"its format has the version {version}, and this application reads 2 and 3"
        raise UserError(f"“{reader.name}” cannot be used: {reason}. Choose another file of this model.")
    reader.position = 8


def _value(reader: _Reader) -> Value:
    kind = int(reader.number(_COUNT))
    if kind == STRING:
        return reader.text()
    if kind == ARRAY:
        return _array(reader)
    if kind not in _SCALARS:
        reader.damaged(f"it has a value of the unknown type {kind}")
    return reader.number(_SCALARS[kind])


def _array(reader: _Reader) -> Array:
    kind = int(reader.number(_COUNT))
    count = reader.count(_LENGTH, HEADER_BYTES, "values in one list")
    if kind == STRING:
        reader.skip_texts(count)
        return Array(kind, count)
    if kind not in _SCALARS:  # a list in a list as well: llama.cpp knows none
        reader.damaged(f"it has a list of the unknown type {kind}")
    layout = _SCALARS[kind]
    start = reader.need(count * layout.size)
    reader.position += count * layout.size
    if count > KEPT_NUMBERS:
        return Array(kind, count)
    values = struct.unpack_from(f"<{count}{layout.format[-1]}", reader.buffer, start)
    return Array(kind, count, values)


def _tensors(reader: _Reader, count: int, alignment: int) -> tuple[Tensor, ...]:
    tensors: list[Tensor] = []
    names: set[str] = set()
    end = 0
    for _ in range(count):
        tensor = _tensor(reader)
        if tensor.name in names:
            reader.damaged(f"it has the tensor “{_short(tensor.name)}” twice")
        if tensor.offset != end:
            reader.damaged(f"the tensor “{_short(tensor.name)}” does not lie where the one before it ends")
        names.add(tensor.name)
        tensors.append(tensor)
        end = _aligned(tensor.offset + tensor.size, alignment)
    return tuple(tensors)


def _tensor(reader: _Reader) -> Tensor:
    name = reader.text(TENSOR_NAME_BYTES)
    dimensions = reader.count(_COUNT, DIMENSIONS, "dimensions of a tensor")
    shape: list[int] = []
    elements = 1
    for _ in range(dimensions):
        shape.insert(0, int(reader.number(_LENGTH)))
        elements *= shape[0]
        if not 0 < elements < 1 << 62:
            reader.damaged(f"the tensor “{_short(name)}” has an impossible size")
    kind = int(reader.number(_COUNT))
    if kind not in TENSOR_TYPES:
        reader.damaged(f"the tensor “{_short(name)}” has the unknown type {kind}")
    type_name, block, block_bytes = TENSOR_TYPES[kind]
    if shape and shape[-1] % block:
        reader.damaged(f"the rows of the tensor “{_short(name)}” do not fit its type {type_name}")
    offset = int(reader.number(_LENGTH))
    return Tensor(name, type_name, elements, offset, elements // block * block_bytes, tuple(shape))


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "…"
