"""Transactions that wait share one commit, and each is as much its own as if it had been alone."""

import subprocess
import sys
import threading
import time

import apsw
import pytest

from logos_core.errors import LedgerError
from logos_core.events import verify
from logos_core.ledger import writer
from logos_core.ledger.connection import Connection
from logos_core.lifecycle import IntentState as S
from logos_core.records import AttemptOutcome as A
from logos_core.records import ClaimLostError, Denial
from tests.unit.making import Book, report_of

NO = Denial(reason="TEST_NO", message="no")
PATIENCE_S = 10.0


class Crowd:
    """Calls made by a thread each, one after another, while the ledger is busy; so they are one group, in this order."""

    def __init__(self, ledger):
        self.db = ledger._db
        self.commits = 0
        self.before_commit = self.after_commit = lambda: None
        self.ended: list[int] = []
        self._commit, self.db.commit = self.db.commit, self.commit

    def commit(self):
        self.before_commit()
        self._commit()
        self.commits += 1
        self.after_commit()

    def together(self, *calls):
        """Return what became of each call: its result, or the error it raised."""
        results: list[object] = [None] * len(calls)

        def call(number):
            try:
                results[number] = calls[number]()
            except BaseException as error:
                results[number] = error
            self.ended.append(number)

        threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
        with self.db.transaction():
            for waiting, thread in enumerate(threads):
                thread.start()
                until(lambda waiting=waiting: self.db._writer.in_charge and self.db._writer._queue.qsize() == waiting)
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        self.commits -= 1  # the one that kept the ledger busy
        return results


def until(condition):
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "it does not come to that"
        time.sleep(0.001)


@pytest.fixture
def crowd(book):
    return Crowd(book.ledger)


def raising(error):
    def deny():
        raise error

    return deny


# ----------------------------------------------------------------------------------------------------------------- groups


def test_an_idle_ledger_commits_in_the_callers_own_thread(book):
    threads = []
    for number in range(20):
        book.claim(f"lgs{number}", deny=lambda: threads.append(threading.current_thread()))

    assert {threading.current_thread()} == set(threads)
    assert book.ledger._db._writer._thread is None


def test_who_waits_shares_one_commit_and_each_has_its_own_result(book, crowd):
    results = crowd.together(
        lambda: book.claim("a"),
        lambda: book.ledger.note("x", {"n": 1}),
        lambda: book.claim("b"),
        lambda: book.settle(A.NOT_SENT, name="a").state,
        lambda: book.claim("a", again=True),
        lambda: book.ledger.accept("b", 1, report_of("b"), {}).client_order_id,
    )

    assert ([1, None, 1, S.IN_FLIGHT, 2, "b"], 1) == (results, crowd.commits), "the fourth reads after the commit of all"
    assert ["session_opened", "attempt", "x", "attempt", "settled", "attempt", "settled"] == book.kinds()
    verify(book.ledger.events())


def test_a_group_is_bounded(book, crowd, monkeypatch):
    monkeypatch.setattr(writer, "GROUP_MAX", 4)
    crowd.together(*[lambda number=number: book.claim(f"lgs{number}") for number in range(10)])

    assert 3 == crowd.commits


def test_what_one_member_raises_undoes_that_member_alone(book, crowd):
    """A denial, a lost race, a mistake and an interrupt in the midst of others, which are recorded as if nothing had been."""
    mistake, interrupt = RuntimeError("a mistake"), KeyboardInterrupt()

    def after_an_event(error):
        """Raise after something was written, so that there is something to undo."""
        ledger = book.ledger
        return ledger._transact(lambda: (ledger._event("undone", None, {}), raising(error)()))

    results = crowd.together(
        lambda: book.claim("a"),
        lambda: book.claim("b", deny=lambda: NO),
        lambda: book.claim("a"),
        lambda: book.claim("c", deny=raising(mistake)),
        lambda: after_an_event(interrupt),
        lambda: book.claim("d"),
        lambda: after_an_event(LedgerError("no such intent")),
        lambda: book.claim("e"),
    )

    assert [1, NO, ClaimLostError, mistake, interrupt, 1, LedgerError, 1] == [
        type(result) if isinstance(result, ClaimLostError | LedgerError) else result for result in results
    ]
    assert (1, None) == (crowd.commits, book.ledger.broken)
    assert ["session_opened", "attempt", "attempt", "attempt"] == book.kinds()
    assert [("a", 1), ("d", 1), ("e", 1)] == sorted(
        (known.client_order_id, len(known.attempts)) for known in book.ledger.recorded(9)
    )
    verify(book.ledger.events())


def test_no_two_members_pass_one_limit(book, crowd):
    def at_most_three():
        return NO if book.ledger._db.row("SELECT count(*) FROM intents WHERE state = 'in_flight'")[0] >= 3 else None

    results = crowd.together(*[lambda number=number: book.claim(f"lgs{number}", deny=at_most_three) for number in range(8)])

    assert ([1, 1, 1, NO, NO, NO, NO, NO], 1) == (results, crowd.commits)


def test_a_latch_of_one_member_stops_the_next(book, crowd):
    _, denial = crowd.together(lambda: book.ledger.latch("it smells"), book.claim)

    assert "KILL_SWITCH_LATCHED" == denial.reason
    assert "it smells" == book.ledger.first_latch()


# ---------------------------------------------------------------------------------------------------------- durability


def test_nobody_is_told_before_the_commit_of_all_is_durable(book, crowd):
    seen = []
    other = Connection(book.path)

    def look():
        time.sleep(0.05)
        seen.append((list(crowd.ended), other.rows("SELECT count(*) FROM attempts")))

    def arm():
        crowd.before_commit = look

    crowd.together(lambda: book.claim("a", deny=arm), lambda: book.claim("b"), lambda: book.claim("c", deny=lambda: NO))
    other.close()

    assert [([], [(0,)])] == seen
    assert {0, 1, 2} == set(crowd.ended)


def test_a_commit_that_fails_fails_all_and_the_next_chain_is_whole(book, crowd):
    real = book.ledger._db._connection

    class Failing:
        def __getattr__(self, name):
            return getattr(real, name)

        def execute(self, sql, *bindings):
            if sql == "COMMIT":
                raise apsw.IOError("disk I/O error")
            return real.execute(sql, *bindings)

    def break_the_disk():
        book.ledger._db._connection = Failing()

    results = crowd.together(
        lambda: book.claim("a", deny=break_the_disk), lambda: book.claim("c", deny=lambda: NO), lambda: book.claim("b")
    )

    assert [LedgerError] * 3 == [type(result) for result in results]
    assert len(results) == len({id(result) for result in results}), "each caller has an error of its own"
    assert "check the disk" in book.ledger.broken
    with pytest.raises(LedgerError, match="New orders stop"):
        book.claim("d")
    book.ledger._db._connection, book.ledger._db.broken = real, None

    assert [] == book.ledger.recorded(9)
    assert 1 == book.claim("d")
    assert ["session_opened", "attempt"] == book.kinds()
    verify(book.ledger.events())


@pytest.mark.parametrize("statement", ["SAVEPOINT attempt", "RELEASE attempt"])
def test_a_disk_that_fails_between_two_members_fails_all(book, crowd, statement):
    """The first of them was through, and is not told so: nothing of the group is durable."""
    real = book.ledger._db._connection

    class Failing:
        def __getattr__(self, name):
            return getattr(real, name)

        def execute(self, sql, *bindings):
            if sql == statement:
                raise apsw.IOError("disk I/O error")
            return real.execute(sql, *bindings)

    def break_the_disk():
        book.ledger._db._connection = Failing()

    results = crowd.together(lambda: book.claim("a", deny=break_the_disk), lambda: book.claim("b"), lambda: book.claim("c"))
    book.ledger._db._connection = real

    assert [LedgerError] * 3 == [type(result) for result in results]
    assert "check the disk" in book.ledger.broken
    assert [] == book.ledger.recorded(9)


def test_a_mistake_of_ours_in_the_midst_of_a_group_fails_all_and_nothing_is_written_after_it(book, crowd):
    def mistake():
        crowd.before_commit = lambda: None
        raise RuntimeError("a mistake")

    def arm():
        crowd.before_commit = mistake

    results = crowd.together(lambda: book.claim("a", deny=arm), lambda: book.claim("b"))

    assert [LedgerError] * 2 == [type(result) for result in results]
    assert "met a mistake of this program (RuntimeError('a mistake'))" in str(results[1])
    with pytest.raises(LedgerError, match="open a new session"):
        book.claim("c")
    assert [] == book.ledger.recorded(9)


def test_a_disk_that_fails_under_one_member_fails_all(book, crowd):
    def fill_up():
        pages = book.ledger._db.row("PRAGMA page_count")[0]
        book.ledger._db.rows(f"PRAGMA max_page_count={pages}")

    results = crowd.together(
        lambda: book.claim("a", deny=fill_up), lambda: book.ledger.note("filler", {"text": "x" * 100_000}), lambda: book.claim("b")
    )

    assert [LedgerError] * 3 == [type(result) for result in results]
    assert "the disk is full" in book.ledger.broken
    assert [] == book.ledger.recorded(9)


def test_a_file_that_is_gone_fails_all(book, crowd):
    gone = book.path.with_name("gone")
    results = crowd.together(
        lambda: book.claim("a"), lambda: book.claim("b", deny=lambda: book.path.rename(gone)), lambda: book.claim("c")
    )

    assert [LedgerError] * 3 == [type(result) for result in results]
    assert "was removed or replaced" in book.ledger.broken
    gone.rename(book.path)
    assert [] == book.ledger.recorded(9)


def test_a_ledger_locked_by_another_process_fails_all_who_wait_at_once_and_is_fine_later(book, crowd):
    book.ledger._db._connection.set_busy_timeout(20)
    other = apsw.Connection(str(book.path))
    began = []
    begin = crowd.db.begin

    def locked_out():
        if threading.current_thread().name == "ledger-writer" and "ledger-writer" not in began:
            other.execute("BEGIN IMMEDIATE")
        began.append(threading.current_thread().name)
        begin()

    crowd.db.begin = locked_out
    results = crowd.together(*[lambda number=number: book.claim(f"lgs{number}") for number in range(5)])
    other.execute("ROLLBACK")
    other.close()

    assert ([LedgerError] * 5, 1) == ([type(result) for result in results], began.count("ledger-writer"))
    assert "locked by another process" in str(results[4])
    assert (None, 1) == (book.ledger.broken, book.claim("lgs0"))


# ------------------------------------------------------------------------------------------------------------- reading


def test_who_reads_meanwhile_sees_what_is_durable_and_does_not_wait(book, crowd):
    book.claim("before")
    seen = []

    def read():
        seen.append((book.ledger.find("before").state, book.ledger.find("a"), book.ledger.first_latch()))

    def look():
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(PATIENCE_S)

    crowd.together(lambda: book.claim("a"), lambda: book.ledger.latch("it smells"), lambda: book.claim("b", deny=look))

    assert [(S.IN_FLIGHT, None, None)] == seen
    assert (S.IN_FLIGHT, "it smells") == (book.state("a"), book.ledger.first_latch())


# ------------------------------------------------------------------------------------------------------------ contention


def test_the_books_are_whole_after_sixty_four_threads_and_exactly_as_many_got_in_as_may(book):
    limit, threads, each = 150, 64, 8
    results: list[object] = []

    def at_most():
        return NO if book.ledger._db.row("SELECT count(*) FROM intents")[0] >= limit else None

    def trade(trader):
        for number in range(each):
            name = f"lgs{trader}-{number}"
            made = book.claim(name, deny=at_most)
            results.append(made)
            if made == 1:
                book.ledger.accept(name, 1, report_of(name, venue_order_id=name), {})
            else:
                book.ledger.note("denied", {"name": name}, name)

    crew = [threading.Thread(target=trade, args=(number,)) for number in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(PATIENCE_S)
    kinds = book.kinds()

    assert (limit, threads * each - limit) == (results.count(1), results.count(NO))
    assert (limit, limit, threads * each - limit) == tuple(kinds.count(kind) for kind in ("attempt", "settled", "denied"))
    assert {S.NEW: limit} == book.ledger.counts()
    verify(book.ledger.events())


def test_a_transaction_of_its_own_waits_its_turn_and_no_longer(book, crowd):
    results = crowd.together(
        lambda: book.ledger.latch("it smells"), book.claim, lambda: book.ledger.release("somebody", "it was the cheese"), book.claim
    )

    assert ("KILL_SWITCH_LATCHED", 1, 1) == (results[1].reason, *results[2:])
    assert ["session_opened", "latched", "latch_released", "attempt"] == book.kinds()
    assert 3 == crowd.commits
    verify(book.ledger.events())


# ------------------------------------------------------------------------------------------------------------------ ends


def test_closing_leaves_no_thread_and_nobody_waiting(tmp_path):
    book = Book(tmp_path / "ledger.sqlite3")
    Crowd(book.ledger).together(lambda: book.claim("a"), lambda: book.claim("b"))
    thread = book.ledger._db._writer._thread
    assert thread is not None
    book.ledger.close()

    assert not thread.is_alive()
    with pytest.raises(LedgerError):
        book.ledger.note("late", {})


def test_nothing_is_taken_on_once_the_ledger_is_closed(book):
    """It would be run by nobody, and its caller would wait for ever."""
    said: list[str] = []
    book.ledger._db._writer.stop()

    def come_late():
        try:
            book.ledger._db._writer.run(lambda: None, lambda: None, lambda _: None)
        except LedgerError as error:
            said.append(str(error))

    caller = threading.Thread(target=come_late, daemon=True)
    caller.start()
    caller.join(PATIENCE_S)

    assert ["the ledger is closed"] == said


def run(tmp_path, program):
    """Run a program that has a book, a crowd and a way to say something at once, even if it is killed."""
    head = f"""
import os, signal, sys, threading, time
from pathlib import Path
from tests.unit.making import Book
from tests.unit.test_group_commit import Crowd, until
book = Book(Path({str(tmp_path / "ledger.sqlite3")!r}))
crowd = Crowd(book.ledger)
say = lambda *words: os.write(1, (" ".join(map(str, words)) + chr(10)).encode())
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", head + program], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.splitlines(), done.stderr, done.returncode


THREE = """
crowd.together(*[lambda name=name: say(name, book.claim(name, deny=lambda: armed.append(name))) for name in "abc"])
"""


@pytest.mark.parametrize(("moment", "recorded"), [("before_commit", []), ("after_commit", ["a", "b", "c"])])
def test_a_kill_around_the_commit_of_a_group_loses_nothing_that_was_acknowledged(tmp_path, moment, recorded):
    said, _, code = run(tmp_path, f"armed = []\ncrowd.{moment} = lambda: armed and kill()\n{THREE}")
    book = Book(tmp_path / "ledger.sqlite3", session_id="s2")

    assert ([], -9) == (said, code)
    assert recorded == sorted(known.client_order_id for known in book.ledger.recorded(9))
    verify(book.ledger.events())
    book.ledger.close()


@pytest.mark.parametrize("after_s", [0.05, 0.11, 0.23])
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path, after_s):
    program = f"""
def trade(trader):
    for number in range(10**6):
        name = f"lgs{{trader}}-{{number}}"
        book.claim(name)
        say(name)
for trader in range(16):
    threading.Thread(target=trade, args=(trader,), daemon=True).start()
time.sleep({after_s})
kill()
"""
    said, _, code = run(tmp_path, program)
    book = Book(tmp_path / "ledger.sqlite3", session_id="s2")

    assert (True, -9) == (len(said) > 16, code)
    assert [] == [name for name in said if book.ledger.find(name) is None]
    verify(book.ledger.events())
    book.ledger.close()


INTERRUPTED = """
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
def main_claims(before=lambda: None):
    try:
        say(book.claim("main"))
    except KeyboardInterrupt:
        say("interrupted")
def while_busy(act):
    def hold():
        with book.ledger._db.transaction():
            held.set()
            until(lambda: book.ledger._db._writer.in_charge)
            act()
    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    main_claims()
    thread.join()
"""
LET_GO = """
found = book.ledger.find("main")
say(found and (found.state.value, [attempt.outcome.value for attempt in found.attempts]))
say(book.claim("main", again=True))
"""


def test_an_interrupt_before_the_turn_leaves_nothing(tmp_path):
    said, err, _ = run(tmp_path, f"{INTERRUPTED}\nwhile_busy(interrupt)\n{LET_GO}")

    assert ["interrupted", "None", "1"] == said, err


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_an_interrupt_while_the_commit_is_under_way_leaves_an_attempt_that_was_not_sent(tmp_path, moment):
    """The caller never learns its number, so nobody will send it; nor is it left in flight."""
    arm = f"crowd.{moment} = lambda: threading.current_thread().name == 'ledger-writer' and (setattr(crowd, '{moment}', lambda: None), interrupt())"
    said, err, _ = run(tmp_path, f"{INTERRUPTED}\n{arm}\nwhile_busy(lambda: None)\n{LET_GO}")

    assert ["interrupted", "('not_sent', ['not_sent'])", "2"] == said, err


def test_an_interrupt_after_a_commit_of_ones_own_leaves_an_attempt_that_was_not_sent(tmp_path):
    arm = "crowd.after_commit = lambda: (setattr(crowd, 'after_commit', lambda: None), interrupt())"
    said, err, _ = run(tmp_path, f"{INTERRUPTED}\n{arm}\nmain_claims()\n{LET_GO}")

    assert ["interrupted", "('not_sent', ['not_sent'])", "2"] == said, err


def test_an_interrupt_after_a_commit_of_ones_own_holds_up_nobody_who_waits(tmp_path):
    program = """
other = threading.Thread(target=lambda: say(book.claim("other")), daemon=True)
def after_commit():
    crowd.after_commit = lambda: None
    book.ledger._db._writer.in_charge = True
    other.start()
    interrupt()
crowd.after_commit = after_commit
main_claims()
other.join(10)
say(other.is_alive())
os._exit(0)
"""
    said, err, _ = run(tmp_path, INTERRUPTED + program)

    assert {"interrupted", "1", "False"} == set(said), err


def test_an_interrupt_of_a_caller_who_has_just_been_told_waits_for_no_second_word(monkeypatch, tmp_path):
    wait = writer._Job.wait

    def told(job):
        wait(job)
        monkeypatch.undo()
        raise KeyboardInterrupt

    book = Book(tmp_path / "ledger.sqlite3")
    left: list[int] = []
    book.ledger._db._writer.run(lambda: 1, lambda: None, left.append)
    monkeypatch.setattr(writer._Job, "wait", told)
    with pytest.raises(KeyboardInterrupt):
        book.ledger._db._writer.run(lambda: 1, lambda: None, left.append)

    assert [1] == left
    book.ledger.close()


def test_whoever_was_told_may_ask_again(book):
    """An interrupt may come between the two, and whoever was interrupted waits once more."""
    job = writer._Job(lambda: None, lambda: None)

    def wait_twice():
        job.wait()
        job.wait()

    caller = threading.Thread(target=wait_twice, daemon=True)
    caller.start()
    job.decide(None)
    caller.join(PATIENCE_S)

    assert not caller.is_alive()


def test_a_forked_child_may_close_the_ledger_whatever_another_thread_was_about_to_do(tmp_path):
    """That thread is not there any more, and what it held nobody lets go."""
    program = """
crowd.together(lambda: book.claim("a"), lambda: book.claim("b"))
book.ledger._db._writer._lock.acquire()
child = os.fork()
if child == 0:
    signal.alarm(10)
    book.ledger.close()
    say("closed")
    os._exit(0)
book.ledger._db._writer._lock.release()
say(os.waitpid(child, 0)[1], book.claim("c"))
"""
    said, err, _ = run(tmp_path, program)

    assert ["closed", "0 1"] == said, err


def test_a_forked_child_is_told_instead_of_left_waiting(tmp_path):
    program = """
crowd.together(lambda: book.claim("a"), lambda: book.claim("b"))
with book.ledger._db.transaction():
    book.ledger._db._writer.in_charge = True
    child = os.fork()
    if child == 0:
        book.ledger._db._inside = None
        try:
            book.claim("c")
        except Exception as error:
            say(type(error).__name__, error)
        os._exit(0)
    os.waitpid(child, 0)
"""
    said, err, _ = run(tmp_path, program)

    assert ["LedgerError the ledger was opened before a fork; open it in each process"] == said, err
