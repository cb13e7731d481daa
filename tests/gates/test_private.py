"""What a gate leaves behind, and says, holds no text of anybody: events, ids and quarantine are full of a marker."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from embeddings.settings import Settings
from tideline import contracts, stages
from tideline.gates import SUITES, check
from tideline.run import Run

MARKER = "Zebra-Quokka"


@pytest.fixture
def marked(made: SimpleNamespace, root: Path) -> Run:
    """A run whose every text and id, kept or quarantined, holds the marker, and whose every suite has much to say."""
    named = [
        (f"e-{MARKER}-{n}", f"u-{MARKER}", f"i-{MARKER}", f"type-{MARKER}", "1970-01-01", None, f"I love {MARKER}")
        for n in range(150)
    ]
    made.batch(root, "marked", events=[*named, *named], record={"rows_read": 3_000, "quarantined": 2_700,
               "reasons": {"user_id_missing": 2_700}})  # fmt: skip
    (root / "quarantine").mkdir()
    with duckdb.connect() as connection:
        connection.execute(f"create table refused ({contracts.ddl(contracts.QUARANTINE)})")
        connection.execute("insert into refused by name select 'marked' as batch_id, ? as raw", [f"{MARKER} raw"])
        connection.table("refused").write_parquet(str(root / "quarantine" / "marked.parquet"))
    run = made.run(root, batches=("events-1", "items-1", "marked"), new_batches=("marked",))
    return made.warehouse(
        run,
        f"update nightly_recommendations set item_id = 'i-{MARKER}', score = 'nan'; "
        f"update long_window_behaviour set user_id = 'u-{MARKER}', item_id = 'i-{MARKER}', weight = 0;",
    )


def test_the_records_pages_and_messages_of_gates_hold_no_text_of_anybody(
    marked: Run, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    said = []
    with caplog.at_level(logging.DEBUG):
        for suite in SUITES:
            with pytest.raises(Exception, match="is shut") as caught:
                check(suite, marked, settings)
            said.append(str(caught.value))
    files = [file for file in (settings.root / "data_docs").rglob("*") if file.is_file()]
    assert len(files) == 2 * len(SUITES)
    for text in [*said, caplog.text, *(file.read_text() for file in files)]:
        assert MARKER not in text


def test_a_failed_task_names_expectation_numbers_page_and_query_and_no_text(
    marked: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("TIDELINE_SOURCE", settings.source)
    monkeypatch.setenv("TIDELINE_HOME", str(settings.root))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080/")
    marked.save()
    with caplog.at_level(logging.DEBUG), pytest.raises(AirflowFailException) as caught:
        stages.check_staging(marked.run_id)
    message = str(caught.value)
    for part in (
        "(quarantined_share): observed 0.9, expected at most 0.5, 2,700 rows concerned",
        f"http://127.0.0.1:8080/tideline/data-docs/{marked.run_id}/staging.html",
        str(settings.root / "data_docs" / marked.run_id / "staging.html"),
    ):
        assert part in message
    [query] = [line.split(": ", 1)[1] for line in message.splitlines() if line.startswith("Quarantined rows")]
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall()[0][3] == 1
    line = json.loads((marked.path / "stages.jsonl").read_text().splitlines()[-1])
    assert line["failure"]
    for text in (message, caplog.text, json.dumps(line)):
        assert MARKER not in text
