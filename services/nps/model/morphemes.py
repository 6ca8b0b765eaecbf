"""Words of a comment as they stand in a dictionary, in Korean and English, without any service.

Korean endings change with the sentence, so a keyword is found by its morphemes: what is slow is
found in each form of the word.
"""

import re
from functools import cache
from typing import Any

LONGEST = 10_000  # characters that are read of a comment; a longer one is cut
HANGUL = re.compile(r"[\uac00-\ud7a3]")
ENGLISH_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
SENTENCE_END = re.compile(r"[.!?\n。]+")
# Nouns, verbs, adjectives, adverbs, roots, foreign words and numbers; no particles, no endings.
CONTENT = ("NN", "NP", "VV", "VA", "VX", "VCN", "MAG", "XR", "SL", "SN")
NEGATED = "n't"
ENDINGS = ("ing", "ed", "es", "s")
SHORTEST_STEM = 3

Words = tuple[str, ...]


def sentences(comment: str) -> list[str]:
    """The sentences of a comment, without empty ones."""
    return [part for each in SENTENCE_END.split(comment[:LONGEST]) if (part := each.strip())]


def words(text: str) -> Words:
    """The words of a text, in order."""
    lowered = text[:LONGEST].replace("\u2019", "'").lower()
    if HANGUL.search(lowered):
        return _korean(lowered)
    return tuple(word for each in ENGLISH_WORD.findall(lowered) for word in _english(each))


def _korean(text: str) -> Words:
    found: list[str] = []
    for token in _analyser().tokenize(text):
        if not token.tag.startswith(CONTENT):
            continue
        form = token.form.lower()
        found.extend(_english(form) if token.tag == "SL" else (form,))
    return tuple(found)


def _english(word: str) -> Words:
    """A word without its ending; of a contraction the verb and its not, as two words."""
    if word.endswith(NEGATED):
        return _stem(word.removesuffix(NEGATED)), "not"
    return (_stem(word.partition("'")[0]),)


def _stem(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word.removesuffix(ending)
    return word


@cache
def _analyser() -> Any:
    # Loaded when the first Korean text comes: a second, and some hundred MB.
    from kiwipiepy import Kiwi  # noqa: PLC0415

    return Kiwi(num_workers=1)
