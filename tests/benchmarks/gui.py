"""How long the window makes one wait: its start, large projects, filters, scrolling, a run that commits rows, Curate.

python -m tests.benchmarks.gui [EXAMPLES…]    default: 100000 500000. The start is compared with a bare Qt window.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BEAT = 10  # milliseconds between two heartbeats of the event loop
STARTS = 5

BARE = """
import sys, time
from PySide6.QtWidgets import QApplication, QMainWindow, QTableView
application = QApplication(sys.argv[:1])
window = QMainWindow()
window.setCentralWidget(QTableView())
"""
OURS = """
import sys, time
from gui.app import make_application
from gui.jobs import Jobs
from gui.main_window import MainWindow
from gui.session import Session
application = make_application(sys.argv[:1])
window = MainWindow(Session(), Jobs())
"""
SHOWN = """
window.show()
application.processEvents()
print(time.time() - float(sys.argv[1]))
window.close()
"""


def main() -> None:
    """Prints every figure; nothing is asserted, since machines differ."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sizes = [int(argument) for argument in sys.argv[1:]] or [100_000, 500_000]
    with tempfile.TemporaryDirectory() as home:
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            os.environ[name] = home
        start()
        for size in sizes:
            measure(size, Path(home))
        points()


def start() -> None:
    """From the start of the process to the window on the screen."""
    bare, ours = (statistics.median(shown_after(script + SHOWN) for _ in range(STARTS)) for script in (BARE, OURS))
    print(f"window visible after {ours:.2f} s; a bare Qt window after {bare:.2f} s: {ours / bare:.2f} times")


def shown_after(script: str) -> float:
    command = [sys.executable, "-c", script, str(time.time())]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


class Heart:
    """Beats as long as the event loop is free; the longest gap is how long it was not."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.longest, self._last = 0.0, time.perf_counter()
        self._timer = QTimer(interval=BEAT, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now

    def since(self) -> float:
        """Milliseconds of the longest gap since it was last asked."""
        self._beat()
        longest, self.longest = self.longest, 0.0
        return longest * 1000


def measure(size: int, home: Path) -> None:
    """A project of so many examples in the real window."""
    sys.path.insert(0, str(ROOT / "tests" / "core" / "project"))
    from project_material import make_large  # pyright: ignore[reportMissingImports]
    from PySide6.QtWidgets import QApplication

    from gui.app import make_application
    from gui.jobs import Jobs
    from gui.main_window import MainWindow
    from gui.session import Session

    path = home / f"{size}.elenchus"
    make_large(path, size)
    application = QApplication.instance() or make_application(sys.argv[:1])
    window, heart = MainWindow(Session(), Jobs()), Heart()
    window.resize(1280, 800)
    window.show()
    window.session.settings.setValue("panel", 1)
    panel = window.questions

    def wait(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not done() and time.monotonic() < deadline:
            application.processEvents()
            time.sleep(0.001)  # as an event loop sleeps: else it would take the interpreter from other threads
        application.processEvents()

    def tell(name: str, act: Callable[[], Any], done: Callable[[], bool]) -> None:
        application.processEvents()
        heart.since()
        began = time.perf_counter()
        act()
        wait(done)
        took = (time.perf_counter() - began) * 1000
        print(f"  {name:34} {took:7.0f} ms, the event loop held for {heart.since():5.0f} ms at most", flush=True)

    def shows(**changes: object) -> Callable[[], bool]:
        wanted = window.session.project.count(replace(panel.filter, **changes)) if window.session.is_open else size
        return lambda: panel.model.rowCount() == wanted

    print(f"{size:,} examples, {path.stat().st_size / 1e6:.0f} MB")
    tell("open", lambda: window.open_path(path), lambda: panel.model.rowCount() == size)
    tell("queue: accepted", lambda: panel.filters.queues.setCurrentIndex(2), shows(state="accepted"))
    tell("queue: all", lambda: panel.filters.queues.setCurrentIndex(0), shows(state=None))
    tell("kind: why or how", lambda: choose(panel.filters.kind, "why_how"), shows(kind="why_how"))
    tell("kind: any", lambda: choose(panel.filters.kind, None), shows(kind=None))
    tell("failed check: leak", lambda: choose(panel.filters.check, "leak"), shows(failed_check="leak"))
    tell("failed check: any", lambda: choose(panel.filters.check, None), shows(failed_check=None))
    tell("search (typing pause included)", lambda: panel.filters.search.setText("abı"), shows(text="abı"))
    tell("search cleared", panel.filters.search.clear, shows(text=""))
    tell("200 pages scrolled", lambda: scroll(panel.view, application), lambda: True)
    tell("5 s of a run, 100 rows a second", lambda: run(window, size), lambda: not window.jobs.active)
    curate(window, tell)
    window.close()


def curate(window: Any, tell: Callable[[str, Callable[[], Any], Callable[[], bool]], None]) -> None:
    """The pages of Curate over all rows: figures, a map, what a lasso chooses, and a verdict on it."""
    import numpy as np

    from core.curation.plane import Plane
    from core.project.records import ScoreRow

    project, panel = window.session.project, window.curate
    ids, chance = tuple(project.example_ids()), np.random.default_rng(1)
    values = chance.uniform(1, 5, len(ids)).tolist()
    project.add_scores(1, [ScoreRow(id, "rubric", value) for id, value in zip(ids, values, strict=True)])
    places = chance.normal(0, 0.3, (len(ids), 2)).astype(np.float32)
    plane = Plane(ids, places, chance.integers(0, 20, len(ids)), tuple(f"topic {n}" for n in range(20)), 0.3)

    def shown() -> bool:
        return bool(panel.pages) and panel.facts.ready and panel.idle and not window.session._gather.isActive()

    tell("curate: scores", lambda: window.show_panel(panel), shown)
    tell("curate: map", lambda: (panel.tabs.setCurrentWidget(panel.map), panel.map.show_plane(plane)), shown)
    tell("curate: coloured by topic", lambda: panel.map.by.setCurrentIndex(1), shown)
    tell("curate: a lasso around half of it", lambda: panel.map.show_ids(ids[::2]), shown)
    tell("curate: one row rated", lambda: project.rate(ids[0], 5), shown)
    tell("curate: half of them rejected", lambda: panel.judge("rejected"), lambda: not window.jobs.active and shown())


def points(count: int = 50_000) -> None:
    """How long a frame of the map takes while it is moved and zoomed, beside pyqtgraph's own points."""
    import numpy as np
    import pyqtgraph as pg
    from PySide6.QtCore import Qt

    from gui.charts.cloud import CloudChart, Group
    from gui.session import Session

    chance = np.random.default_rng(1)
    places = np.concatenate([chance.normal(0, 0.1, (count // 8, 2)) + chance.uniform(-1, 1, 2) for _ in range(8)])
    labels = chance.integers(0, 8, len(places))
    groups = [Group(str(n), "good", np.flatnonzero(labels == n)) for n in range(8)]
    chart, peer = CloudChart(Session(), "Map", str), pg.PlotWidget()
    chart.show_points(range(len(places)), places.astype(np.float32))
    chart.show_groups(groups)
    for group in groups:
        peer.addItem(pg.ScatterPlotItem(pos=places[group.rows], size=6, pen=None, brush="g", pxMode=True))
    for widget in (chart, peer):
        widget.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
        widget.resize(900, 700)
        widget.show()
    box: Any = peer.plotItem.getViewBox()  # pyright: ignore[reportOptionalMemberAccess]
    ours = {
        "moved": frames(chart.canvas, lambda: chart.canvas.move_by(3, 1)),
        "zoomed": frames(chart.canvas, lambda: chart.canvas.zoom(1.03)),
    }
    chart.canvas.fit()
    chart.choose(np.arange(0, len(places), 3))
    ours["moved, a third chosen"] = frames(chart.canvas, lambda: chart.canvas.move_by(3, 1))
    theirs = frames(peer.viewport(), lambda: box.translateBy((0.003, 0.001)))
    print(f"{len(places):,} points; pyqtgraph moves them in {theirs[0]:.1f} ms a frame ({theirs[1]:.1f} at worst)")
    for name, (usual, worst) in ours.items():
        print(f"  {name:24} {usual:5.1f} ms a frame ({worst:.1f} at worst), {theirs[0] / usual:.1f} times as fast")


def frames(widget: Any, act: Callable[[], Any]) -> tuple[float, float]:
    """The usual and the longest of sixty frames, in milliseconds that this thread took of the processor."""
    took = []
    for _ in range(60):
        began = time.thread_time()
        act()
        widget.repaint()
        took.append((time.thread_time() - began) * 1000)
    return statistics.median(took), max(took)


def choose(combo: Any, value: object) -> None:
    combo.setCurrentIndex(combo.findData(value) if value is not None else 0)


def scroll(view: Any, application: Any) -> None:
    bar = view.verticalScrollBar()
    for step in range(200):
        bar.setValue(bar.maximum() * step // 200)
        application.processEvents()


def run(window: Any, size: int) -> None:
    """A job that commits rows as a run does."""
    from project_material import make_draft  # pyright: ignore[reportMissingImports]

    project = window.session.project

    def work(job: Any) -> None:
        until, slot = time.monotonic() + 5, size + 1
        while time.monotonic() < until:
            project.add_example(1, make_draft(slot, 101, evidence=None, kind="unanswerable"))
            slot += 1
            time.sleep(0.005)

    window.jobs.start("model", "Asking", work)


if __name__ == "__main__":
    main()
