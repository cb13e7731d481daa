"""Any sequence of publications against a simple model of what `recommendations` must show."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tideline.serving import publish

SCORES = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("nightly"), st.sampled_from([0, 24]), st.dictionaries(st.sampled_from("abc"), SCORES)),
        st.tuples(
            st.just("hourly"), st.sampled_from([-1, 1, 2, 24, 25]), st.dictionaries(st.sampled_from("abcd"), SCORES)
        ),
    ),
    min_size=2,
    max_size=6,
)


@dataclass
class Model:
    """Layers as plain dictionaries: user to (as_of, score, generation); score 0 means touched, but without rows."""

    night_as_of: int | None = None
    night: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    hours: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    published: bool = False

    def take(self, kind: str, as_of: int, scores: dict[str, int], name: str) -> tuple[bool, bool | None]:
        """Return whether the run is current, and whether it changed something (None: not for the model to say)."""
        arriving = {user: (as_of, score, name) for user, score in scores.items()}
        if kind == "nightly":
            if self.night_as_of is not None and as_of < self.night_as_of:
                return False, None
            if as_of == self.night_as_of and _values(self.night) == _values(arriving):
                return True, False
            self.night_as_of, self.night = as_of, arriving
            self.hours = {user: row for user, row in self.hours.items() if row[0] > as_of}
        else:
            if self.night_as_of is not None and as_of <= self.night_as_of:
                return False, None
            taken = {u: row for u, row in arriving.items() if u not in self.hours or self.hours[u][0] <= as_of}
            if arriving and not taken:
                return False, None
            there = {user: row for user, row in self.hours.items() if user in taken}
            if self.published and _values(there) == _values(taken):
                return True, False
            self.hours |= taken
        self.published = True
        return True, True

    def shows(self) -> dict[str, tuple[int, str]]:
        rows = {**self.night, **{user: row for user, row in self.hours.items() if row[1]}}
        return {user: (score, name) for user, (_, score, name) in sorted(rows.items()) if score}


def _values(rows: dict[str, tuple[int, int, str]]) -> dict[str, tuple[int, int]]:
    return {user: row[:2] for user, row in rows.items()}


@settings(max_examples=10, deadline=None)
@given(STEPS)
def test_readers_see_what_the_rules_say(make_room_at, steps):
    with tempfile.TemporaryDirectory() as folder:
        room, model = make_room_at(Path(folder)), Model()
        for kind, as_of, scores in steps:
            run = room.make_run(kind, room.at(as_of), scores, token=str(as_of), top=2)
            counts = publish(run, room.settings)
            current, changed = model.take(kind, as_of, scores, run.generation)
            assert counts["current"] is current
            if changed is not None:
                assert counts["changed"] is changed
            if model.published:
                assert room.shown() == model.shows()
            if not current:
                assert room.shown(run.generation) == {u: (s, run.generation) for u, s in sorted(scores.items()) if s}
