"""A venue through ccxt's blocking client, paced by that, with what it does not do by itself: bounded patience.

A request that fails for want of a network, or is answered with what cannot be read, is made again after a pause that
doubles and is never twice the same. A 429 or a 418 is heeded for as long as its `Retry-After` says. What the venue will
refuse again is not asked again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import ccxt
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from backtest.data.download.answers import NS_PER_MS, UNREADABLE
from core.adapters.ccxt_package import NUMBERED_VENUES, must_be_at, require_venue, urls_at
from core.adapters.venue import VenueRefused, VenueTrouble, one_line, retry_after_s, server_of
from core.contracts import timeframe_ns
from core.errors import ConfigError, ContractError

ANSWER_MS = 10_000
FIRST_ATTEMPTS, ATTEMPTS = 3, 8
"""Before the venue has answered anything, and later: what was never there is given up soon."""
PAUSE_FIRST_S, PAUSE_MAX_S, PAUSE_JITTER_S = 0.25, 20.0, 0.5
PATIENCE_S = 900.0
"""A ban that lasts longer ends the download; what was fetched is kept, and the next one goes on there."""

Answer = TypeVar("Answer")


class Banned(VenueTrouble):
    """The venue wants to hear nothing for a while."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class VenueClient:
    """One venue.

    Attributes:
        name: its id at ccxt.
        endpoint: another host that speaks its protocol; empty for its own.
        numbered: whether it speaks Binance's protocol, which numbers trades without leaving any out.
        requests: how many were made so far, those that failed among them.
    """

    def __init__(self, name: str, endpoint: str = "", *, tell: Callable[[str], None] = lambda text: None) -> None:
        """
        Args:
            name: an id of ccxt's, "binanceus".
            endpoint: another host, such as http://127.0.0.1:8090; only with Binance's protocol.
            tell: hears why a request is made again, and when.

        Raises:
            ConfigError: there is no such venue, or it has no such endpoint.
        """
        require_venue(name, streams=False)
        self.name, self.endpoint, self.numbered = name, endpoint.rstrip("/"), name in NUMBERED_VENUES
        if endpoint:
            server_of(endpoint)
        if endpoint and not self.numbered:
            allowed = ", ".join(NUMBERED_VENUES)
            raise ConfigError(f"--endpoint is {endpoint!r} with --venue {name}; allowed with: {allowed}")
        self.requests = 0
        self._status, self._headers = 0, {}  # type: int, Mapping[str, str]
        self._answered = False
        self._ccxt = self._made()
        set_on_retry_hooks([lambda details: tell(_again(details))])

    def _made(self) -> Any:
        options = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}
        settings: dict[str, Any] = {"enableRateLimit": True, "timeout": ANSWER_MS, "options": options}
        if self.endpoint:
            settings["urls"] = {"api": urls_at(self.endpoint)}
        client = getattr(ccxt, self.name)(settings)
        if self.endpoint:
            client.exceptions["exact"].update(client.exceptions["spot"]["exact"])  # it knows them by the venue's host
            must_be_at(self.endpoint, client.urls["api"])
        hand_on = client.on_rest_response

        def noted(code: int, reason: str, url: str, method: str, headers: Mapping[str, str], *rest: Any) -> Any:
            self._status, self._headers = code, headers
            return hand_on(code, reason, url, method, headers, *rest)

        client.on_rest_response = noted
        return client

    # -- what the venue has

    def require_bars(self, timeframe: str) -> None:
        """Refuse a length of bars that this venue does not have, without asking it.

        Raises:
            ConfigError: the message names those that it has.
        """
        if not self._ccxt.has.get("fetchOHLCV"):
            raise ConfigError(f"--venue is {self.name!r}; allowed: a venue that gives bars, which this one does not")
        known = [each for each in self._ccxt.timeframes or {} if _whole_part_of_a_day(each)]
        if timeframe not in known:
            raise ConfigError(f"--timeframe is {timeframe!r}; allowed with --venue {self.name}: {', '.join(known)}")

    def require_trades(self) -> None:
        """Refuse a venue that does not give trades.

        Raises:
            ConfigError: it does not.
        """
        if not self._ccxt.has.get("fetchTrades"):
            raise ConfigError(f"--venue is {self.name!r}; allowed: a venue that gives trades, which this one does not")

    def market_id(self, symbol: str) -> str:
        """The venue's own name of a symbol; its markets are asked for once.

        Raises:
            ConfigError: it has no such market; the nearest one is named.
        """
        markets = self.ask(lambda client: client.load_markets(), _some)
        if symbol in markets:
            return str(markets[symbol]["id"])
        near = get_close_matches(symbol.upper(), list(markets), 3) or sorted(markets)[:3]
        raise ConfigError(f"--symbol is {symbol!r}; allowed: a market of {self.name}, such as {', '.join(near)}")

    def now_ns(self) -> int:
        """The venue's time, ns UTC; by the date of its last answer where it has no request for that."""
        if self._ccxt.has.get("fetchTime"):
            return self.ask(lambda client: client.fetch_time(), int) * NS_PER_MS
        date = {name.lower(): value for name, value in self._headers.items()}.get("date")
        if date is None:
            raise VenueTrouble(f"{self.name} does not tell its time; give --end")
        return int(parsedate_to_datetime(date).timestamp()) * 10**9

    def timeframe_id(self, timeframe: str) -> str:
        """The venue's own name of a length of bars."""
        return str(self._ccxt.timeframes[timeframe])

    def page_of(self, symbol: str, method: str) -> int | None:
        """How many rows one request of ccxt's gives at most; None where it does not know."""
        try:
            limit = self._ccxt.feature_value(symbol, method, "limit")
        except Exception:  # noqa: BLE001 - not all that this client raises is an error of its own
            return None
        return int(limit) if limit else None

    # -- requests

    def ask(self, request: Callable[[Any], Any], read: Callable[[Any], Answer]) -> Answer:
        """Make a request until its answer can be read.

        Args:
            request: makes it with ccxt's client.
            read: what the answer says; raises one of `UNREADABLE` where it says nothing.

        Raises:
            VenueRefused: the venue will not do this.
            VenueTrouble: it did not within the patience that there is.
        """
        attempts = ATTEMPTS if self._answered else FIRST_ATTEMPTS
        for attempt in stamina.retry_context(
            on=_pause_after,
            attempts=attempts,
            timeout=None,
            wait_initial=PAUSE_FIRST_S,
            wait_max=PAUSE_MAX_S,
            wait_jitter=PAUSE_JITTER_S,
        ):
            with attempt:
                return self._asked_once(request, read)
        raise AssertionError("the last attempt raises")

    def historical_trades(self, market_id: str, from_id: int, limit: int) -> Any:
        """Numbered trades from an id on, for `ask`; without a key where none is in the environment."""
        client, route = self._ccxt, "historicalTrades"
        key = os.environ.get(self._key_name)
        query = urlencode({"symbol": market_id, "fromId": from_id, "limit": limit})
        # ccxt itself makes this request only with a key, which venues do not always ask for.
        client.throttle(client.api["public"]["get"][route]["cost"])
        client.lastRestRequestTimestamp = client.milliseconds()
        headers = {"X-MBX-APIKEY": key} if key else None
        return client.fetch(f"{client.urls['api']['public']}/{route}?{query}", "GET", headers)

    @property
    def _key_name(self) -> str:
        return f"{self.name.upper()}_API_KEY"

    def _asked_once(self, request: Callable[[Any], Any], read: Callable[[Any], Answer]) -> Answer:
        self._status, self._headers = 0, {}
        self.requests += 1
        try:
            answer = request(self._ccxt)
        except Exception as error:  # noqa: BLE001 - the same
            raise self._trouble(error) from None
        try:
            said = read(answer)
        except UNREADABLE as error:
            reason = f"{self.name} answered with what cannot be read: {one_line(str(error))}"
            raise VenueTrouble(reason) from None
        self._answered = True
        return said

    def _trouble(self, error: Exception) -> Exception:
        words = one_line(f"{type(error).__name__} {error}")
        if self._status == 451:
            return VenueRefused(
                f"{self.name} serves nobody in the region that this machine is in (HTTP 451); nothing was tried to get"
                f" around that. Choose another --venue, or import files"
            )
        if self._status == 403:
            return VenueRefused(f"{self.name} does not let this machine in (HTTP 403): {words}")
        if self._status in (429, 418) or isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
            headers = {name.lower(): value for name, value in self._headers.items()}
            wait_s = retry_after_s(self._status, headers.get("retry-after"))
            return Banned(f"{self.name} wants no request for {wait_s:.0f} s: {words}", wait_s)
        if isinstance(error, ccxt.AuthenticationError):
            return VenueRefused(f"{self.name} asks for a key; set {self._key_name} in the environment: {words}")
        if isinstance(error, ccxt.BadRequest | ccxt.NotSupported | ccxt.ArgumentsRequired):
            return VenueRefused(f"{self.name}: {words}")
        if self._status:
            return VenueTrouble(f"{self.name} answered with HTTP {self._status}: {words}")
        return VenueTrouble(f"{self.name} cannot be reached: {words}")


def _some(markets: Any) -> Mapping[str, Any]:
    if not isinstance(markets, dict) or not markets:
        raise ValueError("a list of markets without any market")
    return markets


def _whole_part_of_a_day(timeframe: str) -> bool:
    try:
        return timeframe_ns(timeframe) > 0
    except ContractError:  # weeks and months, which no journal here holds
        return False


def _pause_after(error: Exception) -> bool | float:
    """Whether to ask again; how long to wait before that where the venue says so."""
    if isinstance(error, Banned):
        return error.wait_s if error.wait_s <= PATIENCE_S else False
    return isinstance(error, VenueTrouble)


def _again(details: RetryDetails) -> str:
    return f"{details.caused_by}; again in {details.wait_for:.1f} s (retry {details.retry_num})"
