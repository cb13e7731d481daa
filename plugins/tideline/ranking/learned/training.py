"""Train on several past cutoffs; what wins on the latest held-out days ranks, be it plain popularity."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.blend import blend_parts, fit_blend
from tideline.ranking.learned.fixed_blend import POPULAR, UNTRAINED, fixed_blend
from tideline.ranking.learned.lists import Lists, active_users, join, lists_at
from tideline.ranking.learned.model import Model, single
from tideline.ranking.learned.past import Past
from tideline.ranking.learned.shift import Shift, measure_shift
from tideline.ranking.learned.singles import best_single
from tideline.ranking.learned.sources import COMMON, NAMES
from tideline.ranking.learned.trees import best_rounds, fit_trees
from tideline.ranking.learned.winner import BLEND, TREES, choose_winner

logger = logging.getLogger(__name__)

MODES = ("repeats", "new")
SHARES = (0.25, 0.5, 1.0)
"""How much of the best source, or of the blend, is tried beside the trees: it steadies them where lists are few."""
FEWEST_HELD = 20
FEWEST_FOR_BLEND = 40
FEWEST_FOR_TREES = 250
REPEATS = 0.01
"""Below this share of repeats in what users take, nothing that a user has had is recommended."""


@dataclass(frozen=True)
class Plan:
    """How to train."""

    horizon: float = 7.0
    """Days after a cutoff that are to be foretold, and between cutoffs."""
    depth: int = 60
    """Candidates of each source."""
    most: int | None = None
    """Candidates of a user that he has not had: the most promising. None: by the size of the catalogue."""
    most_users: int = 1000
    """Lists of one cutoff, drawn by the seed."""
    cutoffs: int = 8
    """Cutoffs at most where they have lists enough."""
    most_cutoffs: int = 26
    """Cutoffs where each has few lists."""
    enough_lists: int = 1200
    held_lists: int = 300
    """The latest cutoffs are held out until they have so many lists, at most a third of them."""
    half_life: float = 56.0
    """Days after which a cutoff counts half."""
    rows: int = 300_000
    """Candidates to learn from: those that were taken, and a draw of the others."""
    rounds: int = 140
    seed: int = 1
    threads: int = 2


@dataclass(frozen=True)
class Trained:
    """What was learned."""

    models: Mapping[str, Model]
    """One for each of `MODES`."""
    popular: str
    """The common source that unknown users get."""
    repeats: bool
    """Whether users come back to what they have had; if not, it is never recommended."""
    plan: Plan
    card: Mapping[str, Any] = field(default_factory=dict)
    """Plain values: cutoffs, lists, what each contender reached on the held-out days, importance, notes."""


Judge = Callable[[str, Lists, Mapping[str, NDArray[np.float64]], NDArray[np.float64]], None]
"""Sees of a mode the held-out lists, what each contender reached on each of them and the weights of the lists."""


def train(past: Past, plan: Plan | None = None, judge: Judge | None = None) -> Trained:
    """Learn from cutoffs before the past's instant.

    Lists of candidates are made at several past cutoffs; a blend and trees learn from all but the latest, which judge
    them beside the best single source and the best kind of popularity. The winner of each mode is then learned again
    from all of them. With too few lists to judge by, the fixed blend ranks and the card says so.

    Parameters
    ----------
    judge
        Looks on where contenders are judged, once for each mode that has lists enough; it changes nothing.
    """
    plan = plan or Plan()
    lists, skipped = _collect(past, plan)
    wanted = {mode: int(sum(part.wanted.sum() for part in lists[mode])) for mode in MODES}
    repeats = wanted["repeats"] == 0 or 1 - wanted["new"] / wanted["repeats"] >= REPEATS
    shift = measure_shift(past)
    models: dict[str, Model] = {}
    cards: dict[str, Any] = {}
    for mode in MODES:
        if mode == "repeats" and not repeats:
            continue
        models[mode], cards[mode] = _choose(lists[mode], mode, plan, shift, judge)
    if not repeats:
        models["repeats"], cards["repeats"] = models["new"], {"note": "users do not come back: as new items"}
    popular = best_single([part for part in lists["new"] if part.size], COMMON, shift) or POPULAR
    card = {"plan": asdict(plan), "repeats": repeats, "popular": popular, "skipped": skipped, "modes": cards}
    return Trained(models, popular, repeats, plan, card)


def _collect(past: Past, plan: Plan) -> tuple[dict[str, list[Lists]], str]:
    """Make lists at one cutoff a horizon, back until there are enough or the data too young."""
    lists: dict[str, list[Lists]] = {mode: [] for mode in MODES}
    oldest = float(past.age.max(initial=0.0))
    total = 0
    for number in range(1, plan.most_cutoffs + 1):
        days = number * plan.horizon
        # Earlier, less than a quarter of the events would be known: another world than the one to serve.
        if days >= oldest or (past.age > days).mean() < 0.25:
            return lists, f"cutoffs from {days:g} days back: too little is known before them"
        if number > plan.cutoffs and total >= plan.enough_lists:
            return lists, ""
        if active_users(past, days, plan.horizon).size == 0:
            continue
        made = lists_at(
            past, days, plan.horizon, plan.depth, plan.most_users, plan.seed + number, plan.threads, plan.most
        )
        if lists["new"] and made["new"].names != lists["new"][0].names:
            return lists, f"cutoffs from {days:g} days back: some source had nothing to learn from"
        for mode in MODES:
            lists[mode].append(made[mode])
        total += made["new"].size
        logger.info("cutoff %g days back: %d lists", days, made["repeats"].size)
    return lists, ""


def _choose(
    parts: list[Lists], mode: str, plan: Plan, shift: Shift, judge: Judge | None
) -> tuple[Model, dict[str, Any]]:
    parts = [part for part in parts if part.size]
    sizes = [part.size for part in parts]
    names = parts[0].names if parts else ()
    held_count = _held(sizes, plan)
    if sum(sizes[:held_count]) < FEWEST_HELD:
        note = f"{sum(sizes)} lists are too few to judge by: {UNTRAINED} ranks"
        return fixed_blend(mode), {"winner": UNTRAINED, "note": note, "lists": sum(sizes)}
    held = join(parts[:held_count])
    best, popular = best_single(parts, NAMES, shift), best_single(parts, COMMON, shift)
    contenders = {name: single(name).score(held.features, names) for name in sorted({best, popular} - {""})}
    rounds = 0
    earlier = _thinned(parts[held_count:], plan)
    if earlier.size >= FEWEST_FOR_BLEND:
        blend = fit_blend(earlier, _importance(earlier, plan, shift))
        contenders[BLEND] = blend_parts(held.features, names, blend)[0].sum(axis=1)
    if earlier.size >= FEWEST_FOR_TREES:
        booster = fit_trees(earlier, plan.rounds, plan.seed, plan.threads, _importance(earlier, plan, shift))
        rounds, contenders[TREES] = best_rounds(booster, held, shift.weigh(held))
        scaled = contenders[TREES] / _spread(held, contenders[TREES])
        for name in (best, BLEND):
            for share in SHARES:
                other = contenders[name] * (share / _spread(held, contenders[name]))
                contenders[f"{TREES} + {share:g} {name}"] = scaled + other
    weights = shift.weigh(held)
    reached = {name: held.ndcg(scores) for name, scores in contenders.items()}
    if judge:
        judge(mode, held, reached, weights)
    winner = choose_winner(reached, weights)
    model, importance = _refit(winner, names, _thinned(parts, plan), rounds, plan, shift)
    card = {
        "winner": winner,
        "ndcg@10": {name: float(np.average(values, weights=weights)) for name, values in reached.items()},
        "lists": sum(sizes),
        "held_lists": held.size,
        "held_cutoffs": sorted({float(days) for days in held.cutoff}),
        "cutoffs": sorted({float(days) for part in parts for days in part.cutoff}),
        "rounds": rounds,
        "found": float(sum(part.label.sum() for part in parts) / sum(part.wanted.sum() for part in parts)),
        "importance": importance,
        "weights": dict(model.linear),
    }
    return model, card


def _held(sizes: list[int], plan: Plan) -> int:
    """Return how many of the latest cutoffs are held out."""
    enough = int(np.searchsorted(np.cumsum(sizes), plan.held_lists)) + 1
    return max(1, min(enough, len(sizes) // 3)) if sizes else 0


def _refit(
    winner: str, names: tuple[str, ...], lists: Lists, rounds: int, plan: Plan, shift: Shift
) -> tuple[Model, dict[str, float]]:
    """Learn the winner again from all lists."""
    trees, _, rest = winner.partition(" + ")
    share, other = (float(rest.split(" ")[0]), rest.split(" ")[1]) if rest else (1.0, "" if trees == TREES else trees)
    model = Model(winner)
    if other == BLEND:
        model = replace(model, linear=fit_blend(lists, _importance(lists, plan, shift)), linear_scale=1.0)
    elif other:
        model = replace(single(other), name=winner)
    if trees != TREES:
        return model, {}
    if other:
        model = replace(model, linear_scale=share / _spread(lists, model.score(lists.features, names)))
    booster = fit_trees(lists, rounds, plan.seed, plan.threads, _importance(lists, plan, shift))
    scale = 1 / _spread(lists, booster.predict(lists.features, raw_score=True))
    gains = booster.feature_importance("gain")
    order = np.argsort(-gains, kind="stable")
    importance = {names[place]: float(gains[place] / max(gains.sum(), 1e-9)) for place in order}
    model = replace(model, features=names, booster=booster.model_to_string(), trees_scale=scale)
    return model, importance


def _thinned(parts: list[Lists], plan: Plan) -> Lists:
    """Join the lists with something to find, cutoff by cutoff thinned to about `plan.rows` rows in all."""
    rows = plan.rows // max(len(parts), 1)
    return join([part.with_hits().thinned(rows, plan.seed + number) for number, part in enumerate(parts)])


def _importance(lists: Lists, plan: Plan, shift: Shift) -> NDArray[np.float64]:
    age = lists.cutoff - lists.cutoff.min(initial=np.inf)
    weight: NDArray[np.float64] = shift.weigh(lists) * 0.5 ** (age / plan.half_life)
    return weight


def _spread(lists: Lists, scores: NDArray[np.floating]) -> float:
    """Return how far scores lie from the mean of their list, on average: two models are added on one scale."""
    count = np.maximum(np.bincount(lists.list, minlength=lists.size), 1)
    mean = np.bincount(lists.list, scores, minlength=lists.size) / count
    return max(float(np.sqrt(np.mean((scores - mean[lists.list]) ** 2))), 1e-9)
