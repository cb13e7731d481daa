"""Scores become figures: means over users, and over cutoffs, with intervals and paired differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tideline.evaluation.contest import MODEL, Chosen, Place
from tideline.evaluation.intervals import Bootstrap, estimate
from tideline.evaluation.metrics import K
from tideline.evaluation.segments import NEW_ITEMS
from tideline.report import row

MEAN = "mean"
NDCG = f"ndcg@{K}"
DIFFERENCE = f"{NDCG}_difference"
OTHERS = ("recall", "hit_rate", "novelty", "diversity")
Figure = dict[str, Any]


def make_figures(places: Sequence[Place]) -> list[Figure]:
    """Return rows as `tideline.report.row` makes them, subjects `<model>/<cutoff or mean>/<repeats or new>/<segment>`.

    - `users`: of the test, of model `all`; over cutoffs their sum;
    - `ndcg@10`, `recall@10`, `hit_rate@10`, `novelty@10`, `diversity@10`, `coverage@10`: means over users, then over cutoffs;
    - `ndcg@10_low`, `ndcg@10_high`: bounds of the 95% interval;
    - `ndcg@10_difference`, `..._low`, `..._high`: Tideline minus the model it is compared with, paired by user.

    Tideline's `ndcg@10` is compared with that of the best peer of its row. A figure that nobody has is left out.
    """
    rows: list[Figure] = []
    for mode in dict.fromkeys(place.mode for place in places):
        own = [place for place in places if place.mode == mode and len(place.user_id)]
        for place in own:
            rows += _figures([place], f"{place.cutoff:%Y-%m-%d}" + _clock(place), everything=False)
        if own:
            rows += _figures(own, MEAN, everything=True)
    return [figure for figure in rows if figure["value"] is not None and np.isfinite(figure["value"])]


def settings_figures(chosen: Chosen, tuning: str) -> list[Figure]:
    """Return a row for the chosen settings of each peer that had a choice: NDCG@10 on the earlier cutoff."""
    return [
        row(f"tuned_{NDCG}", f"{peer}/{tuning}/{mode}/{tuned}", tuned.ndcg)
        for peer, modes in chosen.items()
        for mode, tuned in modes.items()
        if np.isfinite(tuned.ndcg)
    ]


def _figures(places: Sequence[Place], where: str, *, everything: bool) -> Iterator[Figure]:
    mode = places[0].mode
    models = [model for model in places[0].scores if all(model in place.scores for place in places)]
    everybody = pa.concat_arrays([place.user_id for place in places]).unique()
    bootstrap = Bootstrap([pc.index_in(place.user_id, value_set=everybody).to_numpy().astype(np.int64) for place in places])
    for segment in (*places[0].segments, NEW_ITEMS):
        values = [_values(place, models, "ndcg", segment) for place in places]
        users = sum(int((~np.isnan(part)).any(axis=1).sum()) for part in values)
        if not users:
            continue
        end = f"{where}/{mode}/{segment}"
        yield row("users", f"all/{end}", users, "users")
        mean, drawn = bootstrap.means(values)
        yield from _ndcg_figures(models, end, mean, drawn)
        if everything or segment == "all":
            for metric in OTHERS if segment != NEW_ITEMS else ():
                found = bootstrap.value([_values(place, models, metric, segment) for place in places])
                for model, value in zip(models, found, strict=True):
                    yield row(f"{metric}@{K}", f"{model}/{end}", float(value))
        if segment == "all":
            for model in models:
                share = float(np.mean([place.coverage[model] for place in places]))
                yield row(f"coverage@{K}", f"{model}/{end}", share)


def _ndcg_figures(
    models: Sequence[str], end: str, mean: NDArray[np.float64], drawn: NDArray[np.float64]
) -> Iterator[Figure]:
    value = dict(zip(models, mean.tolist(), strict=True))
    peers = {model: value[model] for model in models if model != MODEL and np.isfinite(value[model])}
    best = max(peers, key=lambda model: peers[model]) if peers else None
    for column, model in enumerate(models):
        against = (f"{best}/{end}", peers[best]) if model == MODEL and best else (None, None)
        found = estimate(value[model], drawn[:, column])
        yield row(NDCG, f"{model}/{end}", found.value, None, *against)
        yield row(f"{NDCG}_low", f"{model}/{end}", found.low)
        yield row(f"{NDCG}_high", f"{model}/{end}", found.high)
    if MODEL not in models:
        return
    own = models.index(MODEL)
    for peer in peers:
        column = models.index(peer)
        found = estimate(value[MODEL] - value[peer], drawn[:, own] - drawn[:, column])
        for suffix, number in (("", found.value), ("_low", found.low), ("_high", found.high)):
            yield row(f"{DIFFERENCE}{suffix}", f"{MODEL}/{end}", number, None, f"{peer}/{end}")


def _values(place: Place, models: Sequence[str], metric: str, segment: str) -> NDArray[np.float64]:
    """Return `[users, models]`, NaN for users outside the segment."""
    name = NEW_ITEMS if segment == NEW_ITEMS else metric
    missing = np.full(len(place.user_id), np.nan)
    stacked = np.stack([place.scores[model].get(name, missing) for model in models], axis=1)
    members = place.segments.get(segment)
    return stacked if members is None else np.where(members[:, None], stacked, np.nan)


def _clock(place: Place) -> str:
    return f"{place.cutoff:T%H:%M}" if place.cutoff.hour or place.cutoff.minute else ""
