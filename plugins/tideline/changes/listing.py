"""A user's list in one generation, with what is still known of its making."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Event:
    """An event of the user; `item_id` is None for a search."""

    event_id: str
    item_id: str | None
    event_type: str
    event_at: datetime
    """UTC without a zone, as the tables hold it."""


@dataclass(frozen=True)
class Citation:
    """An event that a row cites, with its signed contribution to a part of the score."""

    event: Event
    part: str
    contribution: float


@dataclass(frozen=True)
class Row:
    """One recommended item."""

    rank: int
    """1-based."""
    item_id: str
    score: float
    parts: Mapping[str, float]
    """They sum to the score."""
    rules: frozenset[tuple[str, str]] = frozenset()
    """Rule and effect."""
    cites: tuple[Citation, ...] = ()


@dataclass(frozen=True)
class ItemState:
    """An item of the catalogue, judged at the list's `as_of`."""

    title: str | None
    available: bool
    blocked: bool | None
    """None where the run's own tables are gone: what is published does not hold it."""


@dataclass(frozen=True)
class Listing:
    """A user's rows in one snapshot. They may be of an earlier layer than the snapshot's newest."""

    snapshot: str
    """The generation whose snapshot was read."""
    layer: str
    """The generation that made the rows."""
    as_of: datetime
    """What the rows know up to, exclusive; UTC without a zone."""
    model_version: str
    rows: tuple[Row, ...]
    """By rank."""
    items: Mapping[str, ItemState]
    """Of the items of both lists, those that the catalogue had."""
    events: Mapping[str, Event] | None
    """All events of interest before `as_of`, by id; None where the run's own tables are gone."""
    last_event_at: datetime | None = None
    """The last of them, which is published."""
    vars: Mapping[str, object] = field(default_factory=dict)
    """dbt vars given to the run that made the rows."""

    @property
    def by_item(self) -> dict[str, Row]:
        """The rows by their items."""
        return {row.item_id: row for row in self.rows}
