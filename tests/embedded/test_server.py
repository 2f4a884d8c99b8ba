"""The embedded server: which process starts and stops it, and what it survives."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from app.embedded import server as module
from app.embedded.server import (
    Cluster,
    NoEmbeddedServer,
    ServerFailed,
    UnusableDirectory,
    WrongServerVersion,
    embedded_binaries,
    running,
)

FAST = {"fsync": "off", "shared_buffers": "16MB", "max_wal_size": "64MB"}

# Says its URL once inside, and leaves when it has read a line.
USER = """
import sys
from pathlib import Path
from app.embedded.server import Cluster, embedded_binaries, running

settings = {"fsync": "off", "shared_buffers": "16MB", "max_wal_size": "64MB"}
with running(
    Cluster(directory=Path(sys.argv[1]), binaries=embedded_binaries(), settings=settings)
) as url:
    print(url, flush=True)
    sys.stdin.readline()
"""


class User:
    """Another process that uses a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        command = [sys.executable, "-W", "error", "-c", USER, str(cluster.directory)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def url(self) -> str:
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate("\n", timeout=30)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(directory=tmp_path / "cluster", binaries=embedded_binaries(), settings=FAST)


@pytest.fixture
def user(cluster: Cluster) -> Iterator[Callable[[], User]]:
    with contextlib.ExitStack() as ends:

        def start() -> User:
            started = User(cluster)
            ends.callback(started.kill)
            return started

        yield start
        # A test that fails halfway shouldn't leave its server behind.
        ends.close()
        if is_up(cluster):
            with running(cluster):
                pass


def ask(url: str, statement: str, database: str | None = None) -> object:
    given = {} if database is None else {"dbname": database}
    dsn = url.replace("+psycopg", "")
    with psycopg.connect(dsn, autocommit=True, **given) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def postmaster(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


def is_up(cluster: Cluster) -> bool:
    return (cluster.data / "postmaster.pid").exists()


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_first_start_makes_a_database_that_answers(cluster: Cluster) -> None:
    with running(cluster) as url:
        assert url.startswith("postgresql+psycopg://truthline@/truthline?host=")
        assert ask(url, "SELECT 1") == 1
        assert ask(url, "SELECT current_database()") == "truthline"
        assert ask(url, "SHOW server_encoding") == "UTF8"
        assert ask(url, "SHOW data_checksums") == "on"
        assert (Path(make_url(url).query["host"]) / ".s.PGSQL.5432").is_socket()
        assert cluster.data.stat().st_mode & 0o777 == 0o700


def test_settings_are_defaults_then_the_clusters_own(tmp_path: Path) -> None:
    own = FAST | {"cluster_name": "it's  a $HOME", "max_wal_size": "96MB", "listen_addresses": "*"}
    cluster = Cluster(directory=tmp_path, binaries=embedded_binaries(), settings=own)
    with running(cluster) as url:
        assert ask(url, "SHOW timezone") == "UTC"
        assert ask(url, "SHOW max_connections") == "100"
        assert ask(url, "SHOW max_wal_size") == "96MB"
        assert ask(url, "SHOW cluster_name") == "it's  a $HOME"
        assert ask(url, "SHOW listen_addresses") == ""


def test_data_survive_a_stop(cluster: Cluster) -> None:
    with running(cluster) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        server = postmaster(cluster)
    assert not is_up(cluster)
    assert not is_alive(server)
    with running(cluster) as url:
        assert ask(url, "SELECT answer FROM kept") == 42


def test_the_last_user_stops_the_server_whoever_started_it(
    cluster: Cluster, user: Callable[[], User]
) -> None:
    first = user()
    url = first.url()
    server = postmaster(cluster)
    with running(cluster) as same:
        assert same == url
        assert postmaster(cluster) == server
        first.leave()
        assert ask(url, "SELECT 1") == 1
    assert not is_alive(server)


def test_entering_twice_counts_twice(cluster: Cluster) -> None:
    with running(cluster) as url:
        with running(cluster):
            pass
        assert ask(url, "SELECT 1") == 1
    assert not is_up(cluster)


def test_an_error_inside_still_leaves(cluster: Cluster) -> None:
    with pytest.raises(ZeroDivisionError), running(cluster):
        _ = 1 / 0
    assert not is_up(cluster)


def test_a_killed_user_does_not_count(cluster: Cluster, user: Callable[[], User]) -> None:
    killed = user()
    url = killed.url()
    server = postmaster(cluster)
    killed.kill()
    assert is_alive(server)
    with running(cluster) as same:
        assert same == url
        assert postmaster(cluster) == server
    assert not is_alive(server)


def test_a_killed_server_is_recovered(cluster: Cluster) -> None:
    with running(cluster) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(postmaster(cluster), signal.SIGKILL)
        with running(cluster) as again:
            assert ask(again, "SELECT answer FROM kept") == 42
        assert ask(url, "SELECT answer FROM kept") == 42
    assert not is_up(cluster)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="there is no /proc to look into")
def test_a_stale_process_number_that_is_anothers_now_is_no_obstacle(cluster: Cluster) -> None:
    with running(cluster):
        server = (cluster.data / "postmaster.pid").read_text()
    stale = server.replace(server.split()[0], str(os.getpid()), 1)
    (cluster.data / "postmaster.pid").write_text(stale)
    with running(cluster) as url:
        assert ask(url, "SELECT 1") == 1


def test_a_server_that_is_stopping_is_waited_for(cluster: Cluster) -> None:
    with running(cluster) as url:
        server = postmaster(cluster)
        os.kill(server, signal.SIGINT)
        with running(cluster) as again:
            assert again == url
            assert ask(again, "SELECT 1") == 1


def test_many_first_starts_at_once_get_one_server(
    cluster: Cluster, user: Callable[[], User]
) -> None:
    users = [user() for _ in range(4)]
    urls = {each.url() for each in users}
    server = postmaster(cluster)
    assert len(urls) == 1
    assert ask(urls.pop(), "SELECT 1") == 1
    for each in users:
        assert is_alive(server)
        each.leave()
    assert not is_alive(server)


def test_a_user_that_dies_during_the_first_start_leaves_no_obstacle(
    cluster: Cluster, user: Callable[[], User]
) -> None:
    interrupted = user()
    deadline = time.monotonic() + 20
    while not list(cluster.directory.glob("postgres.new-*/PG_VERSION")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    interrupted.kill()
    with running(cluster) as url:
        assert ask(url, "SELECT 1") == 1


def test_a_missing_database_is_made_later(cluster: Cluster) -> None:
    with running(cluster) as url:
        ask(url, "DROP DATABASE truthline", database="postgres")
    with running(cluster) as url:
        assert ask(url, "SELECT 1") == 1


def test_a_forked_child_leaving_does_not_stop_the_server(cluster: Cluster) -> None:
    forking = USER.replace("sys.stdin.readline()", "import os; child = os.fork()")
    forking += "    if child:\n        assert os.waitpid(child, 0)[1] == 0\n"
    forking += "        import psycopg\n"
    forking += "        psycopg.connect(url.replace('+psycopg', '')).close()\n"
    subprocess.run([sys.executable, "-c", forking, str(cluster.directory)], check=True, timeout=60)
    assert not is_up(cluster)


def test_a_child_that_outlives_the_user_does_not_count(cluster: Cluster) -> None:
    child = 0
    try:
        with running(cluster):
            child = os.fork()
            if not child:
                time.sleep(60)
                os._exit(0)
        assert not is_up(cluster)
        with running(cluster) as url:
            assert ask(url, "SELECT 1") == 1
        assert not is_up(cluster)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to look into")
def test_the_server_holds_none_of_our_locks(cluster: Cluster) -> None:
    with running(cluster):
        files = Path(f"/proc/{postmaster(cluster)}/fd").iterdir()
        held = [file.readlink() for file in files]
    assert held
    assert not [file for file in held if file.suffix == ".lock"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to look into")
def test_no_network_address_is_listened_on(cluster: Cluster) -> None:
    with running(cluster):
        process = Path(f"/proc/{postmaster(cluster)}")
        held = {str(file.readlink()) for file in (process / "fd").iterdir()}
        tables = [(process / "net" / kind).read_text() for kind in ("tcp", "tcp6", "udp", "udp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    assert not [row for row in rows if f"socket:[{row[9]}]" in held]


@pytest.mark.parametrize("name", ["x" * 100, "a, b: 'c' \"d\" $HOME"])
def test_a_path_no_socket_can_have_gets_a_closed_directory_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", "/tmp")  # noqa: S108 - pytest's own is long
    far = Cluster(directory=tmp_path / name, binaries=embedded_binaries(), settings=FAST)
    with running(far) as url:
        socket = Path((far.data / "postmaster.pid").read_text().splitlines()[4])
        assert socket.parent == Path("/tmp")  # noqa: S108
        assert socket.stat().st_mode & 0o777 == 0o700
        monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
        with running(far) as same:
            assert same == url
            assert ask(url, "SELECT 1") == 1
    socket.rmdir()


def test_a_link_in_place_of_the_sockets_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = Cluster(directory=tmp_path / ("x" * 100), binaries=embedded_binaries(), settings=FAST)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    expected = module._Server(far, None)._socket_directory()
    expected.rmdir()
    expected.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnusableDirectory, match="can't contain"), running(far):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_anothers_directory_in_place_of_the_sockets_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = Cluster(directory=tmp_path / ("x" * 100), binaries=embedded_binaries(), settings=FAST)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    os.chown(module._Server(far, None)._socket_directory(), 65534, 65534)
    with pytest.raises(UnusableDirectory, match="doesn't belong to us"), running(far):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to open the way")
def test_for_root_the_way_is_opened_to_pass_but_not_to_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    cluster = Cluster(directory=closed / "in", binaries=embedded_binaries(), settings=FAST)
    with running(cluster) as url:
        assert ask(url, "SELECT 1") == 1
        assert cluster.data.owner() == "truthline"
    assert closed.stat().st_mode & 0o777 == 0o701
    assert str(closed) in caplog.text


def test_another_major_version_is_refused(cluster: Cluster) -> None:
    cluster.data.mkdir(parents=True)
    (cluster.data / "PG_VERSION").write_text("15\n")
    with pytest.raises(WrongServerVersion, match=r"PostgreSQL 15, .* is PostgreSQL 18"):
        running(cluster).__enter__()


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/truthline"])
def test_an_unusable_directory_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    unusable = Cluster(directory=tmp_path / place, binaries=embedded_binaries())
    with pytest.raises(UnusableDirectory, match=f"{place} can't contain a database"):
        running(unusable).__enter__()


def test_a_server_that_cannot_start_reports_why(tmp_path: Path) -> None:
    settings = FAST | {"shared_preload_libraries": "no_such_library"}
    broken = Cluster(directory=tmp_path, binaries=embedded_binaries(), settings=settings)
    with pytest.raises(ServerFailed, match="no_such_library"), running(broken):
        pass


def test_absent_binaries_are_named(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="initdb can't be run"):
        running(Cluster(directory=tmp_path, binaries=tmp_path)).__enter__()


def test_a_missing_package_is_reported_with_its_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(NoEmbeddedServer, match="set TRUTHLINE_DATABASE_URL"):
        embedded_binaries()
