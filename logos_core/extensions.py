"""What third parties may add: objections before an order, observation after it. Neither can change an outcome.

An objection, or any exception while asking for one, denies. An observer is told of what is already recorded; if it fails, that is
noted and nothing else happens.
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import pluggy

from logos_core.errors import ConfigurationError, PluginContractError
from logos_core.hookspecs import PROJECT, ExtensionHooks, taking
from logos_core.orders import Order
from logos_core.records import Denial

GROUP = "logos.extensions"


class Extensions:
    """The extensions of one session, in the order the preset names them."""

    def __init__(self, plugins: Mapping[str, object]) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(ExtensionHooks)
        try:
            for name, plugin in plugins.items():
                self._manager.register(plugin, name=name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginContractError(f"extension: {error}") from error
        self._objectors = self._callables("object_to")
        self._observers = self._callables("observe")
        self.failures: list[str] = []

    @classmethod
    def named(cls, names: tuple[str, ...]) -> "Extensions":
        """Load the extensions that a preset names."""
        return cls({name: _load(name) for name in names})

    def object_to(self, order: Order) -> Denial | None:
        """Return the first objection."""
        for name, call in self._objectors:
            try:
                reason = call(intent=order)
            except Exception as error:  # noqa: BLE001  an objector that fails has not agreed
                reason = f"it failed: {type(error).__name__}: {error}"
            if reason is not None:
                return Denial(reason="EXTENSION_OBJECTION", message=f"extension {name!r} objects: {reason}")
        return None

    def observe(self, event: Mapping[str, Any]) -> None:
        """Tell every observer, each on its own."""
        for name, call in self._observers:
            try:
                call(event=event)
            except Exception as error:  # noqa: BLE001  the order is recorded; nothing an observer does may touch it
                self.failures.append(f"{name}: {type(error).__name__}: {error}"[:300])
                del self.failures[:-100]

    def _callables(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        found = []
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.wrapper or implementation.hookwrapper:
                raise PluginContractError(f"extension {implementation.plugin_name!r}: {hook} is a wrapper; it may only answer")
            if inspect.iscoroutinefunction(implementation.function):
                raise PluginContractError(f"extension {implementation.plugin_name!r}: {hook} is async; nobody would await it")
            found.append((str(implementation.plugin_name), taking(implementation)))
        order = list(self._manager.list_name_plugin())
        return sorted(found, key=lambda entry: [name for name, _ in order].index(entry[0]))


def _load(name: str) -> object:
    points = list(metadata.entry_points(group=GROUP))
    named = [point for point in points if point.name == name]
    if not named:
        installed = ", ".join(sorted(point.name for point in points)) or "none"
        raise ConfigurationError(f"extension {name!r} is not installed; installed: {installed}")
    if len(named) > 1:
        owners = " and ".join(point.dist.name if point.dist else "?" for point in named)
        raise ConfigurationError(f"extension {name!r} is declared by {owners}; uninstall all but one")
    try:
        return named[0].load()
    except Exception as error:
        raise ConfigurationError(
            f"extension {name!r} cannot be imported ({type(error).__name__}: {error}); reinstall it"
        ) from error
