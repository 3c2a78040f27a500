"""What both kinds of vLLM worker become: the same worker with an instrument on its model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from affekt.engines.vllm.fitting import asked_of
from affekt.engines.vllm.origin import end_with
from affekt.engines.vllm.versions import check_version, installed
from affekt.errors import ModelError

if TYPE_CHECKING:
    from affekt.engines.vllm.instrument import Instrument
    from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Instrumented"]


class Instrumented:
    """Comes before vLLM's own worker among the bases of a class."""

    _affekt: Instrument | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes what vLLM's own worker takes."""
        super().__init__(*args, **kwargs)
        worker: Any = self
        opened_by = asked_of(worker.vllm_config).get("origin")
        if opened_by:
            end_with(opened_by)

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """Loads the model, then finds and hooks its decoder layers.

        Raises:
            ModelError: for settings under which a bias might not reach the model.
            SelfCheckError: where the decoder layers are not found.
        """
        worker: Any = self
        refuse(worker.vllm_config)
        super().load_model(*args, **kwargs)  # type: ignore[misc]
        self._affekt = _instrument(worker)

    def execute_model(self, scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs a step."""
        instrument = self._affekt
        if instrument is None:
            return super().execute_model(scheduler_output, *args, **kwargs)  # type: ignore[misc]
        instrument.schedule(scheduler_output)
        try:
            return super().execute_model(scheduler_output, *args, **kwargs)  # type: ignore[misc]
        finally:
            instrument.finish()

    def affekt_state(self) -> dict[str, Any]:
        """For `collective_rpc`: what this worker has found."""
        instrument = self._affekt
        if instrument is None:
            return {}
        worker: Any = self
        return {
            "rank": worker.rank,
            "layers": sorted(instrument.blocks),
            "block": type(next(iter(instrument.blocks.values()))).__name__,
            "fused": instrument.fused,
            "resumed": instrument.resumed,
            "vllm": installed(),
        }

    def affekt_vectors(self, file: str | None) -> None:
        """For `collective_rpc`: reads and steers with the vectors of a file from now on."""
        from affekt.vectors.conceptvectors import ConceptVectors

        if self._affekt is not None:
            self._affekt.use(None if file is None else ConceptVectors.load(file))


def refuse(config: Any) -> None:
    """Refuses versions and settings of vLLM under which a request could be left unsteered unseen.

    Args:
        config: vLLM's `VllmConfig`.

    Raises:
        ModelError: says which setting, and what to give instead.
    """
    check_version(installed())
    compiled = getattr(config.compilation_config.mode, "name", str(config.compilation_config.mode))
    graphs = getattr(config.compilation_config.cudagraph_mode, "name", "NONE")
    parallel = config.parallel_config
    for wrong, message in (
        (
            compiled not in ("NONE", "None") or graphs not in ("NONE", "None"),
            f"torch.compile ({compiled}) or CUDA graphs ({graphs}) would run the model past Affekt's hooks; "
            "give --enforce-eager",
        ),
        (config.use_v2_model_runner, "model runner V2 is not supported; set VLLM_USE_V2_MODEL_RUNNER=0"),
        (
            config.speculative_config is not None,
            "speculative decoding runs tokens that are taken back later; turn it off",
        ),
        (getattr(parallel, "enable_dbo", False), "dual batch overlap splits a step's rows; turn it off"),
        (
            getattr(config.compilation_config.pass_config, "enable_sp", False),
            "sequence parallelism splits the residual stream; turn it off",
        ),
    ):
        if wrong:
            raise ModelError(f"the vLLM engine of Affekt cannot run so: {message}")


def _instrument(worker: Any) -> Instrument:
    from vllm.distributed import get_tensor_model_parallel_rank

    from affekt.engines.vllm.channel import Outbox
    from affekt.engines.vllm.instrument import Instrument
    from affekt.engines.vllm.posting import Posting
    from affekt.vectors.conceptvectors import ConceptVectors

    config, runner = worker.vllm_config, worker.model_runner
    text = config.model_config.hf_text_config
    own = asked_of(config)
    # Every worker of a tensor-parallel group holds the whole residual; one of them tells.
    tells = get_tensor_model_parallel_rank() == 0 and own.get("channel")
    instrument = Instrument(
        runner.get_model(),
        text.num_hidden_layers,
        text.hidden_size,
        worker.device,
        lambda: runner.input_batch.req_ids,
        Posting.on(Outbox(own["channel"]), worker.device) if tells else None,
    )
    if own.get("vectors"):
        vectors = ConceptVectors.load(own["vectors"])
        belong(vectors, config.model_config, bool(own.get("sibling")))
        instrument.use(vectors)
    return instrument


def belong(vectors: ConceptVectors, model: Any, sibling: bool = False) -> None:
    """Refuses vectors of another model than the one that vLLM runs.

    Args:
        vectors: what was asked for.
        model: vLLM's `ModelConfig`.
        sibling: allow a model of the same shape with other weights.

    Raises:
        VectorsError: naming both models.
    """
    from affekt.engines.vllm.served import served

    try:
        identity = served(str(model.model)).identity
    except ModelError:
        # Files that only vLLM finds: the shape is all that can be compared.
        text, own = model.hf_text_config, vectors.provenance.model
        identity = replace(
            own,
            name=str(model.model),
            weights_sha256="unknown",
            n_layers=int(text.num_hidden_layers),
            d_model=int(text.hidden_size),
        )
        sibling = True
    vectors.require(identity, sibling)
