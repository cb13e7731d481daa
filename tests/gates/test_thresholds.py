"""Limits: defaults, changes by source, and entries that cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tideline.gates.measures import Limit
from tideline.gates.thresholds import read_limits

DEFAULTS = "staging:\n  defaults:\n    share: {warn: {max: 0.1}, fail: {max: 0.5}}\n    events: {fail: {min: 1}}\n"


def write(tmp_path: Path, sources: str) -> Path:
    file = tmp_path / "thresholds.yml"
    file.write_text(f"{DEFAULTS}  sources:\n    shop: {sources}\n")
    return file


def test_a_source_changes_what_it_names_level_by_level(tmp_path: Path) -> None:
    file = write(tmp_path, "{share: {warn: {min: 0.01, max: 0.3}}, events: {fail: null}}")
    assert read_limits("staging", "shop", ["share", "events"], file) == {
        "share": {"warn": Limit(0.01, 0.3), "fail": Limit(None, 0.5)},
        "events": {},
    }
    assert read_limits("staging", "other", ["share", "events"], file) == {
        "share": {"warn": Limit(None, 0.1), "fail": Limit(None, 0.5)},
        "events": {"fail": Limit(1, None)},
    }


@pytest.mark.parametrize(
    ("sources", "named"),
    [
        ("{shares: {warn: {max: 1}}}", "shares"),
        ("{share: {warn: {maximum: 1}}}", r"share\.warn"),
        ("{share: {warn: {max: many}}}", r"share\.warn"),
        ("{share: {warn: {max: .nan}}}", r"share\.warn"),
        ("{share: {warn: {}}}", r"share\.warn"),
        ("{share: {wrn: {max: 1}}}", "wrn"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_named(tmp_path: Path, sources: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        read_limits("staging", "shop", ["share", "events"], write(tmp_path, sources))
