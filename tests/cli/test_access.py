"""`truthline workspaces` and `truthline keys`, as people type them."""

import re

import pytest

KEY = re.compile(r"tl_[\w-]{43}")


@pytest.fixture
def truthline(command, fresh_database_url):
    """Run a command on a database of this test's own; it must succeed."""

    def call(*arguments):
        done = command(*arguments, TRUTHLINE_DATABASE_URL=fresh_database_url)
        assert done.returncode == 0, done.stderr
        return done

    return call


@pytest.fixture
def refused(command, fresh_database_url):
    """Run a command that must fail, and return what it says."""

    def call(*arguments):
        done = command(*arguments, TRUTHLINE_DATABASE_URL=fresh_database_url)
        assert done.returncode in (1, 2)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr

    return call


def rows(done):
    """Cells of a printed table, without its heading."""
    return [re.split(r" {2,}", line.strip()) for line in done.stdout.splitlines()[1:]]


def test_a_workspace_is_made_once_and_listed(truthline):
    assert truthline("workspaces", "create", "shop").stdout.startswith(
        "Created the workspace shop."
    )
    assert "already exists" in truthline("workspaces", "create", "shop").stdout

    listed = truthline("workspaces", "list")
    assert [row[:3] for row in rows(listed)] == [["default", "0", "0"], ["shop", "0", "0"]]


@pytest.mark.parametrize("name", ["", "a/b", "two words", "x" * 101, "line\nend", "a?b"])
def test_a_workspace_needs_a_name_that_fits_into_a_path(refused, name):
    assert "a workspace's name is 1 to 100 characters" in refused("workspaces", "create", name)
    assert "a workspace's name" in refused("keys", "create", "--role", "read", "--workspace", name)


def test_the_life_of_a_key(truthline):
    made = truthline(
        *("keys", "create", "--role", "ingest", "--workspace", "shop"),
        *("--name", "checkout", "--expires-in", "90d"),
    )
    key = made.stdout.strip()
    assert KEY.fullmatch(key)
    assert made.stdout == f"{key}\n"
    assert key not in made.stderr
    assert made.stderr.startswith("Created the workspace shop.\nKey of workspace shop, role ingest")

    listed = truthline("keys", "list")
    ((id_, begins, *rest),) = rows(listed)
    assert begins == f"{key[:7]}…"
    assert key not in listed.stdout
    assert [rest[0], rest[1], rest[2], rest[4], rest[5]] == [
        *("checkout", "shop", "ingest"),
        *("never", "active"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", rest[3])

    revoked = truthline("keys", "revoke", id_).stdout
    assert revoked == f"Revoked key {id_} (checkout), role ingest, of workspace shop\n"
    assert "was already revoked" in truthline("keys", "revoke", id_).stdout
    after = truthline("keys", "list")
    assert after.stdout.startswith("No keys.")
    assert "1 revoked" in after.stderr
    assert rows(truthline("keys", "list", "--all"))[0][-1] == "revoked"


def test_names_are_printed_as_they_are(truthline, refused):
    truthline("keys", "create", "--role", "read", "--name", "[red] :bug: [/x]")
    assert rows(truthline("keys", "list"))[0][2] == "[red] :bug: [/x]"
    for name in ("\x1b[2J", "two\nlines", "x" * 101):
        said = refused("keys", "create", "--role", "read", "--name", name)
        assert "at most 100 printable characters" in said


def test_keys_are_listed_by_workspace(truthline, refused):
    for workspace in ("shop", "desk"):
        truthline("keys", "create", "--role", "read", "--workspace", workspace)

    assert len(rows(truthline("keys", "list"))) == 2
    ((_, _, workspace, *_),) = rows(truthline("keys", "list", "--workspace", "desk"))
    assert workspace == "desk"
    assert "there is no workspace nowhere" in refused("keys", "list", "--workspace", "nowhere")


def test_of_several_keys_all_are_revoked_or_none(truthline, refused):
    truthline("keys", "create", "--role", "read")
    ((id_, *_),) = rows(truthline("keys", "list"))

    assert "there is no key 99" in refused("keys", "revoke", id_, "99")
    assert rows(truthline("keys", "list"))[0][-1] == "active"


@pytest.mark.parametrize("wrong", ["", "0d", "d", "90", "-1d", "1w", "1.5h", "36501d", "9" * 30])
def test_a_lifetime_that_is_none_is_refused(refused, wrong):
    said = refused("keys", "create", "--role", "read", "--expires-in", wrong)

    assert "is not a time like 30m, 12h or 90d" in said
