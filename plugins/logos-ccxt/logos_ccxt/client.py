"""ccxt's client without its freedom: what holds for every exchange.

Rules:

1. Only a client's endpoint methods are used, never its unified calls: `create_order` puts amounts through floats, loads markets on the
   way, and returns an order without an id for an empty or broken answer.
2. It does not send twice, does not sleep before the first byte, asks no host but the one it was given, and tells its secrets to no log.
3. What it takes for a success, such as the text of a redirect, is none.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from logos_ccxt.reading import milliseconds
from logos_core.clock import Clock
from logos_core.errors import ConfigurationError
from logos_core.hookspecs import BadAnswerError
from logos_core.transport import GuardedSession
from logos_core.venues import VenueSettings
from logos_core.wire import Wire

Fields = Mapping[str, str]
LOOPBACK = {"127.0.0.1": "simulator", "localhost": "simulator", "::1": "simulator"}


class SecondSendError(Exception):
    """Somebody has switched on the SDK's own retries. Remove `maxRetriesOnFailure`; nothing was sent."""


def build(kind: Callable[[dict[str, Any]], Any], settings: VenueSettings, secret: str, options: Mapping[str, Any]) -> Any:
    """Return ccxt's client of one exchange, guarded but for its addresses, which the caller sets.

    Args:
        kind: the class of the exchange.
        secret: what requests are signed with.
        options: the exchange's own.
    """
    exchange = kind({
        "apiKey": settings.credentials["api_key"].reveal(),
        "secret": secret,
        "enableRateLimit": False,  # The core keeps the budget; ccxt would sleep between the commit and the first byte.
        "enableLastHttpResponse": False,
        "enableLastResponseHeaders": False,
        "logger": _Silence("ccxt"),  # ccxt logs the headers of each request, and the key with them.
        "options": {"maxRetriesOnFailure": 0, "adjustForTimeDifference": False, **options},
    })  # fmt: skip
    exchange.milliseconds = _milliseconds(settings.clock)
    exchange.session = GuardedSession(settings.wire)
    return exchange


def never_twice(exchange: Any) -> None:
    """Refuse to send while the SDK would send again. The SDK itself is asked, as it reads several options for it."""
    retries, _ = exchange.handle_option_integer_and_params({}, "order", "maxRetriesOnFailure", 0)
    if retries != 0:
        raise SecondSendError(f"ccxt is set to send up to {retries} times more; nothing was sent")


def ask(wire: Wire, method: Callable[[Any], Any], fields: Fields | None = None) -> object:
    """Call one endpoint; refuse whatever did not come with HTTP 200."""
    body = method(dict(fields or {}))
    answer = wire.current().answer
    if answer is None or answer.status != 200:
        raise BadAnswerError(f"expected HTTP 200, got {answer.status if answer else 'nothing'}")
    return body


def environment_at(url: str, hosts: Mapping[str, str], name: str) -> str:
    """Return the environment that lives at an address; a host that is neither the exchange's nor this one is refused."""
    host = urlsplit(url).hostname or ""
    if host not in hosts:
        raise ConfigurationError(f"{url} is not where {name} or a simulator is; allowed: {', '.join(hosts)}")
    return hosts[host]


class _Silence(logging.Logger):
    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  logging's own name
        return False


def _milliseconds(clock: Clock) -> Callable[[], int]:
    return lambda: milliseconds(clock.now())
