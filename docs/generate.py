"""Generate what follows from the code: `python docs/generate.py`; with `--check`, only say what is stale.

Rule pages and JSON Schemas are written whole. In the pages that people write, blocks between `<!-- run: COMMAND -->`,
`<!-- inputs: FILE -->`, `<!-- budgets -->`, `<!-- limits -->` or `<!-- targets -->` and `<!-- end -->` are filled: with
what the command prints, with the table of the inputs of a pipeline, of the quantities that can be budgeted, of the
limits, and of what runtimes support.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby, pairwise
from pathlib import Path

import yaml

import cnnlint
from cnnlint import limits
from cnnlint.comparison.conversion import ConversionReport
from cnnlint.comparison.diff_report import DiffReport, FolderDiff
from cnnlint.engine.budget import QUANTITIES
from cnnlint.engine.config.schema import SETTINGS, Schema, config_schema
from cnnlint.engine.registry import load_rules
from cnnlint.engine.rule import Rule
from cnnlint.fixing.report import FixReport
from cnnlint.frontends.onnx.targets import runtime, runtimes
from cnnlint.report.json import DOCUMENTS, schema_of
from cnnlint.report.rule_page import RulesReport, index, page
from cnnlint.verification.records import ComparisonReport

DOCS = Path(__file__).parent
ROOT = DOCS.parent

OTHERS = {
    "convert": ConversionReport,
    "compare": ComparisonReport,
    "diff": DiffReport,
    "folder-diff": FolderDiff,
    "fix": FixReport,
    "rules": RulesReport,
}
"""The records behind the JSON of the other commands."""

BLOCK = re.compile(
    r"^<!-- (?:run: (?P<command>[^\n]+)|inputs: (?P<inputs>[^\n]+)"
    r"|(?P<budgets>budgets)|(?P<limits>limits)|(?P<targets>targets)) -->\n"
    r"(?P<text>.*?)^<!-- end -->\n",
    re.DOTALL | re.MULTILINE,
)
"""A block to fill; a command may end in `| head -n N`, and is shown with it."""

TYPES = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "table",
    "string": "text",
}
"""What the types of JSON Schema are called."""

ROUNDING = re.compile(r"\d+(?:\.\d+)?e-\d+|\s+")
"""What another processor may print: rounding errors, and where a line with one breaks."""

INTRODUCTION = """# Rules

`cnnlint explain CODE` shows each page in the terminal, without its examples in Keras and PyTorch. These pages are
generated from the rules by `python docs/generate.py`.

"""


NAMES = """# Names for rules

All that the built-in rules are made of can be imported from `cnnlint`, by its name alone, and is imported when it is
first used. [A rule of your own](python-api.md#a-rule-of-your-own) shows how it goes together. This page is generated
from the code by `python docs/generate.py`.
"""


SETTINGS_PAGE = """# All settings

Every key of `cnnlint.toml`, and of `[tool.cnnlint]` in `pyproject.toml`; [Configuration](configuration.md) says how
they work together. This page is generated from the [JSON Schema](schema/config.schema.json) by `python docs/generate.py`.
"""


def built_in() -> tuple[type[Rule], ...]:
    """Return the rules that come with cnnlint, whatever else is installed."""
    return tuple(rule for rule in load_rules() if rule.__module__.partition(".")[0] in {"cnnlint", "cnnlint_rules"})


def pages() -> Iterator[tuple[Path, str]]:
    """Yield the path, relative to this folder, and the text of every generated page."""
    rules = built_in()
    yield Path("rules/README.md"), INTRODUCTION + index(rules)
    for rule in rules:
        yield Path(f"rules/{rule.code}.md"), page(rule)
    yield Path("rule-api.md"), names_for_rules()
    for document, record in {**DOCUMENTS, **OTHERS}.items():
        schema = json.dumps(schema_of(document, record), indent=2, ensure_ascii=False)
        yield Path(f"schema/{document}.schema.json"), f"{schema}\n"
    schema = config_schema(rules)
    yield Path("schema/config.schema.json"), f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n"
    yield Path("settings.md"), settings_page(schema)


def settings_page(schema: Schema) -> str:
    """Return the page of all settings: keys, then those of a budget, then the options of rules."""
    defined = schema["$defs"]
    keys = defined["Configuration"]["properties"]
    options = {setting.key: setting.option for setting in SETTINGS.values()}
    lines = [SETTINGS_PAGE, "## Keys", "", "| Key | Type | Default | Option | What it is |", "|---|---|---|---|---|"]
    for key, said in keys.items():
        default = default_in(said) or options[key].shown_default
        flag = f"`{options[key].flag}`" if options[key].flag else ""
        cells = (f"`{key}`", type_in(said, defined), default, flag, said["description"])
        lines.append(f"| {' | '.join(map(in_cell, cells))} |")
    lines += ["", "## A table of `budgets`", "", "| Key | Type | Default | What it is |", "|---|---|---|---|"]
    lines += setting_rows(defined["BudgetTable"]["properties"], defined)
    lines += ["", "## Options of rules", "", "Each in a table of its rule, by code or name: `[rules.FC001]`.", ""]
    lines += ["| Rule | Key | Type | Default | What it is |", "|---|---|---|---|---|"]
    for code, rule in keys["rules"]["properties"].items():
        named = f"| [{code}](rules/{code}.md) {rule['title']} "
        lines += [f"{named}{row}" for row in setting_rows(rule["properties"], defined)]
    return "\n".join(lines) + "\n"


def setting_rows(keys: Schema, defined: Schema) -> Iterator[str]:
    """Yield a row of a table for each key."""
    for key, said in keys.items():
        cells = (f"`{key}`", type_in(said, defined), default_in(said), said["description"])
        yield f"| {' | '.join(map(in_cell, cells))} |"


def type_in(said: Schema, defined: Schema) -> str:
    """Return the type that a schema states, in words."""
    if "$ref" in said:
        return type_in(defined[said["$ref"].rpartition("/")[2]], defined)
    if "enum" in said:
        return " or ".join(f"`{value}`" for value in said["enum"])
    if "anyOf" in said:
        return " or ".join(dict.fromkeys(type_in(each, defined) for each in said["anyOf"]))
    match said["type"]:
        case "array":
            return f"list of {type_in(said['items'], defined)}".replace("table", "tables")
        case "object" if len(values := said.get("additionalProperties") or {}) and values.get("type") != "object":
            return f"table of {type_in(values, defined)}"
        case kind:
            return TYPES[kind]


def default_in(said: Schema) -> str:
    """Return the default that a schema states, as TOML has it."""
    return f"`{json.dumps(said['default'], ensure_ascii=False)}`" if said.get("default", "") != "" else ""


def in_cell(text: str) -> str:
    """Return `text` for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def names_for_rules() -> str:
    """Return the page of all that can be imported from `cnnlint`, by the module that it lives in."""
    lines = [NAMES]
    modules: dict[str, list[str]] = {}
    for name in cnnlint.__all__:
        if not name.startswith("__"):
            modules.setdefault(home_of(name), []).append(name)
    for module, names in sorted(modules.items()):
        said = first_sentence(import_module(module).__doc__ or "")
        lines += [f"## `{module}`", "", said, "", "| Name | What it is |", "|---|---|"]
        lines += [f"| `{name}` | {explained(module, name)} |" for name in sorted(names)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def home_of(name: str) -> str:
    """Return the module that gives the public `name`."""
    return next(f"cnnlint.{module}" for module, names in cnnlint.HOMES.items() if name in names)


def explained(module: str, name: str) -> str:
    """Return the first sentence of what the code says about a public name."""
    value = getattr(cnnlint, name)
    if isinstance(value, type) or inspect.isfunction(value):
        text = value.__doc__ or ""
    else:  # a constant is explained by the string that follows it
        body = ast.parse(inspect.getsource(import_module(module))).body
        at = next(index for index, part in enumerate(body) if name in named_by(part))
        text = str(ast.literal_eval(body[at + 1].value))
    return first_sentence(text).replace("|", "\\|")


def named_by(part: ast.stmt) -> set[str]:
    """Return the names that a statement assigns."""
    targets = part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def first_sentence(text: str) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


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


def pages_with_blocks() -> list[Path]:
    """Return the pages that people write and that hold blocks to fill."""
    written = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]
    return [path for path in written if BLOCK.search(path.read_text(encoding="utf-8"))]


def filled(path: Path) -> str:
    """Return the text of the page at `path` with its blocks filled anew; those that differ by rounding alone stay."""

    def fill(block: re.Match[str]) -> str:
        text = block["text"]
        if block["command"]:
            new = transcript(block["command"])
        elif block["inputs"]:
            new = input_table(ROOT / block["inputs"])
        else:
            tables = {"budgets": budget_table, "limits": limit_table, "targets": target_tables}
            new = next(table() for name, table in tables.items() if block[name])
        kept = text if ROUNDING.sub(" ", new) == ROUNDING.sub(" ", text) else new
        return block[0].replace(text, kept) if text else block[0].replace("<!-- end -->", f"{kept}<!-- end -->")

    return BLOCK.sub(fill, path.read_text(encoding="utf-8"))


def budget_table() -> str:
    """Return the table of what can be budgeted."""
    rows = [
        f"| `{name.replace('_', '-')}` | `--max-{name.replace('_', '-')} {quantity.example}` | {quantity.help} |"
        for name, quantity in QUANTITIES.items()
    ]
    return "\n".join(["| Key | Option | What is limited |", "|---|---|---|", *rows, ""])


def input_table(pipeline: Path) -> str:
    """Return the table of the inputs of the action or of the template, as it describes them itself."""
    declared = next(yaml.safe_load_all(pipeline.read_text(encoding="utf-8")))
    inputs = declared.get("spec", declared)["inputs"]
    defaults = {name: f"`{each['default']}`" if each["default"] else "" for name, each in inputs.items()}
    rows = [f"| `{name}` | {defaults[name]} | {each['description']} |" for name, each in inputs.items()]
    return "\n".join(["| Input | Default | What it is |", "|---|---|---|", *rows, ""])


def limit_table() -> str:
    """Return the table of the constants of `cnnlint/limits.py`, each with what stands beside it there."""
    body = ast.parse(inspect.getsource(limits)).body
    rows = list[str]()
    for part, said in pairwise(body):
        names = list(constants(part))
        if names and isinstance(said, ast.Expr):
            numbers = ", ".join(f"{getattr(limits, name):,}" for name in names)
            rows.append(f"| `{'`, `'.join(names)}` | {numbers} | {' '.join(ast.literal_eval(said.value).split())} |")
    return "\n".join(["| Limit | | What it is |", "|---|---:|---|", *rows, ""])


def target_tables() -> str:
    """Return what is documented of each runtime, release by release, and where."""
    lines = list[str]()
    for known in map(runtime, runtimes()):
        domains = list(known.releases[-1].opsets)
        lines += [f"### {known.name}", ""]
        lines += [f"| Releases | IR version | {' | '.join(f'opset of {domain}' for domain in domains)} |"]
        lines += [f"|---|{'---:|' * (1 + len(domains))}"]
        for (ir, opsets), group in groupby(known.releases, lambda each: (each.ir, each.opsets)):
            names = [each.release for each in group]
            named = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
            lines.append(f"| {named} | {ir} | {' | '.join(str(opsets[domain]) for domain in domains)} |")
        oldest = ", ".join(f"{version} of {domain}" for domain, version in known.oldest.items())
        lines += ["", f"The oldest opsets that all releases support: {oldest}. Sources:", ""]
        for source in known.sources:
            text = f"- [{source.title}]({source.url}): {' '.join(source.says.split())}."
            lines += textwrap.wrap(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        lines.append("")
    return "\n".join(lines)


def constants(part: ast.stmt) -> Iterator[str]:
    """Yield the constants that a statement names, several where it assigns a tuple."""
    for target in part.targets if isinstance(part, ast.Assign) else ():
        for name in target.elts if isinstance(target, ast.Tuple) else (target,):
            if isinstance(name, ast.Name) and name.id.isupper() and len(name.id) > 1:
                yield name.id


def transcript(command: str) -> str:
    """Run `command`, a call of cnnlint, at the top of the repository and return what a terminal would show."""
    call, _, pipe = command.partition(" | head -n ")
    arguments = shlex.split(call)[1:]
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    done = subprocess.run(
        [sys.executable, "-m", "cnnlint", *arguments],
        cwd=ROOT,
        env={**environment, "NO_COLOR": "1", "COLUMNS": "100", "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    lines = [line.rstrip() for line in done.stdout.rstrip().splitlines()][: int(pipe) if pipe else None]
    if done.returncode:
        lines += ["$ echo $?", str(done.returncode)]
    return "\n".join(["```console", f"$ {command}", *lines, "```", ""])


def stale_blocks() -> list[str]:
    """Return the pages whose blocks are out of date."""
    return [path.name for path in pages_with_blocks() if filled(path) != path.read_text(encoding="utf-8")]


def write_blocks() -> None:
    """Fill all blocks."""
    for path in pages_with_blocks():
        path.write_text(filled(path), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if "--check" in sys.argv:
        if found := [*stale(), *stale_blocks()]:
            sys.exit(f"stale: {', '.join(found)}; run python docs/generate.py")
    else:
        write()
        write_blocks()
