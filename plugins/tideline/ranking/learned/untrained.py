"""What ranks where nothing has been learned yet."""

from __future__ import annotations

from tideline.ranking.learned.model import Model
from tideline.ranking.learned.training import FALLBACK, Plan, Trained

UNTRAINED = "untrained-1"
"""Name of the fixed blend; raise it when its weights change."""
UNTRAINED_WEIGHTS = {
    "repeats": {"tifu.share": 1.0, "ease_decayed.share": 0.1, "popular_28d.share": 0.1, "text_fused.rank": 0.02},
    "new": {
        "popular_28d.share": 1.0,
        "ease_decayed.share": 0.5,
        "neighbours_recent.share": 0.5,
        "text_fused.rank": 0.1,
    },
}


def untrained(plan: Plan | None = None) -> Trained:
    """Return what ranks where nothing has been learned yet: a fixed blend of stated sources."""
    models = {mode: Model(UNTRAINED, linear=weights, linear_scale=1.0) for mode, weights in UNTRAINED_WEIGHTS.items()}
    return Trained(models, FALLBACK["new"], True, plan or Plan(), {"note": "not trained"})
