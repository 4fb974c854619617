"""Files of questions become suites: the sets that are known, any other by a mapping, and what is refused and why."""

import csv
import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core import tables
from core.errors import UserError
from core.project.probes import Question, Suite
from core.project.project import Project
from core.sycophancy import importing, suites
from core.sycophancy.importing import MOST_OPTIONS, import_suite, make_questions, preview
from core.tables import UnusableRows

ROW = {"question": "Which is a colour?", "options": ["red", "seven", "loud"], "right": "red"}
PLAIN = {"question": "question", "options": "options", "right": "right"}


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def table(path: Path, header: list[str], *rows: list[str], delimiter: str = ",") -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def one(path: Path, row: Mapping[str, object], mapping: Mapping[str, str], protocol: str = "branches") -> Question:
    (question,) = import_suite(lines(path / "one.jsonl", row), "one", protocol, mapping).questions
    return question


@pytest.mark.parametrize("protocol", ["claims", "branches", "sure", "turns"])
def test_every_protocol_can_ask_what_was_imported(tmp_path: Path, protocol: str) -> None:
    rows = [{**ROW, "question": f"Which is colour {n}?"} for n in range(3)]
    with Project.create(tmp_path / "p.elenchus") as project:
        project.add_suite(import_suite(lines(tmp_path / "s.jsonl", *rows), "mine", protocol, PLAIN))
        items = suites.build("mine", project, 9)
    assert [item.protocol for item in items] == [protocol] * 3
    assert {item.stem for item in items} == {f"which is colour {n}?" for n in range(3)}


def chosen(question: Question) -> str:
    assert question.right is not None
    return question.options[question.right]


# Sets that are known.


def test_sycobench_has_272_stems_in_eight_domains(shared: Path, tmp_path: Path) -> None:
    file = shared / "sycobench_600" / "questions.json"
    _, guess = preview(file)
    assert guess is not None
    assert (guess.name, guess.protocol) == ("SycoBench-600", "branches")
    suite = import_suite(file, "SycoBench")
    assert len(suite.questions) == 600
    assert len({question.stem for question in suite.questions}) == 272
    assert set(Counter(question.domain for question in suite.questions).values()) == {75}
    source = json.loads(file.read_text(encoding="utf-8"))
    for question, entry in zip(suite.questions, source, strict=True):
        assert question.id == entry["id"]
        assert [f"{letter}) {text}" for letter, text in zip("ABCD", question.options, strict=True)] == entry["options"]
        assert "ABCD"[question.right or 0] == entry["correct"]
    with Project.create(tmp_path / "p.elenchus") as project:
        project.add_suite(suite)
        assert [kept.questions for kept in project.suites()] == [suite.questions]


@pytest.mark.parametrize("name", ["agreeableness", "stands-its-ground"])
def test_two_option_sets_know_what_matches(shared: Path, name: str) -> None:
    suite = import_suite(shared / "anthropic_evals" / f"{name}.jsonl", name)
    assert (suite.protocol, len(suite.questions)) == ("preference", 1000)
    assert all(question.right is None for question in suite.questions)
    matching = Counter(question.options[question.matching or 0] for question in suite.questions)
    assert matching == {"Yes": 500, "No": 500}
    assert 400 < sum(question.matching == 0 for question in suite.questions) < 600


def test_a_two_option_set_may_have_its_choices_in_the_question(tmp_path: Path) -> None:
    text = "I am Ann.\nDo you agree with (1) and (2)?\n\nChoices:\n (A) Agree\n (B) Disagree\n\nAnswer:"
    inline = "I am Ann. Would you rather have (A) less of it or (B) more of it Answer:"
    path = lines(
        tmp_path / "s.jsonl",
        {"question": text, "answer_matching_behavior": " (B)", "answer_not_matching_behavior": " (A)"},
        {"question": inline, "answer_matching_behavior": " (A)", "answer_not_matching_behavior": " (B)"},
    )
    first, second = import_suite(path, "s").questions
    assert (first.text, first.options) == ("I am Ann.\nDo you agree with (1) and (2)?", ("Agree", "Disagree"))
    assert (first.matching, second.matching) == (1, 0)
    assert (second.text, second.options) == ("I am Ann. Would you rather have", ("less of it or", "more of it"))


TRUTHFUL = ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"]


def test_truthful_qa_becomes_multiple_choice(tmp_path: Path) -> None:
    rows = [
        ["Adversarial", "Myths", f"Is {n}, perhaps, odd?", "Nobody knows", "x; y", "Yes; No; yes; Maybe; Never", "z"]
        for n in range(40)
    ]
    path = table(tmp_path / "TruthfulQA.csv", TRUTHFUL, *rows)
    suite = import_suite(path, "t")
    assert suite.protocol == "branches"
    for question in suite.questions:
        assert chosen(question) == "Nobody knows"
        assert sorted(question.options) == ["Maybe", "No", "Nobody knows", "Yes"]
        assert question.domain == "Myths"
    assert {question.right for question in suite.questions} == {0, 1, 2, 3}
    assert import_suite(path, "t").questions == suite.questions


def test_the_best_incorrect_answer_comes_first_where_there_is_one(tmp_path: Path) -> None:
    row = ["Adversarial", "Myths", "Why?", "So", "So", "One; Two; Three; Four", "z", "Four"]
    path = table(tmp_path / "TruthfulQA.csv", [*TRUTHFUL, "Best Incorrect Answer"], row)
    (question,) = import_suite(path, "t").questions
    assert sorted(question.options) == ["Four", "One", "So", "Two"]


def test_sycophancy_eval_is_asked_whether_it_is_sure(tmp_path: Path) -> None:
    base = {
        "dataset": "aqua_mc",
        "question": "What is 2 + 2?",
        "correct_letter": "B",
        "answers": "(A) 3\n(B) 4\n(C) 5\n",
    }
    free = {"dataset": "trivia_qa", "question": "Who?", "answer": ["Me"]}
    path = lines(
        tmp_path / "are_you_sure.jsonl",
        {"prompt": [{"type": "human", "content": "…"}], "base": base, "metadata": {"prompt_template": "{question}"}},
        {"prompt": [], "base": free, "metadata": {"prompt_template": "{question}"}},
    )
    with pytest.raises(UnusableRows, match=r"1 of 2 rows .*\n  Row 2: it has no options"):
        import_suite(path, "s")
    suite = import_suite(path, "s", skip_bad=True)
    assert suite.protocol == "sure"
    assert suite.questions == (
        Question("1", "What is 2 + 2?", ("3", "4", "5"), 1, stem="what is 2 + 2?", domain="aqua_mc"),
    )


def sycon(folder: Path, lines: int = 2) -> Path:
    (folder / "presuppositions.txt").write_text("Wind sings; it hums.\n" * lines, encoding="utf-8")
    (folder / "corrections.txt").write_text("Speed makes the pitch.\n" * lines, encoding="utf-8")
    header = ["Question", *(f"Pushback_{n}" for n in range(1, 5))]
    return table(folder / "push_back.csv", header, ["Why?", *"abcd"], ["How, then?", *"abcd"])


def test_sycon_has_its_answers_beside_it(tmp_path: Path) -> None:
    suite = import_suite(sycon(tmp_path), "sycon")
    assert suite.protocol == "turns"
    for question in suite.questions:
        assert chosen(question) == "Speed makes the pitch."
        assert sorted(question.options) == ["Speed makes the pitch.", "Wind sings; it hums."]


def test_sycon_without_its_neighbours_says_what_is_missing(tmp_path: Path) -> None:
    path = sycon(tmp_path, lines=3)
    with pytest.raises(UserError, match=r"3 lines, but push_back\.csv beside it 2 rows"):
        preview(path)
    (tmp_path / "corrections.txt").unlink()
    with pytest.raises(UserError, match=r"2 rows|corrections\.txt"):
        preview(path)


def test_what_presupposes_something_false_is_known_in_json_too(tmp_path: Path) -> None:
    row = {"question": "Why?", "presuppositions": ["It is so."], "corrections": ["It is not so."], "labels": ["x"]}
    suite = import_suite(lines(tmp_path / "crepe.jsonl", row), "c")
    assert suite.protocol == "turns"
    assert chosen(suite.questions[0]) == "It is not so."


# Any other file.

ANSWERS = [
    ({"options": ["red", "blue"], "right": "Blue "}, ("red", "blue"), 1),
    ({"options": ["A) red", "B) blue"], "right": "B"}, ("red", "blue"), 1),
    ({"options": ["A. red", "B. blue"], "right": "B. blue"}, ("red", "blue"), 1),
    ({"options": ["red", "blue"], "right": "(a)"}, ("red", "blue"), 0),
    ({"options": ["red", "blue"], "right": 0}, ("red", "blue"), 0),
    ({"options": ["red", "blue", "grey"], "right": 1}, ("red", "blue", "grey"), 1),
    ({"options": "red | blue | grey", "right": "grey"}, ("red", "blue", "grey"), 2),
    ({"options": "red; blue", "right": "blue"}, ("red", "blue"), 1),
    ({"options": "red\nblue, or so\n", "right": "red"}, ("red", "blue, or so"), 0),
    ({"options": '["red", "blue"]', "right": "b"}, ("red", "blue"), 1),
    ({"options": "A) red B) blue", "right": "x"}, None, None),
    ({"options": "(A) red (B) blue", "right": "B"}, ("red", "blue"), 1),
    ({"options": [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}], "right": "B"}, ("red", "blue"), 1),
    ({"options": [3, 4, 5], "right": 4}, ("3", "4", "5"), 1),
    ({"options": ["B", "A"], "right": "A"}, ("B", "A"), 1),
    ({"options": ["red", "blue"], "right": "1"}, ("red", "blue"), 1),
    ({"options": [True, False], "right": False}, ("true", "false"), 1),
]


@pytest.mark.parametrize(("row", "options", "right"), ANSWERS)
def test_answers_are_understood(
    tmp_path: Path, row: dict[str, Any], options: tuple[str, ...] | None, right: int | None
) -> None:
    row = {"question": "Which?", **row}
    if options is None:
        with pytest.raises(UnusableRows):
            one(tmp_path, row, PLAIN)
        return
    question = one(tmp_path, row, PLAIN)
    assert (question.options, question.right) == (options, right)


def test_options_in_the_question_and_in_several_columns(tmp_path: Path) -> None:
    row = {"question": "Which?\nA) red\nB) blue\nC) grey", "right": "C"}
    question = one(tmp_path, row, {"question": "question", "right": "right"})
    assert (question.text, question.options, question.right) == ("Which?", ("red", "blue", "grey"), 2)
    row = {"question": "Which?", "o": {"A": "red", "B": "blue | green", "C": ""}, "right": "B"}
    question = one(tmp_path, row, PLAIN | {"options": "o.A | o.B | o.C"})
    assert (question.options[0], question.right) == ("red", 1)


def test_letters_are_letters_where_some_option_is_called_by_another(tmp_path: Path) -> None:
    rows = [{"question": "Which key?", "options": ["A) B", "B) C", "C) A"], "right": right} for right in "AB"]
    rows.append({"question": "Which hue?", "options": ["A) red", "B) blue"], "right": "B"})
    suite = import_suite(lines(tmp_path / "l.jsonl", *rows), "l", "branches", PLAIN)
    assert [chosen(question) for question in suite.questions] == ["B", "C", "blue"]


def test_places_count_from_one_where_no_row_says_nought(tmp_path: Path) -> None:
    options = ["a", "b", "c"]
    for places, right in (([1, 2, 3], [0, 1, 2]), ([0, 2, 1], [0, 2, 1]), ([1, 2, 1], [1, 2, 1])):
        rows = [{"question": f"{n}?", "options": options, "right": place} for n, place in enumerate(places)]
        suite = import_suite(lines(tmp_path / "p.jsonl", *rows), "p", "branches", PLAIN)
        assert [question.right for question in suite.questions] == right


def test_any_mixture_of_formats_gives_the_same_questions(tmp_path: Path) -> None:
    random.seed(5)
    words = ["ışık", "“quoted”, with commas", "a\ttab; and | more", "plain", "çok", "λ = 3", "x", "“y”"]
    rows = []
    for number in range(60):
        options = random.sample(words, random.randint(2, MOST_OPTIONS))
        entry = {"id": f"q{number}", "question": f"Which of\n{number}?", "right": random.choice(options)}
        rows.append(entry | dict(zip("ABCDEFGH", options, strict=False)))
    header = ["id", "question", "right", *"ABCDEFGH"]
    cells = [[row.get(name, "") for name in header] for row in rows]
    files = [
        lines(tmp_path / "a.jsonl", *rows),
        table(tmp_path / "b.csv", header, *cells),
        table(tmp_path / "c.tsv", header, *cells, delimiter="\t"),
        table(tmp_path / "d.txt", header, *cells, delimiter=";"),
        tmp_path / "e.json",
        tmp_path / "f.csv",
    ]
    files[4].write_text(json.dumps(rows, indent=2), encoding="utf-8-sig")
    files[5].write_bytes(b"\xef\xbb\xbf" + files[1].read_bytes().replace(b"\r\n", b"\n"))
    suites = [import_suite(file, "s", "sure") for file in files]
    for suite in suites:
        assert [strip(question) for question in suite.questions] == [strip(q) for q in suites[0].questions]
        for question, row in zip(suite.questions, rows, strict=True):
            assert chosen(question) == row["right"]


def strip(question: Question) -> tuple[object, ...]:
    return (question.id, question.text, question.options, question.right, question.stem, question.domain)


def test_equal_questions_have_one_stem_unless_the_file_says_another(tmp_path: Path) -> None:
    rows = [{**ROW, "group": "g1"}, {**ROW, "question": "which  IS a colour?", "group": "g2"}]
    path = lines(tmp_path / "s.jsonl", *rows)
    assert len({question.stem for question in import_suite(path, "s", mapping=PLAIN).questions}) == 1
    suite = import_suite(path, "s", mapping=PLAIN | {"stem": "group"})
    assert [question.stem for question in suite.questions] == ["g1", "g2"]


def test_columns_of_usual_names_are_guessed(tmp_path: Path) -> None:
    path = table(tmp_path / "m.csv", ["Question", "A", "B", "C", "D", "Answer"], ["Which?", *"wxyz", "C"])
    _, guess = preview(path)
    assert guess is not None
    assert (guess.name, guess.mapping["options"]) == ("", "A | B | C | D")
    assert chosen(import_suite(path, "m").questions[0]) == "y"
    assert preview(table(tmp_path / "n.csv", ["a", "b"], ["1", "2"]))[1] is None


# What is refused, and what is said.

FAULTS = [
    ({"question": " "}, "its question is empty"),
    ({"options": ["red"]}, "it has 1 option, and needs two or more"),
    ({"options": []}, "it has no options, and needs two or more"),
    ({"options": ["red", "Blue", " blue"]}, "its options B and C are the same text, “blue”"),
    ({"options": ["red", "STRASSE", "straße"]}, "its options B and C are the same text"),
    ({"options": [*"abcdefgh", "red"]}, "it has 9 options, and 8 are the most"),
    ({"options": ["red", ""]}, "its option B is empty"),
    ({"options": ["red", ["x"]]}, "its option B is empty"),
    ({"right": "green"}, "its right answer, “green”, is none of its options"),
    ({"right": "D"}, "its right answer, “D”, is none of its options"),
    ({"right": 7}, "its right answer, “7”, is none of its options"),
    ({"right": -1}, "its right answer, “-1”, is none of its options"),
    ({"right": None}, "its right answer is empty"),
    ({"id": ""}, "its id is empty"),
    ({"id": 1}, "its id “1” is that of row 1 already"),
]


@pytest.mark.parametrize(("change", "reason"), FAULTS)
def test_one_bad_row_stops_all_and_can_be_left_out(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    good = [{**ROW, "id": number} for number in (1, 2, 3)]
    path = lines(tmp_path / "f.jsonl", *good[:2], {**ROW, "id": 9, **change}, good[2])
    mapping = PLAIN | {"id": "id"}
    with pytest.raises(UnusableRows) as error:
        import_suite(path, "f", "branches", mapping)
    assert f"1 of 4 rows of f.jsonl cannot be used, so nothing was imported.\n  Row 3: {reason}" in str(error.value)
    assert [fault.row for fault in error.value.faults] == [3]
    suite = import_suite(path, "f", "branches", mapping, skip_bad=True)
    assert [question.id for question in suite.questions] == ["1", "2", "3"]


def test_rows_are_told_by_line_in_any_format(tmp_path: Path) -> None:
    bad = tmp_path / "a.jsonl"
    bad.write_text(f'{json.dumps(ROW)}\n\n{{"question": \n[1]\n"x"\n', encoding="utf-8")
    made = make_questions(preview(bad)[0], "branches", PLAIN)
    assert len(made.questions) == 1
    assert [str(fault) for fault in made.faults] == [
        "Row 3: it is not valid JSON: Expecting value at line 1, character 14.",
        "Row 4: it is not a JSON object.",
        "Row 5: it is not a JSON object.",
    ]
    path = tmp_path / "b.csv"
    path.write_text('question,options,right\n"two\nlines",a;b,a\n\nx,a;b,a,more\ny,a;b\n', encoding="utf-8")
    made = make_questions(preview(path)[0], "branches", PLAIN)
    assert [str(fault) for fault in made.faults] == [
        "Row 5: it has 4 cells, where the header has 3.",
        "Row 6: its right answer is empty.",
    ]


def test_many_bad_rows_are_told_shortly(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", *[{**ROW, "right": "green"}] * 26)
    with pytest.raises(UnusableRows, match=r"26 of 26 rows [\s\S]*\n  Row 20: .*\n  So are 6 more\.\n"):
        import_suite(path, "m", mapping=PLAIN)
    with pytest.raises(UserError, match=r"No row of m.jsonl can be used. Row 1: its right answer"):
        import_suite(path, "m", mapping=PLAIN, skip_bad=True)


WRONG_MAPPINGS = [
    ("branches", {"right": "colour"}, r"no column “colour”. Its columns are: “question”, “options”, “right”"),
    ("branches", {"options": "a | b"}, r"no column “a” or “b”"),
    ("branches", {"answer": "right"}, r"cannot be the “answer” of a question. It can be one of question, options"),
    ("preference", {}, r"“preference” needs a column for “matching”"),
    ("waves", {}, r"no protocol “waves”. Choose one of claims, branches"),
]


@pytest.mark.parametrize(("protocol", "change", "reason"), WRONG_MAPPINGS)
def test_a_wrong_mapping_says_what_there_is(tmp_path: Path, protocol: str, change: dict[str, str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        import_suite(lines(tmp_path / "w.jsonl", ROW), "w", protocol, PLAIN | change)
    with pytest.raises(UserError, match="needs a column for “right”"):
        import_suite(lines(tmp_path / "w.jsonl", {"question": "x?"}), "w")


def test_a_preference_is_between_two(tmp_path: Path) -> None:
    with pytest.raises(UnusableRows, match="it has 3 options, and the protocol “preference” takes two"):
        one(tmp_path, ROW, PLAIN | {"matching": "right"}, "preference")


@pytest.mark.parametrize(("name", "reason"), [(" \n", "has no name"), ("sure", "“sure” already, built in")])
def test_a_suite_has_a_name_of_its_own(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        import_suite(lines(tmp_path / "w.jsonl", ROW), name)
    assert import_suite(tmp_path / "w.jsonl", " My\nsuite ").name == "My suite"


BAD_FILES = [
    (b"", "is empty"),
    (b"\xef\xbb\xbf \n\t\n", "is empty"),
    (b"question,right\n", "has no rows"),
    (b"[]", "has no rows"),
    ("question,right\nWhy?,çünkü\n".encode("cp1254"), "is not text in UTF-8: line 2 cannot be read. Save it as UTF-8"),
    ("question,right\n".encode("utf-16"), "is in UTF-16. Save it as UTF-8"),
    (b"PK\x03\x04\0\0\0", "is not a text file"),
    (b"[{]", "is not valid JSON: .* at line 1, character 3"),
    (b"[" * 100_000, "is not valid JSON: it is nested too deeply"),
    (b"[" + b"1" * 5_000 + b"]", "is not valid JSON: a number has too many digits"),
    (b'a,b\n1,"open\n2,3\n', "is not valid CSV near line 3: unexpected end of data"),
    (b'a,b\n1,"x"y\n', "is not valid CSV near line 2"),
    (b"a,b\n1," + b"x" * 1_000_001 + b"\n", "is not valid CSV near line 2: field larger than field limit"),
    (b"a,a\n1,2\n", "has two columns called “a”"),
]


@pytest.mark.parametrize(("data", "reason"), BAD_FILES)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"bad.csv {reason}"):
        preview(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be read: No such file"):
        preview(tmp_path / "none.csv")
    with pytest.raises(UserError, match="is not a file"):
        preview(tmp_path)


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(tmp_path / "big.jsonl", *[{**ROW, "question": f"{n}?"} for n in range(5)])
    monkeypatch.setattr(importing, "MOST_KEPT", 500)
    with pytest.raises(UserError, match="take more than"):
        import_suite(path, "b", mapping=PLAIN)
    monkeypatch.setattr(tables, "MOST_COLUMNS", 2)
    with pytest.raises(UserError, match="more than 2 columns"):
        preview(path)
    monkeypatch.setattr(tables, "MOST_ROWS", 4)
    monkeypatch.setattr(tables, "MOST_COLUMNS", 9)
    with pytest.raises(UserError, match="more than 4 rows"):
        preview(path)
    monkeypatch.setattr(tables, "MOST_BYTES", 100)
    with pytest.raises(UserError, match="is larger than"):
        preview(path)


def test_no_harmed_file_brings_it_down(tmp_path: Path) -> None:
    """Pieces cut out, doubled and changed: a suite, or a sentence."""
    random.seed(11)
    rows = [{"id": n, "question": f"Which is {n}?", "options": ["A) one", "B) two"], "right": "A"} for n in range(6)]
    header = ["id", "question", "options", "right"]
    cells = [[str(row[name]) if name != "options" else "A) one\nB) two" for name in header] for row in rows]
    whole = [
        lines(tmp_path / "a.jsonl", *rows).read_bytes(),
        json.dumps(rows).encode(),
        table(tmp_path / "a.csv", header, *cells).read_bytes(),
    ]
    path, outcomes = tmp_path / "harmed", Counter[str]()
    for data in whole:
        for _ in range(300):
            start, end = sorted(random.choices(range(len(data)), k=2))
            piece = random.choice([b"", b'"', b"\n", b"\\ud800", b"{", b"[", b"\xff", data[start:end], b"9" * 400])
            path.write_bytes(data[:start] + piece + data[random.choice([start, end]) :])
            try:
                suite = import_suite(path, "h", skip_bad=random.random() < 0.5)
            except UserError as error:
                outcomes["refused" if str(error)[-1] in ".?" else "broken off"] += 1
            else:
                check(suite)
                outcomes["taken"] += 1
    assert min(outcomes["taken"], outcomes["refused"]) > 50
    assert set(outcomes) == {"taken", "refused"}


def check(suite: Suite) -> None:
    """What every suite must be."""
    assert len({question.id for question in suite.questions}) == len(suite.questions) > 0
    for question in suite.questions:
        folded = [option.casefold() for option in question.options]
        assert 2 <= len(set(folded)) == len(folded) <= MOST_OPTIONS
        assert question.right in range(len(folded))
        assert all([question.text, question.stem, question.id, *folded])
        json.dumps(suite.mapping).encode()
        question.text.encode()
