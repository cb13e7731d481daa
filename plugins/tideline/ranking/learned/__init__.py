"""The learned two-stage recommender on plain arrays: candidate sources, features of pairs, a ranking that is learned.

`train` learns from several past cutoffs what the days after them brought; `rank` recommends with what it learned. Both
read nothing but a `Past`, and the features of training come from the code that serves.

A night lets every source learn from everybody and leaves that in its folder; its hours ask it about their users. What
`train` learned is a version that a run pins; without one a fixed blend ranks (`untrained`).
"""

from tideline.ranking.learned.past import Interests, Past, make_past
from tideline.ranking.learned.ranking import Ranked, rank
from tideline.ranking.learned.store import load, save
from tideline.ranking.learned.training import Plan, Trained, train

__all__ = ["Interests", "Past", "Plan", "Ranked", "Trained", "load", "make_past", "rank", "save", "train"]
