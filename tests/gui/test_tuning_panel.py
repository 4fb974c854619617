"""Fine-tuning in the window: runs of known curves, adapters of a tiny model, and one real training of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QWheelEvent
from PySide6.QtWidgets import (
    QApplication,
    QDoubleSpinBox,
    QFileDialog,
    QInputDialog,
    QLabel,
    QPlainTextEdit,
    QSpinBox,
    QWidget,
)
from pytestqt.qtbot import QtBot

from core import datasets
from core.chat import Answer, ChatSettings, converse
from core.engine.requests import GREEDY, Adapter, Loaded, Loading
from core.engine.stepping import SteppingDown
from core.models.checksum import sha256
from core.models.files import read_model
from core.models.gguf_header import read_header
from core.models.shelf import models_folder
from core.project.project import Project
from core.project.records import Check, ExampleDraft, ExampleFilter, PickRow
from core.project.tuning import Dataset, DatasetRow, TuningPoint, TuningSample
from core.tuning import extra
from core.tuning import tune as tuning
from core.tuning.records import Recipe, Stepped
from core.tuning.tune import Kept, TuneOptions
from core.worker import Worker
from gui import before_after
from gui.dataset_choice import DatasetChoice, sources
from gui.estimating import Estimating
from gui.jobs import Jobs
from gui.merge_dialog import MergeDialog
from gui.offered_prompts import offered_prompts
from gui.panels.models import ModelsPanel
from gui.panels.tuning import TuningPanel
from gui.probe_dialog import ProbeDialog
from gui.recipe_fields import read_recipe
from gui.session import Session
from gui.tune_dialog import TuneDialog
from gui.tuning_overview import TrainingPage
from gui.tuning_samples import SamplesPage
from gui.tuning_words import join_prompts, loss_words, rate_words, split_prompts
from gui.word_diff import changed
from tests.data.gguf_tiny import write_tiny
from tests.data.tuning_runs import ANSWERS, PROMPTS, STEPS, add_adapter, add_run, held_out, settings

LONG = 120_000  # milliseconds: the machine may be busy
CALM, STOPPED, FAILED = range(1, 4)  # the runs, by their ids


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A project with an adapter and runs, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    with Project.create(folder / "made.elenchus") as project:
        add_adapter(project, add_run(project, model=tiny), "calm <b>", folder)
        add_run(project, "cancelled", 120)
        add_run(project, "failed", 40)
    return folder / "made.elenchus"


@pytest.fixture
def session(session: Session, tmp_path: Path, made: Path) -> Session:
    path = tmp_path / "project.elenchus"
    path.write_bytes(made.read_bytes())
    session.open(path)
    return session


@pytest.fixture
def panel(session: Session, jobs: Jobs, qtbot: QtBot) -> Iterator[TuningPanel]:
    panel = TuningPanel(session, jobs)
    qtbot.addWidget(panel)
    panel.resize(1000, 700)
    with qtbot.waitExposed(panel):
        panel.show()
    yield panel
    panel.save_state()


def choose(panel: TuningPanel, qtbot: QtBot, kind: str, id: int) -> TrainingPage:
    """Selects an entry, and waits until it is shown."""
    panel.list.select((kind, id))
    qtbot.waitUntil(lambda: panel.idle and panel._right.isVisible(), timeout=LONG)
    qtbot.waitUntil(lambda: panel._right.currentWidget() is panel.tabs, timeout=LONG)
    assert panel._training is not None
    return panel._training


def rows(panel: TuningPanel) -> list[list[str]]:
    return [panel.list.item(row).text().splitlines() for row in range(panel.list.count())]


def words(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


# The list


def test_adapters_and_runs_are_listed_with_how_they_ended(panel: TuningPanel) -> None:
    found = rows(panel)
    assert [row[0].split(" · ")[0] for row in found] == [
        "Runs", "run 7, 240 rows, run 3", "run 7, 240 rows, run 2", "Adapters", "calm <b>",
    ]  # fmt: skip
    assert found[1][2].startswith("failed: There was no room on the disk")
    assert found[1][2].endswith("· 40/300")
    assert found[2][1:] == ["Small 0.5B", "Resume 120 of 300 steps"]
    assert found[4][:2] == ["calm <b>", "tiny-random · run 7, 240 rows"]
    assert found[4][2].startswith(f"held out {held_out(225):.3f} · ")


def test_what_is_selected_decides_what_can_be_done(panel: TuningPanel, qtbot: QtBot) -> None:
    actions = {"resume": panel._resume, "chat": panel._chat, "probe": panel._probe, "gguf": panel._gguf,
               "merge": panel._merge, "rename": panel._rename, "remove": panel._remove}  # fmt: skip
    for kind, id, can in (
        ("run", STOPPED, "resume"),
        ("run", FAILED, "resume"),
        ("adapter", 1, "chat probe gguf merge rename remove"),
    ):
        choose(panel, qtbot, kind, id)
        assert {name for name, action in actions.items() if action.isEnabled()} == set(can.split())
        assert panel.tabs.isTabVisible(panel.tabs.indexOf(panel.both)) == (kind == "adapter")


def test_an_adapter_is_renamed_removed_and_brought_back(
    session: Session, panel: TuningPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(panel, qtbot, "adapter", 1)
    before = session.project.adapters()[0]
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("  steady ", True))
    panel._rename.trigger()
    assert session.project.adapters()[0].name == "steady"
    qtbot.waitUntil(lambda: rows(panel)[-1][0] == "steady")
    offers: list[tuple] = []
    session.offer_made.connect(lambda *offer: offers.append(offer))
    session.project.set_adapter_scale(1, 0.5)
    panel._remove.trigger()
    assert session.project.adapters() == []
    qtbot.waitUntil(lambda: rows(panel)[-1][-1] == "finished, its adapter was removed")
    offers[-1][2]()
    (back,) = session.project.adapters()
    assert replace(back, id=1, created_at=before.created_at) == replace(before, name="steady", scale=0.5)
    assert sha256(session.project.adapter_file(back.id)) == before.sha256


# What is shown


def test_a_run_shows_its_losses_with_the_best_and_its_pace(panel: TuningPanel, qtbot: QtBot) -> None:
    page = choose(panel, qtbot, "adapter", 1)
    assert page.title.text() == "calm <b>"
    assert page.title.textFormat() == Qt.TextFormat.PlainText
    assert page.about.text().startswith("tiny-random · run 7, 240 rows · Answers · ")
    assert page.state.text().startswith("Step 300 of 300 · loss ")
    assert page.state.text().endswith("held out 0.520 at step 225, from 2.300 before")
    assert "left" not in page.figures.text()
    table = page.losses.table()
    assert table[0] == ("Step", "Each step", "Smoothed", "Held out")
    assert len(table) == STEPS + 2  # its head, and what was held out before the first step
    assert float(table[226][3]) == pytest.approx(held_out(225), abs=1e-5)
    assert table[1][:3] == ("0", "", "")
    assert page.losses._lines[2].best == 225
    assert float(page.rate.table()[18][1]) == pytest.approx(2e-4)  # after the warm-up


def test_a_run_that_did_not_finish_says_where_it_stopped_and_why(panel: TuningPanel, qtbot: QtBot) -> None:
    page = choose(panel, qtbot, "run", STOPPED)
    assert page.state.text().startswith("Stopped at step 120 of 300 · loss ")
    page = choose(panel, qtbot, "run", FAILED)
    assert page.state.text() == "Failed: There was no room on the disk for a checkpoint. Make room, then go on."


def test_values_can_be_read_by_mouse_and_keys(panel: TuningPanel, qtbot: QtBot) -> None:
    chart = choose(panel, qtbot, "adapter", 1).losses
    assert chart._values.text().startswith("Step 300 · ")
    box = chart._item.getViewBox()

    def points_at_50() -> bool:
        """Once the axes have found their ranges."""
        chart._point_at(box.mapViewToScene(QPointF(50.3, 1)))
        return chart._values.text().startswith("Step 50 · ")

    qtbot.waitUntil(points_at_50)
    assert chart._values.text().endswith(f"Held out {held_out(50):.4g}")
    qtbot.keyClick(chart, Qt.Key.Key_Right)
    assert chart._values.text().startswith("Step 51 · ")
    qtbot.keyClick(chart, Qt.Key.Key_Home)
    assert chart._values.text() == f"Step 0 · Held out {held_out(0):.4g}"


def test_where_an_adapter_comes_from_is_told_when_it_is_asked_for(
    session: Session, panel: TuningPanel, qtbot: QtBot, tiny: Path
) -> None:
    page = choose(panel, qtbot, "adapter", 1)
    assert "SHA-256" not in words(page.facts)
    page.facts.fold.click()
    told = dict(page.facts.facts())
    assert told["Examples"] == "216 to learn from, 24 held out, 3 dropped as too long"
    assert told["Its file"] == str(tiny)
    assert "0.00057 nats" in told["Agreement"]
    assert "98.4 % the same" in told["Agreement"]
    assert "learning rate 0.0002" in told["Recipe"]
    assert [value for name, value in page.facts.facts() if name == "Its SHA-256"] == [
        "ef" * 32, sha256(tiny), session.project.adapters()[0].sha256,
    ]  # fmt: skip


def test_samples_stand_beside_those_of_the_base_with_what_changed_marked(panel: TuningPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, "adapter", 1)
    panel.tabs.setCurrentWidget(panel.samples)
    pairs = panel.samples.pairs
    assert [row.prompt.text() for row in pairs.rows] == list(PROMPTS)
    assert [row.first.toPlainText() for row in pairs.rows] == list(ANSWERS[0])
    assert pairs.rows[1].second.toPlainText() == ANSWERS[1][1]
    assert pairs.rows[1].second.marks == ["air scatters", "light,", "does not reflect the sea, whatever they"]
    assert panel.samples.steps.currentData() == 300
    assert all(isinstance(row.second, QPlainTextEdit) for row in pairs.rows)


def test_the_samples_of_the_step_that_is_kept_are_shown_first(qtbot: QtBot) -> None:
    page = SamplesPage()
    qtbot.addWidget(page)
    samples = [TuningSample(step, 0, f"after {step}") for step in (0, 50, 100, 150)]
    page.show_samples(["Why?"], samples[:3], running=True, kept=50)
    assert page.steps.currentData() == 100  # the newest, while it learns
    page.show_samples(["Why?"], samples, running=True, kept=50)
    assert page.steps.currentData() == 150
    page.show_samples(["Why?"], samples, running=False, kept=50)
    assert page.steps.currentText() == "step 50 (kept)"
    assert page.pairs.rows[0].second.toPlainText() == "after 50"
    page.steps.setCurrentIndex(1)
    page.show_samples(["Why?"], samples, running=False, kept=50)
    assert page.steps.currentData() == 100  # the user's choice


def test_small_figures_keep_their_digits() -> None:
    assert [loss_words(loss) for loss in (2.3, 0.52, 0.0123, 0.00012, 0.00003, 0.0)] == [
        "2.300", "0.520", "0.0123", "0.0001", "0.00003", "0.000",
    ]  # fmt: skip
    assert [rate_words(rate) for rate in (2e-4, 1e-4, 5e-5, 1.25e-5, 9.999e-5, 0.0)] == [
        "2e-4", "1e-4", "5e-5", "1.25e-5", "1e-4", "0",
    ]  # fmt: skip


def test_rates_and_paces_are_written_in_one_way_from_zero(panel: TuningPanel, qtbot: QtBot) -> None:
    page = choose(panel, qtbot, "adapter", 1)
    page.rate.look_at(18)
    assert page.rate._values.text().endswith(" · 2e-4")
    assert page.rate._axis("left").tickStrings([0, 1e-4, 5e-5], 1, 5e-5) == ["0", "1e-4", "5e-5"]
    assert page.speed._item.getViewBox().viewRange()[1][0] <= 0


def test_words_that_changed_are_found() -> None:
    assert changed("a b c d", "a x c d e") == [(2, 3), (8, 9)]
    assert changed("the same", "the same") == []
    assert changed("nothing in common", "at all") == []  # all would be marked


def test_steps_that_arrive_are_shown_while_the_run_goes_on(session: Session, panel: TuningPanel, qtbot: QtBot) -> None:
    project = session.project
    run = add_run(project, "running", 20)
    qtbot.waitUntil(lambda: rows(panel)[1][2] == "step 20 of 300", timeout=LONG)
    page = choose(panel, qtbot, "run", run)
    assert page.state.text().startswith("Step 20 of 300 · ")
    project.add_tuning_steps(run, [TuningPoint(21, 0.2, 0.7, 2e-4, 1.0, 2_000, 2.0, 10**9)])
    qtbot.waitUntil(lambda: page.state.text().startswith("Step 21 of 300 · loss 0.700"), timeout=LONG)
    assert rows(panel)[1][2] == "step 21 of 300"
    assert page.figures.text().endswith("min left")


# Without what is needed


def test_a_project_with_nothing_to_learn_from_says_what_to_do_first(
    session: Session, panel: TuningPanel, tmp_path: Path, qtbot: QtBot
) -> None:
    session.create(tmp_path / "new.elenchus")
    assert panel.empty.isVisible()
    assert panel.empty.head.text() == "Nothing to learn from yet"
    asked: list[str] = []
    panel.questions_wanted.connect(lambda: asked.append("questions"))
    panel.probes_wanted.connect(lambda: asked.append("probes"))
    panel.empty.button.click()
    panel.empty.other.click()
    assert asked == ["questions", "probes"]
    session.project.add_dataset("kept", {}, [])
    qtbot.waitUntil(lambda: panel.empty.head.text() == "No adapters yet")
    assert panel.empty.button.text() == "Tune…"
    assert panel.empty.other.isHidden()


def test_without_torch_all_but_tuning_works(
    session: Session, jobs: Jobs, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    panel = TuningPanel(session, jobs)
    qtbot.addWidget(panel)
    panel.show()
    choose(panel, qtbot, "adapter", 1)
    assert panel.missing.isVisible()
    assert extra.missing() in words(panel.missing)
    said: list[str] = []
    session.offer_made.connect(lambda text, *_: said.append(text))
    panel.tune()
    assert said == []  # it stands there already
    assert not panel.tune_button.isEnabled()
    assert panel._chat.isEnabled()
    assert panel._gguf.isEnabled()
    assert not panel._peft.isEnabled()
    panel.copy_command()
    assert QGuiApplication.clipboard().text().endswith("-m pip install torch gguf safetensors")
    session.create(tmp_path / "new.elenchus")
    assert panel.empty.text.text() == extra.missing()
    panel.save_state()


def test_a_project_that_is_only_read_can_be_looked_at(session: Session, panel: TuningPanel, qtbot: QtBot) -> None:
    path = session.project.path
    session.close()
    session.open(path, read_only=True)
    choose(panel, qtbot, "adapter", 1)
    assert panel._chat.isEnabled()
    for action in (panel._rename, panel._remove, panel._probe, panel._resume):
        assert not action.isEnabled()
    assert not panel.tune_button.isEnabled()
    assert panel.tune_button.toolTip() == session.only_read()


def test_names_from_outside_are_no_markup(panel: TuningPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, "adapter", 1)
    outside = [label for label in panel.findChildren(QLabel) if "<b>" in label.text()]
    assert outside
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in outside)


@pytest.mark.parametrize(
    ("of", "values"),
    [
        ("prepared", {"steps": "many"}),
        ("prepared", {"steps": 10**30}),
        ("agreement", {"kl": "small"}),
        ("agreement", {"kl": 0, "top1": 1}),  # whole numbers are numbers
        ("recipe", {"objective": 5}),
        ("prompts", 5),
    ],
)
def test_settings_from_outside_are_looked_at(
    session: Session, panel: TuningPanel, qtbot: QtBot, of: str, values: Any
) -> None:
    usual = settings()
    kept: Any = usual.settings[of]
    changed = {of: kept | values if isinstance(values, dict) else values}
    run = session.project.start_run(replace(usual, settings=usual.settings | changed))
    session.project.add_tuning_steps(run, [TuningPoint(1, loss=1.0, seconds=1.0)])
    session.project.finish_run(run, "failed", {}, "no room")
    panel._refresh()
    training = choose(panel, qtbot, "run", run)
    qtbot.waitUntil(lambda: training.title.text() == f"Run {run}", timeout=LONG)
    training.facts.fold.click()


def test_whatever_takes_the_focus_has_a_name(panel: TuningPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, "adapter", 1)
    for place in range(panel.tabs.count()):
        panel.tabs.setCurrentIndex(place)
        led_to = {label.buddy() for label in panel.findChildren(QLabel)}
        nameless = [
            widget
            for widget in panel.findChildren(QWidget)
            if widget.isVisible() and widget.focusPolicy() != Qt.FocusPolicy.NoFocus and widget not in led_to
            if not (widget.accessibleName() or getattr(widget, "text", str)())
        ]
        assert nameless == []


# Files


def test_an_adapter_is_exported_for_llama_cpp_and_for_transformers(
    session: Session, panel: TuningPanel, jobs: Jobs, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(panel, qtbot, "adapter", 1)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine v1.2"), ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    panel._gguf.trigger()
    panel._peft.trigger()
    qtbot.waitUntil(lambda: not jobs.active, timeout=LONG)
    assert sha256(tmp_path / "mine v1.2.gguf") == session.project.adapters()[0].sha256
    assert (tmp_path / "calm -b-peft" / "adapter_model.safetensors").is_file()


def test_an_export_takes_no_place_that_nobody_was_asked_about(
    session: Session, panel: TuningPanel, jobs: Jobs, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(panel, qtbot, "adapter", 1)
    (tmp_path / "mine.gguf").write_text("a model")
    said: list[str] = []
    session.notice_given.connect(said.append)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine"), ""))
    panel._gguf.trigger()
    qtbot.waitUntil(lambda: not jobs.active, timeout=LONG)
    assert (tmp_path / "mine.gguf").read_text() == "a model"
    assert said == [f"{tmp_path / 'mine.gguf'} exists already. Choose another name."]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine.gguf"), ""))
    panel._gguf.trigger()  # which Qt has asked about
    qtbot.waitUntil(lambda: not jobs.active, timeout=LONG)
    assert sha256(tmp_path / "mine.gguf") == session.project.adapters()[0].sha256


# Before and after


def answers(model: Path, prompts: tuple[str, ...], adapter: Adapter | None) -> list[str]:
    """What a model says in a process of its own, which knows of no other adapter."""
    settings = ChatSettings(sampling=GREEDY, max_tokens=before_after.MOST_TOKENS)
    requests = [settings.request((), prompt, 0) for prompt in prompts]
    with Worker() as worker:
        said = [item for one in requests for item in converse(SteppingDown(worker), model, one, adapter)]
    return [item.text for item in said if isinstance(item, Answer)]


def test_the_base_is_really_the_base(
    session: Session, panel: TuningPanel, jobs: Jobs, qtbot: QtBot, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before_after, "MOST_TOKENS", 40)
    choose(panel, qtbot, "adapter", 1)
    panel.tabs.setCurrentWidget(panel.both)
    page = panel.both
    assert split_prompts(page.prompts.toPlainText()) == PROMPTS
    page.prompts.setPlainText("Why is the sky blue?\n\n\nWhat is 2 + 2?\n(A) 5\n")
    page.scale.setValue(30)
    qtbot.waitUntil(lambda: session.project.adapters()[0].scale == 1.5)
    page.asking.click()
    assert page.stopping.isVisible()
    qtbot.waitUntil(lambda: not jobs.active and not page.active, timeout=LONG)
    asked = page._asked[1]
    assert asked.prompts == ("Why is the sky blue?", "What is 2 + 2?\n(A) 5")
    bases, tuned = zip(*asked.answers, strict=True)
    assert list(bases) == answers(tiny, asked.prompts, None)
    assert list(tuned) == answers(tiny, asked.prompts, Adapter(session.project.adapter_file(1), 1.5))
    assert all(before != after for before, after in asked.answers)
    assert [row.first.toPlainText() for row in page.pairs.rows] == [base.strip() for base, _ in asked.answers]
    assert "With “calm <b>” at 1.5" in words(page.pairs)


def test_an_adapter_of_a_model_that_is_gone_says_so(
    session: Session, panel: TuningPanel, jobs: Jobs, qtbot: QtBot, tmp_path: Path
) -> None:
    failed: list[str] = []
    jobs.job_failed.connect(lambda job: failed.append(str(job.error)))
    gone = add_adapter(session.project, add_run(session.project), "homeless", tmp_path, 3)
    qtbot.waitUntil(lambda: rows(panel)[4][0].startswith("homeless"))
    choose(panel, qtbot, "adapter", gone.id)
    panel.both.ask()
    qtbot.waitUntil(lambda: bool(failed), timeout=LONG)
    assert failed[0].startswith("“homeless” was made for Small 0.5B, whose file is no longer /models/small.gguf.")


def test_prompts_are_parted_by_empty_lines() -> None:
    assert split_prompts("a\nb\n \n\nc") == ("a\nb", "c")
    assert split_prompts(" \n") == ()
    assert split_prompts(join_prompts(["a\n\nb", "c"])) == ("a\nb", "c")


# In Chat and in probes


def test_chat_takes_an_adapter_of_the_project(session: Session, jobs: Jobs, qtbot: QtBot, tiny: Path) -> None:
    session.settings.setValue("models", [str(tiny)])
    session.project.set_adapter_scale(1, 0.5)
    models = ModelsPanel(session, jobs)
    qtbot.addWidget(models)
    models.show()
    models.chat_with(session.project.adapters()[0])
    models.refresh()
    column = models.chat.first
    qtbot.waitUntil(lambda: column.model is not None and column.model.path == tiny, timeout=LONG)
    assert column.adapter == Adapter(session.project.adapter_file(1), 0.5)
    assert column.who() == "tiny-random · with calm <b> at 0.5"
    column._fill_menu()
    names = [action.text() for action in column._menu.actions()]
    assert names[:2] == ["Without adapter", "calm <b>"]
    assert column._menu.actions()[1].isChecked()
    column._menu.actions()[0].trigger()
    assert column.adapter is None
    assert session.known_adapters() == []  # it is the project's, and no file to be remembered
    models.save_state()


def test_chat_says_where_the_model_of_an_adapter_is_not_at_hand(session: Session, jobs: Jobs, qtbot: QtBot) -> None:
    said: list[str] = []
    session.notice_given.connect(said.append)
    models = ModelsPanel(session, jobs)
    qtbot.addWidget(models)
    models.show()
    models.chat_with(session.project.adapters()[0])
    assert said == []  # the search has not come to its end
    qtbot.waitUntil(lambda: bool(said), timeout=LONG)
    assert said[0].startswith("“calm <b>” was made for tiny-random, which is not in this list. Add its file, ")
    models.save_state()


def test_the_probe_dialog_takes_an_adapter_of_the_project(session: Session, qtbot: QtBot, tiny: Path) -> None:
    session.settings.setValue("models", [str(tiny)])
    session.project.set_adapter_scale(1, 0.75)
    (adapter,) = session.project.adapters()
    dialog = ProbeDialog(session, None, adapter)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: len(dialog.chosen_models()) == 1, timeout=LONG)
    assert dialog.adapter.currentText() == "calm <b> (for tiny-random)"
    assert [(one.model, one.adapter, one.scale) for one in dialog.options()] == [
        (tiny, None, 0.75), (tiny, session.project.adapter_file(1), 0.75),
    ]  # fmt: skip
    dialog.reject()


# Runs


def scripted(project: Project, worker: object, options: TuneOptions, cancelled) -> Iterator[object]:
    """As a training goes that never ends by itself."""
    run = project.start_run(settings())
    yield Loading(0.0)
    step = 0
    while not cancelled():
        step += 1
        point = TuningPoint(step, step / 100, 1.0 / step, 1e-4, 1.0, 500, 0.5, 10**9)
        project.add_tuning_steps(run, [point])
        yield Stepped(step, STEPS, point.epoch, 1.0 / step, 1e-4, 1.0, 500, 0.5, 10**9)
    project.finish_run(run, "cancelled", {})
    yield Kept(project.adapters()[0])


def test_a_run_is_followed_stopped_and_offered_to_go_on(
    session: Session, panel: TuningPanel, jobs: Jobs, qtbot: QtBot, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    session.offer_made.connect(lambda text, label, action: said.append(f"{text} [{label}]"))
    monkeypatch.setattr(tuning, "tune", scripted)
    panel.tuning.start(TuneOptions("accepted", tiny, Recipe()))
    qtbot.waitUntil(lambda: panel.list.current is not None and panel.list.current.run.state == "running", timeout=LONG)
    assert panel._stop_button.isVisible()
    assert panel._resume_button.isHidden()
    assert not panel.tune_button.isEnabled()
    qtbot.waitUntil(lambda: jobs.active[0].status.text.startswith("Tuning · step "), timeout=LONG)
    assert "1,000 tokens/s" in jobs.active[0].status.detail or "1000 tokens/s" in jobs.active[0].status.detail
    assert jobs.active[0].stop_words == "Stop and keep"
    panel._stop.trigger()
    qtbot.waitUntil(lambda: not jobs.active, timeout=LONG)
    assert said[-1].startswith("Stopped tuning on “run 7, 240 rows” at step ")
    assert said[-1].endswith("of 300. What it learned is kept as “calm <b>”. [Resume]")
    qtbot.waitUntil(panel._resume.isEnabled)


def test_a_run_that_was_interrupted_is_offered_when_the_project_is_opened(session: Session, panel: TuningPanel) -> None:
    said: list[str] = []
    session.offer_made.connect(lambda text, label, action: said.append(f"{text} [{label}]"))
    path = session.project.path
    add_run(session.project, "running", 60)
    session.close()
    session.open(path)
    assert said[-1] == "Tuning on “run 7, 240 rows” stopped at step 60 of 300. [Resume]"


# The dialog


def write_rows(path: Path, count: int = 12) -> Path:
    """A file to learn from: small sums."""
    rows = (f'{{"prompt": "What is {n} + 1?", "completion": "It is {n + 1}."}}' for n in range(count))
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_the_simple_choices_are_recipes(session: Session, jobs: Jobs, qtbot: QtBot) -> None:
    dialog = TuneDialog(session, Estimating(session, jobs))
    qtbot.addWidget(dialog)
    recipe = dialog.recipe
    assert recipe.recipe == Recipe()
    assert dialog.choices["standard"].isChecked()
    recipe.fields["context"].setValue(512)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    assert dialog.choices["standard"].accessibleDescription().startswith("Rank 16, up to 3 passes, learning rate 2e-4.")
    assert dialog.choices["light"].accessibleDescription().startswith("Rank 8, 1 pass, learning rate 2e-4.")
    dialog.choices["thorough"].click()
    assert recipe.recipe == Recipe(rank=32, alpha=64, epochs=6, context=512)
    recipe.fields["rank"].setValue(5)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    assert [name for name, button in dialog.choices.items() if button.isChecked()] == []
    assert not dialog._own.isHidden()
    recipe.fields["objective"].setCurrentIndex(2)  # pyright: ignore[reportAttributeAccessIssue]
    assert recipe.recipe.learning_rate == 5e-6  # the usual one follows what is learned
    rate = recipe.fields["learning_rate"]
    assert isinstance(rate, QDoubleSpinBox)
    assert rate.text() == "0.000005"
    dialog.reject()


def add_set(project: Project, kind: str, count: int = 4) -> int:
    """What a run made for every cell of claims; returns its id."""
    run = project.start_run(replace(settings(), kind=kind, settings={"mixed": []}))
    cells = ("true/agree", "false/disagree", "true/disagree", "false/agree")
    for slot in range(count):
        checks = (Check("known", True, 0.9, cells[slot % len(cells)]),)
        project.add_example(run, ExampleDraft(None, slot, "countering", f"{slot} {kind}", "So.", None, checks=checks))
    project.finish_run(run, "finished", {})
    return run


def choice(session: Session, qtbot: QtBot) -> DatasetChoice:
    data = DatasetChoice(session)
    qtbot.addWidget(data)
    return data


def test_what_was_used_last_is_chosen_first_and_the_control_never_unasked(session: Session, qtbot: QtBot) -> None:
    project = session.project
    control = add_set(project, "control")
    assert choice(session, qtbot).source is None
    add_set(project, "counter")
    counter = add_set(project, "counter", 3)
    add_set(project, "control", 3)
    chosen = choice(session, qtbot).source
    assert chosen is not None
    assert chosen.what == f"run:{counter}"
    kept = datasets.freeze(project, f"run:{control}")
    request = settings()
    project.start_run(replace(request, settings=request.settings | {"dataset": {"id": kept.id, "name": kept.name}}))
    chosen = choice(session, qtbot).source
    assert chosen is not None
    assert chosen.what == f"run:{control}"


def test_rows_that_are_offered_already_are_not_offered_frozen_too(session: Session, qtbot: QtBot) -> None:
    project = session.project
    run = add_set(project, "counter")
    kept = datasets.freeze(project, f"run:{run}")
    names = [source.name for source in sources(project)]
    assert kept.name not in names
    project.set_state(project.example_ids()[-1:], "rejected")
    assert kept.name in [source.name for source in sources(project)]


def divided(project: Project, name: str = "divided", steps: str = "", worse: str = "") -> Dataset:
    """A dataset with three splits; every second row has steps and a worse answer."""
    splits = ("train", "train", "train", "train", "validation", "test")
    rows = [DatasetRow((("user", f"{n}?"),), f"{n}.", split=split) for n, split in enumerate(splits)]
    rows[1::2] = [replace(row, rationale=steps, rejected=worse) for row in rows[1::2]]
    return project.add_dataset(name, {"what": "accepted"}, rows)


def test_a_dataset_is_chosen_by_name_with_its_three_splits(session: Session, jobs: Jobs, qtbot: QtBot) -> None:
    project = session.project
    divided(project)
    add_set(project, "counter")
    project.add_pick("best <b>", {}, [PickRow(example_id) for example_id in project.example_ids()[:3]])
    dialog = TuneDialog(session, Estimating(session, jobs), None, "divided")
    qtbot.addWidget(dialog)
    source = dialog.data.source
    assert source is not None
    assert (source.what, source.frozen) == ("divided", True)
    assert source.about.startswith("frozen · Train 4 · Validation 1 · Test 1 · ")
    assert not dialog.held_out.isEnabled()
    assert "Pick “best <b>”" in [one.name for one in sources(project)]
    dialog.reject()


def test_steps_and_pairs_are_offered_with_their_counts(session: Session, jobs: Jobs, qtbot: QtBot) -> None:
    project, estimating = session.project, Estimating(session, jobs)
    divided(project, "plain")
    divided(project, "rich", "So.", "No.")
    dialog = TuneDialog(session, estimating)
    qtbot.addWidget(dialog)
    dialog.show()
    estimating._take(datasets.select(project, "plain"))
    assert not dialog.objective.isVisible()
    estimating._take(datasets.select(project, "rich"))
    box = dialog.objective.box
    assert box.isVisible()
    assert [box.itemText(place) for place in range(3)] == [
        "Answers · 4",
        "Answers and rationales · 2",
        "Preferences (DPO) · 2",
    ]
    assert not dialog.objective.about.isVisible()
    qtbot.keyClick(box, Qt.Key.Key_End)
    assert dialog.recipe.recipe.objective == "dpo"
    assert dialog.recipe.recipe.learning_rate == 5e-6
    assert dialog.objective.about.text() == "2 examples have no worse answer, and are left out."
    dialog.recipe.show_recipe(Recipe(objective="two-task"))
    dialog._change()
    assert box.currentText() == "Answers and rationales · 2"
    estimating._take(datasets.select(project, "plain"))
    assert box.isVisible()  # else what cannot be learned could not be chosen away
    dialog.reject()


def test_prompts_that_are_offered_have_mostly_a_user_who_is_wrong(session: Session) -> None:
    run = add_set(session.project, "counter", 8)
    examples = list(session.project.iter_examples(ExampleFilter(run_id=run)))
    rows = [DatasetRow((("user", one.question),), one.answer, example_id=one.id) for one in examples]
    assert offered_prompts(session.project, rows) == ["2 counter", "3 counter", "0 counter"]
    assert offered_prompts(session.project, rows[:2]) == ["0 counter", "1 counter"]
    talk = DatasetRow((("user", "What?"), ("assistant", "That."), ("user", "No.")), "Yes.", split="validation")
    assert offered_prompts(session.project, [talk, *rows[:2]]) == ["0 counter", "1 counter"]
    file = [DatasetRow((("user", f"row {n}"),), "So.", split="validation" if n == 3 else "train") for n in range(5)]
    assert offered_prompts(session.project, file) == ["row 3", "row 0", "row 1"]
    assert offered_prompts(session.project, [replace(row, split="test") for row in file[:2]] + file[4:]) == ["row 4"]


def test_settings_are_remembered_and_the_wheel_changes_none(session: Session, jobs: Jobs, qtbot: QtBot) -> None:
    dialog = TuneDialog(session, Estimating(session, jobs))
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.tabs.setCurrentIndex(1)
    rank = dialog.recipe.fields["rank"]
    assert isinstance(rank, QSpinBox)
    turned = QWheelEvent(
        QPointF(5, 5), rank.mapToGlobal(QPointF(5, 5)), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(rank, turned)
    assert rank.value() == 16
    rank.setValue(48)
    dialog.accept()
    again = TuneDialog(session, Estimating(session, jobs))
    qtbot.addWidget(again)
    assert again.recipe.recipe == Recipe(rank=48)
    again.reject()
    assert read_recipe('{"rank": "many", "epochs": 2.5, "new": 1}') == Recipe(epochs=2.5)
    assert read_recipe("[]") == read_recipe("no JSON") == Recipe()


def test_a_dialog_whose_project_is_closed_reckons_no_more(
    session: Session, jobs: Jobs, qtbot: QtBot, tmp_path: Path
) -> None:
    divided(session.project)
    estimating = Estimating(session, jobs)
    dialog = TuneDialog(session, estimating, None, "divided")
    qtbot.addWidget(dialog)
    dialog.model.add_file(write_tiny(tmp_path / "tiny.gguf"))
    assert "Reading the examples" in dialog.estimate.text()
    session.close()
    assert dialog.result() == TuneDialog.DialogCode.Rejected
    dialog.recipe.changed.emit()  # still on its way
    dialog._later.timeout.emit()
    assert not jobs.active


def test_what_cannot_start_says_why(session: Session, jobs: Jobs, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = TuneDialog(session, Estimating(session, jobs))
    qtbot.addWidget(dialog)
    assert dialog.data.source is None  # nothing is accepted
    assert dialog.estimate.text() == "Choose what to learn from."
    assert not dialog.start.isEnabled()
    dialog.data.add_file(write_rows(tmp_path / "sums.jsonl"))
    dialog.model.add_file(write_tiny(tmp_path / "raw.gguf", template=None))
    assert "no chat template" in dialog.estimate.text()
    assert not dialog.start.isEnabled()
    dialog.reject()


def test_rows_that_cannot_be_used_may_be_left_out(
    session: Session, jobs: Jobs, qtbot: QtBot, tmp_path: Path, tiny: Path
) -> None:
    file = write_rows(tmp_path / "sums.jsonl")
    file.write_text(file.read_text(encoding="utf-8") + '\n{"prompt": "What is 99 + 1?", "completion": ""}', "utf-8")
    dialog = TuneDialog(session, Estimating(session, jobs))
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.data.add_file(file)
    dialog.model.add_file(tiny)
    qtbot.waitUntil(dialog.skip.isVisible, timeout=LONG)
    assert "1 of 13 rows of sums.jsonl cannot be used" in dialog.estimate.text()
    assert not dialog.start.isEnabled()
    dialog.skip.click()
    qtbot.waitUntil(lambda: "1 could not be used and were left out." in dialog.advice.text(), timeout=LONG)
    assert dialog.start.isEnabled()
    dialog.held_out.setValue(0)
    assert (dialog.options().skip_bad, dialog.options().held_out) == (True, 0.0)
    dialog.reject()


def test_a_tiny_model_is_tuned_from_the_dialog_to_the_adapter(
    session: Session, panel: TuningPanel, jobs: Jobs, qtbot: QtBot, tmp_path: Path, tiny: Path
) -> None:
    loaded: list[object] = []
    panel.estimating.model_loaded.connect(loaded.append)
    dialog = TuneDialog(session, panel.estimating)
    qtbot.addWidget(dialog)
    dialog.data.add_file(write_rows(tmp_path / "sums.jsonl"))
    dialog.model.add_file(tiny)
    dialog.recipe.show_recipe(Recipe(rank=2, epochs=2, batch=4, evaluations=1, patience=0, dtype="float32"))
    qtbot.waitUntil(lambda: "tokens/s" in dialog.estimate.text(), timeout=LONG)
    assert dialog.estimate.text().startswith("11 examples to learn from, 1 held out · 6 steps · ")
    assert dialog.start.isEnabled()
    assert isinstance(loaded[-1], Loaded)
    assert "“sums.jsonl” has 12 rows, of which 1 is held out" in dialog.advice.text()
    assert session.project.datasets() == []  # nothing is kept before it starts
    first = split_prompts(dialog.prompts.toPlainText())[0]
    dialog.prompts.setPlainText("What is 3 + 1?")
    options = dialog.options()
    dialog.accept()
    said: list[str] = []
    session.offer_made.connect(lambda text, label, action: said.append(text))
    panel.tuning.start(options)
    qtbot.waitUntil(lambda: bool(said), timeout=LONG)
    made = session.project.adapters()[-1]
    (dataset,) = session.project.datasets()
    (kept,) = [row for row in session.project.dataset_rows(dataset.id) if row.held_out]
    assert first == kept.messages[-1][1]
    assert said == [f"Tuning is finished: “{made.name}” is among the adapters."]
    assert made.base_path == str(tiny)
    assert read_header(session.project.adapter_file(made.id)).metadata["general.type"] == "adapter"
    panel.show_adapter(made.id)
    page = choose(panel, qtbot, "adapter", made.id)
    assert panel.tabs.currentWidget() is panel.both
    panel.tabs.setCurrentWidget(page)
    assert page.state.text().startswith("Step 6 of 6 · ")
    assert [row[0] for row in page.losses.table()[1:]] == [str(step) for step in range(7)]
    assert panel.samples.steps.count() == 2


def test_a_model_with_the_adapter_in_it_is_made_and_compared(
    session: Session, panel: TuningPanel, jobs: Jobs, qtbot: QtBot, tmp_path: Path, tiny: Path
) -> None:
    (adapter,) = session.project.adapters()
    made: list[Path] = []
    panel.files.model_made.connect(made.append)
    dialog = MergeDialog(session, panel.files.merger, adapter, panel)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.kind.currentData() == ""
    assert Path(dialog.path.text()) == models_folder() / "tiny-random-calm -b.gguf"
    dialog.kind.setCurrentIndex(dialog.kind.findData("F16"))
    assert Path(dialog.path.text()).name == "tiny-random-calm -b-F16.gguf"
    out = tmp_path / "tiny-calm.gguf"
    dialog.path.setText(str(out))
    dialog.start.click()
    assert dialog.stop.isVisible()
    assert not dialog.path.isEnabled()
    qtbot.waitUntil(lambda: not panel.files.merger.active, timeout=LONG)
    assert made == [out]
    assert read_model(out).quantisation == "F16"
    assert read_model(out).name == "tiny-random + calm <b>"
    assert dialog.state.text().startswith("tiny-calm.gguf is written: F16, ")
    assert "has the same likeliest token in " in dialog.state.text()
    dialog.path.setText(str(out))
    dialog.start.click()
    refused = f"{out} exists already. Choose another name."
    qtbot.waitUntil(lambda: dialog.state.text() == refused, timeout=LONG)
    dialog.reject()
    another = MergeDialog(session, panel.files.merger, adapter, panel)
    qtbot.addWidget(another)
    assert another.state.text() == ""
