"""Does a text name an emotion? The word, its inflections, and the noun or verb of the same root."""

from __future__ import annotations

import re
from functools import cache

__all__ = ["named"]

_RELATED = {
    "angry": "anger angers angered",
    "anxious": "anxiety anxieties",
    "blissful": "bliss",
    "compassionate": "compassion",
    "contemptuous": "contempt",
    "content": "contented contentment contentedly",
    "defiant": "defiance",
    "dependent": "dependence dependency",
    "depressed": "depression",
    "desperate": "desperation",
    "disdainful": "disdain",
    "docile": "docility",
    "ecstatic": "ecstasy",
    "empathetic": "empathy",
    "enthusiastic": "enthusiasm",
    "envious": "envy envies envied",
    "euphoric": "euphoria",
    "exuberant": "exuberance",
    "frustrated": "frustration frustrations",
    "furious": "fury",
    "gloomy": "gloom",
    "grateful": "gratitude",
    "greedy": "greed",
    "grief-stricken": "grief grieve grieves grieved grieving",
    "guilty": "guilt",
    "hateful": "hate hates hated hating hatred",
    "heartbroken": "heartbreak heartbreaking",
    "hope": "hopeful hopefully",
    "hopeful": "hope hopes hoped hoping",
    "horrified": "horror",
    "hostile": "hostility",
    "humiliated": "humiliation",
    "hysterical": "hysteria",
    "impatient": "impatience",
    "indifferent": "indifference",
    "indignant": "indignation",
    "infatuated": "infatuation",
    "inspired": "inspiration",
    "irritated": "irritation",
    "jealous": "jealousy",
    "joyful": "joy joys joyous",
    "jubilant": "jubilation",
    "loving": "love loves loved",
    "melancholy": "melancholic",
    "miserable": "misery",
    "nostalgic": "nostalgia",
    "obstinate": "obstinacy",
    "optimistic": "optimism",
    "paranoid": "paranoia",
    "patient": "patience",
    "peaceful": "peace",
    "proud": "pride prided",
    "regretful": "regret regrets regretted regretting",
    "relieved": "relief",
    "remorseful": "remorse",
    "resentful": "resent resents resented resentment",
    "safe": "safety",
    "satisfied": "satisfaction",
    "scornful": "scorn scorned",
    "self-confident": "self-confidence",
    "self-critical": "self-criticism",
    "serene": "serenity",
    "skeptical": "skepticism sceptical scepticism",
    "spiteful": "spite",
    "stimulated": "stimulation",
    "suspicious": "suspicion suspicions",
    "sympathetic": "sympathy",
    "tense": "tension",
    "terrified": "terror",
    "triumphant": "triumph triumphs",
    "vengeful": "vengeance revenge",
    "vulnerable": "vulnerability",
}
"""Words of one root that no rule of inflection gives."""

_NOT = {"kind": r"(?!\s+of\b)"}
"""What may not follow: `a kind of box` names nobody's kindness."""


def named(word: str, text: str) -> str | None:
    """The first place in the text where the word stands in some form, as it is written there; None if it does
    not.

    `angry`: angry, angrier, angrily, anger. Spaces and hyphens of a longer name count as one. Synonyms are
    not looked for.
    """
    found = _pattern(word.casefold()).search(text.replace("’", "'"))
    return found.group() if found else None


@cache
def _pattern(word: str) -> re.Pattern[str]:
    forms = {word, *_inflected(word), *_RELATED.get(word, "").split()}
    spelt = sorted(
        (r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", form))) for form in forms), reverse=True
    )
    return re.compile(rf"\b(?:{'|'.join(spelt)})\b{_NOT.get(word, '')}", re.IGNORECASE)


def _inflected(word: str) -> set[str]:
    """Regular forms of an adjective or verb in English; some that do not exist do no harm."""
    head, last = word[:-1], word[-1:]
    forms = {word + end for end in ("s", "ly", "ness", "er", "est")}
    if last == "y":
        forms |= {head + end for end in ("ily", "iness", "ier", "iest", "ies", "ied")} | {word + "ing"}
    elif last == "e":
        forms |= {head + end for end in ("ed", "es", "ing", "er", "est", "y")}
    elif last not in "sxd":
        forms |= {word + end for end in ("ed", "ing")}
    if re.fullmatch(r"[a-z]*[^aeiou][aeiou][bdgmnpt]", word):
        forms |= {word + last + end for end in ("er", "est", "ed", "ing")}
    if word.endswith("ied"):
        forms |= {word[:-3] + end for end in ("y", "ies", "ying", "yingly")}
    elif word.endswith("ed") and len(word) > 4:
        root = word[:-2]
        forms |= {root, root + "e", root + "s", root + "es", root + "ing", root + "ingly", root + "ement"}
        forms |= {root + "ment"}
        if len(root) > 2 and root[-1] == root[-2] and root[-1] not in "ls":
            forms |= {root[:-1], root[:-1] + "s"}
    if word.endswith("able"):
        forms.add(word[:-1] + "y")
    if word.endswith("ic"):
        forms |= {word + "ally"}
    return forms
