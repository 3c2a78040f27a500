from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affekt.errors import BiasError, UnknownConcept
from affekt.steering import AffektWarning, Bias, Ramp, Where, parse
from affekt.steering.bias import MAX_TERMS
from tests.steering.vectors import LAYERS, NAMES, made

VECTORS = made()


def test_the_short_form_is_a_dial():
    bias = parse({"calm": 0.5, "desperate": -1}, VECTORS)
    calm, desperate = bias.terms
    assert (calm.concept, calm.mode, calm.layers, calm.share) == ("calm", "add", LAYERS, True)
    assert calm.dose == pytest.approx(0.5 * 0.4) and desperate.dose == pytest.approx(-0.2)
    assert calm.where == Where() and calm.ramp is None


def test_the_full_form():
    spec = {
        "calm": {"dose": 0.1, "layers": "1-2", "share": False, "where": "reply", "ramp": {"over": 4}},
        "angry": {"mode": "clamp", "high": 1.5, "layers": 2, "where": {"role": "user"}},
        "furious": {"mode": "set", "value": -1, "layers": [2, 1], "where": {"span": [0, 4]}},
        "proud": {
            "mode": "ablate",
            "where": {"first": 3, "of": "reply"},
            "ramp": {"over": 2, "from": 1, "to": 0},
        },
        "desperate": {"mode": "clamp", "low": -1, "high": 0, "where": {"after": "</think>"}},
    }
    terms = {term.concept: term for term in parse(spec, VECTORS).terms}
    assert (terms["calm"].dose, terms["calm"].share, terms["calm"].where) == (0.1, False, Where("reply"))
    assert terms["calm"].ramp == Ramp(4, 0.0, 1.0)
    assert (terms["angry"].low, terms["angry"].high, terms["angry"].layers) == (-math.inf, 1.5, (2,))
    assert terms["angry"].where == Where("role", "user")
    assert (terms["furious"].value, terms["furious"].layers) == (-1.0, (1, 2))
    assert terms["furious"].where == Where("span", (0, 4))
    assert terms["proud"].where == Where("first", 3, "reply") and terms["proud"].ramp == Ramp(2, 1.0, 0.0)
    assert (terms["desperate"].low, terms["desperate"].high) == (-1.0, 0.0)
    assert terms["desperate"].where == Where("after", "</think>")


def test_a_concept_may_have_several_forms():
    spec = {"angry": [{"dose": 0.1, "where": "prompt"}, {"mode": "set", "value": 0, "where": "reply"}]}
    assert sorted(term.mode for term in parse(spec, VECTORS).terms) == ["add", "set"]
    assert parse({"angry": [{"dose": 0.1}, {"mode": "clamp", "high": 1}]}, VECTORS).terms


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ([("calm", 1)], "expected a mapping"),
        ({1: 0.5}, "name as key, not 1"),
        ({"calm": "0.5"}, "emotion_bias.calm: expected a number, not '0.5'"),
        ({"calm": True}, "expected a number, not True"),
        ({"calm": None}, "expected a number, not None"),
        ({"calm": math.nan}, "expected a finite number, not nan"),
        ({"calm": -math.inf}, "expected a finite number"),
        ({"calm": 10**400}, "expected a finite number"),
        ({"calm": []}, "empty list"),
        ({"calm": {}}, "either 'dial'"),
        ({"calm": {"dial": 0.1, "dose": 0.1}}, "either 'dial'"),
        ({"calm": {"dial": 0.1, "laers": 1}}, "unknown 'laers'; did you mean 'layers'"),
        ({"calm": {"dose": 0.1, 3: 1}}, "emotion_bias.calm: key"),
        ({"calm": {"mode": "ablat"}}, "emotion_bias.calm.mode: unknown 'ablat'; did you mean 'ablate'"),
        ({"calm": {"mode": "shout"}}, "known: add, ablate, clamp, set"),
        ({"calm": {"mode": ["add"]}}, "calm.mode: expected one of"),
        ({"calm": {"low": 1}}, "emotion_bias.calm.low: belongs to mode 'clamp', not to 'add'"),
        ({"calm": {"mode": "ablate", "dose": 1}}, "belongs to mode 'add', not to 'ablate'"),
        ({"calm": {"mode": "set", "value": 1, "share": True}}, "share: belongs to mode 'add'"),
        ({"calm": {"mode": "set"}}, "'set' needs 'value'"),
        ({"calm": {"mode": "set", "value": 1e5}}, "outside -100 to 100"),
        ({"calm": {"mode": "clamp"}}, "'clamp' needs 'low', 'high' or both"),
        ({"calm": {"mode": "clamp", "low": 2, "high": 1}}, "low 2 is above high 1"),
        ({"calm": {"mode": "clamp", "low": math.nan}}, "emotion_bias.calm.low: expected a finite number"),
        ({"calm": {"dose": 11}}, "emotion_bias.calm.dose: 11 is outside -10 to 10"),
        ({"calm": {"dose": 0.1, "share": 1}}, "share: expected true or false"),
        ({"angry": 0.5}, "not calibrated"),
        ({"proud": 0.5}, "not calibrated"),
        ({"calm": {"dose": 0.1, "layers": 7}}, "hold no layer 7, only 1-2; the nearest is 2"),
        ({"calm": {"dose": 0.1, "layers": -1}}, "layers: -1 is less than 0"),
        ({"calm": {"dose": 0.1, "layers": True}}, "expected a whole number"),
        ({"calm": {"dose": 0.1, "layers": 1.5}}, "expected a whole number"),
        ({"calm": {"dose": 0.1, "layers": []}}, "no layer given"),
        ({"calm": {"dose": 0.1, "layers": [1, 1]}}, "twice"),
        ({"calm": {"dose": 0.1, "layers": "2-1"}}, "did you mean '1-2'"),
        ({"calm": {"dose": 0.1, "layers": "middle"}}, "expected a range such as '12-16'"),
        (
            {"calm": {"dose": 0.1, "where": "rply"}},
            "emotion_bias.calm.where: unknown 'rply'; did you mean 'reply'",
        ),
        ({"calm": {"dose": 0.1, "where": "role"}}, "'role' needs a value"),
        ({"calm": {"dose": 0.1, "where": 3}}, "or a mapping, not 3"),
        ({"calm": {"dose": 0.1, "where": {}}}, "exactly one of"),
        ({"calm": {"dose": 0.1, "where": {"role": "user", "last": 2}}}, "exactly one of"),
        ({"calm": {"dose": 0.1, "where": {"role": "usr"}}}, "where.role: unknown 'usr'; did you mean 'user'"),
        ({"calm": {"dose": 0.1, "where": {"roles": "user"}}}, "did you mean 'role'"),
        ({"calm": {"dose": 0.1, "where": {"span": [3, 3]}}}, "holds no character"),
        ({"calm": {"dose": 0.1, "where": {"span": "ab"}}}, "expected [start, end]"),
        ({"calm": {"dose": 0.1, "where": {"span": [0, 1.5]}}}, "where.span[1]: expected a whole number"),
        ({"calm": {"dose": 0.1, "where": {"first": 0}}}, "0 is less than 1"),
        ({"calm": {"dose": 0.1, "where": {"last": 2, "of": "reply"}}}, "'first' only"),
        ({"calm": {"dose": 0.1, "where": {"after": ""}}}, "expected the marker's text"),
        ({"calm": {"dose": 0.1, "ramp": 4}}, "expected {'over'"),
        ({"calm": {"dose": 0.1, "ramp": {"from": 0}}}, "'over' is missing"),
        ({"calm": {"dose": 0.1, "ramp": {"over": 0}}}, "ramp.over: 0 is less than 1"),
        ({"calm": {"dose": 0.1, "ramp": {"over": 3, "to": 2}}}, "ramp.to: 2 is outside 0 to 1"),
        ({"calm": [{"mode": "ablate"}, {"mode": "set", "value": 1}]}, "contradict each other at layer 1"),
        ({"calm": [{"mode": "clamp", "low": 1}, {"mode": "clamp", "high": 0}]}, "'clamp' and 'clamp'"),
        ({"calm": [{"dose": 0.1}, {"mode": "ablate"}]}, "'ablate' and 'add' contradict"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_names_it(spec, said):
    with pytest.raises(BiasError) as error:
        parse(spec, VECTORS)
    assert said in str(error.value)


def test_unknown_concepts_are_named_with_the_nearest():
    with pytest.raises(UnknownConcept, match="did you mean 'desperate'"):
        parse({"desparate": 0.5}, VECTORS)


def test_500_concepts_are_refused_before_anything_is_looked_up():
    with pytest.raises(BiasError, match=f"500 concepts; at most {MAX_TERMS}"):
        parse({f"c{i}": 0.1 for i in range(500)}, VECTORS)
    with pytest.raises(BiasError, match=f"at most {MAX_TERMS}"):
        parse({"calm": [{"dose": 0.01}] * 500}, VECTORS)


def test_beyond_the_dial_warns_and_within_does_not():
    with pytest.warns(AffektWarning, match=r"calm: 1.5 is beyond|calm.dial: 1.5 is beyond"):
        assert parse({"calm": 1.5}, VECTORS).terms[0].dose == pytest.approx(0.6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse({"calm": 1.0, "desperate": -1.0, "angry": {"dose": 2.0}}, VECTORS)
    with pytest.raises(BiasError, match="outside -10 to 10"), pytest.warns(AffektWarning):
        parse({"calm": 1e6}, VECTORS)


def test_contradictions_are_allowed_apart_in_layer_or_place():
    apart = [{"mode": "ablate", "layers": 1}, {"mode": "set", "value": 1, "layers": 2}]
    assert len(parse({"calm": apart}, VECTORS).terms) == 2
    for one, other in (
        ("prompt", "reply"),
        ({"role": "user"}, "reply"),
        ({"role": "user"}, {"role": "system"}),
    ):
        forms = [{"mode": "ablate", "where": one}, {"mode": "set", "value": 1, "where": other}]
        assert len(parse({"calm": forms}, VECTORS).terms) == 2


def test_zero_biases():
    for spec in ({}, {"calm": 0}, {"calm": -0.0, "angry": 0.0}, {"calm": {"dose": 0, "layers": 1}}):
        assert parse(spec, VECTORS).is_zero
        assert parse(spec, VECTORS).key() == Bias().key()
    idle = {"calm": {"mode": "ablate", "ramp": {"over": 1, "from": 0, "to": 0}}}
    assert parse(idle, VECTORS).is_zero
    assert not parse({"calm": {"mode": "ablate"}}, VECTORS).is_zero


@given(st.permutations(NAMES), st.floats(-0.9, 0.9))
def test_the_order_of_concepts_changes_nothing(names, dial):
    spec = {name: {"dose": dial} for name in NAMES}
    bias = parse({name: spec[name] for name in names}, VECTORS)
    assert bias == parse(spec, VECTORS) and bias.key() == parse(spec, VECTORS).key()


def test_keys_tell_different_biases_apart():
    specs = [
        {"calm": 0.5},
        {"calm": 0.25},
        {"desperate": 0.5},
        {"calm": {"dial": 0.5, "layers": 1}},
        {"calm": {"dial": 0.5, "share": False}},
        {"calm": {"dial": 0.5, "where": "reply"}},
        {"calm": {"dial": 0.5, "where": {"first": 2}}},
        {"calm": {"dial": 0.5, "where": {"first": 2, "of": "reply"}}},
        {"calm": {"dial": 0.5, "ramp": {"over": 2}}},
        {"calm": {"mode": "ablate"}},
        {"calm": {"mode": "set", "value": 0}},
    ]
    assert len({parse(spec, VECTORS).key() for spec in specs}) == len(specs)
    assert (
        parse({"calm": {"dose": VECTORS.doses[0].item()}}, VECTORS).key() == parse({"calm": 1}, VECTORS).key()
    )


def test_numbers_of_numpy_are_numbers():
    assert parse({"calm": np.float32(0.5)}, VECTORS).terms[0].dose == pytest.approx(0.2)


def test_a_bias_can_be_written_down():
    spec = {"calm": {"mode": "clamp", "high": 1, "where": {"span": [0, 4]}, "ramp": {"over": 2}}}
    written = json.loads(json.dumps(parse(spec, VECTORS).to_dict(), allow_nan=False))
    assert written["terms"][0]["low"] is None and written["terms"][0]["high"] == 1.0


def test_the_stronger_of_two_biases_wins_only_where_they_contradict():
    request = parse({"angry": {"mode": "set", "value": 2}, "calm": 0.5, "furious": {"dose": 0.1}}, VECTORS)
    guard = parse({"angry": {"mode": "clamp", "high": 0}, "furious": {"mode": "clamp", "high": 0}}, VECTORS)
    both = request.under(guard)
    assert sorted((term.concept, term.mode) for term in both.terms) == [
        ("angry", "clamp"),
        ("calm", "add"),
        ("furious", "add"),
        ("furious", "clamp"),
    ]
    assert request.under(Bias()) == request and Bias().under(guard) == guard
