"""Running cnnlint as a user does, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

MODELS = Path(__file__).parents[3] / "fixtures" / "models"


def cnnlint(*args, cwd=None, **environment):
    """Run `python -m cnnlint`; colours and width do not depend on who runs the tests."""
    kept = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    return subprocess.run(
        [sys.executable, "-m", "cnnlint", *map(str, args)],
        capture_output=True, encoding="utf-8", check=False, cwd=cwd, timeout=120,
        env={**kept, "PYTHONUTF8": "1", **environment},
    )  # fmt: skip


def modules_loaded_by(*args, cwd=None):
    """Return the exit code and the modules that are loaded when `cnnlint ARGS` ends."""
    script = (
        f"import sys\nsys.argv[1:] = {[str(arg) for arg in args]}\nfrom cnnlint.cli import main\ncode = None\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    code = stop.code\n"
        "print(code, *sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True, cwd=cwd, timeout=120
    )
    code, *modules = done.stderr.splitlines()[-1].split()
    return int(code), frozenset(modules)
