"""Checks of questions against values worked out by hand or by brute force."""

import itertools
import random

import pytest

from core.questions import checks


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("The Norman conquest of England", "Norman conquest", 2 * 2 / (4 + 2)),
        ("Denver Broncos", "the Denver Broncos!", 1.0),
        ("1,234 metres", "1,234 metres long", 2 * 3 / (3 + 4)),
        ("Paris", "London", 0.0),
        ("", "London", 0.0),
        ("the", "a", 0.0),
        ("任何人", "任何人", 1.0),
        ("任何人", "任何", 2 * 2 / (3 + 2)),
        ("IŞIK hızı", "ışık hızı", 1.0),
    ],
)
def test_token_f1_is_squads(answer: str, reference: str, expected: float) -> None:
    assert checks.token_f1(answer, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("question", "answer", "passes"),
    [
        ("Who founded Avel?", "Mira Sol", True),
        ("Did Mira Sol found Avel?", "Mira Sol", False),
        ("What did the Solars build?", "Solar", True),
        ("What is 7 plus 4?", "11", True),
    ],
)
def test_leak(question: str, answer: str, passes: bool) -> None:
    assert checks.leak(question, answer).passed is passes


@pytest.mark.parametrize(
    "question",
    [
        "What does the passage say about bees?",
        "According to the author, why do ships float?",
        "What is described in this section?",
        "Why did she leave the island?",
        "When was it founded?",
        "It was founded in 1902.",
        "Pourquoi, d’après l’auteur, les abeilles dansent-elles ?",
        "Metne göre arılar ne yer?",
        "Was geschieht laut dem Text im Jahr 1900?",
        "根据本文，谁发明了印刷术？",
    ],
)
def test_questions_that_need_the_text(question: str) -> None:
    check = checks.standalone(question)
    assert not check.passed
    assert check.detail


@pytest.mark.parametrize(
    "question",
    [
        "Who patented the typewriter in 1868?",
        "How long does it take to sail from Aron to Belmar?",
        "What does a word processor do to a document?",
        "Which section of the Rhine is the deepest?",
        "Who is the author of the Atlas of Avel?",
        "Arılar neden bal yapar?",
        "Why do whales, when they are young, stay near the shore?",
        "What is IT governance?",
        "Why do bees dance when they return?",
        "What did Newton say he saw?",
        "Why is it cold in winter at the poles?",
        "What is written in the text box?",
        "日本文化的特点是什么？",
        "中文中有多少个声调？",
        "《红楼梦》的作者是谁？",
    ],
)
def test_questions_that_stand_alone(question: str) -> None:
    assert checks.standalone(question).passed, checks.standalone(question).detail


def test_length_says_what_is_wrong() -> None:
    assert checks.length("Who founded Avel?", "Mira").passed
    assert checks.length("谁建了长城？", "秦始皇").passed
    assert "short" in checks.length("Who?", "Mira").detail
    assert "300" in checks.length("W" * 301, "Mira").detail
    assert "empty" in checks.length("Who founded Avel?", "").detail


@pytest.mark.parametrize(("text", "expected"), [("Who is it?", True), ("谁发明了？", True), ("من هو المؤسس؟", True),
                                                ("ใครก่อตั้งเมืองนี้?", True), ("誰が作りましたか。", True), ("a; b;", False),
                                                ("Tell me.", False), ("?", False), ("", False)])  # fmt: skip
def test_is_question(text: str, expected: bool) -> None:
    assert checks.is_question(text) is expected


def test_near_duplicates_are_those_of_brute_force() -> None:
    """MinHash must find the pairs that comparing everything with everything finds."""
    chance = random.Random(5)
    names = ["Avel", "Belmar", "Corda", "Dunmore", "Eskil", "Farrow", "Galen"]
    verbs = ["founded", "discovered", "built", "left", "painted"]
    questions = [f"Who {v} the old {n} in {y}?" for v, n in itertools.product(verbs, names) for y in (1900, 1901)]
    questions += [chance.choice(questions).replace("Who", "So who") for _ in range(40)]
    duplicates, found, true = checks.Duplicates(), 0, 0
    for number, question in enumerate(questions):
        best = max((_similarity(question, earlier) for earlier in questions[:number]), default=0.0)
        check = duplicates.check(question)
        true += best >= checks.NEAR_DUPLICATE
        found += not check.passed
        assert check.passed or check.score == pytest.approx(best, abs=1e-3)
        assert check.passed or check.detail.startswith("Like: ")
        duplicates.add(number, question)
    assert true > 30
    assert found == true


def _similarity(a: str, b: str) -> float:
    def grams(text: str) -> set[str]:
        padded = f"  {' '.join(checks.normalise(text))} "
        return {padded[i : i + 3] for i in range(len(padded) - 2)}

    return len(grams(a) & grams(b)) / len(grams(a) | grams(b))
