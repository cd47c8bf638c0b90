"""The language server, driven over its streams as an editor does."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from acceptance.command import cnnlint
from analyzer.editing import project
from analyzer.editing.editor import Editor

pytest.importorskip("pygls", reason="pygls is not installed")

BROKEN = {
    "net.py": """
        from pathlib import Path


        def make():
            Path("ran").touch()
            return inner()


        def inner():
            raise ValueError("no network today")
    """,
    "cnnlint.toml": """
        [[definitions]]
        name = "net"
        factory = "net.py:make"
    """,
}
"""A project that needs no framework, and leaves a trace when it is run."""


def codes(diagnostics: list[dict[str, Any]]) -> list[str]:
    return sorted(each["code"] for each in diagnostics)


@pytest.mark.tf
def test_an_editor_shows_findings_layers_and_the_ignore_on_the_lines_of_the_definition(tmp_path):
    folder = project.write(tmp_path / "project")
    blocks, line, text = project.SMELL
    with Editor(folder, trusted=True) as editor:
        assert editor.capabilities["hoverProvider"]
        for name in ("train.py", blocks):
            editor.open(name)

        found = {each["code"]: each for each in editor.diagnostics(blocks)}
        smell = found["BN002"]  # four layers have it, which one line makes
        source = (folder / blocks).read_text(encoding="utf-8").splitlines()[line - 1]
        start, end = smell["range"]["start"], smell["range"]["end"]
        assert (start["line"], end["line"]) == (line - 1, line - 1)
        assert source[start["character"] : end["character"]].startswith(text.partition("(x)")[0])
        assert smell["source"] == "cnnlint"
        called = [
            (each["location"]["uri"], each["location"]["range"]["start"]["line"] + 1)
            for each in smell["relatedInformation"]
        ]
        assert called == [(editor.uri(name), number) for name, number in project.CALLERS]

        said = hover(editor, blocks, line)
        for fact in ("8×32×32", "(8 × 3 × 3 × 3) + 8 = 224", "4 layers"):
            assert fact in said
        head = hover(editor, "train.py", 12)
        assert "(10 × 16) + 10 = 170" in head
        assert hover(editor, "train.py", 1) == ""

        (action,) = actions(editor, blocks, smell)
        assert (action["title"], action["kind"]) == ("Ignore BN002 on this line", "quickfix")
        whole = (folder / blocks).read_text(encoding="utf-8")
        ignored = applied(whole, action["edit"]["changes"][editor.uri(blocks)])
        assert ignored == whole.replace(source, f"{source}  # cnnlint: ignore[BN002] TODO: say why")
        (folder / blocks).write_text(ignored, encoding="utf-8")
        editor.save(blocks, ignored)
        assert "BN002" not in codes(editor.diagnostics(blocks))
        lacking = ignored.replace(" TODO: say why", "")
        (folder / blocks).write_text(lacking, encoding="utf-8")
        editor.save(blocks, lacking)
        again = {each["code"]: each for each in editor.diagnostics(blocks)}
        assert again["CF002"]["range"]["start"] == {"line": line - 1, "character": len(source) + 2}
        assert actions(editor, blocks, again["CF002"]) == []
        (action,) = actions(editor, blocks, again["BN002"])
        assert applied(lacking, action["edit"]["changes"][editor.uri(blocks)]) == ignored
        (folder / blocks).write_text(whole, encoding="utf-8")
        editor.save(blocks, whole)
        editor.diagnostics(blocks)

        mended = project.edit(folder, blocks, 'padding="same")', 'padding="same", use_bias=False)')
        editor.save(blocks, mended)
        assert "BN002" not in codes(editor.diagnostics(blocks))
        editor.save("train.py", project.edit(folder, "train.py", "CLASSES = 10", "CLASSES = 1"))
        assert "HD001" in codes(editor.diagnostics("train.py"))  # the module is imported anew
        editor.save("train.py", project.edit(folder, "train.py", "CLASSES = 1", "CLASSES = 20"))
        assert "HD001" not in codes(editor.diagnostics("train.py"))


def actions(editor: Editor, name: str, diagnostic: dict[str, Any]) -> list[dict[str, Any]]:
    return editor.ask(
        "textDocument/codeAction",
        textDocument={"uri": editor.uri(name)},
        range=diagnostic["range"],
        context={"diagnostics": [diagnostic]},
    )


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """Return what an editor makes of a text of ASCII."""
    (edit,) = edits
    lines = text.splitlines(keepends=True)
    at, begin, end = edit["range"]["start"]["line"], edit["range"]["start"], edit["range"]["end"]
    assert end["line"] == at
    lines[at] = f"{lines[at][: begin['character']]}{edit['newText']}{lines[at][end['character'] :]}"
    return "".join(lines)


def hover(editor: Editor, name: str, line: int) -> str:
    found = editor.ask(
        "textDocument/hover",
        textDocument={"uri": editor.uri(name)},
        position={"line": line - 1, "character": 4},
    )
    return "" if found is None else found["contents"]["value"]


def test_no_code_runs_before_the_user_has_said_so(tmp_path):
    folder = project.write(tmp_path / "project", BROKEN)
    with Editor(folder) as editor:
        question = editor.wait(lambda message: message.get("method") == "window/showMessageRequest")
        assert str(folder / "cnnlint.toml") in question["params"]["message"]
        assert not (folder / "ran").exists()
        editor.answer(question, {"title": "Not now"})
        editor.open("net.py")
        editor.save("net.py", (folder / "net.py").read_text(encoding="utf-8"))
        assert hover(editor, "net.py", 1) == ""  # it has come to the save by now
        time.sleep(0.5)
        assert not (folder / "ran").exists()


def test_an_error_of_the_users_code_stands_on_its_line_and_goes_when_it_is_mended(tmp_path):
    folder = project.write(tmp_path / "project", BROKEN)
    with Editor(folder) as editor:
        question = editor.wait(lambda message: message.get("method") == "window/showMessageRequest")
        editor.answer(question, {"title": "Run them"})
        (error,) = editor.diagnostics("net.py")
        assert error["range"]["start"]["line"] + 1 == 10
        assert "make raises ValueError: no network today" in error["message"]
        assert error["severity"] == 1
        assert (folder / "ran").exists()
        editor.open("net.py")
        editor.save("net.py", project.edit(folder, "net.py", "return inner()", "return 7"))
        (error,) = editor.diagnostics("net.py")
        assert error["range"]["start"]["line"] + 1 == 4  # where make is defined
        assert "int" in error["message"]
        (folder / "cnnlint.toml").write_text("", encoding="utf-8")
        editor.tell("textDocument/didSave", textDocument={"uri": editor.uri("cnnlint.toml")})
        assert editor.diagnostics("net.py") == []


def test_a_wrong_configuration_is_told_and_the_server_lives_on(tmp_path):
    folder = project.write(tmp_path / "project", BROKEN)
    with Editor(folder, trusted=True) as editor:
        assert editor.diagnostics("net.py")
        good = (folder / "cnnlint.toml").read_text(encoding="utf-8")
        (folder / "cnnlint.toml").write_text("definitons = 1\n", encoding="utf-8")
        editor.tell("textDocument/didSave", textDocument={"uri": editor.uri("cnnlint.toml")})
        told = editor.wait(lambda message: message.get("method") == "window/showMessage")
        assert "definitons" in told["params"]["message"]
        (folder / "cnnlint.toml").write_text(good, encoding="utf-8")
        editor.tell("textDocument/didSave", textDocument={"uri": editor.uri("cnnlint.toml")})
        assert editor.diagnostics("net.py")


def test_a_workspace_that_defines_nothing_is_left_alone(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    with Editor(folder) as editor:
        (folder / "net.py").write_text("x = 1\n", encoding="utf-8")
        editor.open("net.py")
        editor.save("net.py", "x = 2\n")
        assert hover(editor, "net.py", 1) == ""
        assert not [message for message in editor.seen() if "method" in message]


def test_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygls", None)
    done = cnnlint("server", cwd=Path.cwd())
    assert done.returncode == 2
    assert "cnnlint[server]" in done.stderr
