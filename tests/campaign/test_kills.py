"""Real processes, killed: nothing breaks without a bug, and something does with one."""

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from campaign import kills
from campaign.batches import Figures, Plan
from campaign.failpoints import find
from campaign.kills import BATCH, Job, carry_out, jobs, main
from campaign.processes import Process
from campaign.victims import AT_A_LINE, AT_A_POINT, COLD, FROM_OUTSIDE, OPERATIONS, Lines
from logos_core import recovery
from logos_core.cancellation import Cancellation
from logos_core.ledger.reported import Reported
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.records import AttemptOutcome
from logos_core.resolution import Resolver
from logos_core.submission import Submission
from logos_core.testing.rehearsal.presets import embedded
from logos_core.values import plain

PRESETS = {preset.venue: preset for preset in embedded()}


def points(*where):
    """Return deaths at failpoints, each written as OPERATION NUMBER."""
    return tuple(
        Plan(operation=operation, kind=AT_A_POINT, failpoint=find(number))
        for operation, _, number in (one.partition(" ") for one in where)
    )


def killed(venue, *plans):
    return carry_out([Job(preset=PRESETS[venue], name=f"{venue}.test", plans=plans, overlaps=False)])


@pytest.mark.timeout(300)
def test_a_slice_of_kills_breaks_nothing():
    anywhere = [
        Plan(operation=operation, kind=kind, share=share)
        for operation in ("submit", "cancel", "recover", "close")
        for kind, share in ((AT_A_LINE, 0.3), (AT_A_LINE, 0.7), (FROM_OUTSIDE, 0.5))
    ]
    plans = (*anywhere, Plan(operation="submit", kind=COLD, share=0.6))
    work = [
        Job(preset=preset, name=f"{venue}.slice.{lane}", overlaps=False, plans=plans[lane::4])
        for venue, preset in PRESETS.items()
        for lane in range(4)
    ]
    figures = carry_out(work)

    assert [] == figures.broken
    assert PRESETS.keys() == figures.venues.keys()
    assert len(plans) * len(PRESETS) / 2 < figures.cycles
    assert len(PRESETS) < len(figures.lines)
    assert {AT_A_LINE, FROM_OUTSIDE} <= figures.deaths.keys()


# -------------------------------------------------------------------------------------------------------- with a bug in it


def send_before_the_claim(patch):
    """Let the order leave, and record the attempt only then."""
    real, replies = Submission._claim, {}

    def claim(self, sending, prepared):
        replies[sending.client_order_id] = self._parts.venue.submit(prepared, ())
        return real(self, sending, prepared)

    patch.setattr(Submission, "_claim", claim)
    patch.setattr(Submission, "_handed_over", lambda _self, sending, _prepared, _gates: replies[sending.client_order_id])


def resend_blindly(patch):
    """Let recovery send again what has no outcome, and ask later."""
    real = recovery.settle_one

    def settle_one(resolver, recorded, now):
        resolver.venue.submit(resolver.venue.prepare(recorded.request), ())
        return real(resolver, recorded, now)

    patch.setattr(recovery, "settle_one", settle_one)


def forget_the_outcome(patch):
    """Tell the caller of an order that was taken, and nobody else."""
    patch.setattr(Reported, "accept", lambda _self, _name, _number, report, _seen: report)


def call_it_not_sent(patch):
    """Let recovery take for not sent what has no outcome."""
    real = Resolver.find_out

    def find_out(self, recorded, **more):
        for attempt in recorded.attempts:
            self.ledger.settle(
                recorded.client_order_id, attempt.number, AttemptOutcome.NOT_SENT, evidence={"phase": "nothing sent"}
            )
        return real(self, self.ledger.find(recorded.client_order_id), **more)

    patch.setattr(Resolver, "find_out", find_out)


def tidy_up(patch):
    """Let a session that finds another dead remove what that one wrote."""
    real = SqliteLedger.bury

    def bury(self, is_dead):
        real(self, is_dead)
        with self._transaction():
            (trigger,) = self._db.row("SELECT sql FROM sqlite_master WHERE name = 'events_never_vanish'")
            self._db.write("DROP TRIGGER events_never_vanish")
            self._db.write("DELETE FROM events WHERE session_id <> ?", self._session)
            self._db.write(trigger)

    patch.setattr(SqliteLedger, "bury", bury)


def cancel_in_words(patch):
    """Answer a cancel from the record."""
    patch.setattr(Cancellation, "cancel", lambda self, reference: self._parts.ledger.find(reference.client_order_id).report)


BUGS = {
    send_before_the_claim: ("alpaca", ("submit C01", "submit C02"), "order(s) of ours that the ledger"),
    resend_blindly: ("ccxt:binance", ("submit C08", "submit C09"), "one order per"),
    forget_the_outcome: ("alpaca", ("submit C01", "submit C02"), "nothing stays unknown"),
    call_it_not_sent: ("oanda", ("submit C07", "submit C08"), "exists although it was recorded as not_sent"),
    tidy_up: ("alpaca", ("submit C08", "open L05"), "no event is lost"),
    cancel_in_words: ("alpaca", ("cancel L34", "cancel L36"), "it was cancelled, and is new"),
}


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant, monkeypatch):
    venue, where, rule = BUGS[plant]
    plant(monkeypatch)
    figures = killed(venue, *points(*where))

    assert any(rule in said for said in figures.broken), figures.broken


def test_nothing_is_caught_where_nothing_is_planted():
    work = [
        Job(preset=PRESETS[venue], name=plant.__name__, plans=points(*where), overlaps=False)
        for plant, (venue, where, _rule) in BUGS.items()
    ]

    assert [] == carry_out(work).broken


# ------------------------------------------------------------------------------------------------------------ the campaign


def test_the_same_seed_plans_the_same_kills_and_another_seed_others():
    def planned(seed, first=0):
        return [(one.name, [str(plan) for plan in one.plans]) for one in jobs(list(PRESETS.values()), seed, 1_000, first)]

    assert planned(1) == planned(1)
    assert [plans for _, plans in planned(1)] != [plans for _, plans in planned(2)]
    assert planned(1)[8:12] == planned(1, first=2)[:4]


def test_ten_thousand_kills_meet_every_failpoint_often_and_every_way_to_die_on_every_venue():
    work = jobs(list(PRESETS.values()), 1, 10_000, 0)
    plans = [(one.preset.venue, plan) for one in work for plan in one.plans]
    met = Counter((venue, plan.failpoint.number) for venue, plan in plans if plan.failpoint)

    assert 10_000 == len(plans)
    assert BATCH >= max(len(one.plans) for one in work)
    assert {(venue, kind) for venue in PRESETS for kind in kills.KINDS} == {(venue, plan.kind) for venue, plan in plans}
    assert 4 < min(met.values())
    for venue, preset in PRESETS.items():
        wanted = {point.number for point in kills.points(preset, overlaps=True)}

        assert wanted == {number for where, number in met if where == venue}
    assert {plan.operation for _, plan in plans} == OPERATIONS.keys()


def test_only_lines_of_the_product_count_and_the_deadly_one_is_told_before_it_is_run():
    def live(tell):
        lines = Lines(1, tell)
        lines.begin()
        PRESETS["alpaca"].text("http://127.0.0.1:1", Path("/"), 1.0)  # in `testing`
        tell(f"counted {lines.count}")
        plain(Decimal("1.50"))
        tell("outlived")

    ended = Process(live).ended()

    assert ended.is_killed
    assert ["0"] == ended.words("counted")
    assert [] == ended.words("outlived")
    assert re.fullmatch(r"logos_core/values\.py:\d+", ended.words("line")[0])


@pytest.mark.parametrize("arguments", [["--cycles", "0"], ["--lanes", "0"], ["--first", "-1"], ["nowhere"], ["--cycles", "many"]])
def test_what_cannot_be_meant_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert 2 == ended.value.code
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(("broken", "code"), [([], 0), (["alpaca.1.0: one order per intent: …"], 1)])
def test_the_last_line_is_json_and_what_broke_is_named(broken, code, monkeypatch, capsys):
    def campaign(_cycles, _seed, *, say, **_more):
        found = Figures(cycles=7, failpoints=Counter(C01=7), lines={"a:1", "a:2"}, broken=broken)
        say(found)
        return found

    monkeypatch.setattr(kills, "campaign", campaign)

    assert code == main(["--cycles", "7"])

    *progress, last = capsys.readouterr().out.splitlines()
    assert {"cycles": 7, "failpoints": {"C01": 7}, "lines": 2, "broken": broken}.items() <= json.loads(last).items()
    assert "7 of 7 killed" in progress[0]
    assert [f"BROKEN {said}" for said in broken] == progress[1:]
