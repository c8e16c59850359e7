"""Alpaca's trade updates, over the real alpaca-py.

Rules:

1. The SDK connects, authenticates and asks to listen; it does not connect again by itself. Its own loop would, without a word, and
   what happened in between is told to nobody: there is no replay.
2. The hello is the acknowledgement that names `trade_updates`. The SDK does not wait for it.
3. Each update carries the whole order, so reports are handed over. Its `execution_id` is not known to be what the list of fills
   calls the same trade, so trades are not: a report that does not add up is asked about.
4. A quiet account is told nothing, so life is asked for: every WebSocket must answer a ping (RFC 6455, 5.5.2).
"""

import asyncio
import json
from typing import Any

from alpaca.common.utils import get_default_user_agent
from alpaca.trading.stream import TradingStream
from websockets.legacy.client import Connect

from logos_alpaca import mapping
from logos_core.hookspecs import BadAnswerError, Inlet
from logos_core.venues import VenueSettings

CLOSE_WITHIN_S = 0.5
OPEN_WITHIN_S = 10.0
TRADE_UPDATES = "trade_updates"


def listen(settings: VenueSettings, inlet: Inlet) -> None:
    """Hand over what the stream tells, until it ends."""
    asyncio.run(_listen(settings, inlet))


async def _listen(settings: VenueSettings, inlet: Inlet) -> None:
    loop, own = asyncio.get_running_loop(), asyncio.current_task()
    assert own is not None
    inlet.on_stop(lambda: loop.call_soon_threadsafe(own.cancel))
    stream = OneConnection(
        settings.credentials["key_id"].reveal(),
        settings.credentials["secret_key"].reveal(),
        raw_data=True,
        url_override=stream_url(settings.base_url),
    )
    try:
        await stream.listen(inlet)
    finally:
        await stream.close()


class OneConnection(TradingStream):
    """The SDK's stream without its freedom to connect twice or elsewhere."""

    async def listen(self, inlet: Inlet) -> None:
        """Connect, subscribe, and hand over what comes, until the connection ends."""

        async def take(update: Any) -> None:
            _hand_over(update, inlet)

        self.subscribe_trade_updates(take)
        await self._start_ws()  # type: ignore[no-untyped-call]
        tasks = {asyncio.ensure_future(self._read(inlet)), asyncio.ensure_future(self._ask_for_life(inlet))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _connect(self) -> None:
        self._ws = await StraightConnect(  # type: ignore[assignment]
            self._endpoint,
            extra_headers={"User-Agent": get_default_user_agent()},
            open_timeout=OPEN_WITHIN_S,
            close_timeout=CLOSE_WITHIN_S,
            ping_interval=None,
        )

    async def _auth(self) -> None:
        try:
            await super()._auth()  # type: ignore[no-untyped-call]
        except (AttributeError, ValueError) as error:
            raise BadAnswerError("the venue did not authorise the key for its stream") from error

    async def _read(self, inlet: Inlet) -> None:
        while True:
            received = await self._socket().recv()
            try:
                message = json.loads(received)
            except ValueError:
                inlet.unreadable("a message that is no JSON")
                continue
            if not isinstance(message, dict):
                inlet.unreadable("a message that is no object")
            elif message.get("stream") == "listening":
                _require_trade_updates(message)
                inlet.hello()
            else:
                await self._dispatch(message)

    async def _ask_for_life(self, inlet: Inlet) -> None:
        while True:
            await (await self._socket().ping())
            inlet.alive()
            await asyncio.sleep(inlet.heartbeat_s / 2)

    def _socket(self) -> Any:
        return self._ws


class StraightConnect(Connect):
    """A connection to the address that was meant; the key is sent over it, so it goes nowhere else."""

    def handle_redirect(self, uri: str) -> None:
        """Refuse."""
        raise BadAnswerError(f"the stream was redirected to {uri.partition('?')[0]!r}, which is not followed")


def _require_trade_updates(message: dict[str, Any]) -> None:
    data = message.get("data")
    streams = data.get("streams") if isinstance(data, dict) else None
    if not isinstance(streams, list) or TRADE_UPDATES not in streams:
        raise BadAnswerError(f"the venue does not tell {TRADE_UPDATES}; it acknowledged {streams}")


def _hand_over(update: Any, inlet: Inlet) -> None:
    """Hand over the order of one update, whatever the event is called: the order says what it is now."""
    data = update.get("data")
    try:
        inlet.report(mapping.report(data.get("order") if isinstance(data, dict) else None))
    except BadAnswerError as error:
        inlet.unreadable(str(error))


def stream_url(base_url: str) -> str:
    """Return where the stream is: on the host that takes the orders (Alpaca's documentation, WebSocket streaming)."""
    return base_url.replace("http", "ws", 1) + "/stream"
