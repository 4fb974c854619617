"""What a document is once it has been read: pages of clean text with the place of every word, and passages."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rectangle:
    """Points (1/72 inch) on the page as displayed (rotation applied), origin at the top left."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Word:
    """Characters `start`..`end` of the page's text and where they stand on the page."""

    start: int
    end: int
    rectangle: Rectangle


@dataclass(frozen=True)
class Furniture:
    """A running header, footer or page number: kept, but not part of the page's text."""

    kind: str  # "header", "footer", "page number" or "margin"
    text: str
    rectangle: Rectangle


@dataclass(frozen=True)
class Page:
    """One page. `number` counts from 1; `text` is clean, in reading order, paragraphs separated by a newline."""

    number: int
    label: str
    width: float
    height: float
    text: str
    words: tuple[Word, ...] = ()
    furniture: tuple[Furniture, ...] = ()
    warnings: tuple[str, ...] = ()  # sentences for the user: no text layer, garbage, too slow, damaged


@dataclass(frozen=True)
class Heading:
    """An entry of the document's outline."""

    title: str
    level: int  # 0 is the top
    page: int  # counts from 1
    top: float | None = None  # points from the top of the displayed page, when the outline says so


@dataclass(frozen=True)
class Part:
    """Characters `start`..`end` of the text of one page."""

    page: int
    start: int
    end: int


@dataclass(frozen=True)
class Passage:
    """A cut of the document that one prompt can hold.

    Its text is its parts' texts joined by PAGE_BREAK, so that offsets can be followed back to the pages.
    """

    section: str  # titles of the outline that it lies in, joined by " › "; empty without an outline
    parts: tuple[Part, ...]
    text: str


@dataclass(frozen=True)
class Document:
    """A document that was read, with its pages."""

    path: str
    sha256: str
    title: str
    metadata: dict[str, str] = field(default_factory=dict)
    outline: tuple[Heading, ...] = ()
    pages: tuple[Page, ...] = ()
    warnings: tuple[str, ...] = ()  # about the document as a whole


PAGE_BREAK = "\f"
