"""Database servers of the tests' own, where the machine has the programs.

Debian: postgresql for PostgreSQL, mariadb-server-core for MySQL's protocol.
"""

import contextlib
import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import pytest
import ring


def _program(name, *patterns):
    """The path of a program; PATH first, then where distributions put it."""
    found = shutil.which(name)
    places = [path for pattern in patterns for path in sorted(glob.glob(pattern), reverse=True)]
    return found if found and not places else next(iter(places), found)


def _owner():
    """The user to run a server as that refuses root; None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _accepts(port):
    def try_once():
        with contextlib.suppress(OSError), _connect(port):
            return True

    return try_once


def _connect(port):
    import socket

    return socket.create_connection(("127.0.0.1", port), timeout=1)


@contextlib.contextmanager
def _running(command, port, log, **options):
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, start_new_session=True, **options
        )
    try:
        ring.wait_until(_accepts(port), f"{command[0]} listens; see {log}", timeout=60)
        yield
    finally:
        # PostgreSQL: the fast shutdown.
        process.send_signal(signal.SIGINT if "postgres" in command[0] else signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def postgresql():
    """A server with the user and database `shop`: (port, directory of its socket)."""
    initdb = _program("initdb", "/usr/lib/postgresql/*/bin/initdb")
    postgres = _program("postgres", "/usr/lib/postgresql/*/bin/postgres")
    if not initdb or not postgres:
        pytest.skip("needs PostgreSQL's programs (Debian: postgresql)")
    owner = _owner()
    with tempfile.TemporaryDirectory(prefix="carafe-pg-") as name:
        directory = pathlib.Path(name)
        options = {"cwd": directory}
        if owner is not None:
            os.chown(directory, owner.pw_uid, owner.pw_gid)
            options.update(user=owner.pw_uid, group=owner.pw_gid, extra_groups=[])
        data = directory / "data"
        subprocess.run(
            [initdb, "-D", data, "-A", "trust", "-U", "shop", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            **options,
        )
        port = ring.free_port()
        settings = ("listen_addresses=127.0.0.1", "fsync=off", "max_connections=20")
        command = [postgres, "-D", data, "-p", str(port), "-k", directory]
        command += [word for setting in settings for word in ("-c", setting)]
        with _running([str(word) for word in command], port, directory / "log", **options):
            create = [pathlib.Path(postgres).with_name("createdb"), "-h", directory]
            create += ["-p", str(port), "-U", "shop", "shop"]
            # It listens before it lets anybody in.
            ring.wait_until(
                lambda: subprocess.run(create, capture_output=True, check=False).returncode == 0,
                "PostgreSQL takes a new database",
            )
            yield port, name


@contextlib.contextmanager
def mariadb():
    """A server that lets everybody in: (port, path of its socket)."""
    program = _program("mariadbd", "/usr/sbin/mariadbd") or _program("mysqld", "/usr/sbin/mysqld")
    if not program:
        pytest.skip("needs MariaDB's server (Debian: mariadb-server-core)")
    with tempfile.TemporaryDirectory(prefix="carafe-my-") as name:
        directory = pathlib.Path(name)
        data = directory / "data"
        data.mkdir()
        port, socket = ring.free_port(), directory / "socket"
        command = [
            program,
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={socket}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-grant-tables",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=8M",
        ]
        if os.geteuid() == 0:
            command.append("--user=root")
        with _running(command, port, directory / "log"):
            yield port, str(socket)
