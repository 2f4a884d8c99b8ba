"""Processes that fork, end or are ended: what they logged is stored, and once."""

import signal
import subprocess
import sys
import time

import pytest
import requests

from tests.cli.test_commands import PATIENCE, environment
from tests.client.stored import request_ids
from tests.servers import free_port

# In one piece: processes share the pipe.
SAY = """
import os

def say(id_):
    os.write(1, f"{id_}\\n".encode())
"""


def run(script, url, workspace, **more):
    """Run Python code that finds the server by its environment."""
    variables = {"TRUTHLINE_URL": url, "TRUTHLINE_KEY": workspace.admin_key} | more
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", SAY + script],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def printed_ids(done):
    assert (done.returncode, done.stderr) == (0, "")
    return sorted(done.stdout.split())


def test_the_end_of_a_process_sends_what_waits(url, workspace, database):
    done = run(
        """
from truthline import Client

client = Client()
for _ in range(1_000):
    say(client.log_prediction("pets", label="cat"))
        """,
        url,
        workspace,
    )

    assert len(printed_ids(done)) == 1_000
    assert request_ids(database, workspace) == printed_ids(done)


def test_a_process_ends_though_the_server_is_away(workspace):
    script = """
from truthline import Client, Limits

client = Client(limits=Limits(exit_seconds=0.2))
client.log_prediction("pets", label="cat")
"""
    done = run(script, f"http://127.0.0.1:{free_port()}", workspace)

    assert done.returncode == 0
    assert "1 rows were not sent before the client closed, and are lost" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("ends", ["os._exit(client.close())", "sys.exit()"])
def test_children_send_their_own_and_nobody_elses(url, workspace, database, ends):
    done = run(
        f"""
import sys

from truthline import Client

client = Client()
say(client.log_prediction("pets", label="cat"))
children = []
for _ in range(3):
    pid = os.fork()
    if not pid:
        for _ in range(10):
            say(client.log_prediction("pets", label="cat"))
        {ends.replace("client.close()", "client.close() or 0")}
    children.append(pid)
say(client.log_prediction("pets", label="cat"))
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
        """,
        url,
        workspace,
    )

    assert len(set(printed_ids(done))) == 32
    assert request_ids(database, workspace) == printed_ids(done)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_send_what_they_logged(
    url, workspace, database, tmp_path, method
):
    script = tmp_path / "training.py"
    script.write_text(f"""{SAY}
import multiprocessing

from truthline import Client

client = Client()

def work():
    for _ in range(10):
        say(client.log_prediction("pets", label="cat"))

if __name__ == "__main__":
    say(client.log_prediction("pets", label="cat"))
    workers = [multiprocessing.get_context("{method}").Process(target=work) for _ in range(2)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
""")
    done = run(
        f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", url, workspace
    )

    assert len(printed_ids(done)) == 21
    assert request_ids(database, workspace) == printed_ids(done)


def test_workers_of_gunicorn_that_loaded_the_model_before_they_forked(
    url, workspace, database, tmp_path
):
    (tmp_path / "served.py").write_text("""
from truthline import Client

client = Client()
client.log_prediction("pets", label="cat", request_id="warm-up")

def app(environ, start_response):
    start_response("200 OK", [])
    return [client.log_prediction("pets", label="cat").encode()]
""")
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "served:app"]
    variables = {"TRUTHLINE_URL": url, "TRUTHLINE_KEY": workspace.admin_key}
    server = subprocess.Popen(
        [*command, "--bind", f"127.0.0.1:{port}"],
        env=environment(**variables),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    ids = ["warm-up", *(answer_of(f"http://127.0.0.1:{port}") for _ in range(20))]
    server.send_signal(signal.SIGTERM)
    _, log = server.communicate(timeout=PATIENCE)

    assert server.returncode == 0, log
    assert request_ids(database, workspace) == sorted(ids)


def answer_of(url):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return requests.get(url, timeout=5, headers={"Connection": "close"}).text
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
