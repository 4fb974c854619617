"""What the commands tell on stderr while something is made."""

from collections.abc import Generator
from types import SimpleNamespace

import pytest

from core.commands import console
from core.commands.console import ProgressLine, followed
from core.curation.reckoning import Reckoned
from core.project.embedding import Progress


def test_the_making_of_vectors_is_told_apart_and_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def steps() -> Generator[object]:
        for done in (2_000, 2_100, 2_552, 7_400):  # 2,000 were there; what is made takes a tenth of a second each
            now[0] = 20 + (done - 2_000) / 10
            yield Progress(done, 7_500)
        now[0] += 60
        yield Reckoned("picking", 1, 1_200)

    followed(steps(), ProgressLine("Picking"))
    assert capsys.readouterr().err.splitlines() == [
        "Making vectors: 2,000 of 7,500",
        "Making vectors: 2,100 of 7,500, about 9 minutes left",
        "Making vectors: 2,552 of 7,500, about 8 minutes left",
        "Making vectors: 7,400 of 7,500, about 10 seconds left",
        "Picking: picking, 1 of 1,200",
    ]
