"""A law: whatever rows a file holds, each one is accepted, quarantined or ignored, and none is lost or made up."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import duckdb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from embeddings.settings import Settings
from tideline.intake import list_batches, take_in

HEADER = b"user_id,item_id,event_type,event_at\n"
FIELD = st.one_of(
    st.sampled_from(
        ["", " ", "u1", "007", "view", "search", "2020-01-01", "1850-01-01", "2020-01-01T10:00:00+02:00", "nan"]
    ),
    st.text(
        alphabet=st.characters(codec="utf-8", exclude_characters='\r\n\0",', exclude_categories=("Cs",)), max_size=8
    ),
)


def quoted(field: str) -> bytes:
    return b'"' + field.replace('"', '""').encode() + b'"'


PLAIN = st.lists(FIELD, min_size=4, max_size=4).map(lambda fields: ",".join(fields).encode())
QUOTED = st.lists(FIELD.map(lambda field: field + '", \n'), min_size=4, max_size=4).map(
    lambda f: b",".join(map(quoted, f))
)
DATED = st.tuples(FIELD, FIELD).map(lambda ids: f"{ids[0]},{ids[1]},view,2020-01-01".encode())
BROKEN = st.one_of(
    st.integers(1, 7).filter(lambda n: n != 4).map(lambda n: b"x" + b"," * (n - 1)),
    st.sampled_from([b'"a"b,c,d,e', b'a,b,c,"d"e', b"\xff\xfe,b,c,d", b"a,\xc3,view,2020-01-01"]),
)
ROWS = st.lists(st.one_of(DATED, PLAIN, QUOTED, BROKEN), max_size=12)
FILES = st.lists(st.tuples(ROWS, st.sampled_from([b"\n", b"\r\n"])), min_size=25, max_size=25)


@given(files=FILES)
@settings(
    max_examples=4,
    phases=[Phase.explicit, Phase.generate],  # one example is 25 files and one run of dbt
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_rows_read_are_the_rows_of_the_file_and_each_has_one_disposition(
    files: list[tuple[list[bytes], bytes]], parsed_projects: Path
) -> None:
    home = Path(tempfile.mkdtemp(prefix="tideline-test-"))
    try:
        (home / "landing" / "events").mkdir(parents=True)
        (home / "cache").symlink_to(parsed_projects)
        written = {}
        for number, (rows, line_end) in enumerate(files):
            kept = [row for row in rows if row.strip()]
            (home / "landing" / "events" / f"{number}.csv").write_bytes(
                HEADER + b"".join(row + line_end for row in kept)
            )
            written[f"events/{number}.csv"] = len(kept)
        take_in(Settings(source="canonical", home=home))
        batches = list_batches(home)
        for batch in batches:
            assert batch["rows_read"] == batch["accepted"] + batch["quarantined"] + batch["ignored"]
            assert batch["quarantined"] == sum(batch["reasons"].values())
            if batch["quarantined"]:
                file = home / "quarantine" / f"{batch['batch_id']}.parquet"
                refused = duckdb.execute(f"select row_number from '{file}'").fetchall()
                assert len(refused) == len(set(refused)) == batch["quarantined"]
                assert all(1 <= number <= written[batch["file"]] for (number,) in refused)
        # Files of equal content and name are one batch; no file is unreadable.
        assert {batch["file"]: batch["rows_read"] for batch in batches} == written
    finally:
        shutil.rmtree(home)
