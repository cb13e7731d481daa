"""`make backup TO=...` and `make restore FROM=...`: a home to another disk, and back into an empty one."""

from __future__ import annotations

from pathlib import Path

from embeddings.settings import Settings
from tideline.maintenance.backup import Copied, back_up, restore
from tideline.serving.upgrade import open_home


def backup(settings: Settings, to: str) -> None:
    """Back the home up and print what was copied. Errors are those of `back_up`."""
    print(_told(back_up(settings, Path(to)), f"{settings.root} -> {Path(to).resolve()}"))


def restore_home(settings: Settings, origin: str) -> None:
    """Restore a backup into the empty home, bring it to the present layout, and print what was copied."""
    copied = restore(settings, Path(origin))
    open_home(settings)
    print(_told(copied, f"{Path(origin).resolve()} -> {settings.root}"))
    print("Readers can ask it now (`make sql`), and runs go on from here.")


def _told(copied: Copied, way: str) -> str:
    return f"{way}: generation {copied.generation}, {copied.files:,} files, {copied.bytes / 1e6:,.1f} MB, all checked"
