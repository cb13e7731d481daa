"""The dbt unit tests of the row-level contract."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from embeddings.settings import Settings
from tideline import warehouse
from tideline.intake.declaration import read_declaration
from tideline.intake.landing import connect, load_files
from tideline.intake.process import SELECTION, STAGING


def test_the_unit_tests_of_the_judgement_pass(settings_for: Callable[..., Settings]) -> None:
    settings = settings_for("movielens_1m")
    database = settings.root / "intake.duckdb"
    with connect(database, settings) as connection:
        load_files(
            connection, read_declaration(settings.source, STAGING), [], datetime(2024, 1, 1, tzinfo=UTC), settings.root
        )
    common = {"source": settings.source, "vars": {}, "settings": settings, "cache": settings.root / "cache" / "dbt"}
    unit_tests = ("test_type:unit",)
    warehouse.build(database, select=SELECTION, exclude=unit_tests, target_path=settings.root / "built", **common)
    selected = [f"{path},test_type:unit" for path in warehouse.LANDED]
    counts = warehouse.build(database, command="test", select=selected, target_path=settings.root / "tested", **common)
    assert counts["tests"] == 4
