"""What runs in the child: pypdfium2 for characters with their boxes, pypdf for structure and for repair."""

import ctypes
import io
import logging
import math
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.documents.layout import Char, Line, PlacedWord, read_lines
from core.documents.records import Heading, Rectangle
from core.errors import UserError
from core.worker import cancelled

MAX_PAGES = 100_000
MAX_HEADINGS = 20_000
MAX_CHARS = 400_000  # on one page

DAMAGED_PAGE = "This page is damaged and can't be read."

_SPACES = frozenset((0x09, 0x0A, 0x0D, 0x20, 0xA0))

Box = tuple[float, float, float, float]


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
    words: tuple[tuple[int, int, Box], ...]  # start, end, corners
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
    """The document mended and opened in pdfium; None when that fails too."""
    import pypdfium2

    for mend in (_rewritten, _with_trailer):
        try:
            return pypdfium2.PdfDocument(mend(path, password), password=password)
        except Exception:  # whatever the mender stumbles over, this way is closed
            continue
    return None


def _rewritten(path: str, password: str | None) -> bytes:
    """The document as pypdf understands it, written anew."""
    import pypdf

    writer = pypdf.PdfWriter()
    for page in _pypdf_reader(path, password).pages:
        writer.add_page(page)
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


def _with_trailer(path: str, password: str | None) -> bytes:
    """The bytes of a file that lost its end, with a trailer that names its catalogue; pdfium finds the rest."""
    data = Path(path).read_bytes()
    catalogues = re.findall(rb"(\d+)\s+(\d+)\s+obj\b(?:(?!endobj).){0,500}?/Type\s*/Catalog\b", data, re.DOTALL)
    number, generation = catalogues[-1]
    return data + b"\ntrailer\n<< /Root %s %s R >>\nstartxref\n0\n%%%%EOF\n" % (number, generation)


def _read_page(document: Any, index: int) -> RawPage:
    import pypdfium2.raw as pdfium

    page = document[index]
    try:
        text_page = page.get_textpage()
        try:
            frames, unmapped = _characters(text_page.raw, pdfium)
        finally:
            text_page.close()
        crop, rotation = page.get_bbox(), page.get_rotation() % 360
    finally:
        page.close()
    main = max(frames, key=lambda frame: len(frames[frame]), default=0)
    lines: list[RawLine] = []
    for frame in sorted(frames, key=lambda one: one != main):
        places = _Places(crop, rotation, frame)
        lines.extend(_raw_line(line, places, sideways=frame != main) for line in read_lines(frames[frame]))
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    if rotation % 180:
        width, height = height, width
    return RawPage(index, width, height, tuple(lines), unmapped)


class _Places:
    """Turns the coordinates of one text frame into those of the displayed page."""

    def __init__(self, crop: tuple[float, float, float, float], rotation: int, frame: int) -> None:
        def displayed(u: float, v: float) -> tuple[float, float]:
            x, y = ((u, -v), (-v, -u), (-u, v), (v, u))[frame]
            left, bottom, right, top = crop
            return {
                0: (x - left, top - y),
                90: (y - bottom, x - left),
                180: (right - x, y - bottom),
                270: (top - y, right - x),
            }[rotation]

        self._x, self._y = displayed(0, 0)
        (ux, uy), (vx, vy) = displayed(1, 0), displayed(0, 1)
        self._xu, self._yu = ux - self._x, uy - self._y
        self._xv, self._yv = vx - self._x, vy - self._y

    def box(self, one: Line | PlacedWord) -> Box:
        """The corners on the displayed page, in points, origin at the top left."""
        xa, xb = self._x + self._xu * one.u0 + self._xv * one.v0, self._x + self._xu * one.u1 + self._xv * one.v1
        ya, yb = self._y + self._yu * one.u0 + self._yv * one.v0, self._y + self._yu * one.u1 + self._yv * one.v1
        if xa > xb:
            xa, xb = xb, xa
        if ya > yb:
            ya, yb = yb, ya
        return round(xa, 2), round(ya, 2), round(xb, 2), round(yb, 2)


def _to_frame(frame: int, x: float, y: float) -> tuple[float, float]:
    """The point in a text frame: the frame is the text's clockwise turn, in quarters of a circle."""
    return ((x, -y), (-y, -x), (-x, y), (y, x))[frame]


def _raw_line(line: Line, places: _Places, sideways: bool) -> RawLine:
    words = tuple((word.start, word.end, places.box(word)) for word in line.words)
    return RawLine(line.text, words, Rectangle(*places.box(line)), round(line.size, 2), line.link, sideways)


def _characters(text_page: Any, pdfium: Any) -> tuple[dict[int, list[Char]], float]:
    """The page's characters by the direction they run in, and the share of them that mean nothing.

    Slanted text (watermarks, labels on axes) is left out. The raw calls are made in one loop, and only where their
    answer can be new: a page has thousands of characters.
    """
    frames: dict[int, list[Char]] = {}
    box, x, y = pdfium.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    box_at, x_at, y_at = ctypes.byref(box), ctypes.byref(x), ctypes.byref(y)
    spaced, index, meaningless = True, 0, 0
    frame, v0, v1, base = 0, 0.0, 0.0, 0.0
    for place in range(min(pdfium.FPDFText_CountChars(text_page), MAX_CHARS)):
        code = pdfium.FPDFText_GetUnicode(text_page, place)
        if code in _SPACES:
            spaced = True
            continue
        text = chr(code) if 0x20 < code < 0x7F else _text_of(code, text_page, place, pdfium)
        if not place % 4 and pdfium.FPDFText_HasUnicodeMapError(text_page, place) == 1:
            meaningless += 4  # asked of every fourth character only
        elif code >= 0x7F or code < 0x20:
            meaningless += _is_meaningless(text)
        if not text or not pdfium.FPDFText_GetLooseCharBox(text_page, place, box_at):
            index, spaced = index + 1, True
            continue
        if spaced:  # a word runs in one direction
            frame = _direction(pdfium.FPDFText_GetCharAngle(text_page, place))
        if frame < 0:
            continue
        if frame == 0:
            ua, va, ub, vb = box.left, -box.top, box.right, -box.bottom
        else:
            (ua, va), (ub, vb) = _to_frame(frame, box.left, box.top), _to_frame(frame, box.right, box.bottom)
        if spaced or va != v0 or vb != v1:  # the same height and size mean the same base line
            pdfium.FPDFText_GetCharOrigin(text_page, place, x_at, y_at)
            base = _to_frame(frame, x.value, y.value)[1]
            v0, v1 = va, vb
        index += 1
        char = Char(text, ua, va, ub, vb, base, index, spaced)
        if ua > ub or va > vb:
            char.u0, char.u1, char.v0, char.v1 = min(ua, ub), max(ua, ub), min(va, vb), max(va, vb)
        frames.setdefault(frame, []).append(char)
        spaced = False
    return frames, min(1.0, meaningless / max(1, index))


def _direction(angle: float) -> int:
    """The text's turn in quarters of a circle, or -1 for slanted text."""
    quarters = max(0.0, angle) / (math.pi / 2)
    return round(quarters) % 4 if abs(quarters - round(quarters)) < 0.1 else -1


def _text_of(code: int, text_page: Any, place: int, pdfium: Any) -> str:
    """The character; a hyphen for pdfium's mark of one at a line's end, empty for other control characters."""
    if code == 2 and pdfium.FPDFText_IsHyphen(text_page, place) == 1:
        return "-"
    if code < 0x20:
        return ""
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"


def _is_meaningless(text: str) -> bool:
    if not text or text == "\ufffd":
        return True
    return not text.isprintable() and unicodedata.category(text) in ("Cc", "Cn", "Co")
