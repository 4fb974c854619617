"""Documents, pages, passages and runs between the rows of the tables and plain records."""

from collections.abc import Sequence
from typing import Any

from core.documents.records import Page, Passage
from core.project import packing
from core.project.records import DocumentRow, PassageRow, Run, RunSettings
from core.project.schema import ProjectDatabase


def documents(database: ProjectDatabase, query: Any) -> list[DocumentRow]:
    """What a query of the documents gives."""
    return [
        DocumentRow(
            id=row["id"],
            sha256=row["sha256"],
            path=row["path"],
            title=row["title"],
            state=row["state"],
            reason=row["reason"],
            pages=row["page_count"],
            passages=row["passage_count"],
            warnings=packing.unpack_strings(row["warnings"]),
            metadata=packing.unpack_string_map(row["metadata"]),
            passage_size=row["passage_size"],
            overlap=row["overlap"],
        )
        for row in query.dicts().execute(database)
    ]


def passages(database: ProjectDatabase, query: Any) -> list[PassageRow]:
    """What a query of the passages gives."""
    return [
        PassageRow(id, document_id, ordinal, section, text, packing.unpack_parts(parts))
        for id, document_id, ordinal, section, parts, text in query.tuples().execute(database)
    ]


def runs(database: ProjectDatabase, query: Any) -> list[Run]:
    """What a query of the runs gives."""
    return [
        Run(
            id=row["id"],
            state=row["state"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            request=RunSettings(
                **{name: row[name] for name in RunSettings.__dataclass_fields__ if name not in ("prompts", "settings")},
                prompts=packing.unpack_string_map(row["prompts"]),
                settings=packing.unpack_map(row["settings"]),
            ),
            usage=packing.unpack_map(row["usage"]),
            reason=row["reason"],
        )
        for row in query.dicts().execute(database)
    ]


def page_values(page: Page) -> dict[str, Any]:
    """A page as it is kept, but for its document."""
    return {
        "number": page.number,
        "label": page.label,
        "width": page.width,
        "height": page.height,
        "warnings": packing.pack(list(page.warnings)),
        "furniture": packing.pack_furniture(page.furniture),
        "text": page.text,
        "words": packing.pack_words(page.words),
    }


def passage_values(document_id: int, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """The passages of a document as they are kept."""
    return [
        {
            "document_id": document_id,
            "ordinal": ordinal,
            "section": passage.section,
            "parts": packing.pack([[part.page, part.start, part.end] for part in passage.parts]),
            "text": passage.text,
        }
        for ordinal, passage in enumerate(passages)
    ]
