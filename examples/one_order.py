from logos_core import Adapter, Order, OrderDeniedError, OrderRejectedError, OutcomeUnknownError

order = Order.limit("BTC/USDT", "buy", quantity="0.01", price="60000", intent_id="rebalance-2026-11-23")
with Adapter.open("ccxt-binance-paper.toml") as adapter:
    try:
        report = adapter.submit(order)  # run it twice: still one order
    except (OrderDeniedError, OrderRejectedError) as error:
        print("no order:", error)
    except OutcomeUnknownError as error:
        print("may be live:", adapter.lookup(error.reference))
    else:
        print(report.status, report.filled_quantity)
    print(adapter.reconcile())
