"""A short list of well-known models that can be downloaded, with what each needs."""

import tomllib
from dataclasses import dataclass

from core import paths


@dataclass(frozen=True)
class Recommended:
    """A model on the hub: `source` is what `download` takes, `size` and `cache` (of one token) are bytes."""

    name: str
    source: str
    size: int
    cache: int
    licence: str
    good_for: str

    def memory(self, tokens: int) -> int:
        """Bytes that the weights and a cache of so many tokens take; without what computing takes."""
        return self.size + tokens * self.cache


def recommended() -> list[Recommended]:
    """The list, the smallest first."""
    text = (paths.resources() / "models" / "recommended.toml").read_text(encoding="utf-8")
    return [Recommended(**entry) for entry in tomllib.loads(text)["model"]]
