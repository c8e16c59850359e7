"""From an installed package to one bound venue, and everything that must be refused on the way."""

import sys
import threading
from contextlib import suppress

import pluggy
import pytest
from attrs import evolve

from logos_core.capabilities import Uniqueness
from logos_core.clock import ManualClock
from logos_core.errors import ConfigurationError, PluginContractError
from logos_core.hookspecs import (
    PROJECT,
    Operation,
    OrderReference,
    Outcome,
    Phase,
    ReconcileRequest,
    UnknownSymbolError,
    venue_hook,
)
from logos_core.testing import scripted
from logos_core.testing.scripted import ScriptedVenue, bound, fail, raises, returns, settings
from logos_core.venues import HOOKS, OPTIONAL, SdkRange, VenueAskError, bind, declaration, installed
from tests.unit.making import request_of

GROUP = "logos.venues"
SOURCE = """
from logos_core.testing.scripted import ScriptedVenue, declaration
VENUE = declaration(ScriptedVenue(), {changes})
"""


def plugin(changes=""):
    return SOURCE.format(changes=changes)


# ------------------------------------------------------------------------------------------------------------ installed


def test_listing_imports_nothing(distribution):
    module = distribution("logos-bomb", GROUP, "bomb", "1 / 0", version="2.5")
    (found,) = [venue for venue in installed() if venue.name == "bomb"]

    assert ("logos-bomb", "2.5", f"{module}:VENUE") == (found.distribution, found.version, found.target)
    assert module not in sys.modules


def test_opening_imports_exactly_the_one_that_was_asked_for(distribution):
    wanted = distribution("logos-one", GROUP, "scripted", plugin())
    other = distribution("logos-two", GROUP, "other", "1 / 0")
    declared, variant = declaration("scripted")

    assert ("scripted", "") == (declared.name, variant)
    assert (True, False) == (wanted in sys.modules, other in sys.modules)


def test_two_distributions_of_one_name_are_refused_and_both_named(distribution):
    modules = [distribution(name, GROUP, "scripted", plugin()) for name in ("logos-one", "logos-two")]
    with pytest.raises(ConfigurationError, match="logos-one and logos-two"):
        declaration("scripted")

    assert not [module for module in modules if module in sys.modules]


def test_a_venue_that_is_not_installed_is_named_with_the_nearest(distribution):
    distribution("logos-one", GROUP, "scripted", plugin())
    with pytest.raises(ConfigurationError, match="did you mean 'scripted'"):
        declaration("scriptid")
    with pytest.raises(ConfigurationError, match=r"installed: .*scripted"):
        declaration("zzz")


@pytest.mark.parametrize("given", ["kraken", "Kraken", "krakn", "kraken:spot"])
def test_a_variant_without_its_plugin_is_answered_with_both(distribution, given):
    distribution("logos-one", GROUP, "scripted", plugin('variants=("kraken",)'))
    with pytest.raises(ConfigurationError, match=r"did you mean 'scripted:kraken'\?"):
        declaration(given)


@pytest.mark.parametrize("source", ["1 / 0", "VENUE = 7"])
def test_a_plugin_that_cannot_be_imported_is_passed_over_for_a_hint(distribution, source):
    distribution("logos-bomb", GROUP, "bomb", source)
    with pytest.raises(ConfigurationError, match=r"venue 'binance' is not installed; .*; did you mean 'ccxt:binance'\?"):
        declaration("binance")


@pytest.mark.parametrize(
    ("source", "error", "word"),
    [
        ("1 / 0", ConfigurationError, "ZeroDivisionError"),
        ("import no_such_sdk", ConfigurationError, "no_such_sdk"),
        ("OTHER = 1", ConfigurationError, "VENUE"),
        ("VENUE = 'venue'", PluginContractError, "is a str, not a VenueDeclaration"),
        (plugin("name='impostor'"), PluginContractError, "the plugin says 'impostor'"),
        (plugin("api=2"), PluginContractError, "written for contract 2, this core speaks 1"),
        (plugin("api=0"), PluginContractError, "written for contract 0"),
    ],
)
def test_a_plugin_that_is_not_what_it_says_is_refused(distribution, source, error, word):
    distribution("logos-one", GROUP, "scripted", source)
    with pytest.raises(error, match=word):
        declaration("scripted")


@pytest.mark.parametrize(
    ("changes", "venue", "accepted"),
    [
        ("", "scripted", True),
        ("", "scripted:x", False),
        ("variants=('a', 'b')", "scripted:a", True),
        ("variants=('a', 'b')", "scripted:c", False),
        ("variants=('a', 'b')", "scripted", False),
        ("variants=('a', 'b')", "scripted:", False),
    ],
)
def test_a_variant_is_one_the_plugin_declares(distribution, changes, venue, accepted):
    distribution("logos-one", GROUP, "scripted", plugin(changes))
    if accepted:
        assert venue.partition(":")[2] == declaration(venue)[1]
    else:
        with pytest.raises(ConfigurationError, match="not supported"):
            declaration(venue)


# ------------------------------------------------------------------------------------------------------------------- SDK


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        ("0.9.9", False), ("1.2.0", True), ("1.10.0", True), ("1.99", True), ("2.0.0", False), ("2.0.0rc1", False),
        ("1.2.0.post1", True), ("1.2.0+local", True),
    ],
)  # fmt: skip
def test_a_release_of_the_sdk_must_be_in_the_tested_range(distribution, version, accepted):
    distribution("some-sdk", "x", "x", "", version=version)
    wanted = SdkRange(distribution="some-sdk", minimum="1.2.0", below="2.0.0")
    if accepted:
        wanted.check()
    else:
        with pytest.raises(ConfigurationError, match=r"some-sdk>=1\.2\.0,<2\.0\.0"):
            wanted.check()


@pytest.mark.parametrize(("version", "accepted"), [("2.0", False), ("1.2", True), ("1.2.0rc1", False)])
def test_a_release_is_compared_as_packages_are(distribution, version, accepted):
    distribution("some-sdk", "x", "x", "", version=version)
    try:
        SdkRange(distribution="some-sdk", minimum="1.2.0", below="2.0.0").check()
        found = True
    except ConfigurationError:
        found = False

    assert accepted == found


def test_a_missing_sdk_is_named_with_what_to_run_and_no_venue_is_built():
    built: list[object] = []
    declared = scripted.declaration(
        ScriptedVenue(), sdk=SdkRange(distribution="no-such-sdk", minimum="1", below="2"), factory=built.append
    )
    with pytest.raises(ConfigurationError, match="pip install 'no-such-sdk>=1,<2'"):
        bind(declared, settings(ManualClock()))

    assert [] == built


# --------------------------------------------------------------------------------------------------------------- binding


REQUIRED = tuple(name for name in HOOKS if name not in OPTIONAL)


def test_the_contract_has_eight_hooks_and_those_that_a_capability_asks_for():
    assert ("identify", "instrument", "prepare", "submit", "cancel", "lookup", "reconcile", "classify_error") == REQUIRED
    assert {"replace", "listen"} == set(OPTIONAL)


def made_of(**hooks):
    """A venue with some of its hooks replaced, or (None) missing."""
    body = {name: getattr(ScriptedVenue, name) for name in REQUIRED if hooks.get(name, 1) is not None}
    venue = type("Venue", (), {**body, **{name: hook for name, hook in hooks.items() if hook is not None}})()
    return scripted.declaration(venue)


def refused(declared, word):
    with pytest.raises(PluginContractError, match=word):
        bind(declared, settings(ManualClock()))


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_hook_is_refused(name):
    refused(made_of(**{name: None}), f"hook '{name}': expected exactly one")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_hook_that_is_not_marked_is_refused(name):
    refused(made_of(**{name: lambda self: None}), f"hook '{name}': expected exactly one")


def test_a_misspelt_hook_is_refused():
    def sumbit(self, prepared):
        return None

    refused(made_of(sumbit=venue_hook(sumbit)), "sumbit")


def test_a_misspelt_argument_is_refused():
    def submit(self, order):
        return None

    refused(made_of(submit=venue_hook(submit)), "order")


@pytest.mark.parametrize("how", [{"wrapper": True}, {"hookwrapper": True}])
def test_a_wrapping_hook_is_refused(how):
    def submit(self, prepared):
        return (yield)

    refused(made_of(submit=pluggy.HookimplMarker(PROJECT)(**how)(submit)), "wrapper")


def test_an_async_hook_is_refused():
    async def submit(self, prepared):
        return None

    refused(made_of(submit=venue_hook(submit)), "async")


def test_a_hook_with_keyword_only_arguments_is_refused():
    def submit(self, prepared, *, fast=True):
        return None

    refused(made_of(submit=venue_hook(submit)), "keyword-only")


def test_a_hook_that_answers_through_getattr_is_refused():
    class Proxy:
        def __getattr__(self, name):
            return getattr(ScriptedVenue(), name)

    refused(scripted.declaration(Proxy(), scripted.capabilities()), "expected exactly one")


def test_a_factory_that_builds_nothing_is_refused():
    refused(scripted.declaration(None, scripted.capabilities()), "expected exactly one")


def test_two_sessions_on_equal_venues_never_share_a_manager():
    venues = [bound(ScriptedVenue(), ManualClock()) for _ in range(2)]

    assert venues[0].hooks is not venues[1].hooks
    assert venues[0] != venues[1]


def test_a_variant_is_part_of_the_name():
    able = scripted.capabilities()
    declared = scripted.declaration(ScriptedVenue(), variants=("x",), capabilities={"x": able})

    assert "scripted:x" == bind(declared, evolve(settings(ManualClock()), variant="x")).name


# ---------------------------------------------------------------------------------------------------------------- façade


QUESTIONS = {
    Operation.IDENTIFY: lambda venue: venue.identify(),
    Operation.INSTRUMENT: lambda venue: venue.instrument("BTC/USDT"),
    Operation.PREPARE: lambda venue: venue.prepare(request_of()),
    Operation.LOOKUP: lambda venue: venue.lookup(OrderReference(client_order_id="a", symbol="b")),
    Operation.RECONCILE: lambda venue: venue.reconcile(ReconcileRequest(cursor=None, symbols=(), prefix="lgs")),
}


@pytest.mark.parametrize("operation", QUESTIONS)
@pytest.mark.parametrize("answer", [None, {}, "ok"])
def test_an_answer_of_another_type_breaks_the_contract(operation, answer):
    scripts = ScriptedVenue()
    scripts.script(operation, returns(answer))
    with pytest.raises(PluginContractError, match=f"{operation.value} returned {type(answer).__name__}"):
        QUESTIONS[operation](bound(scripts, ManualClock()))


@pytest.mark.parametrize("operation", QUESTIONS)
def test_a_question_that_fails_says_what_kind_of_trouble_it_is(operation):
    scripts = ScriptedVenue()
    scripts.script(operation, fail(), raises(ValueError("own")))
    venue = bound(scripts, ManualClock())
    with pytest.raises(VenueAskError, match=f"{operation.value} failed: venue down: service unavailable"):
        QUESTIONS[operation](venue)
    with pytest.raises(VenueAskError, match="own"):
        QUESTIONS[operation](venue)


def test_an_unknown_symbol_is_told_as_such():
    with pytest.raises(UnknownSymbolError):
        bound(ScriptedVenue(), ManualClock()).instrument("DOGE")


def test_a_classification_of_another_type_proves_nothing():
    scripts = ScriptedVenue()
    scripts.classify_with(lambda error: "not sent")  # type: ignore[arg-type,return-value]
    scripts.on_submit(fail())
    venue = bound(scripts, ManualClock())
    reply = venue.submit(venue.prepare(request_of()), ())

    assert (None, Phase.ANSWERED) == (reply.classification, reply.record.phase)


def test_a_classifier_is_told_how_far_the_request_got():
    told = []

    class Venue(ScriptedVenue):
        @venue_hook
        def classify_error(self, error, operation, phase):
            told.append((operation, phase))
            return super().classify_error(error, operation, phase)

    scripts = Venue()
    scripts.on_submit(scripted.not_sent(), scripted.time_out_before(), scripted.reject())
    venue = bound(scripts, ManualClock())
    outcomes = [venue.submit(venue.prepare(request_of()), ()).classification for _ in range(3)]

    assert [(Operation.SUBMIT, phase) for phase in Phase] == told
    assert [Outcome.NOT_SENT, Outcome.UNKNOWN, Outcome.REJECTED] == [said.outcome for said in outcomes if said]


def test_hooks_are_called_one_at_a_time_unless_the_venue_says_otherwise():
    def most_at_once(concurrent):
        scripts, running, most = ScriptedVenue(), [], []
        scripts.concurrent = concurrent
        meet = threading.Barrier(2)

        def slow(venue, symbol):
            running.append(1)
            with suppress(threading.BrokenBarrierError):
                meet.wait(timeout=0.3)
            most.append(len(running))
            running.pop()
            return scripted.INSTRUMENT

        scripts.script(Operation.INSTRUMENT, slow, slow)
        venue = bound(scripts, ManualClock())
        threads = [threading.Thread(target=venue.instrument, args=("BTC/USDT",)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(most)

    assert (1, 2) == (most_at_once(False), most_at_once(True))


def test_a_capability_without_a_source_is_refused():
    able = scripted.capabilities(uniqueness=Uniqueness.OPEN)
    for part in (able, able.client_ids, able.expiry, able.rate_limit):
        name = next(iter(part.sources))
        for sources in ({**part.sources, name: " "}, {key: value for key, value in part.sources.items() if key != name}):
            with pytest.raises(ValueError, match=f"no source for {name}"):
                evolve(part, sources=sources)
