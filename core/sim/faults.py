"""Faults as data: what goes wrong, where, when, and how often. The plan decides; the sockets carry it out.

Every rule counts the requests or messages that it matches by itself. The first rule of the plan that is due is
carried out, and the others leave that request or message alone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from core import codec
from core.errors import CodecError, ConfigError
from core.market.synthetic_path import uniforms

Kind = Literal["disconnect", "mute", "hang", "drop", "double", "swap", "hold", "status", "garbage"]
Form = Literal["html", "empty", "truncated", "null", "nan"]

REQUESTS = frozenset({"disconnect", "hang", "status", "garbage"})
"""What can happen to a request, the opening of a socket among them."""
MESSAGES = frozenset(get_args(Kind)) - {"status"}
"""What can happen to a message of a stream."""

NS_PER_S = 1_000_000_000
LISTED = 1000
ABNORMAL = 1006


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule.

    Attributes:
        kind: "disconnect" ends the connection, without a word if `code` is 0 or 1006; "mute" answers pings and sends
            nothing; "hang" answers nothing at all, pings neither; "drop", "double" and "swap" (with the next one) do
            so to a message; "hold" keeps all messages of the socket back and then sends them at once; "status"
            answers with an error; "garbage" sends something else.
        where: shell pattern of what it matches. Of requests "GET /api/v3/depth", of the opening of a socket
            "WS /stream/ws/0", of messages "btcusdt@trade".
        after: so many matches pass before.
        times: how often it happens; 0 for no end.
        probability: of happening where it is due, by the seed of the plan.
        seconds: how long "mute", "hang" and "hold" last on the wall clock; 0 for no end.
        lasts_s: the rule is over so many seconds of the wall clock after it first happened; 0 for no end.
        code: of the close for "disconnect"; of the error in the body for "status", 0 for no body of JSON.
        msg: text of the error.
        status: HTTP status of the error.
        retry_after_s: what the header Retry-After says, -1 for none.
        form: of garbage: a page of HTML, nothing, half of the JSON, every number null, or every number "NaN".
    """

    kind: Kind
    where: str
    after: int = 0
    times: int = 1
    probability: float = 1.0
    seconds: float = 0.0
    lasts_s: float = 0.0
    code: int = 0
    msg: str = ""
    status: int = 503
    retry_after_s: int = -1
    form: Form = "html"

    def __post_init__(self) -> None:
        """Refuse what cannot happen."""
        for name, allowed in (("kind", get_args(Kind)), ("form", get_args(Form))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        for name in ("after", "times", "seconds", "lasts_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; allowed: 0 or more")
        if not self.where:
            raise ConfigError("where is empty; allowed: a pattern such as GET /api/v3/* or *@trade")
        if not 0 < self.probability <= 1:
            raise ConfigError(f"probability is {self.probability!r}; allowed: above 0, up to 1")
        if not 400 <= self.status <= 599:
            raise ConfigError(f"status is {self.status!r}; allowed: 400 to 599")
        if self.kind == "disconnect" and self.code not in {0, ABNORMAL} and not 1000 <= self.code <= 4999:
            raise ConfigError(f"code is {self.code!r}; allowed for a disconnect: 1000 to 4999")


class _Rule:
    """A fault with what has come of it."""

    __slots__ = ("done", "ends_ns", "fault", "matched", "number")

    def __init__(self, number: int, fault: Fault) -> None:
        self.number, self.fault = number, fault
        self.matched = self.done = 0
        self.ends_ns = 0

    def due(self, wall_ns: int, draw: Iterator[float]) -> bool:
        """Whether it happens to this match."""
        fault = self.fault
        self.matched += 1
        if self.matched <= fault.after or (fault.times and self.done >= fault.times):
            return False
        if self.ends_ns and wall_ns >= self.ends_ns:
            return False
        if fault.probability < 1 and next(draw) >= fault.probability:
            return False
        if fault.lasts_s and not self.done:
            self.ends_ns = wall_ns + int(fault.lasts_s * NS_PER_S)
        self.done += 1
        return True


class FaultPlan:
    """All rules, and the list of what they have done."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        """
        Args:
            faults: in the order in which they are tried.
            seed: of the probabilities.
        """
        self._rules: list[_Rule] = []
        self._draw = uniforms(f"{seed}:faults")
        self._happened: deque[dict[str, Any]] = deque(maxlen=LISTED)
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> int:
        """Put a rule behind the others; its number, from 0."""
        self._rules.append(_Rule(len(self._rules), fault))
        return len(self._rules) - 1

    def clear(self) -> None:
        """Take all rules away; what they did stays listed."""
        self._rules.clear()

    def on_request(self, route: str, wall_ns: int) -> Fault | None:
        """What happens to a request or to the opening of a socket; None for nothing."""
        return self._decide(route, wall_ns, REQUESTS) if self._rules else None

    def on_message(self, stream: str, wall_ns: int) -> Fault | None:
        """What happens to a message of a stream; None for nothing."""
        return self._decide(stream, wall_ns, MESSAGES) if self._rules else None

    def _decide(self, what: str, wall_ns: int, kinds: frozenset[str]) -> Fault | None:
        chosen: Fault | None = None
        for rule in self._rules:
            if rule.fault.kind not in kinds or not fnmatchcase(what, rule.fault.where):
                continue
            if rule.due(wall_ns, self._draw) and chosen is None:
                chosen = rule.fault
                self._happened.append({"rule": rule.number, "kind": chosen.kind, "where": what, "wall_ns": wall_ns})
        return chosen

    def report(self) -> dict[str, Any]:
        """Every rule with its counts, and the newest 1,000 that happened, oldest first, as JSON values."""
        rules = [
            {**asdict(rule.fault), "rule": rule.number, "matched": rule.matched, "happened": rule.done}
            for rule in self._rules
        ]
        return {"rules": rules, "happened": list(self._happened)}


_KNOWN = {field.name for field in fields(Fault)}


def fault_of(values: Any) -> Fault:
    """A rule from JSON values.

    Raises:
        ConfigError: a key is unknown or missing, or a value is not allowed.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"a fault is {values!r}; allowed: keys and values, such as kind: drop, where: '*@trade'")
    unknown = sorted(str(key) for key in values if key not in _KNOWN)
    if unknown:
        raise ConfigError(f"a fault has the key {unknown[0]!r}; allowed: {', '.join(sorted(_KNOWN))}")
    try:
        return codec.convert(values, Fault)
    except CodecError as error:
        raise ConfigError(f"fault {values!r}: {error}") from None


def faults_of(values: Any) -> list[Fault]:
    """The rules of a file: a list of them.

    Raises:
        ConfigError: it is none; the message names the number of the rule, from 1.
    """
    if not isinstance(values, list):
        raise ConfigError(f"faults are {type(values).__name__}; allowed: a list of rules")
    faults = []
    for number, each in enumerate(values, start=1):
        try:
            faults.append(fault_of(each))
        except ConfigError as error:
            raise ConfigError(f"rule {number}: {error}") from None
    return faults


_NUMBER = re.compile(rb'"-?\d+(?:\.\d+)?"')
_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"


def spoil(body: bytes, form: Form) -> bytes:
    """What comes instead of a body.

    >>> spoil(b'{"p":"1.50"}', "null"), spoil(b'{"p":"1.50"}', "truncated")
    (b'{"p":null}', b'{"p":"')
    """
    if form == "html":
        return _PAGE
    if form == "empty":
        return b""
    if form == "truncated":
        return body[: len(body) // 2]
    return _NUMBER.sub(b"null" if form == "null" else b'"NaN"', body)
