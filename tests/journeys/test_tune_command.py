"""`elenchus tune`, `adapters`, `merge` and `parity`, as a person in a terminal uses them; and without torch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gguf
import pytest

from core.cli import main
from core.models.checksum import sha256
from core.project.project import Project
from core.tuning.adapter_file import read_adapter
from tests.conftest import ROOT, Command
from tests.core.project.project_material import make_settings
from tests.data.gguf_tiny import write_adapter, write_tiny

WORDS = ("sky", "river", "harbour", "bridge", "lighthouse", "page", "question", "answer", "captain", "storm")
HIDES = """import importlib.machinery, sys
class Hidden(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in ("torch", "gguf", "safetensors") else super().find_spec(name, path, target)
sys.meta_path = [Hidden if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
"""


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Command:
    """The same as `elenchus`, in this process, for what starts no other."""

    def run(*arguments: object, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
        returned = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        done = subprocess.CompletedProcess(list(map(str, arguments)), returned, said.out, said.err)
        assert code in (None, returned), done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file of examples, with one row that cannot be used."""
    lines = [json.dumps({"prompt": f"The {word}?", "completion": f"{word}!"}) for word in WORDS]
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines, '{"prompt": "?", "completion": ""}']) + "\n")
    return tmp_path / "rows.jsonl"


@pytest.fixture
def project(tmp_path: Path, model: Path) -> Path:
    """A project with an adapter that was tuned on the model, as it were."""
    path = tmp_path / "lab.elenchus"
    with Project.create(path) as project:
        base = {"model_path": str(model), "model_name": "tiny-random", "model_sha256": sha256(model)}
        run_id = project.start_run(type(make_settings())(**{**vars(make_settings("tune")), **base}))
        project.finish_run(run_id, "finished", {})
        file = write_adapter(tmp_path / "made.gguf")
        project.add_adapter(run_id, "terse", file, 12, 0.25, 4, 8.0)
        project.set_adapter_scale(1, 0.5)
        file.unlink()
    return path


def test_adapters_are_listed_renamed_and_removed(inside: Command, project: Path) -> None:
    listed = json.loads(inside("adapters", project, "--json").stdout)
    assert (listed["name"], listed["scale"], listed["step"]) == ("terse", 0.5, 12)
    inside("adapters", project, "--rename", "terse", "brief")
    missing = inside("adapters", project, "--remove", "terse", code=1)
    assert "There is no adapter “terse” in lab.elenchus. There are: “brief”." in missing.stderr
    inside("adapters", project, "--remove", "brief")
    assert "There are no adapters yet" in inside("adapters", project).stderr
    assert "--export NAME goes with --out" in inside("adapters", project, "--export", "brief", code=1).stderr


def test_without_torch_all_else_runs(project: Path, model: Path, tmp_path: Path) -> None:
    hiding = tmp_path / "hiding"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text(HIDES)
    environment = os.environ | {"PYTHONPATH": str(hiding)}

    def run(*arguments: object, said: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "core.cli", *map(str, arguments)],
            cwd=ROOT, env=environment, input=said, capture_output=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip

    tune = ("tune", project, "--dataset", "accepted")
    for command, what in ((tune, "Fine-tuning"), (("parity", model), "Comparing with torch")):
        refused = run(*command)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"{what} needs torch, gguf and safetensors, which are not installed: torch")
        assert refused.stderr.count("\n") == 1
    out = tmp_path / "merged.gguf"
    merged = run("merge", project, "terse", "--out", out, "--json")
    assert merged.returncode == 0, merged.stderr
    figures = json.loads(merged.stdout)
    assert figures["kl"] < 1e-6 < figures["effect"]
    metadata = {name: field.contents() for name, field in gguf.GGUFReader(out).fields.items()}
    assert metadata["elenchus.merged.scale"] == "0.5"  # as the project says
    common = ("--model", model, "--temperature", 0, "--max-tokens", 12)
    named = run("chat", *common, "--project", project, "--adapter", "terse", said="Why?\n")
    assert named.returncode == 0, named.stderr
    assert named.stdout == run("chat", "--model", out, *common[2:], said="Why?\n").stdout
    nobody = run("chat", *common, "--adapter", "terse", said="Why?\n")
    assert "There is no adapter “terse” as a file" in nobody.stderr
    assert "name the project with --project" in nobody.stderr


def test_a_probe_finds_its_adapter_again(elenchus: Command, inside: Command, project: Path, model: Path) -> None:
    asked = (
        "probe",
        project,
        "--suite",
        "addition",
        "--items",
        2,
        "--model",
        model,
        "--adapter",
        "terse, 2.5",
        "--json",
    )
    inside("adapters", project, "--rename", "terse", "terse, 2.5")
    elenchus(*asked)
    with Project.open(project) as opened:
        run = opened.runs()[-1]
        kept = run.request.settings["adapter"]
        assert kept["scale"] == 0.5  # as the project says
        assert kept["name"] == "terse, 2.5"  # and not as its copy in the cache is called
        Path(kept["path"]).unlink()  # the cache was cleared
        opened.finish_run(run.id, "cancelled", {})
    elenchus("probe", project, "--resume")
    assert Path(kept["path"]).exists()
    Path(kept["path"]).unlink()
    with Project.open(project) as opened:
        opened.remove_adapter(1)
        opened.finish_run(run.id, "cancelled", {})
    assert "another state of the adapter terse, 2.5" in inside("probe", project, "--resume", code=1).stderr


def test_slips_are_said(inside: Command, project: Path, model: Path, tmp_path: Path) -> None:
    assert "Say what to learn from with --dataset" in inside("tune", project, code=1).stderr
    fixed = inside("tune", project, "--resume", "--lr", 0.1, "--no-packing", "--dataset", "accepted", code=1)
    assert "leave out --dataset, --lr, --no-packing." in fixed.stderr
    both = inside("tune", project, "--resume", "--estimate", "--skip-bad", code=1)
    assert "leave out --skip-bad, --estimate." in both.stderr
    assert "There is no tuning that stopped" in inside("tune", project, "--resume", code=1).stderr
    assert "nothing to train on" in inside("tune", project, "--dataset", "accepted", code=1).stderr
    for bad, said in (('{"prompt": "?", "completion": ""}', "--skip-bad leaves it out"), ("[]", "has no rows")):
        (tmp_path / "bad.jsonl").write_text(bad)
        refused = inside("tune", project, "--dataset", tmp_path / "bad.jsonl", "--model", model, code=1)
        assert said in refused.stderr
    other = write_tiny(tmp_path / "other.gguf", width=32)
    wrong = inside("merge", project, "terse", "--out", tmp_path / "x.gguf", "--model", other, code=1)
    assert "The adapter does not fit “other.gguf”" in wrong.stderr
    gone = inside("merge", project, "terse", "--out", tmp_path / "x.gguf", "--model", tmp_path / "no.gguf", code=1)
    assert "Say with --model where it is" in gone.stderr


@pytest.mark.slow
def test_parity_of_several_models(elenchus: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Why is the sky blue? Because the light of the sun is scattered by the air.")
    done = elenchus("parity", model, model, "--text", tmp_path / "text.txt", "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == second
    assert first["passed"]
    assert first["relative_l2"] < 1e-5
    assert (first["architecture"], first["top1"]) == ("llama", 1.0)
    assert "agrees" in elenchus("parity", model).stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX stops it")
def test_stopped_from_outside_it_keeps_and_goes_on(elenchus: Command, model: Path, rows: Path, tmp_path: Path) -> None:
    project = tmp_path / "lab.elenchus"
    elenchus("new", project)
    common = ("--dataset", rows, "--skip-bad", "--model", model, "--threads", 1, "--batch", 2)
    estimated: dict[str, Any] = json.loads(elenchus("tune", project, *common, "--estimate", "--json").stdout)
    assert estimated["fits"]
    assert estimated["steps"] == 15
    command = [sys.executable, "-m", "core.cli", "tune", project, *common, "--epochs", 4000, "--patience", 0, "--json"]
    running = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None:
        with Project.open(project, read_only=True) as reading:
            if reading.runs() and len(reading.tuning_points(1)) > 3:
                break
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    output, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert f"elenchus tune {project} --resume goes on with it." in said
    assert "step" in json.loads(output)["name"]
    with Project.open(project) as opened:
        assert opened.run(1).state == "cancelled"
        steps = len(opened.tuning_points(1))
        assert steps > 3


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX kills it")
def test_killed_again_and_again_it_comes_to_the_same_adapter(
    elenchus: Command, model: Path, rows: Path, tmp_path: Path
) -> None:
    asked = ("--dataset", rows, "--skip-bad", "--model", model, "--threads", 1, "--batch", 2, "--epochs", 60)
    common = (*asked, "--context", 128, "--patience", 0, "--lr", 0.001)
    found: list[Path] = []
    for name, kills in (("whole", 0), ("killed", 4)):
        project = tmp_path / f"{name}.elenchus"
        elenchus("new", project)
        arguments: tuple[object, ...] = ("tune", project, *common)
        for _ in range(kills):
            running = subprocess.Popen(
                [sys.executable, "-m", "core.cli", *map(str, arguments)], cwd=ROOT, stderr=subprocess.DEVNULL
            )
            seen = _steps(project)
            while running.poll() is None and _steps(project) < seen + 20:
                time.sleep(0.05)
            running.kill()
            running.wait()
            arguments = ("tune", project, "--resume")
        said = elenchus(*arguments).stderr
        assert ("Going on after step " in said) == bool(kills)
        assert "The run is over after step 300. The adapter is that of step" in said
        assert f"elenchus probe {project} --suite addition --model {model} --adapter" in said
        found.append(tmp_path / f"{name}.gguf")
        with Project.open(project) as opened:
            assert [point.step for point in opened.tuning_points(1)] == list(range(301))
            (adapter,) = opened.adapters()
            found[-1].write_bytes(opened.adapter_file(adapter.id).read_bytes())
    whole, killed = map(read_adapter, found)
    assert list(whole.pairs) == list(killed.pairs)
    for name, pair in whole.pairs.items():
        assert [one.tobytes() for one in pair] == [one.tobytes() for one in killed.pairs[name]]


def _steps(project: Path) -> int:
    with Project.open(project, read_only=True) as reading:
        return max((point.step for point in reading.tuning_points(1)), default=0) if reading.runs() else 0
