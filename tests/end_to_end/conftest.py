"""The small shop and one main job on it, shared by the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.shop import AS_OF, tideline, write_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The landing folder of the small shop."""
    landing = tmp_path_factory.mktemp("shop") / "landing"
    write_shop(landing, AS_OF)
    return landing


@pytest.fixture(scope="session")
def published(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Home and printed output of the main job: one night and three hours on the small shop."""
    home = tmp_path_factory.mktemp("home")
    done = tideline(home, shop, "run", "--as-of", "2024-03-01", "--hours", "3")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return home, done.stdout
