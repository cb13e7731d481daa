"""One resolver: a DAG run becomes a window. The only reader of Airflow's dates.

The clock of a run is its window: everything reads `event_at < as_of`, and nothing that decides a result
reads the wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Kind = Literal["nightly", "hourly", "training"]
INSTANT_PATTERN = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?(Z|[+-]\d{2}:\d{2})?$"
LENGTH: dict[Kind, timedelta] = {
    "nightly": timedelta(days=1),
    "hourly": timedelta(hours=1),
    "training": timedelta(days=7),
}


@dataclass(frozen=True)
class Window:
    """The half-open time `[start, end)` that a run answers for, and the instant it may know: `event_at < as_of`."""

    kind: Kind
    start: datetime
    end: datetime
    as_of: datetime

    def __post_init__(self) -> None:
        if not self.start < self.end <= self.as_of:
            raise ValueError(f"a window needs start < end <= as_of, got {self.start}, {self.end}, {self.as_of}")

    def to_json(self) -> dict[str, str]:
        """Plain values, times as ISO 8601 in UTC."""
        return {"kind": self.kind, **{name: getattr(self, name).isoformat() for name in ("start", "end", "as_of")}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Window:
        """Inverse of `to_json`."""
        times = {name: datetime.fromisoformat(values[name]) for name in ("start", "end", "as_of")}
        return cls(kind=values["kind"], **times)


def parse_instant(text: str) -> datetime:
    """Read a date or an ISO 8601 timestamp, with or without `Z` or an offset, as an instant in UTC.

    Raises
    ------
    ValueError
        If the text is neither; the message shows the accepted forms.
    """
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"cannot read {text!r} as a time: write 2000-11-23, 2000-11-23T10:00, 2000-11-23T10:00:00Z or +02:00"
        ) from None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def window_ending(kind: Kind, as_of: datetime) -> Window:
    """Return the window of its kind's length that ends at `as_of`."""
    return Window(kind=kind, start=as_of - LENGTH[kind], end=as_of, as_of=as_of)


def resolve(kind: Kind, context: Mapping[str, Any]) -> Window:
    """Resolve the window of a DAG run from its task context.

    A parameter `as_of` (with an optional `window_start`) wins; else the run's data interval (schedules and
    backfills); else, for a manual or asset-triggered run without an interval, the window that ends where the
    run may start (`run_after`).
    """
    params = context.get("params") or {}
    dag_run = context["dag_run"]
    start, end = dag_run.data_interval_start, dag_run.data_interval_end
    if params.get("as_of"):
        window = window_ending(kind, parse_instant(params["as_of"]))
        if params.get("window_start"):
            window = Window(kind, parse_instant(params["window_start"]), window.end, window.as_of)
        return window
    if start is not None and end is not None and start < end:
        return Window(kind, start.astimezone(UTC), end.astimezone(UTC), end.astimezone(UTC))
    return window_ending(kind, (end or dag_run.run_after).astimezone(UTC))
