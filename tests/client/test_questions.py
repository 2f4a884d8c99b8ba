"""Query results, compared with the server's own responses."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pandas as pd
import pytest
import requests
from truthline import (
    Client,
    Forbidden,
    Freshness,
    InvalidRequest,
    NotFound,
    NotTruthline,
    Snapped,
    TokenProvider,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from truthline.wire import camel

from docs.pictures.scenes import DAY, HOUR, IRIS, IRIS_START, PRICES, RETURNS
from tests.api.live import serving
from tests.client.conftest import SOON
from tests.client.networks import Fate, Unreliable
from tests.servers import free_port

MINUTES = {"start": IRIS_START, "end": IRIS_START + timedelta(minutes=2), "interval": "10s"}
TODAY = {"start": DAY, "end": DAY + 24 * HOUR}


def native(client, path, **parameters):
    """The server's response, as JSON."""
    key = client._session._http.auth._source
    answer = requests.get(f"{client._session.url}{path}", {"api_key": key, **parameters}, timeout=9)
    assert answer.ok, answer.text
    return answer.json()


def test_the_example_of_seldons_page(scenes):
    answer = scenes.classification_metrics(**IRIS, **MINUTES)

    assert [bucket.accuracy for bucket in answer.buckets] == [0, 0, 0.4375, 0.125, *[None] * 8]
    assert [bucket.specificity for bucket in answer.buckets[:4]] == [0.5, 0.5, 2 / 3, 2 / 3]
    matrix = answer.confusion_matrix("2025-02-25T11:51:45Z")
    assert (matrix.start, matrix.end) == (answer.buckets[2].start, answer.buckets[2].end)
    assert matrix == answer.confusion_matrix(2) == answer.confusion_matrix(matrix.start)
    table = matrix.to_pandas()
    assert table.loc["Setosa", "Versicolor"] == 9
    assert table.loc["Versicolor", "Versicolor"] == 7
    assert (table.index.name, table.columns.name) == ("actual", "predicted")
    with pytest.raises(LookupError):
        answer.confusion_matrix("2025-02-25T11:53:22Z")
    with pytest.raises(LookupError):
        answer.confusion_matrix(12)


def test_classification_has_all_that_the_server_returns(scenes):
    asked = {"average": "weighted", "align": "epoch", "time_zone": "Europe/Paris"}
    answer = scenes.classification_metrics(**RETURNS, **TODAY, interval=6 * HOUR, **asked)
    said = native(
        scenes,
        "/api/v1/metrics/classification",
        **RETURNS,
        startTime=DAY.isoformat(),
        endTime=(DAY + 24 * HOUR).isoformat(),
        interval="6h",
        average="weighted",
        align="epoch",
        timeZone="Europe/Paris",
    )

    assert answer.exact is True
    assert len(answer.buckets) == len(said["buckets"]) == 5
    for bucket, json in zip(answer.buckets, said["buckets"], strict=True):
        assert bucket.start == datetime.fromisoformat(json["startTime"])
        assert bucket.end == datetime.fromisoformat(json["endTime"])
        for ours, theirs in {
            "labelled_share": "labelledShare",
            **{name: name for name in ("n", "predictions", "accuracy", "precision", "recall")},
            **{name: name for name in ("specificity", "f1")},
        }.items():
            assert getattr(bucket, ours) == json[theirs]
        classes = [{**one, "intervals": None} for one in json["classes"]]
        assert [vars(one) for one in bucket.classes] == classes
        assert [list(row) for row in bucket.confusion_matrix] == json["confusionMatrix"]


def test_intervals_are_those_that_the_server_returns(scenes):
    asked = {"startTime": DAY.isoformat(), "endTime": (DAY + 24 * HOUR).isoformat()}
    for kind, model in (("classification", RETURNS), ("regression", PRICES)):
        ask = getattr(scenes, f"{kind}_metrics")
        assert ask(**model, **TODAY).buckets[0].intervals is None

        answer = ask(**model, **TODAY, confidence=0.9)
        path = f"/api/v1/metrics/{kind}"
        (json,) = native(scenes, path, **model, **asked, confidence=0.9)["buckets"]
        (bucket,) = answer.buckets
        intervals = {camel(name): one for name, one in vars(bucket.intervals).items()}
        assert {name: vars(one) for name, one in intervals.items()} == json["intervals"]
        table = answer.to_pandas()
        for name, interval in vars(bucket.intervals).items():
            bounds = [table[f"{name}_{bound}"].iloc[0] for bound in ("low", "high")]
            assert bounds == [interval.low, interval.high]
        assert answer.confidence == 0.9


def test_error_rates_have_intervals_if_requested(scenes):
    asked = scenes.inference_stats(**TODAY, confidence=0.9)

    assert scenes.inference_stats(**TODAY).totals.error_rate.interval is None
    for one in (asked.totals, *asked.models):
        assert one.error_rate.interval.low <= one.error_rate.now <= one.error_rate.interval.high


def test_a_comparison_is_what_the_server_returns(scenes):
    halves = {"end": DAY + 9 * HOUR}, {"start": DAY + 9 * HOUR}
    answer = scenes.compare(**RETURNS, **TODAY, a=halves[0], b=halves[1], confidence=0.9)
    asked = {"startTime": DAY.isoformat(), "endTime": (DAY + 24 * HOUR).isoformat()}
    moved = {"a.endTime": (DAY + 9 * HOUR).isoformat(), "b.startTime": (DAY + 9 * HOUR).isoformat()}
    json = native(scenes, "/api/v1/metrics/compare", **RETURNS, **asked, **moved, confidence="0.9")

    assert (answer.kind, answer.confidence) == (json["kind"], json["confidence"])
    assert (answer.a.end, answer.b.start) == (DAY + 9 * HOUR,) * 2
    assert [one.verdict for one in answer.metrics] == [one["verdict"] for one in json["metrics"]]
    accuracy, theirs = answer["accuracy"], json["metrics"][0]
    assert vars(accuracy.a) | {"interval": vars(accuracy.a.interval)} == theirs["a"]
    assert (accuracy.difference, accuracy.p_value) == (theirs["difference"], theirs["pValue"])
    table = answer.to_pandas()
    assert table.loc["accuracy", ["n_a", "n_b"]].tolist() == [accuracy.a.n, accuracy.b.n]
    assert answer["matthews_correlation"] == answer["matthewsCorrelation"]
    with pytest.raises(KeyError):
        answer["mean_absolute_error"]
    with_scores = scenes.compare(
        **RETURNS, **TODAY, a=halves[0], b=halves[1], confidence=0.9, scores=True
    )
    assert {one.metric for one in with_scores.metrics} >= {one.metric for one in answer.metrics}
    with pytest.raises(TypeError, match="a side has no interval"):
        scenes.compare(**RETURNS, **TODAY, a={"interval": "1h"}, b={})


def test_a_table_of_buckets(scenes):
    answer = scenes.classification_metrics(**IRIS, **MINUTES, time_zone="Asia/Tokyo")
    table = answer.to_pandas()

    assert list(table["n"]) == [10, 16, 16, 8, *[0] * 8]
    assert table["accuracy"].dtype == float
    assert table["accuracy"].isna().sum() == 8
    assert str(table.index[0]) == "2025-02-25 20:51:22+09:00"
    assert table.index.name == "start"
    assert table.loc["2025-02-25T11:51:42Z", "accuracy"] == 0.4375


def test_regression(scenes):
    answer = scenes.regression_metrics(**PRICES, **TODAY, interval="1h")
    table = answer.to_pandas()

    assert len(answer.buckets) == len(table) == 24
    assert [bucket.n == 0 for bucket in answer.buckets] == [False] * 18 + [True] * 6
    squared = table["root_mean_squared_error"] ** 2
    pd.testing.assert_series_equal(squared, table["mean_squared_error"], check_names=False)
    assert (table["mean_absolute_error"] <= table["root_mean_squared_error"] + 1e-9)[:18].all()


def test_inference_stats_and_models(scenes):
    stats = scenes.inference_stats(**TODAY)
    said = native(
        scenes,
        "/api/v1/inference-stats",
        startTime=DAY.isoformat(),
        endTime=(DAY + 24 * HOUR).isoformat(),
    )

    assert stats.previous_start == DAY - 24 * HOUR
    assert vars(stats.totals.inferences) == said["totals"]["inferences"] | {"interval": None}
    assert [one.model for one in stats.models] == ["returns-model", "price-model"]
    returns, _ = stats.models
    assert vars(returns.latency_quantiles) == said["models"][0]["latencyQuantiles"]
    assert [one.label for one in returns.classes] == [
        c["label"] for c in said["models"][0]["classes"]
    ]
    table = stats.to_pandas()
    row = table.loc[("shop", "checkout", "returns-model", "inferences")]
    assert row["now"] == returns.inferences.now
    only = scenes.inference_stats(**TODAY, models=["price-model"])
    assert [one.model for one in only.models] == ["price-model"]
    with pytest.raises(ValueError, match="empty"):
        scenes.inference_stats(models=[])

    models = scenes.models(**TODAY)
    known = {one.model: one for one in models.models}
    assert known["returns-model"].versions == ("v1", "v2")
    assert known["price-model"].kind == "regression"
    assert known["returns-model"].inferences == returns.inferences.now
    assert models.to_pandas().loc[("homes", "valuation", "price-model"), "errors"] == 0


def timeless(answer):
    """Without the moment of the query."""
    return dataclasses.replace(answer, freshness=None)


def test_models_of_all_pages_are_one_answer(scenes, monkeypatch):
    stats, models = scenes.inference_stats(**TODAY), scenes.models(**TODAY)
    real, asked = scenes._session.get, []

    def one_by_one(path, parameters):
        asked.append(parameters.get("cursor"))
        return real(path, {**parameters, "limit": 1})

    monkeypatch.setattr(scenes._session, "get", one_by_one)

    pages = scenes.inference_stats(**TODAY), scenes.models(**TODAY)
    assert [timeless(answer) for answer in pages] == [timeless(stats), timeless(models)]
    assert len(asked) == len(stats.models) + len(models.models) > 4
    assert len(set(asked) - {None}) == len(asked) - 2


def test_health(scenes):
    health = scenes.health("homes-eu", **TODAY)
    table = health.to_pandas()

    assert health.total_predictions == sum(bucket.predictions for bucket in health.buckets)
    assert len(health.buckets) == len(health.spreads) == 10
    assert (table["minimum"] <= table["median"]).all()
    assert 5 < health.mean_latency_ms < 50
    classifier = scenes.health("shop-eu", **TODAY)
    assert classifier.spreads is None
    assert sum(bucket.failures for bucket in classifier.buckets) == 6
    assert "median" not in classifier.to_pandas()


class Saying(httpx.HTTPTransport):
    """A server that reports another basis of its answers, or none, as older servers do."""

    def __init__(self, **members):
        super().__init__()
        self.members = members

    def handle_request(self, request):
        answer = super().handle_request(request)
        answer.read()
        basis = {"exact", "snapped", "freshness"}
        said = {name: one for name, one in answer.json().items() if name not in basis}
        return httpx.Response(200, json=said | self.members)


def asked_of(client):
    return [client.inference_stats(), client.models(), client.health("d")]


def test_answers_about_predictions_state_their_basis(url, workspace):
    key = workspace.admin_key
    with Client(url, key) as client:
        client.send_predictions([{"label": "a"}], model="m", deployment="d")
        stats, models, health = asked_of(client)
    assert (stats.exact, stats.snapped) == (models.exact, models.snapped) == (True, ())
    assert (health.exact, health.snapped) == (True, ())
    assert stats.freshness.as_of <= models.freshness.as_of
    moved = {"asked": "2026-03-01T10:00:01Z", "answered": "2026-03-01T10:00:00Z"}
    freshness = {"asOf": "2026-03-02T00:00:00Z", "cleanUntil": None}
    said = {"exact": False, "snapped": [moved | {"subject": "score"}], "freshness": freshness}
    with Client(url, key, transport=Saying(**said)) as client:
        for answer in asked_of(client):
            assert answer.exact is False
            edges = datetime(2026, 3, 1, 10, 0, 1, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)
            assert answer.snapped == (Snapped(*edges, subject="score"),)
        assert client.models().freshness == Freshness(datetime(2026, 3, 2, tzinfo=UTC), None)


def test_an_older_server_does_not_state_their_basis(url, workspace):
    with Client(url, workspace.admin_key, transport=Saying()) as client:
        client.send_predictions([{"label": "a"}], model="m", deployment="d")
        for answer in asked_of(client):
            assert (answer.exact, answer.snapped) == (None, None)
        assert client.models().freshness is None


# --- errors -----------------------------------------------------------------------------------


def test_refusals_have_types_and_say_why(truthline, url, workspace):
    with pytest.raises(NotFound, match="no predictions") as caught:
        truthline.classification_metrics("nobody", **TODAY)
    assert (caught.value.kind, caught.value.status) == ("UnknownModel", 404)
    with pytest.raises(InvalidRequest, match="interval"):
        truthline.classification_metrics("pets", **TODAY, interval="soon")
    with pytest.raises(NotFound):
        truthline.health("nowhere")
    with pytest.raises(ValueError, match="start has no time zone"):
        truthline.classification_metrics("pets", start=datetime(2026, 3, 1), end=DAY)
    with Client(url, "tl_wrong") as stranger, pytest.raises(Unauthenticated):
        stranger.models()
    with Client(url, workspace.ingest_key) as writer, pytest.raises(Forbidden):
        writer.models()


@pytest.mark.parametrize("fate", [Fate.BUSY, Fate.BROKEN, Fate.NOT_SENT, Fate.ANSWER_LOST])
def test_queries_are_retried(url, workspace, fate):
    network = Unreliable([fate] * 3)
    with Client(url, workspace.admin_key, transport=network, backoff=SOON) as client:
        assert client.models().models == ()
    lost = Unreliable([fate] * 4)
    with (
        Client(url, workspace.admin_key, transport=lost, backoff=SOON) as client,
        pytest.raises((Unavailable, Unreachable)),
    ):
        client.models()


def test_a_server_that_is_none(app):
    def website(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<h1>Welcome</h1>"]

    with (
        serving(website) as url,
        Client(url) as client,
        pytest.raises(NotTruthline, match="is this the server's URL"),
    ):
        client.models()
    with (
        Client(f"http://127.0.0.1:{free_port()}", backoff=SOON) as client,
        pytest.raises(Unreachable, match="no response from") as caught,
    ):
        client.models()
    assert caught.value.delivered is False


@pytest.mark.parametrize("url", ["", "truthline.example", "ftp://truthline.example"])
def test_a_url_that_is_none(url, monkeypatch):
    monkeypatch.delenv("TRUTHLINE_URL", raising=False)
    with pytest.raises(ValueError, match="URL"):
        Client(url)


# --- tokens -----------------------------------------------------------------------------------


class Clock:
    """A clock that a test advances, in seconds."""

    now = 0.0

    def __call__(self):
        return self.now


def exchanges(network):
    return sum(request.url.path.endswith("/auth/refresh") for _, request in network.seen)


def test_a_key_is_exchanged_once_and_the_token_renewed_before_it_ends(url, workspace):
    clock, network = Clock(), Unreliable([])
    provider = TokenProvider(url, workspace.read_key, clock=clock)
    with Client(url, provider, transport=network) as client:
        for now in (0, 3_000, 3_539, 3_541, 3_542):
            clock.now = now
            client.models()

    assert exchanges(network) == 2
    assert all(
        workspace.read_key not in request.headers.get("Authorization", "")
        for _, request in network.seen
    )


def test_a_refused_token_is_renewed_once(url, workspace):
    network = Unreliable([])
    provider = TokenProvider(url, workspace.read_key)
    with Client(url, provider, transport=network) as client:
        client.models()
        provider._token = provider._token._replace(text="h.p.s")
        client.models()
        assert exchanges(network) == 2
    with (
        Client(url, TokenProvider(url, "tl_wrong")) as stranger,
        pytest.raises(Unauthenticated),
    ):
        stranger.models()


def test_threads_share_a_token(url, workspace):
    network = Unreliable([])
    with (
        Client(url, TokenProvider(url, workspace.read_key), transport=network) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        assert len(list(threads.map(lambda _: client.models(), range(24)))) == 24

    assert exchanges(network) == 1


def test_what_is_logged_may_come_with_a_token(url, workspace):
    with Client(url, TokenProvider(url, workspace.admin_key)) as client:
        client.log_prediction("pets", label="cat", time=datetime(2026, 3, 2, tzinfo=UTC))
        assert client.flush(10)

        assert client.models(**TODAY).models[0].inferences == 1


def test_variables_of_the_environment(url, workspace, monkeypatch):
    monkeypatch.setenv("TRUTHLINE_URL", url + "/")
    monkeypatch.setenv("TRUTHLINE_KEY", workspace.read_key)
    with Client() as client:
        assert client.models().models == ()
