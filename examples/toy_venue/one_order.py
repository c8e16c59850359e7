from logos_core import Adapter, Order, OrderDeniedError, OrderRejectedError

buy = Order.limit("TOY", "buy", quantity=1, price="100", intent_id="first")
with Adapter.open("toy.toml") as adapter:
    first = adapter.submit(buy)
    again = adapter.submit(buy)
    print(first.status, "as", first.venue_order_id, "and again as", again.venue_order_id)
    for order in (
        Order.limit("TOY", "buy", quantity="0.5", price=100, intent_id="second"),
        Order.limit("TOY", "sell", quantity=1, price=100, intent_id="third"),
    ):
        try:
            adapter.submit(order)
        except OrderDeniedError as error:
            print("denied:", error.reason)
        except OrderRejectedError as error:
            print("rejected:", error.venue_message)
    print(adapter.reconcile())
