"""Histories with some events erased: users of a made-up `Past`, ready to be scored by the code that serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.fusion.fixed import fuse
from tideline.ranking.events import LONG, SHORT, Events, load_events_of
from tideline.ranking.inputs import Inputs
from tideline.ranking.learned.features import Prepared, prepare
from tideline.ranking.learned.from_run import days_before, numbers
from tideline.ranking.learned.past import Floats, Indices, Interests, make_past
from tideline.run import Run

Erased = tuple[int, frozenset[int]]
"""A history: the place of its user in the sample, and the numbers of the events that are left out."""
NO_DIRECTION = 1e-5
"""A mean this short is none, as in `embeddings.windows`."""


@dataclass(frozen=True)
class Own:
    """The events of a sample of users. An event's number is its place in `event_id`."""

    sample: Indices
    """`[users]` their numbers in the run."""
    event_id: pa.Array
    starts: Indices
    """`[users + 1]` the events of the user at place u are `starts[u]:starts[u + 1]`, by id."""
    user: Indices
    """`[n]` place of the user, ascending, of the events with an item; so are the next four."""
    event: Indices
    item: Indices
    age: Floats
    weight: Floats
    windows: Events
    """What each event gives to the window vectors."""
    of_window: Indices
    """The event of each row of `windows`."""
    gate: Floats
    """`[users]`; 0 without vectors."""


def load_own(run: Run, inputs: Inputs, connection: duckdb.DuckDBPyConnection, sample: Indices) -> Own:
    """Read the events that scores of the sample depend on; needs the tables of `load_items`."""
    windows = load_events_of(connection, run, inputs, sample)
    ids = inputs.user_id.take(pa.array(sample))
    table = pq.read_table(
        run.tables / "user_events.parquet",
        columns=["user_id", "item_id", "event_id", "event_at", "weight"],
        filters=pc.field("user_id").isin(ids),
    )
    user, item = numbers(table["user_id"], ids), numbers(table["item_id"], inputs.catalogue.item_id)
    age = days_before(run.window.as_of, table["event_at"])
    known = np.flatnonzero((user >= 0) & (item >= 0) & (age > 0))
    known = known[np.argsort(user[known], kind="stable")]
    user = user[known]
    event_id = table["event_id"].cast(pa.string()).combine_chunks().take(pa.array(known))
    both = pa.concat_arrays([event_id, windows.event_id.cast(pa.string())]).dictionary_encode()
    code = both.indices.to_numpy().astype(np.int64)
    owner = np.zeros(len(both.dictionary), dtype=np.int64)
    owner[code] = np.append(user, np.repeat(np.arange(sample.size), np.diff(windows.starts)))
    order = np.lexsort((both.dictionary.to_numpy(zero_copy_only=False), owner))
    number = np.empty_like(order)
    number[order] = np.arange(order.size)
    gate = pq.read_table(inputs.user_vectors, columns=["gate"])["gate"].take(pa.array(sample))
    return Own(
        sample=sample,
        event_id=both.dictionary.take(pa.array(order)),
        starts=np.searchsorted(owner[order], np.arange(sample.size + 1)),
        user=user,
        event=number[code[: user.size]],
        item=item[known],
        age=age[known],
        weight=table["weight"].cast(pa.float64()).to_numpy()[known],
        windows=windows,
        of_window=number[code[user.size :]],
        gate=np.nan_to_num(gate.to_numpy().astype(np.float64)),
    )


def prepare_erased(inputs: Inputs, own: Own, erased: list[Erased]) -> Prepared:
    """Prepare histories as users 0, 1, ... : what is left of the users' own past, and the vectors that it makes.

    Parameters
    ----------
    erased
        By user.
    """
    window = {kind: np.zeros((len(erased) + 1, inputs.past.vectors.shape[1]), np.float32) for kind in (LONG, SHORT)}
    first_of = np.searchsorted(own.user, np.arange(own.sample.size + 1))
    history, place = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for user, rows, kept in _kept(own, erased):
        row, column = np.nonzero(kept[:, own.event[first_of[user] : first_of[user + 1]] - own.starts[user]])
        history.append(rows.start + row)
        place.append(first_of[user] + column)
        of_windows = np.arange(own.windows.starts[user], own.windows.starts[user + 1])
        for kind, vectors in window.items():
            chosen = of_windows[own.windows.kind[of_windows] == kind]
            shares = kept[:, own.of_window[chosen] - own.starts[user]] * own.windows.share[chosen]
            vectors[rows] = _unit_means(shares, own.windows.bank[own.windows.vector[chosen]])
    owner = np.array([user for user, _ in erased], dtype=np.int64)
    has_long, has_short = (np.asarray(window[kind].any(axis=1), dtype=bool) for kind in (LONG, SHORT))
    fused, _, _ = fuse(window[LONG], window[SHORT], has_long, has_short, np.append(own.gate[owner], 0.0))
    interests = Interests(inputs.past.vectors, window[LONG], window[SHORT], fused)
    rows_of_past = np.concatenate(place)
    past = make_past(
        np.concatenate(history),
        own.item[rows_of_past],
        own.age[rows_of_past],
        own.weight[rows_of_past],
        users=len(erased),
        items=inputs.past.items,
        since=inputs.past.since,
        categories=inputs.past.categories,
        vectors=inputs.past.vectors,
        interests_of=lambda _: interests,
        known_as=np.append(own.sample[owner], -1),
    )
    return prepare(past, inputs.knowledge)


def _kept(own: Own, erased: list[Erased]) -> Iterator[tuple[int, slice, NDArray[np.bool_]]]:
    """Yield each user with the rows of his histories, and `[his histories, his events]` whether an event is kept."""
    owner = np.array([user for user, _ in erased], dtype=np.int64)
    for user in np.unique(owner).tolist():
        rows = slice(*np.searchsorted(owner, (user, user + 1)).tolist())
        kept = np.ones((rows.stop - rows.start, own.starts[user + 1] - own.starts[user]), dtype=bool)
        for row, (_, events) in enumerate(erased[rows]):
            kept[row, np.array(sorted(events), dtype=np.int64) - own.starts[user]] = False
        yield user, rows, kept


def _unit_means(shares: NDArray[np.float64], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of vectors by their shares as unit vectors; 0 where they cancel out or there are none."""
    total = shares.sum(axis=1, keepdims=True)
    means = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0) @ vectors
    norm = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(np.divide(means, norm, out=np.zeros_like(means), where=norm >= NO_DIRECTION), dtype=np.float32)
