import pytest

from logos_core.errors import ConfigurationError, PluginContractError
from logos_core.extensions import Extensions
from logos_core.hookspecs import PROJECT, extension_hook
from tests.unit.making import order


def objector(answer):
    class Objector:
        @extension_hook
        def object_to(self, intent):
            return answer(intent) if callable(answer) else answer

    return Objector()


def test_an_objection_denies_with_the_extensions_name():
    denial = Extensions({"risk": objector("too much")}).object_to(order())
    assert denial is not None

    assert ("EXTENSION_OBJECTION", "extension 'risk' objects: too much") == (denial.reason, denial.message)


def test_without_objection_nothing_is_denied():
    assert Extensions({"a": objector(None), "b": object()}).object_to(order()) is None
    assert Extensions({}).object_to(order()) is None


def test_a_crashing_objector_denies():
    denial = Extensions({"risk": objector(lambda intent: 1 / 0)}).object_to(order())
    assert denial is not None

    assert "ZeroDivisionError" in denial.message


@pytest.mark.parametrize("answer", [False, "", 0, object()])
def test_an_answer_that_is_not_none_denies(answer):
    assert Extensions({"odd": objector(answer)}).object_to(order()) is not None


def test_every_objector_is_asked_in_the_order_of_the_preset_until_one_objects():
    asked = []
    plugins = {name: objector(lambda intent, name=name: [asked.append(name), "no" if name == "b" else None][1]) for name in "abc"}  # type: ignore[func-returns-value]
    denial = Extensions(plugins).object_to(order())
    assert denial is not None

    assert (["a", "b"], True) == (asked, "'b'" in denial.message)


def test_a_crashing_observer_is_noted_and_the_next_one_told():
    told = []

    class Crashes:
        @extension_hook
        def observe(self, event):
            raise RuntimeError("x" * 1000)

    class Watches:
        @extension_hook
        def observe(self, event):
            told.append(event)

    extensions = Extensions({"a": Crashes(), "b": Watches()})
    for number in range(150):
        extensions.observe({"n": number})

    assert 150 == len(told)
    assert (100, 300) == (len(extensions.failures), len(extensions.failures[0]))


def test_an_observer_that_wants_no_argument_is_called():
    called = []

    class Bare:
        @extension_hook
        def observe(self):
            called.append(1)

    Extensions({"bare": Bare()}).observe({"n": 1})

    assert [1] == called


def wrapper(**how):
    import pluggy

    class Wraps:
        @pluggy.HookimplMarker(PROJECT)(**how)
        def object_to(self, intent):
            return (yield)

    return Wraps()


@pytest.mark.parametrize("how", [{"wrapper": True}, {"hookwrapper": True}])
def test_a_wrapper_is_refused(how):
    with pytest.raises(PluginContractError, match="wrapper"):
        Extensions({"w": wrapper(**how)})


def test_an_async_hook_and_a_misspelt_one_are_refused():
    class Async:
        @extension_hook
        async def object_to(self, intent):
            return None

    class Misspelt:
        @extension_hook
        def objects_to(self, intent):
            return "never asked"

    with pytest.raises(PluginContractError, match="async"):
        Extensions({"a": Async()})
    with pytest.raises(PluginContractError, match="objects_to"):
        Extensions({"m": Misspelt()})


def test_an_argument_that_no_hook_has_is_a_contract_error():
    class Odd:
        @extension_hook
        def object_to(self, intent, account):
            return None

    with pytest.raises(PluginContractError):
        Extensions({"odd": Odd()})


def test_an_extension_that_is_not_installed_is_refused():
    with pytest.raises(ConfigurationError, match="extension 'risk' is not installed; installed: none"):
        Extensions.named(("risk",))


def test_extensions_are_loaded_by_name(distribution):
    distribution("risk-one", "logos.extensions", "risk", "class A:\n    pass\nVENUE = A()\n")

    assert Extensions.named(("risk",)).object_to(order()) is None
    assert Extensions.named(()).object_to(order()) is None


def test_two_extensions_of_one_name_are_refused(distribution):
    distribution("risk-one", "logos.extensions", "risk", "VENUE = object()")
    distribution("risk-two", "logos.extensions", "risk", "VENUE = object()")
    with pytest.raises(ConfigurationError):
        Extensions.named(("risk",))


def test_an_extension_that_cannot_be_imported_is_a_configuration_error(distribution):
    distribution("risk-one", "logos.extensions", "risk", "1 / 0")
    with pytest.raises(ConfigurationError):
        Extensions.named(("risk",))
