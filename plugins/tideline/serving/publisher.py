"""Publish a run: the one commit point.

The order of the steps is what makes a kill harmless at any of them. Until the pointer moves, readers see the generation
before; once it has moved, the new one; never a mixture. A rerun repeats from the start and repairs:

| killed after | is left behind | the rerun |
|---|---|---|
| the fencing number is taken | a gap in the numbers | takes the next one |
| the snapshot is being made | a file in the run's own folder | deletes it, makes it again |
| the snapshot has its name | a snapshot that nobody refers to | makes one of a later fence; the old one ages out |
| vectors are merged | vectors of a run that is not current | merges the same vectors again: an upsert by user |
| the manifest is written | a manifest whose fence the present snapshot does not know | does not trust it, writes it |
| the pointer has moved | nothing amiss, old files perhaps | finds equal rows, changes nothing, cleans up |

What is current is told by the pointer and by the `run_history` inside its snapshot, by nothing else.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import duckdb

from embeddings.failpoints import failpoint
from embeddings.settings import Settings
from tideline.run import Run, write_atomically
from tideline.serving import snapshot
from tideline.serving.currency import Judgement, Verdict, judge, mark_users, nightly_layer
from tideline.serving.history import write_history
from tideline.serving.layer import Layer, measure
from tideline.serving.lock import Lease, commit_lock, exclusive
from tideline.serving.manifest import describe, read_manifest, write_manifest
from tideline.serving.pointer import Snapshot, current_snapshot, serving_folder, swap
from tideline.serving.recovery import move_logs_aside, present_snapshot
from tideline.serving.retention import MARKER, clean_up
from tideline.serving.shown import write_shown
from tideline.serving.tables import attach, create_view, open_desk, transaction
from tideline.serving.vectors import has_vectors, merge_vectors

log = logging.getLogger(__name__)
Counts = dict[str, int | float | str | bool | None]


def publish(run: Run, settings: Settings) -> Counts:
    """Commit a run's generation, if the rules of currency let it, else store it beside the current one.

    Returns
    -------
    dict
        `generation` (of the run), `current` (whether readers see its rows now), `changed` (whether a snapshot was
        written), `serving` (the generation that the pointer names), `rows`, `users`, `kept_users` (of its users, those
        who keep a later row), `snapshot_bytes`, `copied_bytes` (of them copied from the snapshot before, not
        computed), `fence`.

    Raises
    ------
    WarehouseIncompleteError
        If the run's warehouse lacks a table or holds rows of another run.
    LockTimeoutError, FencedError
        If another publisher holds the lock, or took it over.
    SnapshotError
        If what is published is not ours or damaged. In all these cases the generation before goes on serving.
    """
    serving = serving_folder(run.root)
    serving.mkdir(parents=True, exist_ok=True)
    # Two attempts of one run, as after a scheduler's crash, take turns over its folder; other runs never wait here.
    with exclusive(run.path / "publish.lock", run.run_id), open_desk(run, settings) as desk:
        try:
            layer = measure(desk, run)
            write_shown(desk, run)
            if run.kind == "nightly":
                snapshot.build_afresh(desk, run)
            with commit_lock(settings, run.generation) as lease:
                return _commit(desk, run, settings, layer, lease)
        finally:
            snapshot.discard_all(run)


def _commit(desk: duckdb.DuckDBPyConnection, run: Run, settings: Settings, layer: Layer, lease: Lease) -> Counts:
    serving = serving_folder(run.root)
    move_logs_aside(serving, lease.fence)
    present = present_snapshot(run.root)
    if present:
        attach(desk, present.path, "present", read_only=True)
    known = read_manifest(run.generation, run.root)
    mark_users(desk, run, present)
    judgement = judge(desk, run, layer, present, known)
    copied = 0
    complete = run.kind == "nightly" or judgement.barred == 0
    entry = describe(run, layer, lease.fence, committed=judgement.current, complete=complete)
    if judgement.verdict is not Verdict.UNCHANGED:
        joins = judgement.verdict is Verdict.CURRENT
        copied = _start(desk, run, present if joins else None)
        with transaction(desk):
            entry = replace(entry, layers=_fill(desk, run, present if joins else None))
            entry = replace(entry, committed=entry.committed or bool(known and known.committed))
            write_history(desk, run, entry, has_present=present is not None)
            create_view(desk)
        entry = replace(entry, snapshot_bytes=snapshot.seal(desk, run))
        target = serving / entry.snapshot
        lease.check()
        snapshot.place(run, target)
        if judgement.verdict is Verdict.CURRENT:
            failpoint("vectors.merge.before")
            entry = replace(entry, vectors=merge_vectors(run, settings))
            failpoint("vectors.merge.after")
        lease.check()
        write_manifest(entry, run.root)
        if judgement.verdict is Verdict.CURRENT:
            lease.check()
            swap(serving, target)
    elif judgement.current and known and known.vectors and not has_vectors(settings, known):
        # The table was moved away because it was damaged: the run's own files make it again.
        merge_vectors(run, settings)
    elif known is None and present:
        # Another name for rows that are there already, as after an upgrade: the history has it, the tables stay.
        entry = replace(entry, snapshot=present.path.name, same_as=present.generation)
        write_manifest(entry, run.root)
    counts = _report(run, layer, judgement, lease, entry.snapshot_bytes, copied)
    failpoint("run.mark.before")
    write_atomically(run.path / MARKER, json.dumps(counts, indent=1))
    failpoint("run.mark.after")
    clean_up(settings, run.run_id)
    log.info("%s: %s", run.generation, judgement.verdict.value)
    return counts


def _start(desk: duckdb.DuckDBPyConnection, run: Run, joined: Snapshot | None) -> int:
    """Begin `next`, for an hour from the snapshot that it joins; return the bytes copied from there as they are."""
    if run.kind == "nightly":
        return 0  # built before the lock was taken
    if joined:
        return snapshot.copy_present(desk, run, joined.path)
    snapshot.build_afresh(desk, run)
    return 0


def _fill(desk: duckdb.DuckDBPyConnection, run: Run, joined: Snapshot | None) -> dict[str, object]:
    """Bring the run's rows and those of the snapshot that it joins together in `next`; return the layers of it."""
    if joined is None:
        return snapshot.layers_of_next(desk, run, run.generation if run.kind == "nightly" else None)
    if run.kind == "nightly":
        snapshot.keep_later_rows(desk)
        return snapshot.layers_of_next(desk, run, run.generation)
    night = nightly_layer(desk)
    snapshot.replace_users(desk, run, has_night=night is not None)
    return snapshot.layers_of_next(desk, run, night.generation if night else None)


def _report(run: Run, layer: Layer, judgement: Judgement, lease: Lease, size: int, copied: int) -> Counts:
    serves = current_snapshot(serving_folder(run.root))
    return {
        "generation": run.generation,
        "current": judgement.current,
        "changed": judgement.verdict is not Verdict.UNCHANGED,
        "serving": serves.generation if serves else None,
        "rows": layer.rows,
        "users": layer.users,
        "kept_users": judgement.barred,
        "snapshot_bytes": size,
        "copied_bytes": copied,
        "fence": lease.fence,
    }
