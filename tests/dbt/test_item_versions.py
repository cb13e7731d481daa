"""Items change: a run sees the item as it was at its as_of, and a changed text is embedded anew and only then."""

from embeddings.embed import embed_run

EVENT = {"user_id": "u", "item_id": "lamp", "event_at": "2024-01-01"}


def version(title, updated_at=None, item_id="lamp", **fields):
    return {"item_id": item_id, "title": title, "updated_at": updated_at, **fields}


def seen(house, as_of, batches):
    """Title and availability of each item for a run of this as_of."""
    run = house.built("nightly", as_of, batches)
    return {row["item_id"]: (row["title"], row["is_available"]) for row in house.table(run, "dim_items")}


def test_versions_that_land_out_of_order_are_seen_in_their_own_order(house):
    house.land("events", [EVENT])
    house.land("third", items=[version("Lamp 3", "2024-03-01")], landed_at="2024-06-01")
    house.land("first", items=[version("Lamp 1", "2024-01-01")], landed_at="2024-06-02")
    house.land("second", items=[version("Lamp 2", "2024-02-01")], landed_at="2024-06-03")
    batches = ["events", "third", "first", "second"]

    titles = [
        seen(house, as_of, batches)["lamp"][0] for as_of in ("2024-01-02", "2024-02-01", "2024-02-29", "2024-03-01")
    ]

    assert titles == ["Lamp 1", "Lamp 2", "Lamp 2", "Lamp 3"]


def test_an_item_that_disappears_and_returns_is_unavailable_only_between(house):
    house.land("events", [EVENT])
    house.land(
        "there",
        items=[
            version("Lamp", "2024-01-01"),
            version("Lamp", "2024-02-01", available_until="2024-02-01"),
            version("Lamp, again", "2024-03-01", available_from="2024-03-01"),
        ],
    )
    # A file without the item is no version of it: who is not mentioned has not changed.
    house.land("others", items=[version("Chair", "2024-04-01", item_id="chair")], landed_at="2024-06-02")
    batches = ["events", "there", "others"]

    states = [seen(house, as_of, batches)["lamp"] for as_of in ("2024-01-15", "2024-02-15", "2024-03-15", "2024-05-01")]

    assert states == [("Lamp", True), ("Lamp", False), ("Lamp, again", True), ("Lamp, again", True)]


def test_a_changed_text_is_embedded_anew_and_only_then(house):
    house.land("events", [EVENT])
    house.land(
        "items",
        items=[
            version("A brass lamp", "2024-01-01"),
            version("A brass lamp", "2024-02-01", available_until="2030-01-01"),  # another version, the same text
            version("A copper lamp", "2024-03-01"),
            version("A brass lamp", "2024-04-01"),  # what it was once
            version("A chair", "2024-01-01", item_id="chair"),
        ],
    )
    embedded = {}
    for as_of in ("2024-01-15", "2024-02-15", "2024-03-15", "2024-04-15", "2024-01-16"):
        run = house.built("nightly", as_of, ["events", "items"])
        counts = embed_run(
            run.tables / "dim_items.parquet", run.tables / "event_texts.parquet", run.vectors, house.settings
        )
        embedded[as_of] = (counts["embedded"], counts["known"])

    assert embedded == {
        "2024-01-15": (2, 0),
        "2024-02-15": (0, 2),
        "2024-03-15": (1, 1),
        "2024-04-15": (0, 2),
        "2024-01-16": (0, 2),
    }
