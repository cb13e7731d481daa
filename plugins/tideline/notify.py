"""Who is told when a DAG run fails or is late: a file in the home and the log, and a webhook where one is set.

Airflow calls a notifier by itself: for a failed run in the DAG processor, for a missed deadline in the triggerer. What
it tells is names and times, never a row, a text or an error's message, which may quote one: the log has those.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Context
from airflow.sdk.bases.notifier import BaseNotifier

from embeddings.settings import Settings, load_settings

log = logging.getLogger(__name__)
FILE = "notifications.jsonl"
SECONDS = 10


class Notifier(BaseNotifier):  # type: ignore[misc]  # Airflow gives it no type
    """Tells that a DAG run `failed` or is `late`.

    A notification is one JSON object: `at` (UTC), `what`, `source`, `dag`, `run`, `task` (the last one of a failed run,
    where Airflow says it), `deadline` (of a late run), `where` (the run in the UI). It is a line of
    `<home>/notifications.jsonl`, an error in the log, and, with `TIDELINE_WEBHOOK`, the body of a POST. A webhook that
    does not answer is logged; it fails nothing.
    """

    def __init__(self, what: str, context: Context | None = None) -> None:
        super().__init__(context=context)
        self.what = what

    def render_template_fields(self, context: Context, jinja_env: object = None) -> None:
        """Render nothing: there is no template, and the DAG that `dag.test` gives knows no way to render one."""

    def notify(self, context: Context) -> None:
        """Tell it now; Airflow's own callbacks of failed runs."""
        tell(load_settings(), describe(self.what, context))

    async def async_notify(self, context: Context) -> None:
        """Tell it from the triggerer, whose loop must not wait for a webhook."""
        await asyncio.to_thread(tell, load_settings(), describe(self.what, context))


def describe(what: str, context: Mapping[str, Any]) -> dict[str, str]:
    """Return what is told, from a context of the DAG processor or from the smaller one of a missed deadline."""
    run = context.get("dag_run")
    named = run if isinstance(run, Mapping) else {name: getattr(run, name, None) for name in ("dag_id", "run_id")}
    dag = context.get("dag")
    task = context.get("task_instance")
    told = {
        "what": what,
        "dag": named.get("dag_id") or getattr(dag, "dag_id", None),
        "run": named.get("run_id") or context.get("run_id"),
        "task": getattr(task, "task_id", None),
        "deadline": context.get("deadline", {}).get("deadline_time"),
    }
    return {name: str(value) for name, value in told.items() if value}


def tell(settings: Settings, told: Mapping[str, str]) -> dict[str, str]:
    """Write a notification into the home's file and the log, and post it where a webhook is set; return it whole."""
    whole = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **told, "source": settings.source}
    whole["where"] = f"http://127.0.0.1:{settings.ui_port}/dags/{told.get('dag')}/runs/{told.get('run')}"
    text = json.dumps(whole)
    log.error("notification: %s", text)
    _append(settings.root / FILE, text + "\n")
    if settings.webhook is not None:
        _post(settings.webhook.get_secret_value(), text)
    return whole


def _append(file: Path, line: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())  # one write: lines of two processes do not mix
    finally:
        os.close(descriptor)


def _post(url: str, text: str) -> None:
    if not url.startswith(("http://", "https://")):
        log.warning("TIDELINE_WEBHOOK is no http(s) URL: nothing was posted")
        return
    request = urllib.request.Request(url, text.encode(), {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            pass
    except OSError as error:  # the URL may hold a secret: the error's kind says enough
        log.warning("the webhook did not take a notification: %s", type(error).__name__)
