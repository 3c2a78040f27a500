"""Errors: one line, the nearest right thing, and the built-in error they stand for."""

from __future__ import annotations

import inspect

import pytest

from affekt import errors


def test_an_unknown_concept_is_a_key_error_whose_text_is_not_quoted_twice() -> None:
    with pytest.raises(KeyError) as caught:
        raise errors.UnknownConcept("desparate", ["desperate", "calm"])
    assert str(caught.value) == "unknown concept 'desparate'; did you mean 'desperate'?"


def test_closest_is_silent_where_nothing_is_near() -> None:
    assert errors.closest("xyzzy", ["calm", "sad"]) == ""
    assert errors.closest("Clam", ["calm"]) == "; did you mean 'calm'?"
    assert errors.closest("at_ease", ["at ease", "uneasy"]) == "; did you mean 'at ease'?"


def test_each_error_has_an_exit_code_and_a_built_in_parent() -> None:
    named = [getattr(errors, name) for name in errors.__all__ if name != "closest"]
    assert all(inspect.isclass(each) for each in named)
    kinds = [each for each in named if each is not errors.AffektError]
    assert all(issubclass(each, errors.AffektError) and each.exit_code > 1 for each in kinds)
    assert all(issubclass(each, KeyError | ValueError | OSError) for each in kinds)
    codes = {each.exit_code for each in kinds}
    assert len(codes) == len(kinds) - 1, "SelfCheckError shares the code of ModelError; no others share one"
