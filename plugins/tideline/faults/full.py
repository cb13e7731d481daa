"""The disk is full: a home on a file system of its own that has no room left for what a stage writes.

`python -m tideline.faults.full WALK STAGE PICTURE HOME` is called in a user and mount namespace of its own (`unshare`),
where it mounts a tmpfs over the home: a real full file system, which no other process sees, without being root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from tideline.faults.ground import Ground, read_answer
from tideline.faults.kills import differences, name_seen
from tideline.faults.outcome import Try
from tideline.faults.process import Walker

FAMILY = "disk full"
STAGES = (
    ("night", "take_in"),
    ("night", "build_behaviour"),
    ("night", "collect_vectors"),
    ("night", "fuse_interests"),
    ("night", "publish"),
    ("hour", "publish"),
)
ROOM = (16, 256)
"""KiB that are left on the disk: nearly none, and enough for a beginning."""
PLENTY = "4g"
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def plan(_: Any) -> Iterator[Try]:
    """Yield the tries; none where a user may not make namespaces, as in some containers."""
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode:
        return
    for walk, stage in STAGES:
        for room in ROOM:
            attempt = partial(_fill, walk=walk, stage=stage, room=room)
            yield Try(FAMILY, f"{room} KiB are left on the disk before `{stage}`", walk, attempt)


def _fill(ground: Ground, walk: str, stage: str, room: int) -> tuple[str, list[str]]:
    """The run fails, readers see the generation before; with room again, the rerun ends as if nothing had been."""
    reference = ground.references[walk]
    ground.clear()
    ground.home.mkdir()
    picture = ground.folder / "pictures" / walk / stage
    command = [sys.executable, "-m", "tideline.faults.full", walk, stage, str(picture), str(ground.home), str(room)]
    environment = {**os.environ, **ground.environment()}
    done = subprocess.run([*NAMESPACE, *command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return "unknown", [f"the try itself failed: {done.stderr[-1500:]}"]
    told = json.loads(done.stdout.splitlines()[-1])
    seen, broken = name_seen(reference, told["seen"])
    broken += differences(reference.after, told["after"])
    if not told["failed"]:
        return f"{seen}: there was room enough", broken
    if "space" not in told["error"]:
        broken.append(f"the error does not speak of space: {told['error']}")
    return seen, broken


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, inside the namespace."""
    walk, stage, picture, home, room = arguments or sys.argv[1:]
    _mount("-t", "tmpfs", "-o", f"size={PLENTY}", "tmpfs", home)
    shutil.copytree(picture, home, symlinks=True, dirs_exist_ok=True)
    used = shutil.disk_usage(home).used
    _mount("-o", f"remount,size={used + int(room) * 1024}", home)
    environment = {name: value for name, value in os.environ.items() if name.startswith("TIDELINE_")}
    failed = Walker([walk, "--first", stage], environment).wait()
    looked = Walker([walk, "--look-only"], environment).wait()
    _mount("-o", f"remount,size={PLENTY}", home)
    rerun = Walker([walk, "--first", stage], environment).wait()
    if looked.status or rerun.status:
        sys.stderr.write(f"{looked.err[-1500:]}\n{rerun.err[-1500:]}\n")
        return 1
    error = "\n".join(line for line in failed.err.splitlines() if "pace" in line)[-300:] or failed.err[-300:]
    answer = {
        "failed": bool(failed.status),
        "error": error,
        "seen": read_answer(looked)["before"],
        "after": read_answer(rerun)["after"],
    }
    print(json.dumps(answer))  # noqa: T201  the answer
    return 0


def _mount(*options: str) -> None:
    subprocess.run([shutil.which("mount") or "mount", *options], check=True)


if __name__ == "__main__":
    sys.exit(main())
