"""An analyst's role sees one workspace, whatever it tries.

The neighbour's texts all begin with SECRET, and its numbers are SECRET_NUMBER: no row, error,
notice or plan that an analyst can see may contain either.
"""

import json
import re

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

VIEWS = [
    *("erasures", "models", "monitors", "outcomes", "predictions", "requests", "series"),
    *("step_metrics", "step_values", "verdicts", "workspaces"),
]
RELATIONS = """
    SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname !~ '^pg_(temp|toast)'
"""
BY_NAME = """
    SELECT oid::regprocedure, proname, proargnames[1 : pronargs - pronargdefaults],
           proargtypes::regtype[]::text[], proconfig
    FROM pg_proc WHERE pronamespace = 'truthline'::regnamespace AND prosecdef
"""
INTERNAL_AND_OPEN = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'truthline_internal'::regnamespace
      AND has_function_privilege(%s, oid, 'EXECUTE') ORDER BY 1
"""
CALLED_BY_VIEWS = """
    SELECT DISTINCT function.oid::regprocedure::text
    FROM pg_depend AS d
    JOIN pg_rewrite AS rule ON d.classid = 'pg_rewrite'::regclass AND rule.oid = d.objid
    JOIN pg_class AS view ON view.oid = rule.ev_class
    JOIN pg_proc AS function ON d.refclassid = 'pg_proc'::regclass AND function.oid = d.refobjid
    WHERE view.relnamespace = 'truthline'::regnamespace
      AND function.pronamespace = 'truthline_internal'::regnamespace ORDER BY 1
"""
NOT_BY_NAME = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace IN ('truthline'::regnamespace, 'truthline_internal'::regnamespace)
      AND NOT prosecdef
"""
# What takes ids answers nothing for those of others.
BY_ID = ["own_outcomes", "own_predictions", "own_request_rows", "own_step_values"]
ARGUMENTS = {
    "workspace": NEIGHBOUR,
    "model": f"{SECRET}-classes",
    "name": f"{SECRET}-metric",
    "measure": "confidence",
    "quantity": "predicted_label",
    "metric": "accuracy",
    "fractions": "{0.5}",
    "key": "country",
    **{f"{side}start_time": "2000-01-01" for side in ("", "a_", "b_")},
    **{f"{side}end_time": "2100-01-01" for side in ("", "a_", "b_")},
}
# What names no workspace: the one lists them, the other computes and reads nothing.
WITHOUT_WORKSPACE = {"visible_workspaces", "share_interval", "tag_filter"}


def tells_secrets(something: object) -> bool:
    """Whether the neighbour's data occurs, in any case or form."""
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


def test_nothing_readable_reveals_the_neighbour(analyst, superuser):
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


def test_of_the_machinery_only_what_views_call_is_open(superuser, analyst_role):
    opened = superuser.execute(INTERNAL_AND_OPEN, [analyst_role]).fetchall()

    assert opened == superuser.execute(CALLED_BY_VIEWS).fetchall()
    assert len(opened) == 12


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT truthline_internal.reads_tables()",
        "SELECT * FROM truthline_internal.own_series()",
        "SELECT * FROM truthline_internal.levels()",
        "SELECT NULL::truthline_internal.piece",
        "CREATE FUNCTION truthline_internal.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_the_machinery_has_no_name(analyst, statement):
    with pytest.raises(InsufficientPrivilege, match="schema truthline_internal"):
        analyst.execute(statement)


def test_such_functions_pin_their_search_path(superuser):
    loose = [name for name, config in superuser.execute(DEFINERS) if PINNED not in config]
    assert loose == []


PINNED = "search_path=pg_catalog, pg_temp"
DEFINERS = """
    SELECT oid::regprocedure, proconfig FROM pg_proc WHERE prosecdef
      AND pronamespace IN ('truthline'::regnamespace, 'truthline_internal'::regnamespace)
"""


def test_functions_refuse_the_neighbours_names(analyst, superuser):
    """Each of them, with the words that a name that isn't there gets."""
    asked = 0
    for name, short, needed, _, _ in superuser.execute(BY_NAME).fetchall():
        if "workspace" not in (needed or ()):
            assert short in WITHOUT_WORKSPACE, name
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


@pytest.fixture
def named(superuser, analyst_role):
    """The second fence: calls the functions of views directly, as if the schema were public."""
    usage = SQL("USAGE ON SCHEMA truthline_internal {} {}")
    superuser.execute(SQL("GRANT ") + usage.format(SQL("TO"), Identifier(analyst_role)))
    yield
    superuser.execute(SQL("REVOKE ") + usage.format(SQL("FROM"), Identifier(analyst_role)))


@pytest.mark.parametrize(
    "call",
    [
        "classification_metrics(ARRAY[{series}], '{{2000-01-01,2100-01-01}}')",
        "outcome_cells(ARRAY[{series}], '{{2000-01-01,2100-01-01}}')",
        "inference_stats({workspace}, '2000-01-01', '2100-01-01')",
        "step_metrics({workspace})",
        "explain('outcome', ARRAY[{series}], '{{2000-01-01,2100-01-01}}')",
        "prediction_volume(ARRAY[{series}], '{{2000-01-01,2100-01-01}}')",
    ],
)
@pytest.mark.usefixtures("named")
def test_functions_by_number_are_refused(analyst, superuser, call):
    series, workspace = superuser.execute(
        "SELECT truthline.series_of(%s, %s), truthline.workspace_id(%s)",
        [NEIGHBOUR, f"{SECRET}-classes", NEIGHBOUR],
    ).fetchone()
    with pytest.raises(InsufficientPrivilege, match="for function"):
        analyst.execute(
            f"SELECT * FROM truthline_internal.{call.format(series=series[0], workspace=workspace)}"
        )


@pytest.mark.parametrize("function", BY_ID)
@pytest.mark.usefixtures("named")
def test_functions_by_id_answer_for_ones_own_ids_alone(analyst, superuser, function):
    ids = "array_agg(id), min(id) FROM truthline_data." + (
        "step_metric" if function == "own_step_values" else "series"
    )
    every, _ = superuser.execute(f"SELECT {ids}").fetchone()
    call = f"SELECT count(x), string_agg(x::text, ' ') FROM truthline_internal.{function}(%s) AS x"
    if function == "own_step_values":
        call = f"SELECT count(x), '' FROM unnest(%s) AS m, truthline_internal.{function}(m) AS x"
    n, shown = analyst.execute(call, [every]).fetchone()
    n_of_all, _ = superuser.execute(call, [every]).fetchone()
    assert 0 < n < n_of_all
    assert not tells_secrets(shown)


LEAK = """
    CREATE FUNCTION pg_temp.leak(given text) RETURNS boolean LANGUAGE plpgsql
    COST 0.0000000000000000000001 AS 'BEGIN RAISE NOTICE ''%'', given; RETURN true; END'
"""


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.usefixtures("temporary")
def test_a_leaking_predicate_sees_no_other_row(analyst, view):
    """A function that the planner takes for free, and that reports its arguments."""
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
def test_an_error_reveals_no_other_row(analyst, superuser, predicate):
    """The predicate fails on the neighbour's rows alone, so it must not fail."""
    query = f"SELECT count(*) FROM truthline.predictions WHERE {predicate}"

    assert analyst.execute(query).fetchone()[0] > 0
    with pytest.raises((InvalidTextRepresentation, psycopg.errors.DivisionByZero)):
        superuser.execute(query)


@pytest.mark.parametrize("options", ["", "(ANALYZE, VERBOSE, SETTINGS)", "(FORMAT json, VERBOSE)"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_plan_reveals_nothing(analyst, view, options):
    shown = analyst.execute(f"EXPLAIN {options} SELECT * FROM truthline.{view}").fetchall()
    assert shown
    assert not tells_secrets(shown)


TEXTS = [
    ("= 'hushed-classes'", "= 'nobody-classes'"),
    ("= 'hushed-team'", "= 'nobody-team'"),
    ("= 'hushed-yes'", "= 'nobody-yes'"),
    ("= ANY ('{hushed,hushed-1,hushed-no}')", "= ANY ('{nobody,nobody-1,nobody-no}')"),
    ("BETWEEN 'hushed' AND 'hushee'", "BETWEEN 'nobody' AND 'nobodz'"),
    (">= 'hushed-run'", ">= 'hushee-run'"),
    ("^@ 'hushed'", "^@ 'nobody'"),
]
NUMBERS = [
    ("= 4242.4242", "= 4343.4343"),
    ("> 4242", "> 4243"),
    ("BETWEEN 0.41999 AND 0.42001", "BETWEEN 0.000019 AND 0.000021"),
]
GUESSES = {"text": TEXTS, "double precision": NUMBERS}
COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'truthline'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
    ORDER BY 1, a.attnum
"""
# What differs from one run to the next.
VARIES = re.compile(
    r'^ *"[^"]*(Time|Cost|Hit|Read|Dirtied|Written|Memory|Disk|Storage|Filter)[^"]*":.*$',
    re.MULTILINE,
)
COUNTED = re.compile(r'"Rows Removed by Filter": (\d+)')


def shown_plan(analyst, query):
    """All that EXPLAIN shows, but for times, texts of conditions, and how much was in the cache."""
    (plan,) = analyst.execute(
        f"EXPLAIN (ANALYZE, VERBOSE, SETTINGS, FORMAT json) {query}"
    ).fetchone()
    written = json.dumps(plan, indent=1)
    return VARIES.sub("", written), COUNTED.findall(written)


@pytest.mark.parametrize("only", ["*", "count(*)"])
def test_no_condition_reaches_rows_of_others(analyst, superuser, only):
    """Plans are the same whether a neighbour has what is guessed, in every count and estimate."""
    told, asked = [], 0
    for view, column, kind in superuser.execute(COLUMNS).fetchall():
        for there, nowhere in GUESSES.get(kind, []):
            query = f"SELECT {only} FROM truthline.{view} WHERE {column} "
            if shown_plan(analyst, query + there) != shown_plan(analyst, query + nowhere):
                told.append((view, column, there))
            asked += 1
    assert told == []
    assert asked > 200


@pytest.mark.parametrize("view", VIEWS)
def test_an_analysts_plan_holds_no_table(analyst, view):
    """Even without execution: estimates are based on statistics of all rows."""
    for options in ("(FORMAT json)", "(ANALYZE, VERBOSE, FORMAT json)"):
        (plan,) = analyst.execute(f"EXPLAIN {options} SELECT * FROM truthline.{view}").fetchone()
        written = json.dumps(plan)
        assert "Function Scan" in written
        assert "Relation Name" not in written


@pytest.mark.parametrize("view", VIEWS)
def test_both_halves_of_a_view_show_the_same(analyst, connect, view):
    """The half for roles that can read the tables, and the fenced one."""
    rows = f"SELECT t::text FROM truthline.{view} AS t"
    with connect(options="-c truthline.workspace=default") as narrowed:
        assert sorted(analyst.execute(rows)) == sorted(narrowed.execute(rows)) != []


TOUCHED = """
    SELECT sum(seq_tup_read), sum(idx_tup_fetch), sum(idx_scan), sum(seq_scan)
    FROM pg_stat_xact_all_tables WHERE schemaname <> 'pg_catalog'
"""
ASK = """
    DO $do$ BEGIN PERFORM * FROM truthline.{}; EXCEPTION WHEN undefined_object THEN NULL; END $do$
"""


@pytest.mark.parametrize(
    "call",
    [
        "workspace_id('GUESS-team')",
        "model_id('default', 'GUESS-classes')",
        "model_id('GUESS-team', 'GUESS-classes')",
        "series_of('GUESS-team', 'GUESS-classes')",
        "predictions('GUESS-team', '2000-01-01', '2100-01-01')",
        "predictions('default', '2000-01-01', '2100-01-01', model => 'GUESS-classes')",
        "requests('default', '2000-01-01', '2100-01-01', model => 'GUESS-classes')",
        "newest_requests('default', 'GUESS-classes', '2000-01-01', '2100-01-01')",
        "inference_stats('default', '2000-01-01', '2100-01-01', models => '{GUESS-classes}')",
        "inference_stats('default', '2000-01-01', '2100-01-01', NULL, 'GUESS', 'GUESS')",
        "step_metric_over_time('default', 'GUESS-metric', '2000-01-01', '2100-01-01')",
        "step_metric_by_execution('default', 'GUESS-metric')",
    ],
)
def test_counters_tell_nothing_of_what_was_not_found(connect, analyst_role, call):
    """Anybody may read how many rows its transaction took from a table."""
    touched = []
    for guess in (SECRET, "nobody"):
        with connect(analyst_role) as session:
            session.execute(
                ASK.format(call.replace("{}", guess).replace("{{", "{").replace("}}", "}"))
            )
            with session.transaction():
                session.execute(
                    ASK.format(call.replace("{}", guess).replace("{{", "{").replace("}}", "}"))
                )
                touched.append(session.execute(TOUCHED).fetchone())
    assert touched[0] == touched[1]
    assert touched[0][0] or touched[0][1]


@pytest.mark.parametrize("mode", ["ACCESS SHARE", "SHARE", "ACCESS EXCLUSIVE"])
@pytest.mark.parametrize(
    "table",
    ["truthline_data.request_lock", "truthline_data.upkeep_lock", "public.alembic_version"],
)
def test_what_writers_lock_is_locked_by_no_analyst(analyst, table, mode):
    with analyst.transaction(), pytest.raises(InsufficientPrivilege):
        analyst.execute(f"LOCK TABLE {table} IN {mode} MODE")


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
    for opened in OPENED:
        superuser.execute(f"GRANT {opened} TO PUBLIC")
    try:
        with connect(role) as session:
            assert session.execute("SELECT FROM truthline.models").fetchall() == []
    finally:
        for opened in OPENED:
            superuser.execute(f"REVOKE {opened} FROM PUBLIC")


OPENED = [
    "USAGE ON SCHEMA truthline",
    "SELECT ON truthline.models",
    "EXECUTE ON FUNCTION truthline.visible_workspaces()",
    "EXECUTE ON FUNCTION truthline_internal.reads_tables()",
    "EXECUTE ON FUNCTION truthline_internal.own_models()",
]


def test_a_role_that_reads_the_tables_cannot_be_held_to_one_workspace(superuser):
    with pytest.raises(InvalidGrantOperation, match="may read the tables of all workspaces"):
        superuser.execute("CALL truthline.admit(current_user, 'default')")


def test_there_must_be_such_a_role_and_workspace(superuser, analyst_role):
    with pytest.raises(UndefinedObject, match='role "nobody_at_all" does not exist'):
        superuser.execute("CALL truthline.admit('nobody_at_all', 'default')")
    with pytest.raises(UndefinedObject, match="there is no workspace 'nowhere'"):
        superuser.execute("CALL truthline.admit(%s, 'nowhere')", [analyst_role])


def test_access_outlives_an_upgrade(demo, superuser, analyst):
    """Functions and views are recreated, and access is granted again."""
    from migrations.rerunnable import refresh  # noqa: PLC0415 - as an upgrade does

    superuser.execute("COMMENT ON SCHEMA truthline IS NULL")
    with demo.database.writing() as conn:
        refresh(conn)
    assert analyst.execute("SELECT count(*) FROM truthline.models").fetchone() == (2,)
