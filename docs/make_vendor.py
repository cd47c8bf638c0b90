"""Fetch the libraries that the HTML report carries: `python docs/make_vendor.py`; with `--check`, only compare.

Each is a tarball of the npm registry, pinned by the hash that npm's own lock files have; what is taken of it goes to
`analyzer/cnnlint/report/html/vendor/`, with the licenses in one file.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
import tarfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

VENDOR = Path(__file__).parents[1] / "analyzer" / "cnnlint" / "report" / "html" / "vendor"
REGISTRY = "https://registry.npmjs.org"

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""Signs that minifiers leave in the strings of scripts as they are; no report holds one that is not seen."""


class Library(NamedTuple):
    """A library of the npm registry.

    Attributes:
        name: Its name there.
        version: The release.
        sha512: Of its tarball, as a lock file has it.
        files: What is taken.
    """

    name: str
    version: str
    sha512: str
    files: tuple[str, ...]


LIBRARIES = (
    Library(
        "@dagrejs/dagre",
        "3.1.3",
        "X4aUTwOReZvthaZWOVHqlJ52/ZdhZFEM4+Lh/uR4XooUSLE6p71bcy7MPGzYnNUcNh+nj+i/qJQpCMIdQnSmrg==",
        ("dist/dagre.min.js",),
    ),
    Library(
        "uplot",
        "1.6.32",
        "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        ("dist/uPlot.iife.min.js", "dist/uPlot.min.css"),
    ),
)


def members(library: Library) -> dict[str, str]:
    """Return the files that are taken of `library`, and its license, by name.

    Raises:
        SystemExit: The registry gives another file than the one pinned.
    """
    url = f"{REGISTRY}/{library.name}/-/{library.name.rpartition('/')[2]}-{library.version}.tgz"
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the constant registry
        tarball = answer.read()
    found = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    if found != library.sha512:
        raise SystemExit(f"{url} has the hash {found}, not {library.sha512}")
    taken = dict[str, str]()
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for name in (*library.files, "LICENSE"):
            member = archive.extractfile(f"package/{name}")
            if member is None:
                raise SystemExit(f"{url} has no {name}")
            text = member.read().decode("utf-8")
            lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
            text = CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", "\n".join(lines).strip())
            taken[Path(name).name] = f"{text}\n"
    return taken


def main() -> int:
    """Write the files, or say which of them differ."""
    texts, licenses = dict[str, str](), list[str]()
    for library in LIBRARIES:
        found = members(library)
        licenses.append(f"{library.name} {library.version}\n\n{found.pop('LICENSE')}")
        texts |= found
    texts["LICENSES.txt"] = "\n".join(licenses)
    stale = [
        name
        for name, text in texts.items()
        if not (VENDOR / name).is_file() or (VENDOR / name).read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        print("".join(f"{VENDOR / name} is not what is pinned\n" for name in stale), end="")
        return 1 if stale else 0
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (VENDOR / name).write_text(texts[name], encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
