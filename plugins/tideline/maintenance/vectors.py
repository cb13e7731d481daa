"""Upkeep of the vector tables of a home, under the locks of those who write to them."""

from __future__ import annotations

from embeddings.settings import Settings
from tideline.serving.lock import exclusive
from tideline.serving.pointer import serving_folder


def compact_vectors(settings: Settings) -> dict[str, int]:
    """Compact every vector table of the home; return how many `tables` there are, and their `bytes_freed`.

    Published tables are compacted under the publishers' lock: a compaction loses to a merge at the same time.
    """
    from embeddings.store import compact_models

    serving = serving_folder(settings.root)
    serving.mkdir(parents=True, exist_ok=True)
    with exclusive(serving / "lock", "maintenance of vectors"):
        return compact_models(settings)
