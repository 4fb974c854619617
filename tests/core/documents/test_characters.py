"""What becomes of single characters and words: NFKC, right-to-left order, hyphens at line ends, garbage."""

from collections import Counter

import pytest

from core.documents.text import (
    count_words,
    face_brackets,
    is_garbage,
    join_lines,
    logical_order,
    normalise,
)

ENGLISH = "The rest of the text is about a well-known method for the experiment and its documentation. " * 3
GERMAN = "Die Grundlage der Topologie ist eine Menge, deren Teilmengen nicht leer sind und die es gibt. " * 3
TURKISH = "Uygulama güvenliği doğrulama standardı için bir gereksinim listesi ve yönergeler bulunur. " * 3
RUSSIAN = "Это обычный текст на русском языке, в котором нет ничего странного и который можно читать. " * 3
HEBREW = "מידע לא מאומת נשלח לרכיב התרגום כחלק מפקודה או שאילתה ויכול לגרום לביצוע פקודות. " * 3
CHINESE = "攻击者发送基于文本的攻击脚本用于利用浏览器中的解释器。web应用程序安全OWASP组织。" * 3
SHIFTED = "".join(chr(ord(one) - 29) if one.isalpha() else one for one in ENGLISH)


@pytest.mark.parametrize(
    ("word", "clean"),
    [
        ("plain", "plain"),
        ("ﬁre", "fire"),
        ("eﬃcient", "efficient"),
        ("e\u0301te\u0301", "été"),
        ("three\u2011tier", "three-tier"),
        ("soft\u00adhyphen".replace("\u00ad", "\u200b"), "softhyphen"),
        ("ﻻ", "لا"),
        ("ＡＢＣ", "ABC"),
        ("\ufeff", ""),
    ],
)
def test_normalise(word: str, clean: str) -> None:
    assert normalise(word) == clean


def test_normalise_leaves_no_space_inside() -> None:
    for code in range(0x80, 0x10000):
        if not 0xD800 <= code < 0xE000 and not chr(code).isspace():
            assert not any(map(str.isspace, normalise(f"a{chr(code)}b"))), hex(code)


@pytest.mark.parametrize(
    ("left", "right", "joined"),
    [
        ("the experi-", "ment failed", "the experiment failed"),
        ("a well-", "known man", "a well-known man"),
        ("in A5 (Schwarz-", "Weiß, Ringbindung)", "in A5 (Schwarz-Weiß, Ringbindung)"),
        ("document\u2011", "ing it", "documenting it"),
        ("the three\u2010", "tier model", "the three-tier model"),
        ("hy\u00ad", "phen", "hyphen"),
        ("Model 737–8 and 737–", "9 (737 MAX)", "Model 737–8 and 737–9 (737 MAX)"),
        ("AD 2018–", "23–51", "AD 2018–23–51"),
        ("COVID-", "19 cases", "COVID-19 cases"),
        ("Ein-", "und Ausgabe", "Ein- und Ausgabe"),
        ("state-of-the-", "art work", "state-of-the-art work"),
        ("see https://", "example.org", "see https://example.org"),
        ("it was - ", "so to say", None),
        ("one line", "another line", "one line another line"),
        ("x-", "axis", "x-axis"),
        ("中文字", "接下一行", "中文字接下一行"),
        ("使用 web", "应用", "使用 web 应用"),
        ("self-", "ish people", "selfish people"),
    ],
)
def test_lines_are_joined(left: str, right: str, joined: str | None) -> None:
    drop, between = join_lines(left, right, Counter())
    text = left[: len(left) - drop] + between + right
    assert joined is None or text.replace("\u2010", "-").replace("\u2011", "-") == joined


def test_vocabulary_decides() -> None:
    assert join_lines("the data-", "base grows", count_words(["a database and the data base"]))[0] == 1
    assert join_lines("a trade-", "off here", count_words(["every trade-off costs; a tradeoff"]))[0] == 1
    assert join_lines("a trade-", "off here", count_words(["trade-off, trade-off and tradeoff"]))[0] == 0
    assert join_lines("nose-", "down trim", count_words(["the nose went down, down, nose up"]))[0] == 0


def reading_order(visual: str, rtl: bool = True) -> str:
    return "".join(visual[place] for place in logical_order(visual, rtl))


@pytest.mark.parametrize(
    ("visual", "logical"),
    [
        ("םולש", "שלום"),
        ("SQL תפש", "שפת SQL"),
        ("SQL, NoSQL תפש", "שפת SQL, NoSQL"),
        ("interpreter code לש", "של interpreter code"),
        ("1,234 ריחמ", "מחיר 1,234"),
        ("2013 תנש", "שנת 2013"),
    ],
)
def test_right_to_left_lines(visual: str, logical: str) -> None:
    assert reading_order(visual) == logical


def test_hebrew_inside_a_latin_line() -> None:
    assert reading_order("the word םולש means peace", rtl=False) == "the word שלום means peace"


def test_brackets_face_their_content() -> None:
    assert face_brackets("שפת )SQL(, או )X( כאן") == "שפת (SQL), או (X) כאן"
    assert face_brackets("שפת (SQL) כאן") == "שפת (SQL) כאן"


@pytest.mark.parametrize("text", [ENGLISH, GERMAN, TURKISH, RUSSIAN, HEBREW, CHINESE, "12.5 13.7 88", "XSS"])
def test_language_is_no_garbage(text: str) -> None:
    assert not is_garbage(text, 0.0)


def test_code_is_no_garbage() -> None:
    assert not is_garbage('for f in *.txt; do grep -q "$x" "$f" || echo "$f ${array[@]}"; done\n' * 5, 0.0)


@pytest.mark.parametrize(
    ("text", "unmapped"), [(SHIFTED, 1.0), (SHIFTED, 0.0), ("\ue001\ue002 \ue003 \ue004\ue005 \ue006", 1.0)]
)
def test_garbage_is_known(text: str, unmapped: float) -> None:
    assert is_garbage(text, unmapped)
