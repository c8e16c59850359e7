import re
import string

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from logos_core.errors import PluginContractError
from logos_core.rails.idempotency import PREFIX, client_order_id
from logos_core.testing.scripted import capabilities

PROFILE = capabilities().client_ids
NAMES = st.text(min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("account", "strategy", "intent_id", "expected"),
    [
        ("ACCOUNT-1", "rebalance", "2026-11-23", "lgsk62sojlbaehtguolok54empjv5l9q"),
        ("ACCOUNT-1", "rebalance", "2026-11-24", "lgs5tbomfuuqaqbm5h54gotar016km59"),
        ("101-004-1234567-001", "größe", "intent ✓", "lgsvcaqe0ht2uj3gal8k90a5psb9ukd6"),
    ],
)
def test_an_intent_has_the_same_id_on_every_machine(account, strategy, intent_id, expected):
    assert expected == client_order_id(account, strategy, intent_id, PROFILE)


@given(NAMES, NAMES, NAMES)
def test_an_id_is_our_prefix_and_lower_case_letters_and_digits(account, strategy, intent_id):
    made = client_order_id(account, strategy, intent_id, PROFILE)

    assert made == client_order_id(account, strategy, intent_id, PROFILE)
    assert "lgs" == PREFIX == made[:3]
    assert 32 == len(made)
    assert not set(made) - set(string.ascii_lowercase + string.digits)


@given(st.text('ab",[]\\ |:\0', min_size=2, max_size=10), st.data())
def test_moving_a_boundary_between_account_strategy_and_intent_makes_another_id(text, data):
    cuts = st.lists(st.integers(0, len(text)), min_size=2, max_size=2).map(sorted)
    one, other = data.draw(cuts), data.draw(cuts)
    made = [client_order_id(text[:a], text[a:b], text[b:], PROFILE) for a, b in (one, other)]

    assert (one == other) == (made[0] == made[1])


def test_near_identical_names_make_different_ids():
    names = ["1", "01", "1 ", " 1", "１", "1\u200b", "I", "l", "i", "é", "e\u0301", '1","', "[1]", "null", "None"]
    ids = {client_order_id(*triple, PROFILE) for name in names for triple in ((name, "x", "x"), ("x", name, "x"), ("x", "x", name))}

    assert 3 * len(names) == len(ids)
    assert 3 * len(names) == len({name[:18] for name in ids}), "a venue that cuts at its own limit cannot merge two"


@pytest.mark.parametrize("length", [18, 24, 32])
def test_an_id_fits_the_venue_and_a_shorter_one_begins_the_longer(length):
    whole = client_order_id("a", "b", "c", PROFILE)

    assert whole[:length] == client_order_id("a", "b", "c", evolve(PROFILE, max_length=length))


def test_a_venue_whose_ids_are_too_short_or_too_narrow_is_refused():
    with pytest.raises(PluginContractError, match="17 characters"):
        client_order_id("a", "b", "c", evolve(PROFILE, max_length=17))
    with pytest.raises(PluginContractError, match="alphabet"):
        client_order_id("a", "b", "c", evolve(PROFILE, alphabet="[0-9]"))
    assert re.fullmatch("[a-z0-9]+", client_order_id("a", "b", "c", evolve(PROFILE, alphabet="a|[b-z]|[0-9]")))
