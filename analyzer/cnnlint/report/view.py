"""How a report is looked at: its width, its colours, and how much of it is shown."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Style = Literal["error", "warning", "info", "good", "accent", "strong", "faint"]

_SEQUENCES: dict[Style, str] = {
    "error": "1;31",
    "warning": "1;33",
    "info": "1;36",
    "good": "32",
    "accent": "36",
    "strong": "1",
    "faint": "2",
}


class View(Struct, frozen=True, kw_only=True):
    """What a report is rendered for.

    Attributes:
        color: Whether to write ANSI escape sequences.
        width: Columns that a line may take.
        verbose: Show every finding, where many of one rule are otherwise summed up.
        quiet: Show findings and budgets that fail, and nothing else.
        terminal: Whether a person looks at it as it comes.
    """

    color: bool = False
    width: int = 100
    verbose: bool = False
    quiet: bool = False
    terminal: bool = False

    def paint(self, text: str, style: Style) -> str:
        """Return `text` in a style, or as it is without colour."""
        return f"\x1b[{_SEQUENCES[style]}m{text}\x1b[0m" if self.color and text else text
