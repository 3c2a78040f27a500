"""What stands behind --bias and --layers."""

import pytest
import typer

from affekt.cli.extract import layer_numbers
from affekt.cli.options import bias_of, chat_of, options_of
from affekt.errors import BiasError, ModelError, PromptError


def test_pairs_become_a_bias() -> None:
    assert bias_of(["calm=0.5", "at ease=-0.25"]) == {"calm": 0.5, "at ease": -0.25}
    assert bias_of(["calm=0.1"], raw=True) == {"calm": {"dose": 0.1}}
    assert bias_of(None) == {}


@pytest.mark.parametrize("pair", ["calm", "=0.5", "calm=", "calm=warm", "calm=0.5=x"])
def test_a_pair_that_is_none_is_refused_with_the_form(pair: str) -> None:
    with pytest.raises(BiasError, match="CONCEPT=NUMBER"):
        bias_of([pair])


def test_a_concept_twice_is_refused() -> None:
    with pytest.raises(BiasError, match="'calm' twice"):
        bias_of(["calm=0.5", "calm=0.1"])


def test_options_of_an_engine_are_json_or_text() -> None:
    given = [
        "context=8192",
        "gpu-memory-utilization=0.5",
        "sibling=true",
        "quantization=awq",
        "channel=tcp://a:1=2",
    ]
    assert options_of(given) == {
        "context": 8192,
        "gpu_memory_utilization": 0.5,
        "sibling": True,
        "quantization": "awq",
        "channel": "tcp://a:1=2",
    }
    assert options_of(None) == {}


@pytest.mark.parametrize("pair", ["context", "=1", "context=", "a b=1"])
def test_an_option_that_is_none_is_refused_with_the_form(pair: str) -> None:
    with pytest.raises(ModelError, match="KEY=VALUE"):
        options_of([pair])


def test_an_option_twice_is_refused() -> None:
    with pytest.raises(ModelError, match="'context' twice"):
        options_of(["context=1", "context=2"])


def test_a_chat_has_something_to_reply_to() -> None:
    assert [turn["role"] for turn in chat_of("Hi", "Be kind.")] == ["system", "user"]
    assert chat_of("Hi", None) == [{"role": "user", "content": "Hi"}]
    with pytest.raises(PromptError, match="the prompt is empty"):
        chat_of(" ", "Be kind.")


def test_layers_by_number_and_range() -> None:
    assert layer_numbers("12-14,20") == [12, 13, 14, 20]
    assert layer_numbers(None) is None


@pytest.mark.parametrize("asked", ["a", "12-", "-3", "1,,2"])
def test_layers_that_are_none(asked: str) -> None:
    with pytest.raises(typer.BadParameter, match="not a layer"):
        layer_numbers(asked)
