"""Model files from strangers: what is broken is refused with a sentence, quickly, in little memory."""

import struct
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from core.engine import run_tasks
from core.engine.requests import EngineSettings, Request
from core.errors import UserError
from core.models.files import LONGEST_CONTEXT, read_model
from core.models.gguf_header import TENSOR_TYPES, read_header
from core.worker import Worker
from tests.data.gguf_tiny import CHATML, write_tiny

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


def refusal(path: Path) -> str:
    """The sentence with which a file is refused, in time and memory that are bounded."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(UserError) as caught:
            read_model(path)
        assert time.monotonic() - began < 1
        assert tracemalloc.get_traced_memory()[1] < 100 * MEGABYTE
    finally:
        tracemalloc.stop()
    sentence = str(caught.value)
    assert sentence.startswith("“")
    assert sentence.endswith(".")
    return sentence


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def gguf_file(*entries: bytes, tensors: bytes = b"", count: int = 0, version: int = 3) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, count, len(entries)) + b"".join(entries) + tensors
    return head + bytes(-len(head) % 32 + 4096)


def test_what_a_good_file_says(tiny: Path) -> None:
    model = read_model(tiny)
    assert (model.name, model.architecture, model.quantisation) == ("tiny-random", "llama", "F32")
    assert (model.context_length, model.block_count, model.embedding_length) == (2048, 2, 64)
    assert (model.chat_template, model.prompt_style) == (CHATML, "chat")
    assert model.size == tiny.stat().st_size
    assert (model.licence, model.author) == ("", "")
    assert not model.is_embedding
    assert model.parts == (tiny,)
    assert model.parameters == sum(tensor.elements for tensor in read_header(tiny).tensors)


def test_who_made_it_and_on_what_terms(tmp_path: Path) -> None:
    said = {"general.license": "apache-2.0", "general.author": "A\n  B\t\x1b\u202e" + "x" * 999}
    model = read_model(write_tiny(tmp_path / "tiny.gguf", metadata=said))
    assert model.licence == "apache-2.0"
    assert model.author == "A B " + "x" * 196


def test_a_real_file(shared: Path) -> None:
    model = read_model(shared / "models" / "stories260K.gguf")
    assert (model.architecture, model.vocabulary_size, model.block_count) == ("llama", 512, 5)
    assert (model.parameters, model.chat_template) == (292_800, None)


def test_the_types_are_those_of_ggml() -> None:
    gguf = pytest.importorskip("gguf")
    known = {int(kind): (kind.name, *size) for kind, size in gguf.GGML_QUANT_SIZES.items() if kind.name != "Q8_1"}
    assert known.items() <= TENSOR_TYPES.items()


def test_every_broken_file_of_the_collection_is_refused(shared: Path) -> None:
    paths = sorted((shared / "models" / "malformed").iterdir())
    assert len(paths) == 24
    for path in paths:
        refusal(path)


def test_a_file_cut_anywhere_is_incomplete(tiny: Path, tmp_path: Path) -> None:
    data = tiny.read_bytes()
    cut = tmp_path / "cut.gguf"
    lengths = {*range(1, 400, 7), *range(400, len(data), len(data) // 60), len(data) - 1}
    for length in lengths:
        cut.write_bytes(data[:length])
        assert "Download it again" in refusal(cut), length
        if length > 8:
            assert "is incomplete" in refusal(cut), length


REFUSED = {
    "empty": (b"", "is empty"),
    "another format": (b"PK\x03\x04" + bytes(100), "does not begin as a GGUF file"),
    "big-endian": (b"GGUF\x00\x00\x00\x03" + bytes(100), "big-endian"),
    "version 1": (b"GGUF\x01\x00\x00\x00" + bytes(100), "version 1"),
    "adapter": (gguf_file(entry("general.type", 8, text("adapter"))), "it is an adapter"),
    "mmproj": (gguf_file(entry("general.architecture", 8, text("clip"))), "reads pictures"),
    "no architecture": (gguf_file(entry("general.name", 8, text("x"))), "which architecture"),
    "an architecture for the terminal": (
        gguf_file(entry("general.architecture", 8, text("a\x1b[2J"))),
        "which architecture",
    ),
    "no weights": (gguf_file(entry("general.architecture", 8, text("llama"))), "no weights"),
    "a part": (
        gguf_file(entry("general.architecture", 8, text("llama")), entry("split.count", 2, struct.pack("<H", 4))),
        "one part of a model",
    ),
    "the same key twice": (gguf_file(*[entry("a", 4, bytes(4))] * 2), "twice"),
    "an unknown value": (gguf_file(entry("a", 77, bytes(4))), "unknown type 77"),
    "lists in lists": (gguf_file(entry("a", 9, struct.pack("<IQ", 9, 5) + bytes(99))), "unknown type 9"),
    "a long list": (gguf_file(entry("a", 9, struct.pack("<IQ", 8, 1 << 60))), "values in one list"),
    "many texts": (gguf_file(entry("a", 9, struct.pack("<IQ", 8, 50_000_000))), "texts"),
    "a long text": (gguf_file(entry("a", 8, struct.pack("<Q", 1 << 40))), "bytes for one text"),
    "many tensors": (gguf_file(count=1 << 40), "tensors"),
    "a zero alignment": (gguf_file(entry("general.alignment", 4, bytes(4))), "alignment"),
    "a huge tensor": (
        gguf_file(tensors=text("t") + struct.pack("<IQQQIQ", 3, 1 << 40, 1 << 40, 1, 0, 0), count=1),
        "impossible size",
    ),
    "a tensor elsewhere": (gguf_file(tensors=text("t") + struct.pack("<IQIQ", 1, 32, 0, 64), count=1), "does not lie"),
    "an odd row": (gguf_file(tensors=text("t") + struct.pack("<IQIQ", 1, 33, 12, 0), count=1), "do not fit"),
    "an unknown tensor": (gguf_file(tensors=text("t") + struct.pack("<IQIQ", 1, 32, 5, 0), count=1), "unknown type 5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_reason_is_told(name: str, tmp_path: Path) -> None:
    data, reason = REFUSED[name]
    path = tmp_path / "strange.gguf"
    path.write_bytes(data)
    assert reason in refusal(path)


def test_a_vocabulary_of_uneven_lists_is_refused(tiny: Path, tmp_path: Path) -> None:
    data = tiny.read_bytes()
    where = data.index(b"tokenizer.ggml.token_type") + len("tokenizer.ggml.token_type") + 4 + 4
    count = struct.unpack_from("<Q", data, where)[0]
    path = tmp_path / "uneven.gguf"
    kept = struct.pack("<Q", count - 1) + data[where + 8 : where + 8 + 4 * (count - 1)]
    path.write_bytes(data[:where] + kept + data[where + 8 + 4 * count :] + bytes(64))
    assert "do not fit its tokens" in refusal(path)


def test_a_boast_of_context_is_cut_down(tmp_path: Path) -> None:
    assert read_model(write_tiny(tmp_path / "boast.gguf", context=2**31 - 1)).context_length == LONGEST_CONTEXT


def test_a_model_in_parts_needs_all_of_them(tiny: Path, tmp_path: Path) -> None:
    first = tmp_path / "big-00001-of-00003.gguf"
    first.write_bytes(tiny.read_bytes())
    sentence = refusal(first)
    assert "big-00002-of-00003.gguf" in sentence
    assert "big-00001" not in sentence.partition("(")[2]
    for number in (2, 3):
        rest = entry("split.no", 2, struct.pack("<H", number - 1)), entry("split.count", 2, struct.pack("<H", 3))
        (tmp_path / f"big-0000{number}-of-00003.gguf").write_bytes(gguf_file(*rest))
    model = read_model(tmp_path / "big-00002-of-00003.gguf")
    assert model.path == first
    assert len(model.parts) == 3


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert "is not a file" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / "nowhere.gguf")


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Headers with bytes flipped, numbers replaced, pieces cut out, doubled and swapped."""
    random = Random(seed)
    header = min(len(data), 16_000)
    numbers = (0, 1, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 31, 1 << 62, (1 << 64) - 1)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(random.choice((1, 1, 2, 5))):
            at = random.randrange(random.choice((32, 600, header)))
            kind = random.randrange(4)
            if kind == 0:
                changed[at] = random.randrange(256)
            elif kind == 1:
                changed[at : at + 8] = struct.pack("<Q", random.choice(numbers))
            elif kind == 2:
                del changed[at : at + random.choice((1, 4, 8, 100))]
            else:
                changed[at:at] = changed[at : at + random.choice((1, 4, 8, 100))]
        yield bytes(changed)


def accepted(data: bytes, count: int, folder: Path, seed: int = 0) -> Iterator[Path]:
    """The mutated files that the reader lets through; all others must end in a sentence within a second."""
    path = folder / "mutated.gguf"
    for changed in mutations(data, count, seed):
        path.write_bytes(changed)
        began = time.monotonic()
        sentence = ""
        try:
            read_model(path)
        except UserError as error:
            sentence = str(error)
        assert time.monotonic() - began < 1
        if sentence:
            assert sentence.endswith(".")
        else:
            yield path


def test_mutated_headers_are_read_or_refused(tiny: Path, tmp_path: Path) -> None:
    tracemalloc.start()
    let_through = sum(1 for _ in accepted(tiny.read_bytes(), 200, tmp_path))
    assert tracemalloc.get_traced_memory()[1] < 100 * MEGABYTE
    tracemalloc.stop()
    assert let_through < 150


def answer(path: Path) -> Iterator[Any]:
    def task() -> Any:
        return (yield Request((("user", "Hello"),), max_tokens=2))

    yield from run_tasks(path, EngineSettings(context=512, sequences=1, threads=1), lambda _: iter([task()]))


@pytest.mark.slow
def test_the_application_survives_what_the_reader_lets_through(tiny: Path, shared: Path, tmp_path: Path) -> None:
    real = (shared / "models" / "stories260K.gguf").read_bytes()
    outcomes: list[str] = []
    with Worker() as worker:
        for seed, data in enumerate((tiny.read_bytes(), real), start=1):
            for turn, path in enumerate(accepted(data, 2_500, tmp_path, seed)):
                if turn % 5 == 0:
                    outcomes.append(outcome(worker, path))
        assert list(worker.run(answer, tiny))
    assert all(sentence.endswith(".") for sentence in outcomes)
    print(f"{len(outcomes)} mutated models, {sum('ended unexpectedly' in text for text in outcomes)} ended the child")


def outcome(worker: Worker, path: Path) -> str:
    """What the user is told about a model that may be broken."""
    try:
        list(worker.run(answer, path, item_timeout=30, memory_limit=1 << 30))
    except UserError as error:
        return str(error)
    return "It answered."
