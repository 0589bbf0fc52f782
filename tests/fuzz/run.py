"""Many cases, in processes of their own that may die: see `tests.fuzz`."""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import resource
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection, wait
from random import Random

import onnx
from onnx import printer

from tests.fuzz.mutations import mutated
from tests.fuzz.questions import verdict
from tests.fuzz.seeds import seeds

# A case may take so many seconds of a processor, and so many bytes beside what the process begins
# with. One that says nothing for the time by the clock hangs, however busy the machine may be.
SECONDS, ROOM = 10.0, 3 << 30
_SILENT = 6 * SECONDS

# So many cases are given to a process at a time.
_CHUNK = 50


def made_of(seed: int, k: int) -> tuple[Random, onnx.ModelProto]:
    """The model of case `k`, and the random numbers that choose what is asked of it."""
    random = Random(f"{seed} {k}")
    models = seeds()
    return random, mutated(random, models[random.randrange(len(models))])


def _work(pipe: Connection, seed: int) -> None:
    sys.stderr = open("/dev/null", "w")  # noqa: SIM115 - for as long as the process lives
    faulthandler.disable()
    seeds()
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    while True:
        given = pipe.recv()
        if given is None:
            return
        for k in given:
            pipe.send((k, None, 0.0))
            random, made = made_of(seed, k)
            begin = time.process_time()
            try:
                said = verdict(random, made)
            except MemoryError:
                said = "memory"
            pipe.send((k, said, time.process_time() - begin))


def run(cases: range, seed: int, jobs: int) -> dict[int, str]:
    """What came of every case that was not well, and how many were well, under -1 and -2."""
    context = multiprocessing.get_context("spawn")
    left = iter([cases[k : k + _CHUNK] for k in range(0, len(cases), _CHUNK)])
    found: dict[int, str] = {}
    counts: Counter[str] = Counter()
    workers: dict[Connection, list] = {}

    def begin() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, seed), daemon=True)
        process.start()
        theirs.close()
        # The process, what it has still to do, the case it is at, and since when.
        workers[ours] = [process, [], None, time.monotonic()]

    def give(pipe: Connection) -> None:
        chunk = list(next(left, ()))
        if not chunk:
            pipe.send(None)
            workers.pop(pipe)[0].join()
            return
        workers[pipe][1] = chunk
        pipe.send(chunk)

    def lose(pipe: Connection, why: str) -> None:
        process, chunk, at, _ = workers.pop(pipe)
        process.kill()
        process.join()
        if at is None:
            raise RuntimeError("a process did not begin")
        else:
            found[at] = why if why else f"death: exit {process.exitcode}"
            counts["death" if not why else "slow"] += 1
            chunk = chunk[chunk.index(at) + 1 :]
        begin()
        fresh = next(reversed(workers))
        if chunk:
            workers[fresh][1] = chunk
            fresh.send(chunk)
        else:
            give(fresh)

    for _ in range(jobs):
        begin()
    for pipe in list(workers):
        give(pipe)
    while workers:
        for pipe in wait(list(workers), timeout=1.0):
            assert isinstance(pipe, Connection)
            try:
                k, said, seconds = pipe.recv()
            except (EOFError, ConnectionResetError):
                lose(pipe, "")
                continue
            worker = workers[pipe]
            if said is None:
                worker[2], worker[3] = k, time.monotonic()
                continue
            worker[2] = None
            kind = said.partition(":")[0]
            counts[kind] += 1
            if kind not in ("answered", "refused", "unwritable"):
                found[k] = said
            elif seconds > SECONDS:
                found[k] = f"slow: {seconds:.1f} s, {said}"
            if k == worker[1][-1]:
                give(pipe)
        for pipe, (_, _, at, since) in list(workers.items()):
            if at is not None and time.monotonic() - since > _SILENT:
                lose(pipe, f"slow: silent for {_SILENT:.0f} s")
    print(dict(counts))
    return found


def _shown(seed: int, k: int) -> int:
    from tests.fuzz.questions import raised

    random, made = made_of(seed, k)
    print(printer.to_text(made)[:5000])
    raised(random, made)
    return 0


def main() -> int:
    """Run, and print what was wrong by kind."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", type=int, help="print the model of one case, and what it raises")
    options = parser.parse_args()
    if options.show is not None:
        return _shown(options.seed, options.show)
    begin = time.monotonic()
    cases = range(options.first, options.first + options.cases)
    found = run(cases, options.seed, options.jobs)
    kinds: dict[str, list[int]] = {}
    for k, said in sorted(found.items()):
        kinds.setdefault(said, []).append(k)
    for said, which in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"{len(which):5} {said}   e.g. {which[:10]}")
    print(f"{options.cases} cases, {len(found)} not well, {time.monotonic() - begin:.0f} s")
    return 1 if found else 0
