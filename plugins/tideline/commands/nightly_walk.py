"""One stage of a night in a process of its own, as a task of Airflow: `python -m tideline.commands.nightly_walk STAGE`.

Prints one JSON object: `seconds` of the stage, imports included, `cpu` seconds of the processor, `peak` memory of the
process in MiB, and bytes that it `read` and `wrote`, from the disk or its cache.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from embeddings.settings import load_settings
from tideline import stages
from tideline.commands.bench_gates import peak_megabytes
from tideline.commands.nightly_landing import AS_OF
from tideline.run import name_run
from tideline.window import window_ending

TOKEN = "bench"  # noqa: S105  not a password: tells these runs from others
STAGES = (
    "open_run",
    "take_in",
    "check_staging",
    "build_behaviour",
    "check_behaviour",
    "plan_texts",
    "embed_shards",
    "collect_vectors",
    "join_vectors",
    "fuse_interests",
    "rank",
    "build_marts",
    "check_recommendations",
    "publish",
)
"""The stages of the nightly DAG in order; `embed_shards` is all shards, one after the other."""


def walk(stage: str) -> None:
    """Do one stage of the night that ends at `AS_OF`."""
    window = window_ending("nightly", AS_OF)
    opened = name_run(window, TOKEN)
    if stage == "open_run":
        stages.open_run(window, TOKEN)
    elif stage == "embed_shards":
        from embeddings.model import describe_model
        from embeddings.shard_files import read_plan

        settings = load_settings()
        for shard in read_plan(settings.root / "runs" / opened / "vectors", describe_model(settings)).shards:
            stages.embed_shard(opened, shard.name)
    else:
        getattr(stages, stage)(opened)


def main() -> None:
    """Run the command line."""
    started, cpu = time.perf_counter(), time.process_time()
    walk(sys.argv[1])
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    done = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "peak": peak_megabytes(),
        "read": int(lines["rchar"]),
        "wrote": int(lines["wchar"]),
    }
    print(json.dumps(done))


if __name__ == "__main__":
    main()
