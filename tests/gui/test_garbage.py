"""Garbage is collected in the window's thread, however much another one makes."""

import gc
import threading
import weakref

from pytestqt.qtbot import QtBot

from gui.garbage import Collector


class Ring:
    """What Python's reference counts alone never free."""

    def __init__(self) -> None:
        self.itself = self


def make_much(kept: list[list[int]]) -> None:
    kept += [[number] for number in range(200_000)]  # Python would collect hundreds of times


def test_only_the_windows_thread_collects(qtbot: QtBot) -> None:
    gc.enable()
    ended_in: list[str] = []
    kept: list[list[int]] = []
    collector = Collector()
    ring = Ring()
    weakref.finalize(ring, lambda: ended_in.append(threading.current_thread().name))
    del ring
    other = threading.Thread(target=make_much, args=(kept,), name="lane")
    other.start()
    other.join()
    assert ended_in == []
    qtbot.waitUntil(lambda: ended_in == ["MainThread"], timeout=20_000)
    collector.deleteLater()
