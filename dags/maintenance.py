"""
## Maintenance

Keeps the home fit for years: **compaction** of the lake and of the vectors, **retention**, Airflow's own records. It
changes no result, and runs beside nights and hours.

**In**: the home. **Out**: the same home, in fewer files and bytes.

**When it fails**
- `scrub`: a file is damaged, and the message names it. Nothing was deleted. Take the file from a backup, or, if it
  is a snapshot or vectors, publish its window again; `docs/operations.md` says how. Then clear the task.
- `compact_lake`: the rows of a batch are not those of its account: as for `scrub`.
- `clean_airflow`: Airflow's message is in the log. Nothing waits for it: mend it before the disk is full.
- anything else: clear the task; each may be repeated.

**By hand**: trigger it, or `make maintain`. How long things are kept: the settings `TIDELINE_KEEP_*`.
"""

from __future__ import annotations

from airflow.sdk import chain, dag, task

from embeddings.settings import load_settings
from tideline.maintenance import tasks
from tideline.schedules import common_arguments, timetable

settings = load_settings()


@dag(
    dag_id="maintenance",
    schedule=timetable(settings.maintenance_schedule),
    max_active_runs=1,
    doc_md=__doc__,
    **common_arguments(settings, "maintenance"),
)
def maintenance() -> None:
    """Wire the upkeep: damage is looked for before anything is deleted."""
    chain(*(task(each, queue="warehouse")() for each in tasks.IN_ORDER))


maintenance()
