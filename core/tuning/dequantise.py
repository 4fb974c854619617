"""Unpacks the blocks of ggml's quantised types into plain numbers, bit for bit as ggml does."""

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

from core.engine.ggml import BLOCKS, to_float

PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}  # that torch reads itself
WORTH_A_THREAD = 1 << 18  # numbers


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="unpack")


def unpack(packed: Tensor, kind: str, out: Tensor) -> None:
    """Unpacks bytes into `out`, which is contiguous, of as many numbers, and of any type of float."""
    numbers = out.view(-1)
    values, size = BLOCKS[kind]
    if kind in PLAIN:
        numbers.copy_(packed.view(PLAIN[kind]))
    elif packed.device.type != "cpu":
        numbers.copy_(unpack_in_torch(packed, kind).view(-1))
    elif out.dtype == torch.float32:
        _unpack_floats(packed, kind, numbers)
    else:
        floats = _scratch()
        for start in range(0, len(numbers), len(floats)):
            part = numbers[start : start + len(floats)]
            _unpack_floats(packed[start // values * size :], kind, floats[: len(part)])
            part.copy_(floats[: len(part)])


@cache
def _scratch() -> Tensor:
    """Room for numbers on their way to another type, which stays in the processor's cache; of whole blocks."""
    return torch.empty(1 << 20, dtype=torch.float32)


def _unpack_floats(packed: Tensor, kind: str, out: Tensor) -> None:
    """By ggml itself, which lets other threads of Python run meanwhile."""
    values, size = BLOCKS[kind]
    blocks = out.numel() // values
    convert, source, target = to_float(kind), packed.data_ptr(), out.data_ptr()
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


def unpack_in_torch(packed: Tensor, kind: str) -> Tensor:
    """The same by operations of torch, on any device: (blocks, values) in float32."""
    return _KINDS[kind](packed.view(-1, BLOCKS[kind][1]))


def _half(blocks: Tensor, at: int) -> Tensor:
    """The 16-bit float at a byte of each block, (blocks, 1)."""
    return blocks[:, at : at + 2].contiguous().view(torch.float16).float()


def _nibbles(data: Tensor, run: int) -> Tensor:
    """Numbers of 4 bits, (blocks, 2 · bytes): of each `run` bytes first the lower halves, then the upper ones."""
    runs = data.unflatten(1, (-1, 1, run))
    return torch.cat((runs & 15, runs >> 4), 2).flatten(1)


def _bits(data: Tensor, width: int, count: int) -> Tensor:
    """`count` numbers of `width` bits of each byte, the lowest first: (…, count, bytes)."""
    shifts = torch.arange(0, count * width, width, dtype=torch.uint8, device=data.device)[:, None]
    return (data.unsqueeze(-2) >> shifts) & ((1 << width) - 1)


def _grouped(numbers: Tensor, scales: Tensor) -> Tensor:
    """Numbers of a block times the scale of their group."""
    return (numbers.unflatten(1, (scales.shape[1], -1)) * scales[:, :, None]).flatten(1)


def _q4_0(b: Tensor) -> Tensor:
    return (_nibbles(b[:, 2:], 16).float() - 8) * _half(b, 0)


def _q4_1(b: Tensor) -> Tensor:
    return _nibbles(b[:, 4:], 16).float() * _half(b, 0) + _half(b, 2)


def _fifth(data: Tensor) -> Tensor:
    """The fifth bits of 32 numbers, in 4 bytes: (blocks, 32) of 0 or 16."""
    return _bits(data, 1, 8).transpose(1, 2).flatten(1) << 4


def _q5_0(b: Tensor) -> Tensor:
    return ((_nibbles(b[:, 6:], 16) | _fifth(b[:, 2:6])).float() - 16) * _half(b, 0)


def _q5_1(b: Tensor) -> Tensor:
    return (_nibbles(b[:, 8:], 16) | _fifth(b[:, 4:8])).float() * _half(b, 0) + _half(b, 2)


def _q8_0(b: Tensor) -> Tensor:
    return b[:, 2:].view(torch.int8).float() * _half(b, 0)


def _q2_k(b: Tensor) -> Tensor:
    scales = b[:, :16]
    numbers = _bits(b[:, 16:80].unflatten(1, (2, 32)), 2, 4).flatten(1).float()
    lows = (scales >> 4).float() * _half(b, 82)
    return _grouped(numbers, (scales & 15).float() * _half(b, 80)) - lows.repeat_interleave(16, 1)


def _q3_k(b: Tensor) -> Tensor:
    first, top = b[:, 96:104], b[:, 104:108]
    scales = torch.cat((first & 15, first >> 4), 1) | (_bits(top, 2, 4).flatten(1) << 4)
    third = _bits(b[:, :32], 1, 8).flatten(1) << 2
    numbers = (_bits(b[:, 32:96].unflatten(1, (2, 32)), 2, 4).flatten(1) | third).float() - 4
    return _grouped(numbers, (scales.float() - 32) * _half(b, 108))


def _scales_and_lows(s: Tensor) -> tuple[Tensor, Tensor]:
    """Eight scales and as many offsets of 6 bits, in 12 bytes."""
    first, second, last = s[:, :4], s[:, 4:8], s[:, 8:]
    scales = torch.cat((first & 63, (last & 15) | (first >> 6 << 4)), 1)
    lows = torch.cat((second & 63, (last >> 4) | (second >> 6 << 4)), 1)
    return scales.float(), lows.float()


def _q4_k(b: Tensor) -> Tensor:
    scales, lows = _scales_and_lows(b[:, 4:16])
    lows = (lows * _half(b, 2)).repeat_interleave(32, 1)
    return _grouped(_nibbles(b[:, 16:], 32).float(), scales * _half(b, 0)) - lows


def _q5_k(b: Tensor) -> Tensor:
    scales, lows = _scales_and_lows(b[:, 4:16])
    lows = (lows * _half(b, 2)).repeat_interleave(32, 1)
    numbers = _nibbles(b[:, 48:], 32) | (_bits(b[:, 16:48], 1, 8).flatten(1) << 4)
    return _grouped(numbers.float(), scales * _half(b, 0)) - lows


def _q6_k(b: Tensor) -> Tensor:
    top = _bits(b[:, 128:192].unflatten(1, (2, 32)), 2, 4).flatten(1) << 4
    scales = b[:, 192:208].view(torch.int8).float() * _half(b, 208)
    return _grouped((_nibbles(b[:, :128], 64) | top).float() - 32, scales)


_LEVELS = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)  # ggml-common.h, kvalues_iq4nl


def _levels(numbers: Tensor) -> Tensor:
    return torch.tensor(_LEVELS, dtype=torch.float32, device=numbers.device)[numbers.int()]


def _iq4_nl(b: Tensor) -> Tensor:
    return _levels(_nibbles(b[:, 2:], 16)) * _half(b, 0)


def _iq4_xs(b: Tensor) -> Tensor:
    top = _bits(b[:, 2:4], 2, 4).transpose(1, 2).flatten(1)
    scales = _bits(b[:, 4:8], 4, 2).transpose(1, 2).flatten(1) | (top << 4)
    return _grouped(_levels(_nibbles(b[:, 8:], 16)), (scales.float() - 32) * _half(b, 0))


_KINDS = {
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q5_0": _q5_0,
    "Q5_1": _q5_1,
    "Q8_0": _q8_0,
    "Q2_K": _q2_k,
    "Q3_K": _q3_k,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
    "IQ4_NL": _iq4_nl,
    "IQ4_XS": _iq4_xs,
}
