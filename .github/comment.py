"""Write a report into the one comment that the Action has on a pull request: made by the first run, updated by others.

    comment.py REPORT NAME

Reads the environment that GitHub gives a step: GITHUB_API_URL, GITHUB_EVENT_PATH, GITHUB_REPOSITORY, GITHUB_TOKEN, and
what the link to the run is made of. Needs nothing but Python.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST = 60_000
"""Characters of a report; GitHub refuses comments of more than 65,536."""
PAGE = 100
TRUSTED = ("OWNER", "MEMBER", "COLLABORATOR")


def main() -> int:
    """Comment; a token that may not is a notice, for those of pull requests from forks never may."""
    report, name = Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = event["pull_request"]["number"]
    marker = f"<!-- {''.join(sign if sign.isalnum() else '-' for sign in name)}: one comment, updated by each run -->"
    body = f"{marker}\n{shortened(report)}"
    issues = f"repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    try:
        found = next((each for each in comments(f"{issues}/{number}/comments") if is_ours(each, marker)), None)
        if found is None:
            ask("POST", f"{issues}/{number}/comments", {"body": body})
        elif found["body"] != body:
            ask("PATCH", f"{issues}/comments/{found['id']}", {"body": body})
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            raise
        sys.stdout.write(
            f"::notice title=cnnlint::The report is not on the pull request, since the token may not comment ({error.code}):"
            " that takes `permissions: pull-requests: write`, which a run for a fork never has.\n"
        )
    return 0


def shortened(report: str) -> str:
    """Return as many lines of `report` as a comment holds, with a link to the run if any is left out."""
    if len(report) <= MOST:
        return report
    kept = report[:MOST].rpartition("\n")[0]
    server, repository, run = (os.environ[f"GITHUB_{key}"] for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{kept}\n\n… and more, in [the summary of the run]({server}/{repository}/actions/runs/{run}).\n"


def is_ours(comment: dict[str, Any], marker: str) -> bool:
    """Return whether it was written by this program: not by somebody else who copied the marker to be given a report."""
    is_trusted = comment["user"]["type"] == "Bot" or comment.get("author_association") in TRUSTED
    return is_trusted and (comment["body"] or "").startswith(marker)


def comments(path: str) -> Iterator[dict[str, Any]]:
    """Yield all comments, the oldest first."""
    page = 1
    while True:
        found = ask("GET", f"{path}?per_page={PAGE}&page={page}")
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def ask(method: str, path: str, content: dict[str, str] | None = None) -> Any:
    """Return what GitHub's API answers."""
    request = urllib.request.Request(
        f"{os.environ['GITHUB_API_URL']}/{path}",
        None if content is None else json.dumps(content).encode(),
        {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
