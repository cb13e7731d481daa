"""The champion gate: a challenger must beat the champion, beyond noise, on days that that one has not learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.evaluation.intervals import Bootstrap, Estimate, estimate
from tideline.ranking.learned.fixed_blend import UNTRAINED
from tideline.ranking.learned.lists import Lists
from tideline.ranking.learned.model import Model
from tideline.ranking.learned.training import FEWEST_HELD, Trained
from tideline.ranking.learned.untrained import untrained
from tideline.ranking.learned.winner import choose_winner

Floats = NDArray[np.float64]
SEED = 11


@dataclass(frozen=True)
class Rival:
    """Who is to be beaten."""

    models: Mapping[str, Model]
    """One for each mode; none of a champion that this code cannot read."""
    unseen_days: float
    """It has not learned from cutoffs at most so many days before `as_of`: what they foretell came later."""
    champion: str | None = None
    """Name of the version; None: the fixed blend that ranks where nothing is trained."""


@dataclass(frozen=True)
class Comparison:
    """Means of NDCG@10 over the same held-out lists, and the challenger's minus the rival's with its 95% interval."""

    lists: int
    challenger: float
    rival: float
    difference: Estimate


@dataclass
class Bench:
    """Looks on while a challenger is trained (a `training.Judge`), and notes how it does beside its rival."""

    rival: Rival
    compared: dict[str, Comparison] = field(default_factory=dict)
    """By mode; a mode without lists enough that the rival has not learned from is not in it."""
    unfit: set[str] = field(default_factory=set)
    """Modes whose lists the rival cannot score: it was trained with other features."""

    def __call__(self, mode: str, held: Lists, reached: Mapping[str, Floats], weights: Floats) -> None:
        """Compare the two on the held-out lists of a mode that the rival has not learned from."""
        model = self.rival.models.get(mode)
        # The fixed blend takes what there is.
        if model is None or (self.rival.champion and not can_score(model, held.names)):
            self.unfit.add(mode)
            return
        unseen = held.cutoff <= self.rival.unseen_days
        if np.count_nonzero(unseen) < FEWEST_HELD:
            return
        own = chosen_elsewhere(reached, weights)[unseen]
        other = held.ndcg(model.score(held.features, held.names))[unseen]
        weight = weights[unseen] / weights[unseen].mean()
        values = weight[:, None] * np.stack([own, other, own - other], axis=1)
        means, drawn = Bootstrap([np.arange(own.size)]).means([values])
        difference = estimate(float(means[2]), drawn[:, 2])
        self.compared[mode] = Comparison(own.size, float(means[0]), float(means[1]), difference)


@dataclass(frozen=True)
class Decision:
    """Whether a challenger becomes champion, and why."""

    promoted: bool
    reason: str
    against: str | None
    compared: Mapping[str, Comparison]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def fallback_rival() -> Rival:
    """Return the rival of a first version: the fixed blend, which has learned nothing."""
    return Rival(untrained().models, float("inf"))


def can_score(model: Model, names: tuple[str, ...]) -> bool:
    """Say whether a model was trained with these features: trees read them by place, a blend by name."""
    return (not model.booster or model.features == names) and set(model.linear) <= set(names)


def chosen_elsewhere(reached: Mapping[str, Floats], weights: Floats) -> Floats:
    """Return what the winner reached on lists that did not choose it.

    The best of many contenders on some lists flatters itself there. So the lists are halved by a fixed draw, and each
    half counts the contender that won on the other.

    Parameters
    ----------
    reached
        By contender, NDCG of each list, `[m]`.
    weights
        `[m]` how much each list counts.

    Returns
    -------
    ndarray, `[m]`
    """
    half = np.random.default_rng(SEED).random(weights.size) < 0.5
    found = np.empty(weights.size)
    for own in (half, ~half):
        winner = choose_winner({name: values[~own] for name, values in reached.items()}, weights[~own])
        found[own] = reached[winner][own]
    return found


def decide(trained: Trained, bench: Bench) -> Decision:
    """Decide about a challenger.

    It replaces the champion where the 95% interval of the paired difference lies above zero in at least one mode, and
    below zero in none. A first version has to be not below the fixed blend. A champion that cannot score the lists at
    all is replaced. A challenger that could learn nothing, or that nothing can judge which the champion has not seen,
    is never promoted.
    """
    against, compared = bench.rival.champion, bench.compared
    who = against or UNTRAINED
    figures = "; ".join(describe(mode, comparison) for mode, comparison in compared.items())
    if note := too_little(trained):
        return Decision(False, f"too little to learn from ({note}): {who} stays", against, compared)
    if bench.unfit:
        return Decision(True, f"{who} was trained with other features and cannot be used any more", against, compared)
    if not compared:
        days = f"{bench.rival.unseen_days:g} days"
        return Decision(False, f"too few lists in the {days} that {who} has not seen: it stays", against, compared)
    if any(comparison.difference.high < 0 for comparison in compared.values()):
        return Decision(False, f"worse than {who}, which stays: {figures}", against, compared)
    if against is None:
        return Decision(True, f"first version, not below {who}: {figures}", against, compared)
    if any(comparison.difference.low > 0 for comparison in compared.values()):
        return Decision(True, f"better than {who}: {figures}", against, compared)
    return Decision(False, f"not better than {who} beyond noise, which stays: {figures}", against, compared)


def too_little(trained: Trained) -> str:
    """Return why nothing could be learned for any mode; empty where something was."""
    cards = list(trained.card["modes"].values())
    notes = [card["note"] for card in cards if "winner" in card and "note" in card]
    return "" if any("importance" in card for card in cards) else notes[0]


def describe(mode: str, comparison: Comparison) -> str:
    """Say in words how the two did in a mode."""
    found = comparison.difference
    return (
        f"{mode} NDCG@10 {comparison.challenger:.4f} to {comparison.rival:.4f} "
        f"({found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}], {comparison.lists} lists)"
    )
