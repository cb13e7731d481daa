"""The publishers' lock by itself."""

from __future__ import annotations

import pytest

from tideline.serving.lock import FencedError, LockTimeoutError, publisher_lock


def test_numbers_increase_strictly_and_survive_a_lost_file(tmp_path):
    fences = []
    for content in (None, None, "torn", None):
        if content is not None:
            (tmp_path / "fence").write_text(content)
            (tmp_path / "snap_20001123T000000Z-nightly-00000000_2.duckdb").touch()
        with publisher_lock(tmp_path, "a test") as lease:
            lease.check()
            fences.append(lease.fence)
    assert fences == [1, 2, 3, 4]


def test_holder_that_was_overtaken_is_fenced(tmp_path):
    with publisher_lock(tmp_path, "the older") as lease:
        (tmp_path / "fence").write_text(str(lease.fence + 1))
        with pytest.raises(FencedError, match="overtaken"):
            lease.check()


def test_waiting_in_vain_names_the_holder(tmp_path):
    with (
        publisher_lock(tmp_path, "the night of 23 November"),
        pytest.raises(LockTimeoutError, match="the night of 23 November"),
        publisher_lock(tmp_path, "another", timeout=0.1),
    ):
        pass
    with publisher_lock(tmp_path, "another", timeout=0.1) as lease:
        assert lease.fence == 2
