"""A body of vLLM's own server with Affekt's fields, as vLLM takes it; and what was read, as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affekt.engines.transformers.probe import Probe
from affekt.engines.vllm.late import late_order, salted
from affekt.engines.vllm.listening import Heard
from affekt.engines.vllm.order import FIELD
from affekt.errors import AffektError, PromptError
from affekt.models.fingerprint import file_sha256
from affekt.server.emotions_asked import Asked, asked
from affekt.vectors.conceptvectors import ConceptVectors
from affekt.vectors.readout import POSITIONS

__all__ = ["Desk", "Watched", "failure"]


@dataclass(eq=False)
class Watched:
    """A request some of whose tokens are read."""

    key: str
    """Its name on the channel."""
    asked: Asked
    """What of the readings is told."""
    kind: int
    """Which of the read-out's positions its reply is read at."""
    strips: bool
    """Whether the client did not ask for token ids, so that they are taken out again."""


class Desk:
    """What the middleware reads bodies with: the vectors that the workers hold."""

    def __init__(self, vectors: Path) -> None:
        self._vectors = ConceptVectors.load(vectors)
        self._hash = file_sha256(vectors)
        self._probe: Probe | None = None

    def prepared(self, body: Mapping[str, Any], chat: bool) -> tuple[dict[str, Any], Watched | None]:
        """The body as vLLM takes it, and what is to be told of the reply.

        Raises:
            AffektError: for fields that cannot be meant, or that this way does not offer.
        """
        told = dict(body)
        spec, wanted = told.pop("emotion_bias", None), told.pop("emotions", None)
        xargs = told.get("vllm_xargs") or {}
        if isinstance(xargs, Mapping) and FIELD in xargs:
            raise PromptError(f"vllm_xargs.{FIELD} is set by Affekt; give emotion_bias and emotions instead")
        if not isinstance(wanted, list | str | None) or (isinstance(wanted, str) and wanted != "all"):
            raise PromptError("emotions: give a list of names, or 'all'")
        wish = asked(wanted, self._vectors.names)
        if wish is not None and (told.get("n") or 1) != 1:
            raise PromptError("emotions are read of one reply; leave out n, or ask again")
        if wish is not None and not chat and not isinstance(told.get("prompt"), str):
            raise PromptError("emotions are read of one prompt; give it as a text")
        order = late_order(self._vectors, spec, wish is not None, chat)
        if order is None:
            return told, None
        if told.get("use_beam_search"):
            raise PromptError(
                "use_beam_search: vLLM's beam search drops what steers and reads a request; leave it out, "
                "and ask for several replies with n and a temperature"
            )
        told["vllm_xargs"] = {**xargs, FIELD: order.to_json()}
        salt = salted(order, self._hash, told.get("cache_salt") or "")
        if salt is not None:
            told["cache_salt"] = salt
        if wish is None:
            return told, None
        strips = not told.get("return_token_ids")
        told["return_token_ids"] = True
        return told, Watched(order.key, wish, POSITIONS.index("reply" if chat else "text"), strips)

    def told(self, watched: Watched, heard: Heard, prompt: int, first: int, end: int) -> list[dict[str, Any]]:
        """The numbers of a reply's tokens from `first` to `end`, each with its index; one whose reading is
        not there has no entry."""
        found = []
        for index in range(first, end):
            scalars = heard.readings.get(prompt + index)
            if scalars is not None:
                z = self._read_out().z(scalars, watched.kind)
                found.append({"index": index, "z": watched.asked.told(z[self._columns(watched)])})
        return found

    def _read_out(self) -> Probe:
        if self._probe is None:
            import torch

            self._probe = Probe(self._vectors.readout(), self._vectors.names, torch.device("cpu"))
        return self._probe

    def _columns(self, watched: Watched) -> list[int]:
        return [self._vectors.index(name) for name in watched.asked.read]


def failure(error: AffektError) -> dict[str, Any]:
    """An error in the shape of the OpenAI API."""
    return {"error": {"message": str(error), "type": "invalid_request_error", "param": None, "code": 400}}
