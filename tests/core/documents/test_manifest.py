"""Every fact that ../shared/data/pdf/MANIFEST.json states of 24 real documents, and the fraction that holds."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.documents.reader import read_document
from core.documents.records import Document
from core.errors import UserError
from core.worker import Worker

FOLDER = Path(__file__).parents[3].parent / "shared" / "data" / "pdf"
HUGE = "en_huge_abs-guide_1036p.pdf"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/data/pdf is not there")

# Facts that do not hold, each with the reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def manifest() -> list[dict]:
    if not FOLDER.is_dir():
        return []
    return json.loads((FOLDER / "MANIFEST.json").read_text(encoding="utf-8"))["files"]


def plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def whole(document: Document) -> str:
    return plain(" ".join(page.text for page in document.pages))


def facts(entry: dict, document: Document) -> Iterator[tuple[str, bool]]:
    """The name of each fact of one good document, and whether it holds."""
    text = whole(document)
    squeezed = "".join(text.split())
    if entry["pages_by_poppler"] is not None:
        yield "pages", len(document.pages) == entry["pages_by_poppler"]
    yield "sha256", document.sha256 == entry["sha256"]
    if "expected_title" in entry:
        yield "title", document.title == entry["expected_title"]
    for check in entry.get("checks", ()):
        kind, value = check["check"], check["value"]
        name = f"{kind}: {value if isinstance(value, str) else value[0]}"[:70]
        match kind:
            case "contains" | "contains_after_dehyphenation" | "hyphen_kept":
                yield name, plain(value) in text
            case "contains_ignoring_spaces":
                yield name, "".join(plain(value).split()) in squeezed
            case "order":
                places = [text.find(plain(one)) for one in value]
                yield name, -1 not in places and places == sorted(places)
            case "boilerplate_should_not_become_content":
                yield name, not is_content(plain(value), document)
            case "raw_text_layer_contains":
                yield name, value in squeezed
            case _:
                yield name, False
    for question in entry.get("qa", ()):
        yield f"answer: {question['a']}", plain(question["a"]) in plain(document.pages[question["page"] - 1].text)


def is_content(boilerplate: str, document: Document) -> bool:
    """Whether the text still begins or ends pages, or fills lines, after the title page."""
    for page in document.pages[1:]:
        lines = [plain(line) for line in page.text.split("\n")]
        if boilerplate in lines or plain(page.text).startswith(boilerplate) or plain(page.text).endswith(boilerplate):
            return True
    return False


def test_facts(capsys: pytest.CaptureFixture[str]) -> None:
    failed = set()
    held = total = 0
    with Worker() as worker:
        for entry in manifest():
            found = list(all_facts(worker, entry))
            held, total = held + sum(ok for _, ok in found), total + len(found)
            failed |= {(entry["file"], name) for name, ok in found if not ok}
            with capsys.disabled():
                print(f"\n{sum(ok for _, ok in found)}/{len(found)} {entry['file']}", end="")
    with capsys.disabled():
        print(f"\n{held}/{total} facts hold", end=" ")
    assert failed == set(EXCEPTIONS)


def all_facts(worker: Worker, entry: dict) -> Iterator[tuple[str, bool]]:
    path = FOLDER / entry["file"]
    try:
        document = read_document(worker, path, entry.get("password"), page_timeout=5.0)
    except UserError:
        yield "opens", False
        return
    yield from facts(entry, document)
