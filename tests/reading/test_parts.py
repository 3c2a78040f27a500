from __future__ import annotations

import numpy as np

from affekt.reading.parts import parts
from tests.reading.readings import CHAT, chat, made


def test_parts_are_the_speakers_and_the_prompt_end():
    found = {part.role: part for part in parts(chat())}
    assert list(found) == ["user", "assistant", "prompt end"]
    assert [part.mean.n for part in found.values()] == [4, 4, 1]
    np.testing.assert_allclose(found["assistant"].mean.z, chat().z[10:].mean(axis=0), rtol=1e-6)
    assert found["assistant"].reading.tokens[found["assistant"].peak.tokens[0]] == "."


def test_the_first_token_of_a_text_is_in_no_part():
    z = np.ones((3, 3))
    z[0] = 300
    (part,) = parts(made([("So", "text"), (" it", "text"), (" goes", "text")], z))
    assert part.role == "text" and part.mean.n == 2
    np.testing.assert_array_equal(part.mean.z, 1)


def test_scaffolding_alone_has_no_parts():
    assert parts(made(CHAT[:3])) == []
