"""The text that stands for an item or an event. An empty string means: nothing to embed, so no vector."""

from __future__ import annotations

import unicodedata

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
    kept = "".join(
        character for character in text if character.isspace() or unicodedata.category(character) not in ("Cc", "Cs")
    )
    clean = " ".join(unicodedata.normalize("NFC", kept).split())
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
