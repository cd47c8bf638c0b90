"""The site builds without a warning, has every rule with its network, and asks no other server for anything."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from cnnlint.report.sarif import HOME

ROOT = Path(__file__).parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate.py"))
SITE = runpy.run_path(str(ROOT / "docs" / "site.py"))
DRAWINGS = runpy.run_path(str(ROOT / "docs" / "drawings.py"))
RULES = GENERATOR["built_in"]()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


class Config(yaml.SafeLoader):
    """Reads mkdocs.yml, in which `!ENV [NAME, default]` stands for its default."""


Config.add_constructor("!ENV", lambda loader, node: loader.construct_sequence(node)[-1])


def config() -> dict[str, object]:
    return yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Config)


def test_there_is_one_address_of_the_repository():
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert {urls["Repository"], config()["repo_url"]} == {HOME}


def test_every_rule_with_a_network_has_it_drawn_before_and_after():
    drawn = {
        rule.code: DRAWINGS["drawings"](rule) for rule in RULES if rule.code in {"BN001", "WA006", "HD001", "ON001"}
    }
    for code, figures in drawn.items():
        assert figures.count("<svg") == 2, code
        assert "\n" not in figures, "a blank line would end the markup"
    assert drawn["WA006"].count('class="found"') == 5
    assert "<code>cnnlint fix</code>" in drawn["WA006"]
    before, after = drawn["WA006"].split("</figure>")[:2]
    assert before.count(">Conv ") == 3, "the stem and the branches"
    assert after.count(">Conv 3×3<") == 2, "one convolution in place of the branches"


def test_lanes_keep_a_trunk_straight_and_bring_branches_back():
    graph = DRAWINGS["to_graph"]("INPUT 3x8x8 -> CONV 4 3x3 -> RES[CONV 4 3x3 | CONV 4 1x1] -> RELU")
    nodes = DRAWINGS["draw"](DRAWINGS["Context"](graph)).nodes
    of, last = DRAWINGS["lanes"](nodes)
    names = [node.row.name for node in nodes]
    assert of[names.index("conv1")] == of[names.index("relu1")] == 0
    assert len({of[names.index("conv2")], of[names.index("conv3")]}) == 2
    assert last[names.index("conv1")] == names.index("conv3")


def test_links_that_leave_the_pages_lead_to_the_repository_and_none_leads_nowhere():
    site = SITE["Site"]("https://git.example/team/cnnlint", SITE["places"]())
    assert site.target("docs/ci.md#budgets", "README.md") == "ci.md#budgets"
    assert site.target("../../README.md", "docs/rules/FC001.md") == "../index.md"
    assert site.target("analyzer/cnnlint/limits.py", "CONTRIBUTING.md") == (
        "https://git.example/team/cnnlint/blob/main/analyzer/cnnlint/limits.py"
    )
    with pytest.raises(FileNotFoundError, match=r"nowhere\.md"):
        site.target("nowhere.md", "docs/ci.md")
    assert "OF-THIS-REPOSITORY" not in site.page("docs/start-github.md")
    assert "team/cnnlint@v" in site.page("docs/start-github.md")


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    places = [place for path, place in SITE["places"]().items() if path in {str(p.relative_to(ROOT)) for p in PAGES}]
    assert [place for place in places if f": {place}\n" not in text] == []


def slugs(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    found = list[str]()
    tokens = MarkdownIt("commonmark").parse(text)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            said = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", said.lower()).replace(" ", "-")
            found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_exist_on_github_too(page):
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [(link, anchor) for link, anchor in links if "://" not in link]
    texts = {link: (page.parent / link if link else page).read_text(encoding="utf-8") for link, _ in local}
    assert [f"{link}#{anchor}" for link, anchor in local if anchor not in slugs(texts[link])] == []


class Page(HTMLParser):
    """What a built page has: elements by tag, and what it makes a browser fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.fetched = list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag in {"img", "script", "iframe", "source"}:
            self.fetched.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") in {"stylesheet", "icon", "preconnect", "preload"}:
            self.fetched.append(given.get("href") or "")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocs", reason="the site takes `pip install -e '.[docs]'`")
    pytest.importorskip("material", reason="the site takes `pip install -e '.[docs]'`")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_strictly_with_a_page_and_a_drawing_for_every_rule(built):
    index = (built / "rules" / "index.html").read_text(encoding="utf-8")
    for rule in RULES:
        page = (built / "rules" / rule.code / "index.html").read_text(encoding="utf-8")
        assert page.count('<svg role="img"') == (2 if rule.examples else 0), rule.code
        assert f"{rule.code}/" in index
    without = {rule.code for rule in RULES if not rule.examples}
    assert {code[:2] for code in without} <= {"CF", "RT"}, "they are about ignores and crashes, and about no network"


@pytest.mark.slow
def test_no_page_of_the_site_fetches_anything_from_elsewhere(built):
    for path in built.rglob("*.html"):
        fetched = Page(path.read_text(encoding="utf-8")).fetched
        assert [url for url in fetched if re.match(r"(\w+:)?//", url)] == [], path


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "docs"], ids=lambda page: page.name)
def test_a_page_has_the_same_lists_tables_and_code_on_the_site_as_on_github(built, page):
    place = "pages" if page.name == "index.md" else page.stem
    there = re.search(r"<article.*?</article>", (built / place / "index.html").read_text(encoding="utf-8"), re.DOTALL)
    assert there is not None
    source = MarkdownIt("commonmark").enable("table").render(page.read_text(encoding="utf-8"))
    ours, theirs = Page(there[0].partition('id="try-it"')[0]).tags, Page(source).tags
    for tag in ("li", "tr", "pre", "h2", "h3"):
        assert ours.count(tag) == theirs.count(tag), tag


def test_words_of_code_are_kept_whole_in_prose_and_left_alone_in_blocks():
    block = "<pre><span></span><code>cnnlint --static\n</code></pre>"
    shown = SITE["on_page_content"](f"<p>With <code>cnnlint --static</code>.</p>{block}")
    words = '<span class="whole">cnnlint</span> <span class="whole">--static</span>'
    assert shown == f"<p>With <code>{words}</code>.</p>{block}"
