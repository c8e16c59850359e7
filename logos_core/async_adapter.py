"""An `Adapter` for programs on asyncio.

The calls are the same, made in worker threads. Awaiting one may be cancelled; the order may not: its thread goes on, and what became of
it is on record. Whoever wants it cancelled asks the venue, with `cancel`.
"""

import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from logos_core.adapter import Adapter
from logos_core.hookspecs import Found, NotSeen, OrderReference
from logos_core.orders import Order
from logos_core.positions import Book
from logos_core.reconciliation import ReconciliationReport
from logos_core.recovery import RecoveryReport
from logos_core.replacing import ReplaceReport
from logos_core.reports import ExecutionReport
from logos_core.streaming import Listener, StreamConfig
from logos_core.values import Number

if TYPE_CHECKING:  # a program without it must not load it
    from asyncio import AbstractEventLoop

R = TypeVar("R")

THREADS = 32
"""How many calls are under way at once; the others wait for a thread."""
RESERVED_THREADS = 4
"""How many more threads only cancels may use, and how many only questions: no cancel waits behind a submit or a question."""


class AsyncAdapter:
    """A session on one account whose calls are awaited. Belongs to the event loop in which it was entered.

    ::

        async with AsyncAdapter.open("ccxt-binance-paper.toml") as adapter:
            report = await adapter.submit(order)

    Cancelling an await, a timeout around it included, leaves the call running: submit the same intent again to learn what became of it.
    Leaving the block waits for every call, awaited or not.
    """

    def __init__(self, opening: Callable[[], Adapter], threads: int) -> None:
        self._opening = opening
        self._adapter: Adapter | None = None
        self._loop: AbstractEventLoop | None = None
        self._closed = False
        self._calls = ThreadPoolExecutor(threads, "logos-call")
        self._cancels = ThreadPoolExecutor(RESERVED_THREADS, "logos-cancel")
        self._questions = ThreadPoolExecutor(RESERVED_THREADS, "logos-question")

    @classmethod
    def open(
        cls,
        preset: str | Path,
        *,
        home: str | Path | None = None,
        environ: Mapping[str, str] | None = None,
        kind: type[Adapter] = Adapter,
        threads: int = THREADS,
    ) -> Self:
        """Return a session that `async with` opens.

        Args:
            preset: see `Adapter.open`, as for `home` and `environ`. Its errors are raised on entering.
            kind: the class to open, such as that of one venue.
            threads: how many calls may be under way at once.
        """
        return cls(lambda: kind.open(preset, home=home, environ=environ), threads)

    @property
    def adapter(self) -> Adapter:
        """The Adapter itself, for what does not block: `identity`, `venue`, `ledger`, `run_folder`."""
        if self._adapter is None:
            raise RuntimeError("this AsyncAdapter is not open; enter it with `async with`")
        return self._adapter

    async def submit(self, order: Order) -> ExecutionReport:
        """Send an order at most once; see `Adapter.submit`."""
        return await self._call(self._calls, self.adapter.submit, order)

    async def replace(
        self,
        order: str | OrderReference,
        *,
        intent_id: str,
        quantity: Number | None = None,
        price: Number | None = None,
        stop_price: Number | None = None,
    ) -> ReplaceReport:
        """Let an order go on with other numbers; see `Adapter.replace`."""
        changed = partial(self.adapter.replace, intent_id=intent_id, quantity=quantity, price=price, stop_price=stop_price)
        return await self._call(self._calls, changed, order)

    async def cancel(self, order: str | OrderReference) -> ExecutionReport:
        """Ask the venue to cancel; see `Adapter.cancel`."""
        return await self._call(self._cancels, self.adapter.cancel, order)

    async def lookup(self, order: str | OrderReference) -> Found | NotSeen:
        """Return what the venue shows of an order; see `Adapter.lookup`."""
        return await self._call(self._questions, self.adapter.lookup, order)

    async def recover(self) -> RecoveryReport:
        """Find out what dead sessions left open; see `Adapter.recover`."""
        return await self._call(self._questions, self.adapter.recover)

    async def reconcile(self) -> ReconciliationReport:
        """Compare the ledger with the venue; see `Adapter.reconcile`."""
        return await self._call(self._questions, self.adapter.reconcile)

    async def book(self) -> Book:
        """Return what the executions of our orders come to; see `Adapter.book`."""
        return await self._call(self._questions, self.adapter.book)

    async def listen(self, config: StreamConfig | None = None) -> Listener:
        """Listen to the venue's stream; see `Adapter.listen`. It ends with the session, or by `await asyncio.to_thread(stream.close)`."""
        return await self._call(self._questions, self.adapter.listen, config)

    async def accept_positions(self, by: str, because: str) -> None:
        """Count positions from here on; see `Adapter.accept_positions`."""
        await self._call(self._questions, self.adapter.accept_positions, by, because)

    async def __aenter__(self) -> Self:
        import asyncio

        if self._loop is not None:
            raise RuntimeError("this AsyncAdapter was entered before; open a new one")
        self._loop = asyncio.get_running_loop()
        opening = self._questions.submit(self._opening)
        try:
            self._adapter = await _outcome(opening, self._loop)
        except BaseException:
            self._closed = True
            opening.add_done_callback(_close)  # whoever was cancelled here will not
            self._stop(wait=False)
            raise
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session: take no new call, wait for those under way, then let go. May be called twice; goes on if cancelled."""
        loop, adapter = self._loop_here(), self.adapter
        self._closed = True

        def end() -> None:
            self._stop(wait=True)
            adapter.close()

        ending = ThreadPoolExecutor(1, "logos-close")
        ended = ending.submit(end)
        ending.shutdown(wait=False)
        await _outcome(ended, loop)

    async def _call(self, pool: ThreadPoolExecutor, call: Callable[..., R], *arguments: Any) -> R:
        loop = self._loop_here()
        if self._closed:
            raise RuntimeError("this AsyncAdapter is closed; open a new one")
        return await _outcome(pool.submit(contextvars.copy_context().run, call, *arguments), loop)

    def _loop_here(self) -> "AbstractEventLoop":
        import asyncio

        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("this AsyncAdapter was entered in another event loop; open one in each")
        return self._loop

    def _stop(self, *, wait: bool) -> None:
        self._calls.shutdown(wait=wait)
        self._cancels.shutdown(wait=wait)
        self._questions.shutdown(wait=wait)


async def _outcome(running: "Future[R]", loop: "AbstractEventLoop") -> R:
    """Wait for a call's outcome. Being cancelled ends the waiting and nothing else."""
    waiting: Any = loop.create_future()

    def tell() -> None:
        if waiting.cancelled():
            return
        error = running.exception()
        if error is None:
            waiting.set_result(running.result())
        else:
            waiting.set_exception(error)

    def ended(_: "Future[R]") -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    running.add_done_callback(ended)
    outcome: R = await waiting
    return outcome


def _close(opened: "Future[Adapter]") -> None:
    if opened.exception() is None:
        opened.result().close()
