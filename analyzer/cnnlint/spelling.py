"""Did you mean: the known word that is closest to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the word of `known` that `word` was most likely meant to be; None if none comes near."""
    from difflib import get_close_matches

    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return "did you mean X?" for use as the remedy of an error; None if nothing comes near."""
    found = closest(word, known)
    return None if found is None else f"did you mean {found}?"
