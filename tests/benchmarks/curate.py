"""Measures curation: duplicates, scores from kept vectors and a pick of 1,000, and how they grow with the rows.

python3 dev.py bench curate [ROWS…]    default: 10000 100000

The rows are made: 30 words or so each, one in fifty a copy with a word changed, one in fifty a copy in meaning (a
vector with a cosine of 0.97). Vectors of 256 numbers are in the project, as after a first run. Each part has a process
of its own, with its worker child; memory is the most that either held, with Python, numpy and the project. Each line
is: name, seconds, memory, what was found, and the time a peer would take: by a sample of it, measured in the same run.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from core import paths
from core.curation import educational
from core.curation.duplicates import Duplicates, find
from core.curation.pick import PickOptions, pick
from core.curation.quality import quality
from core.curation.vectors import Vectors, each_example, meaning
from core.project.embedding import embed
from core.project.project import Project
from core.project.records import ScoreRow
from core.worker import Worker
from tests.data.curated import add_rows, give_vectors

WIDTH, PICKED, LABELS = 256, 1_000, 200
EVERY = 50  # rows, of which one is a copy in words and one in meaning
SAMPLE = 2_000  # rows that the peers look at
MODEL = paths.starter_model()


def main() -> None:
    """Prints a line for each part and number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(measured(options.part, options.project)))
        return
    before: dict[str, dict[str, Any]] = {}
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "curate.elenchus"
            make(path, rows)
            print(f"{rows:,} rows, {path.stat().st_size / 1e6:.0f} MB", flush=True)
            for part in PARTS:
                command = [sys.executable, "-m", "tests.benchmarks.curate", "--part", part, "--project", str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout.splitlines()[-1])
                tell(part, found, before.get(part))
                before[part] = found


def tell(part: str, now: dict[str, Any], before: dict[str, Any] | None) -> None:
    line = f"  {part:<12}{now['seconds']:8.1f} s{now['own']:8.0f} MB{now['child']:8.0f} MB in the child  {now['said']}"
    line += f"; {now['peer']} would take {now['peer_seconds']:.1f} s: {now['seconds'] / now['peer_seconds']:.2f} of it"
    if before:
        line += f"; {now['seconds'] / before['seconds']:.1f} times the time of the rows before"
        line += f", {(now['own'] + now['child']) / (before['own'] + before['child']):.1f} times the memory"
    print(line, flush=True)


def make(path: Path, count: int) -> None:
    """A project of so many accepted rows, with ratings of some, scores of all, and vectors."""
    chance, random = Random(0), np.random.default_rng(0)
    words = [f"{chance.choice('bcdfglmnprst')}{chance.choice('aeiou')}{number:x}" for number in range(20_000)]
    middles = random.standard_normal((300, WIDTH))
    vectors = (middles[random.integers(0, 300, count)] + random.standard_normal((count, WIDTH))).astype(np.float32)
    texts: list[list[str]] = []
    for place in range(count):
        if place % EVERY == 1:
            texts.append(["which", *texts[-1][1:]])  # one word of thirty or more, and the first
        else:
            texts.append(["what", *chance.choices(words, k=chance.randint(30, 45))])
        if place % EVERY == 2:
            length = float(np.linalg.norm(vectors[place - 2]))
            aside = random.standard_normal(WIDTH)
            aside -= vectors[place - 2] * (aside @ vectors[place - 2]) / length**2
            vectors[place] = 0.97 * vectors[place - 2] / length + np.sqrt(1 - 0.97**2) * aside / np.linalg.norm(aside)
    with Project.create(path) as project:
        ids = add_rows(project, [(" ".join(text) + "?", f"It is {text[-1]} {n}.") for n, text in enumerate(texts)])
        give_vectors(project, MODEL, ids, vectors)
        scored = [ScoreRow(id, "rubric", chance.uniform(1, 5)) for id in ids]
        project.add_scores(project.runs()[0].id, scored)
        project.rate_all(ids[::10], 4)


def measured(part: str, path: Path) -> dict[str, Any]:
    """The time and the memory of a part, and of its peer."""
    with Project.open(path) as project, Worker() as worker:
        began = time.perf_counter()
        said = PARTS[part][0](project, worker)
        seconds = time.perf_counter() - began
    own, child = (
        resource.getrusage(whose).ru_maxrss / 1e3 for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    with Project.open(path, read_only=True) as project:
        peer, peer_seconds = PARTS[part][1](project)
    figures = {"seconds": seconds, "own": own, "child": child, "peer_seconds": peer_seconds}
    return figures | {"said": said, "peer": peer}


def result(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def near(project: Project, worker: Worker) -> str:
    groups = result(find(project, worker, Duplicates()))
    return f"{len(groups):,} groups of {copies(project, 1):,} copies"


def semantic(project: Project, worker: Worker) -> str:
    groups = result(find(project, worker, Duplicates(model=MODEL)))
    found = sum(group.kind == "semantic" for group in groups)
    return f"{found:,} more of {copies(project, 2):,} copies in meaning"


def copies(project: Project, kind: int) -> int:
    return sum(place % EVERY == kind for place in range(project.count()))


def scores(project: Project, worker: Worker) -> str:
    ids = project.example_ids()
    values = quality(project, ids).values
    vectors = result(embed(project, worker, MODEL, [meaning(one) for one in each_example(project, ids)], bool))
    labels = (vectors[:LABELS, 0] > np.median(vectors[:LABELS, 0])).astype(int).tolist()
    worth = educational.fit(vectors[:LABELS], labels).values(vectors)
    return f"mean quality {values.mean():.2f}, mean worth {worth.mean():.2f}"


def picked(project: Project, worker: Worker) -> str:
    made = result(pick(project, worker, PickOptions(PICKED, MODEL)))
    one, other = made.coverage, made.baseline
    figures = (f"coverage {each.coverage:.3f} and quality {each.quality:.2f}" for each in (one, other))
    return ", at random ".join(figures)


# Peers


def each_with_each(project: Project) -> tuple[str, float]:
    """Sets of shingles, each compared with each."""
    texts = [one.question.split() for one in each_example(project, project.example_ids()[:SAMPLE])]
    began = time.perf_counter()
    sets = [frozenset(zip(text, text[1:], text[2:], strict=False)) for text in texts]
    assert sum(5 * len(one & other) >= 4 * len(one | other) for one, other in combinations(sets, 2))
    return "each set of shingles with each", grown(began, project.count() ** 2 / len(texts) ** 2)


def bare_products(project: Project) -> tuple[str, float]:
    """The matrix products alone, of what the comparison of meanings needs."""
    vectors = np.random.default_rng(0).standard_normal((5 * SAMPLE, WIDTH)).astype(np.float32)
    began = time.perf_counter()
    for start in range(0, len(vectors), SAMPLE):
        np.dot(vectors[start : start + SAMPLE], vectors.T)
    return "the bare products", grown(began, project.count() ** 2 / 2 / len(vectors) ** 2)


def bare_reading(project: Project) -> tuple[str, float]:
    """Reading the examples and their vectors, and nothing else."""
    began = time.perf_counter()
    texts = [meaning(one) for one in project.iter_examples()]
    with Worker() as worker:
        result(embed(project, worker, MODEL, texts, bool))
    return "reading examples and vectors", grown(began, 1)


def plain_greedy(project: Project) -> tuple[str, float]:
    """Facility location that looks at every candidate anew each time, with numpy, all cosines in memory."""
    vectors: Vectors = np.random.default_rng(0).standard_normal((2 * SAMPLE, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    began = time.perf_counter()
    cosines = vectors @ vectors.T
    covered = np.zeros(len(vectors), np.float32)
    for _ in range(turns := 10):
        best = int(np.maximum(cosines - covered, 0).sum(axis=1).argmax())
        covered = np.maximum(covered, cosines[best])
    return "plain greedy", grown(began, PICKED / turns * project.count() ** 2 / len(vectors) ** 2)


def grown(began: float, times: float) -> float:
    return (time.perf_counter() - began) * times


PARTS: dict[str, tuple[Callable[[Project, Worker], str], Callable[[Project], tuple[str, float]]]] = {
    "near": (near, each_with_each),
    "semantic": (semantic, bare_products),
    "scores": (scores, bare_reading),
    "pick": (picked, plain_greedy),
}

if __name__ == "__main__":
    main()
