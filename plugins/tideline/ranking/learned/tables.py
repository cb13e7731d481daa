"""What is known of a user, an item and a pair by counting: columns that features are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Floats, Indices, Past
from tideline.ranking.learned.sources.category import affinity
from tideline.ranking.learned.sources.popularity import users_within

Columns = dict[str, Floats]


@dataclass(frozen=True)
class Tables:
    """Columns by name: of users `[rows]`, of items `[items]`, of pairs that have been, `[pairs]` ordered by key."""

    user: Columns
    item: Columns
    pair: Columns
    key: Indices
    """`[pairs]` user * items + item, ascending."""
    taste: Any
    """`[rows, c]` sparse: share of each category in what the user had."""


def count_items(past: Past) -> Columns:
    """Count what is known of each item from everybody."""
    return _items(past, *_pairs(past))


def make_tables(item: Columns, own: Past) -> Tables:
    """Count what is known of the users of a past and of what they have had, beside the columns of the items."""
    key, pair = _pairs(own)
    taste = affinity(own)
    return Tables(_users(own, item, key, taste), item, pair, key, taste)


def _pairs(past: Past) -> tuple[Indices, Columns]:
    """Count a pair's baskets, how long ago the last and first were, and how many of the user's baskets came since."""
    user, basket, item, age = past.basket
    key, inverse = np.unique(user * past.items + item, return_inverse=True)
    count = np.bincount(inverse, minlength=key.size).astype(np.float64)
    first, last = np.zeros(key.size), np.full(key.size, np.inf)
    np.maximum.at(first, inverse, age[basket])
    np.minimum.at(last, inverse, age[basket])
    latest = np.zeros(past.rows, dtype=np.int64)
    np.maximum.at(latest, user, basket)
    last_basket = np.zeros(key.size, dtype=np.int64)
    np.maximum.at(last_basket, inverse, basket)
    owner = key // max(past.items, 1)
    total = np.bincount(user[np.unique(basket, return_index=True)[1]], minlength=past.rows) if user.size else None
    interval = np.divide(first - last, count - 1, out=np.full(key.size, np.nan), where=count > 1)
    return key, {
        "own_baskets": count,
        "own_last": last,
        "own_first": first,
        "own_interval": interval,
        "own_since": (latest[owner] - last_basket).astype(np.float64),
        "own_share": count / total[owner] if total is not None else count,
    }


def _items(past: Past, key: Indices, pair: Columns) -> Columns:
    """Count users of several spans, age, last event, share of owners who came back, and usual days between."""
    ever = past.owners.astype(np.float64)
    spans = {f"item_{days:g}d": users_within(past, days) for days in (1.0, 7.0, 28.0, 90.0)}
    last = np.full(past.items, np.nan)
    last[past.item] = past.age
    item = key % max(past.items, 1)
    again = np.bincount(item, pair["own_baskets"] > 1, minlength=past.items)
    known = ~np.isnan(pair["own_interval"])
    days = np.bincount(item[known], pair["own_interval"][known], minlength=past.items)
    number = np.bincount(item[known], minlength=past.items)
    overall = pair["own_interval"][known].mean() if known.any() else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = {
            "item_rise_week": (spans["item_7d"] + 1) / (spans["item_28d"] / 4 + 1),
            "item_rise_month": (spans["item_28d"] + 1) / (spans["item_90d"] * 28 / 90 + 1),
            "item_rise_ever": (spans["item_28d"] + 1) / (ever * 28 / np.maximum(past.item_age, 28) + 1),
        }
    # As shares of the largest: counts themselves grow from one cutoff to the next.
    counts = {name: _share(value) for name, value in (spans | {"item_ever": ever}).items()}
    return (
        counts
        | rise
        | {
            "item_age": past.item_age,
            "item_last": last,
            "item_again": (again + 1) / (ever + 10),
            "item_interval": (days + 3 * overall) / (number + 3) if known.any() else np.full(past.items, np.nan),
        }
    )


def _users(past: Past, item: Columns, key: Indices, taste: Any) -> Columns:
    """Count events and baskets, their rhythm, and what kind of items a user takes."""
    user, basket, _, age = past.basket
    size = np.bincount(basket, minlength=age.size).astype(np.float64)
    owner = np.zeros(age.size, dtype=np.int64)
    owner[basket] = user
    baskets = np.bincount(owner, minlength=past.rows).astype(np.float64)
    first = np.zeros(past.rows)
    np.maximum.at(first, owner, age)
    last = past.last_age
    held = key // max(past.items, 1)
    number = np.bincount(held, minlength=past.rows).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = np.where(baskets > 1, (first - last) / (baskets - 1), np.nan)
        popularity = np.bincount(held, item["item_ever"][key % max(past.items, 1)], minlength=past.rows) / number
        repeat = 1 - number / np.bincount(owner, size, minlength=past.rows)
        columns = {
            "user_events": np.log1p(np.bincount(past.user, minlength=past.rows)),
            "user_items": np.log1p(number),
            "user_baskets": baskets,
            "user_first": np.where(baskets > 0, first, np.nan),
            "user_last": last,
            "user_interval": interval,
            "user_due": last / interval,
            "user_basket_size": np.bincount(owner, size, minlength=past.rows) / baskets,
            "user_repeats": repeat,
            "user_popularity": popularity,
        }
    for days in (1.0, 7.0, 28.0):
        columns[f"user_{days:g}d"] = np.log1p(np.bincount(past.user[past.age <= days], minlength=past.rows))
    if taste.shape[1] > 1:
        logs = taste.copy()
        logs.data = -logs.data * np.log(np.maximum(logs.data, 1e-12))
        columns["user_entropy"] = np.asarray(logs.sum(axis=1)).ravel()
    return columns


def _share(values: NDArray[np.float64]) -> Floats:
    return np.log1p(values) / max(float(np.log1p(values.max(initial=0.0))), 1e-9)
