"""First names: those that a writer is offered, and how often each turns up.

Left to itself a model calls everyone by one name, and the name becomes part of every direction.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["OFTEN", "Names", "names_in", "offered"]

NAMES = (
    "Abena Adil Agnieszka Aiko Alasdair Amara Amir Anneke Anselm Aroha Astrid Babak Beatriz Bilal Birgit "
    "Bogdan Callum Carmen Chidi Chiara Dagny Dalia Damir Deepa Dimitra Dong Dunja Ebba Edson Eilidh Ekow "
    "Emre Enzo Esra Fatou Faye Fergus Fumiko Gaurav Gerda Giulia Goran Greta Habib Hamish Hanna Haruto "
    "Helga Hiba Ibrahim Ilse Imke Inés Irfan Isla Ivo Jamila Jarek Jelena Joost Jorge Joyce Kaito Kamala "
    "Karim Katya Kemi Kenji Kofi Lakshmi Lars Layla Leif Ling Lorenzo Lucía Mahmoud Maja Malik Manuela "
    "Marek Mei Milan Moana Nadia Nadir Naledi Niamh Nikhil Noor Obinna Oksana Olamide Orla Oskar Padma "
    "Paloma Pavel Petra Piet Priya Quentin Rafael Ravi Renske Rohan Rosa Rukmini Sadia Samir Sanjay "
    "Saoirse Senait Sigrid Sipho Solveig Soraya Stellan Tadeusz Tamar Tariq Tatiana Thabo Tomasz Tuva "
    "Uche Ulrike Umar Valeria Vanja Vikram Wanjiru Wei Wiebke Xiomara Yara Yasmin Yohannes Yuki Zainab "
    "Zeynep Zofia Zoltan"
).split()
"""The pool, from many languages."""

OFTEN = 0.05
"""A name in more than this share of the texts (and in more than `FEW`) is one too many."""

FEW = 8
"""Texts before which a share means nothing."""

_MIDST = re.compile(r"(?<=[a-zà-ÿ,;] )[A-ZÀ-Þ][a-zà-ÿ]{2,}\b")
"""A capital in the midst of a sentence."""

_NOT_NAMES = frozenset(
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July "
    "August September October November December English French German Spanish Italian Christmas Easter "
    "God Mum Mom Dad Mother Father Grandma Grandpa Grandmother Grandfather Aunt Uncle Doctor Internet Mrs "
    "Miss Professor And But The Then When What Why How Please Yes Sir Madam Captain Python Excel".split()
)


def offered(n: int, seed: str) -> list[str]:
    """`n` different names of the pool, drawn by the seed."""
    return random.Random(seed).sample(NAMES, min(n, len(NAMES)))


def names_in(text: str) -> set[str]:
    """Words that look like names: capitals in the midst of sentences, days and the like apart."""
    return set(_MIDST.findall(text)) - _NOT_NAMES


@dataclass(frozen=True)
class Names:
    """How often each name stands in a corpus."""

    texts: int
    """Texts counted."""
    counts: Counter[str]
    """Name -> texts that hold it."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> Names:
        """Count the names of texts."""
        counts: Counter[str] = Counter()
        n = 0
        for text in texts:
            n += 1
            counts.update(names_in(text))
        return cls(n, counts)

    def often(self) -> list[tuple[str, float]]:
        """Names in too many of the texts, with their share, the most frequent first."""
        shares = [(name, count / self.texts) for name, count in self.counts.most_common() if count > FEW]
        return [(name, share) for name, share in shares if share > OFTEN]
