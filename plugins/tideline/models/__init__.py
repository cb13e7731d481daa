"""Trained versions that are never changed, and which of them is the champion of a window."""

from tideline.models.store import (
    LOG,
    ModelStoreError,
    Version,
    champion_for,
    damaged_versions,
    find_version,
    go_back,
    list_champions,
    list_versions,
    next_champion_from,
    promote,
    remove_unused,
    save_version,
    use_version,
)

__all__ = [
    "LOG",
    "ModelStoreError",
    "Version",
    "champion_for",
    "damaged_versions",
    "find_version",
    "go_back",
    "list_champions",
    "list_versions",
    "next_champion_from",
    "promote",
    "remove_unused",
    "save_version",
    "use_version",
]
