"""What a suite measures, and what became of it: the words, the limits, the observed value, where to look further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["fail", "warn"]
Value = int | float | None


@dataclass(frozen=True)
class Measure:
    """One number of a suite's row of aggregates.

    `words` say what is expected of the data; the limits on the number are in `thresholds.yml`. `rows` names the
    aggregate that counts the rows concerned, the measure itself where it is a count. `query` is SQL that shows them.
    `beside` names aggregates without which the number says little; `past` says that it compares with earlier batches;
    `kind` is that of the runs that it is for, empty for all.
    """

    name: str
    words: str
    query: str
    rows: str = ""
    beside: tuple[str, ...] = ()
    past: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Limit:
    """The range that a measure must lie in; an open end is None."""

    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"between {self.low:g} and {self.high:g}"


@dataclass(frozen=True)
class Outcome:
    """One expectation after validation."""

    measure: Measure
    level: Level
    limit: Limit
    observed: float
    rows: int
    passed: bool
    query: str
    beside: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Plain values for the gate's record."""
        return {
            "expectation": self.measure.name,
            "words": self.measure.words,
            "level": self.level,
            "expected": str(self.limit),
            "observed": self.observed,
            "rows": self.rows,
            "beside": self.explain(),
            "passed": self.passed,
            "query": self.query,
        }

    def describe(self) -> str:
        """Return what was expected and what was observed, in a sentence."""
        beside = f" ({self.explain()})" if self.beside else ""
        return (
            f"{self.measure.words} ({self.measure.name}): "
            f"observed {self.observed:g}, expected {self.limit}, {self.rows:,} rows concerned{beside}"
        )

    def explain(self) -> str:
        """Return the numbers behind the observed one: `delivered_rows 50, usual_delivery_rows 1,000`."""
        return ", ".join(
            f"{name} {value:,.6g}" if isinstance(value, float) else f"{name} {value:,}"
            for name, value in self.beside.items()
            if value is not None
        )


class GateError(RuntimeError):
    """A gate is shut: the message names the suite and, for each failed expectation, words, numbers and a query.

    Attributes
    ----------
    outcomes
        The failed expectations.
    """

    def __init__(self, suite: str, run_id: str, outcomes: Sequence[Outcome], data_docs: str, quarantine: str) -> None:
        self.outcomes = tuple(outcomes)
        failed = "\n".join(f"- {outcome.describe()}\n  look further: {outcome.query}" for outcome in outcomes)
        super().__init__(
            f"gate {suite} of {run_id} is shut, nothing is published and the previous generation goes on serving:\n"
            f"{failed}\nQuarantined rows (private): {quarantine}\nData Docs: {data_docs}"
        )


def count_rows(measure: Measure, values: Mapping[str, Value]) -> int:
    """Return how many rows a measure concerns."""
    return int(values[measure.rows or measure.name] or 0)
