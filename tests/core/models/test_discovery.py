"""Models in the folders of other programs are found once each; odd and hostile things there are passed over."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from core import paths
from core.errors import UserError
from core.models import discovery
from core.models.discovery import Found, found_elsewhere
from core.models.shelf import models_folder, shelf
from tests.data.gguf_tiny import write_tiny

DIGEST = "a" * 64


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything in it."""
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(discovery, "OLLAMA_OF_THE_SYSTEM", tmp_path / "none")
    monkeypatch.setattr(paths, "data_folder", lambda: home / "data")
    return home


def put(tiny: Path, *where: Path | str) -> Path:
    """A copy of a small model, at a place whose folders are made."""
    path = Path(*where)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(tiny, path)
    return path


def names(program: str) -> list[str]:
    return [found.path.name for found in found_elsewhere() if found.program == program]


def programs() -> list[tuple[str, str]]:
    """Program and name of what the shelf holds besides the starter."""
    return [(item.program, item.model.name if item.model else item.problem) for item in shelf()][1:]


def test_a_models_folder_that_cannot_be_made_is_told(home: Path) -> None:
    """As where it is a link to a disk that is not there."""
    (home / "data" / "models").write_text("")
    with pytest.raises(UserError, match="cannot make its folder"):
        list(shelf())


@pytest.mark.parametrize(
    ("variable", "below"),
    [("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")],
)
def test_hugging_face(variable: str, below: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "hf"))
    model = tmp_path / "hf" / below / "models--owner--name"
    blob = put(tiny, model / "blobs" / DIGEST)
    put(tiny, model / "blobs" / ("b" * 64 + ".incomplete"))
    put(tiny, model / "snapshots" / "two" / "README.md")
    put(tiny, tmp_path / "hf" / below / "datasets--owner--name" / "snapshots" / "one" / "data.gguf")
    first = model / "snapshots" / "one" / "sub" / "model.gguf"
    first.parent.mkdir(parents=True)
    for link in (first, model / "snapshots" / "two" / "model.gguf", model / "snapshots" / "two" / "gone.gguf"):
        try:
            link.symlink_to(blob if link.name == "model.gguf" else "nowhere")
        except OSError:  # Windows without the right to make links: the hub's client copies there
            put(tiny, first)
    assert next(found_elsewhere()).path == first
    assert programs() == [("Hugging Face", "tiny-random")]


def test_the_usual_folder_of_hugging_face(home: Path, tiny: Path) -> None:
    put(tiny, home / ".cache/huggingface/hub/models--o--n/snapshots/1/m.gguf")
    assert names("Hugging Face") == ["m.gguf"]


@pytest.mark.parametrize(
    ("platform", "folder"),
    [("linux", ".cache/llama.cpp"), ("darwin", "Library/Caches/llama.cpp"), ("win32", "AppData/Local/llama.cpp")],
)
def test_llama_cpp(platform: str, folder: str, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    put(tiny, home / folder / "owner_name_model.gguf")
    put(tiny, home / folder / "owner_name_model.gguf.json")
    put(tiny, home / folder / "other.gguf.downloadInProgress")
    assert names("llama.cpp") == ["owner_name_model.gguf"]
    monkeypatch.setenv("LLAMA_CACHE", str(put(tiny, home / "elsewhere" / "b.GGUF").parent))
    assert names("llama.cpp") == ["b.GGUF"]


def test_lm_studio(home: Path, tiny: Path) -> None:
    put(tiny, home / ".lmstudio/models/owner/name/a.gguf")
    put(tiny, home / ".lmstudio/models/owner/name/.hidden.gguf")
    put(tiny, home / ".cache/lm-studio/models/owner/name/b.gguf")
    put(tiny, home / "moved" / "models/owner/name/c.gguf")
    assert names("LM Studio") == ["a.gguf", "b.gguf"]
    (home / ".lmstudio-home-pointer").write_text(f"{home / 'moved'} \r\n")
    assert names("LM Studio") == ["c.gguf", "a.gguf", "b.gguf"]
    settings = home / "moved" / "settings.json"
    put(tiny, home / "chosen" / "owner" / "d.gguf")
    settings.write_text(json.dumps({"downloadsFolder": str(home / "chosen")}))
    assert names("LM Studio") == ["d.gguf", "c.gguf", "a.gguf", "b.gguf"]
    for content in ("", "[]", '{"downloadsFolder": 7}', '{"downloadsFolder": "relative"}'):
        settings.write_text(content)
        assert names("LM Studio") == ["c.gguf", "a.gguf", "b.gguf"]
    for odd in ("relative", "\0", "x" * (2 << 20)):
        (home / ".lmstudio-home-pointer").write_text(odd)
        assert names("LM Studio") == ["a.gguf", "b.gguf"]


@pytest.mark.parametrize(
    ("platform", "folder", "settings"),
    [
        ("linux", ".local/share", ".config"),
        ("darwin", "Library/Application Support", ".config"),
        ("win32", "AppData/Local", "AppData/Roaming"),
    ],
)
def test_gpt4all(
    platform: str, folder: str, settings: str, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("APPDATA", str(home / "AppData/Roaming"))
    put(tiny, home / folder / "nomic.ai/GPT4All/a.gguf")
    put(tiny, home / folder / "nomic.ai/GPT4All/incomplete-b.gguf.part")
    put(tiny, home / "moved" / "c.gguf")
    assert names("GPT4All") == ["a.gguf"]
    ini = home / settings / "nomic.ai" / "GPT4All.ini"
    ini.parent.mkdir(parents=True)
    ini.write_text(f"[General]\nmodelPath={(home / 'moved').as_posix()}/\nuserDefaultModel=%1\n")
    assert names("GPT4All") == ["c.gguf", "a.gguf"]
    for odd in ("no section", "[General]\nmodelPath=relative", "[Other]\nmodelPath=/x", "[General", "\0"):
        ini.write_text(odd)
        assert names("GPT4All") == ["a.gguf"]


def manifest(store: Path, *where: str, digest: str = f"sha256:{DIGEST}") -> Path:
    """A manifest as Ollama writes it."""
    path = store.joinpath("manifests", *where)
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [("template", "sha256:" + "c" * 64), ("model", digest)]
    written = [{"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest} for kind, digest in layers]
    path.write_text(json.dumps({"schemaVersion": 2, "layers": written}))
    return path


def test_ollama(home: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = home / ".ollama" / "models"
    blob = put(tiny, store / "blobs" / f"sha256-{DIGEST}")
    manifest(store, "registry.ollama.ai", "library", "llama3.2", "3b")
    assert list(found_elsewhere()) == [Found(blob, "Ollama", "llama3.2:3b")]
    assert programs() == [("Ollama", "llama3.2:3b")]
    manifest(store, "registry.ollama.ai", "someone", "tuned", "latest")
    manifest(store, "hf.co", "owner", "name", "Q4_K_M")
    assert [found.name for found in found_elsewhere()] == [
        "hf.co/owner/name:Q4_K_M", "llama3.2:3b", "someone/tuned:latest",
    ]  # fmt: skip
    assert programs() == [("Ollama", "hf.co/owner/name:Q4_K_M")]  # the same file once
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "moved"))
    assert programs() == []
    put(tiny, discovery.OLLAMA_OF_THE_SYSTEM / "blobs" / f"sha256-{DIGEST}")
    manifest(discovery.OLLAMA_OF_THE_SYSTEM, "registry.ollama.ai", "library", "qwen3", "4b")
    assert programs() == ([("Ollama", "qwen3:4b")] if sys.platform == "linux" else [])


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", "7", '{"layers": 3}', '{"layers": [1]}', '{"layers": [{"mediaType": 1}]}',
        '{"layers": [{"mediaType": "application/vnd.ollama.image.model"}]}',
        '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": 5}]}',
        "[" * 100_000, " " * (1 << 20) + "{}",
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_passed_over(content: str, home: Path, tiny: Path) -> None:
    store = home / ".ollama" / "models"
    put(tiny, store / "blobs" / f"sha256-{DIGEST}")
    manifest(store, "registry.ollama.ai", "library", "bad", "1").write_text(content)
    manifest(store, "registry.ollama.ai", "library", "good", "1")
    assert [found.name for found in found_elsewhere()] == ["good:1"]


@pytest.mark.parametrize("digest", ["sha256:../../../secret", f"sha256:{DIGEST}/../x", "sha256:" + "A" * 64, ""])
def test_a_digest_leads_nowhere_else(digest: str, home: Path, tiny: Path) -> None:
    store = home / ".ollama" / "models"
    put(tiny, home / "secret")
    put(tiny, store / "blobs" / f"sha256-{DIGEST}")
    manifest(store, "registry.ollama.ai", "library", "bad", "1", digest=digest)
    assert list(found_elsewhere()) == []


def test_what_is_no_model_is_silent_elsewhere_and_told_at_home(home: Path, tiny: Path) -> None:
    studio = home / ".lmstudio" / "models" / "o" / "n"
    put(tiny, studio / "good.gguf")
    (studio / "broken.gguf").write_bytes(b"GGUF")
    (studio / "cut.gguf").write_bytes(tiny.read_bytes()[:5000])
    write_tiny(studio / "adapter.gguf", kind="adapter")
    write_tiny(studio / "mmproj-f16.gguf", kind="mmproj")
    shutil.copy(tiny, studio / "big-00001-of-00002.gguf")
    (models_folder() / "mine.gguf").write_bytes(b"GGUF")
    found = programs()
    assert [program for program, _ in found] == ["Elenchus", "LM Studio"]
    assert "mine.gguf" in found[0][1]


def test_parts_are_one_model(home: Path, tiny: Path) -> None:
    from tests.core.models.test_download import second_part

    studio = home / ".lmstudio" / "models" / "o" / "n"
    put(tiny, studio / "big-00001-of-00002.gguf")
    (studio / "big-00002-of-00002.gguf").write_bytes(second_part())
    (only,) = [item for item in shelf() if item.program == "LM Studio"]
    assert only.path.name == "big-00001-of-00002.gguf"


def test_one_file_by_many_ways_is_listed_once(home: Path, tiny: Path) -> None:
    real = put(tiny, home / "disk" / "real.gguf")
    try:
        (models_folder() / "link.gguf").symlink_to(real)
    except OSError:
        pytest.skip("this account may not make links")
    studio = home / ".lmstudio" / "models"
    studio.mkdir(parents=True)
    os.link(real, studio / "hard.gguf")
    (studio / "folder").symlink_to(home / "disk")
    (studio / "loop").symlink_to(studio)
    assert [(item.path.name, item.chosen) for item in shelf([real, studio / "hard.gguf"])][1:] == [("link.gguf", False)]
    (models_folder() / "link.gguf").unlink()
    assert [(item.path, item.chosen) for item in shelf([real])][1:] == [(real, True)]
    assert names("LM Studio") == ["hard.gguf", "real.gguf"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_odd_files_and_closed_folders_are_passed_over(home: Path, tiny: Path) -> None:
    studio = home / ".lmstudio" / "models"
    put(tiny, studio / "z.gguf")
    os.mkfifo(studio / "pipe.gguf")
    os.mkfifo(home / ".lmstudio-home-pointer")
    (studio / "device.gguf").symlink_to("/dev/zero")
    (studio / "folder.gguf").mkdir()
    (studio / "closed").mkdir(mode=0)
    os.mkfifo(models_folder() / "pipe.gguf")
    assert names("LM Studio") == ["z.gguf"]
    assert programs() == [("LM Studio", "tiny-random")]
    (studio / "closed").chmod(0o700)


def test_the_search_is_bounded(home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = home / ".lmstudio" / "models"
    for number in range(20):
        put(tiny, studio / "many" / f"{number:02}.gguf")
    deep = put(tiny, studio.joinpath(*"abcdefghij") / "deep.gguf")
    assert deep.name not in names("LM Studio")
    monkeypatch.setattr(discovery, "FILES", 5)
    assert len(names("LM Studio")) == 5
    monkeypatch.setattr(discovery, "ENTRIES", 12)
    monkeypatch.setattr(discovery, "FILES", 1000)
    assert len(names("LM Studio")) <= 12
