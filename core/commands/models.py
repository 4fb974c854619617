"""The commands about models: which are at hand and fit this computer, and how to get one."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from core.commands.console import ProgressLine, interruptible, print_json, say
from core.errors import Cancelled, JobFailed, UserError

if TYPE_CHECKING:
    from core.engine.devices import Device
    from core.models.files import ModelFile
    from core.models.recommended import Recommended


def devices(options: argparse.Namespace) -> None:
    from core.engine.fit import size

    for device in _found_devices():
        if options.json:
            print_json(asdict(device))
            continue
        kind = f"{device.cores} cores" if device.kind == "cpu" else f"{device.backend}, {device.kind}"
        free = f"{size(device.memory_free)} of {size(device.memory_total)} free"
        print(f"{device.name}  {device.description}  {kind}, {free}")


def _found_devices() -> "list[Device]":
    from core.engine.devices import devices_job, processor
    from core.worker import Worker

    try:
        with Worker() as worker:
            return next(worker.run(devices_job))
    except (UserError, JobFailed) as error:  # a driver may end the process that asks it, or lack a library
        say(f"The graphics card could not be asked, and is left out. {error}")
        return [processor()]


def models(options: argparse.Namespace) -> None:
    from core.engine.fit import holds
    from core.models.recommended import recommended
    from core.models.shelf import models_folder, shelf

    if options.recommended:
        for known in recommended():
            if options.json:
                print_json(asdict(known) | {"fits": holds(known)})
            else:
                print(f"{known.name}  {known.size / 1e6:,.0f} MB  {known.licence}  {_fit_words(known)}")
                print(f"    {known.good_for}\n    elenchus download {known.source}")
        return
    if not options.json:
        say(f"The starter, what lies in {models_folder()}, and what other programs have:")
    found = _found_devices()
    for item in shelf():
        if item.model is None:
            say(item.problem)
        else:
            _show_model(item.model, item.program, found, options.json)


def _show_model(model: "ModelFile", program: str, found: "list[Device]", as_json: bool) -> None:
    from core.engine import fit
    from core.engine.requests import EngineSettings

    told = fit.fit(model, found, EngineSettings())
    if as_json:
        fields = ("name", "architecture", "quantisation", "parameters", "size", "context_length", "prompt_style")
        facts = {name: getattr(model, name) for name in fields}
        print_json(facts | {"path": str(model.path), "program": program, "fit": asdict(told)})
    else:
        size = f"{model.parameters / 1e6:,.0f} M parameters, {model.size / 1e6:,.0f} MB"
        print(f"{model.name}  {model.architecture}  {model.quantisation}  {size}  {program}")
        print(f"    {model.path}\n    {fit.words(told)}")


def _fit_words(model: "Recommended") -> str:
    from core.engine.fit import holds

    return "fits this computer" if holds(model) else "needs more memory than this computer has"


def download(options: argparse.Namespace) -> None:
    from core.models.download import Downloading, download
    from core.models.shelf import OWN

    progress = ProgressLine("Downloading")
    with interruptible() as stopped:
        try:
            for item in download(options.source, options.sha256, stopped):
                if not isinstance(item, Downloading):
                    progress.end(f"“{item.name}” is with the other models now.")
                    _show_model(item, OWN, _found_devices(), options.json)
                elif item.waiting:
                    progress.show(f"{item.name}, trying again: {item.waiting}")
                else:
                    what = "checking" if item.checking else f"{item.bytes_per_second / 1e6:,.1f} MB/s"
                    of = f" of {item.total / 1e6:,.0f}" if item.total else ""
                    progress.show(f"{item.name}, {item.done / 1e6:,.0f}{of} MB, {what}")
        except Cancelled:
            progress.end("Stopped. The same command goes on where it stopped.")
            raise
