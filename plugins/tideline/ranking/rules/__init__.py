"""Rules and variety: what a data team sets, applied to scored pairs, and named in each row that it changed.

`arrange` turns a user's scored candidates into the list that is published. Its steps, in this order: boosts, diversity,
caps per category, exploration. What may never be shown is no candidate at all: `dim_items` says which items are
available and not blocked.
"""

from tideline.ranking.rules.arrange import Arranged, Scored, arrange
from tideline.ranking.rules.exploration import Explorers, draw_seeds
from tideline.ranking.rules.facts import Categories, ItemFacts, read_categories
from tideline.ranking.rules.settings import COLUMNS, Rules, RulesError, load_rules

__all__ = [
    "COLUMNS",
    "Arranged",
    "Categories",
    "Explorers",
    "ItemFacts",
    "Rules",
    "RulesError",
    "Scored",
    "arrange",
    "draw_seeds",
    "load_rules",
    "read_categories",
]
