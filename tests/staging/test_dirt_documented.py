"""The dirt of the real data sets is pinned down: every number in docs/data is what its query gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline import warehouse
from tideline.intake import list_batches, take_in
from tideline.intake.declaration import read_declaration
from tideline.intake.files import find_files
from tideline.intake.landing import connect, load_files
from tideline.intake.process import SELECTION, STAGING
from tideline.run import Run
from tideline.window import window_ending

DOCS = Path(__file__).resolve().parents[2] / "docs" / "data"
ROW = re.compile(r"^\| (?P<what>[^|]+?) \| (?P<number>-?[\d,.]+) \| `(?P<query>[^`]+)` \|", re.MULTILINE)
AFTER_ALL = datetime(2024, 1, 1, tzinfo=UTC)
DOCUMENTED = {"online_retail": 20, "amazon_cn": 8, "amazon2023_slice": 10, "ml_latest_small": 6}


@pytest.fixture
def open_source(
    datasets: Path, settings_for: Callable[..., Settings]
) -> Iterator[Callable[[str], duckdb.DuckDBPyConnection]]:
    """Land a real source; its raw tables, staging models, judged rows and the run's models are in reach."""
    opened = []

    def land(source: str) -> duckdb.DuckDBPyConnection:
        if not (datasets / source).is_dir():
            pytest.skip(f"../shared/datasets/{source} is not beside this checkout")
        settings = settings_for(source, datasets / source)
        raw = settings.root / "raw.duckdb"
        declaration = read_declaration(source, STAGING)
        with connect(raw, settings) as connection:
            files = find_files(settings.landing_path, declaration, [])
            load_files(connection, declaration, files, AFTER_ALL, settings.root)
        common = {"source": source, "settings": settings, "vars": {}, "cache": settings.root / "cache" / "dbt"}
        warehouse.build(raw, select=SELECTION, exclude=("test_type:unit",), target_path=settings.root / "dbt", **common)
        take_in(settings)
        batches = tuple(batch["batch_id"] for batch in list_batches(settings.root))
        run = Run("dirt", window_ending("nightly", AFTER_ALL), settings.root, source, batches=batches)
        warehouse.build_behaviour(run, settings)
        connection = duckdb.connect(str(run.warehouse), read_only=True)
        opened.append(connection)
        connection.execute(f"attach '{raw}' (read_only)")
        connection.execute("set timezone = 'UTC'; set search_path = 'warehouse.main,raw.main,raw.landing'")
        return connection

    yield land
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("source", DOCUMENTED)
def test_every_number_in_the_docs_is_what_its_query_gives(
    source: str, open_source: Callable[[str], duckdb.DuckDBPyConnection]
) -> None:
    rows = [match.groupdict() for match in ROW.finditer((DOCS / f"{source}.md").read_text())]
    assert len(rows) >= DOCUMENTED[source]
    connection = open_source(source)
    found = {}
    for row in rows:
        (answer,) = connection.execute(row["query"]).fetchone() or (None,)
        found[row["what"]] = answer
    assert found == {row["what"]: float(row["number"].replace(",", "")) for row in rows}
