"""SIGKILL real processes in the midst of what they do, thousands of times, and compare the books after each few.

`python -m campaign.kills --cycles 10000` kills so many: real files, real HTTP, the venues' own SDKs and their simulators. A cycle is a
process that opens a session, which recovers what the one before it left, does something, and dies: at each failpoint in turn, at any
line of the product, or from outside after a random time; some are whole programs of their own, started cold. For a share of them the
network fails too. So a recovery is itself killed, and the next one, and so on.

After each few deaths one process lives. It opens a session, decides every intent again, closes as an operator would what cannot be
proved, and reconciles. Then the oracle compares: at most one order per intent, ledger and venue agree, no event of before a death is
lost or changed, the chains verify, and every order that has to exist does.

Lanes are killed in side by side, since most of the time of a killed order is waiting until a venue must show it. The same seed kills in
the same places; how far a request has come by then is the system's choice.
"""

import argparse
import json
import math
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from pathlib import Path
from random import Random
from typing import Any

import stamina.instrumentation
from attrs import frozen

from campaign.batches import TIMEOUT_S, Batch, Figures, Plan
from campaign.failpoints import FAILPOINTS, Failpoint, checkpointing
from campaign.processes import simulator
from campaign.victims import AT_A_LINE, AT_A_POINT, COLD, ENVIRON, FROM_OUTSIDE, OPERATIONS
from logos_core import presets, session, venues
from logos_core.capabilities import Capabilities, PositionKind, ReplaceKind
from logos_core.clock import SystemClock
from logos_core.home import Home
from logos_core.testing.rehearsal.presets import Rehearsable, embedded

FORK = multiprocessing.get_context("fork")
BATCH = 60
"""How many cycles a simulator and a ledger see, so that nothing grows."""
LANES = 24
OFTEN = 3
"""A failpoint may be passed by; one that is looked for so often is met."""
KINDS = {AT_A_POINT: 0.56, AT_A_LINE: 0.27, FROM_OUTSIDE: 0.15, COLD: 0.02}
DOES = {
    "submit": 4,
    "doubt": 2,
    "cancel": 2,
    "replace": 2,
    "anew": 1,
    "open": 2,
    "recover": 2,
    "reconcile": 1,
    "close": 1,
    "merge": 0.3,
}
"""What is done by those who do not die at a point, and how often."""
FAULTY = 0.3
"""The share of those for whom the network fails too."""
FAULTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "submit": (
        {"kind": "status_after", "status": 504},
        {"kind": "answer_dropped"},
        {"kind": "reset_after"},
        {"kind": "reset_during"},
        {"kind": "truncated"},
        {"kind": "html"},
        {"kind": "request_dropped"},
        {"kind": "status_before"},
        {"kind": "reset_before"},
        {"kind": "delay_before", "delay_s": 0.2},
        {"kind": "delay_after", "delay_s": 0.2},
    ),
    "cancel": ({"kind": "answer_dropped"}, {"kind": "status_before"}, {"kind": "reset_during"}, {"kind": "status_after"}),
    "replace": ({"kind": "answer_dropped"}, {"kind": "status_after", "status": 504}, {"kind": "reset_during"}, {"kind": "html"}),
    "lookup": ({"kind": "status_before"}, {"kind": "reset_after"}, {"kind": "html"}, {"kind": "truncated"}),
    "reconcile": ({"kind": "status_before"}, {"kind": "reset_after"}),
}
LEAVES_DOUBT = 5
"""So many of the first faults of a submit leave it without an answer, for certain, and with an order."""
FAULT_OF = {"doubt": "submit", "anew": "cancel", "open": "reconcile", "recover": "lookup", "merge": "reconcile", "close": "lookup"}


@frozen(kw_only=True)
class Job:
    """What is done on one lane.

    Attributes:
        overlaps: whether the preset lets a venue replace by its own request an order that may trade meanwhile.
    """

    preset: Rehearsable
    name: str
    plans: tuple[Plan, ...]
    overlaps: bool


# ------------------------------------------------------------------------------------------------------- what is to be done


def exists_at(failpoint: Failpoint, able: Capabilities, *, overlaps: bool) -> bool:
    """Say whether a venue has a failpoint, and an operation here that meets it."""
    if not failpoint.operations & OPERATIONS.keys():
        return False
    if failpoint.name.startswith("baseline"):
        return able.positions.kind is not PositionKind.NONE
    if failpoint.name.startswith(("replace-", "replaced-")):
        return able.replace.kind is ReplaceKind.NATIVE and (able.replace.atomic or overlaps)
    return True


def points(preset: Rehearsable, *, overlaps: bool) -> list[Failpoint]:
    """Return the failpoints that are met at a venue."""
    declared, variant = venues.declaration(preset.venue)
    return [failpoint for failpoint in FAILPOINTS if exists_at(failpoint, declared.capabilities[variant], overlaps=overlaps)]


def job(preset: Rehearsable, seed: int, number: int, cycles: int) -> Job:
    """Return a batch of a venue; the failpoints go on from where the batch before ended, and what needs a new account comes first."""
    overlaps = number % 2 == 1
    random, known = Random(f"plans {preset.venue} {seed} {number}"), points(preset, overlaps=overlaps)
    Random(f"points {preset.venue} {seed}").shuffle(known)
    place = number * round(BATCH * KINDS[AT_A_POINT])
    row = iter(known[(place + index) % len(known)] for index in range(cycles))
    kinds = random.choices(list(KINDS), list(KINDS.values()), k=cycles)
    found = [at_point(next(row), random) if kind == AT_A_POINT else _anywhere(kind, random) for kind in kinds]
    plans = tuple(sorted(found, key=lambda plan: plan.operation != "first"))
    return Job(preset=preset, name=f"{preset.venue}.{seed}.{number}", plans=plans, overlaps=overlaps)


def at_point(failpoint: Failpoint, random: Random) -> Plan:
    """Return a death at a failpoint."""
    operation = random.choice(sorted(failpoint.operations & OPERATIONS.keys()))
    nth = random.randint(1, 3) if failpoint.needs is checkpointing else 1
    fault = _fault("submit", random.choice(FAULTS["submit"][:LEAVES_DOUBT])) if operation == "doubt" else None
    return Plan(operation=operation, kind=AT_A_POINT, failpoint=failpoint, nth=nth, fault=fault)


def _anywhere(kind: str, random: Random) -> Plan:
    if kind == COLD:
        return Plan(operation="submit", kind=kind, share=random.uniform(0.2, 1.0))
    operation = random.choices(list(DOES), list(DOES.values()))[0]
    wrong = FAULT_OF.get(operation, operation)
    fault = _fault(wrong, random.choice(FAULTS[wrong])) if operation == "doubt" or random.random() < FAULTY else None
    return Plan(operation=operation, kind=kind, share=random.random(), fault=fault)


def _fault(operation: str, what: Mapping[str, Any]) -> dict[str, Any]:
    return {**what, "operation": operation, "nth": 1}


def jobs(chosen: Sequence[Rehearsable], seed: int, cycles: int, first: int) -> list[Job]:
    """Spread cycles over batches, and those over the venues, in turn."""
    count = max(math.ceil(cycles / BATCH), min(len(chosen), cycles))
    shares = [cycles // count + (index < cycles % count) for index in range(count)]
    return [job(chosen[index % len(chosen)], seed, first + index // len(chosen), share) for index, share in enumerate(shares)]


# ------------------------------------------------------------------------------------------------------------ the lanes


def warm(preset: Rehearsable, folder: Path) -> None:
    """Import a venue's SDK, without asking it anything, so that no forked process has to."""
    path = folder / "warm.toml"
    path.write_text(preset.text("http://127.0.0.1:1", folder, TIMEOUT_S))
    session.bind(presets.load(path), ENVIRON, SystemClock(), Home(folder))


def carry_out(work: Sequence[Job], lanes: int = LANES, say: Callable[[Figures], None] = lambda _: None) -> Figures:
    """Do some jobs, so many side by side, and return what became of them; `say` is given what became of each."""
    total, queue, pipes, processes = Figures(), FORK.SimpleQueue(), [], []
    with tempfile.TemporaryDirectory(prefix="logos-kills-", dir=_memory()) as scratch:
        for preset in {one.preset.venue: one.preset for one in work}.values():
            warm(preset, Path(scratch))
        for _ in range(min(lanes, len(work))):
            pipe, other = FORK.Pipe(duplex=False)
            processes.append(FORK.Process(target=_lane, args=(work, queue, Path(scratch), other)))
            processes[-1].start()
            other.close()
            pipes.append(pipe)
        for number in (*range(len(work)), *([None] * len(pipes))):
            queue.put(number)
        for found in _gathered(pipes):
            total.add(found)
            say(found)
        for process in processes:
            process.join()
    total.broken += [f"a lane ended with {process.exitcode}" for process in processes if process.exitcode]
    planned = Counter(plan.failpoint.number for one in work for plan in one.plans if plan.failpoint is not None)
    total.broken += [
        f"{number} was never met" for number, times in planned.items() if times >= OFTEN and number not in total.failpoints
    ]
    return total


def _lane(work: Sequence[Job], queue: Any, folder: Path, pipe: Pipe) -> None:
    """Do jobs until none is left."""
    stamina.instrumentation.set_on_retry_hooks([])  # which would log each
    while (number := queue.get()) is not None:
        try:
            pipe.send(_done(work[number], folder))
        except Exception as error:  # noqa: BLE001  whatever it is, whoever counts must be told
            pipe.send(Figures(broken=[f"{work[number].name}: {type(error).__name__}: {error}"]))
    pipe.close()


def _done(one: Job, folder: Path) -> Figures:
    own = Path(tempfile.mkdtemp(dir=folder))
    try:
        with simulator(one.preset.venue) as url:
            return Batch(one.preset, own, one.name, url, overlaps=one.overlaps).run(one.plans)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def campaign(
    cycles: int,
    seed: int = 1,
    *,
    first: int = 0,
    names: Sequence[str] = (),
    lanes: int = LANES,
    say: Callable[[Figures], None] = lambda _: None,
) -> Figures:
    """Kill so many times, and return what became of it.

    Args:
        first: the number of the first batch of each venue; the batches from there on are what a longer campaign does there.
        names: the venues; none are all that are installed.
        lanes: how many batches are done side by side.
        say: is given what became of each batch.
    """
    chosen = [preset for preset in embedded() if not names or preset.venue in names]
    return carry_out(jobs(chosen, seed, cycles, first), lanes, say)


def _gathered(pipes: list[Pipe]) -> Iterator[Figures]:
    """Listen to every lane until it ends."""
    while pipes:
        for pipe in wait(pipes):
            assert isinstance(pipe, Pipe)
            try:
                yield pipe.recv()
            except EOFError:
                pipes.remove(pipe)


def _memory() -> str | None:
    """Return a folder in memory where there is one: what a process wrote outlives it there, too."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main(arguments: list[str] | None = None) -> int:
    """Kill, print what came of it, and return 0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m campaign.kills", description=__doc__.splitlines()[0])
    parser.add_argument("venues", nargs="*", help="only these; default: every installed one")
    parser.add_argument("--cycles", type=int, default=2_000, help="how many processes are killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first batch of each venue")
    parser.add_argument("--lanes", type=int, default=LANES, help="how many batches are done side by side")
    given = parser.parse_args(arguments)
    installed = {preset.venue for preset in embedded()}
    if unknown := sorted(set(given.venues) - installed):
        parser.error(f"no such venue: {', '.join(unknown)}; there are {', '.join(sorted(installed))}")
    if given.cycles < 1 or given.lanes < 1 or given.first < 0:
        parser.error("--cycles and --lanes are at least 1, --first is not below 0")
    begun_s, killed = time.monotonic(), 0

    def say(batch: Figures) -> None:
        nonlocal killed
        killed += batch.cycles
        print(f"{time.monotonic() - begun_s:6.0f} s  {killed} of {given.cycles} killed", flush=True)
        for said in batch.broken:
            print(f"BROKEN {said}", flush=True)

    found = campaign(given.cycles, given.seed, first=given.first, names=given.venues, lanes=given.lanes, say=say)
    print(json.dumps({**found.told(), "seed": given.seed, "seconds": round(time.monotonic() - begun_s)}))
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
