"""The site's pages, made of those of the repository when mkdocs builds it: links, navigation, drawings of networks.

The pages are written for GitHub, where they link to one another by path. `stage` writes them into a folder as a site
generator reads them: those above docs/ get a place in it, links that leave it lead to the repository, and the page of
each rule shows its networks. Only the hook at the end knows mkdocs.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any, NamedTuple

DOCS = Path(__file__).parent
ROOT = DOCS.parent
STAGED = ROOT / ".site"

PLACES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "docs/index.md": "pages.md",
}
"""Where pages stand in the site, if not by their path below docs/."""

STYLE = "docs/theme/site.css"

REPORT = "cnnlint fixtures/models --static --format html"
"""What the gallery offers to try."""

FENCE = re.compile(r"^( *)(```+).*?^\1\2$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
MARKS = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)
RAW = re.compile(r'((?:src|srcset)=")([^"]+)(")')
"""Where a page with a picture for each color scheme names its files."""

ITEM = re.compile(r"^(?:[-*] |\d+\. )")

INLINE = re.compile(r"(?<!</span>)<code>([^<\n]+)</code>")
"""Code in a line of prose, as mkdocs writes it."""

WORD = re.compile(r"(?<!\S)\S{1,24}(?!\S)")
"""A word that fits into the cell of a table on a phone."""


class Site(NamedTuple):
    """What links are made of.

    Attributes:
        repository: The address of the repository.
        places: Where each page, and each file that pages show or offer, stands in the site, by its path.
    """

    repository: str
    places: Mapping[str, str]

    def page(self, path: str) -> str:
        """Return the page at `path` as the site has it."""
        text = MARKS.sub("", (ROOT / path).read_text(encoding="utf-8"))
        parts, at = list[str](), 0
        for fence in FENCE.finditer(text):
            parts += [self._prose(text[at : fence.start()], path), fence[0]]
            at = fence.end()
        text = "".join([*parts, self._prose(text[at:], path)])
        text = text.replace("URL-OF-THIS-REPOSITORY", self.repository)
        return re.sub("(?:OWNER|GROUP)-OF-THIS-REPOSITORY", self.repository.rstrip("/").split("/")[-2], text)

    def _prose(self, text: str, path: str) -> str:
        """Return what is outside of code: links as the site has them, and each list set off, as mkdocs wants it."""
        for pattern in (LINK, RAW):
            text = pattern.sub(lambda found: f"{found[1]}{self.target(found[2], path)}{found[3]}", text)
        lines = list[str]()
        for line in text.split("\n"):
            before = lines[-1] if lines else ""
            if ITEM.match(line) and before and not before.startswith(" ") and not ITEM.match(before):
                lines.append("")
            lines.append(line)
        return "\n".join(lines)

    def target(self, link: str, path: str) -> str:
        """Return where a `link` of the page at `path` leads: within the site, or into the repository.

        Raises:
            FileNotFoundError: It leads nowhere.
        """
        if "://" in link or link.startswith(("#", "mailto:")):
            return link
        file, mark, anchor = link.partition("#")
        meant = normpath(join(dirname(path), file))
        if meant in self.places:
            return relpath(self.places[meant], dirname(self.places[path]) or ".") + mark + anchor
        if not (ROOT / meant).exists():
            raise FileNotFoundError(f"{path} links to {link}, which is not there")
        kind = "tree" if (ROOT / meant).is_dir() else "blob"
        return f"{self.repository}/{kind}/main/{meant}{mark}{anchor}"


def places() -> dict[str, str]:
    """Return where all that the site is made of stands in it, by the path in the repository."""
    patterns = ("*.md", "rules/*.md", "schema/*.json", "pictures/*.svg", "screenshots/*.png")
    found = sorted(path.relative_to(ROOT).as_posix() for pattern in patterns for path in DOCS.glob(pattern))
    return PLACES | {path: PLACES.get(path, path.removeprefix("docs/")) for path in found} | {STYLE: "site.css"}


def stage(folder: Path, repository: str, generator: Mapping[str, Any]) -> None:
    """Write all that the site is made of into `folder`.

    What is the same as before is not written, so that who watches the folder sees what changed.

    Args:
        folder: Where to; what else is in it goes.
        repository: The address that links lead to which leave the site.
        generator: The functions of docs/generate.py.
    """
    site = Site(repository.rstrip("/"), places())
    drawings = runpy.run_path(str(DOCS / "drawings.py"))["drawings"]
    contents = {place: (ROOT / path).read_bytes() for path, place in site.places.items() if not path.endswith(".md")}
    contents |= {place: site.page(path).encode() for path, place in site.places.items() if path.endswith(".md")}
    for rule in generator["built_in"]():
        head, why, rest = contents[f"rules/{rule.code}.md"].partition(b"\n## Why\n")
        contents[f"rules/{rule.code}.md"] = head + f"\n{drawings(rule)}\n".encode() + why + rest
    contents["report.html"] = generator["ran"](REPORT, {}).stdout.encode()
    contents["gallery.md"] += gallery(site.places).encode()
    for place, content in contents.items():
        written = folder / place
        if not written.is_file() or written.read_bytes() != content:
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_bytes(content)
    for path in folder.rglob("*.*"):
        if path.relative_to(folder).as_posix() not in contents:
            path.unlink()


def gallery(known: Mapping[str, str]) -> str:
    """Return what the gallery shows on the site alone: a report to try, and the screenshots if they were made."""
    lines = [f"\n## Try it\n\nThe report of `{REPORT}`, as the file is ([alone](report.html)):\n"]
    lines.append('<iframe class="report" src="../report.html" title="A report of cnnlint"></iframe>\n')
    shots = [place for path, place in known.items() if path.startswith("docs/screenshots/")]
    if shots:
        lines.append("## Screenshots\n\nHeadless Chromium at 1,440 and 390 pixels, light and dark.\n")
    lines += [f"![{Path(place).stem.replace('-', ', ')}]({place})\n{{ .screenshot }}\n" for place in shots]
    return "\n".join(lines)


def rule_nav(rules: Sequence[Any]) -> list[Any]:
    """Return the navigation of the rules: the index of all, then a section for each family."""
    sections: list[Any] = ["rules/README.md"]
    for code, members in groupby(rules, lambda rule: re.sub(r"\d+", "", rule.code)):
        family = list(members)
        entries = [{f"{rule.code} {rule.name}": f"rules/{rule.code}.md"} for rule in family]
        sections.append({_title(code, family): entries})
    return sections


def _title(code: str, rules: Sequence[Any]) -> str:
    """Return what a family is called: by the folder of its rules, which those on the configuration have not."""
    folders = [rule.__module__.split(".")[1] for rule in rules if rule.__module__.startswith("cnnlint_rules.")]
    return f"{folders[0].replace('_', ' ').capitalize() if folders else 'Configuration'} ({code})"


def on_config(config: Any) -> Any:
    """Take the staged pages for the folder of documents, and put the rules into the navigation."""
    generator = runpy.run_path(str(DOCS / "generate.py"))
    stage(STAGED, config.repo_url, generator)
    config.docs_dir = str(STAGED)
    rules = rule_nav(generator["built_in"]())
    config.nav = [{"Rules": rules} if "Rules" in entry else entry for entry in config.nav]
    return config


def on_page_content(html: str, **_: Any) -> str:
    """Keep the words of code and the arrows of networks whole: browsers break a line within `--static` and `->`."""

    def whole(code: re.Match[str]) -> str:
        return "<code>" + WORD.sub(r'<span class="whole">\g<0></span>', code[1]) + "</code>"

    return INLINE.sub(whole, html).replace(" -&gt; ", ' <span class="whole">-&gt;</span> ')
