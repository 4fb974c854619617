"""`elenchus …`: a command of `core`, or the window. Spawned children import this module too: no Qt at its top."""

import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Runs a command, or opens the window on a project or on none; returns the exit code."""
    from core import cli

    return cli.main(arguments, open_window)


def open_window(project: Path | None) -> int:
    """Opens the window and returns when it is closed."""
    from gui.app import run

    return run(project)


if __name__ == "__main__":
    sys.exit(main())
