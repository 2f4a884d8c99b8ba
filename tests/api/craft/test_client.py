"""Craft AI's published SDK, unmodified, against a live server: its four functions."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import pytest
from craft_ai_sdk import CraftAiSdk
from craft_ai_sdk.exceptions import SdkException
from sqlalchemy import text

from tests.api.given import append, recorded
from tests.api.live import serving

ODD_NAMES = [
    "a/b",
    "/a//b/",
    "loss %",
    "50%25",
    "größe/µ",
    "損失 🎉",
    "a&b;c=d+e",
    "filters[name]",
    "x" * 200,
    "list-values/a",
    "'; DROP TABLE step_metric; --",
    " a ",
    "\\n\\",
    "a\nb",
    "...",
]


@pytest.fixture
def url(app):
    with serving(app) as url:
        yield url


def sdk_of(url, key):
    """The SDK with a key, this server at both of its addresses."""
    return CraftAiSdk(sdk_token=key, environment_url=url, control_url=url)


@pytest.fixture
def sdk(url, workspace):
    sdk = sdk_of(url, workspace.admin_key)
    yield sdk
    sdk._session.close()


@pytest.fixture
def inside(monkeypatch):
    """Let what follows run inside an execution."""
    return lambda name: monkeypatch.setenv("CRAFT_AI_EXECUTION_ID", name)


def values_by_name(rows, member="value"):
    return {row["name"]: row[member] for row in rows}


# --- the documented examples ----------------------------------------------------------------


def test_the_documented_scalars(sdk, inside, client):
    client.put("/api/v1/executions/exec-1", json={"pipeline": "p", "deployment": "d"})
    inside("exec-1")

    assert sdk.record_metric_value("accuracy", 0.1409) is True
    assert sdk.record_metric_value("loss", 1 / 3) is True

    rows = sdk.get_metrics()
    assert values_by_name(rows) == {"accuracy": 0.1409, "loss": 1 / 3}
    for row in rows:
        assert row.keys() == {
            "name",
            "value",
            "created_at",
            "execution_id",
            "deployment_name",
            "pipeline_name",
        }
        assert (row["execution_id"], row["pipeline_name"], row["deployment_name"]) == (
            "exec-1",
            "p",
            "d",
        )
        assert row["created_at"].endswith("Z")


def test_the_documented_lists(sdk, inside):
    inside("exec-1")
    assert sdk.record_list_metric_values("accuracy_list", [0.89, 0.92, 0.95]) is True
    sdk.record_list_metric_values("loss_list", [1.4, 1.2])
    sdk.record_list_metric_values("loss_list", [1.1, 1.0])
    for number in range(1, 10):
        sdk.record_list_metric_values("logx", number / 4)

    rows = sdk.get_list_metrics()

    assert values_by_name(rows, "values") == {
        "accuracy_list": [0.89, 0.92, 0.95],
        "loss_list": [1.4, 1.2, 1.1, 1.0],
        "logx": [number / 4 for number in range(1, 10)],
    }
    assert {(row["pipeline_name"], row["deployment_name"]) for row in rows} == {("", None)}


def test_the_last_value_of_a_scalar_stands(sdk, inside):
    inside("exec-1")
    for value in (1, 2.5, -3):
        sdk.record_metric_value("loss", value)

    [row] = sdk.get_metrics(name="loss")
    assert row["value"] == -3


def test_a_scalar_and_a_list_may_share_a_name(sdk, inside):
    inside("exec-1")
    sdk.record_metric_value("loss", 1)
    sdk.record_list_metric_values("loss", [2, 3])

    assert values_by_name(sdk.get_metrics()) == {"loss": 1}
    assert values_by_name(sdk.get_list_metrics(), "values") == {"loss": [2, 3]}


def test_outside_an_execution_nothing_is_sent(sdk, stored, monkeypatch):
    monkeypatch.delenv("CRAFT_AI_EXECUTION_ID", raising=False)

    with pytest.warns(UserWarning, match="outside a pipeline"):
        assert sdk.record_metric_value("loss", 1) is False
    with pytest.warns(UserWarning, match="outside a pipeline"):
        assert sdk.record_list_metric_values("loss", [1]) is False

    assert sdk.get_metrics() == sdk.get_list_metrics() == []
    assert stored()["execution"] == 0


def test_an_empty_list_is_nothing(sdk, inside, stored):
    inside("exec-1")

    assert sdk.record_list_metric_values("loss", []) is True
    assert sdk.get_list_metrics() == []


# --- names and filters ----------------------------------------------------------------------


def test_odd_names_come_back_as_they_were(sdk, inside):
    for number, name in enumerate(ODD_NAMES):
        inside(f"run {name}" if len(name) < 100 else "run")
        sdk.record_metric_value(name, number)
        sdk.record_list_metric_values(name, [number])

    # what the path makes of them on its way: the SDK does not encode a percent sign
    sent = [name.replace("%25", "%") for name in ODD_NAMES]
    assert values_by_name(sdk.get_metrics()) == {name: n for n, name in enumerate(sent)}
    assert values_by_name(sdk.get_list_metrics(), "values") == {
        name: [n] for n, name in enumerate(sent)
    }
    for number, name in enumerate(sent):
        assert [row["value"] for row in sdk.get_metrics(name=name)] == [number]


@pytest.mark.parametrize("name", ["", ".", "..", "a/../.."])
def test_names_that_no_path_can_hold_are_refused(sdk, inside, stored, name):
    inside("exec-1")
    for send in (sdk.record_metric_value, sdk.record_list_metric_values):
        with pytest.raises(SdkException) as caught:
            send(name, 1)
        assert caught.value.status_code in (404, 405)
    assert stored()["step_metric"] == 0


def test_filters(sdk, inside, client):
    for execution, pipeline, deployment in (("a", "p", "d"), ("b", "p", ""), ("c", "q", "d")):
        told = {"pipeline": pipeline, "deployment": deployment}
        client.put(f"/api/v1/executions/{execution}", json=told)
        inside(execution)
        for name in ("loss", "accuracy"):
            sdk.record_metric_value(name, 1)
            sdk.record_list_metric_values(name, [1])

    def found(**filters):
        both = sdk.get_metrics(**filters), sdk.get_list_metrics(**filters)
        scalars, lists = ([(row["execution_id"], row["name"][0]) for row in rows] for rows in both)
        assert scalars == lists
        return "".join(f"{execution}{name} " for execution, name in scalars)

    assert found() == "al aa bl ba cl ca "
    assert found(name="loss") == "al bl cl "
    assert found(pipeline_name="p") == "al aa bl ba "
    assert found(deployment_name="d", name="accuracy") == "aa ca "
    assert found(execution_id="b") == "bl ba "
    assert found(execution_id="b", name="los") == found(pipeline_name="r") == found(name="") == ""


def test_two_filters_of_executions_are_refused(sdk):
    for filters in (
        {"pipeline_name": "p", "deployment_name": "d"},
        {"pipeline_name": "p", "execution_id": "e", "name": "n"},
    ):
        for ask in (sdk.get_metrics, sdk.get_list_metrics):
            with pytest.raises(SdkException, match="only one of pipeline_name") as caught:
                ask(**filters)
            assert (caught.value.status_code, caught.value.name) == (400, "InvalidInput")


# --- many -----------------------------------------------------------------------------------


MANY = text("""
    WITH run AS (INSERT INTO execution (workspace_id, name) VALUES (:workspace, 'e')
                 RETURNING id),
         names AS (INSERT INTO step_name (workspace_id, name)
                   SELECT :workspace, 'm' || n FROM generate_series(1, :count) AS n
                   RETURNING id, name),
         metrics AS (INSERT INTO step_metric
                         (workspace_id, execution_id, name_id, is_list, n_values, value)
                     SELECT :workspace, run.id, names.id, is_list, 1, substr(names.name, 2)::float8
                     FROM run, names, (VALUES (false), (true)) AS kind (is_list)
                     RETURNING id, value, received_at)
    INSERT INTO step_batch (received_at, metric_id, place, values)
    SELECT received_at, id, 1, ARRAY[value] FROM metrics
""")


def test_more_rows_than_two_pages_hold(sdk, database, workspace):
    count = 10_001
    with database.writing() as conn:
        conn.execute(MANY, {"workspace": workspace.id, "count": count})

    expected = {f"m{number}": number for number in range(1, count + 1)}
    scalars, lists = sdk.get_metrics(), sdk.get_list_metrics()
    assert len(scalars) == len(lists) == count
    assert values_by_name(scalars) == expected
    assert values_by_name(lists, "values") == {name: [n] for name, n in expected.items()}


def test_50_000_values_fit_and_one_more_is_refused(sdk, inside):
    inside("exec-1")
    values = [number / 3 for number in range(50_000)]

    sdk.record_list_metric_values("many", values)
    with pytest.raises(SdkException, match="the list has 50000 values, and 1 more") as caught:
        sdk.record_list_metric_values("many", 0.5)
    assert (caught.value.status_code, caught.value.name) == (409, "ListFull")

    [row] = sdk.get_list_metrics(name="many")
    assert row["values"] == values


def test_of_50_001_values_the_batch_that_crosses_is_refused(sdk, inside):
    inside("exec-1")
    values = [float(number) for number in range(50_001)]

    with pytest.raises(SdkException, match="the list has 50000 values"):
        sdk.record_list_metric_values("many", values)
    inside("exec-2")
    sdk.record_list_metric_values("many", values[:49_999])
    with pytest.raises(SdkException, match="the list has 49999 values, and 2 more"):
        sdk.record_list_metric_values("many", [1, 2])
    sdk.record_list_metric_values("many", [1])

    lengths = [len(row["values"]) for row in sdk.get_list_metrics()]
    assert lengths == [50_000, 50_000]


def test_twenty_writers_append_at_once(url, workspace, inside):
    """Nothing is lost, each batch lies together, and a writer's batches are in its order."""
    inside("exec-1")
    writers, batches, size = 20, 4, 50
    sdks = [sdk_of(url, workspace.admin_key) for _ in range(writers)]

    def write(writer):
        for batch in range(batches):
            value = writer * batches + batch
            sdks[writer].record_list_metric_values("shared", [value] * size)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))

    [row] = sdks[0].get_list_metrics(name="shared")
    runs = [(int(value), len(list(run))) for value, run in groupby(row["values"])]
    assert sorted(runs) == [(number, size) for number in range(writers * batches)]
    for writer in range(writers):
        own = [number for number, _ in runs if number // batches == writer]
        assert own == sorted(own)
    for sdk in sdks:
        sdk._session.close()


# --- what the SDK sends that can't be stored ------------------------------------------------


@pytest.mark.parametrize("value", [True, "1", None, 10**400, [1], {"a": 1}])
def test_what_is_no_number_is_refused_with_a_reason(sdk, inside, stored, value):
    inside("exec-1")

    with pytest.raises(SdkException, match=r"value (must be a number|is out of range)") as caught:
        sdk.record_metric_value("loss", value)
    assert caught.value.status_code == 400
    with pytest.raises(SdkException, match=r"values\[1\] (must be|is out)") as caught:
        sdk.record_list_metric_values("loss", [0.5, value])
    assert caught.value.status_code == 400
    assert stored()["step_metric"] == stored()["execution"] == 0


def test_a_tuple_and_a_text_are_refused(sdk, inside, stored):
    inside("exec-1")
    for values in ((1, 2), "abc"):
        with pytest.raises(SdkException, match="must be a number"):
            sdk.record_list_metric_values("loss", values)
    assert stored()["step_batch"] == 0


def test_a_read_key_records_nothing(url, workspace, inside, stored):
    inside("exec-1")
    sdk = sdk_of(url, workspace.read_key)
    with pytest.raises(SdkException) as caught:
        sdk.record_metric_value("loss", 1)
    assert (caught.value.status_code, caught.value.name) == (403, "Forbidden")
    assert sdk.get_metrics() == []
    sdk._session.close()


def test_whole_numbers_and_extremes_come_back(sdk, inside):
    inside("exec-1")
    values = [0, 1, 2**53, 5e-324, 1.7976931348623157e308, -1e-7, 123456789.123456789]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sdk.record_list_metric_values("v", values)

    [row] = sdk.get_list_metrics()
    assert row["values"] == values


def test_growing_lists_are_read_whole(sdk, inside, client):
    """What was appended is there in the very next answer."""
    inside("exec-1")
    for length in range(1, 6):
        recorded(append(client, "loss", [length], execution="exec-1"))
        [row] = sdk.get_list_metrics(execution_id="exec-1")
        assert row["values"] == list(range(1, length + 1))
