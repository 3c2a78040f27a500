"""One reply being written: its tokens, what has been read of them, what has been shown, why it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from affekt.engines.desk import Desk
from affekt.engines.engine import BiasLike, FinishReason, Reply
from affekt.engines.token import Token, TopToken
from affekt.engines.transformers.entry import Entry
from affekt.engines.transformers.ready import parsed, program_of
from affekt.engines.transformers.reply import reply
from affekt.engines.transformers.sample import Chooser
from affekt.engines.transformers.trail import Trail
from affekt.engines.transformers.wording import Wording
from affekt.engines.watch import Directive, WatchRow
from affekt.errors import AffektError
from affekt.models.prompt import Role
from affekt.steering.program import Program
from affekt.steering.schedule import reply_role
from affekt.vectors.readout import POSITIONS, position_of

__all__ = ["Row"]


class Row:
    """A row of a batch.

    The reading at a token is known once the token's own forward has run, the one that gives the next token.
    So a row that is read or guarded shows each token one forward later than one that is not, and its last
    token takes a forward by itself."""

    def __init__(self, core: Desk, entry: Entry, choice: int) -> None:
        self._core, self.entry, self.choice = core, entry, choice
        sampling, guard, prompt = entry.request.sampling, entry.request.guard, entry.prompt
        self.chooser = Chooser(sampling, choice)
        self.trail = Trail(entry.rewind) if entry.rewind and core.linear else None
        self._watch = guard.watch(entry.id, choice, core.required("a guard").names) if guard else None
        self._role: Role = reply_role(prompt)
        goes_on = prompt.ids if self._role == "text" else ()
        self._wording = Wording(core.model.tokenizer, sampling.stop, goes_on)
        self.ids: list[int] = []
        self.scalars: list[Float[np.ndarray, " scalars"]] = []
        self.prompt_scalars: Float[np.ndarray, "tokens scalars"] | None = None
        self.logprobs: list[float] = []
        self._tops: list[tuple[TopToken, ...]] = []
        self._residuals: list[Float[Tensor, "layers d_model"]] = []
        self._shown = 0
        self._bias = entry.bias
        self._base = entry.program
        self._heard: list[tuple[int, Program]] = []
        self._columns = None if entry.columns is None else np.array(entry.columns, dtype=int)
        self.final: FinishReason | None = None
        """Why no token comes after the latest; None while one does."""
        self.over = False
        """Whether it leaves the batch: nothing of it is to be read or written any more."""
        self.again = False
        """Whether its next forward runs a token that has been read already."""
        self.flagged = False
        self._replacement: str | None = None

    @property
    def reads(self) -> bool:
        """Whether its latest token takes a forward of its own, to be read or kept, when nothing follows."""
        return self.entry.probe is not None or bool(self.entry.request.residuals)

    @property
    def consumed(self) -> int:
        """Tokens of prompt and reply whose forward has run, once the latest one's has."""
        return len(self.entry.prompt) + len(self.ids)

    @property
    def latest(self) -> int:
        """The token that its next forward takes."""
        return self.ids[-1] if self.ids else self.entry.prompt.ids[-1]

    @property
    def program(self) -> Program | None:
        """What steers it now."""
        return self._heard[-1][1] if self._heard else self._base

    @property
    def bans(self) -> bool:
        """Whether it may not end yet."""
        return len(self.ids) < self.entry.request.sampling.min_tokens

    def keep(self, residuals: Mapping[int, Float[Tensor, " d_model"]]) -> None:
        """Takes the residuals of its latest token, or of the prompt's last one, as far as they are wanted."""
        if self.entry.request.residuals:
            own = [residuals[layer] for layer in self.entry.request.residuals]
            self._residuals.append(torch.stack(own))

    def look(self, scalars: Float[np.ndarray, " scalars"]) -> Directive | None:
        """Takes the reading of its latest token, or of the prompt's last one, and asks the guard."""
        if self.ids:
            self.scalars.append(scalars)
        if self._watch is None:
            return None
        state = WatchRow(
            request=self.entry.id,
            choice=self.choice,
            prompt=self.entry.prompt,
            concepts=self._core.required("a guard").names,
            z=self._z(scalars, len(self.ids)),
            role=self.role(len(self.ids) - 1) if self.ids else self.entry.prompt.roles[-1],
            tokens=tuple(self.ids),
            bias=self._bias,
        )
        return (
            self._watch.token(state, self._token(len(self.ids) - 1))
            if self.ids
            else self._watch.prompt_end(state)
        )

    def take(self, id: int, logprob: float | None = None, tops: tuple[TopToken, ...] = ()) -> bool:
        """Goes on by one token; returns whether what steers the row has changed."""
        self.ids.append(id)
        if logprob is not None:
            self.logprobs.append(logprob)
            self._tops.append(tops)
        if id in self._core.ends:
            self._wording.end(silent=True)
            self.final = "stop"
        elif self._wording.add(id):
            self.final = "stop"
        elif len(self.ids) == self.entry.limit:
            self._wording.end()
            self.final = "length"
        self.over = self.final is not None and not self.reads
        return self._hear()

    def steer(self, bias: BiasLike) -> None:
        """Goes on under another bias."""
        self._bias = parsed(bias, self._core.vectors)
        self._base = program_of(self._bias, self._core.vectors, self.entry.prompt, self._core.model)
        self._heard = []
        self._hear()

    def obey(self, directive: Directive) -> None:
        """Does what a guard orders that needs no forward: flags, and ends. What changes the row's past or
        what steers it is left to whoever runs the row."""
        self.flagged |= directive.flag or directive.kind == "flag"
        if directive.kind == "stop":
            self.drop(directive.tokens)
            self.end("guard")
        elif directive.kind == "replace":
            self.drop(len(self.ids))
            self.end("guard", directive.text)

    def drop(self, tokens: int) -> int:
        """Takes its last tokens away, those shown excepted; returns how many."""
        tokens = min(tokens, len(self.ids) - self._shown)
        if tokens:
            kept = len(self.ids) - tokens
            self._wording.back(tokens)
            del self.ids[kept:], self.scalars[kept:], self.logprobs[kept:], self._tops[kept:]
            del self._residuals[kept + 1 :]
            self._heard = [(at, program) for at, program in self._heard if at <= kept]
            self.final = None
        return tokens

    def end(self, reason: FinishReason, replacement: str | None = None) -> None:
        """Ends here; what is held back and not dropped is shown."""
        self.final, self.over, self._replacement = reason, True, replacement

    def cancel(self) -> None:
        """Ends with what has been shown."""
        self.drop(len(self.ids))
        self.end("cancelled")

    def release(self) -> Iterator[Token | Reply]:
        """The tokens that may be shown now, and the reply at its end."""
        ready = min(len(self.ids), self._wording.settled)
        if self.entry.probe is not None:
            ready = min(ready, len(self.scalars) - self.entry.hold)
        if self.over:
            ready = len(self.ids)
        for index in range(self._shown, ready):
            yield self._token(index)
        self._shown = max(self._shown, ready)
        if self.over and self.final is not None:
            yield self._reply(self.final)

    def role(self, index: int) -> Role:
        """Whose words a token of the reply is."""
        return "special" if self.ids[index] in self._core.specials else self._role

    def _hear(self) -> bool:
        program = self.program
        if program is None or not program.waits:
            return False
        heard = program.heard(self._wording.text, self.consumed)
        if heard is not program:
            self._heard.append((len(self.ids), heard))
        return heard is not program

    def _z(self, scalars: Float[np.ndarray, " scalars"], tokens: int) -> Float[np.ndarray, " concepts"]:
        probe = self.entry.probe
        if probe is None:
            raise AffektError("a row that is not read has no reading")
        role = self.role(tokens - 1) if tokens else self.entry.prompt.roles[-1]
        return probe.z(scalars, POSITIONS.index(position_of(role)))

    def _token(self, index: int) -> Token:
        columns = self._columns
        return Token(
            request=self.entry.id,
            index=index,
            choice=self.choice,
            id=self.ids[index],
            text=self._wording.piece(index),
            reading=None if columns is None else self._z(self.scalars[index], index + 1)[columns],
            logprob=self.logprobs[index] if self.logprobs else None,
            top_logprobs=self._tops[index] if self._tops else (),
        )

    def _reply(self, reason: FinishReason) -> Reply:
        rows = None
        if self.entry.columns is not None and self.prompt_scalars is not None:
            rows = np.concatenate([self.prompt_scalars, *(row[None] for row in self.scalars)])
        return reply(
            self._core,
            self.entry,
            self.choice,
            self._wording,
            tuple(self.ids),
            tuple(self.role(index) for index in range(len(self.ids))),
            reason,
            rows,
            tuple(self.logprobs),
            tuple(self._watch.events) if self._watch is not None else (),
            self.flagged,
            self._replacement,
            torch.stack(self._residuals, dim=1) if self._residuals else None,
        )
