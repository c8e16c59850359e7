import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from logos_core.errors import ChainBrokenError
from logos_core.events import GENESIS, StoredEvent, canonical, moment, spelled, stamp, step, verify

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8"))
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=8,
)


def chain(*sessions: str) -> list[StoredEvent]:
    heads: dict[str, tuple[int, bytes]] = {}
    made = []
    for sequence, session in enumerate(sessions, 1):
        number, head = heads.get(session, (0, GENESIS))
        body = canonical({"kind": "test", "sequence": sequence})
        heads[session] = (number + 1, step(head, body))
        made.append(
            StoredEvent(
                sequence=sequence,
                session_id=session,
                number=number + 1,
                kind="test",
                body=body,
                previous=head,
                hash=heads[session][1],
            )
        )
    return made


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=5))
def test_an_event_is_spelled_alike_whatever_the_order_of_its_fields(body):
    turned = dict(reversed(body.items()))

    assert canonical(body) == canonical(turned)
    assert spelled(body) == json.loads(canonical(body))


def test_the_bytes_of_an_event_are_the_same_on_every_machine():
    body = {"b": Decimal("1E+2"), "a": [True, None, 1, "é", "\ud83d"], "at": datetime(2026, 1, 1, tzinfo=UTC), "n": Decimal("0.10")}

    assert b'{"a":[true,null,1,"\\u00e9","\\ud83d"],"at":"2026-01-01T00:00:00.000000Z","b":"100","n":"0.1"}' == canonical(body)


def test_the_first_link_of_the_chain_never_changes():
    assert "6548c09b9ac4" == step(GENESIS, b"{}").hex()[:12]


@pytest.mark.parametrize("value", [0.1, float("nan"), b"bytes", object(), {1, 2}, {"deep": [{"er": 1.5}]}])
def test_what_could_be_spelled_two_ways_has_no_place_in_an_event(value):
    with pytest.raises(TypeError):
        canonical({"value": value})


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)))
def test_a_time_survives_being_stamped(at):
    assert at == moment(stamp(at))
    assert len("2026-11-23T06:31:00.000000Z") == len(stamp(at))


def test_stamps_sort_as_times_do():
    first = datetime(2026, 1, 1, tzinfo=UTC)

    assert stamp(first) < stamp(first + timedelta(microseconds=1))


CHAINS = st.lists(st.sampled_from("abc"), min_size=1, max_size=8).map(lambda names: chain(*names))


@given(CHAINS)
def test_an_untouched_ledger_verifies_and_gives_the_head_of_each_session(events):
    heads = {event.session_id: (event.number, event.hash) for event in events}

    assert heads == verify(events)


@given(CHAINS, st.data())
def test_a_flipped_byte_is_found_at_its_event(events, data):
    at = data.draw(st.integers(0, len(events) - 1))
    part = data.draw(st.sampled_from(("body", "previous", "hash")))
    whole = bytearray(getattr(events[at], part))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    events[at] = evolve(events[at], **{part: bytes(whole)})

    with pytest.raises(ChainBrokenError) as caught:
        verify(events)

    assert events[at].sequence == caught.value.sequence


@given(CHAINS, st.data())
def test_a_removed_event_is_found_at_the_next_of_its_session(events, data):
    at = data.draw(st.integers(0, len(events) - 1))
    gone = events.pop(at)
    later = [event for event in events[at:] if event.session_id == gone.session_id]

    if not later:
        assert verify(events)[gone.session_id][0] == gone.number - 1 if gone.number > 1 else gone.session_id not in verify(events)
    else:
        with pytest.raises(ChainBrokenError) as caught:
            verify(events)

        assert later[0].sequence == caught.value.sequence


@given(CHAINS, st.data())
def test_two_swapped_events_of_one_session_are_found_at_the_first(events, data):
    one, other = sorted(data.draw(st.lists(st.integers(0, len(events) - 1), min_size=2, max_size=2)))
    if one == other or events[one].session_id != events[other].session_id:
        return
    events[one], events[other] = events[other], events[one]

    with pytest.raises(ChainBrokenError) as caught:
        verify(events)

    assert events[one].sequence == caught.value.sequence


@given(CHAINS, st.data())
def test_an_added_event_is_found(events, data):
    at = data.draw(st.integers(0, len(events) - 1))
    events.insert(at, events[at])

    with pytest.raises(ChainBrokenError):
        verify(events)


def test_an_event_moved_to_another_session_is_found():
    events = chain("a", "b", "a")
    events[2] = evolve(events[2], session_id="b")

    with pytest.raises(ChainBrokenError) as caught:
        verify(events)

    assert 3 == caught.value.sequence


@given(CHAINS, st.data())
def test_a_changed_place_in_the_chain_is_found_at_its_event(events, data):
    at = data.draw(st.integers(0, len(events) - 1))
    events[at] = evolve(events[at], number=events[at].number + data.draw(st.sampled_from((-1, 1, 7))))

    with pytest.raises(ChainBrokenError) as caught:
        verify(events)

    assert events[at].sequence == caught.value.sequence


def test_a_changed_kind_is_found():
    events = chain("a")
    events[0] = evolve(events[0], kind="latch_released")

    with pytest.raises(ChainBrokenError):
        verify(events)
