"""Ways to make and to weigh the two windows; each gives NDCG@10 of every user who is to be foretold at a cutoff."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.examples import Examples
from embeddings.fusion.from_run import ENOUGH, MOMENTS
from embeddings.fusion.past import Spans
from embeddings.fusion.training import GATES, best_fixed_gate, train_network, usable
from tideline.fusion_study.contrast import adapt
from tideline.fusion_study.ground import Ground
from tideline.fusion_study.interests import with_several_interests

FEWER = 3
"""Horizons that what is no gate is chosen and trained on."""
Values = dict[str, NDArray[np.float64]]
LONG, SHORT, FIXED, LEARNED, HINDSIGHT = (
    "long only",
    "short only",
    "best fixed gate",
    "learned gate",
    "best gate in hindsight",
)


def compare_gates(
    ground: Ground, kind: str, back: float, *, repeats: bool
) -> tuple[Values, Examples, dict[str, float]]:
    """Score each window alone, the fixed gate that was best before, the learned one, and a user's best in hindsight."""
    test = ground.test(kind, back, ground.spans, repeats=repeats)
    past = list(ground.earlier(kind, back, ground.spans, repeats=repeats, horizons=MOMENTS))
    fixed = best_fixed_gate(past) if past else 0.5
    enough = sum(len(usable(part).user) for part in past) >= ENOUGH
    gates = train_network(past, fixed).gates(test.signals) if enough else np.full(len(test.user), fixed)
    each = np.stack([test.ndcg(test.scores(gate)) for gate in GATES])
    both = np.isnan(test.only)
    values = {
        LONG: np.where(test.only == 0, 0.0, each[-1]),
        SHORT: np.where(test.only == 1, 0.0, each[0]),
        FIXED: each[GATES.index(fixed)],
        LEARNED: test.ndcg(test.scores(gates)),
        HINDSIGHT: each.max(axis=0),
    }
    said = {
        "fixed": fixed,
        "mean": float(gates[both].mean()),
        "low": float(gates[both].min()),
        "high": float(gates[both].max()),
    }
    return values, test, said


def try_hypotheses(ground: Ground, kind: str, back: float, *, repeats: bool) -> Values:
    """Score the windows as they are, and each hypothesis, with the long vector alone and at the best fixed gate."""
    spans = ground.spans
    decayed = spans._replace(long_half_life=spans.long_days / 8)
    ways: dict[str, Spans] = {
        "as it is": spans,
        "long window overlaps the short": spans._replace(long_ends_where_short_begins=False),
        "long window decays": decayed,
    }
    values: Values = {}
    for name, way in ways.items():
        test = ground.test(kind, back, way, repeats=repeats)
        _score(values, name, test, list(ground.earlier(kind, back, way, repeats=repeats, horizons=FEWER)))
    test = ground.test(kind, back, spans, repeats=repeats)
    past = list(ground.earlier(kind, back, spans, repeats=repeats, horizons=FEWER))
    items = ground.vectors(kind, back)
    several = with_several_interests(test, ground.behaviour, back, spans, items)
    _score(values, "three interests a user", several, past)
    return values


def try_contrast(ground: Ground, kind: str, back: float, *, repeats: bool) -> Values:
    """Score vectors whose directions are scaled by training, without and with long against short (see `contrast`)."""
    test = ground.test(kind, back, ground.spans, repeats=repeats)
    steps = range(1, FEWER + 1)
    past = [
        (part, ground.vectors(kind, back + step * ground.horizon))
        for step, part in zip(
            steps, ground.earlier(kind, back, ground.spans, repeats=repeats, horizons=FEWER), strict=False
        )
    ]
    items = ground.vectors(kind, back)
    found = {}
    for name, share in (("scaled directions", 0.0), ("scaled directions, contrastive", 0.1)):
        found[name] = test.ndcg(adapt(test, items, past, share))
    return found


def _score(values: Values, name: str, test: Examples, past: list[Examples]) -> None:
    fixed = best_fixed_gate(past) if past else 0.5
    values[f"{name}: long only"] = np.where(test.only == 0, 0.0, test.ndcg(test.scores(1.0)))
    values[f"{name}: fused"] = test.ndcg(test.scores(fixed))
