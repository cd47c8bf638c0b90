"""Plant faults in a copy of the code, one at a time, and see that the tests find each.

python tests/mutants.py [NAME...]

Run it by hand after a change to how the suite runs: what made tests faster must not have made them blind. Each mutant
names the tests that should find it, as they run by default (few random examples, no slow tests).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Mutant(NamedTuple):
    """A fault, and who should find it.

    Attributes:
        file: Below the folder of the repository.
        sound: Code that stands there once.
        faulty: What takes its place.
        tests: Arguments of pytest.
    """

    file: str
    sound: str
    faulty: str
    tests: tuple[str, ...]


ENGINE = "analyzer/cnnlint"
TESTS = "tests/analyzer"

MUTANTS: dict[str, Mutant] = {
    "exit-zero-is-not-heard": Mutant(
        f"{ENGINE}/cli/lint.py", "return 0 if exit_zero else", "return", ("tests/acceptance/test_exit_codes.py",)
    ),
    "errors-on-standard-output": Mutant(
        f"{ENGINE}/cli/streams.py", "err=True, color=True", "color=True", ("tests/acceptance/test_bad_input.py",)
    ),
    "a-budget-that-is-just-met-is-over": Mutant(
        f"{ENGINE}/engine/budget.py", "margin >= 0", "margin > 0", ("tests/acceptance/test_config.py",)
    ),
    "links-are-followed-out-of-the-folder": Mutant(
        f"{ENGINE}/frontends/onnx/external.py", "if not any(", "if False and not any(",
        ("tests/acceptance/test_bad_input.py",),
    ),
    "groups-cost-as-much-as-none": Mutant(
        f"{ENGINE}/graph/layers/convolution.py",
        "((*extents, self.filters, *self.kernel_size, channels // self.groups),)",
        "((*extents, self.filters, *self.kernel_size, channels),)",
        ("tests/acceptance/test_counting.py",),
    ),
    "same-padding-forgets-the-stride": Mutant(
        f"{ENGINE}/graph/window.py", "max((-(-extent // stride) - 1) * stride", "max((extent // stride - 1) * stride",
        (f"{TESTS}/test_agreement_random.py",),
    ),
    "signals-are-pooled-by-one": Mutant(
        f"{ENGINE}/frontends/keras/layers/windows.py",
        'strides = size if call.config.get("strides") is None',
        'strides = (1,) * rank if call.config.get("strides") is None or rank == 1',
        (f"{TESTS}/test_one_graph_by_layer.py",),
    ),
    "norms-are-folded-without-epsilon": Mutant(
        f"{ENGINE}/conversion/norms.py", "np.sqrt(variance + epsilon)", "np.sqrt(variance)",
        (f"{TESTS}/conversion/test_norms.py",),
    ),
    "varints-end-after-nine-bytes": Mutant(
        f"{ENGINE}/frontends/onnx/wire.py", "MAX_VARINT = 10\n", "MAX_VARINT = 9\n",
        (f"{TESTS}/frontends/onnx/test_wire.py",),
    ),
    "depthwise-is-called-convolution": Mutant(
        f"{ENGINE}/graph/layers/convolution.py", '"DWCONV" if self.is_depthwise else "CONV"', '"CONV"',
        (f"{TESTS}/analysis/test_pattern.py",),
    ),
    "a-comparison-accepts-a-hundred-times-its-tolerance": Mutant(
        f"{ENGINE}/verification/verify.py", "relative > tolerance and", "relative > 100 * tolerance and",
        (f"{TESTS}/cli/test_compare.py",),
    ),
    "what-is-within-rounding-is-a-hundred-times-larger": Mutant(
        f"{ENGINE}/verification/verify.py", "tolerance = min(self.cap", "tolerance = 100 * min(self.cap",
        (f"{TESTS}/cli/test_compare.py",),
    ),
    "receptive-fields-are-rounded-as-soon-as-they-are-coarse": Mutant(
        f"{ENGINE}/analysis/receptive_field.py", "if finer.step == whole or (", "if finer.step > 1 or (",
        (f"{TESTS}/analysis/test_receptive_field.py",),
    ),
    "the-first-of-two-branches-that-see-as-much-counts": Mutant(
        f"{ENGINE}/analysis/receptive_field.py", "if not any(larger.covers(field) for larger in kept)", "if not kept",
        (f"{TESTS}/analysis/test_receptive_field.py",),
    ),
    "interpolation-sees-one-element-fewer": Mutant(
        f"{ENGINE}/graph/layers/shaping.py", "Span(taps + 1 - 1 / parts", "Span(taps - 1 / parts",
        (f"{TESTS}/analysis/test_receptive_field.py",),
    ),
    "padding-never-counts-in-a-mean": Mutant(
        f"{ENGINE}/frontends/onnx/operators/windows.py",
        'bool(ctx.attribute_int("count_include_pad", 0))', "False",
        (f"{TESTS}/frontends/onnx/test_average_pooling.py",),
    ),
    "padding-counts-in-a-mean-by-default": Mutant(
        f"{ENGINE}/frontends/onnx/operators/windows.py", '("count_include_pad", 0)', '("count_include_pad", 1)',
        (f"{TESTS}/frontends/onnx/test_average_pooling.py",),
    ),
    "keras-counts-padding-in-a-mean": Mutant(
        f"{ENGINE}/frontends/raising/ops.py", "count_include_pad: bool = False", "count_include_pad: bool = True",
        (f"{TESTS}/frontends/onnx/test_average_pooling.py",),
    ),
}  # fmt: skip


def main(names: list[str]) -> int:
    """Try the mutants called `names`, or all; return how many live."""
    living = list[str]()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        left_out = shutil.ignore_patterns(".git", "__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache")
        shutil.copytree(ROOT, copy, ignore=left_out)
        chosen = {name: MUTANTS[name] for name in names} if names else MUTANTS
        if failed := tests_fail(copy, sorted({test for mutant in chosen.values() for test in mutant.tests})):
            sys.exit(f"the tests fail without any mutant:\n{failed}")
        for name, mutant in chosen.items():
            path = copy / mutant.file
            sound = path.read_text(encoding="utf-8")
            if sound.count(mutant.sound) != 1:
                sys.exit(f"{name}: {mutant.file} has not exactly one {mutant.sound!r}")
            path.write_text(sound.replace(mutant.sound, mutant.faulty), encoding="utf-8")
            said = tests_fail(copy, list(mutant.tests))
            path.write_text(sound, encoding="utf-8")
            print(f"{'killed' if said else 'LIVES '}  {name}  {said}", flush=True)
            if not said:
                living.append(name)
    return len(living)


def tests_fail(copy: Path, tests: list[str]) -> str:
    """Return which of `tests` fails first in the copy, "" if none does."""
    search = os.pathsep.join(str(copy / part) for part in ("analyzer", "rules"))
    whose = "import cnnlint, cnnlint_rules, sys; print(cnnlint.__file__, cnnlint_rules.__file__)"
    environment = {**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        [sys.executable, "-c", whose], env=environment, cwd=copy, capture_output=True, text=True, check=True
    )
    assert all(file.startswith(str(copy)) for file in found.stdout.split()), "the tests would not test the copy"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "--no-shrink", "-p", "no:cacheprovider", *tests],
        env=environment,
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        sys.exit(f"pytest could not run {tests}:\n{done.stdout}{done.stderr}")
    failures = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failures[0].partition(" - ")[0] if failures else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
