"""Every error that this project raises, split by what the caller can do about it.

NjordError
├── ConfigError            fix the file, the key or the command line, then start again
│   └── OutdatedConfig     a recorded configuration that the code of today cannot run with
├── ContractError          a value that no event may carry (also a ValueError)
│   └── CodecError         bytes that are not the event they claim to be
├── BusUnavailable         Redis is away; connect again
├── CommitRefused          the sequencer said no; the process must stop
│   ├── HistoryForked      this server does not hold the history that its readers saw
│   ├── EpochChanged       the cell was restored or recreated under a running process
│   ├── LeaseLost          another process owns this instance
│   └── CommitConflict     wrong number, or another content under the same number
├── ForeignCell            the journals here belong to another cell than the server's
├── CellMissing            the server holds no cell: create or restore one
├── CellClosed             not every registered instance has attested this server start yet
├── JournalError           a journal cannot be written, or does not hold what it must
│   └── SequenceGap        a line of the total order is missing
├── DataError              market data are missing, or are not in order; fetch or repair them
│   └── UntrustedAnswer    a venue contradicts itself, or answers what was not asked
├── ReplayMismatch         the same inputs gave other outputs than those published
├── InstanceBusy           the instance is already running
├── CellInUse              the cell holds a session that this process must not mix with
├── IllegalTransition      an order was asked for a step that its state does not allow
└── LedgerError            an accounting invariant does not hold

A denial or a rejection of an order is not an error: it is an event.
"""

from __future__ import annotations


class NjordError(Exception):
    """Base of every error raised on purpose."""


class ConfigError(NjordError):
    """The configuration is wrong; the message names file, key, value and what is allowed."""


class ContractError(NjordError, ValueError):
    """A value that no event may carry."""


class CodecError(ContractError):
    """Bytes that are not the event they claim to be."""


class OutdatedConfig(ConfigError):
    """The code of today cannot run with a configuration that other code has recorded."""


class BusUnavailable(NjordError):
    """Redis cannot be reached, or went silent: connect again."""


class CommitRefused(NjordError):
    """The sequencer refused a commit for good."""


class HistoryForked(CommitRefused):
    """The server does not hold the history that a reader saw; `scripts/njord_restore.py` rebuilds it."""


class EpochChanged(CommitRefused):
    """The cell was restored or recreated while this process ran."""


class LeaseLost(CommitRefused):
    """Another process has taken over this instance."""


class CommitConflict(CommitRefused):
    """A commit number out of order, or another content under a number already used."""


class ForeignCell(NjordError):
    """The journals here, or this process, belong to another cell than the one that the server holds."""


class CellMissing(NjordError):
    """The server holds no cell: it was neither created nor restored."""


class CellClosed(NjordError):
    """Not every registered instance has attested this server start yet; wait and try again."""


class JournalError(NjordError):
    """A journal cannot be written, or does not hold what it must."""


class SequenceGap(JournalError):
    """A line of the total order is missing."""


class DataError(NjordError):
    """Market data are missing, or a source does not give them as it must; the message says which, and what to do."""


class UntrustedAnswer(DataError):
    """A venue contradicts itself, or answers something else than it was asked; what it said is not kept."""


class ReplayMismatch(NjordError):
    """The same inputs, code and configuration gave other outputs than those published."""


class InstanceBusy(NjordError):
    """The instance is already running."""


class CellInUse(NjordError):
    """The cell holds a session that this process must not mix with; the message says whose, and where else to go."""


class IllegalTransition(NjordError):
    """An order was asked for a step that its state does not allow."""


class LedgerError(NjordError):
    """An accounting invariant does not hold."""
