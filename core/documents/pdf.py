"""What runs in the child: pypdfium2 for characters with their boxes, pypdf for structure and for repair."""

import ctypes
import io
import logging
import math
import re
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

HYPHEN = "\ufffe"  # pdfium's mark for a hyphen at the end of a line

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
    document = open_pdf(path, password)
    count = min(len(document), MAX_PAGES)
    yield count
    repaired: Any = None
    for index in range(first, count if last is None else min(last, count)):
        if cancelled():
            return
        try:
            yield _read_page(document, index)
        except Exception:  # pdfium gives up on this page: pypdf may mend the file
            repaired = repaired or repair_pdf(path, password) or document
            try:
                yield _read_page(repaired, index)
            except Exception:
                yield RawPage(index, 0.0, 0.0, (), 0.0, damage=DAMAGED_PAGE)


def open_pdf(path: str, password: str | None) -> Any:
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
    repaired = repair_pdf(path, password)
    if repaired is None or not len(repaired):
        raise DamagedDocument(
            "This PDF is damaged so badly that no page can be read. Get a fresh copy of it, or print it to a new PDF."
        )
    return repaired


def repair_pdf(path: str, password: str | None) -> Any:
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

    page = document[index]
    try:
        text_page = page.get_textpage()
        try:
            characters = _Characters(text_page.raw)
            frames = characters.frames()
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
    return RawPage(index, width, height, tuple(lines), characters.unmapped)


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


def _raw_line(line: Line, places: _Places, sideways: bool) -> RawLine:
    words = tuple((word.start, word.end, places.box(word)) for word in line.words)
    return RawLine(line.text, words, Rectangle(*places.box(line)), round(line.size, 2), line.link, sideways)


_PIECE = re.compile(r"[^\s\ufffe]+\ufffe?|\ufffe")
_ONE_BY_ONE = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]")  # right-to-left letters: each has to be moved
_UNLIKE_LATIN = re.compile("[\u0590-\u1dff\u2e80-\ufaff\ufb07-\ufffd\U00020000-\U0003ffff]")
_MEANINGLESS = re.compile("[\x01-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")


class _Characters:
    """The characters of one page as pdfium has them, asked for as little as possible: a page has thousands."""

    def __init__(self, text_page: Any) -> None:
        import pypdfium2.raw as pdfium

        self._pdfium, self._page = pdfium, text_page
        self._box, self._x, self._y = pdfium.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
        self._box_at, self._x_at, self._y_at = map(ctypes.byref, (self._box, self._x, self._y))
        self.text = self._read_text(min(pdfium.FPDFText_CountChars(text_page), MAX_CHARS))
        self.unmapped = self._share_of_unmapped()

    def frames(self) -> dict[int, list[Char]]:
        """Whole words, or single characters where these may have to be moved, by the direction that they run in.

        A frame is the text's clockwise turn in quarters of a circle; slanted text (watermarks) is left out.
        """
        frames: dict[int, list[Char]] = {}
        moved = _ONE_BY_ONE.search(self.text) is not None
        index = end = 0
        for piece in _PIECE.finditer(self.text):
            spaced = piece.start() > end or end == 0
            start, end = piece.span()
            frame = _direction(self._pdfium.FPDFText_GetCharAngle(self._page, start))
            if frame < 0:
                continue
            word = None if moved else self._word(start, end, frame, index + 1, spaced)
            chars = [word] if word else self._single(start, end, frame, index + 1, spaced)
            index += 1 if word else end - start
            frames.setdefault(frame, []).extend(chars)
        return frames

    def _read_text(self, count: int) -> str:
        """One character for each of pdfium's; a hyphen at a line's end is U+FFFE."""
        buffer = ctypes.create_string_buffer(2 * (count + 1))
        written = self._pdfium.FPDFText_GetText(
            self._page, 0, count, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
        )
        text = buffer.raw[: 2 * max(0, written - 1)].decode("utf-16-le", "replace")
        if len(text) == count:
            return text
        codes = (self._pdfium.FPDFText_GetUnicode(self._page, place) for place in range(count))
        return "".join(map(_character, codes))

    def _share_of_unmapped(self) -> float:
        """The share of characters that mean nothing: control and private ones, and those without a map to Unicode."""
        if not self.text:
            return 0.0
        sample = [place for place in range(0, len(self.text), 8) if not self.text[place].isspace()]
        missing = sum(self._pdfium.FPDFText_HasUnicodeMapError(self._page, place) == 1 for place in sample)
        bare = len(self.text) - sum(map(str.isspace, self.text))
        return max(missing / max(1, len(sample)), len(_MEANINGLESS.findall(self.text)) / max(1, bare))

    def _word(self, start: int, end: int, frame: int, index: int, spaced: bool) -> Char | None:
        """The piece as one, when it is a plain word on one line: its first and last character tell its box."""
        text = self.text[start:end]
        if not text.isascii() and _UNLIKE_LATIN.search(text):
            return None
        first, last = self._char(start, frame, index, spaced), self._char(end - 1, frame, index, spaced)
        if first is None or last is None:
            return None
        height = first.v1 - first.v0
        width = last.u1 - first.u0
        if abs(last.v0 - first.v0) > 0.4 * height or not 0 <= width <= 0.8 * height * len(text):
            return None
        clean = _clean(text)
        return Char(clean, first.u0, first.v0, last.u1, first.v1, first.base, index, spaced) if clean else None

    def _single(self, start: int, end: int, frame: int, index: int, spaced: bool) -> list[Char]:
        chars: list[Char] = []
        for place in range(start, end):
            char = self._char(place, frame, index + place - start, spaced)
            if char is not None:
                chars.append(char)
                spaced = False
        return chars

    def _char(self, place: int, frame: int, index: int, spaced: bool) -> Char | None:
        text = _clean(self.text[place])
        if not text or not self._pdfium.FPDFText_GetLooseCharBox(self._page, place, self._box_at):
            return None
        self._pdfium.FPDFText_GetCharOrigin(self._page, place, self._x_at, self._y_at)
        box = self._box
        if frame == 0 and box.left <= box.right and box.bottom <= box.top:
            return Char(text, box.left, -box.top, box.right, -box.bottom, -self._y.value, index, spaced)
        (ua, va), (ub, vb) = _to_frame(frame, box.left, box.top), _to_frame(frame, box.right, box.bottom)
        base = _to_frame(frame, self._x.value, self._y.value)[1]
        return Char(text, min(ua, ub), min(va, vb), max(ua, ub), max(va, vb), base, index, spaced)


def _to_frame(frame: int, x: float, y: float) -> tuple[float, float]:
    return ((x, -y), (-y, -x), (-x, y), (y, x))[frame]


def _direction(angle: float) -> int:
    """The text's turn in quarters of a circle, or -1 for slanted text."""
    quarters = max(0.0, angle) / (math.pi / 2)
    return round(quarters) % 4 if abs(quarters - round(quarters)) < 0.1 else -1


def _clean(text: str) -> str:
    """The text with a plain hyphen for pdfium's mark, and without control characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one for one in text.replace(HYPHEN, "-") if one >= " " and one != "\x7f")


def _character(code: int) -> str:
    if code == 2:
        return HYPHEN
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
