"""A repository of models lives through it: adopted, regressed, excused, mended, reminded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml

import networks
from acceptance.command import MODELS, ROOT
from acceptance.command import cnnlint as run
from acceptance.pipelines import Action, clean_environment, executable
from cnnlint.linting import linter
from repositories import commit_all, git

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are scripts of a POSIX shell")


class Team:
    """A repository, with pre-commit and the action as its users have them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temp = folder / "repository", folder / "machine"
        self.temp.mkdir()
        (self.folder / "models").mkdir(parents=True)
        git(self.folder, "init", "-q", "-b", "main")
        bin_ = self.temp / "bin"
        bin_.mkdir()
        executable(bin_ / "cnnlint", f'exec {sys.executable} -m cnnlint "$@"')
        hook = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))[0]
        assert hook["id"] == "cnnlint"
        # the hook as it is shipped, without the environment that pre-commit would install it into
        hook |= {"language": "system", "args": ["--static"]}
        config = {"repos": [{"repo": "local", "hooks": [hook]}]}
        (self.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**clean_environment(), "PATH": path, "PRE_COMMIT_HOME": str(self.temp / "home")}

    def pre_commit(self) -> subprocess.CompletedProcess[str]:
        """Stage everything and run the hooks, as `git commit` would."""
        git(self.folder, "add", "-A")
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--color", "never"], cwd=self.folder, env=self.environment,
            capture_output=True, encoding="utf-8", check=False, timeout=120,
        )  # fmt: skip

    def action(self, args: str = "--static") -> tuple[bool, str]:
        """Return whether the job of the action fails, and its report."""
        done = Action(self.folder, self.temp / "runner").run(args=args, python_version="", comment="false")
        return done.failed, done.summary + done.log

    def known(self) -> set[tuple[str, str]]:
        """Return the model and the rule of each entry of the baseline."""
        content = json.loads((self.folder / "cnnlint-baseline.json").read_text(encoding="utf-8"))
        return {(entry["model"], entry["rule"]) for entry in content["findings"]}


SOUND = "INPUT 3x32x32 -> [CONV 16 3x3 -> RELU -> CONV 16 3x3 -> RELU -> POOL 2]*2 -> GAP -> FC 10 -> SOFTMAX"
CONSTANT = SOUND.replace("FC 10", "FC 1")
"""A softmax over one unit is 1 whatever the network saw: HD001, an error."""


def test_a_team_adopts_cnnlint_and_lives_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pre_commit")
    team = Team(tmp_path)
    models = team.folder / "models"
    (models / "smelly.onnx").write_bytes((MODELS / "smelly.onnx").read_bytes())
    networks.write(models / "ours.onnx", SOUND)
    assert run(".", "--static", cwd=team.folder).returncode == 1, "there is something to adopt"

    # adopted: what is there is known, in the hook and in the action
    assert run("init", "--static", cwd=team.folder).returncode == 0
    before = team.known()
    assert ("models/smelly.onnx", "HD001") in before
    hook = team.pre_commit()
    assert hook.returncode == 0, hook.stdout
    assert team.action()[0] is False
    commit_all(team.folder)

    # a regression is planted
    networks.write(models / "ours.onnx", CONSTANT)
    hook = team.pre_commit()
    assert hook.returncode == 1
    assert "error[HD001]" in hook.stdout
    assert "smelly.onnx" not in hook.stdout, "what is known is not told again"
    failed, told = team.action()
    assert failed
    assert "HD001" in told
    assert "file=models/ours.onnx,line=1,title=HD001" in told

    # it is excused, with a reason and a date
    configuration = team.folder / "cnnlint.toml"
    text = configuration.read_text(encoding="utf-8")
    excuse = '\n[per-model-ignores]\n"models/ours.onnx" = ["HD001: the service divides by it (until {})"]\n'
    configuration.write_text(text + excuse.format("2099-01"), encoding="utf-8")
    hook = team.pre_commit()
    assert hook.returncode == 0, hook.stdout
    failed, told = team.action()
    assert not failed
    assert "1 suppressed" in told
    commit_all(team.folder)

    # the old model is mended: the baseline shrinks, and CI insists on it
    networks.write(models / "smelly.onnx", SOUND)
    assert team.action()[0] is False
    failed, told = team.action("--static --ratchet=check")
    assert failed
    assert "no longer found" in told
    assert run(".", "--static", "--ratchet", cwd=team.folder).returncode == 0
    after = team.known()
    assert after < before
    assert ("models/smelly.onnx", "HD001") not in after
    assert team.action("--static --ratchet=check")[0] is False
    commit_all(team.folder)

    # the excuse runs out: with time, and in the hook and the action by its date
    class Later(date):
        @classmethod
        def today(cls) -> Later:
            return cls(2099, 2, 1)

    with monkeypatch.context() as patch:
        patch.setattr(linter, "date", Later)
        late = run(".", "--static", cwd=team.folder)
    assert late.returncode == 1
    assert "HD001" in late.stdout
    assert "2099-02-01" in late.stdout
    configuration.write_text(text + excuse.format("2020-01"), encoding="utf-8")
    failed, told = team.action()
    assert failed
    assert "has not been honored since 2020-02-01" in told
    networks.write(models / "ours.onnx", CONSTANT.replace("CONV 16 3x3 -> RELU -> POOL", "CONV 8 3x3 -> RELU -> POOL"))
    hook = team.pre_commit()
    assert hook.returncode == 1
    assert "error[HD001]" in hook.stdout
