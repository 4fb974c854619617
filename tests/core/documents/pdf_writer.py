"""Writes small PDFs by hand, so that the tests of reading need neither a library nor anybody's document."""

import zlib
from collections.abc import Sequence
from pathlib import Path

Piece = tuple[float, float, str]  # x and y of the base line from the bottom left, text


def write_pdf(
    path: Path,
    pages: Sequence[Sequence[Piece]],
    size: float = 10,
    *,
    rotate: int = 0,
    box: tuple[float, float, float, float] = (0, 0, 600, 800),
    crop: tuple[float, float, float, float] | None = None,
    unicode: dict[int, str] | None = None,
    outline: Sequence[tuple[str, int]] = (),
    info: str = "",
    burden: tuple[int, bytes] = (0, b""),
) -> Path:
    """A PDF whose pages show the pieces in the order given.

    `unicode` is the font's map from codes to text, `burden` the number of a page and what its content ends with.
    """
    extra = f"/Rotate {rotate} /MediaBox [{' '.join(map(str, box))}]"
    if crop:
        extra += f" /CropBox [{' '.join(map(str, crop))}]"
    to_unicode = "/ToUnicode 4 0 R" if unicode else ""
    objects: dict[int, bytes] = {
        3: f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding {to_unicode} >>".encode(),
        4: _stream(_character_map(unicode or {})),
    }
    first = 10
    kids = [first + 2 * number for number in range(len(pages))]
    for kid, pieces in zip(kids, pages, strict=True):
        content = "".join(f"BT /F1 {size} Tf 1 0 0 1 {x} {y} Tm {_string(text)} Tj ET\n" for x, y, text in pieces)
        objects[kid] = (
            f"<< /Type /Page /Parent 2 0 R {extra} /Contents {kid + 1} 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
        ).encode()
        objects[kid + 1] = _stream(content.encode("latin-1") + (burden[1] if kid == kids[burden[0] - 1] else b""))
    root = "/Type /Catalog /Pages 2 0 R"
    if outline:
        root += " /Outlines 5 0 R"
        items = [first + 2 * len(pages) + number for number in range(len(outline))]
        objects[5] = f"<< /First {items[0]} 0 R /Last {items[-1]} 0 R /Count {len(items)} >>".encode()
        for item, (title, page) in zip(items, outline, strict=True):
            following = f"/Next {item + 1} 0 R" if item != items[-1] else ""
            objects[item] = (
                f"<< /Title {_string(title)} /Parent 5 0 R {following} /Dest [{kids[page - 1]} 0 R /Fit] >>".encode()
            )
    objects[1] = f"<< {root} >>".encode()
    objects[2] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>".encode()
    objects[6] = f"<< /Title {_string(info)} >>".encode()
    path.write_bytes(_file(objects))
    return path


def _string(text: str) -> str:
    return "(" + "".join("\\" + one if one in "()\\" else one for one in text) + ")"


def _stream(content: bytes) -> bytes:
    packed = zlib.compress(content)
    return b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed)


def _character_map(unicode: dict[int, str]) -> bytes:
    lines = "\n".join(f"<{code:02X}> <{text.encode('utf-16-be').hex()}>" for code, text in unicode.items())
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /A def /CMapType 2 def\n"
        "1 begincodespacerange <00> <FF> endcodespacerange\n"
        f"{len(unicode)} beginbfchar\n{lines}\nendbfchar\nendcmap end end"
    ).encode()


def _file(objects: dict[int, bytes]) -> bytes:
    out = b"%PDF-1.7\n"
    places = {}
    for number in sorted(objects):
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, objects[number])
    start, top = len(out), max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % top
    for number in range(1, top):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    return out + b"trailer\n<< /Size %d /Root 1 0 R /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (top, start)
