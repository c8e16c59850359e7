"""Talk to a simulator's own side: what it really holds, what it really received, what goes wrong next.

Only the standard library: whoever judges the order path must not go through it.
"""

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 10.0


class AdminError(Exception):
    """The simulator refused what was asked of its own side."""


class Admin:
    """The side of a simulator that no client of a venue has."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._address = urlsplit(url).netloc

    def orders(self) -> list[dict[str, Any]]:
        """Return every order the venue really holds."""
        found: list[dict[str, Any]] = self._call("GET", "orders")
        return found

    def wire(self) -> list[dict[str, Any]]:
        """Return every request that really arrived."""
        found: list[dict[str, Any]] = self._call("GET", "wire")
        return found

    def plan(self, plan: Mapping[str, Any]) -> None:
        """Let this go wrong from now on, counted from now on."""
        self._call("PUT", "faults", plan)

    def fill(self, venue_order_id: str, quantity: str) -> None:
        """Fill an open order, whatever the market is."""
        self._call("POST", "fill", {"venue_order_id": venue_order_id, "quantity": quantity})

    def _call(self, method: str, name: str, body: Any = None) -> Any:
        with closing(http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)) as connection:
            connection.request(method, f"/_logos/{name}", None if body is None else json.dumps(body))
            answer = connection.getresponse()
            said = json.loads(answer.read())
        if answer.status != 200:
            raise AdminError(f"{method} {name}: {said.get('error', said)}")
        return said
