"""Pages that the tests draw themselves: columns, tables, furniture, turned pages, scripts, hyphens."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pdf_writer import Piece, write_pdf

from core.documents.passages import rectangles
from core.documents.reader import GARBAGE, NO_TEXT, read_document, read_page
from core.documents.records import Document, Page
from core.errors import UserError
from core.worker import Worker

LEFT = ["The left column holds a long", "story about the people who", "lived in the valley and went",
        "over the hills to find some", "water for their animals and", "for the fields they kept."]  # fmt: skip
RIGHT = ["Much later their children", "built a canal and a mill and", "sold flour on every market",
         "between the mountains and", "the sea until the great war", "put an end to all of this."]  # fmt: skip

Reader = Callable[..., Document]


@pytest.fixture
def read(worker: Worker, tmp_path: Path) -> Reader:
    def read_pieces(pages: list[list[Piece]], size: float = 10, **options: object) -> Document:
        return read_document(worker, write_pdf(tmp_path / "drawn.pdf", pages, size, **options))  # type: ignore[arg-type]

    return read_pieces


def column(x: float, lines: list[str], top: float = 700, step: float = 12) -> list[Piece]:
    return [(x, top - step * number, line) for number, line in enumerate(lines)]


def check(page: Page) -> None:
    """What holds for the words of every page."""
    end = 0
    for word in page.words:
        assert end <= word.start < word.end <= len(page.text)
        assert not any(map(str.isspace, page.text[word.start : word.end]))
        box = word.rectangle
        assert -2 <= box.x0 <= box.x1 <= page.width + 2
        assert -2 <= box.y0 <= box.y1 <= page.height + 2
        end = word.end
    bare = "".join(page.text[word.start : word.end] for word in page.words)
    assert bare == "".join(page.text.split())


@pytest.mark.parametrize("interleaved", [False, True])
def test_two_columns_under_a_title(read: Reader, interleaved: bool) -> None:
    left, right = column(50, LEFT), column(320, RIGHT)
    body = [piece for pair in zip(left, right, strict=True) for piece in pair] if interleaved else left + right
    (page,) = read([[(180, 740, "A title over both of the columns"), *body]]).pages
    assert page.text == "A title over both of the columns\n" + " ".join(LEFT) + "\n" + " ".join(RIGHT)
    check(page)


def test_three_columns(read: Reader) -> None:
    short = [line[:24] for line in LEFT]
    (page,) = read([[*column(40, short), *column(220, RIGHT), *column(400, LEFT)]]).pages
    places = [page.text.index(lines[0][:15]) for lines in (short, RIGHT)]
    assert places == sorted(places)
    assert page.text.index(RIGHT[-1]) < page.text.rindex(LEFT[0])


@pytest.mark.parametrize("by_column", [False, True])
def test_a_table_is_read_row_by_row(read: Reader, by_column: bool) -> None:
    rows = [("City", "Country", "People"), ("Lyon", "France", "522,250"), ("Porto", "Portugal", "231,800"),
            ("Izmir", "Türkiye", "4,320,519"), ("Graz", "Austria", "291,134")]  # fmt: skip
    cells = [(50 + 150 * x, 700 - 14 * y, text) for y, row in enumerate(rows) for x, text in enumerate(row)]
    if by_column:
        cells.sort(key=lambda cell: cell[0])
    (page,) = read([cells]).pages
    assert page.text == "\n".join(" ".join(row) for row in rows)
    check(page)


def test_paragraphs_and_hyphens(read: Reader) -> None:
    lines = ["We repeated the experi-", "ment with the well-", "known model of Schwarz-", "Weiß, and it went on."]
    (page,) = read([[*column(50, lines), *column(50, ["A paragraph after a gap of some lines."], 630)]]).pages
    expected = "We repeated the experiment with the well-known model of Schwarz-Weiß, and it went on."
    assert page.text == f"{expected}\nA paragraph after a gap of some lines."
    check(page)
    start = page.text.index("experiment")
    assert len(rectangles(page, start, start + len("experiment"))) == 2


def test_items_of_a_list_stand_alone(read: Reader) -> None:
    lines = [
        "1. The first item of the list is long and",
        "ends on another line, as in paragraph",
        "(b) of it.",
        "2. The second item of this list is long",
        "too and ends here.",
        "\x95 A third with a dot of its own is here",
    ]
    (page,) = read([column(50, lines)]).pages
    items = [" ".join(lines[:3]), " ".join(lines[3:5]), lines[5].replace("\x95", "•")]
    assert page.text.split("\n") == items


def test_code_keeps_its_lines(read: Reader) -> None:
    lines = ["import sys", "for name in sys.argv:", "    print(name, len(name), sys.platform)", "Sys.exit(0)", "X = 1"]
    (page,) = read([column(50, lines)]).pages
    assert page.text.split("\n") == [line.strip() for line in lines]


def story(number: int) -> list[Piece]:
    """Lines that differ from page to page."""
    words = [word for line in (*LEFT, *RIGHT) for word in line.split()]
    lines = [" ".join(words[(number * 7 + line * 5) % 50 :][:6]) for line in range(12)]
    return column(50, [*lines, f"This is told on leaf {number}."])


def test_running_headers_and_page_numbers_are_furniture(read: Reader) -> None:
    headers = ["The Book of Tests", "An Author of Tests"]
    pages = [[(50, 770, headers[number % 2]), *story(number), (300, 30, str(number))] for number in range(1, 9)]
    for number, page in enumerate(read(pages).pages, 1):
        assert [one.kind for one in page.furniture] == ["header", "page number"]
        assert page.text.endswith(f"This is told on leaf {number}.")
        check(page)


def test_a_table_at_the_foot_of_the_page_is_no_furniture(read: Reader) -> None:
    rng = random.Random(1)
    rows = [
        [(50 + 120 * x, 300 - 14 * y, f"{rng.randint(1, 99)}") for y in range(20) for x in range(3)] for _ in range(4)
    ]
    pages = [[*story(number), *table] for number, table in enumerate(rows)]
    assert all(not page.furniture for page in read(pages).pages)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_a_turned_page_gives_the_same_text(read: Reader, rotate: int) -> None:
    (page,) = read([column(50, LEFT)], rotate=rotate).pages
    assert page.text == " ".join(LEFT)
    assert (page.width, page.height) == ((800, 600) if rotate % 180 else (600, 800))
    check(page)
    first = page.words[0].rectangle
    corner = {0: (50, 92), 90: (698, 50), 180: (527, 698), 270: (92, 527)}[rotate]
    assert (first.x0, first.y0) == pytest.approx(corner, abs=12)
    assert len(rectangles(page, 0, len(LEFT[0]))) == 1


def test_rectangles_respect_the_crop_box(read: Reader) -> None:
    (page,) = read([[(150, 600, "Inside")]], crop=(100, 200, 500, 700)).pages
    assert (page.width, page.height) == (400, 500)
    assert page.words[0].rectangle.x0 == pytest.approx(50, abs=2)
    assert page.words[0].rectangle.y1 == pytest.approx(100, abs=5)


def test_ligatures_keep_their_place(read: Reader) -> None:
    (page,) = read([[(50, 700, "A ~nal of~ce"), (50, 688, "stands here.")]], unicode={ord("~"): "ﬁ"}).pages
    assert page.text == "A final office stands here.".replace("offi", "ofﬁ").replace("ﬁ", "fi")
    check(page)


def test_lam_alef_is_in_logical_order(read: Reader) -> None:
    letters = {ord("a"): "ا", ord("L"): "لأ", ord("w"): "و", ord("l"): "ل", ord("m"): "م", ord("n"): "ن"}
    visual = "nnm SQL lwLa"  # read from the right: ا لأ و ل, the Latin term in its own order, م ن ن
    unicode = {**letters, ord("S"): "S", ord("Q"): "Q", ord(" "): " "}
    unicode[ord("L")] = "لأ"
    visual = visual.replace("SQL", "SQX")
    (page,) = read([[(50, 700, visual)]], unicode={**unicode, ord("X"): "L"}).pages
    assert page.text == "الأول SQL منن"
    check(page)


def test_chinese_lines_join_without_spaces(read: Reader) -> None:
    unicode = dict(zip(range(ord("a"), ord("z")), "攻击者发送基于文本的脚用利浏览器中解释数据系统人", strict=False))
    lines = ["abcdefghijkl", "mnopqrstuvwx", "abcd"]
    (page,) = read([column(50, lines)], 14, unicode=unicode).pages
    assert page.text == "".join(unicode[ord(one)] for line in lines for one in line)
    assert len(page.words) == len(page.text)
    check(page)


def test_a_page_without_text_says_so(read: Reader) -> None:
    document = read([[], [(50, 700, "Text.")], [], [], []])
    assert [page.warnings for page in document.pages] == [(NO_TEXT,), (), (NO_TEXT,), (NO_TEXT,), (NO_TEXT,)]
    assert document.warnings == (f"Pages 1, 3–5: {NO_TEXT}",)


def test_garbage_says_so(read: Reader) -> None:
    text = " ".join([*LEFT, *RIGHT])
    shifted = "".join(chr(ord(one) - 29) if one.isalpha() else one for one in text)
    lines = [shifted[place : place + 70] for place in range(0, len(shifted), 70)]
    (page,) = read([column(50, lines)]).pages
    assert page.warnings == (GARBAGE,)


def test_outline_title_and_labels(read: Reader) -> None:
    document = read(
        [[(50, 700, "One page.")], [(50, 700, "Another.")]], outline=[("Start", 1), ("End", 2)], info="A title"
    )
    assert document.title == "A title"
    assert [(one.title, one.level, one.page) for one in document.outline] == [("Start", 0, 1), ("End", 0, 2)]
    assert [page.label for page in document.pages] == ["1", "2"]
    assert not document.warnings


def test_the_largest_line_is_the_title_of_a_nameless_document(worker: Worker, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "nameless.pdf", [[(50, 700, "Only a line.")]], info="Microsoft Word - x.doc")
    assert read_document(worker, path).title == "nameless"


def test_one_page_alone_knows_its_furniture(worker: Worker, tmp_path: Path) -> None:
    pages = [[(50, 770, "The Book of Tests"), *story(number)] for number in range(30)]
    path = write_pdf(tmp_path / "long.pdf", pages)
    page = read_page(worker, path, 17)
    assert page.number == 17
    assert [one.kind for one in page.furniture] == ["header"]
    with pytest.raises(UserError):
        read_page(worker, path, 31)
