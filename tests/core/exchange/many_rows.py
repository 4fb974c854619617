"""Imports and exports many rows, and prints how much memory (MB) each took at its height beyond what there was.

`python tests/core/exchange/many_rows.py FOLDER ROWS`
"""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[3]))

from core.exchange.export import export
from core.exchange.importing import bring_in
from core.project.project import Project


def grown(work: Callable[[], Any]) -> float:
    """MB that the process had at most beyond what it began with, looked at a hundred times a second."""
    process, over, most = psutil.Process(), threading.Event(), [0]
    began = process.memory_info().rss

    def look() -> None:
        while not over.wait(0.01):
            most[0] = max(most[0], process.memory_info().rss - began)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        work()
    finally:
        over.set()
        looking.join()
    return round(most[0] / 1e6, 1)


def drained(steps: Any) -> None:
    for _ in steps:
        pass


def main(folder: Path, rows: int) -> None:
    folder.mkdir()
    source = folder / "rows.jsonl"
    with open(source, "w", encoding="utf-8") as file:
        for n in range(rows):
            row = {"question": f"What is the number {n}, and why is it?", "answer": f"It is {n}. " * 10}
            file.write(json.dumps(row) + "\n")
    found: dict[str, Any] = {}
    with Project.create(folder / "many.elenchus") as project:
        found["import"] = grown(lambda: drained(bring_in(project, source, state="accepted")))
        found["rows"] = project.count()
        for format in ("messages", "csv", "parquet", "folder"):
            found[format] = grown(lambda format=format: drained(export(project, folder / format, format)))
    print(json.dumps(found))


main(Path(sys.argv[1]), int(sys.argv[2]))
