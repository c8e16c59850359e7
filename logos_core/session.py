"""From a preset to an open session: the composition root.

In this order, each step only after the one before held: preset, plugin, secrets, the account behind the key, its ledger, the
session's lock, its first event, recovery of what dead sessions left. Only then can an order leave.
"""

import os
import platform
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from logos_core import baselines, presets, venues
from logos_core.adoption import require_complete
from logos_core.clock import Clock, SystemClock
from logos_core.errors import ConfigurationError, LedgerAdoptionError
from logos_core.events import StoredEvent
from logos_core.extensions import Extensions
from logos_core.home import Home, Registered, home_in, is_present, key_of, new_id
from logos_core.hookspecs import Category, VenueIdentity, VenueSnapshot
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.parts import Parts
from logos_core.presets import Preset
from logos_core.rails.idempotency import IdempotentCache
from logos_core.rails.kill_switch import KillSwitch
from logos_core.rails.rate_limit import RateLimiter
from logos_core.records import LedgerIdentity
from logos_core.recovery import recover
from logos_core.resolution import Resolver
from logos_core.runs import RunFolder
from logos_core.secrets import resolve
from logos_core.spool import Spool
from logos_core.systems import require_live_system
from logos_core.venues import BoundVenue, Host, VenueAskError, VenueDeclaration, VenueSettings
from logos_core.wire import Wire

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def open_parts(preset: str | Path, venue_name: str | None, home: str | Path | None, environ: Mapping[str, str] | None) -> Parts:
    """Return the parts of an Adapter, or raise with nothing held and nothing ordered."""
    environ = os.environ if environ is None else environ
    checked = presets.load(preset)
    if venue_name is not None and checked.venue.partition(":")[0] != venue_name:
        raise ConfigurationError(f"{checked.path}: venue is {checked.venue!r}; this adapter opens {venue_name!r}")
    clock = SystemClock()
    host = home_of(home, environ)
    venue = bind(checked, environ, clock, host)
    identity = identify(venue, checked)
    return _compose(checked, venue, identity, host, clock)


def home_of(home: str | Path | None, environ: Mapping[str, str]) -> Home:
    """Return LOGOS_HOME: as given, else from the environment, else the platform's place for it."""
    return Home(Path(home).expanduser().absolute() if home is not None else home_in(environ))


def bind(preset: Preset, environ: Mapping[str, str], clock: Clock, home: Home) -> BoundVenue:
    """Bind the venue that a preset names, with its secrets resolved; a live one only where live orders may leave at all."""
    if preset.environment == "live":
        require_live_system(str(preset.path))
    declared, variant = venues.declaration(preset.venue)
    settings = VenueSettings(
        variant=variant,
        environment=preset.environment,
        base_url=_base_url(preset, declared.environments_of(variant)),
        credentials={
            name: resolve(f"{preset.path}: credentials.{name}", ref, environ) for name, ref in _references(preset, declared)
        },
        options=_options(preset, declared),
        wire=Wire(clock, preset.session.timeout_s),
        clock=clock,
        host_folder=home.venue_folder(preset.venue),
    )
    return venues.bind(declared, settings)


def identify(venue: BoundVenue, preset: Preset) -> VenueIdentity:
    """Ask the venue whose key this is, and refuse any account or environment but the preset's."""
    try:
        identity = venue.identify()
    except VenueAskError as error:
        raise ConfigurationError(
            f"{preset.path}: {venue.name} cannot be asked whose key this is: {error}{_hint(preset, error)}"
        ) from error
    if identity.environment != preset.environment:
        raise ConfigurationError(f"{preset.path}: environment is {preset.environment!r}, the venue says {identity.environment!r}")
    if preset.account_id is not None and identity.account_id != preset.account_id:
        raise ConfigurationError(
            f"{preset.path}: account_id is {preset.account_id!r}, the key belongs to {identity.account_id!r}; use the right key"
        )
    return identity


def open_ledger(
    venue: BoundVenue, identity: LedgerIdentity, preset: Preset, home: Home, clock: Clock
) -> tuple[SqliteLedger, VenueSnapshot | None]:
    """Open the account's one ledger, or create it for an account that has not traded through logos; return what the venue shows.

    A known ledger opens even if the venue cannot be asked, for the sake of cancels; no new intent is sent until it could be.

    Raises:
        LedgerAdoptionError: for a ledger that is new, deleted, restored or another than this host remembers.
    """
    path = ledger_path(identity, preset, home)
    known = home.registered(identity)
    if known is not None and known.path != path:
        raise LedgerAdoptionError(
            f"this host keeps the account's ledger at {known.path}, the preset names {path}; `logos ledger adopt` moves it"
        )
    if known is not None and not path.exists():
        raise LedgerAdoptionError(f"the ledger {path} is gone, and with it what was sent; restore it, or run `logos ledger adopt`")
    is_there = path.exists() and (known is not None or not SqliteLedger.is_unfinished(path))
    ledger = SqliteLedger.open(path, clock, identity) if is_there else SqliteLedger.create(path, identity, clock)
    with ExitStack() as undo:
        undo.callback(ledger.close)
        if known is not None and (ledger.ledger_id() != known.ledger_id or ledger.last_sequence() < known.sequence):
            raise LedgerAdoptionError(
                f"the ledger {path} is not the one last used here, or an older copy of it; run `logos ledger adopt`"
            )
        _require_known_sessions(ledger, home)
        try:
            snapshot: VenueSnapshot | None = require_complete(venue, ledger)
        except VenueAskError as error:
            if known is None:
                raise ConfigurationError(
                    f"{venue.name} cannot be asked what this account has traded: {error}; try later"
                ) from error
            snapshot = None
        undo.pop_all()
    return ledger, snapshot


def _require_known_sessions(ledger: SqliteLedger, home: Home) -> None:
    """Refuse a ledger whose attempts are in flight in sessions this host cannot tell dead or alive: it would wait for them for ever."""
    for recorded in ledger.unsettled():
        for attempt in recorded.attempts:
            if attempt.outcome is None and not home.knows_session(attempt.session_id):
                raise LedgerAdoptionError(
                    f"{recorded.client_order_id} is in flight in session {attempt.session_id}, which this host has no lock of; "
                    "run `logos ledger adopt` once no other host uses this ledger"
                )


def ledger_path(identity: LedgerIdentity, preset: Preset, home: Home) -> Path:
    """Return where the preset wants the account's ledger."""
    return Path(preset.session.ledger).expanduser().absolute() if preset.session.ledger else home.ledger_path(identity).absolute()


def register(home: Home, ledger: SqliteLedger) -> None:
    """Let the host remember which ledger is the account's, and how far it has come."""
    entry = Registered(path=ledger.path.absolute(), ledger_id=ledger.ledger_id(), sequence=ledger.last_sequence())
    home.register(ledger.identity, entry)


def process_name() -> str:
    """Return this process's name, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _compose(preset: Preset, venue: BoundVenue, identity: VenueIdentity, home: Home, clock: Clock) -> Parts:
    owner = LedgerIdentity(venue=venue.name, environment=identity.environment, account_id=identity.account_id)
    with ExitStack() as undo:
        undo.enter_context(home.ledger_lock(owner, exclusive=False))
        session_id = new_id()
        undo.callback(home.hold_session(session_id).release)
        with home.opening(owner, clock):
            ledger, snapshot = open_ledger(venue, owner, preset, home, clock)
            undo.callback(ledger.close)
            ledger.begin_session(session_id, preset.strategy, process_name(), preset.path.absolute())
            if snapshot is not None:
                ledger.apply_snapshot(snapshot)
                baselines.begin(ledger, venue.capabilities.positions, snapshot, clock.now())
            register(home, ledger)
        ledger.bury(home.is_dead)
        spool = home.spool(owner)
        _merge(spool, ledger)
        switch = KillSwitch(home.halt_paths(owner), is_present, _persist(home, owner, clock), ledger.first_latch)
        limiter = _limiter(preset, venue, clock)
        resolver = Resolver(venue=venue, ledger=ledger, limiter=limiter, policy=preset.absence, clock=clock, latch=ledger.latch)
        recover(resolver, ledger.unsettled(), home.is_dead, clock.now)
        run = RunFolder(Path(preset.session.runs), clock.now(), venue.name, preset.strategy, session_id)
        run.write("run.json", _run_body(preset, venue, identity, session_id, clock))
        extensions = Extensions.named(preset.session.extensions)
        closing = undo.pop_all()
    return Parts(
        venue=venue,
        identity=identity,
        ledger=ledger,
        strategy=preset.strategy,
        cache=IdempotentCache(ledger, identity.account_id, preset.strategy, venue.capabilities.client_ids),
        retry=preset.retry,
        limiter=limiter,
        switch=switch,
        resolver=resolver,
        extensions=extensions,
        clock=clock,
        is_dead=home.is_dead,
        spool=spool,
        verified=snapshot is not None,
        replace=preset.replace,
        unknown=preset.unknown,
        on_close=_closer(ledger, home, run, clock, closing),
        run_folder=run.path,
    )


def _closer(ledger: SqliteLedger, home: Home, run: RunFolder, clock: Clock, closing: ExitStack) -> Callable[[], None]:
    def close() -> None:
        with closing:
            if ledger.broken is not None:  # its caller was told; what it holds is for recovery
                run.write_text("session.md", f"# {run.path.name}\n\nThe ledger failed: {ledger.broken}\n")
                return
            ledger.end_session()
            _register_again(home, ledger, clock)
            _forget(home, ledger)
            _leave_evidence(run, ledger)

    return close


def _leave_evidence(run: RunFolder, ledger: SqliteLedger) -> None:
    own = list(ledger.session_events())
    run.write_events(own)
    run.write("metrics.json", _metrics(own))
    run.write_lines("retries.jsonl", [event.fields() for event in own if event.kind == "attempt" and event.fields()["attempt"] > 1])
    run.write_text("session.md", _session_page(run, own))
    run.seal()


def _register_again(home: Home, ledger: SqliteLedger, clock: Clock) -> None:
    """Let the host remember how far the ledger came, unless another has taken its place meanwhile."""
    with home.opening(ledger.identity, clock):
        known = home.registered(ledger.identity)
        if known is not None and known.ledger_id == ledger.ledger_id():
            register(home, ledger)


def _merge(spool: Spool, ledger: SqliteLedger) -> None:
    """Move into the ledger what went out while it could not record."""
    waiting = spool.read()
    for entry in waiting:
        ledger.note("spooled", entry, entry["event"].get("client_order_id"))
    if waiting:
        spool.clear()


def _forget(home: Home, ledger: SqliteLedger) -> None:
    """Remove this session's lock, unless an attempt of it is in flight: then the lock is what proves the session dead."""
    own = ledger.session_id
    in_flight = any(
        attempt.outcome is None and attempt.session_id == own for known in ledger.unsettled() for attempt in known.attempts
    )
    if own is not None and not in_flight:
        home.forget_session(own)


def _metrics(own: list[StoredEvent]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for event in own:
        fields = event.fields()
        name = f"settled_{fields['outcome']}" if event.kind == "settled" else event.kind
        counts[name] = counts.get(name, 0) + 1
    return {"events": len(own), "by_kind": counts}


def _session_page(run: RunFolder, own: list[StoredEvent]) -> str:
    rows = "".join(f"| {name} | {count} |\n" for name, count in sorted(_metrics(own)["by_kind"].items()))
    return f"# {run.path.name}\n\n| event | count |\n|---|---|\n{rows}"


def _persist(home: Home, owner: LedgerIdentity, clock: Clock) -> Callable[[str], None]:
    def persist(reason: str) -> None:
        with suppress(ConfigurationError):  # a full disk keeps no halt file; the session is latched all the same
            home.halt(key_of(owner), process_name(), reason, clock.now())

    return persist


def _limiter(preset: Preset, venue: BoundVenue, clock: Clock) -> RateLimiter:
    limit = venue.capabilities.rate_limit
    own = preset.rate_limit
    tightened = evolve(limit, requests=own.requests or limit.requests, period_s=own.period_s or limit.period_s)
    if preset.environment != "simulator" and tightened.requests / tightened.period_s > limit.requests / limit.period_s:
        raise ConfigurationError(
            f"{preset.path}: [rate_limit] allows more than {venue.name} does ({limit.requests} requests in {limit.period_s} s); tighten it"
        )
    return RateLimiter(tightened, clock, own.max_wait_s)


def _base_url(preset: Preset, environments: Mapping[str, Host]) -> str:
    if preset.environment not in environments:
        raise ConfigurationError(
            f"{preset.path}: {preset.venue} has no environment {preset.environment!r}; it has: {', '.join(environments)}"
        )
    if preset.environment == "live":
        raise ConfigurationError(
            f"{preset.path}: environment is 'live'; live orders need a signed permit, and none can be given yet; "
            f"use {_other_than_live(environments)}"
        )
    fixed = environments[preset.environment].base_url
    if fixed is not None:
        if preset.base_url is not None:
            raise ConfigurationError(
                f"{preset.path}: base_url is for environment 'simulator' only; {preset.environment} goes to {fixed}"
            )
        return fixed
    url = preset.base_url
    if url is None:
        raise ConfigurationError(
            f"{preset.path}: base_url is missing; `logos simulate {preset.venue}` prints the one to write here"
        )
    try:
        parts = urlsplit(url)
        here = parts.scheme == "http" and parts.hostname in LOOPBACK and parts.port is not None
    except ValueError:  # a port that is no number
        here = False
    if not here:
        raise ConfigurationError(f"{preset.path}: base_url is {url!r}; a simulator is on this machine: http://127.0.0.1:PORT")
    return url.rstrip("/")


def _other_than_live(environments: Mapping[str, Host]) -> str:
    """Return the environments that take no real order, the nearest to one first."""
    return " or ".join(repr(name) for name in ("paper", "simulator") if name in environments) or "none"


def _references(preset: Preset, declared: VenueDeclaration) -> list[tuple[str, str]]:
    _same_names(preset, "credentials", set(preset.credentials), set(declared.credentials))
    return [(name, preset.credentials[name]) for name in declared.credentials]


def _options(preset: Preset, declared: VenueDeclaration) -> Mapping[str, str]:
    unknown = set(preset.venue_options) - set(declared.options)
    if unknown:
        _same_names(preset, "venue_options", set(preset.venue_options), set(declared.options))
    return preset.venue_options


def _same_names(preset: Preset, table: str, given: set[str], wanted: set[str]) -> None:
    for word, names in (("is missing", wanted - given), ("is not known", given - wanted)):
        if names:
            raise ConfigurationError(
                f"{preset.path}: {table}.{min(names)} {word}; {preset.venue} takes: {', '.join(sorted(wanted)) or 'none'}"
            )


def _hint(preset: Preset, error: VenueAskError) -> str:
    if preset.environment == "simulator" and error.classification.category is Category.NETWORK:
        port = urlsplit(preset.base_url or "").port
        return f"; is the simulator running at {preset.base_url}? start it with: logos simulate {preset.venue} --port {port}"
    return ""


def _run_body(preset: Preset, venue: BoundVenue, identity: VenueIdentity, session_id: str, clock: Clock) -> dict[str, Any]:
    from importlib import metadata

    installed = {dist.name: dist.version for dist in metadata.distributions() if dist.name.startswith("logos")}
    return {
        "session": session_id,
        "venue": venue.name,
        "environment": identity.environment,
        "account_id": identity.account_id,
        "strategy": preset.strategy,
        "preset": preset.path.read_text(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": installed,
        "clock": type(clock).__name__,
        "started_at": clock.now(),
    }
