"""Corporate actions of a symbol: one plain journal, oldest first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from backtest.data.merging import CONFLICTS, SHOWN, Added, Conflict
from core import codec
from core.contracts import CorporateAction
from core.contracts.moments import iso
from core.errors import CodecError, ConfigError, DataError, JournalError
from core.journal_files import files_of
from core.journal_lines import read_lines

_Key = tuple[int, str]
"""Actions of one kind and moment belong together: a company may pay two dividends on one day."""


def read_actions(folder: Path, journal: str, symbol: str) -> list[CorporateAction]:
    """The actions of a symbol, oldest first; none where there is no file.

    Raises:
        JournalError: a line is none; names file and line.
    """
    found = [action for file in files_of(folder, journal) for action in actions_in(file.path, symbol)]
    return sorted(found, key=_key)


def actions_in(path: Path, symbol: str) -> list[CorporateAction]:
    """The actions of a symbol in one file, in its order.

    Raises:
        JournalError: a line is none; names file and line.
    """
    found: list[CorporateAction] = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            action = codec.decode(line, CorporateAction)
        except CodecError as error:
            raise JournalError(f"{path}, line {number}: {error}") from None
        if action.symbol == symbol:
            found.append(action)
    return found


def merge_actions(
    old: Iterable[CorporateAction], new: Iterable[CorporateAction], conflict: Conflict
) -> tuple[list[CorporateAction], Added]:
    """Both together, oldest first, and what was done; the days of the counts are left at 0.

    Raises:
        DataError: for one kind and moment they differ and `conflict` is "refuse".
        ConfigError: `conflict` is none.
    """
    if conflict not in CONFLICTS:
        raise ConfigError(f"conflict is {conflict!r}; allowed: {', '.join(CONFLICTS)}")
    there, added = _grouped(old), _grouped(new)
    differ = sorted(key for key in added if key in there and set(there[key]) != set(added[key]))
    if differ and conflict == "refuse":
        first = "\n  ".join(f"{iso(key[0])}: there {there[key]}; added {added[key]}" for key in differ[:SHOWN])
        raise DataError(f"{len(differ)} corporate actions differ from what is there; nothing was changed:\n  {first}")
    takes = {key: group for key, group in added.items() if key not in there or conflict == "replace"}
    merged = sorted((action for group in {**there, **takes}.values() for action in group), key=_key)
    fresh = sum(len(group) for key, group in added.items() if key not in there)
    different = sum(len(added[key]) for key in differ)
    same = sum(map(len, added.values())) - fresh - different
    replaced = different if conflict == "replace" else 0
    return merged, Added(fresh, same, replaced, different - replaced, 0)


def _grouped(actions: Iterable[CorporateAction]) -> dict[_Key, list[CorporateAction]]:
    groups: dict[_Key, list[CorporateAction]] = {}
    for action in actions:
        group = groups.setdefault(_key(action), [])
        if action not in group:
            group.append(action)
    return groups


def _key(action: CorporateAction) -> _Key:
    return action.ts_effective_ns, action.kind
