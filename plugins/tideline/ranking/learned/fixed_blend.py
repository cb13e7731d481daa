"""The blend of stated weights that ranks where nothing has been learned, or too little to judge by."""

from __future__ import annotations

from tideline.ranking.learned.model import Model

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
POPULAR = "popular_28d"
"""The common source that unknown users get then."""


def fixed_blend(mode: str) -> Model:
    """Return the fixed blend for `repeats` or `new`."""
    return Model(UNTRAINED, linear=UNTRAINED_WEIGHTS[mode], linear_scale=1.0)
