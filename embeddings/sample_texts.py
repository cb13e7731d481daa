"""Real English text that every Python brings along: the language's reference, in paragraphs.

Backends are judged by it where a job has few texts of its own, and the benchmark encodes it where it is given no data.
"""

from __future__ import annotations

import re

SUBJECT = "the Python language reference (pydoc_data)"


def reference_paragraphs() -> list[str]:
    """Return about 3,000 different paragraphs of 20 characters and more, in their order."""
    from pydoc_data.topics import topics

    paragraphs = (re.sub(r"\s+", " ", part).strip() for text in topics.values() for part in text.split("\n\n"))
    return list(dict.fromkeys(part for part in paragraphs if len(part) >= 20))
