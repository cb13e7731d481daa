"""Fixtures of the embedding room: a home below the test's own folder, and small tables of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from embeddings.settings import Settings, load_settings

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", threads=2)


@pytest.fixture
def as_of() -> datetime:
    return AS_OF
