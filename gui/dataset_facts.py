"""What a dataset was made from and how, folded away until it is asked for."""

from __future__ import annotations

import json

from gui.dataset_list import Entry
from gui.dataset_words import sizes, sizes_words, source_words
from gui.facts import Facts
from gui.session import Session
from gui.words import local_time


class DatasetFacts(Facts):
    """Facts of the dataset that is shown."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, self.tr("How it was made"))
        self._entry: Entry | None = None

    def show_entry(self, entry: Entry) -> None:
        """The facts of another one."""
        self._entry = entry
        self.refresh()

    def facts(self) -> list[tuple[str, str]]:
        if self._entry is None:
            return []
        dataset, recipe = self._entry.dataset, self._entry.dataset.recipe
        return [
            (self.tr("Rows"), sizes_words(sizes(dataset))),
            (self.tr("Of"), source_words(str(recipe.get("what", "")))),
            (self.tr("Frozen"), local_time(dataset.created_at)),
            (self.tr("Checksum"), dataset.sha256),
            (self.tr("Adapters"), ", ".join(self._entry.adapters)),
            (self.tr("Recipe"), json.dumps(recipe, ensure_ascii=False)),
        ]
