import asyncio

from logos_core import AsyncAdapter, Order, OrderDeniedError, OrderRejectedError, OutcomeUnknownError


async def place(adapter: AsyncAdapter, number: int) -> None:
    order = Order.limit("BTC/USDT", "buy", quantity="0.01", price=50_000 + number, intent_id=f"ladder-2026-11-23-{number}")
    try:
        report = await adapter.submit(order)  # cancelling this await leaves the order as it is
    except (OrderDeniedError, OrderRejectedError) as error:
        print("no order:", error)
    except OutcomeUnknownError as error:
        print("may be live:", await adapter.lookup(error.reference))
    else:
        print(number, report.status, report.filled_quantity)


async def main() -> None:
    async with AsyncAdapter.open("ccxt-binance-paper.toml") as adapter:
        await asyncio.gather(*[place(adapter, number) for number in range(10)])
        print(await adapter.reconcile())


asyncio.run(main())
