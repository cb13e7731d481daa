"""One stage of a night in a process of its own, as a task of Airflow: `python -m tideline.benches.nightly_stage STAGE`.

Prints one JSON object: `seconds` of the stage, imports included, `cpu` seconds of the processor, `peak` memory of the
process in MiB, and bytes that it `read` and `wrote`, from the disk or its cache.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tideline.benches.nightly_shop import AS_OF
from tideline.commands.bench_gates import peak_megabytes
from tideline.walk import walk
from tideline.window import window_ending

TOKEN = "bench"  # noqa: S105  not a password: tells these runs from others


def main() -> None:
    """Run the command line."""
    started, cpu = time.perf_counter(), time.process_time()
    walk(window_ending("nightly", AS_OF), TOKEN, first=sys.argv[1], last=sys.argv[1])
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    done = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "peak": peak_megabytes(),
        "read": int(lines["rchar"]),
        "wrote": int(lines["wchar"]),
    }
    print(json.dumps(done))  # noqa: T201  the answer


if __name__ == "__main__":
    main()
