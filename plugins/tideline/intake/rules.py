"""What each rule of the row-level contract means, in a sentence without content."""

from __future__ import annotations

SENTENCES = {
    "unreadable_file": "the file is damaged",
    "unreadable_row": "the row cannot be split into the columns of its file",
    "undecodable_text": "the row is not UTF-8",
    "value_unreadable": "a value is not of the declared type",
    "user_id_missing": "an event needs a user",
    "item_id_missing": "an item, and every event but a search, needs an item id",
    "event_type_missing": "an event needs a type",
    "event_at_unreadable": "the time of the event is missing or cannot be read",
    "event_at_impossible": "the time of the event is before 1900, or more than a day after the file landed",
    "value_out_of_range": "the value of the event is outside the range that value_ranges sets for its source and type",
}


def sentence(rule: str) -> str:
    """Return what is wrong with a row that breaks `rule`; for a rule of a source's own, its name in words."""
    return SENTENCES.get(rule, rule.replace("_", " "))
