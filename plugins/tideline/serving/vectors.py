"""Vectors of a run go into the shared vector tables at commit, and leave them when no kept snapshot needs them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from embeddings.settings import Settings
from embeddings.table_files import ITEM_VECTORS, USER_VECTORS, model_folder, tag_file
from tideline.run import Run
from tideline.serving.manifest import Manifest
from tideline.serving.pointer import Snapshot


def merge_vectors(run: Run, settings: Settings) -> dict[str, Any]:
    """Merge the run's user and item vectors into the store, under the publishers' lock.

    A user's later vectors stay, by the same rule as his later rows. A repeated call leaves the same vectors.

    Returns
    -------
    dict
        What the store reports: model, tag and versions of its tables. Empty if the run has made no vector.
    """
    model = _model(run)
    if model is None:
        return {}
    from embeddings.store import merge_run

    return dict(
        merge_run(
            settings,
            model,
            user_vectors=run.vectors / "user_vectors.parquet",
            item_vectors=run.vectors / "item_vectors.parquet",
            generation=run.generation,
            everyone=run.kind == "nightly",
            carried=run.base is not None,
        )
    )


def has_vectors(settings: Settings, entry: Manifest) -> bool:
    """Say whether both tables have the version that a generation was published with."""
    folder, tag = model_folder(settings, str(entry.vectors["model"])), str(entry.vectors["tag"])
    return all(tag_file(folder / f"{name}.lance", tag).exists() for name in (USER_VECTORS, ITEM_VECTORS))


def forget_vectors(settings: Settings, manifests: Iterable[Manifest], kept: Iterable[Snapshot]) -> None:
    """Let the store drop versions that no kept snapshot was published with."""
    models = {str(entry.vectors["model"]) for entry in manifests if entry.vectors}
    if not models:
        return
    from embeddings.store import forget_generations

    generations = {snapshot.generation for snapshot in kept}
    for model in sorted(models):
        forget_generations(settings, model, generations)


def _model(run: Run) -> str | None:
    import pyarrow.parquet as pq

    file = run.vectors / "user_vectors.parquet"
    if not file.exists():
        return None
    batch = next(pq.ParquetFile(file).iter_batches(batch_size=1, columns=["model"]), None)
    return str(batch["model"][0]) if batch and batch.num_rows else None
