"""The devices: what the processor is said to be, and what the command line prints."""

import json
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from core.cli import main
from core.engine import devices as module
from core.engine.devices import Device, carrying, devices_job, physical_cores, processor
from core.worker import Worker


def test_the_processor_is_known_without_native_code() -> None:
    device = processor()
    assert (device.name, device.backend, device.kind) == ("CPU", "CPU", "cpu")
    assert device.description
    assert device.memory_total == psutil.virtual_memory().total
    assert 0 < device.memory_free <= device.memory_total
    assert 1 <= device.cores == physical_cores() <= (psutil.cpu_count() or 1)


def test_a_child_lists_the_processor_once_and_last() -> None:
    with Worker() as worker:
        (found,) = worker.run(devices_job)
    assert [device.kind for device in found].count("cpu") == 1
    assert found[-1].description == processor().description
    assert all(device.memory_total >= device.memory_free for device in found)


def test_layers_go_to_cards_and_only_without_one_to_what_is_in_the_processor() -> None:
    def device(kind: Any) -> Device:
        return Device(kind, kind, "Vulkan", kind, 1, 1)

    card, inside, blas, cpu = (device(kind) for kind in ("gpu", "integrated", "accelerator", "cpu"))
    assert carrying([inside, card, blas, cpu]) == [card]
    assert carrying([inside, blas, cpu]) == [inside]
    assert carrying([blas, cpu]) == []


def test_the_command_line_lists_them(elenchus: Any) -> None:
    *_, last = elenchus("devices").stdout.splitlines()
    assert last.startswith(f"CPU  {processor().description}  {physical_cores()} cores, ")
    assert last.endswith(" free")
    *_, last = map(json.loads, elenchus("devices", "--json").stdout.splitlines())
    assert (last["name"], last["kind"], last["cores"]) == ("CPU", "cpu", physical_cores())


def without_a_library() -> Iterator[list[Device]]:
    raise OSError("libcuda.so.1: cannot open shared object file")
    yield []


def test_models_are_listed_where_llama_cpp_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "devices_job", without_a_library)
    assert main(["models"]) == 0
    told = capsys.readouterr()
    assert "Elenchus starter" in told.out
    assert "is left out. OSError: libcuda.so.1" in told.err


def test_the_models_say_how_they_fit(elenchus: Any) -> None:
    told = json.loads(elenchus("models", "--json").stdout.splitlines()[0])
    assert told["fit"]["missing"] == 0
    assert told["fit"]["need"]["weights"] >= 11_000_000
