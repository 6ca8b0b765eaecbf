"""Themes of comments by a code book of keywords. A rule only suggests; a person confirms.

`unaware_of_feature` names the feature that somebody did not know of (J20).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.nps.model.morphemes import Words, sentences, words

UNAWARE = "unaware_of_feature"
UNAWARE_KEYWORDS = (
    "did not know",
    "was not aware",
    "wasn't aware",
    "unaware",
    "never knew",
    "몰랐다",
    "모르다",
)
LEAST_ALIKE = 0.3  # of two comments' words, those that both have
MOST_COMMENTS = 2000  # that are grouped at once; the work grows with groups times comments
FEWEST_IN_A_GROUP = 2
WORDS_OF_A_GROUP = 5


@dataclass(frozen=True, kw_only=True)
class Theme:
    """An entry of the code book: found where one of its keywords is said."""

    theme: str
    keywords: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A theme that a comment seems to have; `feature` of unaware_of_feature alone."""

    theme: str
    feature: str | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Comments that are alike, by their places, and the words that most of them have."""

    comments: tuple[int, ...]
    words: tuple[str, ...]


def suggest(
    comment: str, book: Iterable[Theme], features: Mapping[str, Sequence[str]]
) -> list[Suggestion]:
    """Themes of a comment, each once, in the order of the book, features after them.

    `features`: by feature, the names that people call it by. Somebody is unaware of one that is
    named in the very sentence that says so.
    """
    said = [words(sentence) for sentence in sentences(comment)]
    found = [
        Suggestion(theme=each.theme)
        for each in book
        if each.theme != UNAWARE and any(_has(sentence, each.keywords) for sentence in said)
    ]
    unaware = [sentence for sentence in said if _has(sentence, UNAWARE_KEYWORDS)]
    return found + [
        Suggestion(theme=UNAWARE, feature=feature)
        for feature, names in features.items()
        if any(_has(sentence, names) for sentence in unaware)
    ]


def groups(comments: Sequence[str]) -> list[Group]:
    """Comments that no theme was found for, put together by their words, largest group first.

    Each joins the first group whose first comment is alike. Of more than can be grouped at once
    the rest is left out. For people who look for new themes.
    """
    said = [frozenset(words(comment)) for comment in comments[:MOST_COMMENTS]]
    members: list[list[int]] = []
    for at, mine in enumerate(said):
        home = next((each for each in members if _alike(mine, said[each[0]])), None)
        if home is None:
            members.append([at])
        else:
            home.append(at)
    large = [each for each in members if len(each) >= FEWEST_IN_A_GROUP]
    return [
        Group(comments=tuple(each), words=_common([said[at] for at in each]))
        for each in sorted(large, key=lambda each: (-len(each), each[0]))
    ]


def _has(sentence: Words, keywords: Iterable[str]) -> bool:
    return any(_holds(sentence, words(keyword)) for keyword in keywords)


def _holds(sentence: Words, phrase: Words) -> bool:
    """Whether the words of the phrase stand in the sentence side by side; an empty one never."""
    if not phrase:
        return False
    places = range(len(sentence) - len(phrase) + 1)
    return any(sentence[at : at + len(phrase)] == phrase for at in places)


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    together = len(one | other)
    return together > 0 and len(one & other) / together >= LEAST_ALIKE


def _common(said: Sequence[frozenset[str]]) -> tuple[str, ...]:
    times = Counter(word for each in said for word in each)
    shared = [word for word, times_said in times.items() if times_said > len(said) / 2]
    return tuple(sorted(shared, key=lambda word: (-times[word], word))[:WORDS_OF_A_GROUP])
