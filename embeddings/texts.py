"""The text that stands for an item or an event. An empty string means: nothing to embed, so no vector.

One normalisation for all, `normalise`: what is hashed, embedded and counted is its result.
"""

from __future__ import annotations

import html
import re
import unicodedata

LONGEST = 40_000
"""Characters of a text that are read: work stays bounded whatever arrives, and models read far less."""
_PASSES = 8
"""Rounds of markup inside markup (`&amp;amp;lt;`) that are unpacked; what is left then loses its signs."""

# Control characters that are no white space, lone surrogates, which no tokenizer can read, and marks that only steer
# the direction of writing. Joiners (U+200C, U+200D) stay: emoji and several scripts are spelt with them.
_DROPPED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)
_AMPERSANDS = re.compile(r"&(?:amp;?|AMP;?|#0*38;|#[xX]0*26;)+")
# Bounded, or a text of nothing but openings would take a square of its length.
_SILENT = re.compile(r"<!--.{0,5000}?-->|<(script|style)\b[^<>]*>.{0,5000}?</\1\s*>", re.IGNORECASE | re.DOTALL)
# A tag begins with a letter, a slash or an exclamation mark: "a < b", "<3" and "5 > 4" are no tags.
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:-]*)(?:\s[^<>]*)?/?>|<![a-zA-Z][^<>]*>")
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "code", "em", "font", "i", "mark", "s", "small", "span", "strong", "u"}
)
_NOTHING = frozenset({"nan", "none", "null"})
_SENTENCE_ENDS = ".!?。！？…"


def normalise(text: str | None) -> str:
    """Return the canonical form of a text: what is hashed and what is embedded.

    In this order, again and again until nothing changes:

    1. Unicode is composed and its compatibility forms are folded (NFKC): full-width Ａ becomes A, half-width ｶ becomes
       カ. Chinese, emoji and every other script stay.
    2. Control characters, lone surrogates and marks of direction go; right-to-left text itself stays.
    3. HTML entities become their characters; comments, scripts and styles go; a tag becomes a space, or nothing
       where it only marks a part of a word (`<b>`).
    4. White space becomes single spaces.

    Only the first `LONGEST` characters are read (see `is_cut`). A text without any letter, number or symbol (only
    punctuation, say), and one that says only nan, None or null in any case, has no content and becomes `""`. Case is
    kept: it is the model's business. Idempotent.
    """
    if not text:
        return ""
    clean = text[:LONGEST]
    for _ in range(_PASSES):
        before, clean = clean, _one_pass(clean)
        if clean == before:
            break
    else:
        # Without these signs there is no markup that a further pass could find.
        clean = _one_pass(re.sub("[<>&＜＞＆﹤﹥﹠]", " ", _one_pass(clean)))
    clean = clean[:LONGEST].rstrip()
    if clean.casefold() in _NOTHING:
        return ""
    return clean if any(unicodedata.category(character)[0] in "LNS" for character in clean) else ""


def is_cut(*texts: str | None) -> bool:
    """Say whether `normalise` leaves the end of one of these raw texts unread."""
    return any(text is not None and len(text) > LONGEST for text in texts)


def item_text(title: str | None, category: str | None = None, description: str | None = None) -> str:
    """Return the text of an item: its title, its categories and its description, as sentences.

    `category` may hold several joined by `|`. Parts without content are left out; without any, the text is `""`.
    """
    categories = ", ".join(filter(None, (normalise(part) for part in (category or "")[:LONGEST].split("|"))))
    parts = [part for part in (normalise(title), categories, normalise(description)) if part]
    return " ".join(part if part[-1] in _SENTENCE_ENDS else f"{part}." for part in parts)


def event_text(text: str | None) -> str:
    """Return the text of an event (a review, a query): the user's own words, normalised."""
    return normalise(text)


def _one_pass(text: str) -> str:
    clean = _DROPPED.sub("", unicodedata.normalize("NFKC", _DROPPED.sub("", text)))
    if "&" in clean:
        clean = html.unescape(_AMPERSANDS.sub("&", clean))
    if "<" in clean:
        clean = _TAG.sub(_replace_tag, _SILENT.sub(" ", clean))
    return " ".join(clean.split())


def _replace_tag(tag: re.Match[str]) -> str:
    return "" if (tag[1] or "").lower() in _INLINE else " "
