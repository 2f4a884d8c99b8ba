"""The command as people run it: real processes, a real embedded server."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest
import requests

from app.cli import COMMANDS
from app.store.urls import EXAMPLE
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
TRUTHLINE = [sys.executable, "-m", "app.cli"]
PATIENCE = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory that the tests of this module share, as a newcomer's is."""
    return tmp_path_factory.mktemp("data") / "truthline-data"


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRUTHLINE_")}
    return kept | {"COLUMNS": "100"} | more


def run(*arguments, **more):
    return subprocess.run(
        [*TRUTHLINE, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(**more),
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def served(data, *arguments, port=None, log_file=None, **variables):
    """A running `truthline serve`; yields its base URL and expects a clean end."""
    port = port or free_port()
    command = [*TRUTHLINE, "serve", "--port", str(port), "--data", str(data), *arguments]
    # a pipe that is not read would block the server once it is full
    with tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(command, env=environment(**variables), stderr=stderr, cwd=ROOT)
        try:
            base = f"http://127.0.0.1:{port}"
            await_ready(base, process, stderr)
            yield base
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            log = contents(stderr)
    if log_file:
        log_file.write_text(log)
    assert process.returncode == 0, log
    assert "Traceback" not in log


def contents(file):
    file.seek(0)
    return file.read()


def await_ready(base, process, stderr=None):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, contents(stderr) if stderr else process.communicate()[1]
        try:
            if requests.get(f"{base}/readyz", timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):  # it listens before it can answer
            time.sleep(0.05)
    pytest.fail("the server did not get ready")


def test_the_calls_of_the_readme_return_what_it_shows(data):
    readme = (ROOT / "README.md").read_text()
    curls = re.findall(r"```bash\n(curl.*?)```", readme, re.DOTALL)
    shown = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", readme, re.DOTALL)]
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (page,) = re.findall(r"<(http://127.0.0.1:8000/model[^>]*)>", readme)
    assert len(curls) == 3
    with served(data, "--no-auth") as base:
        answers = [play(curl, base) for curl in curls]
        page = requests.get(page.replace("http://127.0.0.1:8000", base), timeout=30)
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(code.replace("http://127.0.0.1:8000", base), names := {})  # noqa: S102
        names["client"].close()

    assert len(answers) == len(shown)
    for answer, said in zip(answers, shown, strict=True):
        assert of_any_day(answer) == of_any_day(said)
    assert page.ok
    (comment,) = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert printed.getvalue() == comment + "\n"


def of_any_day(answer):
    """An answer without its times, which are those of today and not of the page's day."""
    if isinstance(answer, dict):
        times = {"startTime", "endTime", "asOf", "cleanUntil"}
        return {name: None if name in times else of_any_day(answer[name]) for name in answer}
    return list(map(of_any_day, answer)) if isinstance(answer, list) else answer


def play(curl, base):
    """Run a documented curl against another port."""
    command = curl.rstrip().replace("http://127.0.0.1:8000", base)
    answer = subprocess.run(
        ["/bin/bash", "-c", f"{command} --silent --fail-with-body"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout
    return json.loads(answer.stdout)


def test_a_key_made_while_a_server_runs_is_valid_there(data):
    with served(data) as base:
        url = f"{base}/metrics-server/api/v1/pipeline/subscriptions"
        made = run("keys", "create", "--workspace", "team", "--role", "read", "--data", data)
        key = made.stdout.strip()

        assert made.stdout == key + "\n"
        assert requests.get(url, timeout=5).status_code == 401
        assert requests.get(url, headers={"X-API-Key": key}, timeout=5).json() == {
            "subscriptions": []
        }


def test_several_processes_serve_one_database(data):
    with served(data, "--no-auth", "--workers", "2") as base:
        for _ in range(20):
            assert requests.get(f"{base}/livez", timeout=5).ok
        metrics = requests.get(f"{base}/metrics", timeout=5).text

    counted = re.search(r'duration_seconds_count\{.*route="/livez".*\} (\S+)', metrics)
    assert float(counted[1]) == 20  # of both processes together


def test_a_second_server_uses_the_same_embedded_one(data):
    with served(data, "--no-auth") as one, served(data, "--no-auth") as other:
        row = {"model": "shared", "requestId": "r", "label": "a"}
        first = requests.post(f"{one}/api/v1/predictions", json={"predictions": [row]}, timeout=5)
        again = requests.post(f"{other}/api/v1/predictions", json={"predictions": [row]}, timeout=5)

    assert (first.json()["accepted"], again.json()["duplicates"]) == (1, 1)
    assert not (data / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_no_auth_is_refused_off_loopback(command, data, host):
    refused = command("serve", "--no-auth", "--host", host, "--data", data)

    assert refused.returncode == 2
    assert "loopback" in refused.stderr


def test_a_busy_port_is_reported_plainly(data):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        refused = run("serve", "--no-auth", "--port", port, "--data", data)

    assert refused.returncode == 2
    assert f"can't listen on 127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr


def test_status_lists_what_exists(data):
    run("db", "upgrade", "--data", data)  # unless a test before has created it
    told = run("status", "--data", data)

    assert told.returncode == 0
    assert "postgres" in told.stdout
    assert "pending feedback" in told.stdout
    assert "outcome_1h_1mo" in told.stdout


def test_db_status_of_a_database_without_schema_ends_with_1(empty_database_url):
    url = empty_database_url()

    before = run("db", "status", TRUTHLINE_DATABASE_URL=url)
    upgraded = run("db", "upgrade", TRUTHLINE_DATABASE_URL=url)
    after = run("db", "status", TRUTHLINE_DATABASE_URL=url)

    assert before.returncode == 1
    assert "run 'truthline db upgrade'" in before.stdout
    assert (upgraded.returncode, after.returncode) == (0, 0), upgraded.stderr
    assert "the newest" in after.stdout


def test_an_unreachable_database_is_reported_plainly():
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    told = run("status", TRUTHLINE_DATABASE_URL=url)

    assert told.returncode == 1
    assert told.stderr.startswith(
        "Error: the database can't be reached: nothing listens at its address (connection to server"
    )
    assert "Traceback" not in told.stderr


INVOCATIONS = (
    ("serve",),
    ("worker",),
    ("status",),
    ("db", "status"),
    ("db", "upgrade"),
    ("refresh",),
    ("audit",),
    ("sql", "-c", "SELECT 1"),
    ("keys", "list"),
    ("keys", "revoke", "1"),
    ("keys", "create", "--role", "read"),
    ("workspaces", "list"),
    ("workspaces", "create", "x"),
)
LASTING = (("serve",), ("worker",))  # they wait for the database


@pytest.mark.parametrize("typed", [typed for typed in INVOCATIONS if typed not in LASTING])
def test_no_command_has_a_traceback_for_a_database_that_is_away(command, typed):
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    told = command(*typed, TRUTHLINE_DATABASE_URL=url)

    assert told.returncode == 1
    assert told.stderr.startswith("Error: the database can't be reached: nothing listens")
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize("typed", INVOCATIONS)
def test_no_command_has_a_traceback_for_another_url(command, typed):
    told = command(*typed, TRUTHLINE_DATABASE_URL="sqlite:///truthline.db")

    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert line.startswith("Error: TRUTHLINE_DATABASE_URL: Truthline needs PostgreSQL, not sqlite")


def test_a_wrong_url_of_a_replica_is_found_at_the_start(command):
    urls = {"TRUTHLINE_DATABASE_URL": EXAMPLE, "TRUTHLINE_READ_DATABASE_URL": "mysql://x/y"}
    told = command("serve", "--no-auth", **urls)

    assert told.returncode == 1
    assert told.stderr.startswith("Error: TRUTHLINE_READ_DATABASE_URL: Truthline needs PostgreSQL")


READING = (
    *(("status",), ("db", "status"), ("keys", "list"), ("keys", "revoke", "1"), ("refresh",)),
    *(("workspaces", "list"), ("audit",), ("sql", "-c", "SELECT 1")),
)


@pytest.mark.parametrize("typed", READING)
def test_reading_in_a_wrong_directory_creates_nothing(command, tmp_path, typed):
    told = command(*typed, TRUTHLINE_DATA=str(tmp_path / "here"))

    assert told.returncode == 1
    assert f"there is no database in {tmp_path}/here" in told.stderr
    assert list(tmp_path.iterdir()) == []


IGNORED = " is not a setting and is ignored"


@pytest.mark.parametrize("typed", [*LASTING, ("status",), ("db", "status"), ("db", "upgrade")])
def test_an_unknown_setting_is_named_with_a_suggestion(command, typed):
    given = {
        "TRUTHLINE_DATABSE_URL": "postgresql://x/y",
        "TRUTHLINE_XYZZY": "1",
        "TRUTHLINE_URL": "http://127.0.0.1:8000",  # the client's
        "TRUTHLINE_DATABASE_URL": "sqlite:///refused.db",
    }
    lines = command(*typed, **given).stderr.splitlines()

    named = [line.partition("warning ")[2] for line in lines if "is not a setting" in line]
    assert named == [
        f"TRUTHLINE_DATABSE_URL{IGNORED}; did you mean TRUTHLINE_DATABASE_URL?",
        f"TRUTHLINE_XYZZY{IGNORED}",
    ]


def test_status_names_an_unknown_setting(command, data):
    command("db", "upgrade", "--data", data)
    told = command("status", "--data", data, TRUTHLINE_POOLSIZE="3")

    assert "did you mean TRUTHLINE_POOL_SIZE?" in " ".join(re.sub("│", " ", told.stdout).split())


@pytest.mark.parametrize(
    ("name", "value"),
    [("POOL_SIZE", "many"), ("AUTH", "perhaps"), ("LOG_FORMAT", "xml")],
)
def test_a_wrong_setting_is_named(command, name, value):
    told = command("db", "status", **{f"TRUTHLINE_{name}": value})

    assert told.returncode == 1
    assert f"TRUTHLINE_{name}" in told.stderr


def test_every_command_of_the_readme_exists(command):
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    for target in re.findall(r"\bmake ([a-z.-]+)", readme):
        assert target in targets
    for typed in re.findall(r"(?<!from )truthline ((?:[a-z]+ ?)+)", readme):
        assert command(*typed.split(), "--help").returncode == 0, typed


# What a command imports beyond these is imported when that command runs.
LIGHT = {"app", "click", "colorama"}


def test_help_lists_every_command_and_imports_none():
    """Imports are most of what a command takes: --help took a second with those of all of them."""
    ask = "import sys; from app.cli import main; main(['--help'], standalone_mode=False)"
    tell = "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    started = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    own, told = (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
        ).stdout
        for code in (started, f"{ask}; {tell}")
    )

    *listed, imported = told.splitlines()
    for name, (_, short) in COMMANDS.items():
        assert f"{name} {short}" in " ".join(" ".join(listed).split())
    assert set(imported.split()) <= LIGHT | set(own.split())


def test_the_list_of_commands_is_that_of_their_modules():
    for name, (module, short) in COMMANDS.items():
        command = getattr(import_module(module), name)

        assert (command.name, command.get_short_help_str(100)) == (name, short)
