"""What fusion is worth: the learned gate beside fixed ones, and the hypotheses about the two windows, on a home's own data."""

from tideline.fusion_study.study import study

__all__ = ["study"]
