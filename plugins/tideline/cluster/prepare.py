"""Airflow's database made ready: its tables, the pool `gpu`, and a person for each role. The `init` of a cluster."""

from __future__ import annotations

import json
import logging

from embeddings.settings import Settings

log = logging.getLogger(__name__)
ROLES = {"viewer": "Viewer", "operator": "Op", "admin": "Admin"}
"""People by name, and their role in Airflow: who sees, who also starts and clears runs, who also manages people."""


def prepare(settings: Settings, gpu_slots: int) -> None:
    """Migrate the database that Airflow is configured with; it may be repeated.

    Parameters
    ----------
    gpu_slots
        Shards at a time, one for each worker of the queue; a pool that is there keeps its own.

    Raises
    ------
    ValueError
        If `settings.ui_passwords` does not name a password for each of `ROLES`.
    """
    passwords = _passwords(settings)
    from airflow.utils.db import initdb

    from tideline.airflow_home import make_pool

    initdb()
    make_pool(gpu_slots)
    _make_people(passwords)


def _make_people(passwords: dict[str, str]) -> None:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        for name, role in ROLES.items():
            person = manager.find_user(name)
            if person is None:
                # People are told by name; the address is never written to.
                added = manager.add_user(
                    name, name, role, f"{name}@tideline.invalid", manager.find_role(role), passwords[name]
                )
                if not added:
                    raise ValueError(f"Airflow refuses to add {name}: see its log")
                log.info("%s has the role %s", name, role)
            else:
                manager.reset_password(person.id, passwords[name])


def _passwords(settings: Settings) -> dict[str, str]:
    given = json.loads(settings.ui_passwords.get_secret_value()) if settings.ui_passwords else {}
    if absent := [name for name in ROLES if not given.get(name)]:
        raise ValueError(f"TIDELINE_UI_PASSWORDS lacks {', '.join(absent)}: write JSON, a name and its password each")
    return {name: str(given[name]) for name in ROLES}
