"""The view on a terminal: one screen that redraws in place, from 80 columns by 24 rows up."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from apps.run.picture import Happening, Picture, Row, utc

KINDS = {
    "signal": "bright_cyan",
    "sizing": "cyan",
    "intent": "cyan",
    "decision": "green",
    "order": "yellow",
    "fill": "bold magenta",
    "position": "bold",
    "market": "bold red",
    "halt": "bold red",
    "trouble": "bold red",
    "process": "yellow",
    "config": "bold yellow",
    "note": "dim",
}
WIDE = 100
STATES = {"live": "green", "finished": "dim", "stopped": "dim", "-": "dim", "down": "bold red", "failed": "bold red"}


class ScreenView:
    """Draws a picture on the terminal's second screen, which leaves nothing behind."""

    keeps_lines = False

    def __init__(self, console: Console | None = None) -> None:
        """
        Args:
            console: where to; the terminal unless given.
        """
        self._live = Live(console=console or Console(), screen=True, auto_refresh=False)
        self._live.start()

    def refresh(self, picture: Picture) -> None:
        """Draw it again."""
        size = self._live.console.size
        self._live.update(draw(picture, size.width, size.height), refresh=True)

    def close(self) -> None:
        """Bring the first screen back."""
        self._live.stop()


def draw(picture: Picture, width: int, height: int) -> RenderableType:
    """The whole screen, exactly as high as the terminal."""
    account = _account(picture)
    top: list[RenderableType] = [
        _header(picture, width),
        _market(picture, width),
        _bar(picture),
        _rule("account"),
        *account,
        _rule("processes"),
        _processes(picture, width),
        Text(f" {picture.server}", style="dim", no_wrap=True, overflow="ellipsis"),
        *(Text(f" {alert}", style="bold red", no_wrap=True, overflow="ellipsis") for alert in picture.alerts),
        _rule(f"happenings: {_totals(picture)}"),
    ]
    room = max(1, height - len(top) - len(picture.rows))  # the table has a line of headings too
    newest = list(picture.recent)[-room:]
    return Group(*top, *(_happening(each) for each in newest))


def _rule(title: str) -> Rule:
    return Rule(Text(title, style="bold"), align="left", style="blue")


def _spread(left: Text, right: Text, width: int) -> Text:
    """Two texts on one line, at both of its ends."""
    room = width - right.cell_len - 1
    left.truncate(max(0, room), overflow="ellipsis")
    return Text.assemble(left, " " * max(1, width - left.cell_len - right.cell_len), right, no_wrap=True)


def _header(picture: Picture, width: int) -> Text:
    state, style = ("TRADING", "bold white on green") if picture.halted == "" else ("STARTING", "black on yellow")
    if picture.halted:
        state, style = "HALTED", "bold white on red"
    left = Text.assemble((" NJORD ", "bold white on blue"), " ", (f" {picture.instrument.symbol} ", "bold"))
    left.append(picture.halted if picture.halted else picture.source, style="red" if picture.halted else "")
    right = Text.assemble((" PAPER ", "bold black on cyan"), " ", (f" {state} ", style))
    return _spread(left, right, width)


def _market(picture: Picture, width: int) -> Text:
    left = Text.assemble(f" {utc(picture.market_ns)} UTC  ")
    if picture.price:
        left.append(picture.money(picture.price), style="bold yellow")
        bid, ask = picture.money(picture.bid), picture.money(picture.ask)
        left.append(f"  bid {bid}  ask {ask}" if width >= WIDE else f"  {bid} / {ask}")
    events = "events/s" if width >= WIDE else "/s"
    right = Text(f"{picture.events_per_s:,.0f} {events}  {picture.pace:.1f}x ")
    return _spread(left, right, width)


def _bar(picture: Picture) -> Text:
    bar = picture.bar
    if bar is None:
        return Text(" no bar yet", style="dim")
    prices = "  ".join(f"{name} {picture.money(getattr(bar, name))}" for name in ("open", "high", "low", "close"))
    traded = f"volume {bar.volume:g}, {bar.trade_count} trades{'' if bar.complete else ', incomplete'}"
    return Text(
        f" {bar.timeframe} {utc(bar.ts_open, '%H:%M')}  {prices}  {traded}",
        style="dim",
        no_wrap=True,
        overflow="ellipsis",
    )


def _account(picture: Picture) -> list[Text]:
    account, day = picture.portfolio, picture.pnl_day
    if account is None:
        return [Text(" no portfolio yet", style="dim"), Text("")]
    first = Text(f" equity {account.total_equity:,.2f}  day ", no_wrap=True, overflow="ellipsis")
    pnl = float(day.pnl) if day else 0.0
    first.append(f"{pnl:+,.2f}", style=_colour(pnl))
    first.append(f"  realized {account.realized_pnl:+,.2f}  unrealized {account.unrealized_pnl:+,.2f}")
    first.append(f"  fees {account.fees:,.2f}")
    held = [each for each in picture.positions.values() if each.strategy_id] or list(picture.positions.values())
    texts = [Text(f" {picture.position_text(each)}", no_wrap=True, overflow="ellipsis") for each in held[:3]]
    return [first, *(texts or [Text(" no position", style="dim")])]


def _colour(value: float) -> str:
    return "green" if value > 0 else "red" if value < 0 else ""


def _processes(picture: Picture, width: int) -> Table:
    table = Table(box=None, expand=True, pad_edge=True, padding=(0, 1), show_edge=False)
    table.add_column("process", no_wrap=True, ratio=3, overflow="ellipsis", header_style="dim")
    table.add_column("state", no_wrap=True, ratio=2, overflow="ellipsis", header_style="dim")
    names = ("seq", "lag", "written", "dead", "restarts") if width >= WIDE else ("seq", "lag", "lines", "dead", "rst")
    for name in names:
        table.add_column(name, no_wrap=True, justify="right", ratio=1, header_style="dim")
    for row in picture.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[Text, ...]:
    return (
        Text(row.instance),
        Text(row.state, style=STATES.get(row.state, "yellow")),
        Text(f"{row.seq:,}"),
        Text(f"{row.lag:,}", style="yellow" if row.lag > 1000 else ""),
        Text(f"{row.journalled:,}"),
        Text(f"{row.dead_letters:,}", style="bold red" if row.dead_letters else ""),
        Text(f"{row.restarts:,}", style="yellow" if row.restarts else ""),
    )


def _totals(picture: Picture) -> str:
    counts = picture.counts
    return (
        f"{counts['intents']} intents, {counts['allowed']} allowed, {counts['denied']} denied, {counts['fills']} fills"
    )


def _happening(happening: Happening) -> Text:
    style = KINDS.get(happening.kind, "") if happening.good else "bold red"
    return Text.assemble(
        (f" {utc(happening.market_ns, '%H:%M:%S'):8} ", "dim"), (f"{happening.kind:9}", style),
        (happening.text, "" if happening.good else "red"),
        no_wrap=True, overflow="ellipsis",
    )  # fmt: skip
