"""Reads a PDF in the worker child and adds it, cut into passages, to a project."""

from collections.abc import Callable
from pathlib import Path

from core.documents.passages import check_size, cut_passages
from core.documents.reader import PasswordNeeded, read_document
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
