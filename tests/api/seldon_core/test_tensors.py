"""TensorFlow's tensors, however a program writes them, are the array that TensorFlow reads.

`tensors.json` was made by tensorflow-cpu 2.21 and protobuf 7.36, which are too large for this
environment: `tf.make_tensor_proto` of an array per dtype, with and without `shape`; the same
shortened, as the runtime does it; `json_format.MessageToJson` of each, and as `snake_case`
`MessageToDict(preserving_proto_field_name=True, use_integers_for_enums=True)`. The `values` are
those of `tf.make_ndarray`.
"""

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.api.seldon_core.tensor_proto import answer_of_tensor
from app.errors import InvalidInput
from tests.api.events_given import NATIVE, RESPONSE, send
from tests.effort import examples

TENSORS = json.loads((Path(__file__).parent / "tensors.json").read_text())


def rows(values):
    """An array as rows, and whether it is flat."""
    if not isinstance(values, list):
        return [[values]], True
    flat = not isinstance(values[0], list)
    return ([[value] for value in values] if flat else values), flat


def read(tensor):
    answer = answer_of_tensor("t", tensor)
    return [list(row) for row in answer.rows], answer.flat


@pytest.mark.parametrize("spelling", ["json", "snake_case"])
@pytest.mark.parametrize("tensor", TENSORS, ids=[tensor["what"] for tensor in TENSORS])
def test_a_tensor_is_what_tensorflow_reads(tensor, spelling):
    assert read(tensor[spelling]) == rows(tensor["values"])


# --- the same array in each form ----------------------------------------------------------

DTYPES = {
    "DT_HALF": ("<f2", "halfVal"),
    "DT_FLOAT": ("<f4", "floatVal"),
    "DT_DOUBLE": ("<f8", "doubleVal"),
    "DT_INT8": ("<i1", "intVal"),
    "DT_UINT8": ("<u1", "intVal"),
    "DT_INT16": ("<i2", "intVal"),
    "DT_INT32": ("<i4", "intVal"),
    "DT_INT64": ("<i8", "int64Val"),
    "DT_UINT32": ("<u4", "uint32Val"),
    "DT_UINT64": ("<u8", "uint64Val"),
    "DT_BOOL": ("?", "boolVal"),
}


def in_member(array, member):
    """The values as protobuf's JSON has them in their member."""
    if member == "halfVal":
        return array.view("<u2").ravel().tolist()
    if member in ("int64Val", "uint64Val"):
        return [str(value) for value in array.ravel().tolist()]
    texts = {np.inf: "Infinity", -np.inf: "-Infinity"}
    # of a float of 32 bits, protobuf writes the shortest decimal
    plain = [float(str(v)) if member == "floatVal" else v.item() for v in array.ravel()]
    return ["NaN" if np.isnan(value) else texts.get(value, value) for value in plain]


def shortened(values):
    """Without the last values as far as they are equal; 0.0 and -0.0 are not."""
    while len(values) > 1 and repr(values[-1]) == repr(values[-2]):
        values = values[:-1]
    return values


@examples(60, thorough=1000)
@given(data=st.data(), dtype=st.sampled_from([*DTYPES]))
def test_one_array_in_each_form_is_one_answer(data, dtype):
    kind, member = DTYPES[dtype]
    shape = arrays.array_shapes(min_dims=1, max_dims=2, max_side=4)
    array = data.draw(arrays.arrays(np.dtype(kind), shape))
    tensor = {"dtype": dtype, "tensorShape": {"dim": [{"size": str(n)} for n in array.shape]}}
    values = in_member(array, member)
    forms = [
        {"tensorContent": base64.b64encode(array.tobytes()).decode()},
        {"tensorContent": base64.urlsafe_b64encode(array.tobytes()).decode().rstrip("=")},
        {member: values},
        {member: shortened(values)},
    ]

    expected = rows(array.tolist())
    for form in forms:
        assert repr(read(tensor | form)) == repr(expected)


# --- what is no tensor --------------------------------------------------------------------

SIX = {"dim": [{"size": 2}, {"size": 3}]}
ODD = {
    "complex": (
        {"dtype": "DT_COMPLEX64", "scomplexVal": [1, 0]},
        "a dtype of real numbers or texts",
    ),
    "no such type": ({"dtype": "DT_X"}, "must be of a dtype of real numbers or texts"),
    "values of another type": ({"dtype": "DT_FLOAT", "doubleVal": [1]}, "must have floatVal"),
    "bytes of no type": ({"tensorContent": "AAAA"}, "must have a dtype of numbers"),
    "bytes of texts": ({"dtype": "DT_STRING", "tensorContent": "AAAA"}, "a dtype of numbers"),
    "half a number": ({"dtype": "DT_INT16", "tensorContent": "AAAA"}, "not of its dtype"),
    "no base64": ({"dtype": "DT_INT8", "tensorContent": "!"}, "not of its dtype"),
    "a text that is not UTF-8": ({"dtype": "DT_STRING", "stringVal": ["/w=="]}, "not of its dtype"),
    "half of 17 bits": ({"dtype": "DT_HALF", "halfVal": [65536]}, "not of its dtype"),
    "beyond 32 bits": ({"dtype": "DT_FLOAT", "floatVal": [1e39]}, "not of its dtype"),
    "too many values": ({"dtype": "DT_INT8", "intVal": [1] * 7}, "that fits its 7 values"),
    "a number in a list": ({"dtype": "DT_INT8", "intVal": 1}, "t.intVal must be a list"),
    "a list": ([], "t must be an object, not a list"),
    "one for a billion": (
        {"dtype": "DT_INT8", "intVal": [1], "tensorShape": {"dim": [{"size": "1000000000"}]}},
        "too many values for its size",
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_tensor_is_refused(odd):
    tensor, reason = ODD[odd]
    tensor = {"tensorShape": SIX} | tensor if isinstance(tensor, dict) else tensor
    with pytest.raises(InvalidInput, match=reason):
        answer_of_tensor("t", tensor)


def test_more_values_than_a_body_may_have_are_refused():
    content = base64.b64encode(bytes(10**6)).decode()
    tensor = {"dtype": "DT_INT8", "tensorContent": content}
    with pytest.raises(InvalidInput, match="too many values for its size"):
        answer_of_tensor("t", tensor)


# --- as an event --------------------------------------------------------------------------


def test_a_tensor_is_an_answer_and_a_truth(client, outputs):
    probabilities = {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "2"}, {"size": "3"}]},
        "tensor_content": base64.b64encode(struct.pack("<6f", 0, 0.25, 0.75, 1, 0, 0)).decode(),
    }
    classes = {"dtype": 9, "tensorShape": {"dim": [{"size": 2}, {"size": 1}]}, "int64Val": ["2"]}
    assert (
        send(client, {"data": {"tftensor": probabilities}}, "1", type=RESPONSE).status_code == 204
    )
    assert send(client, {"truth": {"data": {"tftensor": classes}}}, "2").status_code == 200

    assert [output[0] for output in outputs()] == ["CLASS_2", "CLASS_0"]
    (bucket,) = client.get("/api/v1/metrics/classification", query_string=NATIVE).json["buckets"]
    assert (bucket["n"], bucket["accuracy"]) == (2, 0.5)
