"""The command line, `python -m tideline <command>`. The Makefile's targets call it."""

from __future__ import annotations

import argparse
import sys

from pydantic import ValidationError

from embeddings.settings import Settings, load_settings
from tideline.arguments import make_parser

CHANGE_HOME = ("run", "train", "models", "why-changed", "maintain", "backup", "up", "quarantine", "evaluate")
"""Commands that first bring the home to the present layout. The others read snapshots, or homes of their own."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status. Expected errors are printed as one line that says what to mend."""
    options = make_parser().parse_args(arguments)
    try:
        settings = load_settings()
    except ValidationError as error:
        for problem in error.errors():
            name = "TIDELINE_" + "_".join(str(part) for part in problem["loc"]).upper()
            print(f"error: {name}: {problem['msg']}", file=sys.stderr)
        return 2
    try:
        if options.command in CHANGE_HOME:
            from tideline.serving.upgrade import open_home

            open_home(settings)
        return _dispatch(options, settings)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except _expected_errors() as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _dispatch(options: argparse.Namespace, settings: Settings) -> int:
    if options.command == "run":
        if options.hours < 0:
            raise ValueError(f"HOURS must not be negative, got {options.hours}")
        from tideline.commands.run import run

        run(settings, options.as_of, options.hours)
    elif options.command == "train":
        from tideline.commands.train import train

        train(settings, options.as_of)
    elif options.command == "models":
        from tideline.commands.models import run_models

        run_models(settings, options.action, options.version)
    elif options.command == "why-changed":
        from tideline.commands.why_changed import why_changed

        why_changed(settings, options.user, options.earlier, options.later)
    elif options.command == "maintain":
        from tideline.commands.maintain import maintain

        maintain(settings)
    elif options.command == "backup":
        from tideline.commands.backup import backup

        backup(settings, options.to)
    elif options.command == "restore":
        from tideline.commands.backup import restore_home

        restore_home(settings, options.origin)
    elif options.command == "up":
        from tideline.commands.up import up

        up(settings)
    elif options.command == "down":
        from tideline.commands.up import down

        down(settings)
    elif options.command == "cluster":
        from tideline.commands.cluster import run_cluster

        run_cluster(settings, options.action)
    elif options.command == "sql":
        from tideline.commands.sql import run_sql

        return int(run_sql(settings, options.query, options.generation))
    elif options.command == "quarantine":
        from tideline.commands.quarantine import read_rows, run_quarantine
        from tideline.intake import Selection

        selection = Selection(options.batch, options.rule, read_rows(options.rows))
        fixes, reason, limit = options.set, options.reason, options.limit
        run_quarantine(settings, options.action, selection, fixes=fixes, reason=reason, limit=limit)
    elif options.command == "evaluate":
        from tideline.commands.evaluate import evaluate

        evaluate(settings, options.cutoff, options.horizon, slow=options.peers == "all")
    elif options.command == "bench-scheduler":
        from tideline.commands.bench_scheduler import bench_scheduler

        bench_scheduler(settings)
    elif options.command == "bench-gates":
        from tideline.commands.bench_gates import bench_gates

        bench_gates(settings, options.rows)
    elif options.command == "bench-embed":
        from tideline.commands.bench_embed import bench_embed

        bench_embed(settings)
    elif options.command == "bench-hourly":
        from tideline.commands.bench_hourly import bench_hourly

        bench_hourly(settings, options.users, options.active, options.items, options.seed_users, options.hours)
    elif options.command == "bench-lookups":
        from tideline.commands.bench_lookups import bench_lookups

        bench_lookups(settings, options.users, options.active, options.items, options.seed_users, options.seconds)
    elif options.command == "bench-intake":
        from tideline.commands.bench_intake import bench_intake

        bench_intake(settings)
    elif options.command == "bench-retrieval":
        from tideline.commands.bench_retrieval import bench_retrieval

        bench_retrieval(settings, options.users, options.items, options.dimension, options.k)
    elif options.command == "bench-windows":
        from tideline.commands.bench_windows import bench_windows

        bench_windows(settings, options.users, options.items, options.events)
    elif options.command == "bench-nightly":
        from tideline.commands.bench_nightly import bench_nightly

        bench_nightly(settings, options.users, options.items, options.events, options.steps)
    elif options.command == "bench-fusion":
        from tideline.commands.bench_fusion import bench_fusion

        bench_fusion(settings, options.horizon)
    elif options.command == "bench-upkeep":
        from tideline.commands.bench_upkeep import bench_upkeep

        bench_upkeep(settings, options.hours)
    elif options.command == "faults":
        from tideline.commands.faults import faults

        return faults(settings, short=options.short, only=options.only)
    elif options.command == "picture":
        from tideline.commands.picture import write_picture

        write_picture()
    return 0


def _expected_errors() -> tuple[type[Exception], ...]:
    from embeddings.home import HomeError
    from embeddings.model import ModelError
    from tideline.commands.dag_runs import RunError
    from tideline.dbt import WarehouseError
    from tideline.intake import LandingError, LostRowsError, StagingError
    from tideline.intake.compaction import CompactionError
    from tideline.maintenance.airflow_records import AirflowCleanError
    from tideline.maintenance.backup import RestoreError
    from tideline.maintenance.collecting import BackupError
    from tideline.serving.lock import LockTimeoutError
    from tideline.serving.pointer import SnapshotError
    from tideline.serving.scrub import DamagedError
    from tideline.supervisor import ServicesError

    ours = (
        ModelError,
        RunError,
        ServicesError,
        LandingError,
        LostRowsError,
        StagingError,
        WarehouseError,
        SnapshotError,
        HomeError,
        BackupError,
        RestoreError,
        CompactionError,
        AirflowCleanError,
        LockTimeoutError,
        DamagedError,
    )
    return (*ours, ValueError, FileNotFoundError)


if __name__ == "__main__":
    sys.exit(main())
