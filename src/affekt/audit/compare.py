"""A base against its tuned models: open, measure, find the floor, compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from affekt.audit.assembly import assembled
from affekt.audit.comparison import Comparison, Directions
from affekt.audit.directions import own_vectors, turned
from affekt.audit.floor import arm, noise_arms
from affekt.audit.keep import Keep, Seen
from affekt.audit.measure import Writing
from affekt.audit.prompts import Prompt
from affekt.audit.reference import Against, Reference, left_out, named, shared
from affekt.audit.setup import Setup, views_of
from affekt.audit.subject import Open, Subject
from affekt.errors import ModelError, PromptError, VectorsError
from affekt.progress import Progress
from affekt.vectors import ConceptVectors

__all__ = ["compare"]


def compare(
    open: Open,
    base: str,
    tuned: Sequence[str],
    vectors: ConceptVectors,
    prompts: Sequence[Prompt],
    *,
    controls: Sequence[str] = (),
    against: str = "base",
    views: Sequence[str] = (),
    writing: Writing | None = None,
    floor: bool = True,
    directions: bool = False,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> Iterator[Comparison]:
    """Compares each tuned model with the base, or with controls, by one set of vectors (paper section 9).

    Args:
        open: opens a model by its name.
        base: the model before.
        tuned: the models after.
        vectors: of the base or of a tuned model.
        prompts: what is asked of each.
        controls: models that were changed in ways that ought not to matter, such as another run of a harmless
            recipe; how far they moved is part of the floor.
        against: what the tuned models are held against. `base`: the base. `controls`: the mean of the
            controls, prompt by prompt, which takes out what any such training does. The floor is then each
            control against the mean of the others, and the base under other seeds and precisions.
        views: places compared; by default all that every model has.
        writing: how replies are written.
        floor: whether the base is compared with itself first, under other seeds, words and precisions.
            Without it and without controls the floor is 0: every shift beyond chance is called.
        directions: whether both models' own vectors are made, from one text a concept, and compared.
        keep: where measurements stay.
        progress: told how far the work is.

    Yields:
        A comparison for each tuned model, in order.

    Raises:
        VectorsError: models of another shape, or vectors of a third model.
        PromptError: a view that some model has not, a message that one cannot take, an unknown reference,
            or controls that cannot be one: fewer than two, the same twice, or one that is tested as well.
        ModelError: a model that cannot be opened.
    """
    if not tuned:
        raise PromptError("nothing to compare the base with; name at least one tuned model")
    kind = named(against, tuned, controls)
    subject = open(base)
    notes = _fit(open, subject, controls, tuned, vectors, kind)
    with_template = "template" not in notes
    names = ", ".join([base, *tuned, *controls])
    setup = Setup(
        prompts=tuple(prompts),
        vectors=vectors,
        views=views_of(views, with_template, names),
        reply_form="chat" if with_template else "plain",
        writing=writing or Writing(),
        keep=keep or Keep(),
        progress=progress,
    )
    before = setup.look(subject)
    layer = vectors.read_layer
    own = own_vectors(subject, layer, setup.keep, progress) if directions else None
    arms = noise_arms(base, subject, open, setup, before, words=kind == "base") if floor else []
    del subject
    seen = [setup.look(open(name)) for name in controls]
    reference, said = Reference((base,), (before,)), tuple(notes.values())
    if kind == "controls":
        reference = Reference(tuple(controls), tuple(seen))
        arms += left_out(reference, setup)
        said += shared(reference, before, setup)
    else:
        arms += [arm(f"control {name}", one, before, setup) for name, one in zip(controls, seen, strict=True)]
    for name in tuned:
        subject = open(name)
        after = setup.look(subject)
        others = own_vectors(subject, layer, setup.keep, progress) if directions else None
        yield assembled(
            base,
            name,
            setup,
            reference,
            after,
            arms,
            directions=_turned(setup, own, others, reference.mean, after) if own and others else None,
            notes=said,
        )


def _fit(
    open: Open,
    base: Subject,
    controls: Sequence[str],
    tuned: Sequence[str],
    vectors: ConceptVectors,
    against: Against,
) -> dict[str, str]:
    """What the reader must know of how these models go together; found before anything is measured.

    Raises:
        PromptError: a control of the reference with the weights of another or of a tested model.
        ModelError: an adapter for another base.
        VectorsError: models of another shape, or vectors of a third.
    """
    notes = {}
    vectors.require(base.identity, sibling=True)
    origin = vectors.provenance.model
    hashes = {base.identity.weights_sha256}
    held: dict[str, str] = {}
    template, with_template = base.template, base.has_template
    for name in (*controls, *tuned):
        subject = open(name)
        one = subject.identity
        if subject.trained_on is not None and subject.foundation != base.foundation:
            raise ModelError(
                f"{name} is an adapter for another base: it was trained on {subject.trained_on}, not on "
                f"{base.identity.name}; compare it with {subject.trained_on}"
            )
        if one.architecture != base.identity.architecture:
            raise VectorsError(
                f"{name} is a {one.architecture}, the base a {base.identity.architecture}; only models of "
                "one architecture can be compared"
            )
        vectors.require(one, sibling=True)
        if against == "controls" and (twin := held.get(one.weights_sha256)):
            raise PromptError(
                f"{name} has the same weights as the control {twin}; a mean of controls needs runs of "
                "different seeds, none of which is tested"
            )
        if name in controls:
            held[one.weights_sha256] = name
        if name in tuned:
            hashes.add(one.weights_sha256)
        with_template = with_template and subject.has_template
        if subject.template != template:
            notes["templates"] = (
                "The models' chat templates differ, so a difference in the chat form is one of model and "
                "template together; the Human/Assistant form is the same for both."
            )
    if origin.weights_sha256 not in hashes:
        raise VectorsError(
            f"these vectors were extracted from {origin.name} ({origin.weights_sha256[:12]}), which is "
            "neither the base nor a tuned model here; extract them from the base: affekt extract "
            f"{base.identity.name}"
        )
    if not with_template:
        notes.pop("templates", None)
        notes["template"] = (
            "Not every model has a chat template: all are asked in the Human/Assistant form only."
        )
    if origin.weights_sha256 != base.identity.weights_sha256:
        notes["vectors"] = f"The vectors are those of the tuned model {origin.name}, not of the base."
    return notes


def _turned(
    setup: Setup,
    own: tuple[tuple[str, ...], Float[Tensor, "concepts d_model"]],
    others: tuple[tuple[str, ...], Float[Tensor, "concepts d_model"]],
    before: Mapping[str, Seen],
    after: Mapping[str, Seen],
) -> Directions:
    return turned(setup, own[0], own[1], others[1], before, after)
