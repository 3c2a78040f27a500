"""What a worker does beside running the model: it steers and reads the rows that have orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from affekt.engines.transformers.probe import Probe
from affekt.engines.vllm.edits import Edits
from affekt.engines.vllm.order import FIELD, Order
from affekt.engines.vllm.posting import Posting
from affekt.engines.vllm.rows import Row, row_of
from affekt.engines.vllm.step import Span, Step
from affekt.engines.vllm.stream import find_blocks, stream_of
from affekt.errors import AffektError, SelfCheckError
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Instrument"]


class Instrument:
    """Hooks on a worker's decoder layers, and the rows it runs."""

    def __init__(
        self,
        network: nn.Module,
        depth: int,
        width: int,
        device: torch.device,
        order_of_rows: Callable[[], Sequence[str]],
        posting: Posting | None,
    ) -> None:
        """Finds the decoder layers and hooks them.

        Args:
            network: the model as vLLM runs it.
            depth: its number of decoder layers, those of other pipeline stages included.
            width: of its residual stream.
            device: where it is.
            order_of_rows: the requests of the step in the order of its flat tokens.
            posting: where readings go; None on workers whose readings others give already.

        Raises:
            SelfCheckError: where the layers are not found.
        """
        self.blocks = find_blocks(network, depth)
        self._width, self._device, self._names, self._posting = width, device, order_of_rows, posting
        self._vectors: ConceptVectors | None = None
        self._probes: dict[int, Probe] = {}
        self._edits = Edits(device)
        self._rows: dict[str, Row] = {}
        self._spans: Mapping[str, tuple[int, int]] = {}
        self._step: Step | None = None
        self._composition: list[str] = []
        self.resumed = 0
        """How often a row came again after it was preempted."""
        self.fused: bool | None = None
        """Whether the residual is in two parts; None before the first forward."""
        network.register_forward_pre_hook(self._begin, with_kwargs=True)
        for layer, block in self.blocks.items():
            block.register_forward_hook(self._hook(layer))

    def use(self, vectors: ConceptVectors | None) -> None:
        """Reads and steers with these vectors from now on."""
        self._vectors, self._probes, self._edits = vectors, {}, Edits(self._device)

    def schedule(self, output: Any) -> None:
        """Takes a step's plan from the scheduler: rows that come and go, and which tokens of each run.

        Args:
            output: vLLM's `SchedulerOutput`.
        """
        for name in output.finished_req_ids:
            self._rows.pop(name, None)
        firsts: dict[str, int] = {}
        for new in output.scheduled_new_reqs:
            firsts[new.req_id] = new.num_computed_tokens
            extra = getattr(new.sampling_params, "extra_args", None) or {}
            if FIELD in extra:
                self._take_in(new.req_id, extra[FIELD], len(new.prompt_token_ids or ()))
        cached = output.scheduled_cached_reqs
        self.resumed += len(cached.resumed_req_ids)
        firsts |= zip(cached.req_ids, cached.num_computed_tokens, strict=True)
        counts = output.num_scheduled_tokens
        self._spans = {name: (firsts[name], count) for name, count in counts.items()} if self._rows else {}

    def finish(self) -> None:
        """Sends what the step has given; only scalars, unless residuals were ordered."""
        step, self._step, self._spans = self._step, None, {}
        if step is None or self._posting is None:
            return
        for layer, scalars in step.read.items():
            self._posting.send({"kind": "read", "rows": step.told[layer]}, scalars)
        for row in step.collected():
            self._send_collected(row)

    def _send_collected(self, row: Row) -> None:
        collect = row.order.collect
        assert collect is not None and self._posting is not None
        for layer in sorted(row.sums):
            values = row.sums[layer] / len(collect.picks) if collect.mean else row.sums[layer]
            header = {"kind": "collect", "key": row.order.key, "layer": layer}
            self._posting.send(header, values)
        row.sums.clear()

    def _take_in(self, name: str, text: Any, prompt: int) -> None:
        try:
            order = Order.from_json(text)
            self._rows[name] = row_of(order, prompt, self._vectors, self._width, self._device)
        except AffektError as error:
            # One wrong order must not end the others; who sent it is told, and asks for the row's end.
            if self._posting is not None:
                self._posting.send({"kind": "refused", "name": name, "order": text, "why": str(error)})

    def _begin(self, _network: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        """Before the forward: lays the step out by the order of its rows."""
        self._step = None
        if not self._spans:
            return
        names = [name for name in self._names() if name in self._spans]
        if len(names) != len(self._spans):
            raise SelfCheckError("the rows of a step are not those that were scheduled; nothing was read")
        spans, starts, at = [], [], 0
        for name in names:
            first, count = self._spans[name]
            if name in self._rows:
                spans.append(Span(self._rows[name], at, first, count))
            starts.append((at, first))
            at += count
        self._check_places(kwargs.get("positions", args[1] if len(args) > 1 else None), starts, names)
        if spans:
            self._step = Step(spans, at, self._edits, self._probe, self._device)

    def _check_places(
        self, positions: Tensor | None, starts: Sequence[tuple[int, int]], names: list[str]
    ) -> None:
        """Refuses to go on where the model is told other positions than the scheduler's."""
        if positions is not None and positions.dim() == 2:
            positions = positions[0]  # of M-RoPE: time, height and width, alike in text
        if positions is None or positions.dim() != 1:
            found = "none" if positions is None else f"a tensor of shape {tuple(positions.shape)}"
            raise SelfCheckError(
                f"the model is told its tokens' positions as {found}, not as one number per token, so that "
                "the order of a step's rows cannot be checked"
            )
        if positions.device.type != "cpu" and names == self._composition:
            return
        self._composition = names
        seen = positions[[at for at, _ in starts]].tolist()
        if seen != [first for _, first in starts]:
            raise SelfCheckError(
                "the order of a step's rows is not what this version of vLLM was tested with; readings and "
                "biases would reach the wrong tokens"
            )

    def _probe(self, layer: int) -> Probe:
        if layer not in self._probes:
            assert self._vectors is not None
            self._probes[layer] = Probe(self._vectors.readout(layer), self._vectors.names, self._device)
        return self._probes[layer]

    def _hook(self, layer: int) -> Callable[..., None]:
        def hook(_block: nn.Module, _args: Any, output: Any) -> None:
            if self.fused is None:
                self.fused = stream_of(output).fused
            if self._step is not None:
                self._step.after(layer, stream_of(output))

        return hook
