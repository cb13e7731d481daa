"""The compose file, the chart's values, the processes of `make cluster-up` and the DAGs tell of one topology."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from embeddings.settings import Settings
from tideline.airflow_home import REPOSITORY
from tideline.cluster.layout import WORKERS, open_cluster, store_identities
from tideline.cluster.programs import services
from tideline.commands.cluster import write_secrets
from tideline.supervisor import ServicesError, tool

PROFILES = ("cpu", "gpu", "once")
QUEUES = {"default", "warehouse", "gpu"}


@pytest.fixture(scope="module")
def dotenv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secrets") / ".env"
    write_secrets(file)
    return file


def compose(dotenv: Path | None, profile: str) -> subprocess.CompletedProcess[str]:
    """Resolve the compose file of a profile, with the secrets of a file and nothing of this machine's environment."""
    given = ["--env-file", str(dotenv)] if dotenv else ["--env-file", os.devnull]
    return subprocess.run(
        [
            tool("docker-compose"),
            "--file",
            "docker-compose.yml",
            *given,
            "--profile",
            profile,
            "config",
            "--format=json",
        ],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )


def resolved(dotenv: Path, profile: str) -> dict[str, Any]:
    done = compose(dotenv, profile)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def values_of_chart() -> dict[str, Any]:
    """The values of the official Airflow chart, as docs/deploy.md gives them."""
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "deploy.md").read_text(), re.DOTALL)
    (values,) = [parsed for block in blocks if "workers" in (parsed := yaml.safe_load(block))]
    return values


def queue_of(command: list[str]) -> str:
    return command[command.index("--queues") + 1]


def workers_of(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in config["services"].items() if "celery" in (service["command"] or ())}


def test_each_profile_resolves_and_without_secrets_it_says_how_to_make_them(dotenv: Path) -> None:
    for profile in PROFILES:
        resolved(dotenv, profile)
        refused = compose(None, profile)
        assert refused.returncode != 0
        assert "make secrets" in refused.stderr


def test_secrets_are_private_all_of_them_asked_for_and_never_overwritten(dotenv: Path) -> None:
    assert dotenv.stat().st_mode & 0o077 == 0
    made = dict(line.split("=", 1) for line in dotenv.read_text().splitlines())
    asked = set(re.findall(r"\$\{(\w+):\?", (REPOSITORY / "docker-compose.yml").read_text()))
    assert set(made) == asked
    assert len(set(made.values())) == len(made) and min(map(len, made.values())) >= 40
    with pytest.raises(ServicesError, match="is there"):
        write_secrets(dotenv)


def test_every_queue_of_a_task_has_its_workers_everywhere(dotenv: Path) -> None:
    from tideline.commands.dag_runs import load_dags

    asked = {task.queue for dag in load_dags().values() for task in dag.tasks}
    assert asked == QUEUES
    for profile in ("cpu", "gpu"):
        workers = workers_of(resolved(dotenv, profile)).values()
        assert {queue_of(worker["command"]) for worker in workers} == QUEUES
        assert len(workers) == len(QUEUES)
    assert {worker.queue for worker in WORKERS} == QUEUES
    chart = values_of_chart()["workers"]["celery"]
    named = {chart["queue"], *(pool["queue"] for pool in chart["sets"])}
    assert named == QUEUES


def test_a_gpu_worker_does_one_shard_at_a_time_and_only_its_profile_asks_for_a_device(dotenv: Path) -> None:
    devices = {}
    for profile in ("cpu", "gpu"):
        (worker,) = [w for w in workers_of(resolved(dotenv, profile)).values() if queue_of(w["command"]) == "gpu"]
        assert worker["command"][worker["command"].index("--concurrency") + 1] == "1"
        assert worker["build"]["dockerfile"] == "embeddings/Dockerfile"
        (models,) = [volume for volume in worker["volumes"] if volume["target"] == "/models"]
        assert models["read_only"] is True
        devices[profile] = worker["deploy"]["resources"].get("reservations", {}).get("devices", [])
    assert devices["cpu"] == []
    assert [(device["driver"], device["capabilities"]) for device in devices["gpu"]] == [("nvidia", ["gpu"])]
    assert {worker.concurrency for worker in WORKERS if worker.queue == "gpu"} == {1}


def test_every_service_is_limited_restarted_watched_and_pinned(dotenv: Path) -> None:
    for profile in ("cpu", "gpu"):
        config = resolved(dotenv, profile)
        for name, service in config["services"].items():
            assert re.search(r":\d+\.\d+", service["image"]), name
            assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["restart"] == ("no" if name == "init" else "unless-stopped"), name
            assert ("healthcheck" in service) == (name != "init"), name
        published = {name: service["ports"] for name, service in config["services"].items() if "ports" in service}
        assert published.keys() == {"api-server"}
        assert [(port["host_ip"], port["target"]) for port in published["api-server"]] == [("127.0.0.1", 8080)]
        used = [
            v for service in config["services"].values() for v in service.get("volumes", ()) if v["type"] == "volume"
        ]
        assert {volume["source"] for volume in used if "source" in volume} <= config["volumes"].keys()


def test_nobody_is_told_a_secret_that_it_has_no_use_for(dotenv: Path, tmp_path: Path) -> None:
    config = resolved(dotenv, "cpu")
    told = {name: service.get("environment") or {} for name, service in config["services"].items()}
    cluster = open_cluster(tmp_path, "canonical", 24_000)
    settings = Settings(source="canonical", home=tmp_path, ledger_secret="of the embedded home")
    told |= {name: dict(program.environment) for name, program in services(cluster, settings).items()}
    only = {
        "AIRFLOW__API_AUTH__JWT_SECRET": {"init", "api-server", "scheduler", "dag-processor", "triggerer"},
        "AIRFLOW__CORE__FERNET_KEY": {"init", "api-server", "scheduler", "dag-processor", "triggerer"},
        "TIDELINE_COMMIT_LOCK": {"worker-warehouse", "warehouse-1", "warehouse-2"},
        "TIDELINE_LEDGER_SECRET": {"worker-warehouse", "warehouse-1", "warehouse-2"},
        "TIDELINE_UI_PASSWORDS": {"init"},
    }
    for name, allowed in only.items():
        assert {who for who, variables in told.items() if name in variables} == allowed, name
    for who, variables in told.items():
        if "worker" in who or who in {worker.name for worker in WORKERS}:
            assert "postgresql" not in variables.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", ""), who
        if who.startswith(("worker-gpu", "worker-default", "gpu", "default")):
            assert variables["AWS_ACCESS_KEY_ID"] == "runs", who


def test_every_tideline_variable_is_a_setting(dotenv: Path) -> None:
    known = {f"TIDELINE_{name.upper()}" for name in Settings.model_fields}
    given = {name for profile in PROFILES for service in resolved(dotenv, profile)["services"].values()
             for name in service.get("environment") or {} if name.startswith("TIDELINE_")}  # fmt: skip
    assert given <= known
    chart = set(re.findall(r"name: (TIDELINE_\w+)", (REPOSITORY / "docs" / "deploy.md").read_text()))
    assert chart and chart <= known


def test_the_store_grants_the_same_as_in_the_processes(dotenv: Path, tmp_path: Path) -> None:
    content = json.loads(resolved(dotenv, "cpu")["configs"]["store"]["content"])
    ours = store_identities(open_cluster(tmp_path, "movielens_1m", 24_000))
    assert [(one["name"], one["actions"]) for one in content["identities"]] == [
        (one["name"], one["actions"]) for one in ours["identities"]
    ]


def test_the_images_files_pass_their_linter() -> None:
    files = [str(REPOSITORY / room / "Dockerfile") for room in ("dags", "embeddings")]
    done = subprocess.run([tool("hadolint"), *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for file in files:
        text = Path(file).read_text()
        assert "USER 10001" in text and "requirements.lock" in text


def test_what_the_gpu_image_installs_is_in_the_lock() -> None:
    import tomllib

    group = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]["gpu-worker"]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE))
    assert set(group) <= locked
    assert not {"duckdb", "dbt-core", "dbt-duckdb", "great-expectations", "lightgbm", "lancedb"} & set(group)
