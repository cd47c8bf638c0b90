"""What a command loads."""

import subprocess
import sys


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
