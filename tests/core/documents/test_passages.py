"""Sentences, passages inside their sections, and the rectangles of a stretch of text."""

import itertools
import random

import pytest

from core.documents.passages import cut_passages, rectangles, sentences
from core.documents.reader import GARBAGE
from core.documents.records import PAGE_BREAK, Heading, Page, Passage, Rectangle, Word
from core.errors import UserError


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["It rained.", "We left!", "Why?", "Nobody knows."],
        ["Dr. Smith met Mrs. Jones at 3.30 p.m. on Jan. 5.", "They talked."],
        ["Pi is 3.14159 or so.", "It is irrational."],
        ["See Fig. 3 and Sec. 2.1 for details.", "The rest is omitted."],
        ["He said “Stop.”", "Then he left."],
        ["J. R. R. Tolkien wrote it.", "He was English."],
        ["The U.S. Government paid, e.g. for roads, i.e. a lot.", "It was dear."],
        ["Das gilt z. B. für offene Mengen, d. h. immer.", "Am 3. Oktober nicht."],
        ["Was ist das?", "Ein Raum."],
        ["Bu bir cümledir.", "Dr. Ayşe geldi mi?", "Evet!"],
        ["هذا سؤال؟", "نعم هذا جواب.", "انتهى."],
        ["Wait... what is it?", "It is a test."],
        ["The agency acted.6", "The FAA sent it."],
        ["1. Introduction to everything"],
        ["www.example.com is a site, and version 2.0 is out."],
    ],
)
def test_sentences(expected: list[str]) -> None:
    assert split(" ".join(expected)) == expected


def test_sentences_of_chinese() -> None:
    assert split("这是一句话。真的吗?是的!“好。”完") == ["这是一句话。", "真的吗?", "是的!", "“好。”", "完"]


def test_a_newline_ends_a_sentence_and_a_page_does_not() -> None:
    assert split("A heading\nA sentence that\fgoes on.") == ["A heading", "A sentence that\fgoes on."]


def page(number: int, text: str, warnings: tuple[str, ...] = ()) -> Page:
    return Page(number, str(number), 600, 800, text, warnings=warnings)


def prose(count: int, seed: int = 0) -> str:
    """So many sentences of made-up words."""
    rng = random.Random(seed)
    words = [["".join(rng.choices("abcdeilmnorstu", k=rng.randint(2, 9))) for _ in range(12)] for _ in range(count)]
    return " ".join(" ".join(one).capitalize() + "." for one in words)


def check(passages: list[Passage], pages: list[Page], size: int) -> None:
    by_number = {one.number: one for one in pages}
    for passage in passages:
        texts = [by_number[part.page].text[part.start : part.end] for part in passage.parts]
        assert passage.text == PAGE_BREAK.join(texts)
        assert len(passage.text) <= size
        assert not passage.text[0].isspace()


@pytest.mark.parametrize(("size", "overlap"), [(1200, 200), (300, 0), (500, 250), (150, 140)])
def test_passages_cover_the_text_by_size_and_overlap(size: int, overlap: int) -> None:
    pages = [page(1, prose(30, 1)), page(2, prose(25, 2))]
    passages = cut_passages(pages, (), size, overlap)
    check(passages, pages, size)
    for one in pages:
        covered = {place for passage in passages for part in passage.parts if part.page == one.number
                   for place in range(part.start, part.end)}  # fmt: skip
        assert all(place in covered for place, char in enumerate(one.text) if not char.isspace())
    for before, after in itertools.pairwise(passages):
        last, first = before.parts[-1], after.parts[0]
        if last.page == first.page:
            assert max(0, last.end - first.start) <= overlap
        assert after.text[0].isupper() or len(max(split(after.text), key=len)) > size / 2


def test_a_sentence_over_the_end_of_a_page_is_one() -> None:
    pages = [page(1, "The first sentence ends here. The second one begins on this page and"),
             page(2, "goes on to the next. The third follows it at once without more.")]  # fmt: skip
    (passage,) = cut_passages(pages, ())
    assert [part.page for part in passage.parts] == [1, 2]
    assert "this page and\fgoes on" in passage.text


def test_sections_are_never_crossed() -> None:
    first, second = prose(4, 1), prose(4, 2)
    pages = [page(1, f"1 Alpha\n{first}\n1.1 Beta\n{second}"), page(2, f"{prose(3, 3)}\n2 Gamma\n{prose(5, 4)}")]
    outline = [Heading("Alpha", 0, 1), Heading("1.1 Beta", 1, 1), Heading("2 Gamma", 0, 2)]
    passages = cut_passages(pages, outline)
    check(passages, pages, 1200)
    assert [one.section for one in passages] == ["Alpha", "Alpha › 1.1 Beta", "2 Gamma"]
    assert passages[1].text.startswith("1.1 Beta")
    assert passages[2].text.startswith("2 Gamma")
    assert [part.page for part in passages[1].parts] == [1, 2]


def test_the_outline_points_to_one_of_two_titles() -> None:
    text = f"Notes\n{prose(3, 1)}\nNotes\n{prose(3, 2)}"
    second = text.rindex("Notes")
    words = (Word(0, 5, Rectangle(50, 100, 90, 110)), Word(second, second + 5, Rectangle(50, 400, 90, 410)))
    one = Page(1, "1", 600, 800, text, words)
    passages = cut_passages([one], [Heading("Notes", 0, 1, 398.0)])
    assert [passage.section for passage in passages] == ["", "Notes"]
    assert passages[1].parts[0].start == second


def test_what_gives_no_passage() -> None:
    contents = "\n".join(f"{number}. Chapter of the book {'.' * 40} {number * 7}" for number in range(1, 20))
    pages = [
        page(1, contents),
        page(2, "Part One"),
        page(3, prose(5), (GARBAGE,)),
        page(4, ""),
        page(5, "12 44 91 " * 50),
    ]
    assert cut_passages(pages, ()) == []


def test_a_sentence_longer_than_a_passage_is_cut_between_words() -> None:
    text = " ".join(["word"] * 300)
    pages = [page(1, text), page(2, "字" * 700)]
    passages = cut_passages(pages, (), 200, 20)
    check(passages, pages, 200)
    assert all(not one.text.startswith("ord") for one in passages)


@pytest.mark.parametrize(("size", "overlap"), [(1200, 1200), (1200, -1), (10, 0)])
def test_impossible_sizes_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(UserError):
        cut_passages([], (), size, overlap)


def test_rectangles_are_one_a_line() -> None:
    words = []
    for line in range(2):
        for column in range(3):
            start = (line * 3 + column) * 5
            box = Rectangle(50 + 30 * column, 100 + 12 * line, 74 + 30 * column, 110 + 12 * line)
            words.append(Word(start, start + 4, box))
    one = Page(1, "1", 600, 800, "abcd " * 6, tuple(words))
    assert rectangles(one, 5, 29) == (Rectangle(80, 100, 134, 110), Rectangle(50, 112, 134, 122))
    assert rectangles(one, 11, 12) == (Rectangle(110, 100, 134, 110),)
    assert rectangles(one, 4, 5) == ()
