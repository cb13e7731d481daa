"""Imports point one way, and what is heavy stays out of the parsing of DAG files."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "lancedb", "duckdb", "pandas", "great_expectations", "dbt", "sentence_transformers", "scipy")
FORBIDDEN = {
    "embeddings": {"airflow", "dbt", "tideline", "dags"},
    "plugins/tideline": {"dags", "lancedb"},
    "dags": {"lancedb", *HEAVY},
}


def imported(file: Path) -> Iterator[str]:
    """Top-level names that a file imports, at module level or inside functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_downstream(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files, f"{room} has no Python files: this test would pass on nothing"
    found = [
        (str(file.relative_to(ROOT)), name) for file in files for name in imported(file) if name in FORBIDDEN[room]
    ]
    assert found == []


def test_dbt_project_holds_no_python() -> None:
    assert list((ROOT / "dbt_project").rglob("*.sql"))
    assert list((ROOT / "dbt_project").rglob("*.py")) == []


def test_only_the_store_imports_lancedb() -> None:
    files = [file for room in ("dags", "plugins", "embeddings") for file in (ROOT / room).rglob("*.py")]
    users = {str(file.relative_to(ROOT)) for file in files if "lancedb" in imported(file)}
    assert users == {"embeddings/store.py"}


def test_only_the_settings_read_the_environment() -> None:
    files = [file for room in ("dags", "plugins", "embeddings") for file in (ROOT / room).rglob("*.py")]
    readers = {
        str(file.relative_to(ROOT))
        for file in files
        if "environ.get" in file.read_text() or "getenv(" in file.read_text()
    }
    assert readers == {"embeddings/settings.py"}


@pytest.mark.parametrize("dag_file", sorted(file.name for file in (ROOT / "dags").glob("*.py")))
def test_parsing_a_dag_file_imports_nothing_heavy(dag_file: str, tmp_path: Path) -> None:
    code = (
        "import sys, runpy; runpy.run_path(sys.argv[1]);"
        "print(sorted({name.split('.')[0] for name in sys.modules} & set(sys.argv[2].split(','))))"
    )
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "dags" / dag_file), ",".join(HEAVY)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_modules_stay_small() -> None:
    files = [file for room in ("dags", "plugins", "embeddings") for file in (ROOT / room).rglob("*.py")]
    long = {str(file.relative_to(ROOT)): n for file in files if (n := len(file.read_text().splitlines())) > 260}
    assert long == {}
