"""Manifests: one JSON file for each generation that a run has built, current or only stored.

They outlive their snapshots by `keep_history_days`; see `folding` for what then is left of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embeddings.failpoints import failpoint
from embeddings.home import SCHEMA_VERSION
from tideline.run import Run, write_atomically
from tideline.serving.layer import Layer
from tideline.serving.pointer import GENERATION, SnapshotError, serving_folder, snapshot_path


@dataclass(frozen=True)
class Manifest:
    """What a generation was built from, and where it is. It is written before the pointer moves."""

    generation: str
    run_id: str
    kind: str
    source: str
    window: Mapping[str, str]
    """`Window.to_json`."""
    model_version: str
    vars: Mapping[str, Any]
    batches: tuple[str, ...]
    rows: int
    users: int
    rows_hash: str
    """Hash of the layer's own recommendation rows, `generation` left out."""
    content_hash: str
    """The same over all tables whose content the run decides."""
    snapshot: str
    """File name beside the pointer. Retention may have removed it."""
    snapshot_bytes: int
    fence: int
    """Fencing number of the commit."""
    committed_at: str
    """Wall clock, UTC, ISO 8601."""
    committed: bool
    """Whether the commit made it current; False for a run that was only stored."""
    complete: bool
    """Whether all its users took its rows; False where a later hour kept some of them."""
    layers: Mapping[str, Any]
    """`nightly`: generation or null; `hours`: generations with rows in the snapshot."""
    vectors: Mapping[str, Any]
    """What the vector store reported of the merge: table versions and tag."""
    stages: tuple[Mapping[str, Any], ...] = ()
    """`stage`, `seconds`, `peak_mb` of each stage of the run."""
    metrics: tuple[Mapping[str, Any], ...] = ()
    """Quality metrics of the layer: `metric`, `subject`, `value`, `unit`."""
    accounting: Mapping[str, int] = field(default_factory=dict)
    """What became of the accepted events, as in `run_history`; empty for a generation of before they were counted."""
    same_as: str | None = None
    """For a run that changed nothing: the generation that already held the same rows."""
    model: str | None = None
    """The trained version that ranked; None: the untrained fallback."""
    folded_batches: int = 0
    """How many batches it was built from, once `folding` has emptied `batches`."""
    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)

    @property
    def as_of(self) -> datetime:
        """The instant that the generation knows up to, UTC."""
        return datetime.fromisoformat(self.window["as_of"])

    @property
    def applied(self) -> bool:
        """Whether readers got all of it: then its batches are done with."""
        return self.committed and self.complete


def describe(run: Run, layer: Layer, fence: int, *, committed: bool, complete: bool) -> Manifest:
    """Return the manifest of a run's commit, as far as it is known before its snapshot is made."""
    return Manifest(
        generation=run.generation,
        run_id=run.run_id,
        kind=run.kind,
        source=run.source,
        window=run.window.to_json(),
        model_version=run.model_version,
        model=run.model,
        vars=dict(run.vars),
        batches=run.batches,
        rows=layer.rows,
        users=layer.users,
        rows_hash=layer.rows_hash,
        content_hash=layer.content_hash,
        snapshot=snapshot_path(serving_folder(run.root), run.generation, fence).name,
        snapshot_bytes=0,
        fence=fence,
        committed_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        committed=committed,
        complete=complete,
        layers={"nightly": None, "hours": []},
        vectors={},
        stages=layer.stages,
        metrics=layer.metrics,
        accounting=layer.accounting,
    )


def write_manifest(entry: Manifest, root: Path) -> None:
    """Write a manifest atomically, over an earlier one of the same generation."""
    failpoint("manifest.write.before")
    write_atomically(
        manifest_file(entry.generation, root), json.dumps(asdict(entry), indent=1, sort_keys=True, default=str)
    )
    failpoint("manifest.write.after")


def read_manifest(generation: str, root: Path) -> Manifest | None:
    """Read the manifest of a generation; None if there is none.

    Raises
    ------
    ValueError
        If `generation` has not the form of a generation's name.
    SnapshotError
        If the file is damaged, or was written by a newer Tideline.
    """
    if not GENERATION.fullmatch(generation):
        raise ValueError(f"{generation!r} is no generation: `select generation from run_history` lists them")
    file = manifest_file(generation, root)
    return _load(file) if file.exists() else None


def list_manifests(root: Path) -> list[Manifest]:
    """Return all manifests, ordered by `as_of`, then by commit. Other files in their folder are left alone."""
    files = (serving_folder(root) / "generations").glob("*.json")
    entries = [_load(file) for file in files if GENERATION.fullmatch(file.stem)]
    return sorted(entries, key=lambda entry: (entry.as_of, entry.fence))


def base_for(run: Run, root: Path) -> Manifest | None:
    """Return the nightly whose item tables an hour carries: the last one not after it whose run folder is kept."""
    for entry in reversed(list_manifests(root)):
        suits = entry.kind == "nightly" and entry.source == run.source and entry.as_of <= run.window.as_of
        if suits and (root / "runs" / entry.run_id / "tables").is_dir():
            return entry
    return None


def manifest_file(generation: str, root: Path) -> Path:
    """Return the file of a generation's manifest."""
    return serving_folder(root) / "generations" / f"{generation}.json"


def _load(file: Path) -> Manifest:
    try:
        values = json.loads(file.read_text())
        version = values["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"manifest {file} is damaged: move it away, then rerun its window") from error
    if version > SCHEMA_VERSION:
        raise SnapshotError(
            f"manifest {file} has schema version {version}, this Tideline knows {SCHEMA_VERSION}: upgrade"
        )
    return Manifest(**upgraded(values))


def upgraded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a manifest of this or an earlier schema version, as the present one has them."""
    new: dict[str, Any] = {"accounting": {}, "model": None, "folded_batches": 0}
    changed = {**new, **values, "schema_version": SCHEMA_VERSION}
    return {**changed, **{name: tuple(values[name]) for name in ("batches", "stages", "metrics")}}
