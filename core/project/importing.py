"""Reads a PDF in the worker child and adds it, cut into passages, to a project."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from core.documents.passages import check_size, cut_passages
from core.documents.reader import PasswordNeeded, read_document
from core.documents.records import Heading, Page
from core.errors import Cancelled, UserError
from core.project.project import Project
from core.project.records import DocumentRow
from core.worker import Worker


def add_pdf(
    project: Project,
    worker: Worker,
    path: Path,
    password: str | None = None,
    size: int = 1200,
    overlap: int = 200,
    on_page: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> DocumentRow:
    """Adds one PDF; `on_page(done, total)` tells the progress. Cancelled is raised, and nothing kept, when it is.

    A file that cannot be read is kept in the project as failed, with the reason, and its UserError is raised again; one
    that waits for its password is not kept.
    """
    check_size(size, overlap)
    path = path.resolve()
    try:
        document = read_document(worker, path, password, on_page, cancelled)
    except (PasswordNeeded, Cancelled):
        raise
    except UserError as error:
        if path.is_file():  # else it is a slip of the pen
            project.add_failed_document(path, str(error))
        raise
    passages = cut_passages(document.pages, document.outline, size, overlap)
    return project.add_document(document, passages, size, overlap)


def reread_pdf(
    project: Project,
    worker: Worker,
    document_id: int,
    password: str | None = None,
    on_page: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> DocumentRow:
    """Reads the file of a document anew, cut as it was, in place of what was read before.

    That stays when the file cannot be read, and UserError is raised; so it is when examples come from it.
    """
    old = project.document(document_id)
    if old.state == "failed":
        return add_pdf(project, worker, Path(old.path), password, on_page=on_page, cancelled=cancelled)
    project.refuse_change(document_id, "read again")
    document = read_document(worker, old.path, password, on_page, cancelled)
    passages = cut_passages(document.pages, document.outline, old.passage_size, old.overlap)
    return project.replace_document(document_id, document, passages)


def pages_to_cut(
    project: Project, document_id: int, outline: Sequence[Heading], cancelled: Callable[[], bool] = lambda: False
) -> list[Page]:
    """The pages as cutting needs them: with words only where a heading points, so that a long document stays small.

    Raises Cancelled when `cancelled` says so.
    """
    headed = {heading.page for heading in outline}
    pages: list[Page] = []
    for number in range(1, project.document(document_id).pages + 1):
        if cancelled():
            raise Cancelled("Reading the pages was cancelled.")
        page = project.page(document_id, number)
        pages.append(page if number in headed else replace(page, words=(), furniture=()))
    return pages


def recut_document(project: Project, document_id: int, size: int, overlap: int) -> DocumentRow:
    """Cuts a document that was read into other passages. Raises UserError when examples come from the old ones."""
    check_size(size, overlap)
    project.refuse_change(document_id, "cut anew")
    outline = project.document_outline(document_id)
    passages = cut_passages(pages_to_cut(project, document_id, outline), outline, size, overlap)
    return project.recut(document_id, passages, size, overlap)
