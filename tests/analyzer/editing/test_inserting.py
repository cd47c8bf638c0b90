"""Ignores written into code."""

from __future__ import annotations

import ast
import os
import stat
import sys
import textwrap
import tokenize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance.command import cnnlint as command
from analyzer.definitions import test_lines
from analyzer.definitions.test_comments import comment
from analyzer.definitions.test_lines import NET, net
from cnnlint.definitions.comments import Code
from cnnlint.editing.inserting import changed, insertion

tree = test_lines.tree


def after(text: str, line: int, made: set[int], codes: list[str], reason: str = "why") -> str | None:
    """The text after an ignore was put in; None if none was."""
    code = Code(text)
    put = insertion(code, line, made, codes, reason)
    return None if put is None else changed(code, text, [put])


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ("x = f(1)\n", "x = f(1)  # cnnlint: ignore[FC001] why\n"),
        ("x = f(1)", "x = f(1)  # cnnlint: ignore[FC001] why"),
        ("x = f(1)  \t\r\ny = 1\r\n", "x = f(1)  # cnnlint: ignore[FC001] why\r\ny = 1\r\n"),
        ("x = f(1)  # the head\n", "x = f(1)  # the head  # cnnlint: ignore[FC001] why\n"),
        ("x = f(1)  # noqa: E501\n", "x = f(1)  # noqa: E501  # cnnlint: ignore[FC001] why\n"),
        ("x = f('#')\n", "x = f('#')  # cnnlint: ignore[FC001] why\n"),
        ("x = f(1)  # cnnlint: ignore[BN001] why\n", "x = f(1)  # cnnlint: ignore[BN001, FC001] why\n"),
        ("x = f(1)  # cnnlint: ignore[BN001] why  # noqa\n", "x = f(1)  # cnnlint: ignore[BN001, FC001] why  # noqa\n"),
        ("x = f(1)  # cnnlint: ignore[BN001] old\n",
         "x = f(1)  # cnnlint: ignore[BN001] old  # cnnlint: ignore[FC001] why\n"),
        ("x = f(1)  # cnnlint: ignore[FC001]\n", "x = f(1)  # cnnlint: ignore[FC001] why\n"),
        ("x = f(1)  # cnnlint: ignore[FC001] why\n", None),
        ("x = f(\n    1,\n)\n", "x = f(  # cnnlint: ignore[FC001] why\n    1,\n)\n"),
        ("x = f(\n    1,\n)  # cnnlint: ignore[BN001] why\n",
         "x = f(\n    1,\n)  # cnnlint: ignore[BN001, FC001] why\n"),
        ("x = f('''\n''')(y)\n", "x = f('''\n''')(y)  # cnnlint: ignore[FC001] why\n"),
        ("x = f(1) + \\\n    y\n", "x = f(1) + \\\n    y  # cnnlint: ignore[FC001] why\n"),
        ("x = f('a\\\nb')\n", "x = f('a\\\nb')  # cnnlint: ignore[FC001] why\n"),
        ("x = f(f'''{1}\n{2}''')\n", "x = f(f'''{1}\n{2}''')  # cnnlint: ignore[FC001] why\n"),
        ("if f(1): \\\n  x = 1\n", "if f(1): \\\n  x = 1  # cnnlint: ignore[FC001] why\n"),
    ],
)  # fmt: skip
def test_an_ignore_is_put_at_the_end_of_the_line_or_where_it_has_room(before, then):
    assert after(before, 1, {1}, ["FC001"]) == then
    if then is not None:
        assert after(then, 1, {1}, ["FC001"]) is None


def test_a_line_whose_comment_would_speak_for_others_is_left():
    text = "x = f(1) + \\\n    f(2)\n"
    assert after(text, 1, {1, 2}, ["FC001"]) is None
    assert after(text, 2, {1, 2}, ["FC001"]) == "x = f(1) + \\\n    f(2)  # cnnlint: ignore[FC001] why\n"


def calls() -> st.SearchStrategy[str]:
    """Expressions that call, with what makes the end of a line unfit for a comment."""
    leaves = st.sampled_from(
        ["x", "1", "'#'", '"a # b"', "'''a\n# b\n'''", 'f"""{x}\n# {x}"""', "r'\\\\'", "'a\\\nb'", "[]"]
    )
    spaces = st.sampled_from(
        ["", " ", "\n", "\n    ", "  # remark\n", "\\\n", " \t", "  # cnnlint: ignore[BN001] why\n"]
    )

    def call(arguments: list[str], gaps: list[str]) -> str:
        inner = ",".join(f"{gap}{each}" for gap, each in zip(gaps, arguments, strict=False))
        return f"f({inner}{gaps[-1]})"

    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(call, st.lists(inner, min_size=1, max_size=3), st.lists(spaces, min_size=4, max_size=4))
            | st.builds("{}(x)".format, st.builds("g({})".format, inner))
            | st.builds("({} + {})".format, inner, inner)
        ),
        max_leaves=8,
    )


@given(
    statements=st.lists(st.tuples(st.sampled_from(["x = {}", "if {}: y = 1", "with {} as x: \\\n  pass",
                                                   "def h(a={}):\n    return a", "x = (\n{}\n)  # why"]), calls()),
                       min_size=1, max_size=4),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    codes=st.lists(st.sampled_from(["FC001", "BN001", "AC005"]), min_size=1, unique=True),
    reason=st.sampled_from(["why", "größer, see #12", "once (until 2099-01)"]),
    last=st.booleans(),
)  # fmt: skip
def test_nothing_but_comments_changes_and_each_speaks_for_its_line(statements, ends, codes, reason, last):
    text = "\n".join(form.format(call) for form, call in statements) + ("\n" if last else "")
    text = text.replace("\n", ends)
    code = Code(text)
    if code.tree is None:  # a comment or a backslash where none can be
        return
    made = {node.lineno for node in ast.walk(code.tree) if isinstance(node, ast.Call)}
    for line in sorted(made):
        put = insertion(Code(text), line, made, codes, reason)
        if put is None:
            continue
        then = changed(Code(text), text, [put])
        assert then is not None
        new = Code(then)
        assert ast.dump(ast.parse(then), include_attributes=True) == ast.dump(ast.parse(text), include_attributes=True)
        assert [each.string for each in new.tokens if each.type != tokenize.COMMENT] == [
            each.string for each in Code(text).tokens if each.type != tokenize.COMMENT
        ]
        speaking = [each for each in new.comments if new.spoken_for(each.line, made) == {line}]
        assert {*codes} <= {code for each in speaking if each.reason == reason for code in each.selectors}
        kept = [each for each in new.comments if each.line != put.line]
        assert kept == [each for each in Code(text).comments if each.line != put.line]
        assert insertion(new, line, made, codes, reason) is None
        text = then


@pytest.fixture
def model(tree, tmp_path) -> str:
    return net(tmp_path, "/build/nets/small.py")


def test_the_command_writes_what_it_finds_and_the_next_run_finds_nothing(tree, model):
    path = tree / "nets" / "small.py"
    path.chmod(0o750)
    wanted = ("--static", "--select", "FC001,AC005", model)
    done = command(*wanted, "--add-ignore", "as published", cwd=tree)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nets/small.py:6: # cnnlint: ignore[AC005, FC001] as published\n"
    assert "ignores written on 1 line of 1 file" in done.stderr
    line = "        return self.act(self.conv(x))"
    assert path.read_text() == NET.replace(line, f"{line}  # cnnlint: ignore[AC005, FC001] as published")
    assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o750
    assert os.listdir(path.parent) == ["small.py"]
    stamp = path.stat().st_mtime_ns
    again = command(*wanted, "--add-ignore", "as published", cwd=tree)
    assert (again.returncode, again.stdout, path.stat().st_mtime_ns) == (0, "", stamp)
    assert "no findings" in command(*wanted, cwd=tree).stdout


def test_budgets_and_what_cnnlint_says_of_ignores_are_not_written(tree, model):
    comment(tree, "# cnnlint: ignore[PL001] there was a pooling")
    done = command("--static", "--select", "PL001", "--max-params", "10", model, "--add-ignore", "why", cwd=tree)
    assert (done.returncode, done.stdout) == (0, "")


def test_findings_without_a_line_are_counted(tree, tmp_path):
    done = command("--static", net(tmp_path, "/x/other.py"), "--select", "FC001", "--add-ignore", "why", cwd=tree)
    assert (done.returncode, done.stdout) == (0, "")
    assert "1 finding stands on no line of code" in done.stderr


def test_a_file_in_another_encoding_keeps_it_or_is_left(tree, model):
    path = tree / "nets" / "small.py"
    text = f"# coding: latin-1\n# größer\n{NET.partition(chr(10))[2]}".replace("\n\n\nclass", "\n\nclass")
    path.write_bytes(text.encode("latin-1"))
    assert text.splitlines()[5].strip() == "return self.act(self.conv(x))"
    wanted = ("--static", "--select", "FC001", model, "--add-ignore")
    refused = command(*wanted, "→ so", cwd=tree)
    assert refused.returncode == 2
    assert "its encoding, iso-8859-1, cannot hold the reason" in refused.stderr
    assert path.read_bytes() == text.encode("latin-1")
    assert command(*wanted, "größer", cwd=tree).returncode == 0
    assert "# cnnlint: ignore[FC001] größer\n".encode("latin-1") in path.read_bytes()


def test_a_line_that_takes_no_comment_is_named_and_the_file_stays(tree, tmp_path):
    path = tree / "nets" / "small.py"
    text = NET.replace("return self.act(self.conv(x))", "return self.act(self.conv(x)) + \\\n            self.fc(x)")
    path.write_text(text)
    model = net(tmp_path, "/b/nets/small.py", line=[(6, "return self.act(self.conv(x)) + \\"), (7, "self.fc(x)")])
    done = command("--static", model, "--select", "AC005", "--add-ignore", "why", cwd=tree)
    assert done.returncode == 2
    assert "nets/small.py:6: the ignore is not written: no comment can stand there" in done.stderr
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--add-ignore", " "), "is no reason that a comment can hold"),
        (("--add-ignore", "a\nb"), "is no reason that a comment can hold"),
        (("--add-ignore", "why # not"), "is no reason that a comment can hold"),
        (("--add-ignore", "why (until soon)"), "'soon' is not a date"),
        (("--add-ignore", "why", "--watch"), "--add-ignore and --watch contradict each other"),
        (("--add-ignore", "why", "--no-model-ignores"), "contradict each other"),
    ],
)
def test_what_cannot_be_written_is_an_error(tree, model, given, words):
    done = command(model, *given, cwd=tree)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.tf
def test_a_definition_gets_its_ignores_on_the_lines_that_make_the_layers(tmp_path):
    source = textwrap.dedent(
        '''
        import keras
        from keras import layers


        def make():
            image = keras.Input((8, 8, 3))
            x = layers.Conv2D(
                8, 3, padding="same", name="""one""")(image)
            x = layers.BatchNormalization()(x)
            x = layers.Flatten()(layers.ReLU()(x))
            return keras.Model(image, layers.Dense(4000)(x))
        '''
    ).lstrip()
    (tmp_path / "net.py").write_text(source)
    done = command("net.py:make", "--select", "BN002,FC001", "--add-ignore", "as published", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = enumerate((tmp_path / "net.py").read_text().splitlines(), 1)
    written = [(at, line.partition("ignore")[2]) for at, line in lines if "cnnlint" in line]
    assert written == [(7, "[BN002] as published"), (11, "[FC001] as published")]
    then = command("net.py:make", "--select", "BN002,FC001", "--format", "json", cwd=tmp_path)
    assert '"findings":[]' in then.stdout
    assert '"suppressed":2' in then.stdout
