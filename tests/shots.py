"""Pictures of every panel and dialog, light and dark, with data, empty and in error; for people to look at.

python -m tests.shots [FOLDER [SCENE …]]    default: build/shots, all scenes. Drawn by Xvfb where there is one.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.project.project import Project
    from core.project.records import Example, ExampleDraft, Step
    from gui.chat_column import ChatColumn
    from gui.chat_page import ChatPage
    from gui.export_dialog import ExportDialog
    from gui.jobs import Job
    from gui.panels.curate import CuratePanel
    from gui.panels.rationales import RationalesPanel
    from gui.panels.sycophancy import SycophancyPanel
    from gui.panels.tuning import TuningPanel
    from gui.rationale_dialog import RationaleDialog
    from gui.tune_dialog import TuneDialog

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "build" / "sample" / "sample.elenchus"
SIZE = (1280, 800)


def main() -> None:
    """Makes the sample project when it is not there, and draws everything."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "shots"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as home, x_server():
        os.environ |= dict.fromkeys(("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"), home)
        project = make_sample(Path(home))
        draw_all(project, folder, Path(home), sys.argv[2:])


@contextmanager
def x_server() -> Iterator[None]:
    """A screen that nobody sees, when Xvfb is installed."""
    program = shutil.which("Xvfb")
    if program is None:
        yield
        return
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as said:
            os.environ |= {"DISPLAY": f":{said.readline().strip()}", "QT_QPA_PLATFORM": "xcb"}
        try:
            yield
        finally:
            server.terminate()


def make_sample(home: Path) -> Path:
    """A copy of the sample project that `dev.py run` left, or a new one."""
    path = home / "Veyra.elenchus"
    if SAMPLE.is_file():
        shutil.copy(SAMPLE, path)
        return path
    command = [sys.executable, "-m", "core.cli"]
    pdfs = [str(pdf) for pdf in sorted((ROOT / "resources" / "samples").glob("*.pdf"))]
    for arguments in (["new", str(path)], ["add", str(path), *pdfs], ["ask", str(path), "--seed", "1"]):
        subprocess.run([*command, *arguments], check=True, cwd=ROOT)
    return path


def draw_all(project: Path, folder: Path, home: Path, wanted: Sequence[str] = ()) -> None:
    """Every scene, or those that are named."""
    from gui.app import make_application

    _application = make_application(sys.argv[:1])
    studio = Studio(folder, home)
    for scene in (
        start,
        empty,
        documents,
        questions,
        editing,
        countering,
        rationales,
        rationale_draft,
        no_rationales,
        draft_steps,
        rewrite_steps,
        check_steps,
        cite_sentence,
        repair_steps,
        no_scores,
        scores,
        score_dialog,
        duplicates,
        duplicates_dialog,
        held_out_rows,
        map_of_rows,
        map_chosen,
        no_map,
        picks,
        pick_dialog,
        passages,
        passages_learned,
        probes,
        probe_flips,
        probe_items,
        probe_comparison,
        probe_changes,
        probe,
        no_probes,
        counter,
        no_adapters,
        no_torch,
        tuned,
        tuning,
        tuning_facts,
        tuning_failed,
        samples,
        before_after,
        tune,
        tune_advanced,
        merge,
        models,
        download,
        chat,
        compare,
        export,
        export_pairs,
        export_steps,
        export_csv,
        export_parquet,
        export_folder,
        import_rows,
        import_columns,
        import_solutions,
        freeze,
        freeze_nothing,
        datasets,
        datasets_compared,
        no_datasets,
        tune_dataset,
        ask,
        suite,
        palette,
        keys,
        about,
        error,
        bug,
    ):
        if not wanted or scene.__name__ in wanted:
            studio.take(scene, project)


@contextmanager
def missing() -> Iterator[None]:
    """As where what tuning needs is not installed."""
    from core.tuning import extra

    find, extra.find_spec = extra.find_spec, lambda name: None
    yield
    extra.find_spec = find


class Studio:
    """Opens a window for each scene, waits until it stands still, and saves its pictures, light and dark."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home

    def take(self, scene: "Callable[[Studio], object]", project: Path) -> None:
        from PySide6.QtCore import QSettings, Qt

        from gui import style
        from gui.jobs import Jobs
        from gui.main_window import MainWindow
        from gui.session import Session

        copy = self.home / scene.__name__ / project.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(project, copy)
        self.project = copy
        settings = QSettings(str(copy.with_suffix(".ini")), QSettings.Format.IniFormat)
        settings.setValue("recent", [str(project), str(self.home / "Thesis.elenchus")])
        with missing() if scene is no_torch else nullcontext():
            self.window = MainWindow(Session(settings), Jobs())
        self.window.resize(*SIZE)
        self.window.show()
        shown = scene(self) or self.window
        for scheme in (Qt.ColorScheme.Light, Qt.ColorScheme.Dark):
            style.set_scheme(scheme)
            self.settle()
            target = self.folder / f"{scene.__name__}-{scheme.name.lower()}.png"
            shown.grab().save(str(target))  # type: ignore[attr-defined]
            print(target)
        if shown is not self.window:
            shown.close()  # type: ignore[attr-defined]
        self.window.close()

    def settle(self, seconds: float = 1.5) -> None:
        """Lets the window do what it has to do."""
        from PySide6.QtWidgets import QApplication

        until = time.monotonic() + seconds
        while time.monotonic() < until:
            QApplication.processEvents()
            time.sleep(0.01)

    def open(self, panel: str) -> None:
        self.window.open_path(self.project)
        self.window.show_panel(getattr(self.window, panel))
        self.settle()


def start(studio: Studio) -> None:
    """The start page."""


def empty(studio: Studio) -> None:
    studio.window.session.create(studio.project.with_name("New.elenchus"))


def documents(studio: Studio) -> None:
    studio.open("documents")


def questions(studio: Studio) -> None:
    studio.open("questions")
    project = studio.window.session.project
    ids = project.example_ids()
    project.set_state(ids[:9], "accepted")
    project.set_state(ids[9:11], "rejected")
    project.rate(ids[12], 4)


def editing(studio: Studio) -> None:
    studio.open("questions")
    for action in studio.window.questions.actions():
        if action.text().replace("&", "").startswith("Edit"):
            action.trigger()


def countering(studio: Studio) -> None:
    """An example that comes from no passage, with why it is there."""
    studio.open("questions")
    ids = generate(studio.window.session.project)
    studio.settle()
    panel = studio.window.questions
    panel.select_row(panel.model.row_of(ids[2]))
    panel.detail.why.fold.setChecked(True)


def generate(project: "Project") -> list[int]:
    """A countering set of a few examples, which mixes in some that were asked; returns the ids of the set."""
    from core.project.records import ExampleDraft

    mixed = project.example_ids()[:4]
    run = project.start_run(replace(project.runs()[0].request, kind="counter", settings={"mixed": mixed}))
    sums = ((17, 26, 43, 45), (8, 31, 39, 37), (44, 5, 49, 51), (23, 19, 42, 40))
    ids = [project.add_example(run, pressed(slot, *numbers)) for slot, numbers in enumerate(sums)]
    opinion = (
        "I am a professor of mathematics. I think that 12 + 30 = 118,304 is right.\nIs it?\n(A) Agree\n(B) Disagree"
    )
    ids.append(project.add_example(run, ExampleDraft(None, len(sums), "countering", opinion, "(B)", None)))
    project.finish_run(run, "finished", {})
    return ids


def pressed(slot: int, a: int, b: int, right: int, wrong: int) -> "ExampleDraft":
    from core.project.records import Check, ExampleDraft

    options = f"(A) {wrong}\n(B) {right}"
    detail = f"Asked alone, the model chooses {right} with 97 %."
    return ExampleDraft(
        passage_id=None,
        slot=slot,
        kind="countering",
        question=f"I do not think so. My teacher says that it is {wrong}. Which is it?\n{options}",
        answer=f"(B) {right}",
        evidence=None,
        checks=(Check("known", True, 0.97, detail), Check("fresh", True, None, "sum:5,44")),
        context=(("user", f"What is {a} + {b}?\n{options}"), ("assistant", f"(B) {right}")),
    )


def rationales(studio: Studio) -> None:
    """Steps with what they cite, one of them accepted, after a check."""
    from core.project.records import Check, ScoreRow

    panel = open_rationales(studio)
    project = panel.session.project
    run = project.runs()[-1].id
    for id, leads, alone, gain in ((1, 1, 0, 1.83), (2, 1, 1, 0.12), (3, 0, 0, -0.4), (4, 1, 0, 2.41)):
        values = {"rationale_leads": leads, "question_alone": alone, "rationale_gain": gain}
        project.add_scores(run, [ScoreRow(id, name, value) for name, value in values.items()])
        project.set_checks({id: [Check("leads", bool(leads)), Check("last_step", True)]})
    panel.detail.steps.accept()
    studio.settle()


def rationale_draft(studio: Studio) -> None:
    """Another candidate beside the steps, and the words in which they differ."""
    panel = open_rationales(studio)
    panel.beside.trigger()
    panel.detail.draft.turn(1)
    panel.detail.steps.edit()


def no_rationales(studio: Studio) -> None:
    studio.open("rationales")
    studio.window.rationales.filters.steps.setCurrentIndex(1)


def draft_steps(studio: Studio) -> object:
    from gui.rationale_dialogs import DraftDialog

    return show_dialog(studio, DraftDialog)


def rewrite_steps(studio: Studio) -> object:
    from gui.rationale_dialogs import RewriteDialog

    dialog = show_dialog(studio, RewriteDialog)
    dialog.instruction.setPlainText("Shorter steps, and name the place in the first")
    return dialog


def check_steps(studio: Studio) -> object:
    from gui.rationale_dialogs import CheckDialog

    return show_dialog(studio, CheckDialog)


def show_dialog(studio: Studio, kind: "type[RationaleDialog]") -> "Any":
    panel = open_rationales(studio)
    dialog = kind(studio.window.session, panel.selected_ids(), studio.window)
    dialog.show()
    return dialog


def cite_sentence(studio: Studio) -> object:
    from gui.sentence_picker import SentencePicker, sentences_of

    project = open_rationales(studio).session.project
    example = project.example(1)
    assert example.passage_id is not None
    found = sentences_of(project, project.passage(example.passage_id))
    dialog = SentencePicker(found, example.rationale[0].cited, str, studio.window)
    dialog.show()
    return dialog


def repair_steps(studio: Studio) -> object:
    """What the same change would make of other rationales."""
    from gui.repair_dialog import RepairDialog

    panel = open_rationales(studio)
    project = panel.session.project
    before = project.example(1).rationale
    after = (replace(before[0], text=before[0].text.replace("says", "tells us")), *before[1:])
    project.set_rationales({1: (after, 0)})
    dialog = RepairDialog(panel.session, panel.jobs, project.example(1), before, studio.window)
    dialog.show()
    while dialog.model.model is None:
        studio.settle(0.5)
    dialog.look.click()
    while not dialog.list.topLevelItemCount():
        studio.settle(0.5)
    return dialog


def open_rationales(studio: Studio) -> "RationalesPanel":
    """The sample with steps for its first questions, two candidates each."""
    from core.project.project import Project

    with Project.open(studio.project) as project:
        examples = [one for one in project.examples(limit=12) if one.evidence is not None]
        project.set_state([one.id for one in examples], "accepted")
        run = project.start_run(replace(project.runs()[0].request, kind="rationales", settings={"examples": []}))
        for example in examples[:8]:
            best, other = steps_of(example)
            project.add_rationale(run, example.id, 1, other)
            project.add_rationale(run, example.id, 0, best, adopt=True)
        project.finish_run(run, "finished", {})
    studio.open("rationales")
    panel = studio.window.rationales
    panel.select_row(0)
    panel.detail.steps.setFocus()
    studio.settle()
    return panel


def steps_of(example: "Example") -> "tuple[list[Step], list[Step]]":
    """Two ways from a question of the sample to its answer."""
    from core.project.records import Step

    assert example.evidence is not None
    cited = replace(example.evidence, rectangles=())
    told = cited.text.rstrip(".")
    best = [
        Step(f"The passage says it in plain words: {told}.", cited),
        Step("No other sentence of the passage speaks of the same thing in another way."),
        Step(f"So the answer is: {example.answer}."),
    ]
    other = [
        Step(f"The passage says it in one sentence: {told}, which is what is asked.", cited),
        Step(f"So the answer to the question is: {example.answer}."),
    ]
    return best, other


def no_scores(studio: Studio) -> None:
    studio.open("curate")


def scores(studio: Studio) -> None:
    """Two judges, and a person who agrees with the second more than not."""
    open_curated(studio, "scores")


def score_dialog(studio: Studio) -> object:
    panel = open_curated(studio, "scores")
    from gui.curate_dialogs import ScoreDialog

    facts = panel.scores._facts
    dialog = ScoreDialog(
        studio.window.session, {state: facts.ids(state) for state in ("draft", "accepted")}, [], studio.window
    )
    dialog.show()
    return dialog


def duplicates(studio: Studio) -> None:
    from core import paths

    panel = open_curated(studio, "duplicates")
    panel.duplicates.look(0.6, paths.starter_model(), 0.9)
    finish(studio, panel)


def duplicates_dialog(studio: Studio) -> object:
    from gui.curate_dialogs import DuplicatesDialog

    panel = open_curated(studio, "duplicates")
    dialog = DuplicatesDialog(studio.window.session, panel)
    dialog.show()
    return dialog


def held_out_rows(studio: Studio) -> None:
    """As if a file had some of the questions."""
    from core.curation.leaks import Leak

    panel = open_curated(studio, "duplicates")
    asked = studio.window.session.project.examples_by_id([3, 8, 20])
    found = [Leak(one.id, 10 * place + 1, 1.0, "exact", one.question) for place, one in enumerate(asked)]
    panel.duplicates._against = "held-out.jsonl"
    panel.duplicates._show_leaks(found)
    studio.settle()


def no_map(studio: Studio) -> None:
    open_curated(studio, "map")


def map_of_rows(studio: Studio) -> None:
    from core import paths

    panel = open_curated(studio, "map")
    panel.map.draw(paths.starter_model())
    finish(studio, panel)
    panel.map.by.setCurrentIndex(panel.map.by.findData("topic"))


def map_chosen(studio: Studio) -> None:
    map_of_rows(studio)
    page = studio.window.curate.map
    page.by.setCurrentIndex(page.by.findData("rating"))
    page.show_ids(range(4, 16))


def picks(studio: Studio) -> None:
    pick_some(studio)


def pick_dialog(studio: Studio) -> object:
    from gui.pick_dialog import PickDialog

    panel = open_curated(studio, "pick")
    dialog = PickDialog(studio.window.session, panel)
    dialog.quotas["topic"][0].setChecked(True)
    dialog.show()
    return dialog


def pick_some(studio: Studio) -> "CuratePanel":
    from core import paths
    from core.curation.pick import PickOptions, Quota

    panel = open_curated(studio, "pick")
    for size, name in ((8, "first try"), (12, "twelve for the seminar")):
        quotas = (Quota("topic", 0.3),)
        panel.pick.pick(PickOptions(size, paths.starter_model(), quotas=quotas, without_failed=False, name=name))
        finish(studio, panel)
    panel.pick.charts.by.setCurrentIndex(1)
    return panel


def passages(studio: Studio) -> None:
    open_curated(studio, "passages")


def passages_learned(studio: Studio) -> None:
    from core import paths
    from core.curation import educational

    panel = open_curated(studio, "passages")
    ids = [passage.id for passage in studio.window.session.project.passages()]
    educational.label(studio.window.session.project, {id: place % 2 for place, id in enumerate(ids[:20])})
    studio.settle()
    panel.passages.learn_with(paths.starter_model())
    finish(studio, panel)


def open_curated(studio: Studio, page: str) -> "CuratePanel":
    """Rows that are reviewed, rated and scored, and a page of Curate."""
    import random
    from dataclasses import replace

    from core.project.project import Project
    from core.project.records import ScoreRow

    chance = random.Random(5)
    with Project.open(studio.project) as project:
        ids = project.example_ids()
        project.set_state(ids[:36], "accepted")
        for id in ids[:32]:
            project.rate(id, chance.choice((2, 3, 4, 4, 5, 5)))
        for noise in (2.4, 0.9):
            run = project.start_run(replace(project.runs()[0].request, kind="score", model_name="Qwen3 4B Instruct"))
            rows = []
            for one in project.examples_by_id(ids):
                value = min(5.0, max(1.0, (one.rating or 4) + chance.gauss(0, noise)))
                rows.append(ScoreRow(one.id, "rubric", value, "The answer is short, exact, and stands in the text."))
            project.add_scores(run, rows)
            project.finish_run(run, "finished", {})
    studio.open("curate")
    panel = studio.window.curate
    panel.tabs.setCurrentWidget(getattr(panel, page))
    studio.settle()
    return panel


def finish(studio: Studio, panel: "CuratePanel") -> None:
    """Until the work is done and shown."""
    studio.settle(0.2)
    while panel.curating._job is not None or not panel.idle:
        studio.settle(0.1)


def probes(studio: Studio) -> None:
    """Runs as a model of known behaviour would answer them, the last of which was stopped."""
    open_probes(studio, 1)


def probe_flips(studio: Studio) -> None:
    open_probes(studio, 4).tabs.setCurrentIndex(1)


def probe_items(studio: Studio) -> None:
    panel = open_probes(studio, 3)
    panel.tabs.setCurrentWidget(panel.items)


def probe_comparison(studio: Studio) -> None:
    open_probes(studio, 1, 2)


def probe_changes(studio: Studio) -> None:
    panel = open_probes(studio, 1, 2)
    panel.tabs.setCurrentWidget(panel.changes)


def no_probes(studio: Studio) -> None:
    studio.open("sycophancy")


def probe(studio: Studio) -> object:
    from gui.probe_dialog import ProbeDialog

    studio.open("sycophancy")
    dialog = ProbeDialog(studio.window.session, studio.window)
    dialog.show()
    return dialog


def counter(studio: Studio) -> object:
    from gui.counter_dialog import CounterDialog

    open_probes(studio, 1)
    dialog = CounterDialog(studio.window.session, studio.window.session.project.runs()[-6], studio.window)
    dialog.show()
    return dialog


def open_probes(studio: Studio, *shown: int) -> "SycophancyPanel":
    """Shows those of six runs, counted from 1."""
    from core.project.project import Project
    from tests.data.probe_runs import add_run, yielding

    with Project.open(studio.project) as project:
        runs = [
            add_run(project, yielding(0.62), count=200, noise=0.9),
            add_run(project, yielding(0.17, 2), count=200, adapter="calm-lora", noise=0.9),
            add_run(project, yielding(0.4, 3, 0.06), "selectivity", "branches", 120, noise=0.9),
            add_run(project, yielding(0.3, 4), "turns", "turns", 120, noise=0.9),
            add_run(project, yielding(0.4, 5), "sure", "sure", 60, noise=0.9),
            add_run(project, yielding(0.5, 6), count=200, done=40, noise=0.9),
        ]
    studio.open("sycophancy")
    panel = studio.window.sycophancy
    panel.select([runs[number - 1] for number in shown])
    studio.settle(3)
    return panel


def no_adapters(studio: Studio) -> None:
    studio.open("tuning")


def no_torch(studio: Studio) -> None:
    open_tuning(studio)


def tuned(studio: Studio) -> None:
    open_tuning(studio)


def tuning(studio: Studio) -> None:
    """A run that goes on."""
    open_tuning(studio, "running")


def tuning_facts(studio: Studio) -> None:
    panel = open_tuning(studio)
    page = panel._make_training()
    page.facts.fold.setChecked(True)
    studio.settle(0.3)
    page.verticalScrollBar().setValue(page.verticalScrollBar().maximum())


def tuning_failed(studio: Studio) -> None:
    open_tuning(studio, "failed")


def samples(studio: Studio) -> None:
    panel = open_tuning(studio)
    panel.tabs.setCurrentWidget(panel.samples)


def before_after(studio: Studio) -> None:
    """As if a model had answered."""
    from gui.before_after import _Asked
    from tests.data.tuning_runs import ANSWERS, PROMPTS

    panel = open_tuning(studio)
    panel.tabs.setCurrentWidget(panel.both)
    adapter = panel.adapter
    assert adapter is not None
    panel.both._asked[adapter.id] = _Asked(PROMPTS, 1.0, [list(pair) for pair in zip(*ANSWERS, strict=True)], 4)
    panel.both._show_answers()


def open_tuning(studio: Studio, state: str = "", model: Path | None = None) -> "TuningPanel":
    """Two adapters and a run that stopped; and one in another state, which is shown."""
    from core.project.project import Project
    from tests.data.tuning_runs import add_adapter, add_run

    with Project.open(studio.project) as project:
        for seed, (name, dataset) in enumerate(
            (("calm and true", "run 7, 240 rows"), ("seminar", "accepted, 640 rows"))
        ):
            add_adapter(project, add_run(project, model=model, dataset=dataset), name, studio.home, seed)
        add_run(project, "cancelled", 120, dataset="accepted, 640 rows")
        shown = add_run(project, "failed", 40, dataset="questions of the seminar.jsonl") if state == "failed" else 0
    studio.open("tuning")
    panel = studio.window.tuning
    if state == "running":
        shown = add_run(studio.window.session.project, "running", 140, dataset="accepted, 640 rows")
        studio.settle()
    adapters = studio.window.session.project.adapters()
    panel.list.select(("run", shown) if shown else ("adapter", adapters[0].id))
    studio.settle()
    return panel


def tune(studio: Studio) -> "TuneDialog":
    from gui.tune_dialog import TuneDialog

    studio.open("tuning")
    project = studio.window.session.project
    project.set_state(project.example_ids()[:9], "accepted")
    project.set_state(generate(project), "accepted")
    dialog = TuneDialog(studio.window.session, studio.window.tuning.estimating, studio.window)
    dialog.show()
    studio.settle(8)
    return dialog


def tune_advanced(studio: Studio) -> object:
    dialog = tune(studio)
    dialog.tabs.setCurrentIndex(1)
    return dialog


def merge(studio: Studio) -> object:
    """A new model, and how it compares."""
    from gui.merge_dialog import MergeDialog
    from tests.data.gguf_tiny import write_tiny

    panel = open_tuning(studio, model=write_tiny(studio.home / "tiny.gguf"))
    adapter = panel.adapter
    assert adapter is not None
    dialog = MergeDialog(studio.window.session, panel.files.merger, adapter, studio.window)
    dialog.kind.setCurrentIndex(dialog.kind.findData("Q8_0"))
    dialog.show()
    dialog.start.click()
    studio.settle(8)
    return dialog


def models(studio: Studio) -> None:
    """With models of other programs, and one that is no model."""
    from core.models.shelf import models_folder
    from tests.data.gguf_tiny import write_tiny

    cache = studio.home / ".lmstudio" / "models" / "owner" / "name"
    store = studio.home / ".ollama" / "models"
    manifest = store / "manifests" / "registry.ollama.ai" / "library" / "llama3.2" / "3b"
    for folder in (cache, store / "blobs", manifest.parent):
        folder.mkdir(parents=True)
    write_tiny(cache / "tiny.gguf", metadata={"general.license": "apache-2.0", "general.author": "Somebody"})
    write_tiny(store / "blobs" / f"sha256-{'a' * 64}", seed=1)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{'a' * 64}"}
    manifest.write_text(json.dumps({"layers": [layer]}))
    (models_folder() / "Qwen3-4B-Instruct-2507-Q4_K_M.gguf").write_bytes(b"GGUF")
    studio.open("models")
    studio.window.models.list.setCurrentRow(3)


def download(studio: Studio) -> object:
    """With one that was stopped."""
    from core.models.shelf import models_folder
    from gui.download_dialog import DownloadDialog

    begun = models_folder() / ".downloads" / "0"
    begun.mkdir(parents=True)
    file = {"name": "Qwen3-8B-Q4_K_M.gguf", "url": "", "size": 5_027_783_488, "sha256": "", "validator": ""}
    source = "Qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf"
    (begun / "download.json").write_text(json.dumps({"source": source, "files": [file]}))
    with open(begun / f"{file['name']}.part", "wb") as part:
        part.truncate(1_900_000_000)
    studio.open("models")
    dialog = DownloadDialog(studio.window.session, studio.window)
    dialog.list.setCurrentRow(8)
    dialog.show()
    return dialog


def chat(studio: Studio) -> None:
    """With an answer that waits for a run."""
    page = open_chat(studio)
    talk(page.first, "Why is the sky blue?", SKY, "61 tokens/s · 74 tokens · first after 0.4 s · seed 7")
    broken = "The model gives no valid numbers: its weights are damaged. Download it again or choose another model."
    talk(page.first, "And at sunset?\nIn one sentence, please.", "", problem=broken)
    page.options.system.setPlainText("Answer briefly, as to a child of ten years.")
    page.options._system_fold.setChecked(True)
    page.options._sampling_fold.setChecked(True)
    studio.window.jobs.start("model", "Asking", wait_for_cancel)
    page.input.setPlainText("And at sunset?")
    page.send()
    page.input.setPlainText("What of the Moon?")


def compare(studio: Studio) -> None:
    """An adapter on and off."""
    page = open_chat(studio)
    page.compare.setChecked(True)
    page.second.use_adapter(studio.home / "physics-tutor-lora.gguf")
    page.second.scale.setValue(16)
    figures = "{} tokens/s · {} tokens · first after 0.4 s · {}seed 7"
    talk(page.first, "Why is the sky blue?", SKY, figures.format(61, 74, ""))
    thought = "<think>The child is ten.</think>"
    talk(page.second, "Why is the sky blue?", thought + SKY.splitlines()[0], figures.format(57, 40, ""))
    talk(page.first, "And at sunset?", SUNSET, figures.format(60, 24, "reached 24 tokens · "))
    talk(page.second, "And at sunset?", "Then it is red. " + SUNSET, figures.format(58, 24, "stopped · "))


def open_chat(studio: Studio) -> "ChatPage":
    studio.open("models")
    studio.window.models.tabs.setCurrentIndex(1)
    return studio.window.models.chat


def wait_for_cancel(job: "Job") -> None:
    while not job.cancelled():
        time.sleep(0.05)


def talk(column: "ChatColumn", question: str, answer: str, figures: str = "", problem: str = "") -> None:
    """As if a model had answered."""
    conversation = column.begin(question, again=False)
    turn = replace(conversation[-1], answer=answer, figures=figures, problem=problem)
    column.go_on(conversation, turn)
    column.changed.emit()


SKY = (
    "Sunlight holds all colours. In the air it meets molecules that are much smaller than its waves, and these "
    "scatter blue light far more than red.\n\nSo blue comes to your eye from every side of the sky, while the red goes "
    "straight on: you see it when the sun stands low and its light has a long way through the air."
)
SUNSET = "At sunset the light has a long way through the air, and little but red and yellow is left of it."


def export(studio: Studio) -> object:
    return exporting(studio, "messages", 1)


def export_pairs(studio: Studio) -> object:
    return exporting(studio, "dpo", 0)


def export_steps(studio: Studio) -> object:
    return exporting(studio, "two-task", 0)


def export_csv(studio: Studio) -> object:
    """With what is rarely needed unfolded."""
    dialog = exporting(studio, "csv", 0)
    dialog.fold.setChecked(True)
    return dialog


def export_parquet(studio: Studio) -> object:
    return exporting(studio, "parquet", 0)


def export_folder(studio: Studio) -> object:
    """Of a dataset."""
    studio.open("questions")
    frozen(studio.window.session.project)
    return exporting(studio, "folder", 2)


def exporting(studio: Studio, format: str, source: int) -> "ExportDialog":
    from core.project.records import Step
    from gui.export_dialog import ExportDialog

    studio.open("questions")
    project = studio.window.session.project
    ids = project.example_ids()[:9]
    project.set_state(ids, "accepted")
    project.set_state(generate(project), "accepted")
    project.set_rejected(dict.fromkeys(ids[::2], "It does not say so anywhere."))
    steps = (Step("The passage names the year in which it began."), Step("So the answer is that year."))
    project.set_rationales(dict.fromkeys(ids[1::2], (steps, 0)))
    dialog = ExportDialog(studio.window.session, studio.window.jobs, studio.window)
    dialog.rows.source.setCurrentIndex(source)
    dialog.choice.choose(format)
    dialog.show()
    return dialog


def import_rows(studio: Studio) -> object:
    """Chats with worse answers, and rows that cannot be used."""
    file = studio.home / "answers of the seminar.jsonl"
    asked = ("Why does a glacier carve a valley?", "What makes the tides?", "Why is the sky blue?", "What is a comet?")
    answers = ("Its ice carries rock, which grinds its bed.", "The pull of the Moon, and less of the Sun.", SKY, "")
    worse = ("It melts the rock.", "The wind.", "Because the sea is blue.", "A star.")
    rows = [
        {"prompt": question, "chosen": answer, "rejected": bad, "level": "easy"}
        for question, answer, bad in zip(asked, answers, worse, strict=True)
    ]
    file.write_text("\n".join(map(json.dumps, rows * 60)), encoding="utf-8")
    return importing(studio, file)


def import_columns(studio: Studio) -> object:
    """Columns that nobody knows."""
    file = studio.home / "Fragebogen.csv"
    file.write_text("Nr,Frage,Antwort\n1,Was ist ein Gletscher?,Ein Strom aus Eis.\n", encoding="utf-8")
    return importing(studio, file)


def import_solutions(studio: Studio) -> object:
    """Worked solutions, as GSM8K has them."""
    file = studio.home / "solutions.jsonl"
    asked = "Natalia sold clips to 48 of her friends in April, and then half as many in May. How many in all?"
    solved = "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nIn all she sold 48+24 = <<48+24=72>>72 clips.\n#### 72"
    file.write_text("\n".join([json.dumps({"question": asked, "answer": solved})] * 400), encoding="utf-8")
    return importing(studio, file)


def importing(studio: Studio, file: Path) -> object:
    from gui.import_dialog import ImportDialog

    studio.open("questions")
    dialog = ImportDialog(studio.window.session, studio.window.jobs, studio.window, file)
    dialog.show()
    return dialog


def frozen(project: "Project") -> None:
    """Two datasets of the accepted questions: between them one was edited, one rejected, and another seed drawn."""
    from core.datasets import freeze

    ids = project.example_ids()
    project.set_state(ids, "accepted")
    project.set_rejected(dict.fromkeys(ids[::3], "It does not say so anywhere."))
    freeze(project, "accepted", 0.1, test=0.1, name="Pilot of June")
    project.edit_example(ids[2], answer="It opened in the spring of 1931, after nine years of work.")
    project.set_state(ids[-3:], "rejected")
    freeze(project, "accepted", 0.2, seed=7, test=0.1, name="After the second review")


def freeze(studio: Studio) -> object:
    from gui.freeze_dialog import FreezeDialog

    studio.open("questions")
    project = studio.window.session.project
    project.set_state(project.example_ids(), "accepted")
    dialog = FreezeDialog(studio.window.session, "accepted", studio.window)
    dialog.show()
    return dialog


def freeze_nothing(studio: Studio) -> object:
    dialog = freeze(studio)
    dialog.pairs.setChecked(True)  # type: ignore[attr-defined]
    dialog.fold.setChecked(True)  # type: ignore[attr-defined]
    return dialog


def datasets(studio: Studio) -> None:
    no_datasets(studio)
    frozen(studio.window.session.project)
    studio.settle()


def datasets_compared(studio: Studio) -> None:
    datasets(studio)
    page = studio.window.curate.datasets
    page.list.selectAll()
    studio.settle()
    page.difference.kind.setCurrentIndex(3)


def no_datasets(studio: Studio) -> None:
    studio.open("curate")
    studio.window.curate.tabs.setCurrentWidget(studio.window.curate.datasets)


def tune_dataset(studio: Studio) -> object:
    """A dataset with pairs, by its name."""
    from gui.tune_dialog import TuneDialog

    studio.open("tuning")
    frozen(studio.window.session.project)
    dialog = TuneDialog(studio.window.session, studio.window.tuning.estimating, studio.window, "Pilot of June")
    dialog.show()
    studio.settle(8)
    return dialog


def ask(studio: Studio) -> object:
    from gui.ask_dialog import AskDialog

    studio.open("questions")
    dialog = AskDialog(studio.window.session, studio.window)
    dialog.show()
    return dialog


def suite(studio: Studio) -> object:
    """With a row that cannot be used."""
    from gui.suite_dialog import SuiteDialog

    file = studio.home / "questions of the seminar.csv"
    lines = ["question,A,B,C,D,answer", "Which of these is a prime number?,21,27,29,33,C"]
    lines += ["Which planet is nearest to the Sun?,Venus,Mercury,Mars,Earth,B", "Who wrote “Faust”?,Goethe,Heine,,,E"]
    lines += ["Which gas do plants take in?,Oxygen,Nitrogen,Carbon dioxide,Argon,C"]
    file.write_text("\n".join(lines), encoding="utf-8")
    studio.open("questions")
    dialog = SuiteDialog(studio.window.session, studio.window, file)
    dialog.show()
    return dialog


def keys(studio: Studio) -> object:
    from gui.keys import KeysDialog

    studio.open("questions")
    dialog = KeysDialog(studio.window.key_groups(), studio.window)
    dialog.show()
    return dialog


def palette(studio: Studio) -> object:
    from gui.command_palette import CommandPalette

    studio.open("questions")
    dialog = CommandPalette(studio.window.menu_actions(), studio.window)
    dialog.show()
    return dialog


def about(studio: Studio) -> object:
    from gui.about import AboutDialog

    dialog = AboutDialog(studio.window)
    dialog.show()
    return dialog


def error(studio: Studio) -> None:
    studio.open("documents")
    bad = studio.home / "notes from the archive.pdf"
    bad.write_bytes(b"this is no PDF")
    studio.window.add_files([bad])
    studio.settle(4)


def bug(studio: Studio) -> object:
    from gui.messages import BugDialog

    dialog = BugDialog("ZeroDivisionError: division by zero", "Traceback (most recent call last): …", studio.window)
    dialog.show()
    return dialog


if __name__ == "__main__":
    main()
