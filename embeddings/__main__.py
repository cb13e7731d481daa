"""The command line that a worker or a container runs: `python -m embeddings embed ...` or `interests ...`.

Settings come from the environment. Progress goes to the standard error, the counts to the standard output as JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from embeddings.embed import embed_run
from embeddings.model import ModelError
from embeddings.settings import load_settings
from embeddings.windows import interest_vectors


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m embeddings", description="Texts to vectors, vectors to interests.")
    commands = parser.add_subparsers(dest="command", required=True)
    embed = commands.add_parser("embed", help="item_vectors.parquet and event_vectors.parquet from the texts of a run")
    embed.add_argument("--items", type=Path, required=True, help="dim_items.parquet")
    embed.add_argument("--events", type=Path, required=True, help="event_texts.parquet")
    embed.add_argument("--out", type=Path, required=True, help="folder of the vectors")
    interests = commands.add_parser("interests", help="user_vectors.parquet from behaviour tables and vectors")
    interests.add_argument("--tables", type=Path, required=True, help="folder of dim_users and the behaviour tables")
    interests.add_argument(
        "--vectors", type=Path, required=True, help="folder of the vectors; gets user_vectors.parquet"
    )
    interests.add_argument("--as-of", type=_instant, required=True, help="ISO 8601; UTC where no offset is given")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = load_settings()
    try:
        if options.command == "embed":
            counts = embed_run(options.items, options.events, options.out, settings)
        else:
            counts = interest_vectors(options.tables, options.vectors, options.as_of, settings)
    except (ModelError, FileNotFoundError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(counts) + "\n")
    return 0


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


if __name__ == "__main__":
    sys.exit(main())
