"""Real git repositories for tests, with Git LFS objects where git-lfs puts them."""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from pathlib import Path

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")


def git(folder: Path, *args: str) -> str:
    """Run git in `folder`, whatever repository a hook has named in the environment, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *IDENTITY, *args], cwd=folder, check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout


def commit_all(folder: Path) -> Path:
    """Commit all that lies in `folder`, which becomes a repository with the branch `main` if it is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "all")
    return folder


def into_lfs(root: Path, file: Path) -> Path:
    """Put a pointer in place of `file`, and its bytes among the LFS objects of the repository; return the object."""
    data = file.read_bytes()
    oid = sha256(data).hexdigest()
    stored = root / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(data)
    file.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n", encoding="utf-8"
    )
    return stored
