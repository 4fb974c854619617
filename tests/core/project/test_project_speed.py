"""How long the window waits for a project of 100,000 examples: printed, since machines differ."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project_material import make_large

from core.project.project import Project
from core.project.records import ExampleFilter


def best(work: Callable[[], Any], times: int = 3) -> tuple[float, Any]:
    """The shortest of some tries, in milliseconds, and what came of it."""
    taken, result = [], None
    for _ in range(times):
        start = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - start)
    return min(taken) * 1000, result


@pytest.mark.slow
@pytest.mark.parametrize("examples", [100_000, 500_000])
def test_times(tmp_path: Path, examples: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large.elenchus"
    make_large(path, examples)
    opening, project = best(lambda: Project.open(path), 1)
    lines = [f"{examples:,} examples, {path.stat().st_size / 1e6:.0f} MB: opened in {opening:.0f} ms"]
    middle = project.example(examples // 2)
    filters = {
        "all": ExampleFilter(),
        "accepted": ExampleFilter(state="accepted"),
        "quarantined": ExampleFilter(state="quarantined"),
        "quarantined by rating": ExampleFilter(state="quarantined", sort="rating"),
        "accepted, best first": ExampleFilter(state="accepted", sort="rating", descending=True),
        "by kind": ExampleFilter(sort="kind"),
        "accepted by kind": ExampleFilter(state="accepted", sort="kind"),
        "kind": ExampleFilter(kind="why_how"),
        "document and state": ExampleFilter(document_id=7, state="draft"),
        "by document": ExampleFilter(sort="document_id"),
        "failed check": ExampleFilter(failed_check="leak"),
        "failed check, quarantined": ExampleFilter(failed_check="leak", state="quarantined"),
        "run": ExampleFilter(run_id=1),
        "search, nothing found": ExampleFilter(text="zzzq"),
        "search, much found": ExampleFilter(text="şa"),
        "search, accepted by kind": ExampleFilter(text="abı", state="accepted", sort="kind"),
    }
    for name, filter in filters.items():
        page, _ = best(lambda filter=filter: project.examples(filter))
        after, _ = best(lambda filter=filter: project.examples(filter, after=middle))
        count, number = best(lambda filter=filter: project.count(filter))
        lines.append(
            f"{name:28} page {page:6.1f} ms, from the middle {after:6.1f} ms, count {count:6.1f} ms ({number:,})"
        )
    lines.append(f"counts {best(project.counts)[0]:.1f} ms")
    lines.append(f"ids of the accepted {best(lambda: project.example_ids(filters['accepted']))[0]:.1f} ms")
    some = project.example_ids(ExampleFilter(state="draft"))[:10_000]
    lines.append(f"10,000 accepted {best(lambda: project.set_state(some, 'accepted'), 1)[0]:.0f} ms")
    lines.append(f"undone {best(project.undo, 1)[0]:.0f} ms")
    lines.append(f"all examples {best(lambda: sum(1 for _ in project.iter_examples()), 1)[0]:.0f} ms")
    lines.append(f"closed, backup finished {best(project.close, 1)[0]:.0f} ms {project.backup_problem}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
