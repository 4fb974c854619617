"""Pages a second of reading the 1,036-page document, against plain pypdf and against pdftotext when it is there."""

import logging
import shutil
import subprocess
import time
from pathlib import Path

from core.documents.passages import cut_passages
from core.documents.reader import read_document
from core.worker import Worker

FILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "pdf" / "en_huge_abs-guide_1036p.pdf"
SAMPLE = 20  # pypdf is slow: every twentieth page stands for all


def read() -> tuple[float, int]:
    """Seconds for the whole document through the child, with words, furniture, outline and passages; pages."""
    with Worker() as worker:
        began = time.perf_counter()
        document = read_document(worker, FILE)
        cut_passages(document.pages, document.outline)
        return time.perf_counter() - began, len(document.pages)


def pypdf_text() -> float:
    """Seconds that pypdf's `extract_text` would take for all pages, from a sample of them."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    began = time.perf_counter()
    pages = pypdf.PdfReader(FILE).pages
    opened = time.perf_counter() - began
    sample = range(SAMPLE // 2, len(pages), SAMPLE)
    began = time.perf_counter()
    for index in sample:
        pages[index].extract_text()
    return opened + (time.perf_counter() - began) * len(pages) / len(sample)


def pdftotext() -> float | None:
    """Seconds of poppler's pdftotext, which gives plain text only; None when it is not installed."""
    program = shutil.which("pdftotext")
    if program is None:
        return None
    began = time.perf_counter()
    subprocess.run([program, "-q", str(FILE), "-"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Prints pages a second and the ratios of this run."""
    if not FILE.is_file():
        print(f"{FILE} is not there: nothing was measured.")
        return
    own, pages = read()
    print(f"elenchus   {pages / own:7.1f} pages/s  {own:6.1f} s for {pages} pages, with words, places and passages")
    plain = pypdf_text()
    print(f"pypdf      {pages / plain:7.1f} pages/s  {plain:6.1f} s for extract_text, from every {SAMPLE}th page")
    print(f"elenchus takes {own / plain:.2f} of the time of pypdf")
    poppler = pdftotext()
    if poppler is None:
        print("pdftotext is not installed (Debian: poppler-utils): not measured")
    else:
        print(f"pdftotext  {pages / poppler:7.1f} pages/s  {poppler:6.1f} s for plain text")
        print(f"elenchus takes {own / poppler:.2f} of the time of pdftotext")


if __name__ == "__main__":
    main()
