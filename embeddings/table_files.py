"""The store's tables as files, without lancedb: importing it takes seconds, and a query at a prompt should not wait.

Lance publishes the layout: `<table>.lance/_versions/` holds a manifest for each version, which names its data files,
and `_refs/tags/` a file for each tag. Manifests, data, deletions and indexes never change: a write makes new files.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from embeddings.checksums import record
from embeddings.settings import Settings

ITEM_VECTORS, USER_VECTORS = "item_vectors", "user_vectors"
_LARGEST = 2**64 - 1
_UNCHANGING = ("_versions/*.manifest", "data/**/*.lance", "_deletions/*", "_indices/**/*")


class StoreError(RuntimeError):
    """A table or a version that is not there; the message says what to do."""


def model_folder(settings: Settings, model_id: str) -> Path:
    """Return the folder of a model's tables: two models never meet in one table."""
    return settings.root / "vectors" / re.sub(r"[^a-z0-9]+", "-", model_id.lower()).strip("-")


def record_table(settings: Settings, model_id: str, name: str) -> int:
    """Record the checksums of a table's new files, after a write to it; return how many there were."""
    return record_files(model_folder(settings, model_id) / f"{name}.lance")


def record_files(table: Path) -> int:
    """Do the same for a table that is known by its folder."""
    return record(table, _UNCHANGING)


def tables_of(root: Path) -> list[Path]:
    """Return the folders of all tables of all models."""
    return sorted((root / "vectors").glob("[!.]*/*.lance"))


def link_generation(settings: Settings, model_id: str, generation: str, target: Path, *, tagged: bool = False) -> None:
    """Put both published tables below `target`, as a generation tagged them: that one version, without any history.

    Data files become hard links, or copies where the file system has none, so this takes milliseconds at any size and
    keeps its files when the store drops them. A write to `target`, even a drop, leaves the originals as they are.
    `tagged` puts the tag there too.

    Raises
    ------
    StoreError
        If a table is not there, or the generation has no tag (never merged, or no longer kept).
    """
    for name in (USER_VECTORS, ITEM_VECTORS):
        table = model_folder(settings, model_id) / f"{name}.lance"
        try:
            version = _tagged(table, generation)
            _link_version(table, version, target / table.name)
            if tagged:
                tag = tag_file(target / table.name, generation)
                tag.parent.mkdir(parents=True)
                shutil.copyfile(tag_file(table, generation), tag)
            # A tag goes before the files of its version: while it is there, so are they.
            kept = _tagged(table, generation) == version
        except FileNotFoundError:
            kept = False
        if not kept:
            raise StoreError(
                f"{name} has no version of generation {generation}: it was never merged or is no longer kept"
            )


def link_latest(table: Path, target: Path) -> None:
    """Put the latest version of a table at `target`, as `link_generation` does; a table without one is left out."""
    versions = [int(file.stem) for file in (table / "_versions").glob("*.manifest") if file.stem.isdigit()]
    if versions:
        # Names of the newer way count down from the largest number.
        _link_version(table, max(_LARGEST - n if n > _LARGEST // 2 else n for n in versions), target)


def tag_file(table: Path, tag: str) -> Path:
    """Return the file in which a table keeps a tag."""
    return table / "_refs" / "tags" / f"{tag}.json"


def _tagged(table: Path, generation: str) -> int:
    return int(json.loads(tag_file(table, generation).read_text())["version"])


def _link_version(table: Path, version: int, target: Path) -> None:
    # The newer way of naming counts down, so that the first name is the latest version.
    names = (f"{_LARGEST - version:020}.manifest", f"{version}.manifest")
    manifest = next((file for name in names if (file := table / "_versions" / name).exists()), None)
    if manifest is None:
        raise FileNotFoundError(f"{table} has no version {version}")
    (target / "_versions").mkdir(parents=True)
    shutil.copyfile(manifest, target / "_versions" / manifest.name)
    listed = manifest.read_bytes()
    for folder in ("data", "_deletions", "_indices"):
        for file in (table / folder).rglob("*"):
            # Deletions and indexes are listed by number, and small.
            if file.is_file() and (folder != "data" or file.name.encode() in listed):
                link = target / file.relative_to(table)
                link.parent.mkdir(parents=True, exist_ok=True)
                link_file(file, link)


def link_file(file: Path, link: Path) -> None:
    """Make a hard link to a file that never changes, or a copy where the file system has none."""
    try:
        link.hardlink_to(file)
    except FileNotFoundError:
        raise
    except OSError:  # no hard links here, or not to a file of somebody else
        shutil.copyfile(file, link)
