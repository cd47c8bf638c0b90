"""Ignores in comments of the code that makes a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cnnlint
from acceptance.command import cnnlint as command
from analyzer.definitions import test_lines
from analyzer.definitions.test_lines import NET, net
from cnnlint.definitions.comments import Code

tree = test_lines.tree

LINE = "        return self.act(self.conv(x))"


def said(text: str) -> list[tuple[int, tuple[str, ...], str]]:
    return [(each.line, each.selectors, each.reason) for each in Code(text).comments]


@pytest.mark.parametrize(
    ("comment", "selectors", "reason"),
    [
        ("# cnnlint: ignore[FC001] trained before", ("FC001",), "trained before"),
        ("#cnnlint:ignore[FC001,BN002]:see issue #12", ("FC001", "BN002"), "see issue #12"),
        ("# noqa: E501  # cnnlint: ignore[FC001] why # type: ignore", ("FC001",), "why"),
        ("# the head # cnnlint: ignore[ FC001 , flatten-dense-dominates ] - why", ("FC001", "flatten-dense-dominates"),
         "why"),
        ("# cnnlint: ignore[FC001] why (until 2027-01)", ("FC001",), "why (until 2027-01)"),
        ("# cnnlint: ignore[FC001]", ("FC001",), ""),
        ("# cnnlint: ignore[FC001]  # noqa", ("FC001",), ""),
        ("# cnnlint: ignore FC001 why", (), ""),
        ("# cnnlint: ignore[] why", (), "why"),
        ("# cnnlint: disable=FC001", (), ""),
    ],
)  # fmt: skip
def test_a_comment_says_codes_and_a_reason(comment, selectors, reason):
    assert said(f"x = 1  {comment}\n") == [(1, selectors, reason)]


@pytest.mark.parametrize(
    "text",
    [
        'x = "# cnnlint: ignore[FC001] in a string"\n',
        'x = """\n# cnnlint: ignore[FC001] in a string\n"""\n',
        'def f():\n    """Write `# cnnlint: ignore[FC001] reason`."""\n',
        "# what cnnlint says of this: nothing\n",
        "# see docs/cnnlint: ignore[FC001] works\n",
    ],
)
def test_what_is_no_comment_for_cnnlint_says_nothing(text):
    assert said(text) == []


def test_two_ignores_of_a_line_and_those_of_several_lines_are_all_read():
    text = "a = 1  # cnnlint: ignore[FC001] one  # cnnlint: ignore[BN002] two\nb = 2  # cnnlint: ignore[AC001] three\n"
    assert [each[1:] for each in said(text)] == [(("FC001",), "one"), (("BN002",), "two"), (("AC001",), "three")]
    (first, second, _) = Code(text).comments
    assert text.splitlines()[0][first.begin : first.end] == "# cnnlint: ignore[FC001] one"
    assert text.splitlines()[0][second.begin : second.end] == "# cnnlint: ignore[BN002] two"


@pytest.mark.parametrize(
    "content",
    [
        b"x = 1\r\ny = 2  # cnnlint: ignore[FC001] gr\xc3\xb6\xc3\x9fer\r\n",
        b"\xef\xbb\xbfx = 1\ny = 2  # cnnlint: ignore[FC001] gr\xc3\xb6\xc3\x9fer\n",
        b"# -*- coding: latin-1 -*-\ny = 2  # cnnlint: ignore[FC001] gr\xf6\xdfer\n",
        b"x = '\x0c\xe2\x80\xa8'\ny = 2  # cnnlint: ignore[FC001] gr\xc3\xb6\xc3\x9fer",
        b"x = 1\ny = 2  # cnnlint: ignore[FC001] gr\xc3\xb6\xc3\x9fer\nz = (\n",
        b"x = 1\ny = 2  # cnnlint: ignore[FC001] gr\xc3\xb6\xc3\x9fer\nz = '''\n\n",
    ],
    ids=["CRLF", "BOM", "cookie", "separators that end no line", "an open bracket later", "an open string later"],
)
def test_a_file_is_read_as_the_interpreter_reads_it_and_as_far(tmp_path, content):
    (tmp_path / "net.py").write_bytes(content)
    (comment,) = Code.read(str(tmp_path / "net.py")).comments
    assert (comment.line, comment.reason) == (2, "größer")


@pytest.mark.parametrize(
    "content",
    [
        b"# coding: klingon\nx = 1  # cnnlint: ignore[FC001] a\n",
        b"x = 1  # cnnlint: ignore[FC001] \xff\n",
        b"\0cnnlint",
    ],
    ids=["no such encoding", "another encoding", "no text"],
)
def test_a_file_that_cannot_be_read_says_nothing(tmp_path, content):
    (tmp_path / "net.py").write_bytes(content)
    code = Code.read(str(tmp_path / "net.py"))
    assert code.comments == ()
    assert Code.read(str(tmp_path / "none.py")).comments == ()


SPREAD = """\
def make(x):
    x = layers.Conv2D(
        64,
        activation=f(
            3,
        ),
    )(x)
    model = Sequential([
        Conv2D(
            8,
        ),
        Dense(
            10),
    ])
    y = Conv2D(3)(x) + \\
        x
    return Model(
        x, y)
"""


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (2, {2}), (3, {2}), (5, {2}), (7, {2}),  # a call, over all lines that it goes on over
        (9, {9}), (10, {9}), (11, {9}), (12, {12}), (13, {12}),  # each element for itself
        (8, {9, 12}), (14, {9, 12}),  # the list for all its elements
        (15, {15}), (16, {15}),  # over a backslash
        (1, set()), (17, set()), (18, set()),  # makes no layer
    ],
)  # fmt: skip
def test_a_comment_speaks_for_the_nearest_call_else_for_its_statement(line, lines):
    assert Code(SPREAD).spoken_for(line, {2, 9, 12, 15}) == lines


def test_a_comment_in_the_header_of_a_function_speaks_for_the_whole_network_alone():
    code = Code("@wrapped(\n    1)\ndef make(\n    classes=10,\n):\n    return Dense(classes)\n")
    assert code.spoken_for(4, {3, 6}) == {3}
    assert code.spoken_for(5, {3, 6}) == {3}


def comment(tree: Path, remark: str, *, line: str = LINE) -> None:
    """Put a remark on a line of the network's `forward`."""
    assert NET.count(line) == 1
    (tree / "nets" / "small.py").write_text(NET.replace(line, f"{line}  {remark}"))


def lint(path: str, **arguments: object) -> tuple[set[str], int, list[cnnlint.Finding]]:
    (report,) = cnnlint.lint(path, static=True, **arguments)  # type: ignore[arg-type]
    about = [each for each in report.findings if each.code.startswith("CF")]
    return {each.code for each in report.findings}, report.suppressed, about


@pytest.fixture
def model(tree, tmp_path) -> str:
    return net(tmp_path, "/build/nets/small.py")


def test_an_ignore_on_the_line_hides_its_rule_and_no_other(tree, model):
    before, _, _ = lint(model)
    assert {"FC001", "FC002"} <= before
    comment(tree, "# cnnlint: ignore[FC001] trained before")
    codes, suppressed, about = lint(model)
    assert codes == before - {"FC001"}
    assert suppressed == 1
    assert about == []
    assert lint(model, model_ignores=False)[0] == before


def test_one_without_a_reason_or_a_rule_is_not_honored_and_said_on_its_line(tree, model):
    for remark, words in (
        ("# cnnlint: ignore[FC001]", "it gives no reason"),
        ("# cnnlint: ignore[FC0001] old", "FC0001 names no rule (did you mean FC001?)"),
        ("# cnnlint: ignore FC001", "'# cnnlint: ignore FC001' is not of the form"),
        ("# cnnlint: ignore[FC001] old (until soon)", "'soon' is not a date"),
    ):
        comment(tree, remark)
        codes, suppressed, (flaw,) = lint(model)
        assert "FC001" in codes
        assert suppressed == 0
        assert (flaw.code, flaw.places[0].source) == ("CF002", "nets/small.py:6")
        assert words in flaw.message


def test_one_that_has_expired_is_not_honored(tree, model):
    comment(tree, "# cnnlint: ignore[FC001] old (until 2020-01)")
    codes, _, (flaw,) = lint(model)
    assert "FC001" in codes
    assert (flaw.code, flaw.places[0].frames[0].line) == ("CF003", 6)
    assert "nets/small.py:6" in flaw.message


def test_one_that_hides_nothing_is_said_only_where_its_rule_ran_and_its_line_made_layers(tree, model):
    comment(tree, "# cnnlint: ignore[PL001] there was a pooling")
    _, _, (unused,) = lint(model)
    assert (unused.code, unused.places[0].source) == ("CF001", "nets/small.py:6")
    assert lint(model, ignore=["PL001"])[2] == []
    comment(tree, "# cnnlint: ignore[WT001] values are not looked at")
    assert lint(model)[2] == []
    comment(tree, "# cnnlint: ignore[PL001] of another network", line="    return Net()")
    assert lint(model)[2] == []
    comment(tree, "\n        # cnnlint: ignore[PL001] beside no code")
    _, _, (unused,) = lint(model)
    assert unused.places[0].source == "nets/small.py:7"
    assert "no code stands on its line" in unused.message


def test_one_that_is_of_use_to_another_network_of_the_run_is_not_called_unused(tree, tmp_path, model):
    comment(tree, "# cnnlint: ignore[FC001] trained before")
    (tmp_path / "small").mkdir()
    small = net(tmp_path / "small", "/build/nets/small.py", side=1)
    assert [each.code for each in lint(small)[2]] == ["CF001"]
    for jobs in (1, 2):
        reports = cnnlint.lint([model, small], static=True, jobs=jobs)
        assert not any(each.code == "CF001" for report in reports for each in report.findings)
    comment(tree, "# cnnlint: ignore[PL001, FC0001] of use to neither")
    reports = cnnlint.lint([model, small], static=True)
    about = [[each.code for each in report.findings if each.code.startswith("CF")] for report in reports]
    assert about == [["CF001", "CF002"], []]
    (tree / "cnnlint.toml").write_text('[[definitions]]\nname = "net"\nfactory = "nets/small.py:make"\n')
    reports = cnnlint.lint([model, small], static=True)  # not the network for which it may be
    assert [each.code for report in reports for each in report.findings if each.code.startswith("CF")] == ["CF002"]


def test_budgets_hear_no_comment(tree, model):
    comment(tree, "# cnnlint: ignore[ALL] everything", line="def make():")
    comment(tree, "# cnnlint: ignore[ALL] everything")
    done = command("--static", "--max-params", "10", "--format", "json", model, cwd=tree)
    (report,) = json.loads(done.stdout)["models"]
    assert "BG001" in {each["code"] for each in report["findings"]}
    assert done.returncode == 1


def test_a_result_that_is_kept_is_of_no_use_once_a_comment_is_written(tree, model):
    (tree / "cnnlint.toml").write_text("cache = true\n")
    for _ in range(2):
        assert "FC001" in lint(model)[0]
    assert list((tree / ".cnnlint_cache").glob("*.json"))
    comment(tree, "# cnnlint: ignore[FC001] trained before")
    for _ in range(2):
        assert "FC001" not in lint(model)[0]
    (tree / "nets" / "small.py").write_text(NET)
    assert "FC001" in lint(model)[0]


def test_sarif_and_json_show_what_is_ignored_as_the_other_ignores_do(tree, model):
    comment(tree, "# cnnlint: ignore[FC001] trained before")
    log = json.loads(command("--static", "--format", "sarif", model, cwd=tree).stdout)
    assert "FC001" not in {each["ruleId"] for each in log["runs"][0]["results"]}
    (report,) = json.loads(command("--static", "--format", "json", model, cwd=tree).stdout)["models"]
    assert report["suppressed"] == 1
