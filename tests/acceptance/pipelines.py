"""GitHub Actions and GitLab in miniature: run the steps of our pipelines in a shell, and answer as GitHub's API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import yaml

from acceptance.command import PERSONAL, ROOT

SERVICES = ("GITHUB_", "RUNNER_", "CI_", "GITLAB_", "CNNLINT_")


class Run(NamedTuple):
    """What became of a run.

    Attributes:
        failed: Whether the job fails.
        ran: The steps that ran: their names, with those of other actions in order too.
        outputs: The outputs of the action.
        log: Standard output and standard error of all steps.
        summary: The summary of the job.
        given: What steps that are other actions were given, by the name of the step.
    """

    failed: bool
    ran: list[str]
    outputs: dict[str, str]
    log: str
    summary: str
    given: dict[str, dict[str, str]]


class Action:
    """The action of this repository, as a job in `workspace` runs it.

    Args:
        workspace: The checkout.
        temp: A folder of the runner's, outside of the checkout.
        api: The address of GitHub's API.
        installs: Whether the step that installs cnnlint runs; else the cnnlint of the tests is there already.
    """

    def __init__(self, workspace: Path, temp: Path, *, api: str = "", installs: bool = False) -> None:
        self.workspace, self.temp, self.api, self.installs = workspace, temp, api, installs
        self.declared = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        temp.mkdir(parents=True, exist_ok=True)

    def run(self, *, pull_request: int | None = None, **inputs: str) -> Run:
        """Run the steps with `inputs`, whose names may have underscores for hyphens."""
        given = {name.replace("_", "-"): text for name, text in inputs.items()}
        declared = self.declared["inputs"]
        assert given.keys() <= declared.keys()
        event = {} if pull_request is None else {"pull_request": {"number": pull_request}}
        known: dict[str, Any] = {
            "github": {"event": event, "sha": "5" * 40, "token": "token", "action_path": str(ROOT)},
            "runner": {"os": "Linux", "temp": str(self.temp)},
            "steps": {},
        }
        known["inputs"] = {
            name: expand(given.get(name, each.get("default", "")), known) for name, each in declared.items()
        }
        summary = self.temp / "summary.md"
        summary.write_text("# What came before\n", encoding="utf-8")
        (self.temp / "event.json").write_text(json.dumps(event), encoding="utf-8")
        environment = {
            **clean_environment(),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_API_URL": self.api,
            "GITHUB_EVENT_PATH": str(self.temp / "event.json"),
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
        }
        failed, ran, log, others = False, list[str](), "", dict[str, dict[str, str]]()
        for step in self.declared["runs"]["steps"]:
            condition = str(step.get("if", "success()"))
            if (failed and "always()" not in condition) or not holds(condition, known):
                continue
            ran.append(step["name"])
            if "uses" in step:
                others[step["name"]] = {name: expand(text, known) for name, text in step["with"].items()}
                continue
            if step.get("id") == "install" and not self.installs:
                known["steps"]["install"] = {"outputs": {"programs": str(programs(self.temp))}}
                continue
            done, outputs = self._shell(step, known, environment)
            log += done.stdout + done.stderr
            failed = failed or done.returncode != 0
            known["steps"][step.get("id", "")] = {"outputs": outputs}
        outputs = {name: expand(each["value"], known) for name, each in self.declared["outputs"].items()}
        return Run(failed, ran, outputs, log, summary.read_text(encoding="utf-8"), others)

    def _shell(
        self, step: Mapping[str, Any], known: Mapping[str, Any], environment: Mapping[str, str]
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "what an input says would be part of the script"
        output = self.temp / "output.txt"
        output.write_text("", encoding="utf-8")
        script = self.temp / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        own = {name: expand(text, known) for name, text in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace / expand(step.get("working-directory", "."), known),
            env={**environment, "GITHUB_OUTPUT": str(output), **own},
            capture_output=True, encoding="utf-8", check=False, timeout=600, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        lines = output.read_text(encoding="utf-8").splitlines()
        return done, dict(line.split("=", 1) for line in lines)


def gitlab(project: Path, temp: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the job of the GitLab template in `project`, in one POSIX shell; pip does nothing, cnnlint is the tests'."""
    header, jobs = yaml.safe_load_all((ROOT / "templates" / "cnnlint.yml").read_text(encoding="utf-8"))
    declared = header["spec"]["inputs"]
    given = {name.replace("_", "-"): text for name, text in inputs.items()}
    assert given.keys() <= declared.keys()
    values = {name: given.get(name, each["default"]) for name, each in declared.items()}

    def fill(text: str) -> str:
        return re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: values[found[1]], text)

    ((name, job),) = jobs.items()
    assert fill(name) == values["job-name"]
    script = "\n".join(job["script"])
    assert "$[[" not in script, "what an input says would be part of the script"
    environment = {**clean_environment(), "CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(project)}
    environment |= {key: fill(text) for key, text in job["variables"].items()}
    # what `python -m venv` makes is the folder with the tests' own programs
    stub = temp / "stub"
    stub.mkdir(parents=True, exist_ok=True)
    executable(stub / "python", f'mkdir -p "$3/bin" && cp -p {programs(temp)}/* "$3/bin/"')
    executable(programs(temp) / "python", f'[ "$2" = pip ] || exec {sys.executable} "$@"')
    environment["PATH"] = f"{stub}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["sh", "-e", "-c", script], cwd=project, env=environment, capture_output=True, encoding="utf-8", check=False,
        timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def clean_environment() -> dict[str, str]:
    """Return the environment of the tests, without what belongs to whoever or whatever runs them."""
    return {key: text for key, text in os.environ.items() if key not in PERSONAL and not key.startswith(SERVICES)}


def programs(temp: Path) -> Path:
    """Return a folder with the programs `cnnlint` and `python` of the tests."""
    folder = temp / "programs"
    folder.mkdir(exist_ok=True)
    executable(folder / "cnnlint", f'exec {sys.executable} -m cnnlint "$@"')
    executable(folder / "python", f'exec {sys.executable} "$@"')
    return folder


def executable(path: Path, script: str) -> None:
    """Write a program for the shell."""
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def expand(text: object, known: Mapping[str, Any]) -> str:
    """Return `text` with GitHub's `${{ }}` replaced by what they come to."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(evaluated(found[1], known)), str(text))


def holds(condition: str, known: Mapping[str, Any]) -> bool:
    """Return whether a step with this `if` runs."""
    return bool(evaluated(condition, known))


def evaluated(expression: str, known: Mapping[str, Any]) -> Any:
    """Return what an expression of GitHub comes to; a name that is not there is empty."""

    def look_up(path: str) -> Any:
        found: Any = known
        for part in path.split("."):
            found = found.get(part, "") if isinstance(found, Mapping) else ""
        return found

    python = re.sub(
        r"'[^']*'|[a-z]+(?:\.[\w-]+)+", lambda it: it[0] if it[0][0] == "'" else f"look_up({it[0]!r})", expression
    )
    for theirs, ours in (("&&", " and "), ("||", " or "), ("always()", "True"), ("success()", "True")):
        python = python.replace(theirs, ours)
    return eval(python.strip(), {"look_up": look_up})


class GitHub:
    """The comments of a pull request.

    Attributes:
        url: The address of the API.
        comments: As the API gives them.
        asked: The requests: method and path.
        refuses: The status with which writing is refused; 0 if it is not.
    """

    def __init__(self) -> None:
        self.url = ""
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.refuses = 0

    def add(self, body: str, *, user: str = "Bot", association: str = "NONE") -> dict[str, Any]:
        """Add a comment and return it."""
        comment = {
            "id": 100 + len(self.comments),
            "body": body,
            "user": {"type": user},
            "author_association": association,
        }
        self.comments.append(comment)
        return comment


@contextmanager
def github() -> Iterator[GitHub]:
    """Serve GitHub's API for comments."""
    state = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = int(re.search(r"[?&]page=(\d+)", self.path)[1])  # pyright: ignore[reportOptionalSubscript]
            self.answer(200, state.comments[100 * (page - 1) : 100 * page])

        def do_POST(self) -> None:
            assert self.path == "/repos/team/models/issues/7/comments"
            body = self.body()
            self.answer(403, {}) if state.refuses else self.answer(201, state.add(body))

        def do_PATCH(self) -> None:
            (comment,) = [
                each for each in state.comments if self.path == f"/repos/team/models/issues/comments/{each['id']}"
            ]
            comment["body"] = self.body()
            self.answer(200, comment)

        def body(self) -> str:
            assert self.headers["Authorization"] == "Bearer token"
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]

        def answer(self, status: int, content: object) -> None:
            state.asked.append((self.command, self.path))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
