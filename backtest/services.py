"""Every service whose decisions can be executed again."""

from __future__ import annotations

from core.execution import paper
from core.handler import Service
from core.market import bars
from core.risk import gate
from portfolio import manager
from strategies import host

SERVICES: tuple[Service, ...] = (bars.SERVICE, host.SERVICE, gate.SERVICE, paper.SERVICE, manager.SERVICE)
