"""What hours and nights come to step by step is what one full computation over all that landed comes to.

For random streams with late, doubled and corrected events: the tables of an hour's users equal those that a run over
everyone builds from the same batches, whatever order the batches' files were written in; and the hour's users are all
whom something new concerns.
"""

import random
from datetime import datetime, timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

NIGHT = datetime(2024, 5, 1)
HOUR = NIGHT + timedelta(hours=1)
USERS = [f"u{n}" for n in range(30)]
OF_USERS = ("user_events", "long_window_behaviour", "short_window_behaviour")


def stream(seed, rows):
    """Random events: of the hour, late or not yet due; of few ids, so that many land twice, as they were or corrected.

    A correction keeps its user: an hour reads its own users' events only.
    """
    chance = random.Random(seed)

    def moment():
        inside, late = timedelta(minutes=chance.randrange(60)), timedelta(hours=chance.randrange(1, 24 * 60))
        return chance.choice([NIGHT + inside, NIGHT + inside, NIGHT - late, HOUR])

    made = [
        {
            "event_id": f"{user}-{chance.randrange(5)}",
            "user_id": user,
            "item_id": chance.choice(["i1", "i2", "i3"]),
            "event_type": chance.choice(["view", "purchase"]),
            "event_at": moment(),
            "event_value": chance.choice([1.0, 2.0]),
        }
        for user in chance.choices(USERS, k=rows)
    ]
    return list({event["event_id"]: event for event in made}.values())


def rows_of(house, run, users):
    wanted = ", ".join(f"'{user}'" for user in users)
    return {name: house.table(run, f"(from {name} where user_id in ({wanted}))") for name in OF_USERS}


# Users do not touch one another: one stream of thirty is thirty streams, for the price of three builds.
@settings(max_examples=1, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_an_hour_comes_to_what_a_full_computation_comes_to(new_house, seed):
    step = new_house()
    before = [event for event in stream(f"{seed} before", 250) if event["event_at"] < NIGHT]
    since = stream(f"{seed} since", 80)
    items = [{"item_id": f"i{n}", "title": f"Item {n}"} for n in (1, 2, 3)]
    step.land("b1", before, items, landed_at="2024-05-01 00:00")
    night = step.built("nightly", NIGHT.isoformat(), ["b1"])
    step.land("b2", since, landed_at="2024-05-01 01:00")
    hour = step.built("hourly", HOUR.isoformat(), ["b1", "b2"], base=night.run_id, new_batches=("b2",))

    anew = new_house()
    anew.land("b2", since[::-1], landed_at="2024-05-01 01:00")
    anew.land("b1", before[::-1], items, landed_at="2024-05-01 00:00")
    full = anew.built("nightly", HOUR.isoformat(), ["b1", "b2"])

    scope = [row["user_id"] for row in step.table(hour, "dim_users")]
    assert rows_of(step, hour, scope) == rows_of(anew, full, scope)
    known = {event["event_id"] for event in before}
    fresh = {event["user_id"] for event in since if event["event_id"] not in known and event["event_at"] < HOUR}
    assert fresh and fresh <= set(scope)
