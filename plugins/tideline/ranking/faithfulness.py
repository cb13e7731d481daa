"""Whether cited events carry their rows: what a score loses without them, against as many random other ones.

For a sample of users each of their first rows is scored again by what ranked it, as if some of the user's events had
never been: his history, rhythm, tastes and window vectors are those of the events that remain. What was learned from
everybody stays, and so does his gate. One changed history is one user of a made-up `Past`, so a few blocks of the code
that serves score them all. Erasing evidence to judge an explanation: "comprehensiveness" in ERASER (DeYoung et al.
2020), here beside a random erasure of the same size, as a score may fall whatever is taken away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.fusion.fixed import fuse
from tideline.ranking.because import CITED
from tideline.ranking.events import LONG, SHORT, Events, load_events_of
from tideline.ranking.inputs import Inputs
from tideline.ranking.learned.features import Prepared, prepare
from tideline.ranking.learned.from_run import days_before, numbers
from tideline.ranking.learned.past import Floats, Indices, Interests, make_past
from tideline.ranking.learned.ranking import score_pairs
from tideline.run import Run

USERS = 200
CELLS = 4_000_000
"""Scores of a source in all, histories times items: with a large catalogue fewer users are asked."""
RANKS = 10
"""Rows of each list that are tried."""
DRAWS = 3
"""Random erasures of a row."""
EQUAL = 1e-6
"""Scores nearer to each other are equal: vectors are summed in another order than the night's."""

Figure = dict[str, str | float | None]


@dataclass(frozen=True)
class Own:
    """The sampled users' events, each by its number in `event_id`."""

    event_id: pa.Array
    user: Indices
    """`[events]` place in the sample, ascending."""
    past: tuple[Indices, Indices, Indices, Floats, Floats]
    """User, event, item, age and weight of the events with an item, by user."""
    windows: Events
    """What each event gives to the window vectors."""
    of_window: Indices
    """Event of each row of `windows`."""
    gate: Floats
    """`[users]`; 0 without vectors."""


@dataclass(frozen=True)
class Trials:
    """Published rows, and the histories that they are scored with; a history serves all rows that need it."""

    item: Indices
    score: Floats
    """`[rows]` as published, without what rules did."""
    part: list[str]
    """The part that the first cited event supports."""
    history: Indices
    """`[rows, 1 + DRAWS]` without the cited events, then without random ones."""
    erased: list[tuple[int, frozenset[int]]]
    """Of each history: place of the user, and events that are left out; by user."""


def measure_faithfulness(
    run: Run, inputs: Inputs, connection: duckdb.DuckDBPyConnection, scored: Path, k: int
) -> dict[str, int]:
    """Write `run.faithfulness`: what the citations of a night's rows are worth, rows of `quality_metrics`.

    The users with the least sha256 of their id among those with twice as many events as a row can cite; so the next
    night asks the same.

    Parameters
    ----------
    connection
        With the tables of `load_items`.
    scored
        Folder of the rows, columns `contracts.SCORED`.
    k
        How many rows a user was asked for when they were scored.

    Returns
    -------
    dict
        `faithfulness_rows`, `faithfulness_histories`.
    """
    sample = choose_users(inputs)
    own = _load_own(run, inputs, connection, sample)
    trials = _plan_trials(own, _read_published(connection, scored, inputs, sample))
    scores = _score(inputs, own, trials, sample, k)
    figures = summarise(trials.score - scores[:, 0], trials.score - scores[:, 1:].mean(axis=1), trials.part)
    run.faithfulness.write_text(json.dumps(figures))
    return {"faithfulness_rows": len(trials.part), "faithfulness_histories": len(trials.erased)}


def choose_users(inputs: Inputs) -> Indices:
    """Return the numbers of the users that are asked, ascending."""
    events = np.bincount(inputs.past.user, minlength=inputs.past.users)
    eligible = np.flatnonzero(events >= 2 * CITED)
    ids = inputs.user_id.take(pa.array(eligible)).to_pylist()
    order = sorted(range(eligible.size), key=lambda place: sha256(ids[place].encode()).digest())
    # A row has a history of its own; random ones are shared by the rows of a user.
    most = max(1, min(USERS, CELLS // (max(inputs.past.items, 1) * (RANKS + DRAWS))))
    return np.sort(eligible[order[:most]])


def summarise(cited: Floats, random: Floats, part: list[str]) -> list[Figure]:
    """Summarise drops of scores: means, and the share of rows that lose more by the cited events, ties counting half.

    Parameters
    ----------
    cited, random
        `[rows]`; rows with NaN are left out.
    part
        `[rows]` what the first cited event supports; each part is a subject, beside `all`.
    """
    known = ~np.isnan(cited) & ~np.isnan(random)
    wins = np.where(np.abs(cited - random) <= EQUAL, 0.5, cited > random)
    names = np.array(part, dtype=object)
    figures: list[Figure] = []
    for subject in ("all", *sorted(set(part))):
        rows = known & ((names == subject) | (subject == "all"))
        if rows.any():
            values = (
                ("faithfulness", wins[rows].mean(), None),
                ("faithfulness_cited_drop", cited[rows].mean(), "score"),
                ("faithfulness_random_drop", random[rows].mean(), "score"),
                ("faithfulness_rows", rows.sum(), "rows"),
            )
            figures += [
                {"metric": metric, "subject": subject, "value": float(value), "unit": unit}
                for metric, value, unit in values
            ]
    return figures


def _read_published(
    connection: duckdb.DuckDBPyConnection, scored: Path, inputs: Inputs, sample: Indices
) -> list[tuple[int, int, float, list[str], str]]:
    """Return user (place in the sample), item, score without rules, cited events and part of the rows that cite."""
    ids = inputs.user_id.take(pa.array(sample))
    connection.register("sampled", pa.table({"user": np.arange(sample.size), "user_id": ids}))
    rows = connection.execute(
        """
        select sampled.user, items.item, score - coalesce(list_sum(list_transform(
            list_filter(score_parts, lambda p: p.part = 'rules'), lambda p: p.value
        )), 0), list_transform(because, lambda e: e.event_id), because[1].part
        from read_parquet($files)
        inner join sampled using (user_id)
        inner join items using (item_id)
        where rank <= $ranks and len(because) > 0
        order by sampled.user, rank
        """,
        {"files": [str(file) for file in sorted(scored.glob("*.parquet"))], "ranks": RANKS},
    ).fetchall()
    connection.unregister("sampled")
    return rows


def _load_own(run: Run, inputs: Inputs, connection: duckdb.DuckDBPyConnection, sample: Indices) -> Own:
    windows = load_events_of(connection, run, inputs, sample)
    ids = inputs.user_id.take(pa.array(sample))
    columns = ["user_id", "item_id", "event_id", "event_at", "weight"]
    table = pq.read_table(run.tables / "user_events.parquet", columns=columns, filters=pc.field("user_id").isin(ids))
    user, item = numbers(table["user_id"], ids), numbers(table["item_id"], inputs.catalogue.item_id)
    age = days_before(run.window.as_of, table["event_at"])
    known = (user >= 0) & (item >= 0) & (age > 0)
    user, item, age = user[known], item[known], age[known]
    weight = table["weight"].cast(pa.float64()).to_numpy()[known]
    named = table["event_id"].cast(pa.string()).combine_chunks().filter(pa.array(known))
    owner = np.repeat(np.arange(sample.size), np.diff(windows.starts))
    both = pa.concat_arrays([named, windows.event_id.cast(pa.string())]).dictionary_encode()
    code = both.indices.to_numpy().astype(np.int64)
    whose = np.zeros(len(both.dictionary), dtype=np.int64)
    whose[code] = np.concatenate([user, owner])
    order = np.lexsort((both.dictionary.to_numpy(zero_copy_only=False), whose))
    number = np.empty_like(order)
    number[order] = np.arange(order.size)
    code, by_user = number[code], np.argsort(user, kind="stable")
    gate = pq.read_table(inputs.user_vectors, columns=["gate"])["gate"].take(pa.array(sample))
    return Own(
        event_id=both.dictionary.take(pa.array(order)),
        user=whose[order],
        past=(user[by_user], code[: user.size][by_user], item[by_user], age[by_user], weight[by_user]),
        windows=windows,
        of_window=code[user.size :],
        gate=np.nan_to_num(gate.to_numpy().astype(np.float64)),
    )


def _plan_trials(own: Own, published: list[tuple[int, int, float, list[str], str]]) -> Trials:
    """Draw the random events of each row; the rows of a user share the draws, as far as these are not cited."""
    number = {name: place for place, name in enumerate(own.event_id.to_pylist())}
    starts = np.searchsorted(own.user, np.arange(own.gate.size + 1))
    histories: dict[tuple[int, frozenset[int]], int] = {}
    draws: list[list[int]] = []
    last = -1
    kept, history = [], []
    for row in published:
        user, _, _, events, _ = row
        if user != last:
            first, last_event = starts[user], starts[user + 1]
            random = np.random.default_rng(user)
            draws = [(first + random.permutation(last_event - first)).tolist() for _ in range(DRAWS)]
            last = user
        cited = frozenset(number[name] for name in events)
        if len(draws[0]) < 2 * len(cited):
            continue
        erased = [cited, *(frozenset([e for e in draw if e not in cited][: len(cited)]) for draw in draws)]
        history.append([histories.setdefault((user, some), len(histories)) for some in erased])
        kept.append(row)
    return Trials(
        item=np.array([row[1] for row in kept], dtype=np.int64),
        score=np.array([row[2] for row in kept], dtype=np.float64),
        part=[row[4] for row in kept],
        history=np.array(history, dtype=np.int64).reshape(-1, 1 + DRAWS),
        erased=list(histories),
    )


def _score(inputs: Inputs, own: Own, trials: Trials, sample: Indices, k: int) -> Floats:
    """Score each row with each of its histories, `[rows, 1 + DRAWS]`."""
    if not trials.part:
        return np.empty((0, 1 + DRAWS))
    items = inputs.past.items
    pairs, place = np.unique(trials.history * items + trials.item[:, None], return_inverse=True)
    user, item = np.divmod(pairs, items)
    found = score_pairs(
        inputs.trained,
        _prepare(inputs, own, trials, sample),
        user,
        item,
        k,
        repeats=inputs.plan.repeats_allowed,
        allowed=inputs.catalogue.available,
    )
    return found[place.reshape(trials.history.shape)]


def _prepare(inputs: Inputs, own: Own, trials: Trials, sample: Indices) -> Prepared:
    """Make the past of the histories, and their vectors, as `interest_vectors` defines them."""
    count, dimension = len(trials.erased), inputs.past.vectors.shape[1]
    window = {kind: np.zeros((count + 1, dimension), dtype=np.float32) for kind in (LONG, SHORT)}
    columns: list[list[Any]] = [[] for _ in range(4)]
    by_user, event, *values = own.past
    starts = np.searchsorted(by_user, np.arange(own.gate.size + 1))
    for user, first, last, start, kept in _kept_events(own, trials):
        past = slice(starts[user], starts[user + 1])
        row, column = np.nonzero(kept[:, event[past] - start])
        for target, values_of in zip(columns, (first + row, *(value[past][column] for value in values)), strict=True):
            target.append(values_of)
        own_rows = np.arange(own.windows.starts[user], own.windows.starts[user + 1])
        for kind, vectors in window.items():
            chosen = own_rows[own.windows.kind[own_rows] == kind]
            weights = kept[:, own.of_window[chosen] - start] * own.windows.share[chosen]
            vectors[first:last] = _unit_means(weights, own.windows.bank[own.windows.vector[chosen]])
    owner = np.array([user for user, _ in trials.erased])
    has_long, has_short = window[LONG].any(axis=1), window[SHORT].any(axis=1)
    fused, _, _ = fuse(window[LONG], window[SHORT], has_long, has_short, np.append(own.gate[owner], 0.0))
    interests = Interests(inputs.past.vectors, window[LONG], window[SHORT], fused)
    history, item, age, weight = (np.concatenate(column) for column in columns)
    past = make_past(
        history,
        item,
        age,
        weight,
        users=count,
        items=inputs.past.items,
        since=inputs.past.since,
        categories=inputs.past.categories,
        vectors=inputs.past.vectors,
        interests_of=lambda _: interests,
        known_as=np.append(sample[owner], -1),
    )
    return prepare(past, inputs.knowledge)


def _kept_events(own: Own, trials: Trials) -> Iterator[tuple[int, int, int, int, NDArray[np.bool_]]]:
    """Yield each user, the range of his histories, his first event, and `[his histories, his events]`: what is kept."""
    owner = np.array([user for user, _ in trials.erased])
    for user in np.unique(owner).tolist():
        first, last = np.searchsorted(owner, (user, user + 1)).tolist()
        start, end = np.searchsorted(own.user, (user, user + 1)).tolist()
        kept = np.ones((last - first, end - start), dtype=bool)
        for row, (_, erased) in enumerate(trials.erased[first:last]):
            kept[row, np.array(list(erased)) - start] = False
        yield user, first, last, start, kept


def _unit_means(weights: NDArray[np.float64], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weighted means of vectors as unit vectors; 0 where they cancel out or there are none."""
    total = weights.sum(axis=1, keepdims=True)
    means = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0) @ vectors
    norm = np.linalg.norm(means, axis=1, keepdims=True)
    # As in `interest_vectors`: a mean this short has no direction.
    return np.divide(means, norm, out=np.zeros_like(means), where=norm >= 1e-5).astype(np.float32)
