"""What is trained on: examples, runs, picks or files, frozen as rows that never change, and divided so that nothing
that belongs together is on two sides."""

from core.datasets.comparing import Change, Difference, compare
from core.datasets.selecting import ACCEPTED, RUN, Selection, describe, freeze, select

__all__ = ["ACCEPTED", "RUN", "Change", "Difference", "Selection", "compare", "describe", "freeze", "select"]
