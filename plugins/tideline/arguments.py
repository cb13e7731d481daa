"""The arguments of each command; the Makefile's targets give them."""

from __future__ import annotations

import argparse


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m tideline`."""
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
    cluster = commands.add_parser("cluster", help="Celery workers, queues and an object store, as processes here")
    cluster.add_argument("action", choices=("up", "down", "prepare", "secrets"))
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
    hourly.add_argument(
        "--users", type=_numbers, default="10000,100000,1000000", help="users in all, separated by commas"
    )
    hourly.add_argument("--active", type=_numbers, default="100,1000,10000", help="active users, separated by commas")
    hourly.add_argument("--items", type=int, default=20_000, help="generated items (default 20000)")
    hourly.add_argument("--seed-users", type=int, default=2_500, help="users that all others are copies of")
    hourly.add_argument("--hours", type=int, default=3, help="hours of each size; the middle one counts (default 3)")
    lookups = commands.add_parser("bench-lookups", help="lookups and scans by SQL, alone and while hours are published")
    lookups.add_argument("--users", type=_numbers, default="100000,1000000", help="users, separated by commas")
    lookups.add_argument("--items", type=int, default=20_000, help="generated items (default 20000)")
    lookups.add_argument("--active", type=int, default=1_000, help="users of a published hour (default 1000)")
    lookups.add_argument("--seed-users", type=int, default=2_500, help="users that all others are copies of")
    lookups.add_argument("--seconds", type=float, default=30, help="how long each reader asks (default 30)")
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


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"give numbers separated by commas, got {text!r}") from None
