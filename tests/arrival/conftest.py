"""Homes that take in real landing files, and commits that come between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from embeddings.settings import Settings
from tideline import warehouse
from tideline.intake import list_batches
from tideline.run import Run, name_run
from tideline.serving.manifest import Manifest, write_manifest
from tideline.window import Kind, window_ending


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Settings]:
    """Make homes of the source `canonical` that share dbt's parsed projects."""
    parsed = tmp_path_factory.mktemp("parsed")

    def make() -> Settings:
        home = tmp_path_factory.mktemp("home")
        (home / "cache").symlink_to(parsed)
        (home / "landing" / "events").mkdir(parents=True)
        return Settings(source="canonical", home=home, memory_limit="2GB")

    return make


@pytest.fixture(scope="session")
def commit() -> Callable[[Settings, datetime], None]:
    """Leave the manifest of a committed night, as publishing does."""

    def leave(settings: Settings, as_of: datetime) -> None:
        window = window_ending("nightly", as_of)
        name = f"{as_of:%Y%m%dT%H%M%SZ}-nightly-00000000"
        entry = Manifest(
            generation=name,
            run_id=name_run(window, ""),
            kind="nightly",
            source=settings.source,
            window=window.to_json(),
            model_version="m",
            vars={},
            batches=tuple(batch["batch_id"] for batch in list_batches(settings.root)),
            rows=0,
            users=0,
            rows_hash="",
            content_hash="",
            snapshot=f"snap_{name}_1.duckdb",
            snapshot_bytes=0,
            fence=1,
            committed_at=as_of.isoformat(),
            committed=True,
            complete=True,
            layers={"nightly": name, "hours": []},
            vectors={},
        )
        write_manifest(entry, settings.root)

    return leave


@pytest.fixture(scope="session")
def build() -> Callable[..., Run]:
    """Build the behaviour tables of a run on all batches of now."""

    def built(settings: Settings, as_of: datetime, kind: Kind = "nightly", new: tuple[str, ...] = ()) -> Run:
        window = window_ending(kind, as_of)
        batches = tuple(batch["batch_id"] for batch in list_batches(settings.root))
        run = Run(name_run(window, str(new)), window, settings.root, settings.source, batches=batches, new_batches=new)
        run = replace(run, generation="g", model_version="m")
        run.save()
        warehouse.build_behaviour(run, settings)
        return run

    return built


@pytest.fixture
def land() -> Callable[[Settings, str, str], Path]:
    """Write a landing file."""

    def write(settings: Settings, name: str, content: str) -> Path:
        file = settings.landing_path / "events" / name
        file.write_text(content)
        return file

    return write
