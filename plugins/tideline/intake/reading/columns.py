"""Which declared columns a file has, and the error where one is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tideline.intake.declaration import Table
from tideline.intake.errors import LandingError
from tideline.intake.files import LandingFile


@dataclass(frozen=True)
class Found:
    """What a reader found beside the rows."""

    present: frozenset[str] = frozenset()
    """Declared columns that the file has; the table `staged` has `_row` and these."""
    extra: tuple[str, ...] = ()
    """Columns that nobody declared: left out, and said so."""


def match_columns(table: Table, file: LandingFile, names: Sequence[str]) -> Found:
    """Compare the names that a file has with the declared ones.

    Raises
    ------
    LandingError
        If a required column is missing.
    """
    declared = [column.name for column in table.columns]
    missing = [name for name in table.required if name not in names]
    if missing:
        raise LandingError(
            f"table {table.name!r}: {file.path} lacks the column {', '.join(map(repr, missing))}; "
            f"expected {', '.join(declared)}; found {', '.join(names)}"
        )
    return Found(frozenset(declared) & frozenset(names), tuple(name for name in names if name not in declared))
