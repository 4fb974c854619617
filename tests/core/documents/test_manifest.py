"""Every fact that ../shared/data/pdf/MANIFEST.json states of 24 real documents, and the fraction that holds."""

import json
import time
import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.documents.passages import cut_passages, rectangles
from core.documents.reader import (
    GARBAGE,
    NO_TEXT,
    DamagedDocument,
    PasswordNeeded,
    WrongPassword,
    read_document,
)
from core.documents.records import PAGE_BREAK, Document, Passage
from core.errors import UserError
from core.worker import Worker

Entry = dict[str, Any]
Fact = tuple[str, bool]

HUGE = "en_huge_abs-guide_1036p.pdf"
# The quick test reads only the pages that tell the facts of long documents.
PARTS = {
    HUGE: range(1, 31),
    "en_spec_asvs_5.0.0.pdf": range(1, 46),
    "de_book_geotopo_117p.pdf": range(1, 31),
    "tr_spec_asvs_4.0.1.pdf": range(1, 31),
    "en_book_pdkids_public_domain_tales.pdf": range(1, 16),
}

# Facts that do not hold, each with the reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    """The documents and their manifest."""
    return shared / "pdf"


def manifest(folder: Path) -> list[Entry]:
    return json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))["files"]


def plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


class Reading:
    """A document with its whole text and its passages."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.pages = document.pages
        self.text = plain(" ".join(page.text for page in document.pages))

    @cached_property
    def passages(self) -> list[Passage]:
        """The passages of the usual size."""
        return cut_passages(self.document.pages, self.document.outline)


def stated_facts(entry: Entry, read: Reading) -> Iterator[Fact]:
    """The checks, answers and figures of a document's entry, and whether each holds."""
    yield "sha256", read.document.sha256 == entry["sha256"]
    if "expected_title" in entry:
        yield "title", read.document.title == entry["expected_title"]
    for check in entry.get("checks", ()):
        yield f"{check['check']}: {check['value']}", holds(check["check"], check["value"], read)
    by_number = {page.number: page for page in read.pages}
    for question in entry.get("qa", ()):
        yield f"answer: {question['a']}", plain(question["a"]) in plain(by_number[question["page"]].text)


def holds(kind: str, value: Any, read: Reading) -> bool:
    text = read.text
    match kind:
        case "contains" | "contains_after_dehyphenation" | "hyphen_kept":
            return plain(value) in text
        case "contains_ignoring_spaces" | "raw_text_layer_contains":
            return "".join(plain(value).split()) in "".join(text.split())
        case "order":
            places = [text.find(plain(one)) for one in value]
            return -1 not in places and places == sorted(places)
        case "boilerplate_should_not_become_content":
            return not is_content(plain(value), read.document)
    return False


def is_content(boilerplate: str, document: Document) -> bool:
    """Whether the text begins or ends a page, or is a line of one, after the title page."""
    for page in document.pages[1:]:
        text, lines = plain(page.text), [plain(line) for line in page.text.split("\n")]
        if boilerplate in lines or text.startswith(boilerplate) or text.endswith(boilerplate):
            return True
    return False


# The traps that the manifest tells in words, and what must happen to the difficult documents that can be read.
TRAPS: dict[str, dict[str, Callable[[Reading], bool]]] = {
    "en_spec_asvs_5.0.0.pdf": {
        "document-ing is joined": lambda read: "for documenting key" in read.text,
        "three-tier keeps its hyphen": lambda read: "three-tier model" in read.text,
        "U+2011 is gone": lambda read: "\u2011" not in read.text,
    },
    "en_3col_federal_register_2020-17221.pdf": {
        "737–|9": lambda read: "737–8 and 737–9 (737 MAX)" in read.text and "7379" not in read.text,
        "2018–|23–51": lambda read: "AD 2018–23–51" in read.text and "201823" not in read.text,
        "the sidebar is in the margin": lambda read: "DSKJLSW7X2PROD" not in read.text,
    },
    HUGE: {
        "leaders give no passage": lambda read: not any("....." in one.text for one in read.passages),
    },
    "en_scan_with_ocr_layer_siege_of_vicksburg.pdf": {
        "the text layer is kept as it is": lambda read: "Eichmond had fallen" in read.text,
    },
    "tr_spec_asvs_4.0.1.pdf": {
        "dotted and dotless i": lambda read: "İletişim Mimari" in read.text and "\u0307" not in read.text,
    },
    "de_book_geotopo_117p.pdf": {"the compound is whole": lambda read: "SchwarzWeiß" not in read.text},
    "zh_layout_owasp_top10_2010.pdf": {
        "lines join without spaces": lambda read: "任何能够发送不可信数据到系统的人" in read.text,
    },
    "ar_rtl_owasp_top10_2013.pdf": {
        "lam-alef": lambda read: read.text.count("الأ") > 50 and "األ" not in read.text,
        "Latin terms": lambda read: '"interpreter"' in read.text and "(SQL, LDAP, Xpath" in read.text,
    },
    "he_rtl_owasp_top10_2013.pdf": {"Latin terms": lambda read: "SQL" in read.text},
    "bad_no_tounicode_owasp_2003.pdf": {
        "each page is called garbled": lambda read: all(page.warnings == (GARBAGE,) for page in read.pages),
        "no passages": lambda read: not read.passages,
    },
    "bad_scan_no_text_4p.pdf": {
        "each page needs OCR": lambda read: all(page.warnings == (NO_TEXT,) for page in read.pages),
        "no passages": lambda read: not read.passages,
    },
    "bad_rotated_90_nics.pdf": {
        "the row of Alabama": lambda read: any(
            line.startswith("Alabama") and line.endswith(" 71,137") for line in read.pages[0].text.split("\n")
        ),
    },
    "bad_pagecount_lie_poppler-67295.pdf": {
        "the one page": lambda read: [page.text for page in read.pages] == ["TestString123"],
    },
    "bad_pagetree_cycle.pdf": {
        "one good page": lambda read: "Pages loop" in read.pages[0].text and len(read.pages) < 3,
        "the other says so": lambda read: "damaged" in read.pages[1].warnings[0],
    },
    "bad_javascript_eval.pdf": {
        "its script is no content": lambda read: "eval" not in read.text and "app." not in read.text,
    },
    "bad_bomb_jbig2_contents.pdf": {"it ends": lambda read: len(read.pages) == 1},
}


def refusal(worker: Worker, path: Path, password: str | None = None) -> UserError | None:
    try:
        read_document(worker, path, password)
    except UserError as error:
        return error
    return None


def refusals(worker: Worker, folder: Path, entry: Entry) -> Iterator[Fact]:
    """What must happen to the documents that can't be read, or not without a password."""
    path = folder / entry["file"]
    match entry["file"]:
        case "bad_zero_bytes.pdf":
            yield "it is called empty", "empty file" in str(refusal(worker, path))
        case "bad_truncated_REDHAT-1531897.pdf":
            yield "it is called damaged", isinstance(refusal(worker, path), DamagedDocument)
        case "bad_encrypted_user_password_aes.pdf":
            yield "a password is asked for", type(refusal(worker, path)) is PasswordNeeded
            yield "a wrong one is refused", isinstance(refusal(worker, path, "wrong"), WrongPassword)


def facts(worker: Worker, folder: Path, entry: Entry, parts: dict[str, range]) -> Iterator[Fact]:
    yield from refusals(worker, folder, entry)
    if entry["file"] in ("bad_zero_bytes.pdf", "bad_truncated_REDHAT-1531897.pdf"):
        return
    began, path = time.monotonic(), folder / entry["file"]
    read = Reading(read_document(worker, path, entry.get("password"), pages=parts.get(entry["file"])))
    if entry["kind"] == "difficult":
        yield "in time", time.monotonic() - began < 5
    if entry["pages_by_poppler"] is not None and entry["file"] not in parts:
        yield "pages", len(read.pages) == entry["pages_by_poppler"]
    yield from stated_facts(entry, read)
    for name, trap in TRAPS.get(entry["file"], {}).items():
        yield f"trap: {name}", trap(read)
    yield "words are in order and hold no space", words_are_sound(read)
    yield "passages are their parts", passages_are_sound(read)


def words_are_sound(read: Reading) -> bool:
    for page in read.pages:
        texts = [page.text[word.start : word.end] for word in page.words]
        if "".join(texts) != "".join(page.text.split()) or not all(texts):
            return False
        if any(one.end > other.start for one, other in zip(page.words, page.words[1:], strict=False)):
            return False
        if any(word.rectangle.x0 > word.rectangle.x1 or word.rectangle.y0 > word.rectangle.y1 for word in page.words):
            return False
    return True


def passages_are_sound(read: Reading) -> bool:
    pages = {page.number: page for page in read.pages}
    for passage in read.passages:
        texts = [pages[part.page].text[part.start : part.end] for part in passage.parts]
        if passage.text != PAGE_BREAK.join(texts) or not 0 < len(passage.text) <= 1200:
            return False
        if any(not rectangles(pages[part.page], part.start, part.end) for part in passage.parts):
            return False
    return True


def report(worker: Worker, folder: Path, entries: list[Entry], parts: dict[str, range]) -> tuple[list[str], set]:
    """A line for each document, and the facts that do not hold."""
    lines, failed, held, total = [], set(), 0, 0
    for entry in entries:
        found = list(facts(worker, folder, entry, parts))
        failed |= {(entry["file"], name) for name, holding in found if not holding}
        good = sum(holding for _, holding in found)
        held, total = held + good, total + len(found)
        lines.append(f"{good:2}/{len(found):2} {entry['file']}")
    return [*lines, f"{held} of {total} facts hold: {held / total:.1%}"], failed


def test_facts(worker: Worker, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = psutil.Process().memory_info().rss
    lines, failed = report(worker, folder, manifest(folder), PARTS)
    with capsys.disabled():
        print("\n" + "\n".join(lines), end=" ")
    assert failed == set(EXCEPTIONS)
    assert psutil.Process().memory_info().rss - before < 500 << 20


@pytest.mark.slow
def test_long_documents_from_end_to_end(worker: Worker, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [entry for entry in manifest(folder) if entry["file"] in PARTS]
    lines, failed = report(worker, folder, entries, {})
    with capsys.disabled():
        print("\n" + "\n".join(lines), end=" ")
    assert failed == {one for one in EXCEPTIONS if one[0] in PARTS}
