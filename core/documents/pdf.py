"""What runs in the child: pypdfium2 for characters with their boxes, pypdf for structure and for repair."""

import ctypes
import io
import logging
import math
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from core.documents.layout import Char, Line, PlacedWord, read_lines
from core.documents.records import Heading, Rectangle
from core.errors import UserError
from core.worker import cancelled

MAX_PAGES = 100_000
MAX_HEADINGS = 20_000
MAX_CHARS = 400_000  # on one page

DAMAGED_PAGE = "This page is damaged and can't be read."


class PasswordNeeded(UserError):
    """The document is encrypted and opens only with a password."""


class WrongPassword(PasswordNeeded):
    """A password was given and it does not open the document."""


class DamagedDocument(UserError):
    """The file is no PDF, or one that can't be read even after repair."""


@dataclass(frozen=True)
class Structure:
    """What the document says of itself. Titles are raw; labels are empty when there are none."""

    metadata: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    outline: tuple[Heading, ...] = ()


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line with its words' places on the displayed page; `sideways` when it does not run as the page's text does."""

    text: str
    words: tuple[tuple[int, int, Rectangle], ...]
    rectangle: Rectangle
    size: float
    link: str
    sideways: bool


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page before headers are known. `index` counts from 0; `unmapped` is the share of meaningless characters."""

    index: int
    width: float
    height: float
    lines: tuple[RawLine, ...]
    unmapped: float
    damage: str = ""


def read_structure(path: str, password: str | None) -> Iterator[Structure]:
    """Yields the metadata, page labels and outline once; what can't be read is left empty."""
    reader: Any = _pypdf_reader(path, password)
    metadata: dict[str, str] = {}
    labels: tuple[str, ...] = ()
    outline: list[Heading] = []
    # pypdf raises far more than its own errors on fuzzed files: AttributeError, AssertionError, KeyError …
    with suppress(Exception):
        metadata = {str(key).lstrip("/"): _plain(value) for key, value in (reader.metadata or {}).items()}
    with suppress(Exception):
        if "/PageLabels" in reader.trailer["/Root"]:
            labels = tuple(_plain(label) for label in reader.page_labels[:MAX_PAGES])
    with suppress(Exception):
        pages = {page.indirect_reference.idnum: number for number, page in enumerate(reader.pages, 1)}
        _walk_outline(reader, reader.outline, 0, pages, outline)
    yield Structure(metadata, labels, tuple(outline))


def _plain(value: Any) -> str:
    return "".join(one for one in str(value) if one.isprintable()).strip()[:1000]


def _walk_outline(reader: Any, items: list[Any], level: int, pages: dict[int, int], into: list[Heading]) -> None:
    for item in items:
        if len(into) >= MAX_HEADINGS:
            return
        if isinstance(item, list):
            _walk_outline(reader, item, level + 1, pages, into)
            continue
        with suppress(Exception):
            number = pages.get(item.page.idnum)
            title = " ".join(_plain(item.title).split())
            if number and title:
                into.append(Heading(title, level, number, _top(reader, number, item.top)))


def _top(reader: Any, number: int, top: Any) -> float | None:
    """Points from the top of the displayed page; None for a rotated one, where the outline's figure is of no use."""
    page = reader.pages[number - 1]
    if top is None or page.rotation % 360:
        return None
    return max(0.0, float(page.cropbox.top) - float(top))


def _pypdf_reader(path: str, password: str | None) -> Any:
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = pypdf.PdfReader(path, strict=False)
    if reader.is_encrypted:
        reader.decrypt(password or "")
    return reader


def read_pages(path: str, password: str | None, first: int, last: int | None) -> Iterator[int | RawPage]:
    """Yields the number of pages, then the pages `first`..`last` (from 0, last excluded) one by one."""
    document = _open(path, password)
    count = min(len(document), MAX_PAGES)
    yield count
    repaired: Any = None
    for index in range(first, count if last is None else min(last, count)):
        if cancelled():
            return
        try:
            yield _read_page(document, index)
        except Exception:  # pdfium gives up on this page: pypdf may mend the file
            repaired = repaired or _repair(path, password) or document
            try:
                yield _read_page(repaired, index)
            except Exception:
                yield RawPage(index, 0.0, 0.0, (), 0.0, damage=DAMAGED_PAGE)


def _open(path: str, password: str | None) -> Any:
    """The document in pdfium, repaired by pypdf when pdfium can't make sense of it."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        document = pypdfium2.PdfDocument(path, password=password)
        if len(document):
            return document
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            if password:
                raise WrongPassword("The password does not open this PDF. Check it and try again.") from error
            raise PasswordNeeded("This PDF is locked with a password. Give its password to read it.") from error
    repaired = _repair(path, password)
    if repaired is None or not len(repaired):
        raise DamagedDocument(
            "This PDF is damaged so badly that no page can be read. Get a fresh copy of it, or print it to a new PDF."
        )
    return repaired


def _repair(path: str, password: str | None) -> Any:
    """The document as pypdf writes it anew, opened in pdfium; None when that fails too."""
    try:
        import pypdf
        import pypdfium2

        reader = _pypdf_reader(path, password)
        writer = pypdf.PdfWriter()
        for page in reader.pages:
            writer.add_page(page)
        data = io.BytesIO()
        writer.write(data)
        return pypdfium2.PdfDocument(data.getvalue())
    except Exception:  # whatever it stumbles over, the file stays unreadable
        return None


def _read_page(document: Any, index: int) -> RawPage:
    import pypdfium2.raw as pdfium

    page = document[index]
    try:
        text_page = page.get_textpage()
        try:
            frames, unmapped = _characters(text_page.raw, pdfium)
        finally:
            text_page.close()
        display = _Display(page.get_bbox(), page.get_rotation())
    finally:
        page.close()
    main = max(frames, key=lambda frame: len(frames[frame]), default=0)
    lines: list[RawLine] = []
    for frame in sorted(frames, key=lambda one: one != main):
        for line in read_lines(frames[frame]):
            lines.append(_raw_line(line, frame, display, sideways=frame != main))
    return RawPage(index, display.width, display.height, tuple(lines), unmapped)


class _Display:
    """Turns a text frame's coordinates into those of the displayed page."""

    def __init__(self, box: tuple[float, float, float, float], rotation: int) -> None:
        self._box = box
        self._rotation = rotation % 360
        width, height = box[2] - box[0], box[3] - box[1]
        self.width, self.height = (height, width) if self._rotation % 180 else (width, height)

    def rectangle(self, frame: int, u0: float, v0: float, u1: float, v1: float) -> Rectangle:
        """The rectangle on the displayed page, in points, origin at the top left."""
        xa, ya = self._point(*_from_frame(frame, u0, v0))
        xb, yb = self._point(*_from_frame(frame, u1, v1))
        corners = min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)
        return Rectangle(*(round(value, 2) for value in corners))

    def _point(self, x: float, y: float) -> tuple[float, float]:
        left, bottom, right, top = self._box
        if self._rotation == 90:
            return y - bottom, x - left
        if self._rotation == 180:
            return right - x, y - bottom
        if self._rotation == 270:
            return top - y, right - x
        return x - left, top - y


def _from_frame(frame: int, u: float, v: float) -> tuple[float, float]:
    """The point in the page's own coordinates. A frame is the text's clockwise turn in quarters of a circle."""
    return ((u, -v), (-v, -u), (-u, v), (v, u))[frame]


def _to_frame(frame: int, x: float, y: float) -> tuple[float, float]:
    return ((x, -y), (-y, -x), (-x, y), (y, x))[frame]


def _raw_line(line: Line, frame: int, display: _Display, sideways: bool) -> RawLine:
    def place(box: Line | PlacedWord) -> Rectangle:
        return display.rectangle(frame, box.u0, box.v0, box.u1, box.v1)

    words = tuple((word.start, word.end, place(word)) for word in line.words)
    return RawLine(line.text, words, place(line), round(line.size, 2), line.link, sideways)


def _characters(text_page: Any, pdfium: Any) -> tuple[dict[int, list[Char]], float]:
    """The page's characters by the direction they run in, and the share of them that mean nothing.

    Slanted text (watermarks, labels on axes) is left out. The raw calls are made in one loop: a page has thousands.
    """
    frames: dict[int, list[Char]] = {}
    box, x, y = pdfium.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    box_at, x_at, y_at = ctypes.byref(box), ctypes.byref(x), ctypes.byref(y)
    spaced, index, meaningless = False, 0, 0
    for place in range(min(pdfium.FPDFText_CountChars(text_page), MAX_CHARS)):
        code = pdfium.FPDFText_GetUnicode(text_page, place)
        if code in (0x20, 0xA0, 0x0D, 0x0A, 0x09):
            spaced = True
            continue
        text = _text_of(code, text_page, place, pdfium)
        if not place % 4 and pdfium.FPDFText_HasUnicodeMapError(text_page, place) == 1:
            meaningless += 4  # asked of every fourth character only, for speed
        elif (not text.isprintable() and unicodedata.category(text) in ("Cc", "Cn", "Co")) or text == "\ufffd":
            meaningless += 1
        if (code < 0x20 and text != "-") or not pdfium.FPDFText_GetLooseCharBox(text_page, place, box_at):
            index, spaced = index + 1, True
            continue
        angle = pdfium.FPDFText_GetCharAngle(text_page, place) / (math.pi / 2)
        frame = round(angle) % 4
        if abs(angle - round(angle)) > 0.1:
            continue
        pdfium.FPDFText_GetCharOrigin(text_page, place, x_at, y_at)
        ua, va = _to_frame(frame, box.left, box.top)
        ub, vb = _to_frame(frame, box.right, box.bottom)
        base = _to_frame(frame, x.value, y.value)[1]
        index += 1
        char = Char(text, min(ua, ub), min(va, vb), max(ua, ub), max(va, vb), base, index, spaced)
        frames.setdefault(frame, []).append(char)
        spaced = False
    return frames, min(1.0, meaningless / max(1, index))


def _text_of(code: int, text_page: Any, place: int, pdfium: Any) -> str:
    if code == 2 and pdfium.FPDFText_IsHyphen(text_page, place) == 1:
        return "-"  # pdfium's mark for a hyphen at the end of a line
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
