"""The text that stands for an item or an event. An empty string means: nothing to embed, so no vector."""

from __future__ import annotations

import re
import unicodedata

# Control characters that are no white space, and lone surrogates, which no tokenizer can read.
_DROPPED = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_SENTENCE_ENDS = ".!?。！？…"


def normalise(text: str | None) -> str:
    """Return the canonical form of a text: what is hashed and what is embedded.

    Control characters and lone surrogates go, Unicode is composed (NFC), white space becomes single spaces. A text
    without any letter, number or symbol (only punctuation, say) has no content and becomes `""`. Case is kept: it is
    the model's business. Idempotent.
    """
    if not text:
        return ""
    # Dropped before composing: what they separated may compose, and a second pass must find nothing left to do.
    clean = " ".join(unicodedata.normalize("NFC", _DROPPED.sub("", text)).split())
    return clean if any(unicodedata.category(character)[0] in "LNS" for character in clean) else ""


def item_text(title: str | None, category: str | None = None, description: str | None = None) -> str:
    """Return the text of an item: its title, its categories and its description, as sentences.

    `category` may hold several joined by `|`. Parts without content are left out; without any, the text is `""`.
    """
    categories = ", ".join(filter(None, (normalise(part) for part in (category or "").split("|"))))
    parts = [part for part in (normalise(title), categories, normalise(description)) if part]
    return " ".join(part if part[-1] in _SENTENCE_ENDS else f"{part}." for part in parts)


def event_text(text: str | None) -> str:
    """Return the text of an event (a review, a query): the user's own words, normalised."""
    return normalise(text)
