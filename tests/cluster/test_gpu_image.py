"""A GPU worker embeds a shard without what its image leaves out: dbt, DuckDB, Great Expectations and the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.plan import plan_texts
from embeddings.settings import Settings
from tideline.airflow_home import REPOSITORY

ABSENT = ("dbt", "duckdb", "great_expectations", "lightgbm", "lancedb", "psycopg", "flask_appbuilder")
CODE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(f"{{name}} is not in the GPU image", name=name)

sys.meta_path.insert(0, Absent())
from pathlib import Path
sys.path.insert(0, {dags!r})
import hourly_recommendations, nightly_recommendations, train_models, maintenance
from tideline import recording, stages
from tideline.hosts import groups, objects, run_folder, shared, trees, workplace
from embeddings.shard import encode_shard
from embeddings.settings import Settings
record = encode_shard(Path({out!r}), {shard!r}, Settings(home=Path({home!r})))
print("embedded", record["embedded"])
"""


def test_it_parses_the_dags_and_embeds_without_what_its_image_leaves_out(tmp_path: Path) -> None:
    items = pa.table(
        {
            "item_id": ["a", "b"],
            "title": ["Tide tables", "Fast waves"],
            "category": [None, "sea"],
            "description": [None] * 2,
        }
    ).cast(pa.schema([(name, pa.string()) for name in ("item_id", "title", "category", "description")]))
    pq.write_table(items, tmp_path / "items.parquet")
    events = pa.schema([("event_id", pa.string()), ("event_text", pa.string())]).empty_table()
    pq.write_table(events, tmp_path / "events.parquet")
    settings = Settings(home=tmp_path / "home")
    out = tmp_path / "vectors"
    (shard,) = plan_texts(tmp_path / "items.parquet", tmp_path / "events.parquet", out, settings).shards
    given = {"out": str(out), "shard": shard.name, "home": str(settings.root), "dags": str(REPOSITORY / "dags")}
    code = CODE.format(absent=set(ABSENT), **given)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "embedded 2" in done.stdout
    assert json.loads((out / "shards" / f"{shard.name}.json").read_text())["failed"] == []
