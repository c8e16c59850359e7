"""From an installed package to one bound venue behind a typed façade. The only module that touches pluggy's manager.

Rules:

1. Listing imports nothing; opening imports exactly one plugin; the plugin's factory imports the SDK.
   Only a name that no plugin has imports them all, for the sake of the hint.
2. One `PluginManager` per session, holding exactly one venue. Two venues on one manager are two places an order could go.
3. Binding refuses what would fail in silence: a second plugin of the same name, a missing, misspelt, wrapping or async hook.
4. Each hook call is one operation on the wire, and its result is of the type the contract names, or an error.
"""

import difflib
import inspect
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import pluggy
from attrs import define, field, frozen

from logos_core import hookspecs
from logos_core.capabilities import LOGOS_API, Capabilities, ReplaceKind
from logos_core.clock import Clock
from logos_core.errors import ConfigurationError, PluginContractError
from logos_core.hookspecs import (
    CancelReceipt,
    Category,
    Classification,
    Found,
    Inlet,
    NotSeen,
    Operation,
    OrderReference,
    Outcome,
    Phase,
    PreparedOrder,
    ReconcileRequest,
    VenueHooks,
    VenueIdentity,
    VenueSnapshot,
    taking,
)
from logos_core.instruments import Instrument
from logos_core.orders import OrderRequest
from logos_core.reports import ExecutionReport
from logos_core.secrets import Secret
from logos_core.wire import Gate, Wire, WireRecord

GROUP = "logos.venues"
HOOKS = tuple(name for name in vars(VenueHooks) if not name.startswith("_"))
OPTIONAL: Mapping[str, Callable[[Capabilities], bool]] = {
    "replace": lambda capabilities: capabilities.replace.kind is ReplaceKind.NATIVE,
    "listen": lambda capabilities: capabilities.stream.is_declared,
}
"""Hooks that a venue has if, and only if, its capabilities say so."""

T = TypeVar("T")


@frozen(kw_only=True)
class SdkRange:
    """Which releases of the venue's SDK the plugin was tested with.

    Attributes:
        distribution: its name on PyPI.
        minimum: the first release that will do.
        below: the first that will not.
    """

    distribution: str
    minimum: str
    below: str

    def check(self) -> None:
        """Raise `ConfigurationError` unless a release in the range is installed."""
        wanted = f"{self.distribution}>={self.minimum},<{self.below}"
        try:
            found = metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            raise ConfigurationError(f"{self.distribution} is not installed; run: pip install '{wanted}'") from None
        if _release(found) < _release(self.minimum) or _release(found)[0] >= _release(self.below)[0]:
            raise ConfigurationError(f"{self.distribution} {found} is installed, tested is {wanted}; run: pip install '{wanted}'")


@frozen(kw_only=True)
class Host:
    """One environment of a venue.

    Attributes:
        base_url: where it is; None where the preset must say (`simulator`).
        account_check: how `identify` tells this environment from the others.
    """

    base_url: str | None
    account_check: str


@frozen(kw_only=True)
class VenueSettings:
    """What a plugin's factory gets to build its venue from.

    Attributes:
        variant: the part behind the colon of `plugin:variant`; empty without one.
        environment: `simulator`, `paper`, `shadow` or `live`.
        base_url: where to send, without a trailing slash.
        credentials: the secrets the plugin declared, by name.
        options: the plugin's own keys of the preset, such as OANDA's account.
        wire: hand it to `transport.GuardedSession`.
        clock: the only source of time.
        host_folder: shared by every session of this venue on this host; for what they must keep in step, such as a nonce.
    """

    variant: str
    environment: str
    base_url: str
    credentials: Mapping[str, Secret]
    options: Mapping[str, str]
    wire: Wire
    clock: Clock
    host_folder: Path


@frozen(kw_only=True)
class VenueDeclaration:
    """What a plugin says of itself without importing its SDK. Its entry point names one of these.

    Attributes:
        name: the entry point's own name, repeated.
        api: the version of the contract it was written for.
        sdk: which releases of the SDK will do.
        variants: what may stand behind the colon; empty when nothing may.
        environments: where orders can go; for a variant of its own hosts, `environments_by_variant` says it instead.
        capabilities: what the venue can do, by variant (`""` without variants).
        credentials: the names of the secrets it needs.
        options: the names of the plugin's own preset keys, each with what it is.
        factory: builds the object that bears the hooks; the SDK is imported here.
        simulator: builds the loopback venue's application for a variant.
        presets: the folder of preset templates inside the wheel, as `package:folder`.
    """

    name: str
    api: int
    sdk: SdkRange
    variants: tuple[str, ...]
    environments: Mapping[str, Host]
    capabilities: Mapping[str, Capabilities]
    credentials: tuple[str, ...]
    options: Mapping[str, str]
    factory: Callable[[VenueSettings], object]
    simulator: Callable[[str], Any]
    presets: str
    environments_by_variant: Mapping[str, Mapping[str, Host]] = field(factory=dict)

    def environments_of(self, variant: str) -> Mapping[str, Host]:
        """Return where the orders of a variant can go."""
        return self.environments_by_variant.get(variant, self.environments)


@frozen
class InstalledVenue:
    """A venue as its package's metadata describes it; nothing of it is imported."""

    name: str
    distribution: str
    version: str
    target: str
    entry_point: metadata.EntryPoint = field(repr=False, eq=False)


def installed() -> list[InstalledVenue]:
    """Return the installed venues, sorted by name, without importing any of them."""
    found = []
    for point in metadata.entry_points(group=GROUP):
        distribution = point.dist.name if point.dist else "?"
        version = point.dist.version if point.dist else "?"
        found.append(InstalledVenue(point.name, distribution, version, point.value, point))
    return sorted(found, key=lambda venue: (venue.name, venue.distribution))


def declaration(venue: str) -> tuple[VenueDeclaration, str]:
    """Return the declaration of `plugin` or `plugin:variant`, and the variant.

    Raises:
        ConfigurationError: for a venue that is not installed, installed twice, cannot be imported, or has no such variant.
        PluginContractError: for a plugin that is not what it says.
    """
    name, _, variant = venue.partition(":")
    candidates = [candidate for candidate in installed() if candidate.name == name]
    if not candidates:
        raise ConfigurationError(_not_installed(name))
    if len({candidate.distribution for candidate in candidates}) > 1:
        names = " and ".join(candidate.distribution for candidate in candidates)
        raise ConfigurationError(f"venue {name!r} is declared by {names}; uninstall all but one, or an order could go to either")
    declared = _load(candidates[0])
    if variant not in (declared.variants or ("",)):
        allowed = ", ".join(f"{name}:{known}" for known in declared.variants) or name
        raise ConfigurationError(f"venue {venue!r} is not supported; supported: {allowed}")
    return declared, variant


def _load(venue: InstalledVenue) -> VenueDeclaration:
    try:
        declared = venue.entry_point.load()
    except Exception as error:
        raise ConfigurationError(
            f"venue {venue.name!r}: {venue.distribution} {venue.version} cannot be imported "
            f"({type(error).__name__}: {error}); reinstall it"
        ) from error
    if not isinstance(declared, VenueDeclaration):
        raise PluginContractError(f"{venue.distribution}: {venue.target} is a {type(declared).__name__}, not a VenueDeclaration")
    if declared.name != venue.name:
        raise PluginContractError(f"{venue.distribution}: the entry point says {venue.name!r}, the plugin says {declared.name!r}")
    if declared.api != LOGOS_API:
        raise PluginContractError(
            f"{venue.distribution} {venue.version} was written for contract {declared.api}, this core speaks {LOGOS_API}; "
            f"install a release of {venue.distribution} for this core"
        )
    return declared


def _not_installed(name: str) -> str:
    names = [venue.name for venue in installed()]
    meant = {**_variants(), **dict(zip(names, names, strict=True))}
    near = difflib.get_close_matches(name.lower(), meant, n=1)
    hint = f"; did you mean {meant[near[0]]!r}?" if near else f"; run: pip install logos-{name}" if not names else ""
    return f"venue {name!r} is not installed; installed: {', '.join(names) or 'none'}{hint}"


def _variants() -> dict[str, str]:
    """Return what to write for each variant of each plugin that can be imported; the others are passed over."""
    found: dict[str, str] = {}
    for venue in installed():
        with suppress(ConfigurationError, PluginContractError):
            found |= {variant: f"{venue.name}:{variant}" for variant in _load(venue).variants}
    return found


def bind(declared: VenueDeclaration, settings: VenueSettings) -> "BoundVenue":
    """Build the venue and bind it alone, or say why it cannot be trusted with an order."""
    declared.sdk.check()
    venue = declared.factory(settings)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(VenueHooks)
    try:
        manager.register(venue, name=declared.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginContractError(f"venue {declared.name!r}: {error}") from error
    capabilities = declared.capabilities[settings.variant]
    calls = {}
    for name in HOOKS:
        found = getattr(manager.hook, name).get_hookimpls()
        if OPTIONAL.get(name, _always)(capabilities):
            calls[name] = _bound_hook(declared.name, name, found, venue)
        elif found:
            raise PluginContractError(
                f"venue {declared.name!r}, hook {name!r}: it is there, and the capabilities do not declare it"
            )
    return BoundVenue(
        name=f"{declared.name}:{settings.variant}" if settings.variant else declared.name,
        capabilities=capabilities,
        wire=settings.wire,
        hooks=manager.hook,
        calls=calls,
        concurrent=bool(getattr(venue, "concurrent", False)),
    )


def _always(_capabilities: Capabilities) -> bool:
    return True


def _bound_hook(venue_name: str, name: str, found: list[Any], venue: object) -> Callable[..., Any]:
    """Return the one implementation of a hook, to be called directly: no other plugin stands between the core and its venue."""
    broken = f"venue {venue_name!r}, hook {name!r}:"
    if len(found) != 1 or found[0].plugin is not venue:
        raise PluginContractError(f"{broken} expected exactly one implementation, by the venue itself; found {len(found)}")
    implementation = found[0]
    if implementation.wrapper or implementation.hookwrapper:
        raise PluginContractError(f"{broken} it is a wrapper; a venue's hooks answer for themselves")
    if inspect.iscoroutinefunction(implementation.function):
        raise PluginContractError(f"{broken} it is async; the core would get a coroutine that nobody awaits")
    parameters = inspect.signature(implementation.function).parameters.values()
    if any(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters):
        raise PluginContractError(f"{broken} it has keyword-only arguments, which pluggy cannot pass")
    return taking(implementation)


@define
class Reply:
    """What came of one hook call that moves an order: a result or an error, and the wire's record."""

    result: Any
    error: Exception | None
    record: WireRecord
    classification: Classification | None = None


@define(kw_only=True, eq=False)
class BoundVenue:
    """The one venue of a session, behind typed methods.

    Hooks are called one at a time unless the venue says that it is `concurrent`.
    """

    name: str
    capabilities: Capabilities
    wire: Wire
    hooks: Any
    calls: Mapping[str, Callable[..., Any]]
    concurrent: bool = False
    _lock: threading.Lock = field(factory=threading.Lock)

    def identify(self) -> VenueIdentity:
        """Return who the key belongs to."""
        return self._ask(Operation.IDENTIFY, VenueIdentity)

    def instrument(self, symbol: str) -> Instrument:
        """Return the grid of a symbol."""
        return self._ask(Operation.INSTRUMENT, Instrument, symbol=symbol)

    def prepare(self, request: OrderRequest) -> PreparedOrder:
        """Return what will be sent."""
        return self._ask(Operation.PREPARE, PreparedOrder, request=request)

    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        """Return the order, or where it was looked for in vain."""
        return self._ask(Operation.LOOKUP, (Found, NotSeen), reference=reference)

    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        """Return the venue's whole view since the cursor."""
        return self._ask(Operation.RECONCILE, VenueSnapshot, request=request)

    def submit(self, prepared: PreparedOrder, gates: tuple[Gate, ...]) -> Reply:
        """Send an order, once, and return what came of it. Raises nothing but what ends the process."""
        return self._send(Operation.SUBMIT, ExecutionReport, gates, prepared=prepared)

    def replace(self, reference: OrderReference, prepared: PreparedOrder, gates: tuple[Gate, ...]) -> Reply:
        """Put an order in another's place, once, and return what came of it."""
        return self._send(Operation.REPLACE, ExecutionReport, gates, reference=reference, prepared=prepared)

    def cancel(self, reference: OrderReference) -> Reply:
        """Ask for a cancellation, once, and return what came of it."""
        return self._send(Operation.CANCEL, CancelReceipt, (), reference=reference)

    def listen(self, inlet: Inlet) -> None:
        """Hand over what the stream tells, until it ends. Takes no turn: it blocks, and the other hooks go on beside it."""
        self.calls["listen"](inlet=inlet)

    def classify(self, error: Exception, operation: Operation, phase: Phase) -> Classification:
        """Return what an error proves, in the venue's own reading."""
        return self._typed("classify_error", Classification, {"error": error, "operation": operation, "phase": phase})

    def _turn(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.concurrent else self._lock

    def _ask(self, operation: Operation, kind: type[T] | tuple[type[Any], ...], **arguments: Any) -> T:
        with self._turn(), self.wire.operation(operation) as record:
            try:
                return self._typed(operation.value, kind, arguments)
            except (hookspecs.UnknownSymbolError, hookspecs.UnsupportedOrderError, PluginContractError):
                raise
            except Exception as error:
                raise VenueAskError(operation, self._judge(error, operation, record) or UNCLASSIFIED, error) from error

    def _send(self, operation: Operation, kind: Any, gates: tuple[Gate, ...], **arguments: Any) -> Reply:
        with self._turn(), self.wire.operation(operation, gates) as record:
            try:
                return Reply(self._typed(operation.value, kind, arguments), None, record)
            except Exception as error:  # noqa: BLE001  whatever it is, it must be classified
                return Reply(None, error, record, self._judge(error, operation, record))

    def _judge(self, error: Exception, operation: Operation, record: WireRecord) -> Classification | None:
        try:
            return self.classify(error, operation, record.phase)
        except Exception:  # noqa: BLE001  a classifier that fails proves nothing
            return None

    def _typed(self, name: str, kind: type[T] | tuple[type[Any], ...], arguments: Mapping[str, Any]) -> T:
        result: T = self.calls[name](**arguments)
        if not isinstance(result, kind):
            wanted = " or ".join(item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,)))
            raise PluginContractError(f"venue {self.name!r}: {name} returned {type(result).__name__}, not {wanted}")
        return result


UNCLASSIFIED = Classification(outcome=Outcome.UNKNOWN, category=Category.UNLISTED)


class VenueAskError(Exception):
    """A question to the venue failed. Nothing was ordered by it."""

    def __init__(self, operation: Operation, classification: Classification, cause: Exception) -> None:
        said = classification.venue_message or str(cause) or type(cause).__name__
        code = f" {classification.venue_code}" if classification.venue_code else ""
        super().__init__(f"{operation.value} failed: {classification.category.value}{code}: {said[:300]}")
        self.operation = operation
        self.classification = classification


def _release(version: str) -> tuple[tuple[int, ...], int]:
    """Return a release as something to compare: its numbers without trailing zeros, and a pre-release before its release."""
    found = re.match(r"v?(\d+(?:\.\d+)*)(.*)", version.strip())
    numbers, rest = found.groups() if found else ("0", "")
    parts = [int(part) for part in numbers.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts), -1 if re.match(r"[.-]?(a|b|c|rc|alpha|beta|pre|dev)", rest) else 0
