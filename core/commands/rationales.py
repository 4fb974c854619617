"""The command about rationales: draft the steps to answers, check those there are, take those drafted anew."""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from core import paths
from core.commands.console import ProgressLine, Stopped, counted, interruptible, opened, print_json, say, typed

if TYPE_CHECKING:
    from core.project.project import Project
    from core.project.records import Rationale

DRAFTING = ("candidates", "steps", "instruction", "language", "limit")  # options that are for drafts alone
BEGUN = (*DRAFTING, "examples", "seed")  # that a run has from its beginning


def rationales(options: argparse.Namespace) -> None:
    """`elenchus rationales`: one run, which prints what it commits where JSON is asked for, and sums up."""
    from core.project.project import Project
    from core.rationales.checks import CheckOptions, check_rationales, resume_checks
    from core.rationales.drafts import RationaleOptions, draft_rationales, resume_rationales
    from core.rationales.running import DRAFTS
    from core.worker import Worker

    _refuse_contradictions(options)
    if options.take is not None:
        _take(options)
        return
    given = {name: getattr(options, name) for name in BEGUN if getattr(options, name) is not None}
    if "examples" in given:
        given["examples"] = tuple(given["examples"])
    model = options.model or paths.starter_model()
    with opened(Project, options.project) as project, Worker() as worker, interruptible(worker) as stopped:
        if options.resume:
            resume = resume_checks if options.check else resume_rationales
            items = resume(project, worker, options.model, stopped)
        elif options.check:
            items = check_rationales(project, worker, CheckOptions(model, **given), stopped)
        else:
            if unfinished := project.last_unfinished_run(DRAFTS):
                say(f"Run {unfinished.id} did not finish; --resume goes on with it. This is a new run.")
            chosen = RationaleOptions(model, check=not options.unchecked, **given)
            items = draft_rationales(project, worker, chosen, stopped)
        _follow(project, items, options.json, "Checking" if options.check else "Drafting")


def _refuse_contradictions(options: argparse.Namespace) -> None:
    from core.errors import UserError

    given = [f"--{name}" for name in BEGUN if getattr(options, name) is not None]
    if options.resume and given:
        raise UserError(f"A resumed run goes on as it was begun: leave out {', '.join(given)}.")
    if options.take is not None and (options.resume or given):
        raise UserError(f"Nothing is drafted with --take: leave out {', '.join(given or ['--resume'])}.")
    if options.check and (wrong := [flag for flag in given if flag[2:] in DRAFTING]):
        raise UserError(f"Checking makes no steps: leave out {', '.join(wrong)}, or --check.")
    if options.instruction is not None and not options.examples:
        raise UserError("Say with --examples whose steps are to be written anew after the instruction.")


def _take(options: argparse.Namespace) -> None:
    """Gives examples the steps that a run wrote anew, as one action that can be undone.

    Raises UserError for a run that drafted none.
    """
    from core.errors import UserError
    from core.project.project import Project
    from core.rationales import repair

    with opened(Project, options.project) as project:
        kind = project.run(options.take).request.kind
        if not project.rationales_of_run(options.take):
            raise UserError(
                f"Run {options.take} is of the kind “{kind}” and drafted no steps. "
                "A run of rationales tells its number when it ends: name that one."
            )
        proposals = repair.drafted(project, options.take)
        if not proposals:
            say(f"There was nothing to take: the questions have the steps that run {options.take} drafted.")
            return
        taken = repair.apply(project, proposals, "Take the drafted steps of {}")
    say(f"The steps of {_questions(taken)} are now those that run {options.take} drafted.")


def _follow(project: "Project", items: Iterable[Any], as_json: bool, title: str) -> None:
    """Tells what a run does, as it does it, and what its checks show in the end."""
    from core.engine.requests import Loaded, Loading
    from core.project.records import Rationale
    from core.rationales.records import Checked, NothingDrafted, Progress
    from core.rationales.running import CHECKS
    from core.retrying import Restarted

    progress, last = ProgressLine(title), None
    for item in items:
        if isinstance(item, Loading):
            progress.show(f"loading the model, {item.fraction:.0%}")
        elif isinstance(item, Loaded):
            with_, rest = f"{title} with {item.name} on {item.device}", f"{item.sequences} at a time. {item.note}"
            progress.end(f"{with_}, {rest}".rstrip())
        elif isinstance(item, NothingDrafted):
            progress.end(f"Nothing was made of question {item.example_id}: {item.reason}")
        elif isinstance(item, Restarted):
            progress.end(f"{item.reason} The work goes on in a fresh one.")
        elif isinstance(item, Progress):
            last = item
            progress.show(f"{item.done} of {item.total} questions, {item.usage.tokens_per_second:.0f} tokens/s")
        elif as_json and isinstance(item, Rationale):
            print_json(_drafted(item))
        elif as_json and isinstance(item, Checked):
            print_json({"id": item.example_id, "leads": item.leads, "alone": item.alone, "gain": item.gain})
    if not last:
        return
    progress.end(f"{last.done} of {_questions(last.total)} done; {last.usage.tokens_per_second:.0f} tokens/s.")
    _sum_up(project, last.run_id)
    if (run := project.run(last.run_id)).state == "cancelled":
        check = ["--check"] if run.request.kind == CHECKS else []
        raise Stopped(f"{typed('elenchus', 'rationales', project.path, *check, '--resume')} goes on where it stopped.")


def _sum_up(project: "Project", run_id: int) -> None:
    """What a run drafted, how to take what no question has yet, and what its checks show together."""
    from core.rationales import repair

    found: dict[str, list[float]] = {}
    for score in project.scores_of_run(run_id):
        found.setdefault(score.name, []).append(score.value)
    if drafts := project.rationales_of_run(run_id):
        of = _questions(len({draft.example_id for draft in drafts}))
        say(f"Run {run_id} kept {counted(len(drafts), 'draft of a rationale', 'drafts of rationales')}, of {of}.")
    if waiting := repair.drafted(project, run_id):
        take = typed("elenchus", "rationales", project.path, "--take", run_id)
        say(f"The steps of {_questions(len(waiting))} stay as they were: {take} gives them those drafted now.")
    if leads := found.get("rationale_leads"):
        alone = sum(found.get("question_alone", ()))
        say(
            f"Checked by run {run_id}: {sum(leads):.0f} of {len(leads)} lead the model to the answer; "
            f"{alone:.0f} of the questions do so by themselves."
        )
    if gains := found.get("rationale_gain"):
        say(
            f"The steps make the answer likelier by {sum(gains) / len(gains):.2f} nats a token in the mean. "
            "The last one tells it: this shows that it is told clearly, and not that the steps are sound."
        )


def _drafted(draft: "Rationale") -> dict[str, Any]:
    from core.exchange.formats import step_as_json

    return {
        "id": draft.example_id,
        "rationale": draft.id,
        "run": draft.run_id,
        "candidate": draft.slot,
        "instruction": draft.instruction,
        "steps": [step_as_json(step) for step in draft.steps],
    }


def _questions(count: int) -> str:
    return "1 question" if count == 1 else f"{count:,} questions"
