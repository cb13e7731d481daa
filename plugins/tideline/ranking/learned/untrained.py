"""What ranks where nothing has been learned yet."""

from __future__ import annotations

from tideline.ranking.learned.fixed_blend import POPULAR, UNTRAINED_WEIGHTS, fixed_blend
from tideline.ranking.learned.training import Plan, Trained


def untrained(plan: Plan | None = None) -> Trained:
    """Return what ranks where nothing has been learned yet: a fixed blend of stated sources."""
    models = {mode: fixed_blend(mode) for mode in UNTRAINED_WEIGHTS}
    return Trained(models, POPULAR, True, plan or Plan(), {"note": "not trained"})
