"""Benchmarks: cnnlint beside what it is measured by, in whole processes, side by side in one run.

    python -m benchmarks

from the root of the repository, in an environment with the development dependencies. It builds its models, installs
the peers into environments of their own, and writes docs/benchmarks.md and docs/benchmarks.json. It prints ratios and
says which bounds hold; nothing in the tests depends on a time.
"""
