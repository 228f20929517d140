"""Who tells whom: every subscription has a publisher, and every topic that is published has an owner and a reader."""

from __future__ import annotations

from importlib import import_module

import pytest

from core import topics
from core.config import Config, content_for, load_config
from core.contracts import Event
from core.handler import Service
from core.topics import Role, Topic
from tests.architecture.code import ROOT, modules

APPS = sorted(path.parent.name for path in modules("apps") if path.name == "__main__.py")
MAINS = [import_module(f"apps.{path.parent.name}.main") for path in modules("apps") if path.name == "main.py"]
SERVICES: list[Service] = [main.SERVICE for main in MAINS if hasattr(main, "SERVICE")]

UNPUBLISHED: dict[str, str] = {}
FOR_PEOPLE = {
    "md.corrections.{symbol}": "whoever studies bars must know which lack a trade that came late",
    "portfolio.snapshot": "a view of the account",
    "positions.snapshot": "a view of the paper venue's positions",
    "control.protection": "an operator must look at a position that has lost its stop or its target",
    "control.strategy": "an operator must look at a strategy that raised",
    "control.dead_letter.{instance}": "an operator must look at a message that could not be read",
}


@pytest.fixture(scope="module")
def config() -> Config:
    """The configuration as it is shipped."""
    return load_config(ROOT, environ={})


def channels(topic: Topic[Event], config: Config) -> list[str]:
    """The channels that a topic has under a configuration."""
    instances = [f"{service.name}.main" for service in SERVICES]
    names = {
        topic.name.format(symbol=instrument.symbol, timeframe="1m", instance=instance)
        for instrument in config.instruments
        for instance in instances
    }
    return sorted(names)


def readers(config: Config) -> dict[str, list[str]]:
    """The services that hear a topic, by its name."""
    heard: dict[str, list[str]] = {topic.name: [] for topic in topics.TOPICS}
    for service in SERVICES:
        patterns = service.inputs(content_for(service.name, config))
        for topic in topics.TOPICS:
            if any(topics.covered(patterns, channel) for channel in channels(topic, config)):
                heard[topic.name].append(service.name)
    return heard


def graph(config: Config) -> str:
    """The wiring as text, for whoever has to mend it."""
    heard = readers(config)
    return "\n".join(
        f"{topic.owner} -> {topic.name} -> {', '.join(heard[topic.name]) or '-'}" for topic in topics.TOPICS
    )


def test_the_services_are_found() -> None:
    """The apps that run a handler are these four; without them the tests below would prove nothing."""
    assert {service.name for service in SERVICES} >= {
        "paper_trader",
        "portfolio_manager",
        "risk_engine",
        "strategy_runner",
    }


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_each_service_is_built_from_the_shipped_configuration(service: Service, config: Config) -> None:
    """Its part of the configuration is what its handler takes, and its first memory can be restored."""
    handler = service.build(content_for(service.name, config))
    handler.restore(handler.snapshot())
    assert service.name in APPS


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_each_subscription_has_a_publisher(service: Service, config: Config) -> None:
    """A service that listens to a topic of nobody is deaf without knowing."""
    patterns = service.inputs(content_for(service.name, config))
    assert patterns
    for pattern in patterns:
        heard = [topic for topic in topics.TOPICS if any(topics.matches(pattern, c) for c in channels(topic, config))]
        assert heard, f"{service.name} listens to {pattern}, which no topic has\n{graph(config)}"
        for topic in heard:
            assert topic.owner in {*APPS, "*"}, f"{pattern} is published by nobody\n{graph(config)}"


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.name)
def test_each_topic_has_an_owner(topic: Topic[Event], config: Config) -> None:
    """The owner writes the journal; a topic of no running service would never be archived."""
    if topic.name in UNPUBLISHED:
        assert topic.owner not in APPS, "it is published now: take it off the list"
    else:
        assert topic.owner in {*APPS, "*"}, graph(config)


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.name)
def test_each_output_has_a_reader(topic: Topic[Event], config: Config) -> None:
    """What a handler says is for another handler or, by name and reason, for people."""
    if topic.role is not Role.OUTPUT or topic.name in UNPUBLISHED:
        return
    assert bool(readers(config)[topic.name]) != (topic.name in FOR_PEOPLE), graph(config)


def test_each_event_has_one_topic() -> None:
    """An event's topic follows from its type, so two topics must not share one."""
    events = [topic.event for topic in topics.TOPICS]
    assert len(set(events)) == len(events)
