"""Finds the GGUF models that other programs have downloaded: in their folders, under limits, opening nothing odd.

Sources: huggingface.co/docs/huggingface_hub/guides/manage-cache, llama.cpp's `fs_get_cache_directory`,
lmstudio.ai/docs (`.lmstudio-home-pointer`), docs.ollama.com/faq, GPT4All's `mysettings.cpp`.
"""

import configparser
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

DEPTH = 8  # folders below the first
ENTRIES = 20_000  # looked at, of each program
FILES = 1_000  # models, of each program
MANIFEST_BYTES = 1 << 20
OLLAMA_OF_THE_SYSTEM = Path("/usr/share/ollama/.ollama/models")  # where its Linux service keeps them

_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")


@dataclass(frozen=True)
class Found:
    """A file that may be a model, the program that it belongs to, and the name that this gives it, if any."""

    path: Path
    program: str
    name: str = ""


def found_elsewhere() -> Iterator[Found]:
    """The model files of other programs, one by one as they are found; a folder that cannot be read is passed over."""
    for program, folders in (
        ("Hugging Face", _hugging_face()),
        ("llama.cpp", [_llama_cpp()]),
        ("LM Studio", _lm_studio()),
        ("GPT4All", _gpt4all()),
    ):
        files = (path for folder in folders for path in gguf_files(folder))
        yield from (Found(path, program) for path in islice(files, FILES))
    yield from islice(_ollama(), FILES)


def gguf_files(folder: Path) -> Iterator[Path]:
    """The GGUF files below a folder, by name; hidden ones and what is no plain file are passed over."""
    return (path for path in _files(folder) if path.suffix.lower() == ".gguf")


def _files(folder: Path) -> Iterator[Path]:
    """The plain files below a folder. Links are followed, each folder is looked into once."""
    seen: set[tuple[int, int]] = set()
    left = ENTRIES
    waiting = [(folder, 0)]
    while waiting:
        here, depth = waiting.pop()
        inside: list[tuple[Path, int]] = []
        with suppress(OSError, ValueError):  # the latter where a settings file names what no path can be
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as entries:
                listed = list(islice(entries, left))
            left -= len(listed)
            for entry in sorted(listed, key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                with suppress(OSError):
                    if entry.is_file():
                        yield Path(entry.path)
                    elif entry.is_dir() and depth < DEPTH:
                        inside.append((Path(entry.path), depth + 1))
        waiting += reversed(inside)


def _hugging_face() -> Iterator[Path]:
    """The snapshots of each model; what is not yet whole lies in `blobs` alone."""
    named = _variable("HF_HUB_CACHE") or _variable("HUGGINGFACE_HUB_CACHE")
    home = _variable("HF_HOME") or _cache() / "huggingface"
    with suppress(OSError):
        for folder in sorted(islice((named or home / "hub").glob("models--*"), ENTRIES)):
            yield folder / "snapshots"


def _llama_cpp() -> Path:
    if named := _variable("LLAMA_CACHE"):
        return named
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "llama.cpp"
    return (_local() if sys.platform == "win32" else _cache()) / "llama.cpp"


def _lm_studio() -> list[Path]:
    homes = [_home() / ".lmstudio", _home() / ".cache" / "lm-studio"]
    if text := _small(_home() / ".lmstudio-home-pointer").strip():
        homes.insert(0, Path(text))
    chosen = [_entry(home / "settings.json", "downloadsFolder") for home in homes]
    folders = [*(Path(text) for text in chosen if text), *(home / "models" for home in homes)]
    return [folder for folder in folders if folder.is_absolute()]


def _gpt4all() -> list[Path]:
    if sys.platform == "win32":
        usual, settings = _local(), _variable("APPDATA") or _home()
    elif sys.platform == "darwin":
        usual, settings = _home() / "Library" / "Application Support", _home() / ".config"
    else:
        usual = _variable("XDG_DATA_HOME") or _home() / ".local" / "share"
        settings = _variable("XDG_CONFIG_HOME") or _home() / ".config"
    folders = [usual / "nomic.ai" / "GPT4All"]
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    with suppress(configparser.Error):
        parser.read_string(_small(settings / "nomic.ai" / "GPT4All.ini"))
        folders.insert(0, Path(parser.get("General", "modelPath").strip('"')))
    return [folder for folder in folders if folder.is_absolute()]


def _ollama() -> Iterator[Found]:
    """One manifest a model, at manifests/HOST/NAMESPACE/MODEL/TAG, tells which of the blobs its weights are."""
    named = _variable("OLLAMA_MODELS")
    stores = [named] if named else [_home() / ".ollama" / "models"]
    if sys.platform == "linux":
        stores.append(OLLAMA_OF_THE_SYSTEM)
    for store in stores:
        manifests = store / "manifests"
        for manifest in _files(manifests):
            parts = manifest.relative_to(manifests).parts
            digest = _weights(manifest)
            blob = store / "blobs" / f"sha256-{digest}"
            with suppress(OSError):
                if len(parts) > 2 and digest and blob.is_file():
                    yield Found(blob, "Ollama", f"{_short_name(*parts[:-1])}:{parts[-1]}")


def _short_name(host: str, *names: str) -> str:
    """As Ollama itself lists it: without what is usual."""
    if host != "registry.ollama.ai":
        return "/".join([host, *names])
    return "/".join(names[1:] if names[0] == "library" and len(names) > 1 else names)


def _weights(manifest: Path) -> str:
    """The SHA-256 of a manifest's one layer of weights, empty where it is no manifest or names several."""
    try:
        content: Any = json.loads(_small(manifest))
        layers = [layer for layer in content["layers"] if layer["mediaType"] == "application/vnd.ollama.image.model"]
        digests = [_DIGEST.fullmatch(layer["digest"]) for layer in layers]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return digests[0][1] if len(digests) == 1 and digests[0] else ""


def _entry(path: Path, name: str) -> str:
    """A text in a small JSON file, else nothing."""
    try:
        value = json.loads(_small(path))[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return value if isinstance(value, str) else ""


def _small(path: Path) -> str:
    """The text of a small plain file, else nothing."""
    try:
        if path.is_file() and path.stat().st_size <= MANIFEST_BYTES:
            return path.read_bytes()[:MANIFEST_BYTES].decode("utf-8-sig", errors="replace")
    except (OSError, ValueError):
        pass
    return ""


def _variable(name: str) -> Path | None:
    """The folder that an environment variable names."""
    text = os.environ.get(name, "").strip()
    return Path(os.path.expanduser(text)) if text else None


def _home() -> Path:
    return Path(os.path.expanduser("~"))


def _cache() -> Path:
    return _variable("XDG_CACHE_HOME") or _home() / ".cache"


def _local() -> Path:
    return _variable("LOCALAPPDATA") or _home() / "AppData" / "Local"
