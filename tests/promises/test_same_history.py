"""One story leaves the same history at every venue; what differs, and why, is listed here and nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from logos_core.capabilities import Capabilities, Uniqueness
from tests.promises import story
from tests.promises.conftest import VENUES, Desk
from tests.promises.kinds import CAPABILITIES
from tests.promises.story import CHAPTERS, TIMEOUT_S, Story

pytestmark = pytest.mark.usefixtures("hasty")

HISTORY = {
    story.a_limit_order_is_placed: """
        submit: buy 10 at 0.9 new, 0 filled
        sent: 1 submit
        'limit' attempt
        'limit' settled accepted new 0 of 10 -> new
        agrees; 0 held, 0 latches; at the venue 0 traded, 10 working
    """,
    story.the_same_intent_is_submitted_again: """
        submit: buy 10 at 0.9 new, 0 filled
        sent: nothing
        agrees; 0 held, 0 latches; at the venue 0 traded, 10 working
    """,
    story.a_part_of_it_fills: """
        sent: nothing
        'limit' reported partially_filled 4 of 10 -> partially_filled
        trade: buy 4 at 0.9
        agrees; 4 held, 0 latches; at the venue 4 traded, 6 working
    """,
    story.the_rest_is_cancelled: """
        cancel: buy 10 at 0.9 canceled, 4 filled at 0.9
        cancel: buy 10 at 0.9 canceled, 4 filled at 0.9
        sent: 2 cancel
        'limit' cancel
        'limit' reported canceled 4 of 10 -> canceled
        'limit' cancel
        agrees; 4 held, 0 latches; at the venue 4 traded, 0 working
    """,
    story.a_market_order_fills: """
        submit: buy 2 at market filled, 2 filled at 1
        sent: 1 submit
        'market' attempt
        'market' settled accepted filled 2 of 2 -> filled
        trade: buy 2 at 1
        agrees; 6 held, 0 latches; at the venue 6 traded, 0 working
    """,
    story.the_answer_of_a_market_order_that_filled_is_lost: """
        submit: buy 2 at market filled, 2 filled at 1
        submit: buy 2 at market filled, 2 filled at 1
        sent: 1 submit
        'answer lost' attempt
        'answer lost' settled unknown (unknown) -> unknown
        'answer lost' reported filled 2 of 2 -> filled
        trade: buy 2 at 1
        agrees; 8 held, 0 latches; at the venue 8 traded, 0 working
    """,
    story.a_gateway_gives_up_after_the_order_was_accepted: """
        submit: buy 10 at 0.9 new, 0 filled
        sent: 1 submit
        '504' attempt
        '504' settled unknown (unknown) -> unknown
        '504' reported new 0 of 10 -> new
        agrees; 8 held, 0 latches; at the venue 8 traded, 10 working
    """,
    story.one_request_arrives_twice: """
        submit: buy 10 at 0.9 new, 0 filled
        sent: 1 submit
        'twice' attempt
        'twice' settled unknown (duplicate) -> unknown
        'twice' reported new 0 of 10 -> new
        agrees; 8 held, 0 latches; at the venue 8 traded, 20 working
    """,
    story.the_venue_refuses: """
        submit: raised OrderRejectedError
        submit: raised OrderRejectedError
        sent: 1 submit
        'refused' attempt
        'refused' settled rejected (rejected) -> rejected
        agrees; 8 held, 0 latches; at the venue 8 traded, 20 working
    """,
    story.somebody_else_cancels: """
        sent: nothing
        '504' reported canceled 0 of 10 -> canceled
        agrees; 8 held, 0 latches; at the venue 8 traded, 10 working
    """,
    story.the_time_of_an_order_is_over: """
        sent: nothing
        'twice' reported expired 0 of 10 -> expired
        agrees; 8 held, 0 latches; at the venue 8 traded, 0 working
    """,
    story.an_order_is_replaced: """
        submit: buy 10 at 0.9 new, 0 filled
        replace: replaced, 0 traded; was buy 10 at 0.9 canceled, 0 filled; is buy 8 at 0.92 new, 0 filled
        replace: replaced, 0 traded; was buy 10 at 0.9 canceled, 0 filled; is buy 8 at 0.92 new, 0 filled
        sent: 1 submit, 1 replace
        'first' attempt
        'first' settled accepted new 0 of 10 -> new
        'second' attempt
        'second' settled accepted new 0 of 8 -> new
        'first' reported canceled 0 of 10 -> canceled
        agrees; 8 held, 0 latches; at the venue 8 traded, 8 working
    """,
    story.the_answer_to_a_cancel_is_lost: """
        cancel: buy 8 at 0.92 canceled, 0 filled
        sent: 1 cancel
        'second' cancel
        'second' reported canceled 0 of 8 -> canceled
        agrees; 8 held, 0 latches; at the venue 8 traded, 0 working
    """,
    story.an_order_that_has_traded_is_replaced: """
        submit: buy 10 at 0.9 new, 0 filled
        replace: replaced, 3 traded; was buy 10 at 0.9 canceled, 3 filled at 0.9; is buy 5 at 0.92 new, 0 filled
        sent: 2 submit, 1 cancel
        'third' attempt
        'third' settled accepted new 0 of 10 -> new
        'third' reported partially_filled 3 of 10 -> partially_filled
        'fourth' replacement_begun
        'third' cancel
        'third' reported canceled 3 of 10 -> canceled
        'fourth' attempt
        'fourth' settled accepted new 0 of 5 -> new
        trade: buy 3 at 0.9
        agrees; 11 held, 0 latches; at the venue 11 traded, 5 working
    """,
    story.the_session_starts_anew: """
        submit: buy 10 at 0.9 canceled, 4 filled at 0.9
        replace: replaced, 3 traded; was buy 10 at 0.9 canceled, 3 filled at 0.9; is buy 5 at 0.92 new, 0 filled
        cancel: buy 5 at 0.92 canceled, 0 filled
        sent: 1 cancel
        'fourth' cancel
        'fourth' reported canceled 0 of 5 -> canceled
        agrees; 11 held, 0 latches; at the venue 11 traded, 0 working
    """,
    story.a_request_is_lost: """
        submit: raised OutcomeUnknownError
        submit: raised OrderDeniedError
        sent: 1 submit
        'request lost' attempt
        'request lost' settled unknown (unknown) -> unknown
        'request lost' not_seen
        'beside it' denied
        unsettled; 11 held, 0 latches; at the venue 11 traded, 0 working
    """,
}
"""What each chapter leaves at a venue that has no reason to differ."""


@frozen
class Difference:
    """What a chapter leaves at venues that really are different.

    Attributes:
        where: whether a venue is one of them, by its name and by what it declares.
        reason: what is different about them.
    """

    where: Callable[[str, Capabilities], bool]
    reason: str
    history: str


def _says_only_that_it_was_received(venue: str, _: Capabilities) -> bool:
    """Alpaca answers `pending_new` (simulator/app.py, pending_new_first); Kraken's answer to AddOrder has an id and no status."""
    return venue in {"alpaca", "ccxt:kraken"}


DIFFERENCES = {
    story.a_limit_order_is_placed: Difference(
        _says_only_that_it_was_received,
        "the answer says only that the order was received; that it works is learnt by asking",
        """
        submit: buy 10 at 0.9 pending_new, 0 filled
        sent: 1 submit
        'limit' attempt
        'limit' settled accepted pending_new 0 of 10 -> pending_new
        'limit' reported new 0 of 10 -> new
        agrees; 0 held, 0 latches; at the venue 0 traded, 10 working
        """,
    ),
    story.a_market_order_fills: Difference(
        _says_only_that_it_was_received,
        "the answer says only that the order was received; that it filled is learnt by asking",
        """
        submit: buy 2 at market pending_new, 0 filled
        sent: 1 submit
        'market' attempt
        'market' settled accepted pending_new 0 of 2 -> pending_new
        'market' reported filled 2 of 2 -> filled
        trade: buy 2 at 1
        agrees; 6 held, 0 latches; at the venue 6 traded, 0 working
        """,
    ),
    story.one_request_arrives_twice: Difference(
        lambda venue, _: venue == "ccxt:kraken",
        "a nonce is taken once, so the second copy is refused for that, which says nothing of the first",
        """
        submit: buy 10 at 0.9 new, 0 filled
        sent: 1 submit
        'twice' attempt
        'twice' settled unknown (unknown) -> unknown
        'twice' reported new 0 of 10 -> new
        agrees; 8 held, 0 latches; at the venue 8 traded, 20 working
        """,
    ),
    story.an_order_is_replaced: Difference(
        lambda _, able: not able.replace.atomic,
        "the venue has no request that replaces an order and fails once it trades, so it is cancelled and placed anew",
        """
        submit: buy 10 at 0.9 pending_new, 0 filled
        replace: replaced, 0 traded; was buy 10 at 0.9 canceled, 0 filled; is buy 8 at 0.92 pending_new, 0 filled
        replace: replaced, 0 traded; was buy 10 at 0.9 canceled, 0 filled; is buy 8 at 0.92 pending_new, 0 filled
        sent: 2 submit, 1 cancel
        'first' attempt
        'first' settled accepted pending_new 0 of 10 -> pending_new
        'first' reported new 0 of 10 -> new
        'second' replacement_begun
        'first' cancel
        'first' reported canceled 0 of 10 -> canceled
        'second' attempt
        'second' settled accepted pending_new 0 of 8 -> pending_new
        'second' reported new 0 of 8 -> new
        agrees; 8 held, 0 latches; at the venue 8 traded, 8 working
        """,
    ),
    story.an_order_that_has_traded_is_replaced: Difference(
        _says_only_that_it_was_received,
        "the answer says only that the order was received; that it works is learnt by asking",
        """
        submit: buy 10 at 0.9 pending_new, 0 filled
        replace: replaced, 3 traded; was buy 10 at 0.9 canceled, 3 filled at 0.9; is buy 5 at 0.92 pending_new, 0 filled
        sent: 2 submit, 1 cancel
        'third' attempt
        'third' settled accepted pending_new 0 of 10 -> pending_new
        'third' reported partially_filled 3 of 10 -> partially_filled
        'fourth' replacement_begun
        'third' cancel
        'third' reported canceled 3 of 10 -> canceled
        'fourth' attempt
        'fourth' settled accepted pending_new 0 of 5 -> pending_new
        'fourth' reported new 0 of 5 -> new
        trade: buy 3 at 0.9
        agrees; 11 held, 0 latches; at the venue 11 traded, 5 working
        """,
    ),
    story.a_request_is_lost: Difference(
        lambda _, able: able.client_ids.uniqueness is Uniqueness.EVER,
        "an id is taken once for ever, so what is not seen is sent again under it, and nothing is left in doubt",
        """
        submit: buy 10 at 0.9 pending_new, 0 filled
        submit: buy 2 at market pending_new, 0 filled
        sent: 3 submit
        'request lost' attempt
        'request lost' settled unknown (unknown) -> unknown
        'request lost' not_seen
        'request lost' attempt
        'request lost' settled accepted pending_new 0 of 10 -> pending_new
        'beside it' attempt
        'beside it' settled accepted pending_new 0 of 2 -> pending_new
        'request lost' reported new 0 of 10 -> new
        'beside it' reported filled 2 of 2 -> filled
        trade: buy 2 at 1
        agrees; 13 held, 0 latches; at the venue 13 traded, 10 working
        """,
    ),
}


def lines(history: str) -> list[str]:
    return [line.strip() for line in history.strip().splitlines()]


def expected(chapter: Any, venue: str) -> list[str]:
    """Return what a chapter must leave at a venue."""
    own = DIFFERENCES.get(chapter)
    return lines(own.history if own and own.where(venue, CAPABILITIES[venue]) else HISTORY[chapter])


@pytest.mark.parametrize("venue", VENUES)
def test_one_story_leaves_the_same_history_at_every_venue(venue, tmp_path: Path):
    desk = Desk(tmp_path, venue)
    with desk.server:
        told = Story(desk, desk.open(timeout_s=TIMEOUT_S))
        try:
            left = {chapter: lines(told.tell(chapter)) for chapter in CHAPTERS}
        finally:
            told.adapter.close()

    for chapter in CHAPTERS:
        assert expected(chapter, venue) == left[chapter], chapter.__name__


def test_every_chapter_is_expected_and_every_difference_is_one_between_venues():
    assert list(CHAPTERS) == list(HISTORY)
    for chapter, own in DIFFERENCES.items():
        different = {venue for venue in VENUES if own.where(venue, CAPABILITIES[venue])}

        assert set() < different < set(VENUES), chapter.__name__
        assert lines(own.history) != lines(HISTORY[chapter])
        assert own.reason
