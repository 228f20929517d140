"""What is done to the installation; each fault is a function of the world and of a seeded choice."""

from __future__ import annotations

import random
import signal
import socket
import time
from collections.abc import Callable

from tests.chaos.world import DAEMONS, World

Fault = Callable[[World, random.Random], str]


def kill_one(world: World, choice: random.Random) -> str:
    """kill -9 of a service."""
    instance = choice.choice(world.instances)
    if world.processes[instance].poll() is None:
        world.kill(instance)
    return f"kill {instance}"


def kill_several(world: World, choice: random.Random) -> str:
    """kill -9 of three services at once."""
    chosen = [name for name in choice.sample(world.instances, 3) if world.processes[name].poll() is None]
    world.kill(*chosen)
    return f"kill {', '.join(chosen)}"


def kill_server(world: World, choice: random.Random) -> str:
    """kill -9 of the server; it comes back with its own data."""
    world.restart_server(pause_s=choice.uniform(0, 0.5))
    return "kill server"


def kill_exchange(world: World, choice: random.Random) -> str:
    """kill -9 of the simulated exchange; it comes back where a real one would stand."""
    time.sleep(choice.uniform(0, 0.5))
    world.restart_exchange()
    return "kill exchange"


def freeze_exchange(world: World, choice: random.Random) -> str:
    """SIGSTOP of the simulated exchange: its sockets are open and say nothing."""
    if world.exchange is not None:
        world.exchange.send_signal(signal.SIGSTOP)
        world.wait(choice.uniform(0.5, 6))
        world.exchange.send_signal(signal.SIGCONT)
    return "freeze exchange"


def freeze_one(world: World, choice: random.Random) -> str:
    """SIGSTOP of a service for a while."""
    instance = choice.choice(world.instances)
    process = world.processes[instance]
    process.send_signal(signal.SIGSTOP)
    time.sleep(choice.uniform(0.5, 3))
    process.send_signal(signal.SIGCONT)
    return f"freeze {instance}"


def freeze_server(world: World, choice: random.Random) -> str:
    """SIGSTOP of the server, sometimes longer than anybody waits."""
    world.server.send(signal.SIGSTOP)
    time.sleep(choice.uniform(0.5, 4))
    world.server.send(signal.SIGCONT)
    return "freeze server"


def second_here(world: World, choice: random.Random) -> str:
    """A second process of a service on the same host: it must not start."""
    instance = choice.choice(world.instances)
    if world.processes[instance].poll() is not None:
        return "second none"
    second = world.spawn(instance)
    code = second.wait(20)
    world.exits[f"second {instance}:{code}"] = world.exits.get(f"second {instance}:{code}", 0) + 1
    return f"second {instance} here: exit {code}"


def second_elsewhere(world: World, choice: random.Random) -> str:
    """A second process on another host, which takes over when the first is frozen past its lease."""
    instance = f"{choice.choice(DAEMONS[:2])}.main"
    first = world.processes[instance]
    second = world.spawn(instance, "h2")
    world.wait(0.7)
    first.send_signal(signal.SIGSTOP)
    world.wait(5)
    first.send_signal(signal.SIGCONT)
    world.wait(1.5)
    second.kill()
    second.wait()
    return f"second {instance} elsewhere"


def trip_and_clear(world: World, choice: random.Random) -> str:
    """The kill switch's file appears and goes."""
    file = world.folder / "halt"
    file.write_text("chaos")
    world.wait(choice.uniform(0.3, 1.5))
    file.unlink()
    return "halt and resume"


def garbage(world: World, choice: random.Random) -> str:
    """Somebody publishes on the services' channels without the sequencer."""
    messages = [b"{}", b"no json", b'{"symbol":"BTC/USDT"}', b"", b"\xff\xfe"]
    message = choice.choice(messages)
    command = b"*3\r\n$7\r\nPUBLISH\r\n$12\r\nstrat.intent\r\n$%d\r\n%b\r\n" % (len(message), message)
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=5) as connection:
        connection.sendall(command)
        connection.recv(64)
    return "garbage on strat.intent"


def change_configuration(world: World, choice: random.Random) -> str:
    """A parameter of a strategy and a cap of the gate change together, while whatever happens next happens."""
    fast, cap = choice.choice((10, 20, 30)), choice.choice((60, 600, 900))
    world.configure(world.home("h1"), fast=fast, cap=cap)
    return f"configuration: fast {fast}, cap {cap}"


def rewrite_log(world: World, choice: random.Random) -> str:
    """The server rewrites its log while it works."""
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=5) as connection:
        connection.sendall(b"*1\r\n$12\r\nBGREWRITEAOF\r\n")
        connection.recv(64)
    return "rewrite the server's log"


def compress(world: World, choice: random.Random) -> str:
    """The daily command compresses while the services do, and is killed at any point, or comes to its end."""
    world.kill_script("compress_journals.py", "--older-than-hours", "0", after_s=choice.uniform(0.5, 3))
    return "compress journals"


def search(world: World, choice: random.Random) -> str:
    """Somebody brings the index up to date while files are renamed, and interrupts it, or waits for it."""
    world.kill_script("njord_index.py", "update", after_s=choice.uniform(0.5, 3))
    return "index journals"


FAULTS: tuple[tuple[float, Fault], ...] = (
    (6, kill_one),
    (1, kill_several),
    (2, kill_server),
    (3, freeze_one),
    (0.7, freeze_server),
    (1, kill_exchange),
    (0.7, freeze_exchange),
    (0.5, second_here),
    (0.7, second_elsewhere),
    (1, trip_and_clear),
    (0.5, garbage),
    (0.5, rewrite_log),
    (2, change_configuration),
    (1, compress),
    (0.5, search),
)


def pick(choice: random.Random) -> Fault:
    """The next fault, by weight."""
    return choice.choices([fault for _, fault in FAULTS], [weight for weight, _ in FAULTS])[0]
