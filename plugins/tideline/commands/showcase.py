"""The end of `make run`: three users with their top ten, the generation, and what to do next."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from embeddings.settings import Settings
from tideline.commands.progress import StageWatcher

if TYPE_CHECKING:
    import duckdb

TOP = 10
CITED = 2

PICK_USER = """
select user_id from user_interests
where user_id in (select user_id from recommendations) and {condition}
order by user_id in (select user_id from hourly_recommendations) desc, long_events + short_events desc, user_id
limit 1
"""
USERS = {
    "with long and short history": "long_events > 0 and short_events > 0",
    "with long history only": "long_events > 0 and short_events = 0",
}


def show(settings: Settings, as_of: datetime, watcher: StageWatcher) -> None:
    """Print the tables of three users, the generation that was built, and the next commands."""
    from tideline.serving.readers import connect

    with connect(settings) as published:
        for label, condition in USERS.items():
            user = published.execute(PICK_USER.format(condition=condition)).fetchone()
            if user is None:
                print(f"\nNobody {label} as of {as_of:%Y-%m-%d}.")
                continue
            _print_user(f"User {user[0]}, {label}", _rows_of(published, user[0]))
        _print_user("A user nobody knows: popular_recommendations", _popular_rows(published))
    _print_generations(watcher)
    _print_next(settings)


def _rows_of(published: duckdb.DuckDBPyConnection, user_id: str) -> list[tuple[Any, ...]]:
    titles = dict(published.execute("select item_id, title from items").fetchall())
    rows = published.execute(
        "select r.rank, r.item_id, r.score, r.reason, r.because from recommendations as r "
        "where r.user_id = $user and r.rank <= $top order by r.rank",
        {"user": user_id, "top": TOP},
    ).fetchall()
    return [
        (rank, titles.get(item) or item, score, reason, "; ".join(_cite(event, titles) for event in because[:CITED]))
        for rank, item, score, reason, because in rows
    ]


def _cite(event: dict[str, Any], titles: dict[str, str | None]) -> str:
    item = titles.get(event["item_id"]) or event["item_id"] or "a search"
    return f"{event['event_type']} {item}, {event['event_at']:%Y-%m-%d} ({event['contribution']:+.3f} {event['part']})"


def _popular_rows(published: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = published.execute(
        "select rank, coalesce(title, item_id), score, 'Popular with everyone', 'no event of the user' "
        "from popular_recommendations where rank <= $top order by rank",
        {"top": TOP},
    ).fetchall()
    return rows


def _print_user(title: str, rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for name in ("#", "item", "score", "reason", "because of"):
        table.add_column(name, justify="right" if name in ("#", "score") else "left", overflow="fold")
    for rank, item, score, reason, because in rows:
        table.add_row(str(rank), escape(item), f"{score:.3f}", escape(reason or ""), escape(because))
    console = Console()
    Console(width=max(console.width, 140)).print(table)


def _print_generations(watcher: StageWatcher) -> None:
    for line in watcher.lines:
        if line["stage"] == "publish":
            built = line["rows"]
            state = "current" if built["current"] else "stored, but NOT current: a later generation goes on serving"
            print(f"Generation {built['generation']}: {state}")


def _print_next(settings: Settings) -> None:
    chosen = f" SOURCE={settings.source}" if settings.source != "movielens_1m" else ""
    query = "select * from recommendations where user_id = '...' order by rank"
    print(
        f"\nPublished: {settings.root / 'serving' / 'current.duckdb'}\n"
        f'Ask for more:   make sql{chosen} QUERY="{query}"\n'
        f"What there is:  make sql{chosen} QUERY=.tables\n"
        f"Airflow's UI:   make up{chosen}   then http://127.0.0.1:{settings.ui_port}   (make down{chosen} stops it)"
    )
