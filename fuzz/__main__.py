"""The command: `python -m fuzz`."""

from __future__ import annotations

import argparse
import sys
import time
from hashlib import blake2b
from pathlib import Path

from fuzz import corpus
from fuzz.inputs import KINDS, Source, suffix
from fuzz.minimize import minimized
from fuzz.oracles import Fault
from fuzz.workers import Worker, fresh

SHARES = {"onnx": 1.0, "archive": 0.25, "config": 0.25}
"""How many inputs of each kind there are in a run, for one of ONNX."""


def main() -> int:
    """Check inputs for a while, or so many of them; say what was found, minimized; 1 if anything was."""
    options = _options()
    folder = corpus.gathered()
    if options.input is not None:
        return _one(options, folder)
    started = time.monotonic()
    ends = started + options.minutes * 60 if options.minutes else float("inf")
    workers = list[Worker]()
    kinds = [options.only] if options.only else list(KINDS)
    for kind in kinds:
        share = 1.0 if options.only else SHARES[kind]
        stop = round(options.inputs * share) if options.inputs else sys.maxsize
        waiting = [(kind, range(job, stop, options.jobs)) for job in range(options.jobs)]
        workers += [Worker(kind, options.seed, folder, numbers) for kind, numbers in waiting]
    drawn = {kind: Source(kind, options.seed, folder) for kind in kinds}
    found = dict[str, tuple[str, int, Fault]]()
    unseen = 0
    told = started
    try:
        while time.monotonic() < ends and not all(worker.finished for worker in workers):
            for worker in workers:
                if worker.finished:
                    continue
                for number, faults in worker.poll():
                    for fault in faults:
                        if fault.signature not in found:
                            unseen += not _note(found, fault, worker.kind, number, drawn[worker.kind])
            time.sleep(0.05)
            if time.monotonic() - told > 60:
                told = time.monotonic()
                _say(f"{sum(worker.checked for worker in workers):,} inputs, {len(found)} faults")
    except KeyboardInterrupt:
        _say("stopped")
    finally:
        for worker in workers:
            worker.close()
    for fault_kind, number, fault in found.values():
        _keep(fault_kind, drawn[fault_kind].draw(number), fault, options)
    checked = {kind: sum(worker.checked for worker in workers if worker.kind == kind) for kind in kinds}
    seconds = time.monotonic() - started
    counts = ", ".join(f"{count:,} {kind}" for kind, count in checked.items())
    told_of = f"{len(found)} faults" + (f", {unseen} not seen again" if unseen else "")
    print(f"seed {options.seed}: {sum(checked.values()):,} inputs ({counts}) in {seconds:.0f} s, {told_of}")
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz what cnnlint reads.")
    parser.add_argument("--minutes", type=float, help="how long (default: 1, unless --inputs is given)")
    parser.add_argument("--inputs", type=int, help="how many ONNX models; of the other kinds a quarter as many")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--only", choices=KINDS, help="one kind of input")
    parser.add_argument("--jobs", type=int, default=1, help="processes for each kind (default: 1)")
    parser.add_argument("--input", type=int, metavar="NUMBER", help="only this input of --only, with all oracles")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", default=Path("fuzz-findings"),
                        help="where what was found is written (default: %(default)s)")  # fmt: skip
    parser.add_argument("--no-minimize", action="store_true", help="write inputs as they were found")
    options = parser.parse_args()
    if options.input is not None and options.only is None:
        parser.error("--input is a number of one kind: say --only too")
    if options.minutes is None and options.inputs is None:
        options.minutes = 1.0
    return options


def _note(found: dict[str, tuple[str, int, Fault]], fault: Fault, kind: str, number: int, source: Source) -> bool:
    """Remember what a fresh process sees of an input with a fault, and return whether it sees any.

    Whatever it sees counts, the same fault or another: an input that made a worker slow may hang where nothing is warm.
    What only a busy machine or a worn worker shows is no fault of the input.
    """
    again = fresh(kind, source.draw(number))
    for each in again:
        if each.signature not in found:
            found[each.signature] = (kind, number, each)
            _say(f"{kind} {number}: {each.signature}: {each.detail[:300]}")
    if fault.signature not in {each.signature for each in again}:
        seen = ", ".join(each.signature for each in again) or "nothing"
        _say(f"{kind} {number}: {fault.signature} is not seen again; a fresh process sees {seen}")
    return bool(again)


def _keep(kind: str, content: bytes, fault: Fault, options: argparse.Namespace) -> None:
    """Write an input with a fault, as small as it gets."""
    if not options.no_minimize:

        def has_fault(candidate: bytes) -> bool:
            return any(each.signature == fault.signature for each in fresh(kind, candidate))

        content = minimized(kind, content, has_fault, seconds=30)
    words = "".join(letter if letter.isalnum() else "_" for letter in fault.signature.lower()).strip("_")
    name = f"{words[:60]}_{blake2b(content, digest_size=3).hexdigest()}{suffix(kind, content)}"
    options.keep.mkdir(parents=True, exist_ok=True)
    (options.keep / name).write_bytes(content)
    print(f"{options.keep / name}: {len(content):,} bytes: {fault.signature}: {fault.detail[:200]}", flush=True)


def _one(options: argparse.Namespace, folder: Path) -> int:
    content = Source(options.only, options.seed, folder).draw(options.input)
    path = options.keep / f"{options.only}-{options.seed}-{options.input}{suffix(options.only, content)}"
    options.keep.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    faults = fresh(options.only, content)
    for fault in faults:
        print(f"{fault.signature}: {fault.detail}")
    print(f"{path}: {len(content):,} bytes, {len(faults)} faults")
    return 1 if faults else 0


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
