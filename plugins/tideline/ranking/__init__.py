"""Candidates, features, scores, rules and reasons: from vectors and behaviour tables to ranked rows."""

from tideline.ranking.learned.fixed_blend import UNTRAINED
from tideline.ranking.stage import rank

__all__ = ["UNTRAINED", "rank"]
