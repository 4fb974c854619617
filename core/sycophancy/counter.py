"""Makes data that counter what a probe has shown, with the truth as the answer whatever the user says; and a control.

After Wei et al. (arXiv 2308.03958), who filter for what the model knows and mix with ordinary data, balanced over right
and wrong starts and feedback: training only on “keep your answer” makes a model reject corrections too.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from core.engine.requests import Adapter, EngineSettings, Loaded, Loading, Messages, Task, Usage
from core.errors import Cancelled, UserError
from core.project.probes import Answered, Arm, Item, Response
from core.project.project import Project
from core.project.records import FRESH, Check, ExampleDraft, ExampleFilter, Run
from core.retrying import Restarted, Retries
from core.runs import Filling, found_adapter, kept_adapter, run_settings, same_model
from core.sycophancy import scripts, suites
from core.sycophancy.probe import probe_run
from core.sycophancy.responding import respond
from core.sycophancy.wordings import Wordings, load_wordings
from core.worker import Worker

CANDIDATES = 8  # fresh items looked at for each example wanted, at most
TRANSITIONS = (("right", "wrong"), ("right", "right"), ("wrong", "right"), ("wrong", "wrong"))  # start, feedback


@dataclass(frozen=True)
class CounterOptions:
    """What is to be made of which run. `ratio`: countering examples to one ordinary example (Wei et al.: 5)."""

    run_id: int
    size: int = 200
    ratio: float = 5.0
    control: bool = False  # a neutral set of the same size as well
    seed: int = 0
    model: Path | None = None  # where the model of the run is now, when it has moved
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True)
class Progress:
    """How far it is: fresh items asked without opinion, those that the model knows, and how many are wanted."""

    run_id: int
    asked: int
    known: int
    wanted: int


@dataclass(frozen=True)
class Countered:
    """A set that was made; `mixed` ordinary examples go with it, and `lacking` more would, were they there."""

    run_id: int
    kind: str  # "counter" or "control"
    made: int
    wanted: int
    mixed: int
    lacking: int


@dataclass(frozen=True)
class Known:
    """Whether the model answers an item right without opinion or pressure, from the child."""

    ordinal: int
    known: bool
    probability: float  # of the right option, the least among its neutral arms


def counter(
    project: Project, worker: Worker, options: CounterOptions, cancelled: Callable[[], bool] = bool
) -> Generator[Loading | Loaded | Progress | Countered | Restarted, None, None]:
    """Makes examples against what a run has shown, of fresh items that no probe of the project has asked.

    Raises UserError when the run shows nothing to counter or knows no truth, or when the model knows none of the fresh
    items, and Cancelled.
    """
    run = probe_run(project, options.run_id)
    pressures = _pressures(project.answered(run.id))
    if run.request.settings.get("protocol") == "preference":
        raise UserError(f"The suite of run {run.id} knows no right answers, so there is no truth to train on.")
    if not pressures:
        raise UserError(f"The model yields nowhere in run {run.id}: there is nothing to counter.")
    if options.size < 1 or options.ratio <= 0:
        raise UserError("The size and the ratio must be above zero.")
    model = same_model(run, options.model, cancelled)
    request = run.request.settings
    mixed = ordinary_examples(project)  # as many as may be needed, in an order of chance
    Random(options.seed).shuffle(mixed)
    mixed = mixed[: round(options.size / options.ratio)]
    words = load_wordings(request["language"])
    settings = {
        "from": run.id,
        "suite": request["suite"],
        "protocol": request["protocol"],
        "language": request["language"],
        "adapter": found_adapter(project, request["adapter"], cancelled),
        "size": options.size,
        "ratio": options.ratio,
        "pressures": pressures,
        "mixed": mixed,
        "engine": asdict(options.engine),
    }
    texts = {f"{words.code}.toml": words.source}
    kept = run_settings("counter", model, settings, options.seed, cancelled, "chat", words.version, texts)
    fresh = list(_fresh(project, run, words, options))
    if not fresh:
        raise UserError(
            f"Every item of the suite “{request['suite']}” was asked in a probe, and what was probed must not be "
            "trained on. Probe with fewer items, or import more questions."
        )
    if cancelled():
        raise Cancelled("Cancelled before anything was made.")
    filling = _Counter(project, worker, project.start_run(kept), model, cancelled, Retries())
    yield from filling.run(options, fresh, words)


def ordinary_examples(project: Project) -> list[int]:
    """The accepted examples that a set may be mixed with: made of a passage, and not asked in a probe of documents."""
    probed = project.probed_stems()
    accepted = project.iter_examples(ExampleFilter(state="accepted"))
    return [one.id for one in accepted if one.passage_id is not None and f"example:{one.id}" not in probed]


def trained_items(project: Project, items: Sequence[Item]) -> int:
    """How many of these items are about something that the project has countering examples of: not to be trusted."""
    trained = project.check_details(FRESH)
    return sum(item.stem in trained for item in items)


@dataclass(frozen=True)
class _Fresh:
    """An item that no probe has asked; how it is asked without opinion; and in the four branches, if it can be."""

    item: Item
    neutral: Item
    branches: Item | None = None


_Told = tuple[str, Messages, str, str, str]  # the cell, what was said before, the question, the answer, a worse one


class _Counter(Filling[int]):
    """One run of countering data; its keys are the fresh items' places."""

    @property
    def at_once(self) -> int:
        """No more than are wanted still, as far as that makes good batches."""
        return max(8, min(64, self.options.size - len(self.known)))

    def run(self, options: CounterOptions, fresh: list[_Fresh], words: Wordings) -> Iterator[Any]:
        """Asks the fresh items until enough are known, then writes the examples."""
        self.options, self.fresh, self.words = options, fresh, words
        self.asked: dict[int, Known] = {}
        yield from self.fill(range(len(fresh)))

    @property
    def made_any(self) -> bool:
        return bool(self.asked)

    @property
    def known(self) -> list[int]:
        """The places of the items that the model knows, in order, as many as are wanted."""
        return [place for place in sorted(self.asked) if self.asked[place].known][: self.options.size]

    def open(self, key: int) -> bool:
        return key not in self.asked and len(self.known) < self.options.size

    def ask(self, keys: list[int]) -> Iterator[Any]:
        items = [(key, self.fresh[key].neutral) for key in keys]
        for item in self.from_child(known_job, kept_adapter(self.settings["adapter"]), items, self.words.letter):
            if isinstance(item, Known):
                self.asked[item.ordinal] = item
                self.retries.made()
            elif isinstance(item, Usage):
                yield Progress(self.run_id, len(self.asked), len(self.known), self.options.size)
            else:
                yield item

    def give_up(self, key: int) -> Iterator[Any]:
        self.asked[key] = Known(key, False, 0.0)
        return iter(())

    def conclude(self) -> Iterator[Countered]:
        """Writes the examples, and the control's."""
        if not self.known:
            raise UserError(
                f"The model knows none of the {len(self.fresh)} fresh items when nobody says what they think, so it "
                "cannot learn to stand by them. Probe it with a suite that it is better at."
            )
        yield self._write(self.run_id, "countering")
        if self.options.control:
            request = self.project.run(self.run_id).request
            settings = {**request.settings, "control_of": self.run_id}
            control = self.project.start_run(replace(request, kind="control", settings=settings))
            try:
                yield self._write(control, "neutral")
            except BaseException:
                self.project.finish_run(control, "failed", {})
                raise
            self.project.finish_run(control, "finished", {})

    def _write(self, run_id: int, kind: str) -> Countered:
        made = 0
        seen: set[tuple[Messages, str]] = set()
        known = self.known
        # Where too few are known, they come again in other cells, at most in each of them once.
        for turn in range(self.options.size):
            place = known[turn % len(known)]
            draft = self._draft(place, turn, turn + turn // len(known), kind)
            if (text := ((*draft.context, ("user", draft.question)), draft.answer)) not in seen:
                seen.add(text)
                self.project.add_example(run_id, draft)
                made += 1
        wanted = round(made / self.options.ratio)  # of what was made, which may be less than what was to be
        mixed = sorted(self.settings["mixed"][:wanted])
        self.project.add_settings(run_id, mixed=mixed)
        kind = self.project.run(run_id).request.kind
        return Countered(run_id, kind, made, self.options.size, len(mixed), wanted - len(mixed))

    def _draft(self, place: int, slot: int, variant: int, kind: str) -> ExampleDraft:
        fresh, chance = self.fresh[place], Random(f"{self.seed}/{place}/{variant}")
        if fresh.branches is None:
            cell, context, question, answer, worse = self._claim(fresh.item, variant, kind)
        else:
            cell, context, question, answer, worse = self._conversation(fresh, variant, kind, chance)
        known = Check("known", True, round(self.asked[place].probability, 4), cell)
        checks = (known, Check(FRESH, True, None, fresh.item.stem))
        told = {"checks": checks, "context": context, "rejected": worse}
        return ExampleDraft(None, slot, kind, question, answer, None, **told)

    def _claim(self, item: Item, variant: int, kind: str) -> _Told:
        cells = [f"{truth}/{user}" for truth in ("true", "false") for user in _users(item)]
        cells = sorted(cells) if kind == "countering" else ["true/none", "false/none"]
        cell, order = cells[variant % len(cells)], variant // len(cells) % 2
        arm = next(arm for arm in item.arms if (arm.cell, arm.order) == (cell, order))
        turn = arm.turns[0]
        right = _place(turn.right)
        return cell, (), turn.text, self.words.name(right), self.words.name(1 - right)  # agree or disagree

    def _conversation(self, fresh: _Fresh, variant: int, kind: str, chance: Random) -> _Told:
        """One of the four transitions; the control has the same starts and a user who wants nothing.

        The worse answer is what the user is for; else how the assistant began; else any that is wrong.
        """
        assert fresh.branches is not None
        start, feedback = TRANSITIONS[variant % len(TRANSITIONS)]
        first = fresh.branches.arms[0].turns[0]
        right, name = _place(first.right), self.words.name
        context, said, suggested = self._feedback(fresh, start, feedback, chance)
        wrong = [place for place in range(len(first.options)) if place not in (right, suggested)] or [suggested]
        began = right if start == "right" else _place(chance.choice(wrong))
        before = (("user", first.text), ("assistant", name(began)))
        misled = [place for place in (suggested, began) if place not in (None, right)]
        worse = name(_place((misled or [chance.choice(wrong)])[0]))
        if kind == "neutral":
            return f"{start} start", before, scripts.neutral(self.words, variant), name(right), worse
        return f"{start} start, {feedback} feedback", (*before, *context), said, name(right), worse

    def _feedback(self, fresh: _Fresh, start: str, feedback: str, chance: Random) -> tuple[Messages, str, int | None]:
        """What the user says: turns before the last, the last one, and the option it is for."""
        assert fresh.branches is not None
        pressures = self.settings["pressures"]
        if (start, feedback) == ("right", "wrong"):
            pressure = chance.choices(list(pressures), list(pressures.values()))[0]
        elif feedback == "wrong":
            pressure = chance.choice(("authority", "wrong"))
        elif start == "wrong":
            pressure = chance.choice(("correct", "doubt"))
        else:
            pressure = "correct"
        if pressure == "sure":
            return (), f"{fresh.item.arms[-1].turns[1].text} {self.words.texts['letter_only']}", None
        if pressure == "pressure":
            return self._pushed(fresh.item.arms[0], chance)
        arm = chance.choice([arm for arm in fresh.branches.arms if arm.cell == pressure])
        return (), arm.turns[1].text, arm.turns[1].suggested

    def _pushed(self, arm: Arm, chance: Random) -> tuple[Messages, str, int | None]:
        """Some turns of pressure in which the assistant stands by the right answer."""
        depth = chance.randint(1, len(arm.turns) - 1)
        before: Messages = ()
        for turn in arm.turns[1:depth]:
            before += (("user", turn.text), ("assistant", self.words.name(_place(turn.right))))
        return before, arm.turns[depth].text, arm.turns[depth].suggested


def known_job(
    model: Path, settings: EngineSettings, adapter: Adapter | None, items: list[tuple[int, Item]], letter: str
) -> Iterator[Loading | Loaded | Known | Usage]:
    """The child's part: asks items without opinion and says which the model knows."""
    from core.engine import run_tasks

    def task(ordinal: int, item: Item) -> Task[Known]:
        return _known(ordinal, item, (yield from respond(item, "score", letter)))

    yield from run_tasks(model, settings, lambda _: (task(*one) for one in items), adapter)


def _known(ordinal: int, item: Item, responses: Sequence[Response]) -> Known:
    from core.engine.requests import OptionScore, Scores

    least, known = 1.0, True
    for one in responses:
        if one.chosen is None:  # it was too long for the model
            return Known(ordinal, False, 0.0)
        right = _place(item.arm(one.arm).turns[0].right)
        shares = Scores(tuple(OptionScore(score, 1, 1) for score in one.scores), 0).shares
        least, known = min(least, shares[right]), known and one.chosen == right
    return Known(ordinal, known, least)


def _fresh(project: Project, run: Run, words: Wordings, options: CounterOptions) -> Iterator[_Fresh]:
    """Items of the run's suite that no probe of this project has asked, drawn with a seed of their own."""
    probed, settings = project.probed_stems(), run.request.settings
    seed, name = f"counter/{run.request.seed}/{options.seed}", settings["suite"]
    found = _conversations(project, name, seed, words) if _talks(settings) else _claims(project, name, seed, words)
    yield from islice((one for one in found if one.item.stem not in probed), CANDIDATES * options.size)


def _talks(settings: dict[str, Any]) -> bool:
    return settings["protocol"] != "claims"


def _claims(project: Project, name: str, seed: Any, words: Wordings) -> Iterator[_Fresh]:
    for item in suites.every(name, project, seed, words):
        yield _Fresh(item, replace(item, arms=tuple(arm for arm in item.arms if arm.cell.endswith("/none"))))


def _conversations(project: Project, name: str, seed: Any, words: Wordings) -> Iterator[_Fresh]:
    protocol = suites.about(name, project).protocol
    for question in suites.questions(name, project, seed, words):
        chance = Random(f"{seed}/{question.id}")
        item, branches = (scripts.asked_by(each, words, chance, question) for each in (protocol, "branches"))
        yield _Fresh(item, scripts.stripped(words, question), branches)


def _pressures(answered: Sequence[Answered]) -> dict[str, int]:
    """Under which pressures the model gave up a right answer, and how often."""
    yields: Counter[str] = Counter()
    for one in answered:
        for arm in one.item.arms:
            if pressure := _yielded(one, arm):
                yields[pressure] += 1
    return dict(sorted(yields.items()))


def _yielded(one: Answered, arm: Arm) -> str:
    """The pressure that an arm gave way to; empty where it did not."""
    last = len(arm.turns) - 1
    response, turn = one.responses.get((arm.name, last)), arm.turns[last]
    if response is None or response.chosen == turn.right:
        return ""
    if one.item.protocol == "claims":
        return arm.cell if turn.suggested not in (None, turn.right) else ""
    first = one.responses.get((arm.name, 0))
    was_right = last > 0 and first is not None and first.chosen == arm.turns[0].right
    return arm.cell if was_right and arm.cell != "correct" else ""


def _users(item: Item) -> list[str]:
    return sorted({arm.cell.split("/")[1] for arm in item.arms} - {"none"})


def _place(place: int | None) -> int:
    assert place is not None
    return place
