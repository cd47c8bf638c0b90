"""Code that gives no network: what is said, and where it stops."""

import sys
import time

import pytest

from acceptance.command import cnnlint_process

CODE = """\
import os, signal, sys, time

def needs(classes, width, depth=3): ...
def other(): return {"model": 1}
def nothing(): ...
def never():
    while True:
        time.sleep(0.1)
def leaves(): sys.exit(3)
def chatty():
    print("x" * (1 << 20))
    return other()
def inner(): return 1 / 0
def raises():
    try:
        inner()
    except ZeroDivisionError as error:
        raise ValueError("no such width") from error
def ends(): os._exit(4)
def crashes(): os.kill(os.getpid(), signal.SIGSEGV)
def reads(): return input()
class Plain: ...
value = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "bad.py").write_text(CODE)
    (tmp_path / "lacks.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "wrong.py").write_text("def make(:\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit('no GPU')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def linted(*args):
    return cnnlint_process("lint", "--isolated", "--python", sys.executable, *args)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("bad.py:needs", "needs needs arguments that nobody gives: classes, width (give them as `arguments` of"),
        ("bad.py:other", "other gives a dict, and no Keras model or PyTorch module"),
        ("bad.py:nothing", "nothing gives None, and no Keras model or PyTorch module"),
        ("bad.py:value", "value gives an int, and no Keras model or PyTorch module"),
        ("bad.py:Plain", "Plain gives a bad.Plain, and no Keras model or PyTorch module"),
        ("bad.py:leaves", "leaves calls sys.exit(3)"),
        ("bad.py:chatty", "chatty gives a dict, and no Keras model or PyTorch module"),
        ("bad.py:raises", "raises raises ValueError: no such width"),
        ("bad.py:ends", "the process that ran it ended with exit code 4"),
        ("bad.py:crashes", "the process that ran it was ended by SIGSEGV"),
        ("bad.py:reads", "reads raises EOFError: EOF when reading a line"),
        ("bad.py:othre", "bad.py defines no othre (did you mean other?)"),
        ("lacks.py:make", "lacks.py cannot be imported: ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("wrong.py:make", "wrong.py cannot be imported: SyntaxError: invalid syntax (wrong.py, line 1)"),
        ("leaves.py:make", "leaves.py calls sys.exit('no GPU') when it is imported"),
        ("missing.py:make", "there is no file missing.py"),
        ("no_such_module:make", "no_such_module cannot be imported: ModuleNotFoundError"),
    ],
)
def test_each_way_to_give_no_network_is_a_sentence_and_exit_code_2(named, said, folder):
    done = linted(named)
    assert done.returncode == 2
    assert f"cnnlint: error: {named}: {said}" in done.stderr
    assert "xxx" not in done.stdout + done.stderr
    assert "cnnlint failed" not in done.stderr


def test_the_traceback_is_the_users_own(folder):
    said = linted("bad.py:raises").stderr
    assert 'bad.py", line 13, in inner' in said
    assert "The above exception was the direct cause" in said
    assert 'bad.py", line 18, in raises' in said
    assert "definitions" not in said
    assert "importlib" not in linted("lacks.py:make").stderr


def test_what_never_returns_is_ended_at_the_limit(folder):
    (folder / "forks.py").write_text(
        "import subprocess, sys, time\n"
        "def make():\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    open('pid', 'w').write(str(child.pid))\n"
        "    time.sleep(60)\n"
    )
    began = time.monotonic()
    done = linted("forks.py:make", "--run-timeout", "2")
    assert done.returncode == 2
    assert "forks.py:make: took longer than 2 s (--run-timeout SECONDS allows more)" in done.stderr
    assert time.monotonic() - began < 30
    ended = False
    for _ in range(50):  # what the code started is ended with it
        ended = ended or _is_gone((folder / "pid").read_text())
        time.sleep(0 if ended else 0.1)
    assert ended


def _is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_it_prints_is_apart_from_the_report_and_shown_on_request(folder):
    (folder / "prints.py").write_text("import os\ndef make():\n    print('hello')\n    os.system('echo below')\n")
    quiet, verbose = linted("prints.py:make", "--format", "json"), linted("prints.py:make", "-v", "--format", "json")
    assert "hello" not in quiet.stdout + quiet.stderr
    assert "hello" in verbose.stderr
    assert "below" in verbose.stderr
    assert "hello" not in verbose.stdout


def test_another_interpreter_must_exist(folder):
    done = cnnlint_process("lint", "--python", "nowhere/python", "bad.py:other")
    assert done.returncode == 2
    assert "nowhere/python: there is no such interpreter (--python takes the path of one)" in done.stderr


def test_code_runs_only_for_who_names_it(folder):
    """A configuration with definitions changes nothing for whoever lints a file, or a folder."""
    (folder / "cnnlint.toml").write_text('[[definitions]]\nname = "net"\nfactory = "spy.py:make"\nmodel = "net.onnx"\n')
    (folder / "spy.py").write_text("open('ran', 'w').close()\ndef make(): ...\n")
    networks_write(folder / "net.onnx")
    for words in (["net.onnx"], ["."], ["*.onnx"]):
        assert cnnlint_process("lint", "--static", *words).returncode != 2
    assert not (folder / "ran").exists()
    assert cnnlint_process("lint", "--static", "--definitions").returncode == 2
    assert (folder / "ran").exists()


def networks_write(path):
    import networks

    networks.write(path)


def test_without_models_and_definitions_something_is_missing(folder):
    assert "MODEL... is missing" in cnnlint_process("lint").stderr


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            'name = "a"\nfactory = "net.onnx"',
            "factory: 'net.onnx' names no code (write FILE.py:NAME or dotted.name:NAME)",
        ),
        ('name = "a b"\nfactory = "a.py:b"', "definitions[1].name: expected str matching regex"),
        ('factory = "a.py:b"', "missing required field name"),
        ('name = "a"\nfactory = "a.py:b"\nargument = {}', "unknown key (did you mean arguments?)"),
    ],
)
def test_a_table_that_is_wrong_is_named_with_its_place(table, said, folder):
    (folder / "cnnlint.toml").write_text(f"[[definitions]]\n{table}\n")
    done = cnnlint_process("lint", "--definitions")
    assert done.returncode == 2
    assert said in done.stderr
    assert "cnnlint.toml:" in done.stderr
