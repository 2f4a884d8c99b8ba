"""Probabilities that a rounding error puts outside [0, 1] become 0 or 1, in every dialect."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.fields import LEAST_FRACTION, MOST_FRACTION, clamped
from tests.api.events_given import RESPONSE, feedback, message
from tests.api.events_given import send as send_event
from tests.api.given import ndjson, predict, prediction, send, verdict
from tests.api.roboflow_given import accepted, inference, post

FASTTEXT = float(np.float32(1.00001))
OUTSIDE = {
    1.00000536: 1,
    FASTTEXT: 1,
    1 + 2**-52: 1,
    -1e-17: 0,
    -1e-5: 0,
    -5e-324: 0,
}
BEYOND = (1.0001, -0.0001, 1.5)
each = pytest.mark.parametrize("sent", OUTSIDE)


@given(st.floats(LEAST_FRACTION, MOST_FRACTION))
def test_a_fraction_is_the_nearest_one(number):
    assert clamped(number) == float(np.clip(number, 0, 1))
    assert str(clamped(number)) != "-0.0"


def confidences(outputs):
    return [output[2] for output in outputs()]


@each
def test_of_rows(client, outputs, sent):
    rows = [
        prediction(label="a", confidence=sent),
        prediction(scores={"b": 0.25, "a": sent} if OUTSIDE[sent] else {"a": sent}),
    ]
    assert verdict(predict(client, *rows)) == (2, 0, 0)
    assert verdict(send(client, ndjson(*rows), content_type="application/x-ndjson")) == (2, 0, 0)

    assert confidences(outputs) == [OUTSIDE[sent]] * 4


@each
def test_of_detections(client, outputs, sent):
    verdict(predict(client, prediction(detections=[{"label": "a", "confidence": sent}])))

    assert confidences(outputs) == [OUTSIDE[sent]]


@each
def test_of_roboflows(client, outputs, sent):
    several = inference("tags/1", at_time=0)
    several["inference"]["response"] = [{"predictions": {"a": {"confidence": sent}}, "time": 1}]
    flat = {"model_id": "cards/4", "inference_id": "i", "class_name": "a", "confidence": sent}
    assert accepted(post(client, inference("cards/4", ("a", sent)), several, flat)) == (3, 0)

    assert confidences(outputs) == [OUTSIDE[sent]] * 3


@pytest.mark.parametrize("sent", [number for number, near in OUTSIDE.items() if near])
def test_of_seldon_cores(client, outputs, sent):
    send_event(client, message([[0.0, sent]]), "1", type=RESPONSE)
    send_event(client, feedback([[sent, -1e-17]], [[1, 0]]), "2", requestid="r2")

    assert [output[:3] for output in outputs()] == [("CLASS_1", None, 1), ("CLASS_0", None, 1)]


def test_the_largest_is_found_before(client, outputs):
    verdict(predict(client, prediction(scores={"a": 1 + 1e-6, "b": 1 + 1e-5})))

    assert [output[:3] for output in outputs()] == [("b", None, 1)]


@pytest.mark.parametrize("sent", BEYOND)
def test_what_is_no_rounding_error_is_refused(client, stored, sent):
    before = stored()
    for row in (
        prediction(label="a", confidence=sent),
        prediction(scores={"a": sent}),
        prediction(detections=[{"label": "a", "confidence": sent}]),
    ):
        assert predict(client, row).status_code == 422
    assert post(client, inference("cards/4", ("a", sent))).status_code == 422
    assert stored() == before


@pytest.mark.parametrize("sent", BEYOND)
def test_what_is_no_probability_is_no_confidence(client, outputs, sent):
    """Seldon's answers may be scores of any size; the largest names the class all the same."""
    send_event(client, message([[sent - 1, sent]]), type=RESPONSE)

    assert [output[:3] for output in outputs()] == [("CLASS_1", None, None)]
