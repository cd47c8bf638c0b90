"""`--show-settings`: every setting, its value and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnnlint.cli.streams import write
from cnnlint.engine.config.load import Document, find_document, read_document
from cnnlint.engine.config.settings import Flags, resolve
from cnnlint.report.printable import printable


def show(paths: Sequence[str], flags: Flags, *, config: Path | None, isolated: bool) -> int:
    """Print the settings that hold for the first of `paths`, as TOML with their origins behind them."""
    document = _document(Path(paths[0]), config, isolated=isolated)
    listing = resolve(document, flags).listing
    lines = [(f"{setting.key} = {_toml(setting.value)}", setting.origin) for setting in listing]
    lines += [
        (f"--max-{limit.quantity.replace('_', '-')} {limit.most:,}", "command line") for limit in flags.budget.limits()
    ]
    across = min(60, max(len(text) for text, _ in lines))
    head = f"# {document.path}" if document else "# no configuration file"
    lines = [(printable(text), printable(origin)) for text, origin in lines]
    write("".join(f"{line}\n" for line in [head, *(f"{text:<{across}}  # {origin}" for text, origin in lines)]))
    return 0


def _document(model: Path, config: Path | None, *, isolated: bool) -> Document | None:
    if isolated:
        return None
    if config is not None:
        return read_document(config)
    folder = model.absolute() if model.is_dir() else model.absolute().parent
    return find_document(folder) or find_document(Path.cwd())


def _toml(value: object) -> str:
    import msgspec

    return "(not set)" if value is None else msgspec.json.encode(value).decode()
