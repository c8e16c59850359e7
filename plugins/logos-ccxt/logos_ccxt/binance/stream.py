"""Binance's user data stream, over the real ccxt.pro.

Rules:

1. The client that listens is one of its own, in a loop of its own. It signs one subscription and makes no other request: every
   REST call of it is refused, and so is a redirect of its connection, since the signature would go along.
2. ccxt's caches are not asked. They hold floats, keep the latest word on each order only, and forget the oldest; each event is
   taken as it came.
3. An event carries the whole order, so reports are handed over. That its trade id `t` is the `id` of `myTrades` no document was
   found to say, so trades are not: a report that does not add up is asked about.
4. What goes wrong inside ccxt's callbacks would stop its reading in silence; here it ends the connection.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import ccxt.pro

from logos_ccxt import reading
from logos_ccxt.binance import mapping
from logos_ccxt.binance.capabilities import RECV_WINDOW_MS
from logos_core.hookspecs import BadAnswerError, Inlet
from logos_core.venues import VenueSettings

CLOSE_WITHIN_S = 0.5
LOOKS_PER_BEAT = 4
NAMES = {
    "s": "symbol", "i": "orderId", "S": "side", "o": "type", "f": "timeInForce", "q": "origQty", "p": "price", "P": "stopPrice",
    "X": "status", "z": "executedQty", "Z": "cummulativeQuoteQty", "T": "updateTime", "d": "trailingDelta", "Q": "origQuoteOrderQty",
}  # fmt: skip
"""The fields of an `executionReport` (quoted in ccxt 4.5.90, pro/binance.py, handle_order_update) by their names in an answer."""


def listen(settings: VenueSettings, symbol_of: mapping.SymbolOf, inlet: Inlet) -> None:
    """Hand over what the stream tells, until it ends.

    Args:
        symbol_of: knows the markets that are loaded; it may not ask.
    """
    asyncio.run(_listen(settings, symbol_of, inlet))


async def _listen(settings: VenueSettings, symbol_of: mapping.SymbolOf, inlet: Inlet) -> None:
    loop, own = asyncio.get_running_loop(), asyncio.current_task()
    assert own is not None
    inlet.on_stop(lambda: loop.call_soon_threadsafe(own.cancel))
    exchange = Listening(settings, symbol_of, inlet)
    try:
        await exchange.listen()
    finally:
        await _end(exchange)


async def _end(exchange: "Listening") -> None:
    """Close, and wait for no farewell: a venue that has fallen silent says none, and aiohttp would wait for it."""
    session = exchange.session
    with suppress(TimeoutError):
        await asyncio.wait_for(exchange.close(), CLOSE_WITHIN_S)
    if session is not None and not session.closed:
        await session.close()
    await exchange.close_connector()


class Listening(ccxt.pro.binance):  # type: ignore[misc]  # ccxt ships no types
    """ccxt's client without its freedom to ask, to follow, or to swallow what went wrong."""

    def __init__(self, settings: VenueSettings, symbol_of: mapping.SymbolOf, inlet: Inlet) -> None:
        super().__init__({
            "apiKey": settings.credentials["api_key"].reveal(),
            "secret": settings.credentials["secret"].reveal(),
            "enableRateLimit": False,
            "logger": Silence("ccxt"),
            "options": {"defaultType": "spot", "recvWindow": RECV_WINDOW_MS},
        })  # fmt: skip
        self.urls["api"] = {"ws": {"ws-api": {"spot": stream_url(self, settings)}}}
        self.milliseconds = lambda: reading.milliseconds(settings.clock.now())
        self.timeout_on_exit = 0
        self.options["ws"] = {**self.options.get("ws", {}), "keepAlive": int(inlet.heartbeat_s * 1000 / 2)}
        self._symbol_of, self._inlet = symbol_of, inlet
        self._failed: asyncio.Future[None] | None = None

    async def listen(self) -> None:
        """Subscribe, and hand over what comes, until the connection ends."""
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        loop.set_exception_handler(lambda _, context: self._fail(context.get("exception")))
        self.open()
        self.session.trace_configs.append(_no_redirects())
        await self._subscribe()
        client = self.clients[self.urls["api"]["ws"]["ws-api"]["spot"]]
        ended = client.future("the connection")  # ccxt rejects whatever waits when the connection ends
        self._inlet.hello()
        heard: int | None = None
        while True:
            pause_s = self._inlet.heartbeat_s / LOOKS_PER_BEAT
            done, _ = await asyncio.wait({ended, self._failed}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            if client.last_message_at != heard:
                heard = client.last_message_at
                self._inlet.alive()

    async def _subscribe(self) -> None:
        try:
            await self.authenticate({"type": "spot"})
        except Exception as error:
            cause = error.__context__ if isinstance(error, KeyError) else error  # ccxt removes twice what was refused once
            raise BadAnswerError(f"the venue did not confirm the subscription: {type(cause).__name__}") from error

    async def fetch(self, url: str, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: who listens asks nothing."""
        raise BadAnswerError("the client of the stream was asked to make a request; nothing was sent")

    def handle_message(self, client: Any, message: Any) -> None:
        """Take one message; those that answer the subscription go ccxt's way."""
        told = message.get("event", message) if isinstance(message, dict) else None
        event: Mapping[str, Any] = told if isinstance(told, dict) else {}
        kind = event.get("e")
        if kind == "executionReport":
            self._hand_over(event)
        elif kind == "eventStreamTerminated":
            self._fail(BadAnswerError("the venue ended the subscription"))
        elif isinstance(message, dict) and "id" in message:
            super().handle_message(client, message)
        elif kind is None:
            self._inlet.unreadable("a message that is no event")

    def _hand_over(self, event: Mapping[str, Any]) -> None:
        try:
            self._inlet.report(mapping.report(as_answered(event), self._symbol_of))
        except BadAnswerError as error:
            self._inlet.unreadable(str(error))

    def _fail(self, error: BaseException | None) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error if isinstance(error, Exception) else BadAnswerError("the stream's loop failed"))


def as_answered(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an `executionReport` as the order would stand in an answer. A cancel's own id stands in `c`; the order's is in `C` then."""
    order = {long: event[short] for short, long in NAMES.items() if short in event}
    return {**order, "clientOrderId": event.get("C") or event.get("c")}


def stream_url(exchange: Any, settings: VenueSettings) -> str:
    """Return where the stream is: the SDK's own tables tell it. A simulator streams where it answers."""
    tables = {"paper": exchange.urls["test"], "live": exchange.urls["api"]}
    if settings.environment in tables:
        return str(tables[settings.environment]["ws"]["ws-api"]["spot"])
    return settings.base_url.replace("http", "ws", 1) + "/ws-api/v3"


class Silence(logging.Logger):
    """Log nothing: ccxt logs what it signs."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  logging's own name
        return False


def _no_redirects() -> aiohttp.TraceConfig:
    async def refuse(*_args: Any) -> None:
        raise BadAnswerError("the stream was redirected, which is not followed")

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    config.freeze()
    return config
