"""The README's source works as printed, and a model that loses rows or fails on them is named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline import dbt
from tideline.dbt import PROJECT
from tideline.intake import LostRowsError, StagingError, lake_files, list_batches, process, take_in

ITEMS = """select _file, _row, sku as item_id, name as title, null::varchar as description, null::varchar as category,
null::timestamp as available_from, null::timestamp as available_until, null::timestamp as updated_at,
null::varchar as ignored_by
from {{ source('shop', 'products') }}"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the README's source, in a copy of the dbt project."""
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(dbt, "PROJECT", project)
    monkeypatch.setattr(process, "STAGING", project / "models" / "staging")
    readme = (PROJECT / "models" / "staging" / "README.md").read_text()
    printed = dict(re.findall(r"```(yaml|sql)\n(.*?)```", readme, re.DOTALL))
    folder = project / "models" / "staging" / "shop"
    folder.mkdir()
    (folder / "shop.yml").write_text(printed["yaml"])
    (folder / "stg_shop__events.sql").write_text(printed["sql"])
    (folder / "stg_shop__items.sql").write_text(ITEMS)
    return folder


def test_the_readmes_source_works_and_its_rules_are_kept(
    shop: Path, settings_for: Callable[..., Settings], land: Callable[[str, str], Path]
) -> None:
    land("clicks/1.csv", "who;what;when\nann;tea;2024-01-01T10:00:00+01:00\ntest-1;tea;2024-01-01\n;tea;2024-01-01\n")
    settings = settings_for("shop")
    take_in(settings)
    (batch,) = list_batches(settings.root)
    assert (batch["rows_read"], batch["accepted"]) == (3, 1)
    assert (batch["reasons"], batch["ignored_by"]) == ({"user_id_missing": 1}, {"test_user": 1})
    (events,), _ = lake_files(settings.root, [batch["batch_id"]])
    found = duckdb.execute(
        f"select user_id, item_id, event_type, event_at::varchar, event_text from '{events}'"
    ).fetchall()
    assert found == [("ann", "tea", "click", "2024-01-01 09:00:00", None)]

    model = shop / "stg_shop__events.sql"
    land("clicks/2.csv", "who;what;when\nann;SECRET;2024-01-02\n")
    model.write_text(model.read_text() + "where what <> 'SECRET'\n")
    with pytest.raises(LostRowsError, match=r"clicks/2\.csv: 1 rows were read and 0 came out"):
        take_in(settings)
    model.write_text(model.read_text().replace("where what <> 'SECRET'", "where cast(what as integer) > 0"))
    with pytest.raises(StagingError, match="int_landed_events__judged") as caught:
        take_in(settings)
    assert "SECRET" not in str(caught.value)
    assert list_batches(settings.root) == [batch]
