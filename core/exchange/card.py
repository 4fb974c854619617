"""Writes the dataset card: what an export was made from, with which model, and what was left out."""

import json
from collections import Counter
from typing import TYPE_CHECKING

import core
from core.project.project import Project
from core.project.records import GENERATED_KINDS, GENERATING_RUNS, STATES, ExampleFilter, Run
from core.project.tuning import SPLITS

if TYPE_CHECKING:
    from core.exchange.export import Exported

ALONE = "as frozen"  # stands for the kind of a row whose example is another now


def dataset_card(project: Project, done: "Exported", format: str, state: str) -> str:
    """Markdown with the head that dataset hubs read."""
    return "\n".join(
        [
            *_head(done, format),
            f"# {project.path.stem}",
            "",
            f"{done.rows} examples, {_chosen(done, state)}, made with Elenchus {core.__version__}.",
            *_evidence(done),
            "",
            "## What is in it",
            "",
            *_table(("kind", "examples"), sorted(done.kinds.items())),
            *_mixture(project, done),
            *_division(done),
            "## What it was made from",
            "",
            *_sources(project, done),
            "## How it was made",
            "",
            *_runs(project, done),
            f"Changed by hand after that: {done.edited}.",
            "",
            "## What was left out",
            "",
            *_left_out(project, done, state),
            *(["The licences of the documents hold for what is quoted from them.", ""] if done.documents else []),
        ]
    )


def _chosen(done: "Exported", state: str) -> str:
    if done.dataset is not None:
        return f"of the dataset “{done.dataset.name}”"
    return f"of the pick “{done.pick}”" if done.pick else f"state “{state}”"


def _head(done: "Exported", format: str) -> list[str]:
    size = next((f"n<{limit}" for limit in ("1K", "10K", "100K", "1M") if done.rows < _number(limit)), "1M<n<10M")
    return [
        "---",
        "task_categories:",
        "- question-answering",
        "size_categories:",
        f"- {size}",
        "configs:",
        "- config_name: default",
        *_data_files(done, format),
        f"elenchus_format: {format}",
        "---",
        "",
    ]


def _data_files(done: "Exported", format: str) -> list[str]:
    if format != "folder":
        return [f"  data_files: {json.dumps(done.path.name)}"]
    lines = ["  data_files:"]
    for split in SPLITS:
        if done.splits[split]:
            lines += [f"  - split: {split}", f"    path: data/{split}-*"]
    return lines


def _division(done: "Exported") -> list[str]:
    """How a dataset is divided, and what tells that it is still the same."""
    if done.dataset is None:
        return []
    told = {key: value for key, value in done.dataset.recipe.items() if isinstance(value, str | int | float)}
    recipe = ", ".join(f"{key} {value}" for key, value in told.items())
    return [
        *_table(("split", "examples"), [(split, done.splits[split]) for split in SPLITS if done.splits[split]]),
        f"Frozen {done.dataset.created_at} with {done.dataset.rows} rows, SHA-256 {done.dataset.sha256}: {recipe}.",
        "",
    ]


def _number(limit: str) -> int:
    return int(limit[:-1]) * {"K": 1_000, "M": 1_000_000}[limit[-1]]


def _table(head: tuple[str, ...], rows: list[tuple]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows), ""]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _evidence(done: "Exported") -> list[str]:
    """What the rows rest on: only those that were asked of a document have evidence."""
    lines, generated = [], sum(done.kinds[kind] for kind in GENERATED_KINDS)
    asked = sum(done.documents.values())
    if asked:
        lines += [
            "Each question that was asked of a document rests on a span of it as evidence, but for unanswerable ones,",
            "which have none. The spans were compared with the documents' text again when this file was written.",
        ]
    if generated:
        lines += [
            f"{generated} were generated, to counter sycophancy or as the neutral control of that: they come from no",
            "document and have no evidence.",
        ]
    if alone := done.kinds[ALONE]:
        lines += [
            f"{alone} are as they were frozen, and their examples are not any more: they were not compared with a",
            "document again.",
        ]
    if imported := done.rows - asked - generated - alone:
        lines += [f"{imported} come from files, and were compared with no document."]
    return lines


def _mixture(project: Project, done: "Exported") -> list[str]:
    if done.run is None:
        return []
    lines = [f"{done.rows - done.mixed} examples are of run {done.run}, and {done.mixed} are others that it mixes in."]
    listed = project.run(done.run).request.settings.get("mixed")
    if isinstance(listed, list) and (missing := len(listed) - done.mixed):
        lines.append(f"{missing} more that it mixed in when it was made are rejected, quarantined or gone by now.")
    return [*lines, ""]


def _sources(project: Project, done: "Exported") -> list[str]:
    rows = [
        (document.title or document.path, document.pages, done.documents[document.id], document.sha256[:16])
        for document in project.documents()
        if done.documents[document.id]
    ]
    return _table(("document", "pages", "examples", "SHA-256"), rows) if rows else ["No document.", ""]


def _runs(project: Project, done: "Exported") -> list[str]:
    lines = []
    for run in project.runs():
        if run.id not in done.runs:
            continue
        made = run.request
        if made.kind == "import":
            lines.append(
                f"- Run {run.id}: the rows of the file {made.settings.get('file')} (SHA-256 "
                f"{str(made.settings.get('sha256'))[:16]}…), imported {run.started_at}, {run.state}."
            )
            continue
        line = f"- Run {run.id}: model {made.model_name} ({made.quantisation}, SHA-256 {made.model_sha256[:16]}…), "
        if made.kind in GENERATING_RUNS:
            line += f"{_against(project, run)}, "
        else:
            temperature = made.settings.get("sampling", {}).get("temperature")
            kinds = ", ".join(made.settings.get("kinds", []))
            line += f"prompts {made.prompt_version}, temperature {temperature}, kinds {kinds}, "
        line += f"seed {made.seed}, {made.engine_version}, Elenchus {made.app_version}, begun {run.started_at}, "
        lines.append(f"{line}{run.state}.")
    return [*lines, ""]


def _against(project: Project, run: Run) -> str:
    """What a set of countering data, or its control, was made against, and the other set of the pair."""
    settings = run.request.settings
    if run.request.kind == "control":
        pair = f"the neutral control of run {settings.get('control_of')}, "
    else:
        controls = [other.id for other in project.runs() if other.request.settings.get("control_of") == run.id]
        pair = "".join(f"with run {id} as its neutral control, " for id in controls)
    shown = f"against what run {settings.get('from')} has shown, a probe of the suite {settings.get('suite')}"
    return f"{pair}{shown}, ratio {settings.get('ratio')} to one ordinary example"


def _left_out(project: Project, done: "Exported", state: str) -> list[str]:
    chosen = done.dataset is not None or done.pick  # whatever the state
    others = {} if chosen else _in_other_states(project, done, state)
    lines = [f"- {count} examples are {name}." for name, count in others.items() if count]
    if done.quarantined:
        lines.append(f"- {done.quarantined} examples failed the last comparison with their document.")
    if done.lacking:
        lines.append(f"- {done.lacking} have no worse answer, and cannot be pairs.")
    reasons = Counter(discard.reason for run_id in sorted(done.runs) for discard in project.discards(run_id))
    lines += [f"- {count} tries gave nothing: {reason}" for reason, count in reasons.most_common()]
    return [*(lines or ["- Nothing."]), ""]


def _in_other_states(project: Project, done: "Exported", state: str) -> dict[str, int]:
    return {other: project.count(ExampleFilter(state=other, run_id=done.run)) for other in STATES if other != state}
