"""`make maintain`: what the maintenance DAG does, once and in this process."""

from __future__ import annotations

from embeddings.settings import Settings
from tideline.maintenance import tasks


def maintain(settings: Settings) -> None:
    """Do the tasks of the maintenance DAG in their order and print what each of them did."""
    print(f"Maintenance of {settings.root}")
    for task in tasks.IN_ORDER:
        counts = task()
        print(f"{task.__name__:16}" + ", ".join(f"{name} {value:,}" for name, value in counts.items()))
