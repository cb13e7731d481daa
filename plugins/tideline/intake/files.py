"""Which landing files are new: by name, size and time of change first, by content only where these differ."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tideline.intake.declaration import Declaration, Table
from tideline.intake.errors import LandingError, UnsettledFileError

UNFINISHED = (".part", ".tmp", ".crdownload")


@dataclass(frozen=True)
class LandingFile:
    """One file of the landing folder as it was when it was found."""

    path: Path
    name: str
    """Relative to the landing folder, with forward slashes."""
    table: Table
    size: int
    mtime_ns: int
    sha256: str = ""
    batch_id: str = ""

    def check_unchanged(self) -> None:
        """Make sure that the file is still the one that was found.

        Raises
        ------
        UnsettledFileError
            If it grew, was replaced or went away.
        """
        try:
            now = self.path.stat()
        except FileNotFoundError:
            raise UnsettledFileError(f"{self.name} went away while it was read") from None
        if (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns):
            raise UnsettledFileError(f"{self.name} changed while it was read")


def find_files(landing: Path, declaration: Declaration, batches: Sequence[dict[str, Any]]) -> list[LandingFile]:
    """List the files that feed the declared tables, in a fixed order; each feeds the first table that names it.

    A required table needs a file, or a batch of an earlier intake (its files may have been tidied away).

    Raises
    ------
    LandingError
        If the folder is missing or a required table has neither.
    """
    source = declaration.source
    if not landing.is_dir():
        raise LandingError(
            f"source {source!r}: the landing folder {landing} does not exist; set LANDING to the raw files"
        )
    taken_in = {batch["table"] for batch in batches}
    files: dict[str, LandingFile] = {}
    for table in declaration.tables:
        found = sorted(
            {path for pattern in table.files for path in landing.glob(pattern) if _is_finished(path, landing)}
        )
        if not found and not table.optional and table.name not in taken_in:
            raise LandingError(
                f"source {source!r}: no file for the table {table.name!r} in {landing}, "
                f"expected {' or '.join(table.files)}"
            )
        for path in found:
            name = path.relative_to(landing).as_posix()
            stat = path.stat()
            files.setdefault(name, LandingFile(path, name, table, stat.st_size, stat.st_mtime_ns))
    return list(files.values())


def select_new(
    files: Sequence[LandingFile], source: str, batches: Sequence[dict[str, Any]]
) -> tuple[list[LandingFile], list[str]]:
    """Return the files whose content is in no batch yet, with hash and batch id, and the names of unsettled ones."""
    seen = {(batch["file"], batch["bytes"], batch["mtime_ns"]) for batch in batches}
    known = {batch["batch_id"] for batch in batches}
    new: list[LandingFile] = []
    unsettled: list[str] = []
    for file in files:
        if (file.name, file.size, file.mtime_ns) in seen:
            continue
        try:
            digest = _hash(file.path)
            file.check_unchanged()
        except (FileNotFoundError, UnsettledFileError):
            unsettled.append(file.name)
            continue
        batch_id = hashlib.sha256("\n".join((source, file.name, digest)).encode()).hexdigest()[:16]
        if batch_id not in known:
            new.append(replace(file, sha256=digest, batch_id=batch_id))
    return new, unsettled


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_finished(path: Path, landing: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(landing).parts)
    return path.is_file() and not hidden and not path.name.endswith(UNFINISHED)
