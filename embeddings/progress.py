"""How far a long job of encoding is, for its log."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Logs how much of a job is done and how long the rest will take; the estimate goes by characters."""

    def __init__(self, texts: int, characters: int) -> None:
        self._texts, self._characters = texts, characters
        self._done_texts = self._done_characters = self._tokens = 0
        self._started = self._logged = time.monotonic()

    def add(self, texts: int, characters: int, tokens: int) -> None:
        """Count what was done since the last call."""
        self._done_texts += texts
        self._done_characters += characters
        self._tokens += tokens
        now = time.monotonic()
        if now - self._logged < SECONDS_BETWEEN_LINES:
            return
        self._logged = now
        seconds = max(now - self._started, 1e-9)
        left = seconds * (self._characters - self._done_characters) / max(self._done_characters, 1)
        log.info(
            "encoded %d of %d texts, %.0f tokens/s, about %.0f s left",
            self._done_texts,
            self._texts,
            self._tokens / seconds,
            left,
        )
