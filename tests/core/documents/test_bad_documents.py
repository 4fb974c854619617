"""Documents that are missing, empty, locked, damaged or hostile: a sentence, never a crash or a hang."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pdf_writer import write_pdf

from core.documents.reader import (
    PasswordNeeded,
    WrongPassword,
    read_document,
)
from core.errors import Cancelled, UserError
from core.worker import Worker

PROSE = [(50.0, 700.0 - 12 * line, f"Line {line} of a page that is read without trouble.") for line in range(20)]


def refused(worker: Worker, path: Path, password: str | None = None) -> str:
    """The sentence that says why the document can't be read."""
    with pytest.raises(UserError) as caught:
        read_document(worker, path, password)
    return str(caught.value)


def test_no_document_at_all(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "empty.pdf").write_bytes(b"")
    (tmp_path / "text.pdf").write_bytes(b"This is a letter, not a PDF.")
    (tmp_path / "head.pdf").write_bytes(b"%PDF-1.7\n" + os.urandom(500))
    assert "There is no file" in refused(worker, tmp_path / "missing.pdf")
    assert "empty file" in refused(worker, tmp_path / "empty.pdf")
    assert "not a PDF" in refused(worker, tmp_path / "text.pdf")
    assert "damaged" in refused(worker, tmp_path / "head.pdf")
    assert "can't be read" in refused(worker, tmp_path)


def test_passwords(worker: Worker, tmp_path: Path) -> None:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "open.pdf", [PROSE], info="Open", outline=[("Here", 1)]))
    writer.encrypt("secret", algorithm="AES-256")
    writer.write(tmp_path / "locked.pdf")
    with pytest.raises(PasswordNeeded) as needed:
        read_document(worker, tmp_path / "locked.pdf")
    assert not isinstance(needed.value, WrongPassword)
    with pytest.raises(WrongPassword):
        read_document(worker, tmp_path / "locked.pdf", "guess")
    document = read_document(worker, tmp_path / "locked.pdf", "secret")
    assert document.pages[0].text.startswith("Line 0 of a page")
    assert document.title == "Open"
    assert document.outline


def test_a_page_that_takes_too_long_is_skipped(worker: Worker, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "slow.pdf", [PROSE] * 3, burden=(2, b"0 0 m 9 9 l 9 0 l S\n" * 8_000_000))
    seen: list[tuple[int, int]] = []
    limits = {"page_timeout": 2.0, "page_memory": 8 << 30}
    pages = read_document(worker, path, on_page=lambda *at: seen.append(at), **limits).pages
    assert "took longer" in pages[1].warnings[0]
    assert pages[0].text == pages[2].text != ""
    assert seen[-1] == (3, 3)
    assert pages[2].number == 3


def test_a_page_that_takes_too_much_memory_is_skipped(worker: Worker, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "bomb.pdf", [PROSE] * 3, burden=(2, b" " * (200 << 20)))
    assert path.stat().st_size < 1 << 20
    pages = read_document(worker, path, page_memory=100 << 20).pages
    assert "more memory" in pages[1].warnings[0]
    assert pages[0].text == pages[2].text != ""


def test_a_killed_child_costs_no_page(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "long.pdf", [PROSE] * 80)
    others = {child.pid for child in psutil.Process().children()}
    killed: list[int] = []

    def kill(done: int, _: int) -> None:
        if done == 3 and not killed:
            for child in psutil.Process().children():
                if child.pid not in others and "spawn" in " ".join(child.cmdline()):
                    child.kill()
                    killed.append(child.pid)

    with Worker() as worker:
        document = read_document(worker, path, on_page=kill)
    assert killed
    assert [page.number for page in document.pages] == list(range(1, 81))
    assert all(page.text and not page.warnings for page in document.pages)


def test_a_cancel_behind_the_last_page_is_heard(worker: Worker, tmp_path: Path) -> None:
    path, seen = write_pdf(tmp_path / "short.pdf", [PROSE] * 3), [0]
    with pytest.raises(Cancelled):
        read_document(worker, path, on_page=lambda done, _: seen.append(done), cancelled=lambda: seen[-1] == 3)


def test_reading_can_be_cancelled(worker: Worker, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "long.pdf", [PROSE] * 300)
    seen: list[int] = []
    began = time.monotonic()
    with pytest.raises(Cancelled):
        read_document(worker, path, on_page=lambda done, _: seen.append(done), cancelled=lambda: len(seen) > 5)
    assert time.monotonic() - began < 2
    assert read_document(worker, write_pdf(tmp_path / "next.pdf", [PROSE])).pages[0].text


@pytest.mark.parametrize("count", [b"99999999", b"-5", b"2147483647"])
def test_a_page_count_that_lies(worker: Worker, tmp_path: Path, count: bytes) -> None:
    path = write_pdf(tmp_path / "lie.pdf", [PROSE])
    path.write_bytes(path.read_bytes().replace(b"/Count 1", b"/Count " + count))
    began = time.monotonic()
    document = read_document(worker, path, page_timeout=3)
    assert time.monotonic() - began < 5
    assert document.pages[0].text.startswith("Line 0")
    assert len(document.pages) < 100


def test_an_outline_that_bites_its_tail(worker: Worker, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "cycle.pdf", [PROSE], outline=[("One", 1), ("Two", 1), ("Six", 1)])
    content = path.read_bytes()
    assert b"/Next 13 0 R" in content
    path.write_bytes(content.replace(b"/Next 14 0 R", b"/Next 12 0 R"))
    document = read_document(worker, path, page_timeout=5)
    assert document.pages[0].text
    assert len(document.outline) < 10


def test_a_broken_cross_reference_table_is_mended(worker: Worker, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "broken.pdf", [PROSE, PROSE])
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"xref")])
    assert len(read_document(worker, path).pages) == 2


def mutations(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """The content with bytes changed, parts cut out or doubled, or its end missing."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(content)
        match rng.randrange(4):
            case 0:
                for _ in range(rng.randint(1, 60)):
                    data[rng.randrange(len(data))] = rng.randrange(256)
            case 1:
                del data[rng.randrange(len(data) // 4, len(data)) :]
            case 2:
                start = rng.randrange(len(data))
                del data[start : start + rng.randint(1, 300)]
            case _:
                start, end = sorted(rng.sample(range(len(data)), 2))
                data[end:end] = data[start : start + 2000]
        yield bytes(data)


def survive(worker: Worker, path: Path, contents: Iterator[bytes]) -> None:
    """Each file is read or refused with a sentence, soon, and the parent stays small."""
    before = psutil.Process().memory_info().rss
    for content in contents:
        path.write_bytes(content)
        began = time.monotonic()
        try:
            document = read_document(worker, path, page_timeout=4)
        except UserError as error:
            sentence = str(error)
        else:
            sentence = f"{len(document.pages)} pages were read from {document.path}."
        assert len(sentence) > 20
        assert time.monotonic() - began < 30
    assert psutil.Process().memory_info().rss - before < 200 << 20


def test_mutated_documents(worker: Worker, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "small.pdf", [PROSE] * 3, outline=[("One", 1), ("Two", 3)], info="A title")
    survive(worker, path, mutations(path.read_bytes(), 60, 7))


@pytest.mark.slow
def test_many_mutated_documents(worker: Worker, tmp_path: Path, shared: Path) -> None:
    names = ["en_simple_word_processor_5p.pdf", "bad_rotated_90_nics.pdf", "bad_encrypted_user_password_aes.pdf",
             "bad_javascript_eval.pdf", "en_scan_with_ocr_layer_siege_of_vicksburg.pdf"]  # fmt: skip
    for seed, name in enumerate(names):
        content = (shared / "pdf" / name).read_bytes()
        survive(worker, tmp_path / name, mutations(content, 200, seed))
