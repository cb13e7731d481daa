"""What can be seen of a home: by its readers, and all in all once a run has ended."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from embeddings import checksums
from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.table_files import ITEM_VECTORS, USER_VECTORS
from tideline.intake import list_batches
from tideline.models import list_champions, list_versions
from tideline.serving.fingerprint import fingerprint
from tideline.serving.manifest import read_manifest
from tideline.serving.pointer import NothingPublishedError, current_snapshot, serving_folder
from tideline.serving.readers import connect

NEW = "new batches"
"""Which batches of the intake the last run was the first to use."""
TABLES = {
    "nightly_recommendations": "(from nightly_recommendations)",
    "hourly_recommendations": "(from hourly_recommendations)",
    "user_interests": "(from user_interests)",
    "popular_recommendations": "(from popular_recommendations)",
    "popular_by_category": "(from popular_by_category)",
    "items": "(from items)",
    "intake": "(select * exclude (landed_at, is_new), '' as generation from intake)",
    NEW: "(select batch_id, is_new, '' as generation from intake)",
    "quarantine_summary": "(select *, '' as generation from quarantine_summary)",
}
"""Published tables whose content the inputs decide, and what of it: not when something happened or how long it took."""
Seen = dict[str, Any]


def see_published(settings: Settings) -> Seen:
    """Return what readers see, as plain values that are equal for equal content; empty if nothing is published.

    `generation` that the pointer names, `layers` (current generations and their `rows_hash`), `tables` (a hash each),
    `vectors` (the hash of the vectors that this generation was published with).
    """
    try:
        with connect(settings) as reader:
            layers = reader.execute(
                "select generation, rows_hash from run_history where is_current order by all"
            ).fetchall()
            tables = {name: fingerprint(reader, [relation]) for name, relation in TABLES.items()}
    except NothingPublishedError:
        return {}
    current = current_snapshot(serving_folder(settings.root))
    generation = current.generation if current else ""
    layers_seen = [list(layer) for layer in layers]
    return {
        "generation": generation,
        "layers": layers_seen,
        "tables": tables,
        "vectors": _vectors(settings, generation),
    }


def see_all(settings: Settings, run_id: str) -> Seen:
    """Return what there is when a stage or a run has ended: what readers see, batches and events of the lake, texts,
    models, what the run has pinned, and the checksums of its files.

    A doubled event, batch, text, version or line of the log shows as another number than that of a run that nobody
    disturbed.
    """
    from embeddings.store import TEXT_VECTORS, open_table

    batches = list_batches(settings.root)
    ledger = open_table(settings, describe_model(settings).model_id, TEXT_VECTORS)
    run = settings.root / "runs" / run_id
    keys = ledger.to_arrow()["key"].to_pylist() if ledger is not None else []
    return {
        "published": see_published(settings),
        "batches": sorted(batch["batch_id"] for batch in batches),
        "events": sum(batch["events"] for batch in batches),
        "quarantined": sum(batch["quarantined"] for batch in batches),
        "quarantine": sorted(file.name for file in (settings.root / "quarantine").glob("*.parquet")),
        "texts": [len(keys), len(set(keys))],
        "versions": [version.name for version in list_versions(settings.root)],
        "pinned": (run / "run.json").read_text() if run.is_dir() else None,
        "files": {name: told for name, (_, _, told) in checksums.load(run).items()},
        "champions": [entry["version"] for entry in list_champions(settings.root)],
    }


def _vectors(settings: Settings, generation: str) -> str | None:
    from embeddings.store import read_table

    entry = read_manifest(generation, settings.root)
    if entry is None or not entry.vectors:
        return None
    digest = sha256()
    for name, id_column in ((USER_VECTORS, "user_id"), (ITEM_VECTORS, "item_id")):
        rows = read_table(settings, str(entry.vectors["model"]), name, generation).sort_by(id_column)
        digest.update(repr(rows.to_pylist()).encode())
    return digest.hexdigest()[:32]
