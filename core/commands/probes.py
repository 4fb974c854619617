"""The commands about sycophancy: probe a model, list and compare what was found, make data that counter it."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from core import paths
from core.commands.console import ProgressLine, Stopped, interruptible, opened, print_json, say, tell_of_model, typed
from core.commands.tuning import named_adapter

if TYPE_CHECKING:
    from core.engine.requests import Adapter
    from core.project.project import Project
    from core.project.records import Run
    from core.sycophancy.compare import Comparison
    from core.sycophancy.metrics import Metric, Summary
    from core.worker import Worker


WIDTH = 100  # columns that a table takes at most
ASKED = ("items", "seed", "language", "method", "adapter", "scale")  # of a run, where not the default
MANY = "sycophancy_among"  # the figure of many rows, by the item's domain

# What figures are called, as in the window.
METRICS = {
    "accuracy": "Right answers",
    "agreement": "Calls a claim true",
    "aligned": "Still holds in turn",
    "apologies": "Apologises",
    "changed": "Changes its answer",
    "corrected": "Wrong → right",
    "drop": "Loss under a misleading opinion",
    "first_option": "Chooses the first option",
    "flip": "Right → wrong",
    "flipped": "Right → wrong",
    "gap": "A friend's text, less one's own",
    "holds": "Holds in all turns",
    "known": "Known items",
    "matching": "Matches the behaviour",
    "nof": "Changes of stance",
    "order": "Effect of the order of options",
    "position": "Preference for a letter",
    "pra": "Right and stays right",
    "selectivity": "Selectivity",
    "shift": "Shift of the log-odds",
    "stubborn": "Keeps a wrong answer",
    "sycophancy": "Sycophancy",
    "sycophancy_among": "Sycophancy among",
    "tof": "Turns until it yields",
    "unparseable": "Unreadable answers",
    "update": "Takes a right suggestion",
}
QUESTIONS = {
    "accepts": "Takes the right suggestion, of those wrong at first in both",
    "baseline": "Right at first",
    "corrects": "Right in the end, of those wrong at first in both",
    "helpful": "Right under every helpful opinion",
    "holds": "Holds under pressure, of those right at first in both",
    "matching": "Matches the behaviour in both orders",
    "misleading": "Right under every misleading opinion, of known items",
    "neutral": "Right without an opinion",
}
CELLS = {
    "after": "after",
    "authority": "authority",
    "baseline": "first answer",
    "before": "before",
    "correct": "right suggestion",
    "doubt": "doubt",
    "helpful": "helpful opinion",
    "misleading": "misleading opinion",
    "none": "no opinion",
    "order": "order of options",
    "pressure": "pressure",
    "sure": "are you sure?",
    "wrong": "wrong suggestion",
}
CLAIMS = {"true": "true claim", "false": "false claim"}
TEXTS = {"true": "sound text", "false": "text with a mistake"}
USERS = {
    "none": "no opinion",
    "agree": "user agrees",
    "disagree": "user disagrees",
    "mine": "the user's own",
    "friend": "a friend's",
}
LANGUAGES = {"en": "English", "tr": "Turkish"}
METHODS = {"score": "by probability", "grammar": "by a letter alone", "free": "in its own words"}


def probe(options: argparse.Namespace) -> None:
    """`elenchus probe`: one run a suite, one after the other; prints what each shows."""
    from core.errors import UserError
    from core.project.project import Project
    from core.runs import adapter_settings
    from core.sycophancy import suites
    from core.sycophancy.probe import chat_model, resume
    from core.worker import Worker

    fixed = [f"--{name.replace('_', '-')}" for name in ("suite", *ASKED, "as_published") if _given(options, name)]
    if options.resume and fixed:
        raise UserError(f"A resumed run goes on as it was begun: leave out {', '.join(fixed)}.")
    if options.scale is not None and options.adapter is None:
        raise UserError("--scale is that of an adapter: name one with --adapter, or leave it out.")
    with opened(Project, options.project) as project, Worker() as worker, interruptible(worker) as stopped:
        if options.resume:
            hint = _follow(project, resume(project, worker, None, options.model, stopped), options)
            if hint:
                raise Stopped(hint)
            return
        model = chat_model(options.model or paths.starter_model())
        adapter = None
        if options.adapter is not None:
            adapter = named_adapter(project, options.adapter, options.scale, model.path, stopped)
            adapter_settings(adapter.path, 1.0, stopped)
        if not options.suite:
            raise UserError("Say what to ask with --suite, such as --suite addition; elenchus suites lists them.")
        for name in options.suite:  # a slip in the last name is said before the first is asked
            suites.about(name, project)
        _ask_all(project, worker, options, adapter, stopped)


def _ask_all(
    project: "Project",
    worker: "Worker",
    options: argparse.Namespace,
    adapter: "Adapter | None",
    stopped: Callable[[], bool],
) -> None:
    """One suite after the other. Raises Stopped, with how to go on, where a stop leaves something to do."""
    from core.errors import Cancelled
    from core.sycophancy.probe import ProbeOptions, probe

    given = {name: getattr(options, name) for name in ASKED if _given(options, name)}
    if adapter:
        names = [one.name for one in project.adapters()]
        name = options.adapter if options.adapter in names else ""
        given |= {"adapter": adapter.path, "scale": adapter.scale, "adapter_name": name}
    model, published = options.model or paths.starter_model(), bool(options.as_published)
    waiting, hint = list(options.suite), ""
    while waiting and not stopped():
        steps = probe(project, worker, ProbeOptions(model, waiting[0], published=published, **given), stopped)
        try:
            first = next(steps)
        except Cancelled:  # before there was a run
            break
        del waiting[0]
        hint = _follow(project, chain([first], steps), options)
    if waiting:
        hint = "\n".join(filter(None, (f"Not begun: {', '.join(waiting)}. {_to_ask(waiting, options)} asks.", hint)))
    if hint:
        raise Stopped(hint)


def _given(options: argparse.Namespace, name: str) -> bool:
    return getattr(options, name) is not None


def _to_ask(suites: list[str], options: argparse.Namespace) -> str:
    """The command that asks these suites as all were to be."""
    values = [(f"--{name}", getattr(options, name)) for name in ("model", *ASKED) if _given(options, name)]
    flags = [flag for flag, set in (("--as-published", options.as_published), ("--json", options.json)) if set]
    return typed("elenchus", "probe", options.project, "--suite", *suites, *chain.from_iterable(values), *flags)


def probes(options: argparse.Namespace) -> None:
    """`elenchus probes`: every run with the figure that counts first; with --run, all of one."""
    from core.errors import UserError
    from core.project.project import Project
    from core.sycophancy.metrics import summarise
    from core.sycophancy.probe import probe_run, probe_runs

    if options.all and options.of_run is None:
        raise UserError("--all is about the figures of one run: name it with --run.")
    with opened(Project, options.project, read_only=True) as project:
        if options.of_run is not None:
            _show(project, probe_run(project, options.of_run), options.json, options.all)
            return
        found = probe_runs(project)
        for run in found:
            answered = project.answered(run.id)
            summary = summarise(answered) if answered else None
            if options.json:
                print_json(_as_json(project, run, summary))
            else:
                primary = summary.metric(summary.primary) if summary else None
                headline = _figure(primary) if primary else "nothing was asked"
                print(f"{run.id}  {_when(run)}  {_title(run)}  {run.state}, {headline}")
    if not found:
        say("There are no probes yet. elenchus probe PROJECT --suite addition makes one.")


def compare(options: argparse.Namespace) -> None:
    """`elenchus compare`: two runs of the same items, pair by pair."""
    from core.project.project import Project
    from core.sycophancy.compare import compare_runs
    from core.sycophancy.probe import probe_run

    with opened(Project, options.project, read_only=True) as project:
        before, after = (probe_run(project, id) for id in (options.before, options.after))
        found = compare_runs(project, before, after)
    if options.json:
        runs = {"before": {"run": before.id, **_made_by(before)}, "after": {"run": after.id, **_made_by(after)}}
        print_json(runs | found.as_json())
        return
    print(f"before: run {before.id}, {_title(before)}\nafter:  run {after.id}, {_title(after)}\n")
    _show_comparison(found, str(before.request.settings.get("suite")), options.all)


def counter(options: argparse.Namespace) -> None:
    """`elenchus counter`: examples against what a run has shown."""
    from core.project.project import Project
    from core.sycophancy.counter import Countered, CounterOptions, Progress, counter
    from core.worker import Worker

    with opened(Project, options.project) as project, Worker() as worker, interruptible(worker) as stopped:
        wanted = CounterOptions(
            options.of_run, options.size, options.ratio, options.control, options.seed, options.model
        )
        progress = ProgressLine("Looking for what the model knows")
        for item in counter(project, worker, wanted, stopped):
            if isinstance(item, Progress):
                progress.show(f"{item.known} of {item.wanted}, {item.asked} asked")
            elif isinstance(item, Countered):
                progress.end()
                _tell(project, item, options)
            else:
                tell_of_model(progress, item)


def _tell(project: "Project", made: Any, options: argparse.Namespace) -> None:
    if options.json:
        print_json({**vars(made), "complete": made.made == made.wanted})
        return
    what = "countering examples" if made.kind == "counter" else "examples for the neutral control"
    few = "" if made.made == made.wanted else f", of {made.wanted} wanted: the model knows no more fresh items"
    mixed = f" {made.mixed} accepted examples of the project go with them."
    if made.lacking:
        mixed += f" {made.lacking} more would be needed for the ratio: accept more, or choose a higher one."
    say(f"Run {made.run_id}: {made.made} {what}{few}.{mixed}")
    say(
        f"Review them with elenchus show, then: elenchus export {options.project} --run {made.run_id} "
        "--state draft --format messages --out FILE"
    )
    path = project.run(made.run_id).request.model_path
    model = [] if path == str(paths.starter_model()) else ["--model", path]
    tune = typed("elenchus", "tune", options.project, "--dataset", f"run:{made.run_id}", *model)
    say(f"Or train the model on them as they are, which needs no review: {tune}")


def _follow(project: "Project", items: Iterable[Any], options: argparse.Namespace) -> str:
    """Tells how far a run is, and at its end what it shows; gives how to go on with it where it was stopped."""
    from core.sycophancy.probe import Progress

    progress, last = ProgressLine("Probing"), None
    for item in items:
        if isinstance(item, Progress):
            if last is None and not options.resume:
                _say_power(item.total)
            last = item
            speed = item.done / item.usage.seconds if item.usage.seconds else 0.0
            progress.show(f"{item.done} of {item.total} items, {speed:.1f} items/s")
        else:
            tell_of_model(progress, item)
    progress.end()
    if last is None:
        return ""
    run = project.run(last.run_id)
    _show(project, run, options.json)
    if run.state == "finished":
        return ""
    further = typed("elenchus", "probe", options.project, "--resume")
    return f"Run {run.id} stopped at {last.done} of {last.total} items. {further} goes on with it."


def _say_power(items: int) -> None:
    from core.statistics import detectable

    change = detectable(items)
    if change is None:
        say(f"With {items} items no change can be seen 9 times in 10, however large. Ask more of them.")
    else:
        say(f"With {items} items you can see a change of {100 * change:.0f} points 90 % of the time.")


def _show(project: "Project", run: "Run", as_json: bool, every: bool = False) -> None:
    from core.sycophancy.metrics import summarise

    answered = project.answered(run.id)
    summary = summarise(answered) if answered else None
    if as_json or summary is None:
        print_json(_as_json(project, run, summary))
        return
    print(f"run {run.id}  {_title(run)}  {run.state}, {summary.answered} of {summary.items} items")
    print(summary.verdict)
    if trained := _trained(project, run):
        print(f"{trained} of its items are in the project's countering data too: what it shows of them is no proof.")
    print()
    suite = str(run.request.settings.get("suite"))
    metrics = [one for one in (*summary.metrics, *summary.turns) if every or one.name != MANY]
    _table(
        ("", "value", "95 % interval", "of"),
        [
            (
                _starred(_name(metric, suite), metric.name == summary.primary),
                _value(metric),
                _interval(metric),
                f"{metric.denominator:g} in {metric.items} items",
            )
            for metric in metrics
        ],
    )
    print("\n* declared as primary; the others are to be read beside it.")
    if len(metrics) < len(summary.metrics) + len(summary.turns):
        further = f"elenchus probes PROJECT --run {run.id} --all"
        print(f"Sycophancy by who the user is, or what the claims are about: {further}.")
    print()


def _show_comparison(found: "Comparison", suite: str, every: bool) -> None:
    print(found.verdict + "\n")
    names = [_starred(QUESTIONS.get(one.name, one.name), one.primary) for one in found.paired]
    _table(
        ("Items right throughout", "before", "after", "change", "95 % interval"),
        [
            (
                name,
                _percent(one.both + one.only_before, one.items),
                _percent(one.both + one.only_after, one.items),
                "–" if one.difference is None else f"{100 * one.difference:+.1f}",
                "–" if one.low is None or one.high is None else f"{100 * one.low:+.1f} … {100 * one.high:+.1f}",
            )
            for name, one in zip(names, found.paired, strict=True)
        ],
    )
    print()
    _table(
        ("In how many items", "only before", "only after", "p", "mid-p", "Holm"),
        [
            (
                name,
                str(one.only_before),
                str(one.only_after),
                *("–" if p is None else f"{p:.4f}" for p in (one.exact, one.mid, one.adjusted)),
            )
            for name, one in zip(names, found.paired, strict=True)
        ],
    )
    print("\n* declared as primary; the others are to be read beside it.\n")
    changes = [one for one in found.changes if every or one.before.name != MANY]
    _table(
        ("", "before", "after", "change", "95 % interval"),
        [
            (
                _name(one.before, suite),
                _value(one.before),
                _value(one.after),
                _value(one.difference),
                _interval(one.difference),
            )
            for one in changes
        ],
    )
    if len(changes) < len(found.changes):
        print("\nSycophancy by who the user is, or what the claims are about, is shown with --all.")


def _as_json(project: "Project", run: "Run", summary: "Summary | None") -> dict[str, Any]:
    head = {"run": run.id, "state": run.state, "started_at": run.started_at, **_made_by(run)}
    return {**head, "trained_items": _trained(project, run), **(summary.as_json() if summary else {})}


def _made_by(run: "Run") -> dict[str, Any]:
    """What was asked of which model."""
    request, settings = run.request, run.request.settings
    kept = ("suite", "items", "language", "method", "published", "adapter")
    return {
        "model": request.model_name,
        "model_sha256": request.model_sha256,
        "quantisation": request.quantisation,
        "seed": request.seed,
        "wordings": request.prompt_version,
        "asked": {name: settings.get(name) for name in kept},
    }


def _trained(project: "Project", run: "Run") -> int:
    from core.sycophancy.counter import trained_items

    return trained_items(project, [one.item for one in project.answered(run.id)])


def _title(run: "Run") -> str:
    """What was asked, as far as it is not the default, and of which model."""
    settings = run.request.settings
    adapter, language, method = (settings.get(name) for name in ("adapter", "language", "method"))
    asked = [str(settings.get("suite"))]
    if settings.get("published"):
        asked.append("as published")
    elif method != "score":
        asked.append(METHODS.get(str(method), str(method)))
    if language != "en":
        asked.append(LANGUAGES.get(str(language), str(language)))
    if run.request.seed:
        asked.append(f"seed {run.request.seed}")
    with_adapter = f" + {adapter['name']} × {adapter['scale']:g}" if adapter else ""
    return f"{', '.join(asked)}: {run.request.model_name}{with_adapter}"


def _when(run: "Run") -> str:
    """When a run was begun, by the local clock."""
    try:
        return f"{datetime.fromisoformat(run.started_at).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:  # a stranger's project
        return run.started_at


def _figure(metric: "Metric") -> str:
    return f"{_name(metric)} {_value(metric)} [{_interval(metric)}]"


def _name(metric: "Metric", suite: str = "") -> str:
    name = METRICS.get(metric.name, metric.name.replace("_", " "))
    return f"{name}: {cell_name(metric.cell, suite)}" if metric.cell else name


def cell_name(cell: str, suite: str = "") -> str:
    """A condition. Of claims: which claim, and what the user thinks of it or whose the text is."""
    claim, _, user = cell.partition("/")
    if not user or claim not in CLAIMS:
        return CELLS.get(cell, cell)
    if suite == "authorship":
        whose = USERS | {"none": "nobody's"}
        return f"{TEXTS[claim]}, {whose.get(user, user)}"
    return f"{CLAIMS[claim]}, {USERS.get(user, user)}"


def _starred(name: str, primary: bool) -> str:
    return f"{'*' if primary else ' '} {name}"


def _value(metric: "Metric") -> str:
    if metric.value is None:
        return "–"
    if metric.unit == "share":
        return f"{100 * metric.value:.1f} %"
    return f"{100 * metric.value:+.1f} points" if metric.unit == "difference" else f"{metric.value:.2f} {metric.unit}"


def _interval(metric: "Metric") -> str:
    if metric.low is None or metric.high is None:
        return "–"
    scale = 1 if metric.unit in ("turns", "nats") else 100
    return f"{scale * metric.low:.1f} … {scale * metric.high:.1f}"


def _percent(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else "–"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as what stands in them, the numbers at their right; names are cut where it would be too wide."""
    name, *others = (max(map(len, column)) for column in zip(head, *rows, strict=True))
    name = min(name, WIDTH - sum(others) - 2 * len(others))
    for first, *cells in (head, *rows):
        cut = first if len(first) <= name else f"{first[: name - 1].rstrip()}…"
        numbers = (f"{cell:>{width}}" for cell, width in zip(cells, others, strict=True))
        print("  ".join((f"{cut:<{name}}", *numbers)).rstrip())
