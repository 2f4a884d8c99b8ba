"""`truthline sql` as people run it: a real process, a real psql, a real embedded server."""

import os
import shutil

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from app.cli import main
from tests.cli.test_commands import environment
from tests.demodata import NEIGHBOUR

COUNT = "SELECT workspace, count(*) FROM models GROUP BY 1 ORDER BY 1"


@pytest.fixture
def run(forked):
    """Run `truthline sql`."""

    def run(*arguments, url="", path=None, typed=""):
        given = {"TRUTHLINE_DATABASE_URL": url, "PATH": path or os.environ["PATH"]}
        return forked.run("sql", *arguments, env=environment(**given), typed=typed)

    return run


@pytest.fixture
def answered(run):
    """What psql prints, bare."""

    def answered(*arguments, **given):
        done = run("-X", "-A", "-t", *arguments, **given)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return answered


@pytest.fixture(scope="module")
def url(demo):
    return demo.settings.database_url


def test_what_is_typed_is_answered(answered, url):
    owner = make_url(url).username
    assert answered(url=url, typed=f"{COUNT};\n\\dv predictions\n") == [
        "default|2",
        f"{NEIGHBOUR}|2",
        f"truthline|predictions|view|{owner}",
    ]


def test_other_options_go_to_psql(run, url):
    done = run("--csv", "-c", COUNT, url=url)
    assert done.stdout.splitlines()[:2] == ["workspace,count", "default,2"]


def test_a_workspace_is_all_there_is(answered, run, url):
    assert answered("--workspace", "default", "-c", COUNT, url=url) == ["default|2"]
    refused = run("--workspace", "nowhere", "-c", COUNT, url=url)
    assert (refused.returncode, refused.stderr) == (1, "Error: there is no workspace nowhere\n")


def test_psqls_exit_code_is_ours(run, url):
    assert run("-v", "ON_ERROR_STOP=1", url=url, typed="SELECT nonsense;").returncode == 3


def test_it_writes_only_if_asked_to(answered, run, url):
    write = "CREATE TABLE public.of_a_test ()"
    refused = run("-c", write, url=url)
    assert refused.returncode == 1
    assert "read-only transaction" in refused.stderr
    assert answered("--write", "-c", write, "-c", "DROP TABLE public.of_a_test", url=url) == [
        "CREATE TABLE",
        "DROP TABLE",
    ]


def test_the_embedded_server_runs_as_long_as_psql(answered, command, tmp_path):
    assert command("db", "upgrade", "--data", tmp_path / "data").returncode == 0
    assert answered("--data", str(tmp_path / "data"), "-c", "SELECT * FROM workspaces")
    assert not (tmp_path / "data/postgres/postmaster.pid").exists()


def test_the_embedded_psql_serves_where_the_system_has_none(answered, url, tmp_path):
    assert answered("-c", "SELECT 1", url=url, path=str(tmp_path)) == ["1"]


def test_without_psql_it_explains_what_to_do(url, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("TRUTHLINE_DATABASE_URL", url)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    result = CliRunner().invoke(main, ["sql"])
    assert result.exit_code == 1
    assert "There is no psql: install PostgreSQL's client" in result.output


def test_a_password_is_no_argument(run, url, tmp_path):
    """The list of processes would show it."""
    spy = tmp_path / "psql"
    spy.write_text(f'#!{shutil.which("sh")}\necho "$@"; echo "$PGPASSWORD"\n')
    spy.chmod(0o755)
    secret = make_url(url).set(password="p w'd").render_as_string(hide_password=False)
    done = run("-c", "SELECT 1", url=secret, path=str(tmp_path))
    assert done.stdout.splitlines() == ["-c SELECT 1", "p w'd"]


def test_behind_a_pooler_it_asks_for_a_direct_connection(command, url, pooled_server):
    pooled = pooled_server.set(database=make_url(url).database)
    given = {"TRUTHLINE_DATABASE_URL": pooled.render_as_string(hide_password=False)}
    shown = ("sql", "-X", "-A", "-t", "-c", "SHOW search_path")
    refused = command(*shown, **given)
    direct = command(*shown, **given, TRUTHLINE_DIRECT_DATABASE_URL=url)

    assert refused.returncode == 1
    assert "set TRUTHLINE_DIRECT_DATABASE_URL too" in refused.stderr
    assert direct.stdout == "truthline,public\n"
