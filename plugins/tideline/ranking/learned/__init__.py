"""The learned two-stage recommender on plain arrays: candidate sources, features of pairs, a ranking that is learned.

`train` learns from several past cutoffs what the days after them brought; `rank` recommends with what it learned. Both
read nothing but a `Past`, and the features of training come from the code that serves.

Not in the runs yet: a night still ranks by the blend of `ranking.ranker`. What is missing is the DAG that trains, and a
`Past` made from a run's tables.
"""

from tideline.ranking.learned.past import Interests, Past, make_past
from tideline.ranking.learned.ranking import Ranked, rank
from tideline.ranking.learned.store import load, save
from tideline.ranking.learned.training import Plan, Trained, train

__all__ = ["Interests", "Past", "Plan", "Ranked", "Trained", "load", "make_past", "rank", "save", "train"]
