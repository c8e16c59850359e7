"""A ledger that lost its memory reads it back from the venue, once."""

import pytest

from logos_core.adoption import adopt
from logos_core.errors import LedgerError
from logos_core.hookspecs import Operation
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus
from logos_core.testing.scripted import ScriptedVenue, capabilities
from tests.unit.making import report_of


@pytest.mark.parametrize("account_history", [True, False])
def test_adoption_takes_every_order_of_ours_and_no_other(desk, account_history):
    session, asked = desk(ScriptedVenue(capabilities(account_history=account_history))), []
    session.venue.held += [
        report_of("lgsworks"),
        report_of("lgsended", venue_order_id="v2", status=OrderStatus.FILLED),
        report_of("somebody", venue_order_id="v3"),
        report_of(None, venue_order_id="v4"),
    ]

    def remember(venue, request):
        asked.append((request.cursor, request.symbols))
        return venue.snapshot()

    session.venue.script(Operation.RECONCILE, remember)
    assert 2 == adopt(session.parts.venue, session.ledger, ("BTC/USDT",))
    assert [(None, ("BTC/USDT",))] == asked
    assert {S.NEW: 1, S.FILLED: 1} == session.ledger.counts()
    assert account_history == (session.ledger.cursor("history:BTC/USDT") is None)
    assert 0 == adopt(session.parts.venue, session.ledger, ())


def test_a_damaged_file_is_found_after_an_unclean_end(book, monkeypatch):
    monkeypatch.setattr(book.ledger._db, "row", lambda sql: ("row 7 missing from index",))
    with pytest.raises(LedgerError, match="row 7 missing from index"):
        book.ledger._db.check()

    assert book.ledger.broken
    with pytest.raises(LedgerError):
        book.claim()


def test_a_session_that_lives_is_not_buried(desk):
    session, other = desk(), desk()
    other.ledger.bury(other.home.is_dead)
    assert "session_died" not in [event.kind for event in other.adapter.audit_log]
    session.die()
    other.ledger.bury(other.home.is_dead)
    other.ledger.bury(other.home.is_dead)

    assert [session.session_id] == [event.fields()["died"] for event in other.adapter.audit_log if event.kind == "session_died"]
