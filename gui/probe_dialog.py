"""Asks what is to be probed: suites, models, an adapter, how many items; and says what such a probe could see."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLocale, QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core import paths
from core.errors import UserError
from core.models.files import ModelFile, read_model
from core.models.shelf import Shelved
from core.project.records import ExampleFilter
from core.project.tuning import AdapterRow
from core.sycophancy import suites
from core.sycophancy.probe import ProbeOptions
from core.sycophancy.suites import About
from gui import style
from gui.adapters import MOST_SCALE, SCALE_STEP, adapters, file_of
from gui.labels import plain, quiet, strong
from gui.model_finder import ModelFinder
from gui.probe_words import language_name, method_name, suite_title
from gui.session import Session
from gui.words import size_words, starter_words

MOST_ITEMS, MOST_SEEDS = 10_000, (1 << 31) - 1
MANY = 2_000  # items for which is reckoned what can be seen: with more it takes long, and says little
CHOOSE = "?"  # in the place of an adapter's path: another one
WANTED = 0.9  # share of probes that are to see a change

_MODEL = Qt.ItemDataRole.UserRole


class ProbeDialog(QDialog):
    """After `exec`, `options` says what to run: each suite with each model, one after the other."""

    def __init__(self, session: Session, parent: QWidget | None = None, adapter: AdapterRow | None = None) -> None:
        """With an adapter of the project, that one and the model that it was made for are chosen."""
        super().__init__(parent)
        self._session = session
        self._about = suites.available(session.project)
        usual = Path(str(session.settings.value("model", "") or paths.starter_model()))
        self._wanted: set[Path] = {Path(adapter.base_path) if adapter else usual}
        self._own = adapters(session)
        self._files: dict[int, Path] = {}  # of the project's adapters that were chosen
        self.setWindowTitle(self.tr("Probe for sycophancy"))
        self._build()
        self._restore()
        self._connect()
        if adapter is not None:
            self.both.setChecked(True)
            self._choose_own(adapter.id)
        self._reckon()
        self.resize(840, 600)
        self.suites[self._about[0].name].setFocus()
        self._finder = ModelFinder(session.chosen_models())
        self._finder.found.connect(self._take_found)
        self._finder.start()

    def options(self) -> list[ProbeOptions]:
        """The runs, in their order."""
        chosen = self.adapter.currentData() if self.adapter.isEnabled() else ""
        adapter = self._files[chosen] if isinstance(chosen, int) else Path(chosen) if chosen else None
        name = next((own.name for own in self._own if own.id == chosen), "")
        adapters = [None, adapter] if adapter and self.both.isChecked() else [adapter]
        return [
            ProbeOptions(
                model=model.path,
                suite=about.name,
                items=self.items.value(),
                seed=self.seed.value(),
                language=self.language.currentData(),
                method=self.method.currentData(),
                published=self.published.isChecked() and about.protocol == "branches",
                adapter=one,
                adapter_name=name if one else "",
                scale=round(self.scale.value(), 2),
            )
            for model in self.chosen_models()
            for one in adapters
            for about in self.chosen_suites()
        ]

    def chosen_suites(self) -> list[About]:
        """The suites that are checked."""
        return [about for about in self._about if self.suites[about.name].isChecked()]

    def chosen_models(self) -> list[ModelFile]:
        """The models that are checked."""
        return [item.data(_MODEL) for item in self._items() if item.checkState() == Qt.CheckState.Checked]

    # Building

    def _build(self) -> None:
        body = QHBoxLayout()
        style.spaced(body, 0, style.WIDE)
        body.addLayout(self._what(), 1)
        body.addLayout(self._whom(), 1)
        self.power, self.sum = quiet(), plain()
        self.power.setAccessibleName(self.tr("What such a probe can see"))
        self.sum.setAccessibleName(self.tr("What that comes to"))
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self._buttons.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
        self.start = self._buttons.addButton(self.tr("&Probe"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.start.setDefault(True)
        self._file.setAutoDefault(False)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addLayout(body, 1)
        words = QVBoxLayout()
        style.spaced(words, 0, style.HALF)
        words.addWidget(self.sum)
        words.addWidget(self.power)
        column.addLayout(words)
        column.addWidget(self._buttons)

    def _what(self) -> QVBoxLayout:
        self.suites: dict[str, QCheckBox] = {}
        page = QWidget()
        listed = QVBoxLayout(page)
        style.spaced(listed, style.SPACE, style.HALF)
        why = self._why_no_documents()
        for about in self._about:
            self.suites[about.name] = check = QCheckBox(suite_title(about.name).replace("&", "&&"))
            words = about.description
            if about.questions is not None:
                words += " " + self.tr("{} questions.").format(QLocale().toString(about.questions))
            if about.name == "documents" and why:
                check.setEnabled(False)
                words = why
            check.setAccessibleDescription(words)
            line = quiet(words)
            line.setContentsMargins(style.WIDE, 0, 0, style.SPACE)
            listed.addWidget(check)
            listed.addWidget(line)
        listed.addStretch(1)
        area = QScrollArea()
        area.setAccessibleName(self.tr("Suites"))
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QFrame.Shape.StyledPanel)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(page)
        column = QVBoxLayout()
        style.spaced(column, 0)
        column.addWidget(strong(self.tr("What to ask")))
        column.addWidget(area, 1)
        return column

    def _why_no_documents(self) -> str:
        """Why nothing can be made of the project's own documents; empty when it can."""
        with self._session.reporting():
            if not self._session.project.count(ExampleFilter(state="accepted")):
                return self.tr("It is made of accepted questions with their evidence. Accept some first.")
        return ""

    def _whom(self) -> QVBoxLayout:
        self.models = QListWidget()
        self.models.setAccessibleName(self.tr("Models to probe"))
        self.models.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.models.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.models.setMinimumHeight(110)
        self._file = QPushButton(self.tr("&File…"))
        self._file.setToolTip(self.tr("Choose a model in GGUF from this computer"))
        self._note, self._starter = quiet(), quiet()
        head = QHBoxLayout()
        style.spaced(head, 0)
        head.addWidget(strong(self.tr("Whom to ask")), 1)
        head.addWidget(self._file)
        column = QVBoxLayout()
        style.spaced(column, 0)
        column.addLayout(head)
        column.addWidget(self.models, 1)
        column.addWidget(self._note)
        column.addWidget(self._starter)
        column.addLayout(self._adapter_row())
        column.addWidget(self.both)
        column.addSpacing(style.SPACE)
        column.addWidget(strong(self.tr("How")))
        column.addLayout(self._how())
        return column

    def _adapter_row(self) -> QHBoxLayout:
        self.adapter, self.scale = QComboBox(), QDoubleSpinBox()
        self.adapter.setAccessibleName(self.tr("Adapter"))
        self.adapter.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.adapter.setMinimumContentsLength(12)
        self.scale.setRange(0, MOST_SCALE)
        self.scale.setSingleStep(SCALE_STEP)
        self.scale.setValue(1)
        self.scale.setAccessibleName(self.tr("How strongly the adapter is added"))
        self.scale.setToolTip(self.tr("How strongly the adapter is added"))
        self.both = QCheckBox(self.tr("Ask &without it too, to compare"))
        self._fill_adapters(None)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(self.adapter, 1)
        row.addWidget(self.scale)
        return row

    def _how(self) -> QFormLayout:
        self.items, self.seed = QSpinBox(), QSpinBox()
        self.items.setRange(1, MOST_ITEMS)
        self.items.setSingleStep(50)
        self.items.setGroupSeparatorShown(True)
        self.seed.setRange(0, MOST_SEEDS)
        self.seed.setToolTip(self.tr("The same seed asks any model the very same items."))
        self.language, self.method = QComboBox(), QComboBox()
        for code in ("en", "tr"):
            self.language.addItem(language_name(code), code)
        for name in ("score", "grammar", "free"):
            text = method_name(name)
            self.method.addItem(text[:1].upper() + text[1:], name)
        self.method.setToolTip(self.tr("By probability is exact and fastest, and shows how sure the model is."))
        self.published = QCheckBox(self.tr("Four branches as &published"))
        self.published.setToolTip(
            self.tr("As SycoBench-600: greedy, at most 4 tokens, always the first wrong letter suggested.")
        )
        form = QFormLayout()
        form.setHorizontalSpacing(style.DOUBLE)
        form.setVerticalSpacing(style.SPACE)
        for text, widget in (
            (self.tr("&Items of each suite"), self.items),
            (self.tr("&Seed"), self.seed),
            (self.tr("&Language"), self.language),
            (self.tr("Options are &chosen"), self.method),
        ):
            form.addRow(text, widget)
            widget.setAccessibleName(text.replace("&", ""))
        form.addRow(self.published)
        return form

    def _connect(self) -> None:
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._file.clicked.connect(self._choose_model)
        self.adapter.activated.connect(self._take_adapter)
        self.models.itemChanged.connect(self._reckon)
        self.items.valueChanged.connect(self._reckon)
        for combo in (self.language, self.method):
            combo.currentIndexChanged.connect(self._reckon)
        for box in (*self.suites.values(), self.both):
            box.toggled.connect(self._reckon)

    # Models and adapters

    def add_file(self, path: Path) -> None:
        """Takes a model that the user chose and checks it, or says why it cannot be used."""
        try:
            model = read_model(path)
        except UserError as error:
            self._say(str(error))
            return
        self._wanted.add(model.path)
        self._add_model(model)

    def _choose_model(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Choose a model"), "", self.tr("Models (*.gguf)"))
        if name:
            self.add_file(Path(name))

    def _take_found(self, found: Shelved) -> None:
        if found.model is not None:
            self._add_model(found.model)

    def _add_model(self, model: ModelFile) -> None:
        if any(item.data(_MODEL).path == model.path for item in self._items()):
            return
        item = QListWidgetItem(" ".join(f"{model.name} · {model.quantisation} · {size_words(model.size)}".split()))
        item.setData(_MODEL, model)
        why = self._why_not(model)
        item.setToolTip(why or str(model.path))
        with QSignalBlocker(self.models):
            if why:
                item.setText(f"{item.text()} · {why}")
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            else:
                wanted = model.path in self._wanted
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked)
            self.models.addItem(item)
        self._reckon()

    def _why_not(self, model: ModelFile) -> str:
        if model.is_embedding:
            return self.tr("makes vectors and no text")
        if model.chat_template is None:
            return self.tr("not made for conversations")
        return ""

    def _items(self) -> Iterator[QListWidgetItem]:
        return (self.models.item(row) for row in range(self.models.count()))

    def _fill_adapters(self, chosen: Path | None) -> None:
        self.adapter.clear()
        self.adapter.addItem(self.tr("Without adapter"), "")
        for own in self._own:
            self.adapter.addItem(self.tr("{} (for {})").format(own.name, own.base_name), own.id)
        for path in self._session.known_adapters():
            self.adapter.addItem(path.stem, str(path))
            self.adapter.setItemData(self.adapter.count() - 1, str(path), Qt.ItemDataRole.ToolTipRole)
        self.adapter.addItem(self.tr("Choose an adapter…"), CHOOSE)
        self.adapter.setCurrentIndex(max(0, self.adapter.findData(str(chosen))))

    def _take_adapter(self) -> None:
        if self.adapter.currentData() == CHOOSE:
            title, kinds = self.tr("Choose an adapter"), self.tr("LoRA adapters in GGUF (*.gguf);;All files (*)")
            name, _ = QFileDialog.getOpenFileName(self, title, str(Path.home()), kinds)
            if name:
                self._session.remember_adapter(Path(name))
            self._fill_adapters(Path(name) if name else None)
        elif isinstance(self.adapter.currentData(), int):
            self._choose_own(self.adapter.currentData())
        self._reckon()

    def _choose_own(self, id: int) -> None:
        """Takes an adapter of the project, as strongly as is kept there; none where its file cannot be had."""
        own = next((one for one in self._own if one.id == id), None)
        file = file_of(self._session, own) if own is not None else None
        if own is None or file is None:
            self.adapter.setCurrentIndex(0)
            return
        self._files[id] = file
        self.adapter.setCurrentIndex(self.adapter.findData(id))
        self.scale.setValue(own.scale)

    def _say(self, sentence: str) -> None:
        self._note.setText(sentence)
        self._note.show()

    # What it comes to

    def _reckon(self) -> None:
        models, chosen = self.chosen_models(), self.chosen_suites()
        self.adapter.setEnabled(len(models) < 2)
        self.adapter.setToolTip(
            self.tr("An adapter is made for one model: check that one alone.") if len(models) > 1 else ""
        )
        added = self.adapter.isEnabled() and bool(self.adapter.currentData())
        self.scale.setVisible(added)
        self.both.setVisible(added)
        self.published.setVisible(any(about.protocol == "branches" for about in chosen))
        self._note.setVisible(bool(self._note.text()))
        self._starter.setVisible(any(model.path == paths.starter_model() for model in models))
        self._starter.setText(starter_words() if self._fits_starter() else self._starter_limits())
        self.power.setText(self._power())
        self.sum.setText(self._words(len(self.options())))
        self.start.setEnabled(bool(models) and bool(chosen))

    def _fits_starter(self) -> bool:
        """Whether nothing is to be asked but what the starter model was made for."""
        suites = {about.name for about in self.chosen_suites()}
        return suites <= {"addition"} and (self.language.currentData(), self.method.currentData()) == ("en", "score")

    def _starter_limits(self) -> str:
        return self.tr(
            "The starter model knows only additions, in English and by probability: for anything else choose a model "
            "of your own."
        )

    def _words(self, runs: int) -> str:
        if not self.chosen_suites():
            return self.tr("Choose at least one suite.")
        if not runs:
            return self.tr("Choose at least one model.")
        items = QLocale().toString(self.items.value())
        if runs == 1:
            return self.tr("One run of up to {} items.").format(items)
        return self.tr("{} runs of up to {} items, one after the other.").format(runs, items)

    def _power(self) -> str:
        from core.sycophancy.metrics import EXPLORATORY  # with numpy: the window starts without it

        items = self.items.value()
        change, number = seen(min(items, MANY)), QLocale().toString(min(items, MANY))
        if change is None:
            words = self.tr("With {} items no change could be told from chance.").format(number)
        else:
            number = self.tr("{} or more").format(number) if items > MANY else number
            words = self.tr("With {} items you can see a change of {} points {} % of the time.").format(
                number, QLocale().toString(round(100 * change)), round(100 * WANTED)
            )
        if items < EXPLORATORY:
            words += " " + self.tr("Fewer than {} items are exploratory.").format(EXPLORATORY)
        return words

    # Its end

    def _restore(self) -> None:
        settings = self._session.settings
        kept: Any = settings.value("probe/suites", ["addition"], list)
        for name, box in self.suites.items():
            box.setChecked(box.isEnabled() and name in kept)
        for field, name, usual in ((self.items, "items", 200), (self.seed, "seed", 0)):
            value = str(settings.value(f"probe/{name}", usual))
            field.setValue(int(value) if value.isdecimal() and len(value) < 10 else usual)
        for combo, name in ((self.language, "language"), (self.method, "method")):
            combo.setCurrentIndex(max(0, combo.findData(settings.value(f"probe/{name}", ""))))

    def accept(self) -> None:
        settings = self._session.settings
        settings.setValue("probe/suites", [about.name for about in self.chosen_suites()])
        settings.setValue("probe/items", self.items.value())
        settings.setValue("probe/seed", self.seed.value())
        settings.setValue("probe/language", self.language.currentData())
        settings.setValue("probe/method", self.method.currentData())
        super().accept()

    def done(self, result: int) -> None:
        self._finder.stop()
        super().done(result)


@lru_cache(maxsize=1024)
def seen(items: int) -> float | None:
    """The least change of a share that a probe of so many items sees nine times out of ten."""
    from core.statistics import detectable

    return detectable(items, WANTED)
