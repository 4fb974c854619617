"""Pictures of pages, rendered in the worker child by pypdfium2."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.documents import pdf
from core.errors import UserError

MAX_PIXELS = 24_000_000  # of one picture: a page may say that it is kilometres wide

MISSING = "The file is not where it was, so the page is drawn from the words that were read."
LOCKED = "The file is locked with a password, so the page is drawn from the words that were read."
WRONG = "That password does not open the file, so the page is drawn from the words that were read."
DAMAGED = "The file can't be drawn, so the page is drawn from the words that were read."
NEEDS_PASSWORD = (LOCKED, WRONG)


@dataclass(frozen=True)
class Picture:
    """A page as displayed (rotation applied): rows of 32-bit pixels, blue first, `stride` bytes each."""

    width: int
    height: int
    stride: int
    pixels: bytes


def render_page(path: str, password: str | None, number: int, scale: float) -> Iterator[Picture]:
    """A worker's job: page `number` (from 1) at `scale` pixels a point, or smaller where that would be huge.

    Raises UserError with one of the sentences above. A file that pdfium can't make sense of is repaired as for reading.
    """
    if not Path(path).is_file():
        raise UserError(MISSING)
    try:
        yield _draw(path, password, number - 1, scale)
    except pdf.WrongPassword as error:
        raise pdf.WrongPassword(WRONG) from error
    except pdf.PasswordNeeded as error:
        raise pdf.PasswordNeeded(LOCKED) from error
    except Exception as error:  # pdfium and its helper raise much on a fuzzed file, and none of it is news
        raise UserError(DAMAGED) from error


def _draw(path: str, password: str | None, index: int, scale: float) -> Picture:
    with closing(pdf.open_pdf(path, password)) as document:
        try:
            return _picture(document, index, scale)
        except Exception:  # pdfium gives up on this page: pypdf may mend the file
            repaired = pdf.repair_pdf(path, password)
            if repaired is None:
                raise
    with closing(repaired):
        return _picture(repaired, index, scale)


def _picture(document: Any, index: int, scale: float) -> Picture:
    with closing(document[index]) as page:
        width, height = page.get_size()
        scale = min(scale, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
        with closing(page.render(scale=scale, prefer_bgrx=True)) as bitmap:
            return Picture(bitmap.width, bitmap.height, bitmap.stride, bytes(bitmap.buffer))
