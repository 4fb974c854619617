"""Where a model can be downloaded from, read out of what a user types or pastes."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from core.errors import UserError
from core.models.files import part_names

HUB = "https://huggingface.co"
HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
PARTS = 200  # files of one model
NAME = 200  # characters of a file's name

_REPOSITORY = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)/(?P<path>[^@]+)(@(?P<revision>[\w./-]+))?", re.ASCII)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')


@dataclass(frozen=True)
class Source:
    """A model's file: in a `repository` of the hub, where `revision` is a branch, tag or commit, or else at `path`."""

    text: str  # as it was given
    path: str  # in the repository, or the whole address
    repository: str = ""
    revision: str = ""

    @property
    def name(self) -> str:
        """What the file is called on this computer: no folders, nothing that a file system refuses."""
        return _file_name(self.path if self.repository else urlsplit(self.path).path)

    @property
    def host(self) -> str:
        """Who sends it."""
        return urlsplit(hub() if self.repository else self.path).hostname or ""

    def addresses(self, commit: str = "") -> Iterator[tuple[str, str]]:
        """The name and the URL of each file of the model, at a commit where it is known."""
        for name, part in zip(part_names(self.name), part_names(self.last), strict=True):
            if self.repository:
                path = quote(self.path.removesuffix(self.last) + part)
                yield name, f"{hub()}/{self.repository}/resolve/{quote(commit or self.revision, safe='')}/{path}"
            else:
                url = urlsplit(self.path)
                yield name, url._replace(path=url.path.removesuffix(self.last) + part).geturl()

    @property
    def last(self) -> str:
        """The last piece of its path, as it stands there."""
        path = self.path if self.repository else urlsplit(self.path).path
        return path.rpartition("/")[2]


def hub() -> str:
    """The address of the hub; `HF_ENDPOINT` names a mirror. Raises UserError where that is no address."""
    named = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/")
    if named and not re.match(r"https?://[^/@]+", named):
        raise UserError(
            f"The environment variable HF_ENDPOINT is “{_short(named)}”, which is no address of a server. "
            "Give it one that begins with https://, or unset it."
        )
    return named or HUB


def read_source(text: str) -> Source:
    """Reads `owner/name/file.gguf`, with `@revision` where one is wanted, or an address. Raises UserError."""
    text = text.strip()
    source = _address(text) if "://" in text else _in_hub(text)
    if not source.name.lower().endswith(".gguf"):
        raise UserError(
            f"“{_short(text)}” does not name a GGUF file. Give a file as owner/name/file.gguf, or its address."
        )
    count = len(part_names(source.name))
    if not 0 < count <= PARTS or count != len(part_names(source.last)):
        raise UserError(f"“{source.name}” is a part of a model, and its number makes no sense. Check the name.")
    return source


def _in_hub(text: str) -> Source:
    match = _REPOSITORY.fullmatch(text)
    if match is None or ".." in text:
        raise UserError(
            f"“{_short(text)}” is no file of Hugging Face and no address. "
            "Give a file as owner/name/file.gguf, or an address that begins with https://."
        )
    return Source(text, match["path"], match["repository"], match["revision"] or "main")


def _address(text: str) -> Source:
    wrong = UserError(
        f"“{_short(text)}” is no address that can be downloaded from. "
        "Give one that begins with https:// and holds no password."
    )
    try:
        url = urlsplit(quote(text, safe="!#$%&'()*+,/:;=?@[]~"))
        port = url.port
    except ValueError as error:
        raise wrong from error
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc or port == 0:
        raise wrong
    parts = [unquote(part) for part in url.path.split("/")[1:]]
    if url.netloc in (urlsplit(hub()).netloc, *HUB_HOSTS) and len(parts) > 4 and parts[2] in ("blob", "resolve"):
        owner, name, _, revision, *path = parts
        return Source(text, "/".join(path), f"{owner}/{name}", revision)
    return Source(text, url._replace(fragment="").geturl())


def _file_name(path: str) -> str:
    name = _FORBIDDEN.sub("_", unquote(path.rpartition("/")[2])).strip(" .")
    if len(name) > NAME:
        name = name[-NAME:].lstrip(" .")
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"
