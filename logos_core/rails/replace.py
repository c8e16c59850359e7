"""When the venue's own request to replace an order may be used, and when it is cancelled and placed anew instead.

An order may trade between the decision and the moment the venue reads the request. A venue that then refuses is safe. One that
replaces it all the same may let the whole quantity trade once more, so it is used only where the preset accepts that.
"""

from attrs import frozen

from logos_core.capabilities import Capabilities, ReplaceKind
from logos_core.executions import filled
from logos_core.orders import OrderClass, OrderRequest
from logos_core.reports import ExecutionReport


@frozen(kw_only=True)
class ReplacePolicy:
    """What the preset accepts when an order is replaced.

    Attributes:
        accepts_overlap: whether the venue's own request is used although the venue replaces an order that has begun to trade. What is
            too much is cancelled at once; whoever sets it accepts that it may trade before.
    """

    accepts_overlap: bool = False


def is_native(capabilities: Capabilities, policy: ReplacePolicy, request: OrderRequest | None, report: ExecutionReport) -> bool:
    """Say whether the venue's own request may replace this order: a plain one, of which nothing has traded yet."""
    able = capabilities.replace
    if able.kind is not ReplaceKind.NATIVE or request is None or filled(report):
        return False
    plain = request.order_class is OrderClass.SIMPLE and request.order_type in able.types
    return plain and (able.atomic or policy.accepts_overlap)
