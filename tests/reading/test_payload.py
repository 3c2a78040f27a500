from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affekt.concepts.concept import emotions
from affekt.reading.axes import valence
from affekt.reading.payload import embedded, packed, payload, percentile
from tests.reading.readings import CHAT, chat, made


def unpacked(text: str, columns: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, columns) / 100


def test_packed_numbers_keep_two_decimals_and_stop_where_two_bytes_end():
    z = np.array([[1.234, -5.678], [291.0, -99999.0]], np.float32)
    np.testing.assert_allclose(unpacked(packed(z), 2), [[1.23, -5.68], [291, -327.67]])


def test_a_payload_is_the_reading_in_json():
    data = json.loads(json.dumps(payload(chat())))
    assert data["tokens"][2:5] == ["↵", "I", " am"]
    assert data["roles"][3] == "user" and data["concepts"] == list(chat().concepts)
    np.testing.assert_allclose(unpacked(data["z"], 3), chat().z, atol=0.006)
    assert data["axes"] == {}, "three concepts are too few for an axis"


def test_derived_axes_are_columns_with_their_interval():
    names = tuple(concept.name for concept in emotions())
    reading = made(CHAT, np.random.default_rng(0).normal(size=(len(CHAT), len(names))), names)
    data = payload(reading)
    assert data["concepts"][-2:] == ["valence (axis)", "arousal (axis)"]
    trace = valence(reading)
    np.testing.assert_allclose(unpacked(data["z"], 173)[:, 171], trace.values, atol=0.006)
    axis = data["axes"]["valence (axis)"]
    assert axis["n"] == 45
    np.testing.assert_allclose(unpacked(axis["low"], 1)[:, 0], trace.low, atol=0.006)
    np.testing.assert_allclose(unpacked(axis["high"], 1)[:, 0], trace.high, atol=0.006)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_embedded_json_is_the_same_data_and_cannot_end_its_element(data):
    line = embedded(data)
    assert json.loads(line) == data
    assert not set("<>&") & set(line) and line.isascii()


def test_the_percentile_leaves_the_first_token_and_scaffolding_out():
    z = np.ones((len(CHAT), 3))
    z[:3] = 300
    assert percentile([made(CHAT, z)]) == pytest.approx(1)
    assert percentile([chat().where("tool")]) == 0
