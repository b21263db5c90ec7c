"""Sentences of a small grammar: a text data set that needs no file."""

from __future__ import annotations

from aebuild.data.vocabulary import SPECIAL

PLACES = ("by the old mill", "behind the barn", "near the river", "under the bridge", "on a warm stone", "in the morning fog")
NOUNS = ("fox", "badger", "heron", "farmer", "child", "miller", "otter", "dog", "crow", "baker", "hare", "owl")
ADJECTIVES = ("quick", "sleepy", "brown", "clever", "hungry", "old", "quiet", "small")
VERBS = ("sees", "follows", "finds", "hears", "greets", "forgets", "chases", "feeds")
LATER = ("and then sleeps", "but says nothing", "and laughs", "while it rains")
WORDS = (*PLACES, *NOUNS, *ADJECTIVES, *VERBS, *LATER, "the .")
SYMBOLS = tuple(sorted({letter for word in WORDS for letter in word}))
PHRASES = (ADJECTIVES, ADJECTIVES, NOUNS, VERBS, ADJECTIVES, NOUNS, PLACES, LATER)
LONGEST = sum(max(map(len, words)) + 1 for words in PHRASES) + 2 * len("the ")
TOKENS = len(SYMBOLS) + SPECIAL


def sentences(count: int) -> list[str]:
    """So many sentences, always the same ones: the sleepy otter greets the crow near the river."""
    import numpy as np

    draw = np.random.RandomState(0)

    def one(words: tuple[str, ...], share: float = 1.0) -> str:
        chosen = words[draw.randint(len(words))]
        return f" {chosen}" if draw.rand() < share else ""

    return [f"the{one(ADJECTIVES, 0.7)}{one(ADJECTIVES, 0.1)}{one(NOUNS)}{one(VERBS)} the{one(ADJECTIVES, 0.3)}{one(NOUNS)}"
            f"{one(PLACES, 0.5)}{one(LATER, 0.3)}." for _ in range(count)]
