"""An adapter that is added to its model for good: what changes, what does not, and that it answers the same."""

import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import Cancelled, UserError
from core.models.files import read_model
from core.models.gguf_header import read_header
from core.tuning import merge as merging
from core.tuning.adapter_file import read_adapter, write_adapter
from core.tuning.merge import Merged, Merging, merge
from core.worker import Worker
from tests.data.gguf_architectures import dequantise, quantise, write_model

ADAPTED = {"blk.0.attn_q.weight": (256, 256), "blk.1.ffn_down.weight": (256, 512)}
RANK, ALPHA = 4, 8.0


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def make_adapter(
    path: Path, shapes: dict[str, tuple[int, int]] = ADAPTED, architecture: str = "llama", made_for: str = ""
) -> Path:
    chance = np.random.default_rng(3)
    tensors = {}
    for name, (rows, columns) in shapes.items():
        tensors[f"{name}.lora_a"] = (chance.standard_normal((RANK, columns)) * 0.05).astype(np.float32)
        tensors[f"{name}.lora_b"] = (chance.standard_normal((rows, RANK)) * 0.2).astype(np.float32)
    write_adapter(path, architecture, tensors, ALPHA, {"elenchus.base.sha256": made_for})
    return path


def data(path: Path) -> dict[str, tuple[str, bytes]]:
    """The type and the bytes of each tensor, by a reader that is not ours."""
    return {t.name: (t.tensor_type.name, t.data.tobytes()) for t in gguf.GGUFReader(path).tensors}


def numbers(kind: str, raw: bytes, shape: tuple[int, int]) -> NDArray[np.float32]:
    if kind == "F32":
        return np.frombuffer(raw, np.float32).reshape(shape)
    if kind == "F16":
        return np.frombuffer(raw, np.float16).reshape(shape).astype(np.float32)
    return dequantise(np.frombuffer(raw, np.uint8).reshape(shape[0], -1), kind)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_K"])
def test_only_what_was_adapted_changes_and_it_answers_the_same(worker: Worker, tmp_path: Path, kind: str) -> None:
    base = write_model(tmp_path / "base.gguf", "llama", kind=kind)
    adapter = make_adapter(tmp_path / "adapter.gguf")
    out = tmp_path / "merged.gguf"
    items = list(merge(worker, base, adapter, out, 0.5))
    merged = items[-1]
    assert isinstance(merged, Merged)
    assert {item.stage for item in items if isinstance(item, Merging)} == {"adding", "comparing"}
    before, after, pairs = data(base), data(out), read_adapter(adapter).pairs
    assert list(before) == list(after)
    for name in before:
        if name not in ADAPTED:
            assert after[name] == before[name]
            continue
        a, b = pairs[name]
        wanted = numbers(*before[name], ADAPTED[name]) + 0.5 * ALPHA / RANK * (b @ a)
        packed = (
            wanted.astype(np.float32).tobytes()
            if kind == "F32"
            else quantise(wanted.astype(np.float32), kind).tobytes()
        )
        found = numbers(*after[name], ADAPTED[name])
        assert after[name][0] == kind
        assert np.abs(found - numbers(kind, packed, ADAPTED[name])).max() <= np.abs(wanted).max() * 1e-3
    assert merged.adapted == 2
    assert merged.effect > 0.5  # a network of random weights makes much of little
    assert merged.kl < {"F32": 1e-6, "F16": 1e-4, "Q8_0": 0.01, "Q4_K": 0.4}[kind]
    header = read_header(out)
    assert read_model(out).name == "tiny-random + adapter"
    old = read_header(base).metadata
    assert {k: v for k, v in header.metadata.items() if k in old and k != "general.name"} == {
        k: v for k, v in old.items() if k != "general.name"
    }
    assert header.metadata["elenchus.merged.scale"] == "0.5"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["adapter.gguf", "base.gguf", "merged.gguf"]


def test_other_types_are_made_by_llama_cpp(worker: Worker, tmp_path: Path) -> None:
    base = write_model(tmp_path / "base.gguf", "qwen2", kind="Q8_0")
    adapter = make_adapter(tmp_path / "adapter.gguf", architecture="qwen2")
    items = list(merge(worker, base, adapter, tmp_path / "small.gguf", kind="Q4_K_M", name="Mine"))
    small = items[-1]
    assert isinstance(small, Merged)
    assert "quantising" in {item.stage for item in items if isinstance(item, Merging)}
    found = read_model(tmp_path / "small.gguf")
    assert (found.quantisation, found.name, small.quantisation) == ("Q4_K_M", "Mine", "Q4_K_M")
    assert data(tmp_path / "small.gguf")["blk.0.attn_q.weight"][0] == "Q4_K"
    assert small.size < base.stat().st_size
    assert small.kl < small.effect
    list(merge(worker, base, adapter, tmp_path / "wide.gguf", kind="F32"))
    kind, raw = data(tmp_path / "wide.gguf")["blk.0.attn_q.weight"]
    a, b = read_adapter(adapter).pairs["blk.0.attn_q.weight"]
    wanted = numbers(*data(base)["blk.0.attn_q.weight"], (256, 256)) + ALPHA / RANK * (b @ a)
    np.testing.assert_allclose(numbers(kind, raw, (256, 256)), wanted, atol=1e-5)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["adapter.gguf", "base.gguf", "small.gguf", "wide.gguf"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "base.gguf", "llama")


def test_what_cannot_be_merged_is_said(
    worker: Worker, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, out = make_adapter(tmp_path / "adapter.gguf"), tmp_path / "out.gguf"

    def refused(match: str, *arguments: Any, **options: Any) -> None:
        with pytest.raises(UserError, match=match):
            list(merge(worker, *arguments, **options))
        assert not list(tmp_path.glob("out.gguf*"))

    refused("architecture gemma2, and", base, make_adapter(tmp_path / "g.gguf", architecture="gemma2"), out)
    wide = make_adapter(tmp_path / "wide.gguf", {"blk.0.attn_q.weight": (256, 128)})
    refused("of another size there, or missing", base, wide, out)
    refused("of another size", base, make_adapter(tmp_path / "deep.gguf", {"blk.7.attn_q.weight": (256, 256)}), out)
    refused("no type “Q9”", base, adapter, out, kind="Q9")
    refused("does not end with .gguf", base, adapter, tmp_path / "out.bin")
    refused("There is no folder", base, adapter, tmp_path / "nowhere" / "out.gguf")
    refused("is not a LoRA adapter", base, base, out)
    for number in (1, 2):
        shutil.copyfile(base, tmp_path / f"split-0000{number}-of-00002.gguf")
    refused("is in several files", tmp_path / "split-00001-of-00002.gguf", adapter, out)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(merging.shutil, "disk_usage", lambda _: usage(10, 9, 1))
    refused(r"needs \d+ MB of room", base, adapter, out)
    out.write_bytes(b"mine")
    with pytest.raises(UserError, match="exists already"):
        list(merge(worker, base, adapter, out))
    assert out.read_bytes() == b"mine"


def test_stopped_it_leaves_nothing(worker: Worker, base: Path, tmp_path: Path) -> None:
    items: list[Any] = []
    adapter, out = make_adapter(tmp_path / "a.gguf"), tmp_path / "out.gguf"
    merged = merge(worker, base, adapter, out, cancelled=lambda: bool(items))
    with pytest.raises(Cancelled):
        items.extend(item for item in merged if not items.append(item))
    assert [file.name for file in tmp_path.iterdir()] == ["a.gguf"]


def test_a_model_that_answers_otherwise_is_not_kept(worker: Worker, base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "a.gguf")
    with pytest.raises(
        UserError, match=r"answers otherwise than the base with the adapter: KL .* Q2_K would account for"
    ):
        list(merge(worker, base, adapter, tmp_path / "out.gguf", scale=0.02, kind="Q2_K"))
    assert [file.name for file in tmp_path.iterdir()] == ["a.gguf"]


def test_an_adapter_of_another_quantisation_is_warned_of(worker: Worker, base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "a.gguf", made_for="ab" * 32)
    merged = list(merge(worker, base, adapter, tmp_path / "out.gguf"))[-1]
    assert isinstance(merged, Merged)
    assert "made for another file" in merged.warning
