"""Figures of a command: one readable table, and the same as `$TIDELINE_HOME/reports/<command>.json`."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from embeddings.settings import Settings
from tideline.run import write_atomically

FIELDS = ("metric", "subject", "value", "unit", "compared_with", "ratio")
REPOSITORY = Path(__file__).resolve().parents[2]


def row(
    metric: str,
    subject: str | None,
    value: float | None,
    unit: str | None = None,
    compared_with: str | None = None,
    compared_value: float | None = None,
) -> dict[str, Any]:
    """Return one figure. `ratio` is value over the compared thing's value: for seconds, under 1 is faster."""
    ratio = value / compared_value if value is not None and compared_value else None
    return dict(zip(FIELDS, (metric, subject, value, unit, compared_with, ratio), strict=True))


def write_report(command: str, rows: Iterable[Mapping[str, Any]], settings: Settings) -> Path:
    """Write the figures of `command`, replacing those of its last run; return the file.

    Raises
    ------
    ValueError
        If a row has a field that is not in `FIELDS`.
    """
    figures = []
    for figure in rows:
        if unknown := set(figure) - set(FIELDS):
            raise ValueError(f"unknown fields {sorted(unknown)} in a figure, expected {FIELDS}")
        figures.append({name: figure.get(name) for name in FIELDS})
    content = {"command": command, "commit": _commit(), "machine": describe_machine(), "rows": figures}
    file = settings.root / "reports" / f"{command}.json"
    write_atomically(file, json.dumps(content, indent=2, allow_nan=False))
    return file


def describe_machine() -> str:
    """Describe the machine in words: processor, cores, memory, Python. No host name."""
    import psutil

    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def print_table(title: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the figures as a table for a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in FIELDS:
        table.add_column(name, justify="right" if name in ("value", "ratio") else "left", no_wrap=True)
    for figure in rows:
        table.add_row(*(_show(figure.get(name)) for name in FIELDS))
    console = Console()
    Console(width=max(console.width, 150)).print(table)


def _show(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _commit() -> str | None:
    """Return the commit of the checkout, marked `+` where files differ from it; None outside a checkout."""
    try:
        git = ["git", "-C", str(REPOSITORY)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")
