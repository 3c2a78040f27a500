"""Orders for prompts that only vLLM sees: they say where by the ends of prompt and reply, not by text."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import torch

from affekt.engines.vllm.order import END, Late, Order
from affekt.engines.vllm.rows import row_of
from affekt.errors import BiasError
from affekt.steering.bias import parse
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["PLACES", "late_order", "salted"]

PLACES = ("both", "prompt", "reply", "first", "last")
"""Places of a bias that need no more of a prompt than its length."""


def late_order(vectors: ConceptVectors, spec: Any, reads: bool, chat: bool) -> Order | None:
    """What is ordered of a row whose prompt the worker sees first; None where nothing is.

    Args:
        vectors: those that the workers hold.
        spec: an `emotion_bias`, or None.
        reads: whether the prompt's last token and the reply's are read.
        chat: whether the prompt is a chat, so that its reply is the assistant's.

    Raises:
        UnknownConcept, VectorsError, BiasError: for a bias that cannot be meant, that needs the prompt's
            text, or that these vectors cannot do.
    """
    bias = parse(spec, vectors) if spec is not None else None
    for term in bias.terms if bias is not None else ():
        if term.where.place not in PLACES:
            raise BiasError(
                f"emotion_bias.{term.concept}.where: {term.where.place!r} needs the prompt's text; here "
                f"there are {', '.join(PLACES)} (affekt serve --engine vllm has them all)"
            )
    late = None if bias is None or bias.is_zero else Late(bias, chat)
    if late is None and not reads:
        return None
    read = vectors.read_layer if reads else None
    order = Order(secrets.token_hex(12), read, END if reads else 0, late=late)
    row_of(order, 1, vectors, vectors.raw.shape[-1], torch.device("cpu"))  # refuses as a worker would
    return order


def salted(order: Order, vectors: str, own: str) -> str | None:
    """The request's `cache_salt`: what keys the prefix cache by how the row is steered; None for no salt.

    Args:
        order: what is ordered.
        vectors: a hash of the vectors.
        own: the caller's own salt; empty for none.
    """
    salt = order.salt(vectors)
    if salt is None:
        return own or None
    return hashlib.sha256(f"{salt} {own}".encode()).hexdigest()[:32]
