"""The row in Postgres takes the place of the file lock: the same promises, kept among hosts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import psycopg
import pytest

from embeddings.settings import Settings, load_settings
from tideline.hosts.objects import Objects
from tideline.hosts.row_lock import CommitLockError, row_lock
from tideline.serving.lock import FencedError, LockTimeoutError


@pytest.fixture
def settings(reached: Objects) -> Settings:
    return load_settings()


def hold(settings: Settings, told: multiprocessing.Queue) -> None:
    with row_lock(settings, "the killed one") as lease:
        told.put(lease.fence)
        time.sleep(60)


def test_numbers_increase_strictly(settings: Settings) -> None:
    fences = []
    for _ in range(3):
        with row_lock(settings, "a test") as lease:
            lease.check()
            fences.append(lease.fence)
    assert fences == [1, 2, 3]


def test_waiting_in_vain_names_the_holder(settings: Settings) -> None:
    with (
        row_lock(settings, "the night of 23 November"),
        pytest.raises(LockTimeoutError, match="the night of 23 November"),
        row_lock(settings, "another", timeout=0.2),
    ):
        pass
    with row_lock(settings, "another", timeout=5) as lease:
        lease.check()


def test_a_holder_that_is_killed_frees_the_row_and_its_number_stays_taken(settings: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    holder = context.Process(target=hold, args=(settings, told))
    holder.start()
    taken = told.get(timeout=60)
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with row_lock(settings, "the next", timeout=10) as lease:
        assert lease.fence == taken + 1


def test_a_holder_whose_session_was_ended_is_fenced(settings: Settings) -> None:
    with pytest.raises(psycopg.OperationalError), row_lock(settings, "the older") as lease:
        with psycopg.connect(settings.commit_lock.get_secret_value(), autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tideline the older'"
            )
        with row_lock(settings, "the newer") as newer:
            assert newer.fence == lease.fence + 1
        with pytest.raises(FencedError, match="lost its lock"):
            lease.check()
        raise psycopg.OperationalError


def test_without_a_database_it_says_what_to_set(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDELINE_COMMIT_LOCK")
    with pytest.raises(CommitLockError, match="TIDELINE_COMMIT_LOCK"), row_lock(load_settings(), "a test"):
        pass
