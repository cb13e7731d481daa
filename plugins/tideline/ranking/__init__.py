"""Candidates, features, scores, rules and reasons: from vectors and behaviour tables to ranked rows."""

from tideline.ranking.stage import RANKER_VERSION, rank

__all__ = ["RANKER_VERSION", "rank"]
