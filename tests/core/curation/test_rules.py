"""The rules: what each finds, and that ordinary texts in several languages pass; in a project, kept and replaced."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from core.curation.personal import personal_data
from core.curation.rules import RULES, Progress, apply_rules, check_rules
from core.exchange.importing import draft_of, open_table
from core.exchange.mapping import guessed
from core.project.project import Project
from core.project.records import Check, Example, ExampleDraft, Step
from core.tables import TableFile
from tests.core.project.project_material import fill, make_draft, make_settings

BARE = Example(
    *(1, 1, None, 0, "draft", "imported", "", "", (), "", "", (), None, None),
    *("", "", "", (), None, "", "", "", 0, "", None),
)


def example(answer: str, question: str = "What does the text tell its reader about it?", **more: Any) -> Example:
    return replace(BARE, question=question, answer=answer, **more)


def failed(one: Example, language: str = "") -> dict[str, str]:
    found = check_rules(one, language)
    assert tuple(check.name for check in found) == RULES
    return {check.name: check.detail for check in found if not check.passed}


def test_an_ordinary_example_passes() -> None:
    assert failed(example("The bridge of Vell opened in 1931 and is 412 metres long.")) == {}


@pytest.mark.parametrize(
    ("kind", "question", "answer", "why"),
    [
        ("factual", "Why?", "Vell", "The question is very short."),
        ("factual", "Where is the bridge?", "x" * 601, "The answer is longer than 600 characters."),
        ("definition", "What is the foehn?", "wind", "fewer than 2 words"),
        ("why_how", "Why does the river rise?", "snow", "fewer than 2 words"),
        ("comparison", "How do both compare?", "the first", "fewer than 3 words"),
        ("imported", " ", "Four.", "The question is empty."),
        ("imported", "2 + 2?", "", "The answer is empty."),
        ("imported", "2 + 2?", "x" * 4097, "The answer is longer than 4,096 characters."),
        ("imported", "x" * 8001, "Four.", "The question is longer than 8,000 characters."),
    ],
)
def test_too_short_or_too_long_for_its_kind(kind: str, question: str, answer: str, why: str) -> None:
    assert why in failed(example(answer, question, kind=kind))["length"]


def test_what_is_short_for_one_kind_is_not_for_another() -> None:
    for kind, question, answer in (
        ("factual", "Where is the bridge?", "Vell"),
        ("definition", "什么是焚风?", "一种干热的下坡风"),
        ("imported", "2+2", "4"),
        ("true_false", "The bridge is in Vell.", "True"),
    ):
        assert "length" not in failed(example(answer, question, kind=kind))


LOOP = "the river that rises behind the old mill of the village "


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("It is very very very very cold.", "“very” comes 4 times in a row"),
        ("It goes on and on and on, and on and on.", "“on and” comes 4 times"),
        ("The mill is old. It stands by a river. The mill  is old.", "a sentence stands 2 times: “the mill is old.”"),
        (f"It is {LOOP}and {LOOP}or {LOOP}.", "of the words stand in phrases that come again"),
        ("What does the text tell its reader about it?", "the question over again"),
    ],
)
def test_repetition_is_found(answer: str, why: str) -> None:
    assert why in failed(example(answer))["repetition"]


def test_steps_are_read_as_answers_are() -> None:
    """A worked solution is all in its steps."""
    for step, rule, why in (
        ("It is very very very very cold.", "repetition", "In the rationale, “very” comes 4 times"),
        ("I think that it is cold.", "voice", "The rationale is in the first person"),
        (TURKISH, "language", "The rationale seems to be in Turkish and not in English."),
    ):
        assert why in failed(example("Four.", rationale=(Step("Two and two."), Step(step))), "English")[rule]
    twice = (Step("The mill stands by a river."), Step("The mill stands by a river."))
    assert "a sentence stands 2 times" in failed(example("Four.", rationale=twice))["repetition"]
    assert failed(example("Four.", rationale=(Step("Two and two give four."),)), "English") == {}


def test_numbers_and_lists_are_no_repetition() -> None:
    assert "repetition" not in failed(
        example("1 1 1 1 1 1\n- - - - -\nHe had 3 pens. She had 4 pens. They had 7 pens.")
    )


ENGLISH = "The bridge over the river was opened in the spring of that year."
TURKISH = "Nehrin üzerindeki köprü o yılın ilkbaharında törenle açılmıştır."


def test_another_language_is_found() -> None:
    assert failed(example(TURKISH, ENGLISH))["language"] == "The answer seems to be in Turkish and not in English."
    asked = failed(example("Vell", ENGLISH), "Turkish")
    assert asked["language"] == "The question seems to be in English and not in Turkish."
    assert "language" not in failed(example(TURKISH, TURKISH), "Turkish")
    assert "language" not in failed(example("Vell", "Where?"), "Turkish")  # too short to be sure


@pytest.mark.parametrize("word", ["fucking", "Bullshit", "AMINA KOYDUM", "Orospu", "Hurensohn", "enculé", "gilipollas"])
def test_obscene_words_are_found(word: str) -> None:
    assert failed(example(f"It was {word}, they said."))["profanity"].startswith("In the answer stands “")
    assert "choices" in failed(example("It was.", choices=("yes", word)))["profanity"]
    assert "rationale" in failed(example("It was.", rationale=(Step(word),)))["profanity"]


def test_ordinary_words_are_not_obscene() -> None:
    """Words that hold one of those looked for, that other filters stumble over, or that are a name or a term."""
    for text in (
        "The analysis of assessments in Scunthorpe, Penistone and Sussex; the class of Dickens; a cockpit, a shiitake.",
        "Fick's law describes Fickian diffusion; sexual dimorphism; the rectum; intercourse with the natives.",
        "Sıkıştırılmış dosyalar sık sık silinir; şık bir götürme işlemi; boşluk, bira, mal, durum, takip, destek, lan.",
        "Enculturation; a niggardly Scheit; Schein und Fichten; la reputación; disputas; cabriolés; un coñac.",
    ):
        assert "profanity" not in failed(example(text)), text


@pytest.mark.parametrize(
    "answer",
    ["I think that it is.", "It is so, and I was there.", "Yes. I've seen it.", "It is in my view.", "Bence doğrudur.",
     "Das habe ich gesehen.", "Oui, j'ai vu cela.", "As mentioned above, it is.", "The other answers are wrong.",
     "As an AI language model, it is.", "Yukarıda belirtildiği gibi öyledir.", "Edit: it is not."],
)  # fmt: skip
def test_the_first_person_and_other_answers_are_found(answer: str) -> None:
    assert "voice" in failed(example(answer))
    assert "voice" not in failed(example(answer, kind="countering"))


@pytest.mark.parametrize(
    "answer",
    ["World War I ended in 1918.", "Type I errors and angiotensin I was measured.", "Henry I, II and III",
     "I. Introduction", "(I and II)", "as mentioned in the report of 1931", "described by Korel",
     "Photosystem I is larger.", "das Ich"],
)  # fmt: skip
def test_numerals_and_citations_are_no_first_person(answer: str) -> None:
    assert "voice" not in failed(example(answer))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Write to ada.korel@uni-vell.edu.tr today.", "an e-mail address"),
        ("Call +90 532 123 45 67.", "a telephone number"),
        ("Call (415) 555-2671 or 415-555-2671.", "a telephone number"),
        ("0532 123 45 67", "a telephone number"),
        ("Tel.: 030 123456", "a telephone number"),
        ("Pay to GB82 WEST 1234 5698 7654 32 NOW", "an IBAN"),  # the example of ISO 13616's registry
        ("TR330006100519786457841326", "an IBAN"),
        ("BE71 0961 2345 6769 PLEASE", "an IBAN"),
        ("4111 1111 1111 1111", "a card number"),
        ("378282246310005", "a card number"),
        ("Kimlik no 17291716060'tır", "a Turkish identity number"),  # python-stdnum's own example
        ("536-90-4399", "a US social security number"),
        ("RCCMNL83S18D969H", "an Italian tax code"),
        ("2 95 10 99 126 111 93", "a French social security number"),
        ("390.533.447-05", "a Brazilian CPF"),
    ],
)  # fmt: skip
def test_personal_data_are_found(text: str, what: str) -> None:
    assert personal_data(text) == what
    assert failed(example(text))["personal_data"] == f"In the answer stands what looks like {what}."


@pytest.mark.parametrize(
    "text",
    [
        "on pages 1234-1241 of volume 12, 2019-03-01, 01.02.2003",
        "1,234,567,890 people; 12 345 678 901; 0.12345678901 and 3.141592653589793",
        "doi:10.1016/j.cell.2019.01.001, arXiv:2308.06259, ISBN 978-3-16-148410-0, 9783161484100",
        "GB82 WEST 1234 5698 7654 33, 4111 1111 1111 1112, 17291716061, 536-00-4399",  # a wrong digit in each
        "user@example.com and admin@test.invalid stand in manuals; @home, a@b",
        "2+15000000 J, +5 °C, 10-12-2020, 192.168.100.200, 12345678901234567890",
        "0000 0000 0000 0000 and 48 + 24 = <<48+24=72>>72",
    ],
)
def test_other_numbers_are_not_personal(text: str) -> None:
    assert personal_data(text) == ""


def test_worked_solutions_pass(shared: Path) -> None:
    """GSM8K as it is imported, every tenth row: nothing personal or obscene in them, all English, few that fail."""
    table = open_table(shared / "gsm8k" / "train.jsonl")
    mapping, file = guessed(table), TableFile(table.path)
    drafts = [draft_of(row, mapping, "train.jsonl") for row in islice(file.rows(), 0, None, 10)]
    rows = [
        example(one.answer, one.question, rationale=one.rationale) for one in drafts if isinstance(one, ExampleDraft)
    ]
    assert all(row.rationale for row in rows)
    names = [name for row in rows for name in failed(row)]
    assert len(rows) > 700
    assert not {"profanity", "personal_data", "language", "length"} & set(names)
    assert names.count("repetition") <= 5
    assert names.count("voice") <= 10


def test_what_is_found_is_kept_in_place_of_what_was(project: Project) -> None:
    fill(project, 4)
    project.set_state([3], "rejected")
    project.set_checks({1: [Check("voice", False, None, "an older word"), Check("leak", False)]})
    project.edit_example(2, answer="Write to ada@vell.org.")
    assert list(apply_rules(project)) == [Progress(0, 3), Progress(3, 3)]
    found = {check.name: check for check in project.example(1).checks}
    assert found["voice"].passed
    assert not found["leak"].passed
    assert set(RULES) <= found.keys()
    assert not {check.name: check for check in project.example(2).checks}["personal_data"].passed
    assert not set(RULES) & {check.name for check in project.example(3).checks}
    assert list(apply_rules(project, [3])) == [Progress(0, 1), Progress(1, 1)]
    assert set(RULES) <= {check.name for check in project.example(3).checks}
    assert list(apply_rules(project, cancelled=lambda: True)) == [Progress(0, 3)]


def test_a_language_that_was_asked_for_is_expected(project: Project) -> None:
    """The passage is English, and the run was told to ask in Turkish."""
    fill(project, 1)
    settings = make_settings()
    told = project.start_run(replace(settings, settings=settings.settings | {"language": "Türkçe"}))
    for run in (1, told):
        project.add_example(run, make_draft(9, question=TURKISH + "?", answer="Evet"))
    list(apply_rules(project))
    passed = [{check.name: check.passed for check in one.checks}["language"] for one in project.examples()]
    assert passed == [True, False, True]


def test_rows_without_a_passage_are_compared_with_themselves(project: Project) -> None:
    run = project.start_run(make_settings("import"))
    project.add_example(run, ExampleDraft(None, 0, "imported", ENGLISH, TURKISH, None))
    list(apply_rules(project))
    assert not {check.name: check.passed for check in project.example(1).checks}["language"]
