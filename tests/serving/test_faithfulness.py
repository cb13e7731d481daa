"""What the citations of a night are worth enters quality_metrics of that night, and of no hour."""

from __future__ import annotations

import json

from tideline.serving import publish


def test_the_figures_of_a_night_enter_quality_metrics(room):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    night.faithfulness.write_text(
        json.dumps([{"metric": "faithfulness", "subject": "own_history", "value": 0.75, "unit": None}])
    )
    publish(night, room.settings)
    publish(room.make_run("hourly", room.at(1), {"a": 5}, base=night.run_id), room.settings)
    assert room.ask("select subject, value, unit, generation from quality_metrics where metric = 'faithfulness'") == [
        ("own_history", 0.75, None, night.generation)
    ]
