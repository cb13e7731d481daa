"""What killed processes leave outside any run's folder: half-written files and folders, told by their names and age."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

STALE_SECONDS = 24 * 3600.0
"""Nobody writes a small file, or a trained version, for so long."""
PATTERNS = ("serving/.*.part", "serving/generations/.*.part", "models/.*.part", "models/.new-*")


def sweep(root: Path) -> list[str]:
    """Remove what was begun a day ago and never got its name; return the names, relative to the home.

    By the system's clock: one that was put back keeps leftovers longer, one that was put forward by a day could take
    what is being written, and whoever writes it then fails and is run again.
    """
    swept = []
    for pattern in PATTERNS:
        for path in sorted(root.glob(pattern)):
            with suppress(FileNotFoundError):  # it has got its name, or another process sweeps too
                if time.time() - path.lstat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    swept.append(path.relative_to(root).as_posix())
    return swept
