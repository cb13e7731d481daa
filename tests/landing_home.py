"""A home and a landing folder for each test; dbt's parsed project is shared, so that each test parses nothing anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings


@pytest.fixture(scope="session")
def parsed_projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parsed")


@pytest.fixture
def settings_for(tmp_path: Path, parsed_projects: Path) -> Callable[..., Settings]:
    """Make settings for a source; the home is `tmp_path / "home"`, the landing folder `tmp_path / "landing"`."""

    def make(source: str = "canonical", landing: Path | None = None) -> Settings:
        home = tmp_path / "home"
        home.mkdir()
        (home / "cache").symlink_to(parsed_projects)
        return Settings(source=source, home=home, landing=landing or tmp_path / "landing", memory_limit="2GB")

    return make


@pytest.fixture
def land(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Write a landing file."""

    def write(name: str, content: bytes | str) -> Path:
        file = tmp_path / "landing" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


@pytest.fixture
def land_parquet(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a query's rows as a Parquet landing file."""

    def write(name: str, query: str) -> Path:
        file = tmp_path / "landing" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        duckdb.execute(f"copy ({query}) to '{file}' (format parquet)")
        return file

    return write
