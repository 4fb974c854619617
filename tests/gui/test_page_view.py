"""The page view: pages by number and label, zoom, marks, pages without their file, and the pictures themselves."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pypdf
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QToolTip
from pytestqt.qtbot import QtBot

from core.documents import picture
from core.documents.picture import DAMAGED, LOCKED, MISSING, WRONG, Picture, render_page
from core.documents.records import Document, Page, Rectangle, Word
from core.errors import UserError
from core.project.records import DocumentRow
from core.worker import Worker
from gui.page_view import Mark, PageView
from gui.pictures import Pictures, Wanted
from gui.session import Session

SAMPLE_SIZE = (482, 681)
SAMPLE = Path(__file__).resolve().parents[2] / "resources/samples/veyra.pdf"
LABELS = ("i", "ii", "1", "2", "3")
LONG = 60_000  # milliseconds: the machine may be busy
YELLOW = QColor("#ffe45c").rgb()


@pytest.fixture
def session(session: Session, tmp_path: Path) -> Session:
    session.create(tmp_path / "test.elenchus")
    return session


@pytest.fixture
def view(session: Session, qtbot: QtBot) -> Iterator[PageView]:
    with closing(Pictures(session.passwords)) as pictures:
        view = PageView(session, pictures)
        qtbot.addWidget(view)
        view.resize(600, 500)
        view.show()
        yield view


@pytest.fixture
def document(session: Session) -> DocumentRow:
    """Five labelled pages whose file is gone."""
    return add(session, "/nowhere/gone.pdf")


def add(session: Session, path: str, width: float = 595, height: float = 842) -> DocumentRow:
    """A document of five pages with a word near the middle of each."""
    word = Word(0, 5, Rectangle(100, 300, 300, 330))
    made = tuple(Page(number, label, width, height, "Words here", (word,)) for number, label in enumerate(LABELS, 1))
    return session.project.add_document(Document(path, path, "A title", {}, (), made), (), 1200, 200)


def grabbed(view: PageView) -> QImage:
    return view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)


def count(image: QImage, fits: Callable[[int], bool]) -> int:
    return sum(fits(image.pixel(x, y)) for x in range(image.width()) for y in range(image.height()))


def texts(view: PageView) -> list[str]:
    return [label.text() for label in view.findChildren(QLabel) if label.isVisible()]


def test_pages_are_turned_and_gone_to_by_label_or_number(view: PageView, document: DocumentRow, qtbot: QtBot) -> None:
    field = view.findChildren(QLineEdit)[0]
    view.show_page(document.id, 1)
    assert (view.number, field.text()) == (1, "i")
    assert "(1 of 5)" in texts(view)
    with qtbot.waitSignal(view.page_changed) as turned:
        view.turn(1)
    assert turned.args == [2]
    field.setText("2")
    qtbot.keyClick(field, Qt.Key.Key_Return)  # the label 2 is on the fourth page
    qtbot.waitUntil(lambda: view.number == 4)
    field.setText("I")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: view.number == 1)
    view.go_to("5")  # no page has this label
    qtbot.waitUntil(lambda: view.number == 5)
    field.setText("nonsense")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: field.text() == "3")
    assert view.number == 5
    view.turn(1)
    assert view.number == 5


def test_page_keys_turn_pages(view: PageView, document: DocumentRow, qtbot: QtBot) -> None:
    view.show_page(document.id, 1)
    qtbot.keyClick(view._canvas, Qt.Key.Key_PageDown)
    assert view.number == 2
    qtbot.keyClick(view._canvas, Qt.Key.Key_PageUp)
    assert view.number == 1


def test_zoom(view: PageView, document: DocumentRow) -> None:
    view.show_page(document.id, 1)
    fit = view.scale
    assert 500 < fit * 595 < 600
    view.zoom_in()
    view.zoom_in()
    larger = view.scale
    assert larger > 1.3 * fit
    view.resize(700, 500)
    assert view.scale == larger  # a zoom that was chosen stays
    wheel(view, -120)
    assert view.scale < larger
    view.fit_width()
    assert 600 < view.scale * 595 < 700
    for _ in range(40):
        view.zoom_in()
    assert view.scale <= 6


def wheel(view: PageView, turn: int) -> None:
    place = QPointF(50, 50)
    modifiers, phase = Qt.KeyboardModifier.ControlModifier, Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(place, place, QPoint(), QPoint(0, turn), Qt.MouseButton.NoButton, modifiers, phase, False)
    QApplication.sendEvent(view._canvas.viewport(), event)


def test_a_missing_file_is_shown_from_its_words(
    view: PageView, document: DocumentRow, qtbot: QtBot, session: Session, tmp_path: Path
) -> None:
    view.show_page(document.id, 1)
    qtbot.waitUntil(lambda: MISSING in texts(view), timeout=LONG)
    assert count(grabbed(view), is_dark) > 100  # the word
    assert "Try again" in [button.text() for button in view.findChildren(QPushButton) if button.isVisible()]


def is_dark(pixel: int) -> bool:
    return QColor(pixel).lightness() < 90


def test_a_locked_file_asks_for_its_password(view: PageView, session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    document = add(session, str(locked(tmp_path)))
    view.show_page(document.id, 1)
    qtbot.waitUntil(lambda: LOCKED in texts(view), timeout=LONG)
    assert count(grabbed(view), is_dark) > 100
    with qtbot.waitSignal(view.password_wanted) as wanted:
        view._remedy.click()
    assert wanted.args == [document.path]
    session.passwords[document.path] = "secret"
    view.retry()
    qtbot.waitUntil(lambda: view._canvas._picture is not None, timeout=LONG)
    assert LOCKED not in texts(view)


def locked(folder: Path) -> Path:
    writer = pypdf.PdfWriter(clone_from=SAMPLE)
    writer.encrypt("secret", algorithm="AES-256")
    writer.write(folder / "locked.pdf")
    return folder / "locked.pdf"


def test_the_picture_is_drawn_pixel_on_pixel(view: PageView, session: Session, qtbot: QtBot) -> None:
    document = add(session, str(SAMPLE), *SAMPLE_SIZE)
    view.show_page(document.id, 1)
    qtbot.waitUntil(lambda: is_exact(view), timeout=LONG)
    view.zoom_in()
    assert view._canvas._picture is not None  # the one of before, scaled
    qtbot.waitUntil(lambda: is_exact(view), timeout=LONG)


def is_exact(view: PageView) -> bool:
    made = view._canvas._picture
    return made is not None and abs(made.width() - view.scale * SAMPLE_SIZE[0] * view.devicePixelRatioF()) < 2


def test_marks_are_drawn_and_evidence_is_scrolled_to(view: PageView, document: DocumentRow, qtbot: QtBot) -> None:
    view.show_page(document.id, 1)
    assert count(grabbed(view), lambda pixel: pixel == YELLOW) == 0
    evidence = Mark((Rectangle(100, 700, 400, 715), Rectangle(100, 716, 200, 731)), "evidence")
    view.set_marks([Mark((Rectangle(90, 690, 500, 740),), "passage"), evidence], reveal=False)
    assert count(grabbed(view), lambda pixel: pixel == YELLOW) == 0  # below what is seen
    view.set_marks([evidence])
    assert count(grabbed(view), lambda pixel: pixel == YELLOW) > 1000
    view.set_marks([])
    assert count(grabbed(view), lambda pixel: pixel == YELLOW) == 0


@pytest.mark.parametrize("meaning", ["passage", "passage_other", "outline", "furniture"])
def test_every_meaning_shows(view: PageView, document: DocumentRow, meaning: str) -> None:
    view.show_page(document.id, 1)
    before = grabbed(view)
    view.set_marks([Mark((Rectangle(50, 50, 500, 65), Rectangle(50, 68, 300, 80)), meaning)])
    assert grabbed(view) != before


def test_marks_are_asked_for_with_each_page(session: Session, document: DocumentRow, qtbot: QtBot) -> None:
    asked: list[int] = []

    def marks(document_id: int, page: Page) -> list[Mark]:
        assert document_id == document.id
        asked.append(page.number)
        return []

    with closing(Pictures(session.passwords)) as pictures:
        view = PageView(session, pictures, marks)
        qtbot.addWidget(view)
        view.show_page(document.id, 2)
        view.turn(1)
        view.refresh_marks()
    assert asked == [2, 3, 3]


def test_labels_of_marks_are_no_markup(view: PageView, document: DocumentRow, qtbot: QtBot) -> None:
    view.show_page(document.id, 1)
    view.set_marks([Mark((Rectangle(0, 0, 595, 400),), "passage", "<b>x</b> & <img src='file:///etc/passwd'>")])
    shown: list[str] = []
    from PySide6.QtGui import QHelpEvent

    place = QPoint(200, 100)
    event = QHelpEvent(QHelpEvent.Type.ToolTip, place, view._canvas.viewport().mapToGlobal(place))
    QApplication.sendEvent(view._canvas.viewport(), event)
    shown.append(QToolTip.text())
    assert shown == ["<span>&lt;b&gt;x&lt;/b&gt; &amp; &lt;img src=&#x27;file:///etc/passwd&#x27;&gt;</span>"]
    QToolTip.hideText()


def test_an_empty_view_says_why(view: PageView, document: DocumentRow) -> None:
    view.show_page(document.id, 1)
    view.clear("Choose <b>a</b> question.")
    assert "Choose <b>a</b> question." in texts(view)
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in view.findChildren(QLabel))
    assert view.number == 0
    view.show_page(document.id, 99)
    assert view.number == 0
    assert any("There is no page 99" in text for text in texts(view))


# The pictures


def drawn(path: Path, password: str | None = None, scale: float = 1.0) -> Picture:
    (made,) = render_page(str(path), password, 1, scale)
    return made


def test_pictures_of_locked_missing_and_damaged_files(tmp_path: Path) -> None:
    path = locked(tmp_path)
    for password, sentence in ((None, LOCKED), ("guess", WRONG)):
        with pytest.raises(UserError, match=sentence):
            drawn(path, password)
    assert drawn(path, "secret") == drawn(SAMPLE)
    with pytest.raises(UserError, match=MISSING):
        drawn(tmp_path / "none.pdf")
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    with pytest.raises(UserError, match=DAMAGED):
        drawn(tmp_path / "bad.pdf")


def test_pictures_of_a_file_that_has_to_be_repaired(tmp_path: Path) -> None:
    content = SAMPLE.read_bytes()
    (tmp_path / "cut.pdf").write_bytes(content[: content.rindex(b"xref")])
    assert drawn(tmp_path / "cut.pdf").width == drawn(SAMPLE).width


def test_pictures_are_turned_as_the_page_is(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=SAMPLE)
    writer.pages[0].rotate(90)
    writer.write(tmp_path / "turned.pdf")
    upright, turned = drawn(SAMPLE), drawn(tmp_path / "turned.pdf")
    assert (turned.width, turned.height) == (upright.height, upright.width)
    assert turned.stride >= 4 * turned.width
    assert len(turned.pixels) == turned.stride * turned.height


def test_pictures_of_huge_pages_are_made_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 10_000)
    made = drawn(SAMPLE, scale=4.0)
    assert made.width * made.height < 11_000


def test_a_picture_that_was_begun_before_its_file_changed_is_not_kept() -> None:
    wanted = Wanted(str(SAMPLE), 1, 1.0)
    with closing(Pictures({})) as pictures, Worker() as worker:
        pictures.forget(wanted.path)
        pictures._render(worker, wanted, age=0)  # from before
        assert pictures.nearest(wanted) is None
        pictures._render(worker, wanted, age=1)
        assert pictures.nearest(wanted) is not None
