"""The command line, `python -m tideline <command>`. The Makefile's targets call it."""

from __future__ import annotations

import argparse
import sys

from pydantic import ValidationError

from embeddings.settings import Settings, load_settings

CHANGE_HOME = ("run", "train", "models", "why-changed", "maintain", "backup", "up", "quarantine", "evaluate")
"""Commands that first bring the home to the present layout. The others read snapshots, or homes of their own."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status. Expected errors are printed as one line that says what to mend."""
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tideline", description="Recommendation tables from behaviour events.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="the nightly DAG for one window, then some hours after it")
    run.add_argument("--as-of", default=None, help="end of the nightly window, a date or an ISO timestamp (UTC)")
    run.add_argument("--hours", type=int, default=3, help="hourly windows after it (default 3)")
    train = commands.add_parser("train", help="the training DAG once, and whether its version became champion")
    train.add_argument("--as-of", default=None, help="what lies before it is learned from (default: as of `run`)")
    models = commands.add_parser("models", help="trained versions and champions: list, back, use")
    models.add_argument("action", nargs="?", default="list", choices=("list", "back", "use"))
    models.add_argument("--version", default=None, help="use: the version that is to be champion")
    why = commands.add_parser("why-changed", help="which ranks of a user moved between two generations, and why")
    why.add_argument("user", help="the user's id")
    why.add_argument("--from", dest="earlier", default=None, help="a kept generation (default: the newest other rows)")
    why.add_argument("--to", dest="later", default=None, help="a kept generation (default: the current one)")
    commands.add_parser("maintain", help="what the maintenance DAG does, once and here")
    backup = commands.add_parser("backup", help="copy a consistent set of the home, while runs go on")
    backup.add_argument("to", help="a new folder, best on another disk")
    restore = commands.add_parser("restore", help="make an empty home from a backup")
    restore.add_argument("origin", help="the backup's folder")
    commands.add_parser("up", help="start Airflow and its UI on 127.0.0.1")
    commands.add_parser("down", help="stop what `up` started")
    sql = commands.add_parser("sql", help="a read-only SQL prompt on what is published")
    sql.add_argument("query", nargs="?", default=None)
    sql.add_argument("--generation", default=None, help="a stored generation instead of the current one")
    quarantine = commands.add_parser("quarantine", help="rows that broke a rule: list, show, release, discard")
    quarantine.add_argument("action", nargs="?", default="list", choices=("list", "show", "release", "discard"))
    quarantine.add_argument("--batch", default=None, help="the batch that the rows came with")
    quarantine.add_argument("--rule", default=None, help="the rule that they broke")
    quarantine.add_argument("--rows", default="", help="row numbers of the batch, as in 3,5")
    quarantine.add_argument("--set", action="append", default=[], help="release: column=value, or a JSON object")
    quarantine.add_argument("--reason", default="", help="discard: why")
    quarantine.add_argument("--limit", type=int, default=20, help="show: how many rows (default 20)")
    evaluate = commands.add_parser("evaluate", help="publish at past cutoffs and score it against what came after")
    evaluate.add_argument("--cutoff", default=None, help="cutoffs, separated by commas (default: chosen from the data)")
    evaluate.add_argument("--horizon", type=float, default=7, help="days after each cutoff (default 7)")
    evaluate.add_argument("--peers", default="", choices=("", "all"), help="all: also the slow ones, such as SASRec")
    commands.add_parser("bench-scheduler", help="time an idle and an active hour by the real scheduler")
    gates = commands.add_parser("bench-gates", help="what the gates cost on generated rows, and of the last night")
    gates.add_argument("--rows", type=int, default=10_000_000, help="generated rows (default 10000000)")
    hourly = commands.add_parser("bench-hourly", help="what an hour costs, by users in all and by active ones")
    hourly.add_argument("--users", default="10000,100000,1000000", help="users in all, separated by commas")
    hourly.add_argument("--active", default="100,1000,10000", help="active users, separated by commas")
    hourly.add_argument("--items", type=int, default=20_000, help="generated items (default 20000)")
    hourly.add_argument("--seed-users", type=int, default=2_500, help="users that all others are copies of")
    hourly.add_argument("--hours", type=int, default=3, help="hours of each size; the middle one counts (default 3)")
    commands.add_parser("bench-embed", help="tokens a second beside the defaults of sentence-transformers")
    commands.add_parser("bench-intake", help="landing to behaviour tables, against one query written by hand")
    retrieval = commands.add_parser("bench-retrieval", help="nearest items of every user, beside faiss and LanceDB")
    retrieval.add_argument("--users", type=int, default=100_000, help="generated users (default 100000)")
    retrieval.add_argument("--items", type=int, default=100_000, help="generated items (default 100000)")
    retrieval.add_argument("--dimension", type=int, default=384, help="of their vectors (default 384)")
    retrieval.add_argument("--k", type=int, default=50, help="items a user (default 50)")
    windows = commands.add_parser("bench-windows", help="window vectors and fusion on generated events")
    windows.add_argument("--users", type=int, default=1_000_000, help="generated users (default 1000000)")
    windows.add_argument("--items", type=int, default=100_000, help="generated items (default 100000)")
    windows.add_argument("--events", type=int, default=20_000_000, help="generated events (default 20000000)")
    nightly = commands.add_parser("bench-nightly", help="a whole night stage by stage, and how each stage grows")
    nightly.add_argument("--users", type=int, default=1_000_000, help="generated users (default 1000000)")
    nightly.add_argument("--items", type=int, default=100_000, help="generated items (default 100000)")
    nightly.add_argument("--events", type=int, default=20_000_000, help="generated events (default 20000000)")
    nightly.add_argument("--steps", type=int, default=2, help="nights before it, each a tenth of the next (default 2)")
    fusion = commands.add_parser("bench-fusion", help="learned and fixed gates, and hypotheses about the two windows")
    fusion.add_argument("--horizon", type=float, default=7, help="days after each cutoff (default 7)")
    upkeep = commands.add_parser("bench-upkeep", help="bytes on the disk over simulated hours, with and without upkeep")
    upkeep.add_argument("--hours", type=int, default=1_000, help="simulated hours (default 1000)")
    faults = commands.add_parser("faults", help="kill a made-up shop at every failpoint, and see what is left of it")
    faults.add_argument("--short", action="store_true", help="a night and a handful of failpoints")
    faults.add_argument("--only", default="", help="tries whose run, stage or failpoint contains this text")
    commands.add_parser("picture", help="draw DAGs, tasks and assets into dags/README.md")
    return parser


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

        users, active = ([int(number) for number in text.split(",")] for text in (options.users, options.active))
        bench_hourly(settings, users, active, options.items, options.seed_users, options.hours)
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
    from tideline.commands.up import ServicesError
    from tideline.dbt import WarehouseError
    from tideline.intake import LandingError, LostRowsError, StagingError
    from tideline.intake.compaction import CompactionError
    from tideline.maintenance.airflow_records import AirflowCleanError
    from tideline.maintenance.backup import RestoreError
    from tideline.maintenance.collecting import BackupError
    from tideline.serving.lock import LockTimeoutError
    from tideline.serving.pointer import SnapshotError
    from tideline.serving.scrub import DamagedError

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
