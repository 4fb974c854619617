"""The chat: what streams, what is said under it, stop and undo, two columns, and what is said when nothing comes."""

import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from core import paths
from core.engine.requests import Loaded
from core.models.files import ModelFile, read_model
from core.models.shelf import models_folder
from gui.chat_page import ChatPage
from gui.chat_transcript import Transcript, Turn
from gui.jobs import Job, Jobs
from gui.panels.models import ModelsPanel
from gui.session import Session
from tests.data.gguf_tiny import write_adapter, write_tiny


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny(folder: Path) -> ModelFile:
    return read_model(write_tiny(folder / "tiny.gguf", context=8192))


@pytest.fixture
def page(qtbot: QtBot, session: Session, jobs: Jobs, tiny: ModelFile) -> ChatPage:
    page = ChatPage(session, jobs)
    qtbot.addWidget(page)
    page.resize(800, 600)
    page.show_models([tiny])
    page.show_model(tiny)
    page.show()
    return page


def set_numbers(page: ChatPage, **numbers: float) -> None:
    for name, value in numbers.items():
        page.options._numbers[name].setValue(value)  # pyright: ignore[reportArgumentType]


def ask(qtbot: QtBot, page: ChatPage, question: str = "Hello") -> Turn:
    page.input.setPlainText(question)
    page.send()
    wait(qtbot, page)
    return page.first.conversation[-1]


def wait(qtbot: QtBot, page: ChatPage) -> None:
    qtbot.waitUntil(lambda: not page.active, timeout=30_000)


def shown(page: ChatPage) -> str:
    return page.first.transcript.toPlainText()


def test_enter_sends_and_the_answer_streams(qtbot: QtBot, page: ChatPage, session: Session) -> None:
    set_numbers(page, temperature=0, max_tokens=1500)
    loaded: list[object] = []
    lengths: set[int] = set()
    page.model_loaded.connect(loaded.append)
    page.first.transcript.textChanged.connect(lambda: lengths.add(len(shown(page))))
    qtbot.keyClicks(page.input, "Hello")
    qtbot.keyClick(page.input, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert (page.input.toPlainText(), page.active) == ("Hello\n", False)
    qtbot.keyClick(page.input, Qt.Key.Key_Return)
    assert page.active
    assert page.input.toPlainText() == ""
    assert page.stopping.isVisible()
    assert not page.sending.isVisible()
    wait(qtbot, page)
    (turn,) = page.first.conversation
    assert turn.question == "Hello"
    assert len(lengths) > 3  # the question, the figures, and the answer in more than one piece
    assert "You\nHello\n\ntiny-random\n" in shown(page)
    assert turn.answer.strip().splitlines()[0] in shown(page)
    for words in ("tokens/s", "1500 tokens", "first after", "reached 1500 tokens"):
        assert words in turn.figures
    assert "seed" not in turn.figures  # the likeliest word is no matter of chance
    (engine,) = loaded
    assert isinstance(engine, Loaded)
    assert engine.sequences == 16  # as a run has it: the model in memory serves both


def test_escape_stops_and_keeps_what_came(qtbot: QtBot, page: ChatPage) -> None:
    set_numbers(page, temperature=0, max_tokens=8000)
    page.input.setPlainText("Hello")
    page.send()
    qtbot.waitUntil(lambda: len(page.first.conversation[-1].answer) > 20, timeout=30_000)
    page.activateWindow()
    page.input.setFocus()
    qtbot.keyClick(page.input, Qt.Key.Key_Escape)
    wait(qtbot, page)
    turn = page.first.conversation[-1]
    assert "stopped" in turn.figures
    assert len(turn.answer) > 20
    set_numbers(page, max_tokens=5)
    assert "reached 5 tokens" in ask(qtbot, page, "And then?").figures
    assert [one.question for one in page.first.conversation] == ["Hello", "And then?"]


def test_regenerate_clear_and_undo(qtbot: QtBot, page: ChatPage, session: Session) -> None:
    set_numbers(page, max_tokens=20, seed=7, temperature=1)
    offers: list[tuple] = []
    session.offer_made.connect(lambda *offer: offers.append(offer))
    first = ask(qtbot, page)
    assert "seed 7" in first.figures
    page.again.click()
    wait(qtbot, page)
    kept, second = page.first.conversation
    assert kept == replace(first, figures=f"{first.figures} · asked again below", dropped=True)
    assert (second.question, second.dropped) == ("Hello", False)
    assert second.answer != first.answer
    assert "seed 7" not in second.figures
    page.clearing.click()
    assert page.first.conversation == []
    assert shown(page) == ""
    assert not page.again.isEnabled()
    assert not page.clearing.isEnabled()
    assert ask(qtbot, page).answer == first.answer  # the same seed, and nothing before it
    (sentence, label, undo) = offers[0]
    assert (sentence, label) == ("The conversation is cleared.", "Undo")
    undo()
    assert [turn.answer for turn in page.first.conversation] == [first.answer, second.answer, first.answer]
    assert shown(page).count("You\nHello") == 3
    page.first.copy_last()
    assert QApplication.clipboard().text() == first.answer.strip()


def test_an_adapter_is_compared_with_none_in_one_memory(
    qtbot: QtBot, page: ChatPage, jobs: Jobs, session: Session, folder: Path
) -> None:
    set_numbers(page, temperature=0, max_tokens=20)
    lora = write_adapter(folder / "lora <i>.gguf")
    alone = ask(qtbot, page)
    page.clear()
    page.compare.setChecked(True)
    page.second.use_adapter(lora)
    page.second.scale.setValue(16)
    order: list[str] = []
    for name, column in (("first", page.first), ("second", page.second)):
        column.transcript.textChanged.connect(lambda name=name: page.active and order.append(name))
    turn = ask(qtbot, page)
    (other,) = page.second.conversation
    assert turn.answer == alone.answer != other.answer
    assert turn.who == "tiny-random · without adapter"
    assert other.who == "tiny-random · with lora <i> at 0.8"
    assert "with lora <i> at 0.8" in page.second.transcript.toPlainText()
    assert page.second.adapters.text().startswith("With lora <i> at 0.8")
    assert order == sorted(order)  # the first one's answer was whole before the second one's began
    assert set(order) == {"first", "second"}
    assert list(jobs._lanes) == ["model"]
    assert session.known_adapters() == [lora]
    page.regenerate()  # the answers before are not part of the question
    wait(qtbot, page)
    assert page.first.conversation[-1].answer == turn.answer
    assert page.second.conversation[-1].answer == other.answer
    page.second.use_adapter(None)
    assert ask(qtbot, page, "And then?").figures
    assert page.second.conversation[-1].who == "tiny-random · without adapter"


def test_a_second_model_has_a_child_of_its_own_until_nobody_compares(
    qtbot: QtBot, page: ChatPage, jobs: Jobs, tiny: ModelFile, folder: Path
) -> None:
    other = replace(read_model(write_tiny(folder / "other.gguf", seed=2)), name="The other")
    set_numbers(page, temperature=0, max_tokens=20)
    page.show_models([tiny, other])
    page.compare.setChecked(True)
    page.second.models.setCurrentIndex(2)
    turn = ask(qtbot, page)
    assert page.second.conversation[-1].who == "The other · without adapter"
    assert page.second.conversation[-1].answer != turn.answer
    children = len(psutil.Process().children())
    page.compare.setChecked(False)
    qtbot.waitUntil(lambda: not jobs.active)
    assert len(psutil.Process().children()) == children - 1
    assert not page.second.isVisible()
    assert ask(qtbot, page, "And then?").figures
    assert len(page.second.conversation) == 1
    page.show_model(other)  # each model has its own conversation
    assert shown(page) == ""
    page.show_model(tiny)
    assert "And then?" in shown(page)


def test_both_are_asked_as_they_were_chosen_whatever_is_selected_meanwhile(
    qtbot: QtBot, page: ChatPage, folder: Path
) -> None:
    set_numbers(page, temperature=0, max_tokens=20)
    page.compare.setChecked(True)
    first, second = page.first.conversation, page.second.conversation
    page.input.setPlainText("Hello")
    page.send()
    page.show_model(None)
    page.second.use_adapter(write_adapter(folder / "later.gguf"))
    wait(qtbot, page)
    assert first[0].answer == second[0].answer != ""
    assert second[0].who == "tiny-random · without adapter"


def test_it_waits_for_a_run_and_says_so(qtbot: QtBot, page: ChatPage, jobs: Jobs) -> None:
    set_numbers(page, max_tokens=5)
    over = threading.Event()
    jobs.start("model", "Asking", lambda _: print(over.wait(30)))
    page.input.setPlainText("Hello")
    page.send()
    qtbot.waitUntil(lambda: "A run of questions is using the model" in page.state.text())
    page.stop()
    assert page.first.conversation[-1].figures == "stopped"
    page.regenerate()
    over.set()
    wait(qtbot, page)
    turn = page.first.conversation[-1]
    assert "tokens" in turn.figures
    assert page.state.text() == ""


def test_errors_are_sentences_and_the_chat_goes_on(
    qtbot: QtBot, page: ChatPage, jobs: Jobs, tiny: ModelFile, folder: Path
) -> None:
    failed: list[Job] = []
    loaded: list[object] = []
    jobs.job_failed.connect(failed.append)
    page.model_loaded.connect(loaded.append)
    page.show_model(read_model(write_tiny(folder / "nan.gguf", nan=True)))
    assert "no valid numbers" in ask(qtbot, page).problem
    assert "no valid numbers" in shown(page)
    page.show_model(tiny)
    set_numbers(page, temperature=0, max_tokens=8000)
    page.options.system.setPlainText("boat " * 9000)
    problem = ask(qtbot, page).problem
    assert "no longer fits into the model's context of 8,192 tokens" in problem
    page.options.system.clear()
    page.input.setPlainText("Hello")
    page.send()
    qtbot.waitUntil(lambda: bool(page.first.conversation[-1].answer), timeout=30_000)
    assert page._job is not None
    assert page._job.worker is not None
    os.kill(page._job.worker._process.pid, signal.SIGTERM)
    wait(qtbot, page)
    turn = page.first.conversation[-1]
    assert turn.answer
    assert "ended unexpectedly" in turn.problem
    assert loaded[-1] is None
    set_numbers(page, max_tokens=5)
    assert "reached 5 tokens" in ask(qtbot, page, "And then?").figures
    assert failed == []


def test_what_cannot_chat_says_what_to_do(page: ChatPage, tiny: ModelFile) -> None:
    page.show_model(None)
    assert "Select one in the list" in page._empty.text.text()
    assert page._empty.isVisible()
    page.show_model(replace(tiny, is_embedding=True))
    assert "vectors" in page._empty.head.text()
    page.show_model(read_model(paths.starter_model()))
    assert not page._empty.isVisible()
    assert "not made for chat" in page.first.transcript.placeholderText()
    page.show_models([tiny, replace(tiny, is_embedding=True)])
    assert page.second.models.count() == 2  # and the same one


def test_the_panel_talks_with_the_selected_model(
    qtbot: QtBot, session: Session, jobs: Jobs, tiny: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "data_folder", lambda: tmp_path)
    shutil.copy(tiny.path, models_folder() / "tiny.gguf")
    panel = ModelsPanel(session, jobs)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel.list.count() == 2)
    panel.list.setCurrentRow(1)
    panel.activateWindow()
    panel.show_chat()
    qtbot.waitUntil(panel.chat.input.hasFocus)
    set_numbers(panel.chat, max_tokens=5)
    assert ask(qtbot, panel.chat).who == "tiny-random"
    assert "tiny-random" in panel._loaded_text.text()
    assert panel.chat.second.models.count() == 3
    panel.save_state()


def test_what_is_set_is_kept(qtbot: QtBot, page: ChatPage, session: Session, jobs: Jobs) -> None:
    assert not page.options.system.isVisible()
    set_numbers(page, temperature=0.25, top_k=7, top_p=0.5, min_p=0.1, repeat_penalty=1.2, max_tokens=99, seed=3)
    page.options.system.setPlainText("Be <brief>.")
    page.save_state()
    session.settings.sync()
    again = Session(QSettings(session.settings.fileName(), QSettings.Format.IniFormat))
    again.settings.setValue("chat/top_k", "seven")  # of a file that somebody edited
    other = ChatPage(again, jobs)
    qtbot.addWidget(other)
    settings = other.options.settings
    assert settings == replace(page.options.settings, sampling=replace(settings.sampling, top_k=40))
    assert (settings.system, settings.max_tokens, settings.sampling.temperature) == ("Be <brief>.", 99, 0.25)
    assert other.options.seed() == 3
    assert other.options.seed(again=True) != 3
    assert not other.options.system.isHidden()
    other.options.set_defaults()
    assert other.options.settings.max_tokens == 512
    assert other.options.settings.system == "Be <brief>."


def test_every_control_is_reachable_and_named(qtbot: QtBot, page: ChatPage, folder: Path) -> None:
    page.compare.setChecked(True)
    page.second.use_adapter(write_adapter(folder / "lora.gguf"))
    page.options._sampling_fold.setChecked(True)
    page.input.setPlainText("Hello")
    page.activateWindow()
    page.input.setFocus()
    seen: set[str] = set()
    for _ in range(40):
        focus = QApplication.focusWidget()
        assert isinstance(focus, QWidget)
        seen.add(focus.accessibleName() or getattr(focus, "text", str)().replace("&", ""))
        qtbot.keyClick(focus, Qt.Key.Key_Tab)
    assert {"Your question", "Send", "Compare", "Temperature", "Seed", "Model to compare with", "Conversation",
            "Adapter: with lora at 1", "How strongly the adapter is added"} <= seen  # fmt: skip
    assert "" not in seen


@pytest.fixture
def transcript(qtbot: QtBot) -> Transcript:
    transcript = Transcript()
    qtbot.addWidget(transcript)
    transcript.resize(300, 200)
    transcript.show()
    return transcript


def test_a_transcript_follows_only_a_reader_at_its_end(qtbot: QtBot, transcript: Transcript) -> None:
    last = Turn("And then?", "Tiny", "word\n" * 50)
    transcript.show_turns([Turn("Hello", "Tiny", "word\n" * 500, "5 tokens"), last])
    bar = transcript.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    for _ in range(3):
        last = replace(last, answer=last.answer + "more\n" * 9)
        transcript.show_last(last)
        assert bar.value() == bar.maximum()
    last = replace(last, answer=last.answer + "many words " * 900)
    transcript.show_last(last)
    for place in (40, bar.maximum() - 5):
        bar.setValue(place)
        transcript.show_last(last := replace(last, answer=last.answer + "more\n" * 9))
        transcript.show_last(replace(last, answer=last.answer, figures="9 tokens"))
        qtbot.wait(10)
        assert bar.value() == place


def test_pieces_add_up_to_what_is_drawn_at_once(qtbot: QtBot, transcript: Transcript) -> None:
    whole = "<think>Let me\nsee.\n</think>\n\n<b>Yes</b> & 春天\n\n- no *markup*\n"
    transcript.show_turns([Turn("Hello", "Tiny")])
    for end in range(1, len(whole) + 1):
        transcript.show_last(Turn("Hello", "Tiny", whole[:end]))
    streamed = transcript.toPlainText()
    transcript.show_turns([Turn("Hello", "Tiny", whole)])
    assert streamed == transcript.toPlainText()
    assert "<b>Yes</b> & 春天\n\n- no *markup*" in streamed


def test_a_thought_is_folded_away_when_it_is_over(transcript: Transcript) -> None:
    transcript.show_turns([Turn("Hello", "Tiny", "<think>Let me see")])
    assert "Let me see" in transcript.toPlainText()
    transcript.show_last(Turn("Hello", "Tiny", "<think>Let me see.</think>\nYes.", "5 tokens"))
    assert "Let me see" not in transcript.toPlainText()
    assert "Thought of 3 words\nYes." in transcript.toPlainText()
    transcript.show_thoughts(True)
    assert "Thought of 3 words\nLet me see.\nYes." in transcript.toPlainText()
    transcript.show_thoughts(False)
    assert "Let me see" not in transcript.toPlainText()
