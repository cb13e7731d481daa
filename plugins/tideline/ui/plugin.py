"""The Airflow plugin. Every Airflow process loads this module, so it imports no more than the definition needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/tideline"

Message = MutableMapping[str, Any]


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Serve the pages. Airflow's guard costs a second to import: only the API server, at the first request, pays it."""
    from tideline.ui.pages import app

    await app(scope, receive, send)


class TidelinePlugin(AirflowPlugin):
    """Adds the page `Tideline` to the navigation of the Airflow UI."""

    name = "tideline"
    fastapi_apps = [{"app": application, "url_prefix": PREFIX, "name": "Tideline"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {"name": "Tideline", "href": f"{PREFIX}/", "destination": "nav", "url_route": "tideline"}
    ]
