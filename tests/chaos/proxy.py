"""A TCP proxy in a thread that now and then loses a reply: it drops the connection, or goes silent on it."""

from __future__ import annotations

import asyncio
import random
import threading


class LossyProxy:
    """Between some services and the server.

    Attributes:
        losses: replies lost so far.
    """

    def __init__(self, target_port: int, *, probability: float, seed: int) -> None:
        """
        Args:
            target_port: where the server listens on loopback.
            probability: that a piece of the server's answers gets lost.
            seed: of the choice.
        """
        self._target = target_port
        self._probability = probability
        self._random = random.Random(seed)
        self.losses = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        upward = self._copy(reader, to_server[1], lossy=False)
        downward = self._copy(to_server[0], writer, lossy=True)
        await asyncio.gather(upward, downward, return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, lossy: bool) -> None:
        silent = False
        try:
            while data := await reader.read(65536):
                if lossy and not silent and self._random.random() < self._probability:
                    self.losses += 1
                    if self._random.random() < 0.8:
                        return
                    silent = True
                if not silent:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            return
        finally:
            writer.close()

    def heal(self) -> None:
        """Lose nothing any more; connections that have gone silent are for their owners to drop."""
        self._probability = 0.0

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
