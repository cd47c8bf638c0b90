"""Progress on standard error: on a terminal, and only when a run takes longer than a second."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 1.0
"""Seconds before anything is shown (ten flickering models are worse than a second's wait)."""


@contextmanager
def progress(models: Sequence[str]) -> Generator[Callable[[str], None]]:
    """Yield what is to be told of each model before its turn; it shows how far the run is.

    A thread shows the bar after a second even while the first model is still being looked at. Where standard
    error is no terminal nothing is started.
    """
    if not sys.stderr.isatty() or not models:
        yield lambda _: None
        return
    import threading

    from cnnlint.report.printable import printable

    turn = ["", 0]
    done = threading.Event()

    def show() -> None:
        if done.wait(PATIENCE):
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task("", total=len(models))
            while not done.wait(0.1):
                shown.update(task, description=str(turn[0]), completed=int(turn[1]) - 1)

    def next_turn(model: str) -> None:
        turn[:] = [printable(model), int(turn[1]) + 1]

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield next_turn
    finally:
        done.set()
        thread.join()
