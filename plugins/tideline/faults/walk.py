"""One process that walks the stages of a run as Airflow's tasks do, from the first one or from one in the middle.

`python -m tideline.faults.walk WALK [--first STAGE] [--look] [--pictures FOLDER]` prints one JSON object: what could be
seen `before` (with `--look`) and `after`, and `passed`, the failpoints that each stage passed and how often. Gates are
left out: they decide whether a run goes on and change nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

from embeddings.failpoints import watch
from embeddings.settings import load_settings
from tideline import stages
from tideline.faults.shop import WALKS
from tideline.run import name_run
from tideline.window import Kind, window_ending

TOKEN = "faults"  # noqa: S105  not a password: tells these runs from others
_TO_TEXTS = ("open_run", "take_in", "build_behaviour", "plan_texts", "embed_shards", "collect_vectors")
_TO_READERS = (*_TO_TEXTS, "join_vectors", "fuse_interests", "rank", "build_marts", "publish")
STAGES: dict[Kind, tuple[str, ...]] = {
    "training": (*_TO_TEXTS, "train_models", "choose_champion"),
    "nightly": _TO_READERS,
    "hourly": _TO_READERS,
}


def walk(name: str, first: str, pictures: Path | None) -> dict[str, dict[str, int]]:
    """Do the stages of a run from `first` on; return the failpoints that each passed, unless the process is to die.

    With `pictures`, the home is copied to `<pictures>/<walk>/<stage>` before each stage.
    """
    settings = load_settings()
    passed: dict[str, Counter[str]] = {}
    kind, _ = WALKS[name]
    names = STAGES[kind]
    for stage in names[names.index(first) :]:
        if pictures:
            shutil.copytree(settings.root, pictures / name / stage, symlinks=True)
        counted = passed.setdefault(stage, Counter())
        if settings.failpoint is None:
            watch(lambda point, counted=counted: counted.update([point]))  # type: ignore[misc]
        _do(stage, name)
    return {stage: dict(counted) for stage, counted in passed.items()}


def _do(stage: str, name: str) -> None:
    kind, as_of = WALKS[name]
    window = window_ending(kind, as_of)
    opened = name_run(window, TOKEN)
    if stage == "open_run":
        stages.open_run(window, TOKEN)
    elif stage == "embed_shards":
        from embeddings.model import describe_model
        from embeddings.shard_files import read_plan

        settings = load_settings()
        plan = read_plan(settings.root / "runs" / opened / "vectors", describe_model(settings))
        for shard in plan.shards:
            stages.embed_shard(opened, shard.name)
    elif stage == "choose_champion":
        _choose_champion()
    else:
        getattr(stages, stage)(opened)


def _choose_champion() -> None:
    """Make the version champion by hand, if the gate did not: so little is learned from a small shop."""
    from embeddings.failpoints import arm
    from tideline.models import list_champions, list_versions, use_version

    settings = load_settings()
    arm(settings.failpoint)
    if not list_champions(settings.root):
        use_version(settings.root, list_versions(settings.root)[-1].name)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="tideline.faults.walk", description=__doc__)
    parser.add_argument("walk", choices=WALKS)
    parser.add_argument(
        "--first", default="open_run", choices=sorted({stage for names in STAGES.values() for stage in names})
    )
    parser.add_argument("--look", action="store_true", help="look at what readers see before anything is done")
    parser.add_argument("--pictures", type=Path, default=None, help="copy the home there before each stage")
    options = parser.parse_args()
    before = None
    if options.look:
        from tideline.faults.look import see_published

        before = see_published(load_settings())
    passed = walk(options.walk, options.first, options.pictures)
    from tideline.faults.look import see_all

    after = see_all(load_settings())
    print(json.dumps({"before": before, "after": after, "passed": passed}))  # noqa: T201  the answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
