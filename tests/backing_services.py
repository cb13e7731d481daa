"""Postgres, Redis and the store of a cluster, for the rooms whose tests need real ones."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tideline.cluster.programs import missing

APT = ["apt-get", "install", "--yes", "--no-install-recommends", "postgresql", "redis-server"]


def install_or_skip() -> None:
    """Install what is missing where this machine lets us; else skip, by name."""
    if missing() and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update"], check=False, capture_output=True)
        subprocess.run(APT, check=False, capture_output=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if absent := missing():
        pytest.skip(f"not installed, and cannot be by apt-get here: {', '.join(absent)}")
