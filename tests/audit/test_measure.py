"""One pass over a prompt and its reply gives what collecting each of them apart gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from affekt.audit.keep import Keep, Seen
from affekt.audit.measure import Asked, Writing, ends, ends_and_replies, replies
from affekt.audit.prompts import Form, chat, plain
from affekt.audit.subject import Subject
from affekt.engines import Engine, Reply, Request, Sampling
from affekt.engines.transformers import TransformersEngine
from affekt.models.prompt import Encoded
from affekt.vectors.collect import prompt_end
from tests.models import TEMPLATE, tiny

SYSTEM = "{{ bos_token }}<|im_start|>system\nBe calm, brief and at ease. Answer what is asked.<|im_end|>\n"
TEXTS = (
    "Who was angry?",
    "What is the river, where does it go, and who has been at it in the morning and at night?",
    "Why?",
    "Is the garden calm in the morning?",
    "When does the train come, and does it come before the night?",
)
LAYERS = (1, 2)
WRITING = Writing(tokens=6)


def subject(**options: int) -> Subject:
    """A tiny model whose template begins with a turn of its own."""
    model = tiny("llama", template=SYSTEM + TEMPLATE.removeprefix("{{ bos_token }}"))
    one = TransformersEngine(model, **options)  # type: ignore[arg-type]
    return Subject(lambda: one, model.identity, True)


def apart(engine: Engine, form: Form, writing: Writing) -> tuple[Tensor, Tensor, list[str]]:
    """Ends, means over replies and the replies: one after another, each collected by itself."""
    found: list[Tensor] = []
    means, texts = [], []
    for place, text in enumerate(TEXTS):
        source = plain(text) if form == "plain" else chat(text)
        sampling = Sampling(
            writing.tokens,
            writing.temperature,
            seed=writing.seed * 100_003 + place,
            stop=("\nHuman:",) if form == "plain" else (),
        )
        [reply] = [one for one in engine.generate([Request(source, sampling)]) if isinstance(one, Reply)]
        start = reply.prompt_tokens

        def said(whole: Encoded, start: int = start) -> Sequence[int]:
            return range(start, len(whole))

        [end] = engine.collect([source], LAYERS, prompt_end)
        [mean] = engine.collect([reply.whole], LAYERS, said)
        found.append(end.values[:, 0])
        means.append(mean.values[:, 0])
        texts.append(reply.text)
    return torch.stack(found), torch.stack(means), texts


@pytest.mark.parametrize("form", ["plain", "chat"])
@pytest.mark.parametrize("rows", [2, 48])
def test_one_pass_gives_what_two_give(form: Form, rows: int) -> None:
    one = subject(batch_size=rows)
    expected, means, texts = apart(one.engine, form, WRITING)
    end, reply = ends_and_replies(one, Asked(TEXTS, form, LAYERS), WRITING, Keep())
    assert reply.replies == tuple(texts)
    torch.testing.assert_close(end.residuals, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(reply.residuals, means, atol=1e-4, rtol=1e-4)
    alone = ends(one, Asked(TEXTS, form, LAYERS), Keep())
    torch.testing.assert_close(end.residuals, alone.residuals, atol=1e-4, rtol=1e-4)
    # Residuals of neighbouring tokens are far apart beside that tolerance, and so are those of two prompts.
    assert (end.residuals - means).abs().max() > 0.05
    assert (end.residuals - end.residuals.roll(1, 0)).abs().amax(dim=(1, 2)).min() > 0.05


def test_a_reply_that_is_only_its_end_has_no_reading() -> None:
    one = subject()
    network = one.engine.model.network  # type: ignore[attr-defined]
    network.generation_config.eos_token_id = list(range(network.config.vocab_size))
    mute = replace(one, run=lambda: TransformersEngine(one.engine.model))  # type: ignore[attr-defined]
    end, reply = ends_and_replies(mute, Asked(TEXTS, "chat", LAYERS), WRITING, Keep())
    assert reply.replies == ("",) * len(TEXTS) and reply.residuals.isnan().all()
    assert end.residuals.isfinite().all()


def test_what_one_pass_gave_is_kept_for_either(tmp_path: Path) -> None:
    keep, asked = Keep(tmp_path), Asked(TEXTS, "chat", LAYERS)
    end, reply = ends_and_replies(subject(), asked, WRITING, keep)

    def closed() -> Engine:
        raise AssertionError("what is kept needs no engine")

    shut = Subject(closed, subject().identity, True)
    assert torch.equal(ends(shut, asked, keep).residuals, end.residuals)
    assert torch.equal(replies(shut, asked, WRITING, keep).residuals, reply.residuals)
    again = ends_and_replies(shut, asked, WRITING, keep)
    assert torch.equal(again[0].residuals, end.residuals) and again[1].replies == reply.replies


def test_what_is_kept_is_of_one_version_and_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, one, calls = Keep(tmp_path), subject(), []

    def measure(value: float) -> Callable[[], Seen]:
        def run() -> Seen:
            calls.append(value)
            return Seen(torch.full((1, 1, 1), value))

        return run

    assert keep(one, {}, measure(1.0)).residuals.item() == keep(one, {}, measure(2.0)).residuals.item() == 1.0
    assert keep(replace(one, device="cuda"), {}, measure(3.0)).residuals.item() == 3.0
    assert Keep(tmp_path, fresh=True)(one, {}, measure(4.0)).residuals.item() == 4.0
    assert keep(one, {}, measure(5.0)).residuals.item() == 4.0, "what is measured afresh is kept"
    monkeypatch.setattr("affekt.audit.keep.version", lambda name: f"{name} of later")
    assert keep(one, {}, measure(6.0)).residuals.item() == 6.0
    monkeypatch.setattr("affekt.audit.keep.__version__", "of later")
    assert keep(one, {}, measure(7.0)).residuals.item() == 7.0
    assert calls == [1.0, 3.0, 4.0, 6.0, 7.0]


def test_a_model_is_opened_when_it_is_asked_and_once() -> None:
    opened: list[int] = []
    base = subject()

    def run() -> Engine:
        opened.append(1)
        return base.engine

    one = Subject(run, base.identity, True)
    assert not opened
    for form in ("plain", "chat"):
        ends(one, Asked(TEXTS[:2], form, LAYERS), Keep())  # type: ignore[arg-type]
    assert len(opened) == 1
