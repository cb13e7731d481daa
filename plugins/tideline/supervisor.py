"""Programs under supervisord, which restarts what dies: a configuration in a private folder, and its start and stop."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

START_SECONDS = 60
STOP_SECONDS = 60


class ServicesError(Exception):
    """The services did not start or stop; the message says where to look."""


class Program(NamedTuple):
    """One program: its command, and where they differ from the supervisor's own, more variables and its user."""

    command: list[str]
    environment: Mapping[str, str] = {}
    user: str | None = None


def start(folder: Path, programs: Mapping[str, Program]) -> None:
    """Start the supervisor of a folder with its programs, and wait until it can be asked.

    Raises
    ------
    ServicesError
        If it does not answer after `START_SECONDS`.
    """
    subprocess.run([tool("supervisord"), "-c", write_config(folder, programs)], check=True)
    deadline = time.monotonic() + START_SECONDS
    while not is_running(folder):
        if time.monotonic() > deadline:
            raise ServicesError(f"the supervisor does not answer after {START_SECONDS} s, see {folder}")
        time.sleep(0.2)


def stop(folder: Path) -> None:
    """Stop exactly what was started in a folder.

    Raises
    ------
    ServicesError
        If the supervisor still runs after `STOP_SECONDS`.
    """
    pid = int((folder / "supervisord.pid").read_text())
    subprocess.run(
        [tool("supervisorctl"), "-c", folder / "supervisord.conf", "shutdown"], check=True, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + STOP_SECONDS
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise ServicesError(f"the supervisor (process {pid}) still runs after {STOP_SECONDS} s, see {folder}")
        time.sleep(0.2)


def is_running(folder: Path) -> bool:
    """Whether the supervisor that was started in this folder still runs."""
    return (folder / "supervisord.pid").exists() and control(folder, "pid").returncode == 0


def control(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask the supervisor of a folder: `pid`, `start <program>`, `stop <program>` and so on."""
    return subprocess.run(
        [tool("supervisorctl"), "-c", folder / "supervisord.conf", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def write_config(folder: Path, programs: Mapping[str, Program]) -> Path:
    """Write the supervisor's configuration: a private socket, one program a service, restarted when it dies."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = configparser.RawConfigParser()
    here = {name: str(folder / name) for name in ("supervisord.pid", "supervisord.log", "supervisor.sock")}
    socket_file = here["supervisor.sock"]
    if len(socket_file) > 100:  # the kernel's limit for a socket's path is 108 bytes
        socket_file = f"/tmp/tideline-{os.getuid()}-{abs(hash(socket_file)):x}.sock"  # noqa: S108
    config["unix_http_server"] = {"file": socket_file, "chmod": "0700"}
    config["supervisord"] = {"pidfile": here["supervisord.pid"], "logfile": here["supervisord.log"], "umask": "077"}
    if os.getuid() == 0:
        config["supervisord"]["user"] = "root"  # it asks to be told, where it is started as such
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    config["supervisorctl"] = {"serverurl": f"unix://{socket_file}"}
    for name, program in programs.items():
        config[f"program:{name}"] = {
            "command": _escape(" ".join(_quote(word) for word in program.command)),
            "autorestart": "true",
            "startsecs": "5",
            # A scheduler that starts while its broker is away ends at once, and is started again until it is back.
            "startretries": "100",
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": "20",
            "redirect_stderr": "true",
            "stdout_logfile": str(folder / f"{name}.log"),
        }
        if program.environment:
            given = ",".join(f"{key}={_enclose(key, value)}" for key, value in program.environment.items())
            config[f"program:{name}"]["environment"] = _escape(given)
        if program.user:
            config[f"program:{name}"]["user"] = program.user
    file = folder / "supervisord.conf"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)  # environments hold secrets
    with file.open("w") as stream:
        config.write(stream)
    return file


def tool(name: str) -> str:
    """Path of a command that was installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def _enclose(key: str, value: str) -> str:
    """Enclose a variable's value: the supervisor reads it between quotes of either kind, without any escapes."""
    quote = "'" if '"' in value else '"'
    if quote in value:
        raise ServicesError(f"{key} has quotes of both kinds, which the supervisor cannot pass on: leave one kind out")
    return f"{quote}{value}{quote}"


def _quote(text: str) -> str:
    """Quote a word of a command, which the supervisor splits as a shell does."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escape(text: str) -> str:
    return text.replace("%", "%%")
