"""Airflow's own API over Postgres, prepared as a cluster's `init` does: who sees, who acts, who manages people."""

from __future__ import annotations

import random
import shutil
import tempfile
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from backing_services import install_or_skip
from cluster.driving import Driver, wait_for

from embeddings.settings import Settings
from tideline import supervisor
from tideline.cluster.backing import start_backing
from tideline.cluster.layout import Cluster, open_cluster
from tideline.cluster.programs import services
from tideline.commands.cluster import prepare_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Postgres and the API server of a cluster, nothing else of it."""
    install_or_skip()
    folder = Path(tempfile.mkdtemp(prefix="tideline-roles-"))  # not below pytest's: Postgres' user must reach it
    made = open_cluster(folder, "canonical", random.randrange(20_000, 22_600, 10))
    settings = Settings(source="canonical", home=folder / "home", ui_port=made.first_port)
    try:
        start_backing(made, only=("postgres",))
        prepare_database(made, settings)
        supervisor.start(folder / "services", {"api-server": services(made, settings)["api-server"]})
        wait_for(lambda: answers(made), 300, "answer of the API server")
        yield made
    finally:
        for name in ("services", "backing"):
            if supervisor.is_running(folder / name):
                supervisor.stop(folder / name)
        shutil.rmtree(folder, ignore_errors=True)


def answers(cluster: Cluster) -> bool:
    try:
        return Driver(cluster, "nobody").ask("GET", "/api/v2/monitor/health") is not None
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_roles_decide_who_may_do_what(cluster: Cluster) -> None:
    nobody, viewer, operator, admin = (Driver(cluster, who) for who in ("nobody", "viewer", "operator", "admin"))
    pools, people = "/api/v2/pools", "/auth/fab/v1/users"
    new = {"name": "another", "slots": 1, "description": None}
    assert [who.status("GET", pools) for who in (nobody, viewer, operator, admin)] == [401, 200, 200, 200]
    assert [who.status("POST", pools, new) for who in (nobody, viewer, operator)] == [401, 403, 200]
    assert [who.status("GET", people) for who in (nobody, viewer, operator, admin)] == [401, 403, 403, 200]
    assert viewer.ask("GET", f"{pools}/gpu")["slots"] == 2
    with pytest.raises(urllib.error.HTTPError):
        Driver(cluster._replace(secrets={**cluster.secrets, "admin": "a guess"}), "admin")
