"""Every kind of order on the command line, replacing one, and how both are told afterwards."""

import itertools
import re
from decimal import Decimal

import pytest

from logos_alpaca.simulator import AlpacaSimulator
from logos_core.testing.server import LoopbackServer
from logos_oanda.simulator import OandaSimulator
from tests.cli.conftest import Desk, Simulator

names = map("kind-{}".format, itertools.count())


class Here(Simulator):
    """A venue in this process, without Alpaca's limit of requests: so many commands would soon meet it."""

    def __init__(self, server):
        self.url = server.url


@pytest.fixture(scope="module")
def desk(tmp_path_factory, forker):
    with LoopbackServer(AlpacaSimulator(requests_per_minute=None)) as server:
        yield Desk(tmp_path_factory.mktemp("desk"), Here(server), forker)


def sent(desk, side, quantity, *options):
    """Submit under a name of its own; return the command's report and what the venue was asked for."""
    done = desk.logos("submit", desk.preset, side, quantity, "AAPL", "--intent-id", next(names), *options, "--json")
    assert (0, "") == (done.code, done.err)
    report = done.data()
    orders = {order["venue_order_id"]: order for order in desk.simulator.ask("orders")}
    return report, orders[report["venue_order_id"]], orders


def pick(order, *fields):
    return tuple(order[field] for field in fields)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--stop", "200"), {"type": "stop", "stop_price": "200", "price": None, "quantity": "10"}),
        (("--stop", "200", "--limit", "201"), {"type": "stop_limit", "stop_price": "200", "price": "201"}),
        (("--trail", "5"), {"type": "trailing_stop", "trail_amount": "5", "trail_percent": None}),
        (("--trail", "5%"), {"type": "trailing_stop", "trail_amount": None, "trail_percent": "5"}),
        (("--limit", "150", "--time-in-force", "gtc"), {"type": "limit", "price": "150", "time_in_force": "gtc"}),
    ],
)
def test_the_options_say_which_kind_of_order_it_is(desk, options, wanted):
    report, order, _ = sent(desk, "buy", "10", *options)

    assert wanted == {name: order[name] for name in wanted}
    shared = {"price", "stop_price", "trail_amount", "trail_percent"} & wanted.keys()
    shared -= {"stop_price"} if "trail" in wanted["type"] else set()
    assert {name: wanted[name] for name in shared} == {name: report[name] for name in shared}


def test_an_order_by_notional_says_so_before_and_after(desk):
    report, order, _ = sent(desk, "buy", "notional:100")
    name = report["client_order_id"]
    desk.logos("reconcile", desk.preset)
    shown = desk.logos("show", name)

    assert ("100", None, "100") == (order["notional"], report["quantity"], report["notional"])
    assert "buy 100 worth of AAPL at market" in shown.out and "None" not in shown.out
    assert "buy 100 worth of AAPL at market" in desk.logos("orders").out


def test_a_bracket_is_sent_with_its_legs_and_told_with_them(desk):
    options = ("--limit", "150", "--take-profit", "200", "--stop-loss", "120", "--stop-loss-limit", "119")
    report, order, orders = sent(desk, "buy", "10", *options)
    legs = [orders[leg] for leg in order["leg_ids"]]
    fields = ("side", "type", "price", "stop_price")

    assert [("sell", "limit", "200", None), ("sell", "stop_limit", "119", "120")] == [pick(leg, *fields) for leg in legs]
    assert ["200", "119"] == [leg["price"] for leg in report["legs"]]

    desk.simulator.ask("fill", {"venue_order_id": order["venue_order_id"], "quantity": "10"}, "POST")
    desk.simulator.ask("fill", {"venue_order_id": legs[0]["venue_order_id"], "quantity": "10"}, "POST")
    desk.logos("reconcile", desk.preset)
    shown, listed = desk.logos("show", report["client_order_id"]), desk.logos("orders")

    assert "buy 10 AAPL at 150, take profit at 200, stop loss at 119 from 120 on" in shown.out
    assert f"Leg:   {legs[0]['venue_order_id']}: sell at 200, filled, 10 filled\n" in shown.out
    assert f"Leg:   {legs[1]['venue_order_id']}: sell at 119 from 120 on, canceled, 0 filled\n" in shown.out
    assert f"leg {legs[0]['venue_order_id']}, sell at 200: filled, 10 of 10 filled\n" in shown.out
    assert "stop loss at 119 from 120 on; legs: filled, canceled" in listed.out
    assert "leg reported" not in shown.out


def test_one_leg_and_a_pair_are_sent_as_such(desk):
    _, entry, orders = sent(desk, "buy", "10", "--limit", "150", "--stop-loss", "120")
    sent(desk, "buy", "10")
    report, pair, after = sent(desk, "sell", "10", "--oco", "--take-profit", "250", "--stop-loss", "100")

    assert [("stop", "120")] == [pick(orders[leg], "type", "stop_price") for leg in entry["leg_ids"]]
    assert ("limit", "250", "sell") == pick(pair, "type", "price", "side")
    assert [("stop", "100", "sell")] == [pick(after[leg], "type", "stop_price", "side") for leg in pair["leg_ids"]]
    assert "sell 10 AAPL at 250, stop loss from 100 on, one cancels the other" in desk.logos("show", report["client_order_id"]).out


WRONG = [
    (("--limit", "150", "--post-only"), 3, "post_only"),
    (("--limit", "150", "--reduce-only"), 3, "reduce_only"),
    (("--limit", "150", "--expires-at", "2099-12-31T16:00:00"), 2, "without a zone"),
    (("--limit", "150", "--expires-at", "tomorrow"), 2, "give a time such as 2026-12-31T16:00:00Z"),
    (("--limit", "150", "--expires-at", "0001-01-01T00:00:00+05:00"), 2, "give a time such as"),
    (("--limit", "150", "--expires-at", "2099-12-31T16:00:00+01:00"), 3, "time_in_force is gtd; for limit orders"),
    (("--limit", "150", "--expires-at", "2099-12-31T16:00:00Z", "--time-in-force", "day"), 3, "GTD"),
    (("--limit", "150", "--time-in-force", "gtd"), 3, "GTD"),
    (("--trail", "5", "--limit", "150"), 3, "a --trail order has no --limit"),
    (("--trail", "5", "--stop", "150"), 3, "a --trail order has no --stop"),
    (("--trail", "%"), 3, "trail_percent"),
    (("--trail", "100%"), 3, "below 100"),
    (("--trail", "five"), 3, "trail_amount is 'five'"),
    (("--stop", "200", "--post-only"), 3, "a --stop order has no --post-only"),
    (("--oco", "--take-profit", "250"), 2, "--oco needs --take-profit and --stop-loss"),
    (("--oco", "--limit", "240", "--take-profit", "250", "--stop-loss", "100"), 3, "an --oco order has no --limit"),
    (("--limit", "150", "--stop-loss-limit", "100"), 2, "--stop-loss-limit is given without --stop-loss"),
    (("--limit", "150", "--take-profit", "140"), 3, "take_profit must be above the entry"),
    (("--limit", "150", "--stop-loss", "1O0"), 3, "stop_loss.stop_price is '1O0'"),
    (("--limit", "150", "--take-profit", "200", "--time-in-force", "ioc"), 3, "alpaca cannot"),
]


@pytest.mark.parametrize(
    ("options", "code", "said"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, tuple) else None
)
def test_what_contradicts_itself_or_cannot_be_had_is_refused_in_words(desk, options, code, said):
    before = desk.simulator.ask("orders")
    done = desk.logos("submit", desk.preset, "buy", "10", "AAPL", "--intent-id", next(names), *options)

    assert (code, "") == (done.code, done.out)
    assert said in done.err and "Traceback" not in done.err and "bug" not in done.err
    assert before == desk.simulator.ask("orders")


@pytest.mark.parametrize(("amount", "code"), [("notional:", 3), ("notional:ten", 3), ("worth:10", 2), ("notional:100", 3)])
def test_an_amount_that_means_nothing_is_refused_in_words(desk, amount, code):
    done = desk.logos("submit", desk.preset, "buy", amount, "AAPL", "--intent-id", next(names), "--stop", "200")

    assert (code, "") == (done.code, done.out)
    assert "Traceback" not in done.err and "bug" not in done.err


def test_a_replaced_order_is_told_from_both_ends(desk):
    report, _, _ = sent(desk, "buy", "10", "--limit", "150")
    old, new = report["client_order_id"], next(names)
    done = desk.logos("replace", desk.preset, old, "--intent-id", new, "--limit", "151", "--quantity", "8", "--json")
    again = desk.logos("replace", desk.preset, old, "--intent-id", new, "--limit", "151", "--quantity", "8")
    found = done.data()

    assert (0, 0, "replaced") == (done.code, again.code, found["ending"])
    assert ("8", "151", "canceled") == (found["report"]["quantity"], found["report"]["price"], found["original"]["status"])

    after, before, listed = desk.logos("show", new), desk.logos("show", old), desk.logos("orders")
    name = found["report"]["client_order_id"]

    assert f"{new}: buy 8 AAPL at 151\n" in after.out and f"Takes the place of {old}\n" in after.out
    assert f"Its place is taken by {name}\n" in before.out
    assert f"buy 8 AAPL at 151; replaces {old}" in listed.out
    assert (old, [name]) == (
        desk.logos("show", new, "--json").data()["replaces"],
        desk.logos("show", old, "--json").data()["replacements"],
    )


def test_a_bracket_that_is_replaced_keeps_its_legs(desk):
    report, _, _ = sent(desk, "buy", "10", "--limit", "150", "--take-profit", "200", "--stop-loss", "120")
    new = next(names)
    done = desk.logos("replace", desk.preset, report["client_order_id"], "--intent-id", new, "--limit", "151")
    shown = desk.logos("show", new)

    assert (0, "") == (done.code, done.err)
    assert f"{new}: buy 10 AAPL at 151, take profit at 200, stop loss from 120 on\n" in shown.out
    assert 2 == shown.out.count("Leg:   ")


def test_a_replacement_that_did_not_come_to_be_ends_with_four(desk):
    report, order, _ = sent(desk, "buy", "10", "--limit", "150")
    desk.simulator.ask("fill", {"venue_order_id": order["venue_order_id"], "quantity": "10"}, "POST")
    gone = desk.logos("replace", desk.preset, report["client_order_id"], "--intent-id", next(names), "--limit", "151")

    assert 4 == gone.code
    assert gone.out.startswith("gone, not replaced: ")


def test_an_order_that_the_venue_does_not_replace_stands_and_the_command_ends_with_four(desk):
    """It trades while OANDA is asked to replace it."""
    with LoopbackServer(OandaSimulator()) as server:
        desk.logos("init", "oanda", "--into", desk.folder)
        preset = desk.folder / "oanda-simulator.toml"
        preset.write_text(re.sub(r'base_url = ".*"', f'base_url = "{server.url}"', preset.read_text()))
        given = ("submit", preset, "buy", "10", "EUR_USD", "--limit", "1", "--intent-id", "stands", "--json")
        order_id, handle = desk.logos(*given).data()["venue_order_id"], server.app.handle

        def traded(request):
            if server.app.operation(request) == "replace":
                server.app.exchange.fill(order_id, Decimal(3))
            return handle(request)

        server.app.handle = traded  # type: ignore[method-assign]
        done = desk.logos("replace", preset, "stands", "--intent-id", "second", "--limit", "1.01")

        assert (4, "original stands") == (done.code, done.out.partition(":")[0])
        assert [order_id] == [order.order_id for order in server.app.exchange.open_orders()]


@pytest.mark.parametrize(
    ("order", "options", "code", "said"),
    [
        (None, (), 3, "nothing is to change"),
        (None, ("--stop", "140"), 3, "stop_price is given; the order that is to be replaced, of type limit, has none"),
        (None, ("--limit", "150.001"), 3, "PRICE"),
        (None, ("--limit", "cheap"), 3, "price is 'cheap'"),
        ("nobody", ("--limit", "151"), 2, "no order of strategy 'desk' has the intent id 'nobody'"),
    ],
)
def test_a_replacement_that_cannot_be_leaves_the_order_as_it_is(desk, order, options, code, said):
    _, standing, _ = sent(desk, "buy", "10", "--limit", "150")
    done = desk.logos("replace", desk.preset, order or standing["client_order_id"], "--intent-id", next(names), *options)

    assert (code, "") == (done.code, done.out)
    assert said.lower() in done.err.lower() and "Traceback" not in done.err
    assert standing in desk.simulator.ask("orders")
