"""`logos simulate`: a venue on this computer."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from logos_core.cli.exits import Exit
from logos_core.cli.options import Json
from logos_core.cli.output import emit, say
from logos_core.errors import ConfigurationError
from logos_core.testing.faults import Fault, FaultPlan
from logos_core.testing.server import HttpRequest, LoopbackServer, WireEntry
from logos_core.venues import declaration


class _TalkingServer(LoopbackServer):
    """Tells of each request as it arrives."""

    def record(self, request: HttpRequest) -> tuple[WireEntry, Fault | None]:
        """Enter the request in the wire log, and say so."""
        entry, fault = super().record(request)
        met = f"  fault: {entry.fault}" if entry.fault else ""
        say(f"{entry.received_at}  {entry.operation:<10}  {entry.method} {entry.target}{met}")
        return entry, fault


def simulate(
    venue: Annotated[str, typer.Argument(help="Such as alpaca or ccxt:binance; `logos venues` lists them.", show_default=False)],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
    faults: Annotated[
        Path | None, typer.Option("--faults", help="A .json or .toml plan of what goes wrong.", show_default=False, readable=False)
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Overrides the plan's seed.", show_default=False)] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell of each request on stderr.")] = False,
    as_json: Json = False,
) -> int:
    """Serve a venue on this computer, over the venue's own HTTP."""
    declared, variant = declaration(venue)
    plan = _plan(faults, seed)
    kind = _TalkingServer if verbose else LoopbackServer
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server = kind(declared.simulator(variant), plan, port)
    try:
        server.start()
    except OSError as error:
        raise ConfigurationError(
            f"port {port} cannot be taken ({error.strerror}); give another --port, or 0 for a free one"
        ) from error
    try:
        emit({"venue": venue, "url": server.url}, server.url, as_json=as_json)
        say(f"{venue} is simulated at {server.url}: write it as base_url. Ctrl-C ends it.")
        say("It starts empty. A ledger from an earlier simulator remembers orders it does not hold: give it a new LOGOS_HOME.")
        while not stopped.wait(3600):
            pass
    finally:
        server.stop()
    return Exit.DONE


def _plan(faults: Path | None, seed: int | None) -> FaultPlan:
    if faults is None:
        return FaultPlan(seed=seed or 0)
    try:
        return FaultPlan.load(faults, seed)
    except OSError as error:
        raise ConfigurationError(f"the fault plan {faults} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
