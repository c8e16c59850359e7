"""Every failpoint is there, is met, and is nowhere in the product."""

import threading
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
import stamina.instrumentation

from campaign.batches import Batch
from campaign.failpoints import EXCLUDED, FAILPOINTS, Failpoint, Side, armed, find, kill, resolve, table
from campaign.histories import play
from campaign.kills import Job, at_point, carry_out, points, warm
from campaign.processes import Process, simulator
from campaign.victims import ENVIRON, LIVES, OPERATIONS, Victim
from logos_core.cli import adopting
from logos_core.clock import SystemClock
from logos_core.ledger import archive
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.testing.rehearsal import oracle
from logos_core.testing.rehearsal.presets import embedded
from tests.ledgers.loading import load
from tests.unit.making import OWNER

ROOT = Path(__file__).parents[2]
ALONE = frozenset({"migrate", "archive", "adopt"})
"""What is done in tests of its own, below."""


@pytest.fixture(autouse=True)
def _quiet():
    """Let no retry be logged."""
    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([])
    yield
    stamina.instrumentation.set_on_retry_hooks(before)


def doing(operation):
    return [failpoint for failpoint in FAILPOINTS if operation in failpoint.operations]


# ------------------------------------------------------------------------------------------------------------------ the list


def test_every_call_that_a_failpoint_lies_at_is_there():
    for failpoint in FAILPOINTS:
        for target in filter(None, (failpoint.target, failpoint.inside)):
            owner, name = resolve(target)

            assert callable(getattr(owner, name)), target


def test_every_crash_point_is_a_failpoint_or_has_a_reason_not_to_be():
    crash_points = {f"C{number:02d}" for number in range(1, 21)}

    assert crash_points == {failpoint.number for failpoint in FAILPOINTS if failpoint.number[0] == "C"} | EXCLUDED.keys()
    assert not EXCLUDED.keys() & {failpoint.number for failpoint in FAILPOINTS}


def test_numbers_and_names_are_given_once():
    own = [f"L{number:02d}" for number in range(1, 1 + sum(failpoint.number[0] == "L" for failpoint in FAILPOINTS))]

    assert own == [failpoint.number for failpoint in FAILPOINTS if failpoint.number[0] == "L"]
    assert len(FAILPOINTS) == len({failpoint.name for failpoint in FAILPOINTS})


def test_a_failpoint_is_found_by_its_name_and_by_its_number():
    assert FAILPOINTS[4] == find("C05") == find("mid-request")


@pytest.mark.parametrize(
    ("name", "said"),
    [("mid-requst", "near it: .*mid-request"), ("C12", "nothing is exported"), ("nonsense!", "campaign.failpoints")],
)
def test_a_failpoint_that_is_not_there_is_an_error_that_helps(name, said):
    with pytest.raises(LookupError, match=said):
        find(name)


def test_the_table_names_every_point_and_what_is_none():
    told = table()

    for failpoint in FAILPOINTS:
        assert f"{failpoint.number}  {failpoint.name} " in told
    for number, why in EXCLUDED.items():
        assert number in told
        assert why in told


def test_nothing_of_it_is_in_the_product():
    for folder in (ROOT / "logos_core", *(ROOT / "plugins").glob("*/logos_*")):
        for path in folder.rglob("*.py"):
            assert "failpoint" not in path.read_text().casefold(), path


# --------------------------------------------------------------------------------------------------------------- the arming


class Bell:
    """Something to stop at."""

    rung: bytes = b""

    def ring(self, data=b"ding"):
        self.rung += data
        return self.rung

    def twice(self):
        self.ring()
        return self.ring()


def at(side, inside=None):
    target = f"{__name__}:Bell.ring"
    return Failpoint(number="L99", name="bell", where="", target=target, side=side, inside=inside, operations=frozenset())


class Stop(BaseException):
    pass


def stop():
    raise Stop


@pytest.mark.parametrize(("side", "rung"), [(Side.BEFORE, b""), (Side.AMID, b"di"), (Side.AFTER, b"ding")])
def test_a_process_is_stopped_on_the_side_that_is_named(side, rung):
    bell = Bell()
    with armed(at(side), stop), pytest.raises(Stop):
        bell.ring(b"ding")

    assert rung == bell.rung
    assert rung + b"dong" == bell.ring(b"dong")


@pytest.mark.parametrize("side", list(Side))
def test_a_process_that_is_not_to_be_stopped_goes_on_as_if_nothing_were_there(side):
    bell = Bell()
    met: Counter[str] = Counter()
    with armed(at(side), lambda: met.update("x"), nth=2):
        told = [bell.ring(b"abc"), bell.ring(b"def"), bell.ring(b"ghi")]

    assert [b"abc", b"abcdef", b"abcdefghi"] == told
    assert 2 == met["x"]


def test_a_point_inside_another_call_counts_only_there_and_in_that_thread():
    bell = Bell()
    met: Counter[str] = Counter()
    with armed(at(Side.BEFORE, f"{__name__}:Bell.twice"), lambda: met.update("x")):
        bell.ring()
        assert 0 == met["x"]
        bell.twice()
        other = threading.Thread(target=bell.ring)
        other.start()
        other.join()

    assert 2 == met["x"]


# ---------------------------------------------------------------------------------------------------------------- the meeting


def test_every_failpoint_belongs_to_an_operation_that_is_done():
    for failpoint in FAILPOINTS:
        assert failpoint.operations
        assert failpoint.operations <= OPERATIONS.keys() | ALONE


@pytest.fixture(scope="module")
def alpaca(tmp_path_factory):
    """The preset of a venue that replaces in one request, with its SDK imported."""
    preset = next(preset for preset in embedded() if preset.venue == "alpaca")
    warm(preset, tmp_path_factory.mktemp("warm"))
    return preset


@pytest.mark.timeout(300)
def test_a_real_process_dies_at_each_failpoint_and_nothing_breaks(alpaca):
    plans = [at_point(failpoint, Random(failpoint.name)) for failpoint in points(alpaca, overlaps=True)]
    jobs = [Job(preset=alpaca, name=f"every.{lane}", plans=new_accounts_first(plans[lane::6]), overlaps=True) for lane in range(6)]
    figures = carry_out(jobs)

    assert [] == figures.broken
    assert {} == figures.missed
    assert {failpoint.number for failpoint in FAILPOINTS if not failpoint.operations <= ALONE} == figures.failpoints.keys()


def new_accounts_first(plans):
    return tuple(sorted(plans, key=lambda plan: plan.operation != "first"))


def test_every_failpoint_that_is_said_to_be_simulated_is_met_in_histories():
    met: Counter[str] = Counter()
    simulated = [failpoint for failpoint in FAILPOINTS if failpoint.simulated]
    with ExitStack() as arms:
        for failpoint in simulated:
            arms.enter_context(armed(failpoint, counting(met, failpoint)))
        broken: list[tuple[str, ...]] = []
        while len(met) < len(simulated) and len(broken) < 80:
            broken.append(play(len(broken)).broken)

    assert {failpoint.number for failpoint in simulated} == met.keys()
    assert not any(broken)


def counting(met, failpoint):
    return lambda: met.update([failpoint.number])


def killed(act):
    """Let a forked process do something, and say whether it was killed."""
    ended = Process(lambda _tell: act()).ended(60.0)

    assert [] == ended.words("error")
    return ended.is_killed


@pytest.mark.parametrize("failpoint", doing("migrate"), ids=lambda failpoint: failpoint.name)
def test_a_migration_that_is_killed_is_done_by_the_next_who_opens(tmp_path, failpoint):
    path = load("alpaca", tmp_path / "ledger.sqlite3")
    before = oracle.read(path)

    def migrate():
        with armed(failpoint, kill):
            SqliteLedger.open(path, SystemClock())

    assert killed(migrate)

    SqliteLedger.open(path, SystemClock()).close()

    after = oracle.read(path)
    assert before.events == after.events
    assert [intent["client_order_id"] for intent in before.intents] == [intent["client_order_id"] for intent in after.intents]
    assert not killed(lambda: SqliteLedger.open(path, SystemClock()).close())


@pytest.mark.parametrize("failpoint", doing("archive"), ids=lambda failpoint: failpoint.name)
def test_an_archive_that_is_killed_loses_no_event(tmp_path, failpoint):
    path = load("alpaca", tmp_path / "ledger.sqlite3")
    ledger = SqliteLedger.open(path, SystemClock())
    heads, count = archive.verify(ledger)[0], len(list(ledger.events()))
    ledger.close()

    def move_out():
        book = SqliteLedger.open(path, SystemClock())
        book.begin_session("killed", "archive", "test")
        with armed(failpoint, kill):
            archive.archive(book, SystemClock().now() + timedelta(days=1))

    assert killed(move_out)

    ledger = SqliteLedger.open(path, SystemClock())
    after, missing = archive.verify(ledger)
    kept, moved = list(ledger.events()), sum(archive.read(path.with_name(one.file)).events for one in ledger.segments())
    ledger.begin_session("again", "archive", "test")
    archive.archive(ledger, SystemClock().now() + timedelta(days=1))

    assert [] == missing == archive.verify(ledger)[1]
    assert heads == {session: head for session, head in after.items() if session in heads}
    assert count <= len(kept) + moved
    ledger.close()


@pytest.mark.parametrize("failpoint", doing("adopt"), ids=lambda failpoint: failpoint.name)
def test_an_adoption_that_is_killed_can_be_run_again(alpaca, tmp_path, monkeypatch, failpoint):
    with simulator("alpaca") as url:
        batch = Batch(alpaca, tmp_path, "adopted", url, overlaps=False)
        lane = batch.lane
        for name, value in {**ENVIRON, "LOGOS_HOME": str(lane.home)}.items():
            monkeypatch.setenv(name, value)

        def trade():
            victim = Victim(lane, LIVES, None, lambda _said: None)
            victim.open()
            victim.decide("adopted.0.submit")
            victim.close()

        assert not killed(trade)

        for left in (lane.home / "ledgers").iterdir():
            left.unlink()

        def adopt():
            with armed(failpoint, kill):
                adopting.adopt(lane.preset)

        assert killed(adopt)
        assert not killed(lambda: adopting.adopt(lane.preset))
        assert not killed(trade)

        path = lane.ledger
        assert path is not None
        found = oracle.compare(batch.admin.orders(), batch.admin.wire(), oracle.read(path))

        assert {"one request per attempt"} == {finding.rule for finding in found}  # the one that the lost ledger knew of


def test_a_checkpoint_is_really_under_way_where_it_is_killed(tmp_path):
    """The point lies at a write into the ledger's own file, which in WAL mode is written by nothing else."""
    path, met = tmp_path / "ledger.sqlite3", []
    with armed(find("mid-checkpoint"), lambda: met.append(path.stat().st_mtime_ns)):
        ledger = SqliteLedger.create(path, OWNER, SystemClock())
        ledger.begin_session("s", "s", "s")
        for number in range(40):
            ledger.note("filler", {"text": "x" * 400, "number": number})
        folded = path.stat().st_mtime_ns
        ledger.close()

    assert met[0] < folded
