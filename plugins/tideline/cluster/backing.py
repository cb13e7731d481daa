"""Postgres, Redis and the object store of a cluster: made ready once, then started and waited for."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tideline.cluster.layout import Cluster
from tideline.cluster.programs import POSTGRES, backing, missing, write_files
from tideline.supervisor import ServicesError, start

WAIT_SECONDS = 60
ROLES = ("airflow", "tideline")
"""Each has a database of its own name, and sees no other one."""


def start_backing(cluster: Cluster, only: tuple[str, ...] = ("postgres", "redis", "store")) -> Path:
    """Start what the workers share, or some of it, and wait until it answers; return the supervisor's folder.

    Raises
    ------
    ServicesError
        If a program is not installed, or does not answer in time.
    """
    if absent := missing():
        raise ServicesError(
            f"not installed: {', '.join(absent)}; on Debian: apt-get install postgresql redis-server, the rest comes "
            "with `make install`"
        )
    write_files(cluster)
    _make_postgres(cluster)
    folder = cluster.folder / "backing"
    start(folder, {name: program for name, program in backing(cluster).items() if name in only})
    for name in only:
        _wait_for(cluster.port(name), name, folder)
    if "postgres" in only:
        _make_roles(cluster)
    return folder


def _make_postgres(cluster: Cluster) -> None:
    """Make Postgres' folder, once; as its own user where root asks, which Postgres refuses to run as."""
    folder = cluster.folder / "postgres"
    if (folder / "PG_VERSION").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    password = cluster.folder / "postgres.password"
    password.touch(mode=0o600)
    password.write_text(cluster.secrets["postgres"])
    user = None
    if os.getuid() == 0:
        user = "postgres"
        cluster.folder.chmod(0o711)
        for path in (folder, password):
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    command = [f"{POSTGRES}/initdb", "-D", str(folder), "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}"]
    try:
        done = subprocess.run([*command, "-N"], user=user, cwd="/", capture_output=True, text=True, check=False)
    finally:
        password.unlink()
    if done.returncode:
        raise ServicesError(f"Postgres cannot be made in {folder}: {done.stderr[-1000:]}")


def _make_roles(cluster: Cluster) -> None:
    import psycopg
    from psycopg import sql

    password = cluster.secrets["postgres"]
    address = f"postgresql://postgres:{password}@127.0.0.1:{cluster.port('postgres')}/postgres"
    with psycopg.connect(address, autocommit=True) as session:
        known = {name for (name,) in session.execute("select rolname from pg_roles").fetchall()}
        for role in ROLES:
            if role not in known:
                name = sql.Identifier(role)
                session.execute(sql.SQL("create role {} login password {}").format(name, sql.Literal(password)))
                session.execute(sql.SQL("create database {} owner {}").format(name, name))
                session.execute(sql.SQL("revoke all on database {} from public").format(name))


def _wait_for(port: int, name: str, folder: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise ServicesError(f"{name} does not answer on port {port} after {WAIT_SECONDS} s, see {folder}")
        time.sleep(0.2)
