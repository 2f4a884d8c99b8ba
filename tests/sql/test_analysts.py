"""An analyst's role sees one workspace, whatever it tries.

The neighbour's texts all begin with SECRET, and its numbers are SECRET_NUMBER: what an analyst can
read, is told in an error or a notice, or is shown in a plan may contain neither.
"""

import psycopg
import pytest
from psycopg.errors import (
    InsufficientPrivilege,
    InvalidGrantOperation,
    InvalidParameterValue,
    InvalidTextRepresentation,
    UndefinedObject,
)
from psycopg.sql import SQL, Identifier, Literal

from tests.demodata import NEIGHBOUR, SECRET, SECRET_NUMBER

VIEWS = ["models", "outcomes", "predictions", "series", "step_metrics", "step_values", "workspaces"]
RELATIONS = """
    SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname !~ '^pg_(temp|toast)'
"""
BY_NAME = """
    SELECT oid::regprocedure, proname, proargnames[1 : pronargs - pronargdefaults],
           proargtypes::regtype[]::text[], proconfig
    FROM pg_proc WHERE pronamespace = 'truthline'::regnamespace AND prosecdef
"""
NOT_BY_NAME = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'truthline'::regnamespace AND NOT prosecdef
"""
ARGUMENTS = {
    "workspace": NEIGHBOUR,
    "model": f"{SECRET}-classes",
    "name": f"{SECRET}-metric",
    "measure": "confidence",
    "fractions": "{0.5}",
    "start_time": "2000-01-01",
    "end_time": "2100-01-01",
}


def tells_secrets(something: object) -> bool:
    """Whether the neighbour shows, in whatever case or form."""
    said = str(something).lower()
    return SECRET in said or str(SECRET_NUMBER) in said


@pytest.fixture
def temporary(superuser, analyst_role):
    """What many servers allow by default: objects of a session's own."""
    database = Identifier(superuser.info.dbname)
    may = SQL("TEMPORARY ON DATABASE {} {} {}")
    superuser.execute(SQL("GRANT ") + may.format(database, SQL("TO"), Identifier(analyst_role)))
    yield
    superuser.execute(SQL("REVOKE ") + may.format(database, SQL("FROM"), Identifier(analyst_role)))


@pytest.mark.parametrize("view", VIEWS)
def test_views_show_one_workspace(analyst, superuser, view):
    found = SQL("SELECT DISTINCT workspace FROM truthline.{}").format(Identifier(view))

    assert analyst.execute(found).fetchall() == [("default",)]
    assert {name for (name,) in superuser.execute(found)} >= {"default", NEIGHBOUR}


def test_these_are_all_views(superuser):
    found = superuser.execute(
        "SELECT relname FROM pg_class"
        " WHERE relnamespace = 'truthline'::regnamespace AND relkind = 'v' ORDER BY 1"
    )
    assert [name for (name,) in found] == VIEWS


def test_every_view_is_a_barrier(superuser):
    open_ = superuser.execute("""
        SELECT relname FROM pg_class
        WHERE relnamespace = 'truthline'::regnamespace AND relkind = 'v'
          AND NOT coalesce('security_barrier=true' = ANY (reloptions), false)
          AND NOT coalesce('security_barrier' = ANY (reloptions), false)
    """)
    assert open_.fetchall() == []


def test_nothing_that_can_be_read_tells_of_the_neighbour(analyst, superuser):
    """All relations of all schemas: statistics, chunks, catalogs of the extension, everything."""
    told, refused = [], set()
    for schema, name in superuser.execute(RELATIONS).fetchall():
        if schema == "pg_catalog" and name in PUBLIC_BY_DESIGN:
            continue
        try:
            rows = analyst.execute(
                SQL("SELECT t::text FROM {} AS t").format(Identifier(schema, name))
            ).fetchall()
        except (InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState):
            refused.add(schema)
            continue
        if any(tells_secrets(row) for row in rows):
            told.append((schema, name))
    assert told == []
    assert "truthline_data" in refused


# Names of roles, databases and functions, and the text of this session's own statements.
PUBLIC_BY_DESIGN = {"pg_stat_activity"}


def test_no_table_is_open(superuser, analyst_role):
    opened = superuser.execute(
        """
        SELECT c.oid::regclass::text FROM pg_class AS c
        WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S')
          AND (c.relnamespace = 'truthline_data'::regnamespace
               OR c.relnamespace = to_regnamespace('_timescaledb_internal')
                  AND c.relname ~ '^(_hyper|_compressed_hyper|_materialized|compress_hyper)')
          AND has_table_privilege(%s, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
        """,
        [analyst_role],
    )
    assert opened.fetchall() == []


def test_only_functions_that_ask_who_is_asking_are_open(superuser, analyst_role):
    may = "SELECT has_function_privilege(%s, %s::regprocedure, 'EXECUTE')"
    closed = [name for (name,) in superuser.execute(NOT_BY_NAME)]
    opened = [str(name) for name, *_ in superuser.execute(BY_NAME)]

    assert len(closed) > 20
    assert len(opened) > 12
    assert not any(superuser.execute(may, [analyst_role, name]).fetchone()[0] for name in closed)
    assert all(superuser.execute(may, [analyst_role, name]).fetchone()[0] for name in opened)


def test_such_functions_pin_their_search_path(superuser):
    loose = [name for name, *_, config in superuser.execute(BY_NAME) if PINNED not in config]
    assert loose == []


PINNED = "search_path=pg_catalog, pg_temp"


def test_functions_refuse_the_neighbours_names(analyst, superuser):
    """Each of them, with the words that a name that isn't there gets."""
    asked = 0
    for name, short, needed, _, _ in superuser.execute(BY_NAME).fetchall():
        if not needed:
            assert short == "visible_workspaces", name
            continue
        call = SQL("SELECT * FROM truthline.{}({})").format(
            Identifier(short),
            SQL(", ").join(
                SQL("{} => {}").format(Identifier(one), Literal(ARGUMENTS[one])) for one in needed
            ),
        )
        with pytest.raises(UndefinedObject, match=f"there is no workspace '{NEIGHBOUR}'"):
            analyst.execute(call)
        absent = call.as_string().replace(NEIGHBOUR, "nowhere")
        with pytest.raises(UndefinedObject, match="there is no workspace 'nowhere'"):
            analyst.execute(absent)
        superuser.execute(call)
        asked += 1
    assert asked > 12


def test_functions_answer_nothing_for_the_neighbours_model_in_ones_own_workspace(analyst):
    with pytest.raises(UndefinedObject, match="there is no model"):
        analyst.execute("SELECT truthline.series_of('default', %s)", [f"{SECRET}-classes"])


@pytest.mark.parametrize(
    "call",
    [
        "classification_metrics(ARRAY[{series}], '2000-01-01', '2100-01-01')",
        "outcome_cells(ARRAY[{series}], '2000-01-01', '2100-01-01')",
        "inference_stats({workspace}, '2000-01-01', '2100-01-01')",
        "step_metrics({workspace})",
        "explain('outcome', ARRAY[{series}], '2000-01-01', '2100-01-01')",
        "prediction_volume(ARRAY[{series}], '2000-01-01', '2100-01-01')",
    ],
)
def test_functions_by_number_are_refused(analyst, superuser, call):
    series, workspace = superuser.execute(
        "SELECT truthline.series_of(%s, %s), truthline.workspace_id(%s)",
        [NEIGHBOUR, f"{SECRET}-classes", NEIGHBOUR],
    ).fetchone()
    with pytest.raises(InsufficientPrivilege):
        analyst.execute(
            f"SELECT * FROM truthline.{call.format(series=series[0], workspace=workspace)}"
        )


LEAK = """
    CREATE FUNCTION pg_temp.leak(given text) RETURNS boolean LANGUAGE plpgsql
    COST 0.0000000000000000000001 AS 'BEGIN RAISE NOTICE ''%'', given; RETURN true; END'
"""


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.usefixtures("temporary")
def test_a_leaking_predicate_sees_no_other_row(analyst, view):
    """A function that the planner thinks costs nothing, and that tells what it is given."""
    analyst.execute(LEAK)
    heard = []
    analyst.add_notice_handler(lambda notice: heard.append(notice.message_primary))

    seen = analyst.execute(
        SQL("SELECT count(*) FROM truthline.{} AS t WHERE pg_temp.leak(t::text)").format(
            Identifier(view)
        )
    ).fetchone()[0]

    assert len(heard) == seen > 0
    assert not any(tells_secrets(one) for one in heard)


@pytest.mark.parametrize("column", ["label", "model", "request_id", "workspace"])
@pytest.mark.usefixtures("temporary")
def test_a_leaking_predicate_sees_no_other_value(analyst, column):
    analyst.execute(LEAK)
    heard = set()
    analyst.add_notice_handler(lambda notice: heard.add(notice.message_primary))

    analyst.execute(f"SELECT FROM truthline.predictions WHERE pg_temp.leak({column})")

    assert heard
    assert not any(tells_secrets(one) for one in heard)


@pytest.mark.parametrize(
    "predicate",
    [
        "label::integer >= 0",  # the neighbour's are no numbers
        "1 / (CASE WHEN workspace = 'hushed-team' THEN 0 ELSE 1 END) = 1",
        "(CASE WHEN model LIKE 'hushed%' THEN 'x' ELSE '1' END)::integer = 1",
        "1 / (confidence - 0.42) IS NOT NULL",
    ],
)
def test_an_error_tells_of_no_other_row(analyst, superuser, predicate):
    """The predicate fails on the neighbour's rows alone, so it must not fail."""
    query = f"SELECT count(*) FROM truthline.predictions WHERE {predicate}"

    assert analyst.execute(query).fetchone()[0] > 0
    with pytest.raises((InvalidTextRepresentation, psycopg.errors.DivisionByZero)):
        superuser.execute(query)


@pytest.mark.parametrize("options", ["", "(ANALYZE, VERBOSE, SETTINGS)", "(FORMAT json, VERBOSE)"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_plan_tells_nothing(analyst, view, options):
    shown = analyst.execute(f"EXPLAIN {options} SELECT * FROM truthline.{view}").fetchall()
    assert shown
    assert not tells_secrets(shown)


SHADOWS = """
    CREATE TEMPORARY TABLE workspace (id integer, name text);
    CREATE TEMPORARY TABLE pg_roles (oid oid, rolname name);
    CREATE FUNCTION pg_temp.yes(name, text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION pg_temp.yes(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION pg_temp.yes(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION pg_temp.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
    ALTER FUNCTION pg_temp.yes(name, text, text) RENAME TO has_table_privilege;
    ALTER FUNCTION pg_temp.yes(name, oid, text) RENAME TO pg_has_role;
    CREATE OPERATOR pg_temp.= (LEFTARG = name, RIGHTARG = text, FUNCTION = pg_temp.yes);
    CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.yes);
"""


@pytest.mark.usefixtures("temporary")
def test_nothing_of_the_askers_is_found_in_place_of_ours(analyst):
    analyst.execute(SHADOWS)
    for path in ("pg_temp, pg_catalog, truthline", "pg_temp, truthline", ""):
        analyst.execute("SELECT set_config('search_path', %s, false)", [path])
        seen = analyst.execute("SELECT truthline.visible_workspaces()").fetchone()[0]
        assert len(seen) == 1
        assert analyst.execute("SELECT DISTINCT workspace FROM truthline.series").fetchall() == [
            ("default",)
        ]
        with pytest.raises(UndefinedObject):
            analyst.execute("SELECT truthline.workspace_id(%s)", [NEIGHBOUR])


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE {owner}",
        "SELECT set_config('role', {owner_text}, false)",
        "SET SESSION AUTHORIZATION {owner}",
        "CALL truthline.admit(current_user, 'hushed-team')",
        "CALL truthline.grant_reading(current_user)",
        "INSERT INTO truthline_data.analyst VALUES (current_user, 2)",
        "UPDATE truthline.models SET workspace = 'hushed-team'",
        "DELETE FROM truthline.workspaces",
        "CREATE TABLE truthline.mine ()",
        "CREATE FUNCTION truthline.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE VIEW truthline.models AS SELECT 1",
        "ALTER VIEW truthline.models SET (security_barrier = false)",
        "ALTER FUNCTION truthline.visible_workspaces() SECURITY INVOKER",
    ],
)
def test_no_way_to_more_rights(analyst, superuser, statement):
    owner = superuser.info.user
    filled = SQL(statement).format(owner=Identifier(owner), owner_text=Literal(owner))
    refusals = (
        InsufficientPrivilege,
        InvalidParameterValue,
        psycopg.errors.ObjectNotInPrerequisiteState,
        psycopg.errors.FeatureNotSupported,
    )
    with pytest.raises(refusals):
        analyst.execute(filled)


def test_the_setting_only_narrows(analyst):
    analyst.execute("SELECT set_config('truthline.workspace', %s, false)", [NEIGHBOUR])
    assert analyst.execute("SELECT count(*) FROM truthline.predictions").fetchone() == (0,)
    with pytest.raises(UndefinedObject):
        analyst.execute("SELECT truthline.workspace_id('default')")


def test_the_setting_narrows_what_a_superuser_sees(connect):
    with connect(options=f"-c truthline.workspace={NEIGHBOUR}") as narrowed:
        seen = narrowed.execute("SELECT DISTINCT workspace FROM truthline.series").fetchall()
    assert seen == [(NEIGHBOUR,)]


def test_members_of_an_admitted_group_see_what_it_sees(make_role, superuser, connect, analyst_role):
    person = make_role(f"{analyst_role}_person")
    with connect(person) as session, pytest.raises(InsufficientPrivilege):
        session.execute("SELECT FROM truthline.models")
    superuser.execute(f"GRANT {analyst_role} TO {person}")
    with connect(person) as session:
        assert session.execute("SELECT DISTINCT workspace FROM truthline.models").fetchall() == [
            ("default",)
        ]


def test_a_dismissed_role_sees_nothing(make_role, superuser, connect, analyst_role):
    role = make_role(f"{analyst_role}_gone")
    superuser.execute("CALL truthline.admit(%s, %s)", [role, NEIGHBOUR])
    with connect(role) as session:
        assert session.execute("SELECT DISTINCT workspace FROM truthline.models").fetchall() == [
            (NEIGHBOUR,)
        ]
        superuser.execute("CALL truthline.dismiss(%s)", [role])
        with pytest.raises(InsufficientPrivilege):
            session.execute("SELECT FROM truthline.models")
    superuser.execute("GRANT USAGE ON SCHEMA truthline TO PUBLIC")
    superuser.execute("GRANT SELECT ON truthline.models TO PUBLIC")
    superuser.execute("GRANT EXECUTE ON FUNCTION truthline.visible_workspaces() TO PUBLIC")
    try:
        with connect(role) as session:
            assert session.execute("SELECT FROM truthline.models").fetchall() == []
    finally:
        superuser.execute("REVOKE USAGE ON SCHEMA truthline FROM PUBLIC")
        superuser.execute("REVOKE SELECT ON truthline.models FROM PUBLIC")
        superuser.execute("REVOKE EXECUTE ON FUNCTION truthline.visible_workspaces() FROM PUBLIC")


def test_a_role_that_reads_the_tables_cannot_be_held_to_one_workspace(superuser):
    with pytest.raises(InvalidGrantOperation, match="may read the tables of all workspaces"):
        superuser.execute("CALL truthline.admit(current_user, 'default')")


def test_there_must_be_such_a_role_and_workspace(superuser, analyst_role):
    with pytest.raises(UndefinedObject, match='role "nobody_at_all" does not exist'):
        superuser.execute("CALL truthline.admit('nobody_at_all', 'default')")
    with pytest.raises(UndefinedObject, match="there is no workspace 'nowhere'"):
        superuser.execute("CALL truthline.admit(%s, 'nowhere')", [analyst_role])


def test_access_outlives_an_upgrade(demo, superuser, analyst):
    """Functions and views are made anew, and opened again."""
    from migrations.sqlfile import refresh_views  # noqa: PLC0415 - as an upgrade does

    superuser.execute("COMMENT ON SCHEMA truthline IS NULL")
    with demo.database.writing() as conn:
        refresh_views(conn)
    assert analyst.execute("SELECT count(*) FROM truthline.models").fetchone() == (2,)
