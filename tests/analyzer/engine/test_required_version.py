"""A configuration says which versions it is for, and another version stops at that before all else."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from acceptance.command import VGG, cnnlint
from cnnlint import __version__
from cnnlint.engine.config.load import meets, read_document
from cnnlint.errors import ConfigError

specifiers = pytest.importorskip("packaging.specifiers")

VERSIONS = ("0.1.0", "0.1.1", "0.2.0", "0.2.0rc1", "0.2.0.dev3", "0.10.2", "1.0.0", "1.0", "1.0.1a2", "2.3.4", "10.0.0")
RELEASES = ("0", "0.1", "0.1.0", "0.2", "0.2.0", "0.2.1", "0.10", "1", "1.0", "1.0.0", "1.0.1", "2.3", "2.3.4.5", "10")


@pytest.mark.parametrize("operator", ["==", "!=", ">=", "<=", ">", "<", "~="])
def test_a_clause_means_what_it_means_to_pip(operator):
    for version, release, rest in itertools.product(VERSIONS, RELEASES, ("", ".*")):
        wanted = f"{operator}{release}{rest}"
        try:
            truth = specifiers.SpecifierSet(wanted).contains(version, prereleases=True)
        except specifiers.InvalidSpecifier:
            truth = None
        assert meets(version, wanted) == truth, (version, wanted)


@pytest.mark.parametrize("wanted", [">=0.1,<1", ">= 0.1 , < 1", ">=0.1,!=0.2.0", "~=0.2,>=0.2.0", ">=1,<0.1"])
def test_all_clauses_have_to_hold(wanted):
    for version in VERSIONS:
        assert meets(version, wanted) == specifiers.SpecifierSet(wanted).contains(version, prereleases=True)


@pytest.mark.parametrize("wanted", ["", "0.1", "newest", ">=", ">=0.1,", ">=0.1;<1", "=>0.1", ">=0.1 <1", ">=9" * 99])
def test_what_is_no_specifier_is_told_from_one_that_is_not_met(wanted, tmp_path):
    assert meets("0.1.0", wanted) is None
    (tmp_path / "cnnlint.toml").write_text(f'required-version = "{wanted}"\n')
    with pytest.raises(ConfigError, match=r"cnnlint\.toml:1: required-version: .* is no version specifier \(write it"):
        read_document(tmp_path / "cnnlint.toml")


@pytest.mark.parametrize("name", ["cnnlint.toml", "pyproject.toml"])
@pytest.mark.parametrize("args", [("lint", VGG, "--static"), ("rules",), ("explain", "FC001")])
def test_a_version_that_does_not_fit_ends_before_keys_of_later_versions_are_called_unknown(
    name: str, args: tuple[str, ...], tmp_path: Path
) -> None:
    table = "[tool.cnnlint]\n" if name == "pyproject.toml" else ""
    text = 'a-key-of-tomorrow = 1\nrequired-version = ">=99.1"\nselect = ["ZZ999"]\n[[budgets]]\nqubits = 3\n'
    (tmp_path / name).write_text(table + text)
    done = cnnlint(*args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    line = 3 if table else 2
    assert done.stderr == (
        f"cnnlint: error: {tmp_path / name}:{line}: required-version: this is cnnlint {__version__}, and the"
        " configuration is for >=99.1 (python -m pip install 'cnnlint>=99.1')\n"
    )


def test_a_version_that_fits_is_held_to_the_rest_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "cnnlint.toml").write_text(f'required-version = ">={__version__}"\nno-such-key = 1\n')
    done = cnnlint(VGG, "--static", cwd=tmp_path)
    assert done.returncode == 2
    assert "no-such-key: unknown key" in done.stderr


def test_a_version_that_is_no_text_is_an_error_of_its_type(tmp_path: Path) -> None:
    (tmp_path / "cnnlint.toml").write_text("required-version = 0.1\n")
    with pytest.raises(ConfigError, match=r"cnnlint\.toml:1: required-version: expected a string, got a number"):
        read_document(tmp_path / "cnnlint.toml")
