"""Which layout a home has: `<root>/home.json`. What a newer Tideline wrote is refused, not guessed at.

Manifests say it too; this file says it for the lake and for homes in which nothing was published yet.
"""

from __future__ import annotations

import json
from pathlib import Path

SCHEMA_VERSION = 3
"""1 had no `accounting` in manifests; 2 no packs in the lake, no folded manifests and no `home.json`."""
HOME_FILE = "home.json"


class HomeError(RuntimeError):
    """A home that this Tideline cannot use; the message says what to do."""


def check_home(root: Path) -> int | None:
    """Return the schema version that a home says it has; None where it says nothing: new, or of before version 3.

    Raises
    ------
    HomeError
        If it is newer than `SCHEMA_VERSION`, or the file is damaged.
    """
    file = root / HOME_FILE
    try:
        version = int(json.loads(file.read_text())["schema_version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise HomeError(f"{file} is damaged: take it from a backup, or write the schema version by hand") from error
    refuse_newer(version, str(root))
    return version


def refuse_newer(version: int, what: str) -> None:
    """Raise `HomeError` if `what` has a schema version that this Tideline does not know."""
    if version > SCHEMA_VERSION:
        raise HomeError(
            f"{what} has schema version {version}, this Tideline knows {SCHEMA_VERSION}: use the Tideline that wrote it"
        )
