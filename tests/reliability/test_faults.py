"""The short form of `make faults`: killed at the commit's most delicate places, a night still keeps its promises."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from embeddings.settings import Settings
from tideline.commands.faults import faults


def test_what_no_try_contains_is_said_before_anything_is_walked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no try contains ONLY='bad'"):
        faults(Settings(source="canonical", home=tmp_path), only="bad")


@pytest.mark.slow
def test_a_night_killed_on_its_way_to_readers_keeps_its_promises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert faults(Settings(source="canonical", home=tmp_path), short=True) == 0, capsys.readouterr().out
    # What comes after it in the same process is heard again.
    assert logging.getLogger("tideline").level == logging.NOTSET
