"""The commands that judge examples and passages: rules, a model's scores, how far to trust them, what to ask about."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core import paths
from core.commands.console import (
    ProgressLine,
    Stopped,
    counted,
    followed,
    interruptible,
    opened,
    print_json,
    say,
    tell_of_model,
    typed,
)
from core.commands.tuning import named_adapter

if TYPE_CHECKING:
    from core.curation.calibration import Calibration, Share
    from core.curation.educational import Fitted
    from core.project.project import Project
    from core.project.records import PassageMark, PassageRow
    from core.statistics import Interval

SHOWN = 80  # characters of a passage
BEGUN = ("adapter", "scale", "examples")  # that a run has from its beginning


def score(options: argparse.Namespace) -> None:
    """`elenchus score`: the rules, then a model's scores; keeps what scored enough, or compares two runs."""
    from core.curation.scoring import keep_scored, resume_scores
    from core.errors import UserError
    from core.project.project import Project
    from core.worker import Worker

    given = [f"--{name}" for name in BEGUN if getattr(options, name) is not None]
    if options.resume and given:
        raise UserError(f"A resumed run goes on as it was begun: leave out {', '.join(given)}.")
    if options.compare:
        _compare(options)
        return
    judges = options.model is not None and not options.rules_only
    if not judges and not options.rules_only and not options.resume and options.keep is None:
        raise UserError(
            "Say with --model which model is to judge: one that follows instructions. "
            "With --rules-only the examples are checked without a model."
        )
    with opened(Project, options.project) as project, Worker() as worker, interruptible(worker) as stopped:
        if options.resume:
            _follow(project, resume_scores(project, worker, options.model, stopped), options.json)
        elif judges:
            _judge(project, worker, options, stopped)
        elif options.rules_only:
            _check(project, options, stopped)
        if options.keep is not None and not stopped():
            changed = keep_scored(project, options.keep, options.examples)
            were = counted(changed, "example was", "examples were")
            say(f"Kept what scored {options.keep:g} or more: {were} accepted or rejected.")


def calibration(options: argparse.Namespace) -> None:
    """`elenchus calibration`: a model's scores against the ratings of the same examples."""
    from core.curation.calibration import calibration_of
    from core.project.project import Project

    with opened(Project, options.project, read_only=True) as project:
        found = calibration_of(project, run_id=options.of_run)
    if options.json:
        print_json({**asdict(found), "useful": found.useful})
        return
    print(found.note)
    if found.n:
        _print_calibration(found)


def passages(options: argparse.Namespace) -> None:
    """`elenchus passages`: labels, suggestions, the filter, what is set aside, and the list of all."""
    from core.curation import educational
    from core.errors import UserError
    from core.project.project import Project
    from core.worker import Worker

    labels = dict.fromkeys(options.worth, 1) | dict.fromkeys(options.not_worth, 0) | dict.fromkeys(options.unlabel)
    if len(labels) < sum(map(len, map(set, (options.worth, options.not_worth, options.unlabel)))):
        raise UserError("A passage is named twice. Say of each but one thing.")
    model = options.model or paths.starter_model()
    acts = labels or options.suggest or options.fit or options.restore or options.set_aside is not None
    read_only = not acts
    with (
        opened(Project, options.project, read_only=read_only) as project,
        Worker() as worker,
        interruptible(worker) as stopped,
    ):
        if labels:
            _refuse_unknown(project, labels)
            educational.label(project, labels)
            marks = project.passage_marks().values()
            counts = [sum(mark.label == said for mark in marks) for said in (1, 0)]
            say(f"Labelled: {counted(counts[0], 'passage')} worth asking about, {counts[1]:,} not.")
        if options.fit:
            steps = educational.value_passages(project, worker, model, stopped)
            _print_fitted(project, followed(steps, ProgressLine("Reading passages")), options.json)
        if options.restore:
            say(f"Restored {counted(educational.restore(project), 'passage')}.")
        if options.set_aside is not None:
            count = educational.set_aside(project, options.set_aside)
            say(f"{counted(count, 'passage is', 'passages are')} set aside: nothing is asked of any until --restore.")
        if options.suggest:
            steps = educational.suggest_passages(project, worker, model, options.suggest, stopped)
            _print_passages(project, followed(steps, ProgressLine("Reading passages")), options.json)
        if options.list or not acts:
            _print_passages(project, None, options.json)


def _check(project: "Project", options: argparse.Namespace, stopped: Callable[[], bool]) -> None:
    """The rules, and how many examples fail each."""
    from core.curation.rules import RULES, apply_rules

    for id in options.examples or ():
        project.example(id)  # which says so where there is none
    progress, total = ProgressLine("Checking"), 0
    for item in apply_rules(project, options.examples, stopped):
        total = item.total
        progress.show(f"{item.done} of {total} questions")
    progress.end()
    if not total and not options.json:
        say("There was nothing to check: the project has no drafts and no accepted questions.")
        return
    for rule in RULES:
        failed = _failed(project, rule, options.examples)
        if options.json and options.rules_only:
            print_json({"rule": rule, "failed": failed})
        else:
            say(f"{rule.replace('_', ' ')}: {failed:,} failed" if failed else f"{rule.replace('_', ' ')}: all passed")


def _failed(project: "Project", rule: str, examples: list[int] | None) -> int:
    """How many fail a rule, of those that were checked."""
    from core.project.records import ExampleFilter

    if examples:
        return len(project.example_ids(ExampleFilter(failed_check=rule), among=examples))
    return sum(project.count(ExampleFilter(state=state, failed_check=rule)) for state in ("draft", "accepted"))


def _judge(project: "Project", worker: Any, options: argparse.Namespace, stopped: Callable[[], bool]) -> None:
    from core.curation.scoring import ScoreOptions, judge_and_prompts, score

    judge_and_prompts(options.model)  # which refuses one that cannot, before the rules are at work
    adapter, name = None, ""
    if options.adapter is not None:
        adapter = named_adapter(project, options.adapter, options.scale, options.model, stopped)
        name = options.adapter if any(one.name == options.adapter for one in project.adapters()) else ""
    if unfinished := project.last_unfinished_run("score"):
        say(f"Run {unfinished.id} did not finish; --resume goes on with it. This is a new run.")
    wanted = ScoreOptions(options.model, tuple(options.examples or ()), adapter, name)
    _check(project, options, stopped)
    _follow(project, score(project, worker, wanted, stopped), options.json)


def _follow(project: "Project", items: Iterable[Any], as_json: bool) -> None:
    """Tells what a run does, as it does it, and what came of it. Raises Stopped, with how to go on."""
    from core.curation.scoring import KEEP, RUBRIC, Progress, Scored, Unscored, certainty

    progress, last = ProgressLine("Scoring"), None
    for item in items:
        if isinstance(item, Progress):
            last = item
            progress.show(f"{item.done} of {item.total} questions, {item.usage.tokens_per_second:.0f} tokens/s")
        elif isinstance(item, Unscored):
            progress.end(f"Question {item.example_id} has no score: {item.reason}")
        elif not isinstance(item, Scored):
            tell_of_model(progress, item)
        elif as_json:
            print_json({"id": item.example_id, "score": item.value, "reason": item.detail, "certainty": item.certainty})
    progress.end()
    if last is None:
        return
    found = [row.value for row in project.scores_of_run(last.run_id) if row.name == RUBRIC]
    if found:
        enough = sum(value >= KEEP for value in found)
        say(
            f"Run {last.run_id}: {len(found):,} of {last.total:,} questions scored, {sum(found) / len(found):.2f} on "
            f"average; {enough:,} have {KEEP:g} or more."
        )
    if (sure := certainty(project, last.run_id)) is not None and sure < 0.5:
        say(
            f"The model would have answered with a digit {sure:.0%} of the time: it hardly does what it is asked, and "
            "its scores say little."
        )
    if project.run(last.run_id).state == "cancelled":
        raise Stopped(f"{typed('elenchus', 'score', project.path, '--resume')} goes on where it stopped.")
    say(f"{typed('elenchus', 'calibration', project.path)} compares them with your ratings.")


def _compare(options: argparse.Namespace) -> None:
    from core.curation.scoring import KEEP, compare_scores
    from core.project.project import Project

    with opened(Project, options.project, read_only=True) as project:
        found = compare_scores(project, *options.compare)
    if options.json:
        print_json(asdict(found))
        return
    interval = "" if found.low is None else f", 95 % interval {found.low:+.2f} to {found.high:+.2f}"
    print(
        f"{found.n:,} questions were scored by both: {found.first:.2f} on average in run {options.compare[0]}, "
        f"{found.second:.2f} in run {options.compare[1]}; a change of {found.difference:+.2f}{interval}.\n"
        f"With {KEEP:g} or more: {found.kept_first:,} before, {found.kept_second:,} after."
    )


def _print_calibration(found: "Calibration") -> None:
    print(f"\n{found.n:,} questions have a score and a rating.")
    if found.tau is not None:
        print(f"Kendall's τ-b   {found.tau:.2f} {_bounds((found.low or 0.0, found.high or 0.0))}")
    print(f"Same level      {_percent(found.exact)}\nAt most 1 apart {_percent(found.within_one)}")
    if found.needed is not None:
        print(f"For τ to ±0.1   about {found.needed:,} ratings")
    print("\nscored \\ rated" + "".join(f"{rating:>7}" for rating in range(1, 6)))
    for band, row in enumerate(found.bands, 1):
        print(f"{band:>14}" + "".join(f"{count:>7}" for count in row))
    print(f"\nRated 4 or 5: {_percent(found.good)}\nkeep from     kept   precision            recall")
    for one in found.thresholds:
        print(f"{one.score:>9.1f} {one.kept:>8}   {_percent(one.precision):<20} {_percent(one.recall)}")
    if found.best is not None:
        best = found.best
        said = f"precision {_percent(best.precision)}, recall {_percent(best.recall)}"
        print(f"Best balance: from {best.score:.2f} on, {said}.")


def _percent(share: "Share") -> str:
    if share.value is None or share.interval is None:
        return "–"
    return f"{share.value:.0%} {_bounds(share.interval, '.0%')}"


def _bounds(interval: "Interval", form: str = ".2f") -> str:
    return f"[{interval[0]:{form}}, {interval[1]:{form}}]"


def _print_fitted(project: "Project", found: "Fitted", as_json: bool) -> None:
    from core.curation.educational import keeps

    for point in found.curve:
        if as_json:
            print_json(asdict(point))
    if as_json:
        return
    marks = [mark for id, mark in project.passage_marks().items() if id in found.values]
    print(
        f"Learned from {counted(found.worth, 'passage')} worth asking about and {found.not_worth:,} not. "
        f"{found.note}".rstrip()
    )
    print("Of passages that it had not seen:\n\nkeep from   of these are worth it     of the worthy are kept")
    for point in found.curve:
        precise = (
            "–"
            if point.precision_interval is None
            else f"{point.precision:.0%} {_bounds(point.precision_interval, '.0%')}"
        )
        kept = sum(keeps(mark, point.threshold) is True for mark in marks)
        print(
            f"{point.threshold:>9.2f}   {precise:<25} {point.recall:.0%} {_bounds(point.recall_interval, '.0%')}"
            f"   keeps {kept:,} of all {len(found.values):,}"
        )


def _refuse_unknown(project: "Project", ids: Iterable[int]) -> None:
    for id in ids:
        project.passage(id)


def _print_passages(project: "Project", ids: list[int] | None, as_json: bool) -> None:
    """These passages in this order, or all."""
    marks = project.passage_marks()
    rows = project.passages() if ids is None else [project.passage(id) for id in ids]
    for row in rows:
        mark = marks.get(row.id)
        if as_json:
            known = {name: getattr(mark, name, None) for name in ("label", "value")}
            aside = bool(mark and mark.set_aside)
            print_json({"id": row.id, "document": row.document_id, **known, "set_aside": aside, "text": row.text})
        else:
            print(_passage_line(row, mark))
    if not rows:
        say("There are no passages to show.")


def _passage_line(row: "PassageRow", mark: "PassageMark | None") -> str:
    known = []
    if mark and mark.label is not None:
        known.append("worth" if mark.label else "not worth")
    if mark and mark.value is not None:
        known.append(f"{mark.value:.2f}")
    if mark and mark.set_aside:
        known.append("set aside")
    return f"{row.id:>6}  {', '.join(known):<26}  {' '.join(row.text.split())[:SHOWN]}"
