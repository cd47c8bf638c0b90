"""The page of a fleet, and questions in SQL: what they say is what the tables hold."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from acceptance.command import ROOT, cnnlint
from cnnlint.fleet.tables import TABLES
from fleets import fleet, network, store, table

pytest.importorskip("distributed", reason="the extra fleet is not installed")
pytest.importorskip("duckdb", reason="the extra fleet is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: ten models, then a copy, a changed one and one that is none besides."""
    here = tmp_path_factory.mktemp("fleet")
    models = store(here / "models", 10)
    fleet("models", "--out", "results", "--isolated", cwd=here)
    shutil.copy(models / "team000" / "net00001.onnx", models / "copy.onnx")
    (models / "team000" / "net00002.onnx").write_bytes(network(77).SerializeToString())
    (models / "<b>.onnx").write_bytes(b"no model at all")
    fleet("models", "--out", "results", "--isolated", "--max-params", "4 k", cwd=here, code=2)
    return here


def asked(folder: Path, sql: str) -> list[dict[str, object]]:
    done = cnnlint("fleet", "query", sql, "--format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tables_hold_all_runs_and_views_the_last_one(folder: Path) -> None:
    rows = table(folder / "results", "models")
    last = max(str(row["run"]) for row in rows)
    assert asked(folder, "SELECT count(*) AS n FROM models") == [{"n": len(rows)}]
    assert asked(folder, "SELECT count(*) AS n FROM latest_models") == [{"n": sum(row["run"] == last for row in rows)}]
    latest = {row["model"]: row["linted_in"] for row in rows if row["run"] == last}
    for name in ("findings", "layers"):
        expected = sum(row["run"] == latest.get(row["model"]) for row in table(folder / "results", name))
        assert asked(folder, f"SELECT count(*) AS n FROM latest_{name}") == [{"n": expected}]
    assert asked(folder, "SELECT kind FROM latest_errors") == [{"kind": "unreadable"}]


def test_answers_come_as_text_and_as_csv(folder: Path) -> None:
    question = "SELECT 1234 AS number, 'a,b' AS words"
    assert cnnlint("fleet", "query", question, cwd=folder).stdout == "number  words\n 1,234  a,b\n"
    assert cnnlint("fleet", "query", question, "--format", "csv", cwd=folder).stdout == 'number,words\n1234,"a,b"\n'
    wrong = cnnlint("fleet", "query", "SELECT nothing FROM nowhere", cwd=folder)
    assert wrong.returncode == 2
    assert "tables are models, layers, findings, errors" in wrong.stderr


def test_the_page_names_copies_retrained_models_budgets_and_errors(folder: Path) -> None:
    done = cnnlint("fleet", "report", "results", "-o", "page.html", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    page = (folder / "page.html").read_text(encoding="utf-8")
    sections = dict(re.findall(r"<section><h2>(.*?)</h2>(.*?)</section>", page, re.DOTALL))
    exact = sections["Exact duplicates"]
    assert "copy.onnx" in exact
    assert "net00001.onnx" in exact
    assert exact.count("<tr>") == 2
    near = next(text for title, text in sections.items() if title.startswith("Near duplicates"))
    assert near.count("<tr>") == 1 + 5
    over = sum(row["broken_budgets"] or 0 for row in table(folder / "results", "models"))
    assert sections["Budgets"].count("BG") == 2 * over
    assert 'data-noun="budget"' in sections["Budgets"]
    assert "The first" not in page
    assert "&lt;b&gt;.onnx" in sections["Could not be linted"]
    assert "<b>.onnx" not in page
    assert {"Findings by rule", "Parameters", "MACs", "Producers", "Opsets", "Runs"} <= set(sections)


def test_the_page_says_how_many_rows_it_leaves_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlint.fleet.report.MOST", 2)
    page = cnnlint("fleet", "report", "results", cwd=folder).stdout
    budgets = re.search(r"<h2>Budgets</h2>(.*?)</section>", page, re.DOTALL)
    over = sum(row["broken_budgets"] or 0 for row in table(folder / "results", "models"))
    assert over > 2
    assert budgets is not None
    assert f"<p>The first 2 of {over} budgets.</p>" in budgets[1]
    assert budgets[1].count("<tr>") == 1 + 2


def test_the_documentation_has_every_column(folder: Path) -> None:
    text = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    written = re.findall(r"^### `(\w+)`$|^\| `(\w+)` \| `([^`]+)` \| (.*) \|$", text, re.MULTILINE)
    declared = [
        row
        for name, columns in TABLES.items()
        for row in [(name, "", "", ""), *(("", column.name, column.type, column.holds) for column in columns)]
    ]
    assert written == declared


def test_folders_without_results_are_said_to_be_such(tmp_path: Path) -> None:
    done = cnnlint("fleet", "report", "nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "no run of cnnlint fleet has finished there" in done.stderr
