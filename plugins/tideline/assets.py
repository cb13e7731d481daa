"""Asset URIs: the one place where the data that DAGs exchange has its names."""

from __future__ import annotations

from embeddings.settings import Settings


def landing(settings: Settings) -> str:
    """URI of the landing folder of a source."""
    return f"tideline://{settings.source}/landing"


def burst(settings: Settings) -> str:
    """URI of what lands in a burst. Only the hourly DAG names it: a DAG without the watcher would take it away."""
    return f"tideline://{settings.source}/landing/burst"


def recommendations(settings: Settings, layer: str) -> str:
    """URI of a published layer, `nightly` or `hourly`."""
    return f"tideline://{settings.source}/recommendations/{layer}"
