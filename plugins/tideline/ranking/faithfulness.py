"""Whether cited events carry their rows: what a score loses without them, against as many random other ones.

For a sample of users each of their first rows is scored again by what ranked it, as if some of the user's events had
never been: history, rhythm, taste and window vectors are those of the events that remain. What was learned from
everybody stays, and so does the gate. Erasing the evidence is how ERASER judges a rationale ("comprehensiveness",
DeYoung et al. 2020, arXiv 1911.03429); beside it stands a random erasure of the same size, as a score may fall
whatever is taken away.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from tideline.ranking.because import CITED
from tideline.ranking.erased import Erased, Own, load_own, prepare_erased
from tideline.ranking.inputs import Inputs
from tideline.ranking.learned.past import Floats, Indices
from tideline.ranking.learned.ranking import score_pairs
from tideline.run import Run

USERS = 200
RANKS = 10
"""Rows of each list that are tried."""
DRAWS = 3
"""Random erasures of a row."""
EQUAL = 1e-6
"""Scores nearer to each other are equal: sums of floats in another order."""

Figure = dict[str, str | float | None]


class Published(NamedTuple):
    """A row that cites."""

    user: int
    """Place in the sample."""
    item: int
    score: float
    """As the ranking gave it, without what rules did."""
    events: list[str]
    part: str
    """What the first cited event supports."""


@dataclass(frozen=True)
class Trials:
    """Published rows with the histories that they are scored with; a history serves all rows that need it."""

    rows: list[Published]
    history: Indices
    """`[rows, 1 + DRAWS]` without the cited events, then without random ones."""
    erased: list[Erased]


def measure_faithfulness(
    run: Run, inputs: Inputs, connection: duckdb.DuckDBPyConnection, scored: Path, k: int
) -> dict[str, int]:
    """Write `run.faithfulness`: what the citations of a night's rows are worth, as rows of `quality_metrics`.

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
        `faithfulness_rows`, and `faithfulness_histories`: changed histories that were scored.
    """
    own = load_own(run, inputs, connection, choose_users(inputs))
    trials = plan_trials(own, _read_published(connection, scored, inputs, own.sample))
    left = score_trials(inputs, own, trials, k)
    score = np.array([row.score for row in trials.rows], dtype=np.float64)
    parts = [row.part for row in trials.rows]
    figures = summarise(score - left[:, 0], score - left[:, 1:].mean(axis=1), parts)
    run.faithfulness.write_text(json.dumps(figures))
    return {"faithfulness_rows": len(trials.rows), "faithfulness_histories": len(trials.erased)}


def choose_users(inputs: Inputs) -> Indices:
    """Return the numbers of the users that are asked, ascending: the least by sha256 of the id, of those with enough.

    Enough events are twice as many as a row can cite. The next night asks the same users.
    """
    events = np.bincount(inputs.past.user, minlength=inputs.past.users)
    eligible = np.flatnonzero(events >= 2 * CITED)
    ids = inputs.user_id.take(pa.array(eligible)).to_pylist()
    order = sorted(range(eligible.size), key=lambda place: sha256(ids[place].encode()).digest())
    return np.sort(eligible[order[:USERS]])


def plan_trials(own: Own, published: list[Published]) -> Trials:
    """Draw the random events of each row; the rows of a user share the draws, as far as these are not cited.

    Parameters
    ----------
    published
        By user. A row whose user has less than twice as many events as it cites is left out.
    """
    number = {name: place for place, name in enumerate(own.event_id.to_pylist())}
    events = np.diff(own.starts)
    draws = {
        user: [
            own.starts[user] + np.random.default_rng((user, draw)).permutation(events[user]) for draw in range(DRAWS)
        ]
        for user in {row.user for row in published}
    }
    rows = [row for row in published if events[row.user] >= 2 * len(row.events)]
    histories: dict[Erased, int] = {}
    history = np.empty((len(rows), 1 + DRAWS), dtype=np.int64)
    for place, row in enumerate(rows):
        cited = frozenset(number[name] for name in row.events)
        # Among so many first ones as many are left as are cited, whichever of them are.
        firsts = [draw[: 2 * len(cited)].tolist() for draw in draws[row.user]]
        others = [frozenset([event for event in first if event not in cited][: len(cited)]) for first in firsts]
        history[place] = [histories.setdefault((row.user, some), len(histories)) for some in (cited, *others)]
    return Trials(rows, history, list(histories))


def score_trials(inputs: Inputs, own: Own, trials: Trials, k: int) -> Floats:
    """Score each row with each of its histories, `[rows, 1 + DRAWS]`; NaN where nothing would be known of the user."""
    items = max(inputs.past.items, 1)
    wanted = np.array([row.item for row in trials.rows], dtype=np.int64)
    pairs, place = np.unique(trials.history * items + wanted[:, None], return_inverse=True)
    user, item = np.divmod(pairs, items)
    prepared = prepare_erased(inputs, own, trials.erased)
    found = score_pairs(
        inputs.trained,
        prepared,
        user,
        item,
        k,
        repeats=inputs.plan.repeats_allowed,
        allowed=inputs.catalogue.available,
    )
    return np.asarray(found[place.reshape(trials.history.shape)])


def summarise(cited: Floats, random: Floats, parts: list[str]) -> list[Figure]:
    """Summarise drops of scores: means, and the share of rows that lose more by the cited events, ties counting half.

    Parameters
    ----------
    cited, random
        `[rows]`; rows with NaN are left out.
    parts
        `[rows]` what the first cited event supports: the subjects, beside `all`.
    """
    known = ~np.isnan(cited) & ~np.isnan(random)
    wins = np.where(np.abs(cited - random) <= EQUAL, 0.5, cited > random)
    names = np.array(parts, dtype=str)
    figures: list[Figure] = []
    for subject in ("all", *sorted(set(parts))):
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
) -> list[Published]:
    """Read the first rows of the sampled users, those that cite, by user and rank."""
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
    return [Published(*row) for row in rows]
