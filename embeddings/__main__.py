"""The command line that a worker or a container runs: `python -m embeddings plan`, `shard`, `collect`, `interests`.

`embed` is plan, every shard and collect in one process. Settings come from the environment. Progress goes to the
standard error, the counts to the standard output as JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embeddings.collect import collect_vectors
from embeddings.embed import embed_run
from embeddings.home import HomeError, check_home
from embeddings.model import ModelError
from embeddings.plan import plan_texts
from embeddings.settings import Settings, load_settings
from embeddings.shard import encode_shard
from embeddings.shard_files import PlanError
from embeddings.windows import interest_vectors


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = load_settings()
    try:
        check_home(settings.root)
        counts = _run(options, settings)
    except (HomeError, ModelError, PlanError, FileNotFoundError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(counts) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m embeddings", description="Texts to vectors, vectors to interests.")
    commands = parser.add_subparsers(dest="command", required=True)
    plan = commands.add_parser("plan", help="the shards of the texts that have no vector yet")
    shard = commands.add_parser("shard", help="the vectors of one shard")
    collect = commands.add_parser("collect", help="one commit, item_vectors.parquet and event_vectors.parquet")
    embed = commands.add_parser("embed", help="plan, every shard and collect in one process")
    for command in (plan, embed):
        command.add_argument("--items", type=Path, required=True, help="dim_items.parquet")
        command.add_argument("--events", type=Path, required=True, help="event_texts.parquet")
    for command in (plan, shard, collect, embed):
        command.add_argument("--out", type=Path, required=True, help="folder of the run's vectors")
    shard.add_argument("--shard", required=True, help="name of a shard, or its number from 0, as an indexed job has it")
    interests = commands.add_parser("interests", help="user_vectors.parquet from behaviour tables and vectors")
    interests.add_argument("--tables", type=Path, required=True, help="folder of dim_users and the behaviour tables")
    interests.add_argument(
        "--vectors", type=Path, required=True, help="folder of the vectors; gets user_vectors.parquet"
    )
    interests.add_argument("--as-of", type=_instant, required=True, help="ISO 8601; UTC where no offset is given")
    return parser


def _run(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    if options.command == "plan":
        plan = plan_texts(options.items, options.events, options.out, settings)
        return {"model": plan.model, **plan.counts, "shards": [shard.name for shard in plan.shards]}
    if options.command == "shard":
        return encode_shard(options.out, options.shard, settings)
    if options.command == "collect":
        return dict(collect_vectors(options.out, settings))
    if options.command == "embed":
        return dict(embed_run(options.items, options.events, options.out, settings))
    return dict(interest_vectors(options.tables, options.vectors, options.as_of, settings))


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


if __name__ == "__main__":
    sys.exit(main())
