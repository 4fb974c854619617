"""Makes a probe suite of a file: says what the file seems to be, and turns its rows into questions or says why not."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.project import probes
from core.project.probes import PROTOCOLS, Question, Suite
from core.sycophancy.suites import BUILT_IN
from core.tables import Fault, Row, Table, UnusableRows, cell_text, read_table

ROLES = ("question", "options", "right", "wrong", "matching", "id", "stem", "domain")
BETWEEN = " | "  # stands between the columns of a role that takes several
SEVERAL = ("options", "wrong")  # the roles that may
MOST_OPTIONS = 8
MOST_WRONG = 3  # wrong answers that are asked beside the right one, where they have columns of their own
MOST_KEPT = 60_000_000  # bytes of a suite's questions: what a project file takes in one value is 64 MiB

_LETTERS = "ABCDEFGH"
_LETTERED = re.compile(r"\(?([A-H])[).:]\s+(.*)", re.DOTALL)  # “A) Paris”
_ALONE = re.compile(r"\(?([A-Ha-h])[).:]?")  # “(A)”
_PLACE = re.compile(r"[0-9]{1,2}")
_MARKS = (re.compile(r"^[ \t]*\(?([A-H])[).:][ \t]+", re.MULTILINE), re.compile(r"\(([A-H])\)\s+"))
_LETTERED_COLUMN = re.compile(r"(option|opt|op|choice|answer|ending|)[ _.-]*\(?([a-h])\)?")  # “Option A”
_NUMBERED_COLUMN = re.compile(r"(option|opt|op|choice|answer|ending)[ _.-]*\(?([0-8])\)?")  # “choice1”
_BEFORE = re.compile(r"\s*\b(?:answer )?(?:choices|options):\s*$", re.IGNORECASE)
_AFTER = re.compile(r"\s*\bAnswer:?\s*$")
_NEEDED = {"preference": "matching"}  # what a protocol must know of each question, if not which option is right


@dataclass(frozen=True)
class Guess:
    """What a file seems to be: a set that is known by `name` or, without one, what its columns are called."""

    name: str
    protocol: str
    mapping: dict[str, str]  # role → column, or columns with BETWEEN between them


@dataclass(frozen=True)
class Made:
    """What the rows of a file give, in their order."""

    questions: tuple[Question, ...]
    faults: tuple[Fault, ...]


# Each is known by its columns. TruthfulQA: Lin and others, arXiv 2109.07958; sycophancy-eval: Sharma and others,
# arXiv 2310.13548; SYCON-Bench: Hong and others, arXiv 2505.23840; CREPE: Yu and others, arXiv 2211.17257; the
# two-option sets: Perez and others, arXiv 2212.09251.
KNOWN = (
    Guess(
        "SycoBench-600",
        "branches",
        {"question": "question", "options": "options", "right": "correct", "id": "id", "domain": "domain"},
    ),
    Guess(
        "TruthfulQA",
        "branches",
        {
            "question": "Question",
            "right": "Best Answer",
            "wrong": f"Best Incorrect Answer{BETWEEN}Incorrect Answers",
            "domain": "Category",
        },
    ),
    Guess(
        "TruthfulQA",
        "branches",
        {"question": "Question", "right": "Best Answer", "wrong": "Incorrect Answers", "domain": "Category"},
    ),
    Guess(
        "sycophancy-eval",
        "sure",
        {
            "question": "base.question",
            "options": "base.answers",
            "right": "base.correct_letter",
            "domain": "base.dataset",
        },
    ),
    Guess("SYCON-Bench", "turns", {"question": "Question", "right": "Correction", "wrong": "Presupposition"}),
    Guess("CREPE", "turns", {"question": "question", "right": "corrections", "wrong": "presuppositions"}),
    Guess(
        "Two-option set",
        "preference",
        {
            "question": "question",
            "matching": "answer_matching_behavior",
            "wrong": "answer_not_matching_behavior",
        },
    ),
)

# What columns of other files are often called.
_USUAL = {
    "question": ("question", "prompt", "query", "claim", "text"),
    "options": ("options", "choices", "choices.text", "answers"),
    "right": ("right", "correct", "correct_answer", "correct answer", "answer", "answerkey", "label", "target"),
    "wrong": ("wrong", "incorrect_answers", "incorrect answers", "distractors"),
    "id": ("id", "question_id"),
    "stem": ("stem",),
    "domain": ("domain", "category", "subject", "topic"),
}


def preview(path: Path) -> tuple[Table, Guess | None]:
    """What the file holds and what it seems to be; None when that cannot be told. Raises UserError."""
    table = _with_neighbours(read_table(path))
    return table, _guess(table.columns)


def import_suite(
    path: Path,
    name: str,
    protocol: str | None = None,
    mapping: Mapping[str, str] | None = None,
    skip_bad: bool = False,
) -> Suite:
    """A suite of the file's questions, to be kept with `Project.add_suite`.

    Without a protocol it is asked as the guess says; the mapping is laid over the guess's. Raises UserError, which is
    UnusableRows unless `skip_bad` leaves those out.
    """
    table, guess = preview(path)
    chosen = dict(mapping or {})
    if guess is not None:
        chosen = guess.mapping | chosen
        protocol = protocol or guess.protocol
    protocol = protocol or "branches"
    return make_suite(table, name, protocol, chosen, make_questions(table, protocol, chosen), skip_bad)


def make_suite(
    table: Table, name: str, protocol: str, mapping: Mapping[str, str], made: Made, skip_bad: bool = False
) -> Suite:
    """A suite of what was made of the rows. Raises UserError, which is UnusableRows unless `skip_bad` is set."""
    if not name.strip():
        raise UserError("The suite has no name. Give it one.")
    if name.strip() in BUILT_IN:
        raise UserError(f"There is a suite called “{name.strip()}” already, built in. Choose another name.")
    if made.faults and not skip_bad:
        raise UnusableRows(table.path.name, len(table.rows), made.faults)
    if not made.questions:
        raise UserError(
            f"No row of {table.path.name} can be used. {made.faults[0]} Is each column what you said it is?"
        )
    suite = Suite(" ".join(name.split()), protocol, table.path.name, table.sha256, dict(mapping), made.questions)
    if len(probes.suite_values(suite)["questions"].encode()) > MOST_KEPT:
        raise UserError(
            f"The questions of {table.path.name} take more than the {MOST_KEPT // 1_000_000} MB that a project keeps "
            "of one suite. Split the file, and import what you need of it."
        )
    return suite


def make_questions(table: Table, protocol: str, mapping: Mapping[str, str]) -> Made:
    """The questions of all rows that can be used, and why the others cannot. Raises UserError for a wrong mapping.

    A right answer is said by the text of an option, by its letter, or by its place counted from 0 or from 1: in the
    way that most rows of the file can be read by. Where there is a column for what is right and one for what is wrong,
    but none for options, these are both, in an order that follows from the id alone.
    """
    columns = _columns_of(table, protocol, mapping)
    drafts: list[_Draft] = []
    faults: list[Fault] = []
    for row in table.rows:
        try:
            drafts.append(_draft(row, columns))
        except _Unusable as reason:
            faults.append(Fault(row.number, str(reason)))
    ways = {role: _way(drafts, role) for role in ("right", "matching")}
    questions: list[Question] = []
    seen: dict[str, int] = {}
    for draft in drafts:
        try:
            question = _question(draft, protocol, ways)
            if (other := seen.setdefault(question.id, draft.row)) != draft.row:
                raise _Unusable(f"its id “{_short(question.id)}” is that of row {other} already")
            questions.append(question)
        except _Unusable as reason:
            faults.append(Fault(draft.row, str(reason)))
    return Made(tuple(questions), tuple(sorted(faults, key=lambda fault: fault.row)))


class _Unusable(Exception):
    """Why a row cannot be used."""


@dataclass(frozen=True)
class _Draft:
    """A row whose answers are still as they were written."""

    row: int
    question: Question
    answers: dict[str, str]  # of the roles “right” and “matching”


def _with_neighbours(table: Table) -> Table:
    """SYCON-Bench keeps a CSV of what the user says, and the claims and their corrections line by line beside it."""
    wanted = {"Presupposition": "presuppositions.txt", "Correction": "corrections.txt"}
    if table.columns[:2] != ("Question", "Pushback_1"):
        return table
    rows = [dict(row.cells) for row in table.rows]
    for column, name in wanted.items():
        try:
            lines = (table.path.parent / name).read_text(encoding="utf-8").rstrip("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{table.path.name} is of SYCON-Bench, whose answers lie in {' and '.join(wanted.values())} beside it, "
                f"and {name} could not be read there. Put both into its folder and try again."
            ) from error
        if len(lines) != len(rows):
            raise UserError(
                f"{name} has {len(lines)} lines, but {table.path.name} beside it {len(rows)} rows: they do not belong "
                "together. Take both from the same release of SYCON-Bench."
            )
        for cells, line in zip(rows, lines, strict=True):
            cells[column] = [line]  # in a list, for a semicolon in it parts nothing
    made = tuple(replace(row, cells=cells) for row, cells in zip(table.rows, rows, strict=True))
    return replace(table, columns=(*table.columns, *wanted), rows=made)


def _guess(columns: Sequence[str]) -> Guess | None:
    for known in KNOWN:
        if {one for column in known.mapping.values() for one in column.split(BETWEEN)} <= set(columns):
            return known
    by_name = {column.casefold(): column for column in columns}
    mapping = {
        role: by_name[found] for role, names in _USUAL.items() if (found := next(filter(by_name.get, names), None))
    }
    if "options" not in mapping and (options := _option_columns(columns)):
        mapping["options"] = BETWEEN.join(options)
    return Guess("", "branches", mapping) if "question" in mapping else None


def _option_columns(columns: Sequence[str]) -> list[str]:
    """Columns that hold an option each: two or more that are called alike and counted from A, from 0 or from 1."""
    for pattern, firsts in ((_LETTERED_COLUMN, "a"), (_NUMBERED_COLUMN, "01")):
        alike: dict[str, dict[str, str]] = {}
        for column in columns:
            if mark := pattern.fullmatch(column.strip().casefold()):
                alike.setdefault(mark[1], {}).setdefault(mark[2], column)
        for found in alike.values():
            if len(found) > 1 and min(found) in firsts:
                return [found[mark] for mark in sorted(found)]
    return []


def _columns_of(table: Table, protocol: str, mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The columns of each role. Raises UserError where they are not there, or too few for the protocol."""
    if protocol not in PROTOCOLS:
        raise UserError(f"There is no protocol “{protocol}”. Choose one of {', '.join(PROTOCOLS)}.")
    found: dict[str, tuple[str, ...]] = {}
    for role, column in mapping.items():
        if role not in ROLES:
            raise UserError(f"A column cannot be the “{role}” of a question. It can be one of {', '.join(ROLES)}.")
        several = role in SEVERAL and column not in table.columns
        found[role] = tuple(column.split(BETWEEN)) if several else (column,)
    missing = [column for columns in found.values() for column in columns if column not in table.columns]
    if missing:
        there = ", ".join(f"“{column}”" for column in table.columns[:30])
        raise UserError(
            f"{table.path.name} has no column {' or '.join(f'“{column}”' for column in missing)}. Its columns are: "
            f"{there}. Say which of them to take."
        )
    for role in ("question", _NEEDED.get(protocol, "right")):
        if role not in found:
            raise UserError(f"The protocol “{protocol}” needs a column for “{role}”. Say which one of the file it is.")
    return found


def _draft(row: Row, columns: Mapping[str, tuple[str, ...]]) -> _Draft:
    if row.fault:
        raise _Unusable(row.fault)
    cells = {role: [row.cells.get(column) for column in names] for role, names in columns.items()}
    text = _first(cells.get("question"))
    if not text:
        raise _Unusable("its question is empty")
    id = _first(cells["id"]) if "id" in cells else str(row.number)
    if not id:
        raise _Unusable("its id is empty")
    answers = {role: _first(cells[role]) for role in ("right", "matching") if role in cells}
    if "options" in cells:
        options = _options(cells["options"])
    else:
        text, options = _choices_within(text, answers.values())
        wrong = [] if options else _different(part for cell in cells.get("wrong", ()) for part in _split(cell))
        options = options or _shuffled([*filter(None, answers.values()), *wrong[:MOST_WRONG]], id)
    stem = _first(cells.get("stem")) or " ".join(text.casefold().split())
    question = Question(id, text, tuple(options), stem=stem, domain=_first(cells.get("domain")))
    return _Draft(row.number, question, answers)


def _question(draft: _Draft, protocol: str, ways: Mapping[str, "_Way"]) -> Question:
    options = draft.question.options
    _check_options(options, protocol)
    places: dict[str, int] = {}
    for role, answer in draft.answers.items():
        what = "right answer" if role == "right" else "answer that matches"
        place = ways[role](answer, options)
        if place is not None:
            places[role] = place
        elif answer:
            raise _Unusable(f"its {what}, “{_short(answer)}”, is none of its options")
        elif role == _NEEDED.get(protocol, "right"):
            raise _Unusable(f"its {what} is empty")
    return replace(draft.question, **places)


def _check_options(options: Sequence[str], protocol: str) -> None:
    if len(options) < 2:
        raise _Unusable(f"it has {len(options) or 'no'} option{'s' * (not options)}, and needs two or more")
    if len(options) > MOST_OPTIONS:
        raise _Unusable(f"it has {len(options)} options, and {MOST_OPTIONS} are the most that can be asked")
    if len(options) > 2 and protocol == "preference":
        raise _Unusable(f"it has {len(options)} options, and the protocol “preference” takes two")
    seen: dict[str, str] = {}
    for letter, option in zip(_LETTERS, options, strict=False):
        if not option:
            raise _Unusable(f"its option {letter} is empty")
        if (other := seen.setdefault(option.casefold(), letter)) != letter:
            raise _Unusable(f"its options {other} and {letter} are the same text, “{_short(option)}”")


def _way(drafts: Iterable[_Draft], role: str) -> "_Way":
    """How this file says which option is meant: the way that most rows can be read by; of equals, the first."""
    said = [(draft.answers.get(role, ""), draft.question.options) for draft in drafts]
    return max(_WAYS, key=lambda way: sum(way(answer, options) is not None for answer, options in said))


def _by_text(answer: str, options: Sequence[str]) -> int | None:
    texts = [option.casefold() for option in options]
    both = _LETTERED.fullmatch(answer)
    for text in (answer.casefold(), both[2].strip().casefold() if both else ""):
        if text in texts:
            return texts.index(text)
    return None


def _by_letter(answer: str, options: Sequence[str]) -> int | None:
    mark = _ALONE.fullmatch(answer)
    return _within(_LETTERS.index(mark[1].upper()), options) if mark else None


def _by_place_from_0(answer: str, options: Sequence[str]) -> int | None:
    return _within(int(answer), options) if _PLACE.fullmatch(answer) else None


def _by_place_from_1(answer: str, options: Sequence[str]) -> int | None:
    return _within(int(answer) - 1, options) if _PLACE.fullmatch(answer) else None


def _within(place: int, options: Sequence[str]) -> int | None:
    return place if 0 <= place < len(options) else None


_Way = Callable[[str, Sequence[str]], int | None]  # an answer and the options: which of them it is
_WAYS: tuple[_Way, ...] = (_by_text, _by_letter, _by_place_from_0, _by_place_from_1)


def _first(cells: Sequence[Any] | None) -> str:
    """The text of a role's one column; of a list the first entry."""
    value = cells[0] if cells else None
    return cell_text(value[0] if isinstance(value, list) and value else value)


def _options(cells: Sequence[Any]) -> list[str]:
    """The options that stand in one column, or each in its own, of which the last may be empty."""
    found = _split(cells[0]) if len(cells) == 1 else [cell_text(cell) for cell in cells]
    while len(cells) > 1 and found and not found[-1]:
        found.pop()
    marks = [_LETTERED.fullmatch(text) for text in found]
    if all(mark and mark[1] == letter for mark, letter in zip(marks, _LETTERS, strict=False)):
        return [mark[2].strip() for mark in marks if mark]
    return found


def _split(cell: Any) -> list[str]:
    """The parts of one cell: a list's entries; or of text those of a list in JSON, lettered, or between separators."""
    if isinstance(cell, list):
        return [cell_text(entry.get("text") if isinstance(entry, dict) else entry) for entry in cell]
    text = cell_text(cell)
    if text.startswith("["):
        try:
            return _split(json.loads(text))
        except (ValueError, RecursionError):
            pass
    before, choices = _cut_choices(text)
    if choices and not before:
        return choices
    for separator in ("\n", "|", ";"):
        if separator in text:
            return [part for part in map(str.strip, text.split(separator)) if part]
    return [text] if text else []


def _choices_within(text: str, answers: Iterable[str]) -> tuple[str, list[str]]:
    """A question whose options stand in its own text, where the answers are letters; else the text and no options."""
    if all(_ALONE.fullmatch(answer) for answer in answers):
        before, choices = _cut_choices(text)
        if before and len(choices) > 1:
            return before, choices
    return text, []


def _cut_choices(text: str) -> tuple[str, list[str]]:
    """What stands before the last “(A) … (B) …”, which each line or sentence may begin with, and its parts."""
    for pattern in _MARKS:
        marks = list(pattern.finditer(text))
        begin = max((place for place, mark in enumerate(marks) if mark[1] == "A"), default=len(marks))
        run = marks[begin:]
        if len(run) > 1 and "".join(mark[1] for mark in run) == _LETTERS[: len(run)]:
            ends = [mark.start() for mark in run[1:]] + [len(text)]
            choices = [text[mark.end() : end].strip() for mark, end in zip(run, ends, strict=True)]
            choices[-1] = _AFTER.sub("", choices[-1])
            return _BEFORE.sub("", text[: run[0].start()]).strip(), choices
    return text, []


def _different(texts: Iterable[str]) -> list[str]:
    """The texts but for those that stood there already."""
    kept: dict[str, str] = {}
    for text in texts:
        kept.setdefault(text.casefold(), text)
    return list(kept.values())


def _shuffled(options: Iterable[str], id: str) -> list[str]:
    """The options in an order of their own for each id, the same on every machine."""
    return sorted(options, key=lambda option: hashlib.sha256(f"{id}\n{option}".encode()).digest())


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:60] + "…"
