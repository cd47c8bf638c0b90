"""The words behind a step's kind, taken one by one by the step that they belong to."""

from __future__ import annotations

import re

from cnnlint.errors import CnnlintError
from cnnlint.frontends.notation.syntax import NotationError, Step, Word

LARGEST = 1 << 31
"""No extent, count or size of a real network is larger; larger ones are slips of the pen."""

_BY = re.compile(r"[x×]", re.IGNORECASE)


def sizes(text: str) -> tuple[int, ...] | None:
    """Return the numbers of "3x3" or "3"; None if `text` is something else."""
    parts = _BY.split(text)
    if not all(part.isdecimal() and len(part) < 11 and int(part) <= LARGEST for part in parts):
        return None
    return tuple(int(part) for part in parts)


class Arguments:
    """What a step was given; whatever no one takes is an error.

    Args:
        text: The whole network, for messages.
        step: The step.
        filters: What CONV takes where no filters are given: the channels that a shortcut must come to.
    """

    def __init__(self, text: str, step: Step, filters: int | None = None) -> None:
        self.text = text
        self.step = step
        self.filters = filters
        self._left = list(step.words)
        self._known = list[str]()

    def error(self, cause: str, *, at: Word | None = None, remedy: str | None = None) -> CnnlintError:
        """Return an error about this step, or about one of its words."""
        return NotationError(cause, text=self.text, at=at.at if at else self.step.at, remedy=remedy)

    def flag(self, word: str) -> bool:
        """Take `word` if it is there."""
        self._known.append(word)
        found = next((given for given in self._left if given.text.lower() == word), None)
        if found is not None:
            self._left.remove(found)
        return found is not None

    def choice(self, *words: str) -> str | None:
        """Take the one of `words` that is there."""
        found = [word for word in words if self.flag(word)]
        if len(found) > 1:
            raise self.error(f"{self.step.kind} cannot be both {found[0]} and {found[1]}")
        return found[0] if found else None

    def option(self, word: str, rank: int | None = None, *, least: int = 1) -> tuple[int, ...] | None:
        """Take `word` and the size behind it: one number for each of `rank` axes, or one for all."""
        self._known.append(f"{word} N")
        for index, given in enumerate(self._left):
            if given.text.lower() == word:
                if index + 1 == len(self._left):
                    raise self.error(f"{word} needs a number", at=given, remedy=f"{word} 2")
                value = self._left[index + 1]
                del self._left[index : index + 2]
                return self._size(value, word, rank, least)
        return None

    def number(self, word: str, default: int | None = None) -> int:
        """Take `word` and the number behind it, at least 1."""
        found = self.option(word, 1)
        if found is None:
            if default is None:
                raise self.error(f"{self.step.kind} needs {word}", remedy=f"{word} 2")
            return default
        return found[0]

    def positional(self, what: str, rank: int | None = 1, *, least: int = 1) -> tuple[int, ...] | None:
        """Take the next number or size that belongs to no option; None if there is none."""
        self._known.append(f"<{what}>")
        if self._left and self._left[0].text[0].isdigit():
            return self._size(self._left.pop(0), what, rank, least)
        return None

    def required(self, what: str, example: str, rank: int | None = 1) -> tuple[int, ...]:
        """Take the next number or size, which must be there."""
        found = self.positional(what, rank)
        if found is None:
            raise self.error(f"{self.step.kind} needs its {what}", remedy=example)
        return found

    def filters_and_kernel(self, channels: int, rank: int) -> tuple[int, tuple[int, ...]]:
        """Take "16 3x3" or "3x3" alone, which keeps the channels (or gives a shortcut those it must come to)."""
        example = f"{self.step.kind} 16 {'x'.join(['3'] * rank)}"
        alone = len(self._left) < 2 or not self._left[1].text[0].isdigit()
        if alone and self._left and _BY.search(self._left[0].text):
            return self.filters or channels, self.required("kernel size", example, rank)
        return self.required("filters", example)[0], self.required("kernel size", example, rank)

    def decimal(self, what: str, default: float) -> float:
        """Take the next decimal number."""
        self._known.append(f"<{what}>")
        if not self._left or not self._left[0].text[0].isdigit():
            return default
        word = self._left.pop(0)
        try:
            return float(word.text)
        except ValueError:
            raise self.error(f"{word.text!r} is no {what}", at=word, remedy=f"{self.step.kind} {default}") from None

    def finish(self) -> None:
        """Raise an error if a word is left that the step does not know."""
        if self._left:
            known = ", ".join(self._known)
            remedy = f"it takes {known}" if known else f"write -> between two steps; {self.step.kind} stands alone"
            raise self.error(f"{self.step.kind} does not take {self._left[0].text!r}", at=self._left[0], remedy=remedy)

    def _size(self, word: Word, what: str, rank: int | None, least: int) -> tuple[int, ...]:
        found = sizes(word.text)
        if found is None or min(found) < least:
            raise self.error(f"{what} cannot be {word.text!r}", at=word, remedy=f"a number from {least} up")
        if rank is None or len(found) == rank:
            return found
        if len(found) > 1:
            raise self.error(f"{what} {word.text} has {len(found)} axes where {rank} are meant", at=word)
        return found * rank
