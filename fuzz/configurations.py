"""Configurations as anybody may write them: right and wrong keys, values of all types, globs, ignores, damaged TOML."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from fuzz import values

CODES = ("FC001", "FC", "ALL", "BN", "flatten-dense-dominates", "CV001", "RT006", "CF004", "XX999", "fc001", "*", "F",
         "FC004", "large-kernel")  # fmt: skip
GLOBS = ("*", "*.onnx", "model.onnx", "models/*.onnx", "**", "**/*.onnx", "[", "[!]", "[a-", "?", "", ".", "..", "../*",
         "/", "/*", "a" * 3000, "*" * 300, "**/" * 100, "{a,b}", "!x", "~", "*#*", "model.onnx#fc*", "*#[", "#", "#*",
         "*" + "a*" * 40)  # fmt: skip
IGNORES = ("FC001", "FC001: historical", "FC001: historical (until 2027-01)", "FC001: x (until 2027-13-45)", "FC001:",
           ": reason", "FC001: (until )", "FC001: x (until 0000-00)", "ALL: everything (until 1999-01)")  # fmt: skip
AMOUNTS = ("5M", "5 M", "20 MiB", "50%", "-1", "0", "1e400", "NaN", "1_000", "5 parsecs", "", "9" * 400, "1.5", "1.5.5",
           "inf", "10**9", "0x10", "１２", "5 M M")  # fmt: skip
SHAPES = ("1x3x224x224", "1x3", "x", "", "0x0", "-1x3", "1x3x" + "9" * 30, "1×3×8×8", "a", "1x" * 300 + "1", "1x3x1e3")
RULES = ("FC001", "flatten-dense-dominates", "CV001", "BN004", "FC005", "XX999", "AC001")
VERSIONS = (">=0.1", ">=0.1,<1", ">=99", "~=0.1.0", "==0.1.*", "0.1", ">=0.1,", "", ">=" + "9" * 4500, ">=" + "1." * 40)
OPTIONS = ("min-share", "max-hidden", "min_share", "min-layers", "orders", "x", "", "allowed")


def draw(random: Random) -> bytes:
    """Return a cnnlint.toml."""
    keys = list(VALUES)
    lines = list[str]()
    for key in random.sample(keys, random.randint(0, 5)):
        written = VALUES[key](random) if random.random() < 0.85 else anything(random)
        lines.append(f"{key if random.random() < 0.97 else _quoted(values.word(random))} = {written}")
    if random.random() < 0.3:
        lines += ["[per-model-ignores]"]
        lines += [f"{_quoted(random.choice(GLOBS))} = {_several(random, IGNORES)}" for _ in range(random.randint(1, 3))]
    for _ in range(random.choice((0, 0, 1, 2))):
        lines += ["[[budgets]]"]
        lines += [f"{key} = {_budget(random, key)}" for key in random.sample(BUDGETS, random.randint(0, 3))]
    for _ in range(random.choice((0, 0, 1, 2))):
        lines += [f"[rules.{_quoted(random.choice(RULES))}]"]
        lines += [f"{_quoted(random.choice(OPTIONS))} = {anything(random)}"]
    if random.random() < 0.05:
        lines += [random.choice(lines or ["select = []"])] * random.choice((1, 2, 500))
    if random.random() < 0.02:
        deep = random.choice((50, 1000, 20_000))
        lines += [f"deep = {'[' * deep}{']' * deep}" if random.random() < 0.5 else f"a{'.a' * deep} = 1"]
    text = "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"
    return values.damaged(random, text) if random.random() < 0.1 else text


def anything(random: Random) -> str:
    """Return a value of any type."""
    way = random.randrange(8)
    if way == 0:
        return str(values.integer(random))
    if way == 1:
        return random.choice(("1.5", "nan", "inf", "-inf", "1e400", "-0.0", "9" * 4500))
    if way == 2:
        return _quoted(values.word(random))
    if way == 3:
        return random.choice(("true", "false", "2020-01-01", "12:00:00", "[]", "{}", "1979-05-27T07:32:00Z", '""'))
    if way == 4:
        return f"[{', '.join(anything(random) for _ in range(random.randint(0, 3)))}]"
    if way == 5:
        return f"{{{_quoted(values.word(random))} = {anything(random)}}}"
    return _quoted(random.choice(CODES + GLOBS + IGNORES + AMOUNTS))


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=True).replace("\\ud83d\\ude00", "\\U0001f600")


def _several(random: Random, words: tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(random.choice(words)) for _ in range(random.randint(0, 3)))}]"


def _word(words: tuple[str, ...]) -> Callable[[Random], str]:
    return lambda random: _quoted(random.choice(words))


def _list(words: tuple[str, ...]) -> Callable[[Random], str]:
    return lambda random: _several(random, words)


def _table(words: tuple[str, ...], said: tuple[str, ...]) -> Callable[[Random], str]:
    return lambda random: f"{{{_quoted(random.choice(words))} = {_quoted(random.choice(said))}}}"


def _budget(random: Random, key: str) -> str:
    if random.random() < 0.1:
        return anything(random)
    if key == "models":
        return _quoted(random.choice(GLOBS)) if random.random() < 0.6 else _several(random, GLOBS)
    return _quoted(random.choice(AMOUNTS)) if random.random() < 0.7 else str(values.integer(random))


VALUES: dict[str, Callable[[Random], str]] = {
    "select": _list(CODES),
    "extend-select": _list(CODES),
    "ignore": _list(CODES),
    "severity": _table(CODES, ("info", "warning", "error", "fatal", "")),
    "fail-on": _word(("info", "warning", "error", "never", "always")),
    "pedantic": lambda random: random.choice(("true", "false")),
    "preview": lambda random: random.choice(("true", "false")),
    "required-version": _word(VERSIONS),
    "static": lambda random: random.choice(("true", "false")),
    "model-ignores": lambda random: random.choice(("true", "false")),
    "inputs": _table(("x", "input", "data", ""), SHAPES),
    "per-model-inputs": lambda random: (
        f"{{{_quoted(random.choice(GLOBS))} = {_table(('x', 'input'), SHAPES)(random)}}}"
    ),
    "per-model-ignores": _table(GLOBS, IGNORES),
    "rule-files": _list(("missing.py", "", ".", "../x.py", "model.onnx", "\x00", "*.py")),
    "rules": _table(RULES, OPTIONS),
    "tool": lambda random: f"{{cnnlint = {anything(random)}}}",
    "selct": _list(CODES),
}
"""Keys at the top, and what draws their values; the last two are wrong."""

BUDGETS = ["models", "params", "macs", "weight-bytes", "file-bytes", "peak-activation-bytes", "layers", "layer-share",
           "message", "parms"]  # fmt: skip
