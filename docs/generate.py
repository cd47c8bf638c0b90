"""Generate the pages that follow from the code: `python docs/generate.py`; with `--check`, only say what is stale."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from cnnlint.config.json_schema import config_schema
from cnnlint.registry import load_rules
from cnnlint.report.rule_page import index, page
from cnnlint.report.schema import DOCUMENTS, json_schema

DOCS = Path(__file__).parent

INTRODUCTION = """# Rules

`cnnlint explain CODE` shows each page in the terminal. These pages are generated from the rules
by `python docs/generate.py`.

"""


def pages() -> Iterator[tuple[Path, str]]:
    """Yield the path, relative to this folder, and the text of every generated page."""
    rules = tuple(rule for rule in load_rules() if rule.__module__.partition(".")[0] in {"cnnlint", "cnnlint_rules"})
    yield Path("rules/README.md"), INTRODUCTION + index(rules)
    for rule in rules:
        yield Path(f"rules/{rule.code}.md"), page(rule)
    for document in DOCUMENTS:
        schema = json.dumps(json_schema(document), indent=2, ensure_ascii=False)
        yield Path(f"schema/{document}.schema.json"), f"{schema}\n"
    yield Path("schema/config.schema.json"), f"{json.dumps(config_schema(rules), indent=2, ensure_ascii=False)}\n"


def stale(folder: Path = DOCS) -> list[str]:
    """Return the pages under `folder` that are missing, out of date, or belong to no rule any more."""
    wanted = dict(pages())
    wrong = [
        str(path)
        for path, text in wanted.items()
        if not (folder / path).is_file() or (folder / path).read_text(encoding="utf-8") != text
    ]
    kept = {folder / path for path in wanted}
    return wrong + [str(path.relative_to(folder)) for path in (folder / "rules").glob("*.md") if path not in kept]


def write(folder: Path = DOCS) -> None:
    """Write every page under `folder`, and delete those of rules that are no more."""
    for path in stale(folder):
        (folder / path).unlink(missing_ok=True)
    for path, text in pages():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if "--check" in sys.argv:
        if found := stale():
            sys.exit(f"stale: {', '.join(found)}; run python docs/generate.py")
    else:
        write()
