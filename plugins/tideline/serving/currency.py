"""The rules of currency: does a run's layer become current, is it only stored, or does it change nothing?

One rule carries both kinds: **a user's row that knows more stays**. A present row is later than the run if its `as_of`
is after the run's. So a nightly keeps later hours, and an hour replaces rows user by user.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import duckdb

from tideline.run import Run
from tideline.serving.fingerprint import fingerprint
from tideline.serving.layer import Layer, utc
from tideline.serving.manifest import Manifest, read_manifest
from tideline.serving.pointer import Snapshot


class Verdict(Enum):
    """What happens to a run's layer."""

    CURRENT = "current"
    STORED = "stored"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Published:
    """A layer of the current snapshot, as its own `run_history` tells it: it is the witness, not a manifest."""

    generation: str
    as_of: datetime
    rows_hash: str
    fence: int


@dataclass(frozen=True)
class Judgement:
    """What happens to a run's layer, and to how many of its users not: they keep a later row."""

    verdict: Verdict
    current: bool
    """Whether readers see the layer once the verdict is carried out."""
    barred: int


def nightly_layer(desk: duckdb.DuckDBPyConnection) -> Published | None:
    """Return the nightly layer of the snapshot on the desk, if it has one."""
    row = desk.execute(
        "select generation, as_of, rows_hash, fence from present.run_history where is_current and kind = 'nightly'"
    ).fetchone()
    return Published(*row) if row else None


def mark_users(desk: duckdb.DuckDBPyConnection, run: Run, present: Snapshot | None) -> None:
    """Put on the desk `arriving`, the run's users, and `barred`, those whose present rows are later than the run."""
    desk.execute(
        "create or replace temp table arriving as select user_id from built.user_interests "
        f"union select user_id from built.{run.kind}_recommendations"
    )
    desk.execute("create or replace temp table barred (user_id varchar)")
    if present:
        desk.execute(
            "insert into barred select user_id from present.hourly_recommendations where as_of > $as_of "
            "union select user_id from present.user_interests where as_of > $as_of",
            {"as_of": utc(run.window.as_of)},
        )


def judge(
    desk: duckdb.DuckDBPyConnection, run: Run, layer: Layer, present: Snapshot | None, known: Manifest | None
) -> Judgement:
    """Decide what happens to a run's layer. `mark_users` comes first.

    Parameters
    ----------
    present
        The current snapshot, on the desk as `present`; None if nothing was published.
    known
        The manifest of the run's generation, if it was built before.

    Notes
    -----
    - A nightly becomes current if its `as_of` is not before the present nightly layer's.
    - An hour becomes current if its `as_of` is after the nightly layer's and some user has no later row.
    - Equal rows at an equal `as_of` change nothing; other rows replace the present ones.
    """
    row = desk.execute("select count(*), count(*) filter (user_id in (from barred)) from arriving").fetchone()
    users, barred = row or (0, 0)
    if present is None:
        return Judgement(Verdict.CURRENT, True, barred)
    verdict = _judge_nightly(desk, run, layer) if run.kind == "nightly" else _judge_hour(desk, run, 0 < users == barred)
    current = verdict is not Verdict.STORED
    if not current and known and known.content_hash == layer.content_hash:
        # Unless retention took it, what is stored already is what would be stored.
        verdict = Verdict.UNCHANGED if present.path.with_name(known.snapshot).exists() else verdict
    return Judgement(verdict, current, barred)


def _judge_nightly(desk: duckdb.DuckDBPyConnection, run: Run, layer: Layer) -> Verdict:
    night, as_of = nightly_layer(desk), utc(run.window.as_of)
    if night is None or as_of > night.as_of:
        return Verdict.CURRENT
    if as_of < night.as_of:
        return Verdict.STORED
    held = read_manifest(night.generation, run.root)
    # A manifest with another fence is of an attempt that died before its pointer moved: publish again to repair it.
    same = held and held.fence == night.fence and held.content_hash == layer.content_hash
    return Verdict.UNCHANGED if same and night.rows_hash == layer.rows_hash else Verdict.CURRENT


def _judge_hour(desk: duckdb.DuckDBPyConnection, run: Run, all_barred: bool) -> Verdict:
    night = nightly_layer(desk)
    if all_barred or (night and utc(run.window.as_of) <= night.as_of):
        return Verdict.STORED
    mine = "user_id in (from arriving) and user_id not in (from barred)"
    tables = ("hourly_recommendations", "user_interests")
    arriving, there = (
        fingerprint(desk, [f"(select * from {database}.{table} where {mine})" for table in tables])
        for database in ("built", "present")
    )
    return Verdict.UNCHANGED if arriving == there else Verdict.CURRENT
