"""Reads a PDF through the worker child, page by page, and makes clean pages of what comes: the parent's side."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from core.documents import furniture, pdf
from core.documents.layout import BREAK, ROW, WRAP
from core.documents.pdf import DamagedDocument, PasswordNeeded, RawLine, RawPage, WrongPassword
from core.documents.records import Document, Furniture, Page, Rectangle, Word
from core.documents.text import HYPHENS, count_words, is_garbage, join_lines
from core.errors import Cancelled, UserError
from core.worker import ItemTimeout, JobFailed, MemoryExceeded, Worker, WorkerDied

__all__ = ["DamagedDocument", "PasswordNeeded", "WrongPassword", "read_document", "read_page"]

PAGE_TIMEOUT = 30.0  # seconds a page may take
PAGE_MEMORY = 1 << 30  # bytes the child may grow by while it reads
NEIGHBOURS = 8  # pages read on either side of a single one, to recognise running headers and footers

NO_TEXT = "There is no text on this page: it is probably a scan and needs OCR, which Elenchus does not do."
GARBAGE = (
    "The text of this page is garbled because its fonts do not say which letters they show, so it is left out; OCR"
    " could read it, which Elenchus does not do."
)
TOO_SLOW = "This page took longer than {seconds:.0f} seconds to read and was skipped."
TOO_LARGE = "This page needed more memory than one page may use and was skipped."
CRASHED = "The PDF reader crashed on this page, so it was skipped."
NO_STRUCTURE = "The outline and the page labels of this document can't be read; its pages are not affected."


def read_document(
    worker: Worker,
    path: str | Path,
    password: str | None = None,
    on_page: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    *,
    pages: range | None = None,
    page_timeout: float = PAGE_TIMEOUT,
    page_memory: int = PAGE_MEMORY,
) -> Document:
    """The document with all of its pages, or with those of `pages` (numbers from 1, without gaps).

    A page that takes longer than `page_timeout` seconds, more than `page_memory` bytes, or the child's life gets a
    warning, and reading goes on with the next. `on_page(done, total)` is called after each page, `cancelled()` is asked
    again and again. Raises Cancelled after that or `worker.cancel`, UserError when the file can't be read at
    all, PasswordNeeded when it is locked and WrongPassword when the password does not fit.
    """
    path = Path(path)
    limits = _Limits(page_timeout, page_memory)
    sha256 = _checksum(path)
    raw_pages = _RawPages(worker, path, password, pages, limits).read(on_page, cancelled)
    structure, warnings = _structure(worker, path, password, limits)
    if cancelled is not None and cancelled():
        raise Cancelled(f"Reading {path.name} was cancelled.")
    clean_pages = _clean_pages(raw_pages, structure.labels)
    return Document(
        path=str(path),
        sha256=sha256,
        title=_title(structure.metadata, raw_pages, path),
        metadata=structure.metadata,
        outline=structure.outline,
        pages=clean_pages,
        warnings=(*warnings, *_pages_with_warnings(clean_pages)),
    )


def read_page(worker: Worker, path: str | Path, number: int, password: str | None = None) -> Page:
    """Page `number` (from 1) alone, read with its neighbours so that headers and footers are known as such.

    Raises UserError as `read_document` does, and when there is no such page.
    """
    pages = range(max(1, number - NEIGHBOURS), number + NEIGHBOURS + 1)
    for page in read_document(worker, path, password, pages=pages).pages:
        if page.number == number:
            return page
    raise UserError(f"There is no page {number} in {Path(path).name}. Pages count from 1 to the last of the file.")


@dataclass(frozen=True)
class _Limits:
    seconds: float
    bytes: int


def _checksum(path: Path) -> str:
    """SHA-256 of the file's bytes in hexadecimal, after a look whether it can be a PDF at all."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
            digest = hashlib.sha256(start)
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}. It may have been moved or renamed: choose it again.") from error
    except OSError as error:
        raise UserError(f"{path.name} can't be read: {error.strerror}. Check the file and its permissions.") from error
    if not start:
        raise UserError(f"{path.name} is an empty file of 0 bytes. Get a fresh copy of it.")
    if b"%PDF-" not in start:
        raise UserError(f"{path.name} is not a PDF: it does not begin like one. Convert it to PDF first.")
    return digest.hexdigest()


def _structure(
    worker: Worker, path: Path, password: str | None, limits: _Limits
) -> tuple[pdf.Structure, tuple[str, ...]]:
    """Metadata, labels and outline, with a warning when they can't be had."""
    job = worker.run(pdf.read_structure, str(path), password, item_timeout=limits.seconds, memory_limit=limits.bytes)
    try:
        return next(iter([*job])), ()
    except StopIteration as end:  # it yields once, unless it was cancelled
        raise Cancelled(f"Reading {path.name} was cancelled.") from end
    except (UserError, JobFailed):
        return pdf.Structure(), (NO_STRUCTURE,)


class _RawPages:
    """Reads pages through the child; one that it does not survive is named damaged, and a new child goes on."""

    def __init__(
        self, worker: Worker, path: Path, password: str | None, numbers: range | None, limits: _Limits
    ) -> None:
        self._worker, self._path, self._password, self._limits = worker, path, password, limits
        self._first = numbers.start - 1 if numbers else 0
        self._last = numbers.stop - 1 if numbers else None
        self._end: int | None = None  # the index after the last page, known when the document is open
        self._pages: list[RawPage] = []

    def read(self, on_page: Callable[[int, int], None] | None, cancelled: Callable[[], bool] | None) -> list[RawPage]:
        """The pages; raises Cancelled, or DamagedDocument when the file can't even be opened."""
        while self._end is None or self._first + len(self._pages) < self._end:
            before = len(self._pages)
            try:
                for _ in self._items(cancelled):
                    if on_page is not None and self._end is not None:
                        on_page(len(self._pages), self._end - self._first)
            except ItemTimeout:
                self._skip(TOO_SLOW.format(seconds=self._limits.seconds))
            except (MemoryExceeded, WorkerDied) as error:
                if self._end is None or len(self._pages) == before:
                    self._skip(TOO_LARGE if isinstance(error, MemoryExceeded) else CRASHED)
                # Else the child fell ill after other pages: this page gets a second try, in a new child.
            except JobFailed as error:
                raise self._damaged() from error
            else:
                if self._end is None or self._first + len(self._pages) < self._end:
                    raise Cancelled(f"Reading {self._path.name} was cancelled.")
        return self._pages

    def _items(self, cancelled: Callable[[], bool] | None) -> Iterator[None]:
        """Takes what the child sends, from the first page that is still missing."""
        items = self._worker.run(
            pdf.read_pages,
            str(self._path),
            self._password,
            self._first + len(self._pages),
            self._last,
            item_timeout=self._limits.seconds,
            memory_limit=self._limits.bytes,
            cancelled=cancelled,
        )
        for item in items:
            if isinstance(item, RawPage):
                self._pages.append(item)
            else:
                self._end = item if self._last is None else min(item, self._last)
            yield

    def _skip(self, damage: str) -> None:
        if self._end is None:
            raise self._damaged()
        self._pages.append(RawPage(self._first + len(self._pages), 0.0, 0.0, (), 0.0, damage=damage))

    def _damaged(self) -> DamagedDocument:
        return DamagedDocument(
            f"{self._path.name} can't be opened: it is damaged, or made to overload its reader. Get a fresh copy of it."
        )


def _clean_pages(raw_pages: Sequence[RawPage], labels: Sequence[str]) -> tuple[Page, ...]:
    kinds = furniture.find_furniture(raw_pages)
    contents = [
        [line for place, line in enumerate(page.lines) if place not in kind]
        for page, kind in zip(raw_pages, kinds, strict=True)
    ]
    vocabulary = _vocabulary(contents)
    pages = []
    for raw, kind in zip(raw_pages, kinds, strict=True):
        text, words = _page_text(raw.lines, kind, vocabulary)
        pages.append(
            Page(
                number=raw.index + 1,
                label=labels[raw.index] if raw.index < len(labels) else str(raw.index + 1),
                width=raw.width,
                height=raw.height,
                text=text,
                words=tuple(words),
                furniture=tuple(
                    Furniture(name, raw.lines[place].text, raw.lines[place].rectangle)
                    for place, name in sorted(kind.items())
                ),
                warnings=_warnings(raw, text),
            )
        )
    return tuple(pages)


def _warnings(raw: RawPage, text: str) -> tuple[str, ...]:
    if raw.damage:
        return (raw.damage,)
    if not raw.lines:
        return (NO_TEXT,)
    return (GARBAGE,) if is_garbage(text, raw.unmapped) else ()


def _pages_with_warnings(pages: Sequence[Page]) -> Iterator[str]:
    """Each warning of the pages once, with the numbers of those that it is about."""
    numbers: dict[str, list[int]] = {}
    for page in pages:
        for warning in page.warnings:
            numbers.setdefault(warning, []).append(page.number)
    for warning, found in numbers.items():
        spans: list[list[int]] = []
        for number in found:
            if spans and spans[-1][-1] == number - 1:
                spans[-1][1:] = [number]
            else:
                spans.append([number])
        named = ", ".join("–".join(map(str, span)) for span in spans)
        yield f"{'Page' if len(found) == 1 else 'Pages'} {named}: {warning}"


def _vocabulary(contents: Sequence[Sequence[RawLine]]) -> Counter[str]:
    """The document's words, without the halves of those that stand at a line's end."""

    def whole_words() -> Iterator[str]:
        for lines in contents:
            broken = False
            for line in lines:
                text = line.text.partition(" ")[2] if broken else line.text
                broken = line.text[-1] in HYPHENS
                yield text.rpartition(" ")[0] if broken else text

    return count_words(whole_words())


def _page_text(lines: Sequence[RawLine], kinds: dict[int, str], vocabulary: Counter[str]) -> tuple[str, list[Word]]:
    """The lines that are not furniture, joined: by a space or nothing within a paragraph, else by a newline."""
    text = ""
    words: list[Word] = []
    previous: RawLine | None = None
    for place, line in enumerate(lines):
        if place in kinds:
            continue
        if previous is not None:
            link = line.link if place - 1 not in kinds else BREAK
            if link == ROW:
                text += " "
            elif link == WRAP or _carries_on(previous, line):
                drop, between = join_lines(text[-80:], line.text, vocabulary)
                if drop:
                    text = text[:-drop]
                    words[-1] = Word(words[-1].start, len(text), words[-1].rectangle)
                    if words[-1].start == words[-1].end:
                        words.pop()
                text += between
            else:
                text += "\n"
        start = len(text)
        words.extend(Word(start + begin, start + end, Rectangle(*box)) for begin, end, box in line.words)
        text += line.text
        previous = line
    return text, words


def _carries_on(above: RawLine, below: RawLine) -> bool:
    """Whether a sentence goes on from the end of one block to the start of the next, as over a column's end."""
    last = above.text[-1]
    return (
        below.text[0].islower()
        and (last.isalpha() or last in "," + HYPHENS)
        and len(above.text) > 20
        and abs(above.size - below.size) < 0.2 * above.size
        and above.sideways == below.sideways
    )


# Names that programs give when nobody gave one.
_NO_TITLE = re.compile(
    r"untitled|unnamed|microsoft (word|powerpoint|excel) - "
    r"|(document|slide|presentation|binder|שקופית|slayt|folie)\W*\d*$|.*\.(pdf|docx?|pptx?|xlsx?|indd|tex|dvi|ps|html?|odt|rtf)$|\W*$",
    re.IGNORECASE,
)


def _title(metadata: dict[str, str], raw_pages: Sequence[RawPage], path: Path) -> str:
    """The title in the metadata, else the largest line at the top of the first page, else the file's name."""
    title = " ".join(metadata.get("Title", "").split())
    if title and not _NO_TITLE.match(title):
        return title
    page = raw_pages[0] if raw_pages and raw_pages[0].index == 0 and raw_pages[0].unmapped < 0.1 else None
    lines = [line for line in page.lines if not line.sideways] if page else []
    upper = [line for line in lines if page and line.rectangle.y1 < 0.6 * page.height and len(line.text) > 3]
    largest = max(upper, key=lambda line: line.size, default=None)
    if largest and len(largest.text) <= 150 and largest.size > 1.15 * median(line.size for line in lines):
        return largest.text
    return path.stem
