"""A connection through the relay before the gateway (`firm fence`): who leads is said first."""

import asyncio
from collections.abc import Callable

from ib_async.connection import Connection as IbConnection

from firm.broker.recorder import RecordingIB
from firm.standby.wire import Admitted, Claim, Stream


class FencedConnection(IbConnection):  # type: ignore[misc]
    """The library's socket. Connecting raises what the relay refuses with: StaleEpoch, GatewayUnavailable."""

    def __init__(self, claim: Claim, token: bytes) -> None:
        super().__init__()
        self._claim, self._token = claim, token
        self._writer: asyncio.StreamWriter | None = None

    async def connectAsync(self, host: str, port: int) -> None:  # noqa: N802  the library's name
        """Say the claim; when the relay admits it, what follows is the gateway's own protocol."""
        self.reset()
        reader, writer = await asyncio.open_connection(host, port)
        try:
            stream = Stream(reader, writer, self._token, calls=True)
            await stream.begin()
            stream.send(self._claim)
            await stream.receive(Admitted)
        except BaseException:
            writer.close()
            raise
        writer.transport.set_protocol(self)
        self.transport, self._writer = writer.transport, writer  # a forgotten writer closes its transport


def fenced(claim: Claim, token: bytes) -> Callable[[Callable[[], None]], RecordingIB]:
    """Makes the library's end of each connection; see `firm.broker.connection.Connection`."""

    def client(arrived: Callable[[], None]) -> RecordingIB:
        ib = RecordingIB(arrived)
        connection = FencedConnection(claim, token)
        connection.hasData += ib.client._onSocketHasData  # noqa: SLF001  as the library joins its own
        connection.disconnected += ib.client._onSocketDisconnected  # noqa: SLF001
        ib.client.conn = connection
        return ib

    return client
