"""What somebody at a terminal sees while it takes long: the model, what is done with it, and for how long by now."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

PATIENCE = 1.0
"""Seconds before anything is shown: for short runs it would only flicker."""

ROOM = 60
"""Columns for all but the name of the model."""


@contextmanager
def waiting(model: str) -> Generator[None]:
    """Show what is done with `model` within the block, as `progress` does."""
    with progress([model]) as next_turn:
        next_turn(model)
        yield


@contextmanager
def progress(models: Sequence[str]) -> Generator[Callable[[str], None]]:
    """Yield a function to call with each of `models` before it is worked on; of several, a bar shows how many are done.

    A thread shows them after a second, even while the first model is still worked on, on standard error. Nothing is
    shown in a pipe, on a terminal that cannot move its cursor, or in CI. Print nothing within the block.
    """
    if not models or not _is_watched():
        yield lambda _: None
        return
    from cnnlint.worker import steps

    shown = _Shown(len(models))
    thread = Thread(target=shown.show, daemon=True)
    thread.start()
    try:
        with steps.watched(shown.see):
            yield shown.next_turn
    finally:
        shown.done.set()
        thread.join()


def _is_watched() -> bool:
    is_terminal = getattr(sys.stderr, "isatty", bool)()
    return is_terminal and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


class _Shown:
    """The line that is shown, written by the thread that works and read by the one that shows."""

    def __init__(self, total: int) -> None:
        self.done = Event()
        self._total, self._turn = total, 0
        self._model = self._doing = ""
        self._start = monotonic()

    def next_turn(self, model: str) -> None:
        self._model, self._doing = model, ""
        self._turn += 1

    def see(self, doing: str) -> None:
        self._doing = doing

    def show(self) -> None:
        if self.done.wait(PATIENCE):
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        from cnnlint.report.printable import printable
        from cnnlint.report.view import shortened

        console = Console(stderr=True)
        bar = (BarColumn(bar_width=24), MofNCompleteColumn()) if self._total > 1 else ()
        names, texts = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[doing]}", markup=False)
        with Progress(SpinnerColumn(), names, *bar, texts, console=console, transient=True) as display:
            task = display.add_task("", total=self._total, doing="")
            while not self.done.wait(0.1):
                name = shortened(printable(self._model), max(20, console.width - ROOM))
                doing = ", ".join(filter(None, (printable(self._doing), _time(monotonic() - self._start))))
                display.update(task, description=name, completed=max(0, self._turn - 1), doing=doing)


def _time(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
