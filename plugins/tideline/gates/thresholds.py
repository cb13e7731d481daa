"""The limits of each measure, from `thresholds.yml` beside this module: defaults, changed source by source."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml

from tideline.gates.measures import Level, Limit

FILE = Path(__file__).with_name("thresholds.yml")


def read_limits(suite: str, source: str, measures: Collection[str], file: Path = FILE) -> dict[str, dict[Level, Limit]]:
    """Return the limits of a suite for a source: measure -> level -> limit.

    Raises
    ------
    ValueError
        If the file names a measure that the suite does not have, or a limit is not `{min, max}` of numbers; the message
        names the entry.
    """
    entries = yaml.safe_load(file.read_text())[suite]
    merged: dict[str, dict[str, Any]] = {}
    for where, part in (("defaults", entries["defaults"]), (source, entries["sources"].get(source) or {})):
        for name, levels in part.items():
            if name not in measures:
                raise ValueError(f"{file.name}: {suite}.{where} has {name!r}, which the suite does not measure")
            if set(levels) - set(get_args(Level)):
                raise ValueError(
                    f"{file.name}: {suite}.{where}.{name} has levels {sorted(levels)}, only fail and warn are"
                )
            merged[name] = {**merged.get(name, {}), **levels}
    return {
        name: {
            level: _limit(f"{file.name}: {suite}, {source}: {name}.{level}", levels[level])
            for level in get_args(Level)
            if levels.get(level) is not None
        }
        for name, levels in merged.items()
    }


def _limit(where: str, values: Mapping[str, Any]) -> Limit:
    numbers = [values.get(end) for end in ("min", "max")]
    fits = all(number is None or (isinstance(number, int | float) and number == number) for number in numbers)
    if not values or set(values) - {"min", "max"} or not fits or numbers == [None, None]:
        raise ValueError(f"{where} must be {{min: number, max: number}} or one of them, got {dict(values)}")
    return Limit(*numbers)
