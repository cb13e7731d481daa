"""A real Postgres and a real S3-compatible store, started once for the tests of this room."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from backing_services import install_or_skip

from tideline.cluster.backing import start_backing
from tideline.cluster.layout import Cluster, open_cluster
from tideline.cluster.programs import store_environment
from tideline.hosts.objects import Objects, open_objects
from tideline.supervisor import stop


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Postgres and the store of a cluster, without any worker."""
    install_or_skip()
    # Ports below those that the system gives away by itself; the store adds 10,000 to some.
    first_port = random.randrange(20_000, 22_600, 10)
    folder = Path(tempfile.mkdtemp(prefix="tideline-hosts-"))  # not below pytest's: Postgres' user must reach it
    made = open_cluster(folder, "canonical", first_port)
    try:
        started = start_backing(made, only=("postgres", "store"))
        yield made
        stop(started)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def reached(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Objects:
    """The objects of a store of this test's own, which the settings name from now on."""
    from embeddings.settings import load_settings

    given = store_environment(cluster, "warehouse")
    given["TIDELINE_STORE"] += f"/{abs(hash(request.node.nodeid)):x}"
    given |= {"TIDELINE_SOURCE": "canonical", "TIDELINE_COMMIT_LOCK": cluster.commit_lock}
    given["TIDELINE_LEDGER_SECRET"] = "one for all"
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return open_objects(load_settings())
