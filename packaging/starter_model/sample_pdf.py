"""Sets the sample document, resources/samples/*.md, as a PDF with an outline, a running header and page numbers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF

SAMPLES = Path(__file__).parents[2] / "resources" / "samples"
PAGE, MARGIN, LINE = (170, 240), 24, 5.6  # millimetres


class Book(FPDF):
    """A small book page: title at the head, number at the foot."""

    def __init__(self, title: str) -> None:
        super().__init__(format=PAGE)
        self.title_text = title
        self.set_title(title)
        self.set_author("Elenchus")
        self.set_lang("en")
        self.set_creation_date(datetime(2025, 1, 1, tzinfo=UTC))  # the same bytes at every build
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.set_auto_page_break(True, MARGIN)

    def header(self) -> None:
        if self.page_no() > 1:
            self.set_y(13)
            self.set_font("Times", "I", 9)
            self.cell(0, 4, f"{self.title_text}, where all is made up", align="C")
            self.set_y(MARGIN)

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Times", "", 9)
        self.cell(0, 4, str(self.page_no()), align="C")

    def front(self, lead: str) -> None:
        """The title and the line below it."""
        self.set_font("Times", "B", 21)
        self.multi_cell(0, 10, self.title_text, align="C", new_x="LMARGIN", new_y="NEXT")
        self.set_font("Times", "I", 11)
        self.multi_cell(0, LINE, lead, align="C", new_x="LMARGIN", new_y="NEXT")
        self.ln(4)

    def section(self, heading: str, text: str) -> None:
        """A heading that stays with its text, and the text."""
        self.set_font("Times", "", 11)
        lines = self.multi_cell(0, LINE, text, dry_run=True, output="LINES")
        if self.will_page_break(LINE * (len(lines) + 3)):
            self.add_page()
        self.ln(LINE * 0.7)
        self.start_section(heading)
        self.set_font("Times", "B", 13)
        self.multi_cell(0, LINE * 1.3, heading, new_x="LMARGIN", new_y="NEXT")
        self.set_font("Times", "", 11)
        self.multi_cell(0, LINE, text, align="J", new_x="LMARGIN", new_y="NEXT")


def sections(blocks: list[str]) -> Iterator[tuple[str, str]]:
    """Headings with the text below each."""
    for heading, text in zip(blocks[::2], blocks[1::2], strict=True):
        yield heading.removeprefix("## "), text


def typeset(source: Path, out: Path) -> None:
    """The PDF of a sample's source."""
    title, lead, *blocks = source.read_text("utf-8").strip().split("\n\n")
    book = Book(title.removeprefix("# "))
    book.add_page()
    book.front(lead)
    for heading, text in sections(blocks):
        book.section(heading, text)
    book.output(str(out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SAMPLES / "veyra.md")
    args = parser.parse_args()
    typeset(args.source, args.source.with_suffix(".pdf"))


if __name__ == "__main__":
    main()
