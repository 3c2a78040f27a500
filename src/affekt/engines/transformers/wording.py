"""The text of a reply as its tokens come: whole characters only, nothing of a stop string."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tokenizers.decoders import DecodeStream
from transformers import PreTrainedTokenizerBase

__all__ = ["Wording"]

TAIL = 8
"""Tokens of a prompt that the first ones of its continuation are decoded with."""


class Wording:
    """Token ids on one side, text on the other.

    `text[: ends[i]]` is what tokens 0 to i say. A token that ends within a character adds nothing; the one
    that completes the character adds all of it."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        stops: Collection[str] = (),
        before: Sequence[int] = (),
    ) -> None:
        """Starts an empty text.

        Args:
            tokenizer: a fast one.
            stops: strings that end the text.
            before: the prompt, where a plain text goes on; some decoders treat a text's first word apart.
        """
        self._backend = tokenizer.backend_tokenizer
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=0)
        self._before = list(before[-TAIL:])
        self._ids: list[int] = []
        self._open = False
        self._stream = self._fresh()
        self.text = ""
        self.ends: list[int] = []
        self.cut: int | None = None
        """Where a stop string begins; None while there is none."""

    def add(self, id: int) -> bool:
        """Takes one more token; returns whether a stop string is complete."""
        known = len(self.text)
        self._ids.append(id)
        piece = self._piece(id)
        self._open = not piece
        self.text += piece
        self.ends.append(len(self.text))
        if self._stops and piece:
            start = max(0, known - self._longest + 1)
            found = [at for stop in self._stops if (at := self.text.find(stop, start)) >= 0]
            self.cut = min(found, default=None)
        return self.cut is not None

    def end(self, silent: bool = False) -> None:
        """No token comes after: an unfinished character is shown as it is.

        Args:
            silent: the last id is one more token, that of the end, and says nothing.
        """
        if silent:
            self.ends.append(len(self.text))
        if self._open and self.ends:
            self.text += self._rest()
            self.ends[-1] = len(self.text)
            self._open = False

    def back(self, tokens: int) -> None:
        """Takes the last tokens away."""
        kept = self._ids[: len(self.ends) - tokens]
        self._ids, self._open, self.text, self.ends, self.cut = [], False, "", [], None
        self._stream = self._fresh()
        for id in kept:
            self.add(id)

    def piece(self, index: int) -> str:
        """What a token adds to the shown text."""
        last = len(self.text) if self.cut is None else self.cut
        start = self.ends[index - 1] if index else 0
        return self.text[min(start, last) : min(self.ends[index], last)]

    def shown(self, tokens: int) -> str:
        """What the first `tokens` tokens say."""
        last = self.ends[tokens - 1] if tokens else 0
        return self.text[: last if self.cut is None else min(last, self.cut)]

    @property
    def settled(self) -> int:
        """How many of the tokens can be in no stop string still to be completed."""
        if not self._stops or self.cut is not None:
            return len(self.ends)
        held = next(
            (
                n
                for n in range(min(self._longest - 1, len(self.text)), 0, -1)
                if any(stop.startswith(self.text[-n:]) for stop in self._stops)
            ),
            0,
        )
        safe = len(self.text) - held
        settled = len(self.ends)
        while held and settled and self.ends[settled - 1] > safe:
            settled -= 1
        return settled

    def _piece(self, id: int) -> str:
        try:
            return self._stream.step(self._backend, id) or ""
        except Exception:  # the decoder rewrote what it had said; go by the whole text from here on
            self._stream = self._fresh(self._ids)
            rest = self._rest()
            return "" if rest.endswith("\ufffd") else rest

    def _rest(self) -> str:
        """What decoding everything says beyond the text so far."""
        start = self._backend.decode(self._before) if self._before else ""
        whole = self._backend.decode(self._before + self._ids)
        return str(whole[len(start) + len(self.text) :])

    def _fresh(self, ids: Sequence[int] = ()) -> DecodeStream:
        return DecodeStream(ids=[*self._before, *ids], skip_special_tokens=True)
