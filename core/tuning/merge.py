"""Adds an adapter to its model's weights: a new GGUF of the same types or of others, which is then compared with both.

Only the weights that were adapted are unpacked, added to and packed again; all others are copied as they are. Other
types are made by llama.cpp's own quantiser from a file in which the adapted weights stand in 16 or 32 bits.
"""

import os
import shutil
import struct
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from core import worker
from core.engine.fit import size as in_words
from core.engine.requests import Loading
from core.errors import Cancelled, UserError
from core.models.checksum import sha256
from core.models.files import FILE_TYPES, ModelFile, read_model
from core.models.gguf_header import STRING, TENSOR_TYPES, Header, Tensor, read_header
from core.paths import finished_file
from core.tuning.adapter_file import AdapterFile, check_fit, read_adapter
from core.worker import Worker

TYPES = (  # that llama.cpp makes without an importance matrix
    *("F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0"),
    *("IQ4_NL", "IQ4_XS", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"),
)
TEXT = """The harbour was built in 1874 by the engineers of the northern railway, and the lighthouse followed ten years
later; it stood on the cliff until the storm of 1911. Why is the sky blue? Because the light of the sun is scattered by
the air, and blue light more than red. A number is prime when nothing but itself and one divides it: 2, 3, 5, 7, 11."""
TOKENS = 128  # of the text that is compared
STRIP = 1 << 24  # numbers that are unpacked at once
CHUNK = 1 << 24  # bytes that are copied at once
SPARE = 64 << 20  # bytes of the disk that are left free

# Nats a token: what packing again costs at most, by the type that most of the weights have.
_LIMITS = {"F32": 1e-3, "F16": 0.01, "BF16": 0.02, "Q8_0": 0.02, "Q6_K": 0.03, "Q5": 0.1, "Q4": 0.2, "IQ4": 0.2}
_WORST = 0.5


@dataclass(frozen=True)
class Merging:
    """How far it is. `stage`: adding, quantising or comparing."""

    stage: str
    fraction: float


@dataclass(frozen=True)
class Merged:
    """The new model, and how it was found to answer. KL in nats a token, from base + adapter."""

    path: Path
    size: int  # bytes
    quantisation: str
    adapted: int  # weights
    kl: float  # to the merged model
    effect: float  # to the base: what the adapter changes
    top1: float  # share of tokens for which base + adapter and the merged model think the same likeliest
    tokens: int
    warning: str = ""


def merge(
    worker: Worker,
    base: Path,
    adapter: Path,
    out: Path,
    scale: float = 1.0,
    kind: str = "",
    name: str = "",
    cancelled: Callable[[], bool] = bool,
) -> Generator[Loading | Merging | Merged, None, None]:
    """Writes base + scale · adapter to `out`, as one of TYPES or, without one, with the types that the base has.

    `name` is what the new model is called. Nothing is at `out` before all of it was compared. Raises UserError where
    the adapter does not fit, the model is in several files, something is at `out` already or there is no room, and
    where the new model answers otherwise than its type accounts for; and Cancelled.
    """
    model, found = read_model(base), read_adapter(adapter)
    if len(model.parts) > 1:
        raise UserError(f"“{model.name}” is in several files, which cannot be merged into. Choose a model in one file.")
    if kind and kind not in TYPES:
        raise UserError(f"There is no type “{kind}” to merge into. Choose one of {', '.join(TYPES)}.")
    made_for = str(found.facts.get("elenchus.base.sha256", ""))
    warning = check_fit(found, model.path, made_for, sha256(model.path, cancelled) if made_for else "")
    _check_place(model, out, kind)
    done = False
    try:
        for item in worker.run(merge_job, model.path, adapter, out, scale, kind, name, warning, cancelled=cancelled):
            done = done or isinstance(item, Merged)
            yield item
    finally:
        for partial in (_partial(out), _unpacked(out)):  # of a child that was killed
            partial.unlink(missing_ok=True)
    if not done:
        raise Cancelled("Merging was stopped. Nothing was written.")


def merge_job(
    base: Path, adapter: Path, out: Path, scale: float, kind: str, name: str, warning: str
) -> Iterator[Loading | Merging | Merged]:
    """The child's part."""
    model, header, found = read_model(base), read_header(base), read_adapter(adapter)
    anew = bool(kind)
    facts = {"general.name": name or f"{model.name} + {adapter.stem}", "elenchus.merged.scale": f"{scale:g}"}
    facts |= {"elenchus.merged.adapter": sha256(adapter), "elenchus.merged.base": sha256(base)}
    try:
        with finished_file(out) as partial:
            first = _unpacked(out) if anew else partial
            with open(base, "rb") as source, open(first, "wb") as target:
                wide = ("F32" if kind in ("F32", "BF16") else "F16") if anew else ""
                yield from _write(source, target, header, facts, found, scale, wide)
            if anew:
                yield from _quantise(first, partial, kind)
                first.unlink()
            types = {kind} if anew else {tensor.type for tensor in header.tensors if tensor.name in found.pairs}
            merged = yield from _compare(base, adapter, scale, partial, types)
        size = out.stat().st_size
    except OSError as error:
        raise UserError(
            f"{out} could not be written: {error.strerror or error}. Nothing was changed there: choose another folder, "
            "or free some room, and merge again."
        ) from error
    finally:
        _unpacked(out).unlink(missing_ok=True)
    yield Merged(out, size, kind or model.quantisation, len(found.pairs), *merged, warning)


def _check_place(model: ModelFile, out: Path, kind: str) -> None:
    """Raises UserError when there is something at `out`, or no room for it."""
    if out.exists():
        raise UserError(f"{out} exists already. Choose another name.")
    if out.suffix.lower() != ".gguf":
        raise UserError(f"{out} does not end with .gguf, so it would not be found as a model. Choose such a name.")
    if not out.parent.is_dir():
        raise UserError(f"There is no folder {out.parent}. Make it, or choose another.")
    wide = 4 if kind in ("F32", "BF16") else 2
    needed = model.size + (2 * wide * model.parameters if kind else 0) + SPARE
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        raise UserError(
            f"Merging needs {in_words(needed)} of room in {out.parent}, and {in_words(free)} are free. "
            "Free some, or choose another folder."
        )


def _partial(out: Path) -> Path:
    return out.with_name(out.name + ".partial")


def _unpacked(out: Path) -> Path:
    """The file that the quantiser reads."""
    return out.with_name(out.name + ".unpacked")


# Writing


def _write(
    source: IO[bytes],
    target: IO[bytes],
    header: Header,
    facts: dict[str, str],
    adapter: AdapterFile,
    scale: float,
    wide: str,
) -> Iterator[Merging]:
    """The base with what is adapted added to it: with the types that it has, or the adapted weights in `wide`."""
    kinds = {tensor.name: wide or tensor.type for tensor in header.tensors if tensor.name in adapter.pairs}
    _check_kinds(kinds)
    source.seek(0)
    target.write(_head(source.read(header.described), header, facts, kinds))
    total, done = sum(tensor.size for tensor in header.tensors), 0
    for tensor in header.tensors:
        source.seek(header.data + tensor.offset)
        for size, data in _contents(source, tensor, adapter, scale, kinds.get(tensor.name, "")):
            if worker.cancelled():
                raise Cancelled("Merging was stopped.")
            target.write(data)
            done += size
            yield Merging("adding", done / total)
        target.write(bytes(-target.tell() % header.alignment))


def _check_kinds(kinds: dict[str, str]) -> None:
    from core.engine.ggml import can_pack

    for name, kind in kinds.items():
        if not can_pack(kind):
            raise UserError(f"The weight “{name}” is of the type {kind}, which cannot be made anew. Choose a --type.")


def _contents(
    source: IO[bytes], tensor: Tensor, adapter: AdapterFile, scale: float, kind: str
) -> Iterator[tuple[int, bytes]]:
    """A tensor in pieces: how many bytes of the base each was, and what it is now."""
    from core.engine.ggml import packed, unpacked

    if not kind:
        for start in range(0, tensor.size, CHUNK):
            data = source.read(min(CHUNK, tensor.size - start))
            yield len(data), data
        return
    a, b = adapter.pairs[tensor.name]
    rows, width = tensor.shape
    strip, bytes_a_row = max(1, STRIP // width), tensor.size // rows
    for start in range(0, rows, strip):
        count = min(strip, rows - start)
        data = source.read(count * bytes_a_row)
        weights = unpacked(data, tensor.type).reshape(count, width)
        weights += (scale * adapter.scale(tensor.name)) * (b[start : start + count] @ a)
        yield len(data), packed(weights, kind)


def _head(metadata: bytes, header: Header, facts: dict[str, str], kinds: dict[str, str]) -> bytes:
    """All that stands before the tensors: the base's metadata with what is said of the merge, and their places."""
    version, count = struct.unpack_from("<IQ", metadata, 4)
    entries, keys = metadata[24:], len(header.metadata)
    for key, value in facts.items():
        if isinstance(old := header.metadata.get(key), str):
            entries, keys = entries.replace(_entry(key, old), b"", 1), keys - 1
        entries, keys = entries + _entry(key, value), keys + 1
    places, offset = bytearray(), 0
    for tensor in header.tensors:
        kind = kinds.get(tensor.name, tensor.type)
        number, values, size = next((n, v, s) for n, (name, v, s) in TENSOR_TYPES.items() if name == kind)
        shape = tensor.shape[::-1]
        places += _text(tensor.name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, number, offset)
        offset += tensor.elements // values * size
        offset += -offset % header.alignment
    head = b"GGUF" + struct.pack("<IQQ", version, count, keys) + entries + places
    return head + bytes(-len(head) % header.alignment)


def _entry(key: str, value: str) -> bytes:
    return _text(key) + struct.pack("<I", STRING) + _text(value)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _quantise(source: Path, target: Path, kind: str) -> Iterator[Merging]:
    """llama.cpp's quantiser; it cannot be stopped but with its process."""
    from core.engine.devices import physical_cores
    from core.engine.native import log, native

    log().clear()
    parameters = native.llama_model_quantize_default_params()
    parameters.ftype = next(number for number, name in FILE_TYPES.items() if name == kind)
    parameters.nthread, parameters.allow_requantize = physical_cores(), True
    failed: list[int] = []

    def work() -> None:
        failed.append(native.llama_model_quantize(os.fsencode(source), os.fsencode(target), parameters))

    thread = threading.Thread(target=work, name="quantise", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
        written = target.stat().st_size if target.exists() else 0
        yield Merging("quantising", min(1.0, written / source.stat().st_size))
    if not failed or failed[0]:
        raise UserError(f"llama.cpp could not make the type {kind}: {log().reason()}. Choose another type.")


# Comparing


def _compare(
    base: Path, adapter: Path, scale: float, merged: Path, types: set[str]
) -> Generator[Loading | Merging, None, tuple[float, float, float, int]]:
    """KL to the merged model and to the base, and how often the likeliest token is the same; of how many tokens.

    Raises UserError where the merged model answers otherwise than its type accounts for, and what was packed away may
    be what the adapter has learned.
    """
    wanted, before = yield from _logits(base, adapter, scale)
    (found,) = yield from _logits(merged, None, 0.0)
    kl, effect = _divergence(wanted, found), _divergence(wanted, before)
    top1 = float((wanted.argmax(-1) == found.argmax(-1)).mean())
    limit = max(next((_LIMITS[begin] for begin in _LIMITS if kind.startswith(begin)), _WORST) for kind in types)
    if not (kl <= limit or kl < effect / 2):  # also where it is no number
        raise UserError(
            f"The merged model answers otherwise than the base with the adapter: KL {kl:.3g} nats a token, where "
            f"{' and '.join(sorted(types))} would account for {limit:g} and the adapter itself changes {effect:.3g}. "
            "So it was not kept. Choose a type with more bits, such as Q8_0."
        )
    return kl, effect, top1, len(wanted)


def _logits(path: Path, adapter: Path | None, scale: float) -> Generator[Loading | Merging, None, list[Any]]:
    """Every logit of the text: with the adapter and without it, or without it alone."""
    from core.engine.llama import load_model
    from core.engine.logits import every_logit
    from core.engine.native import log

    yield Merging("comparing", 0.0)
    model = yield from load_model(path, 0, worker.cancelled)
    if model is None:
        if worker.cancelled():
            raise Cancelled("Merging was stopped.")
        raise UserError(f"“{path.name}” could not be loaded: {log().reason()}. Choose another file.")
    try:
        tokens = model.vocabulary.beginning(TEXT)[:TOKENS]
        with_adapter = [] if adapter is None else [every_logit(model, tokens, model.adapter(adapter), scale)]
        return [*with_adapter, every_logit(model, tokens)]
    finally:
        model.close()


def _divergence(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """The mean of Kullback and Leibler's divergence over the tokens, in nats."""
    p, q = _log_shares(wanted), _log_shares(found)
    return float((np.exp(p) * (p - q)).sum(-1).mean())


def _log_shares(logits: NDArray[Any]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))
