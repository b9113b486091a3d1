"""What the firm says about itself over HTTP, to this machine only."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from html import escape
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from firm.errors import ConfigError, FirmError, GatewayUnavailable
from firm.ops.metrics import CONTENT_TYPE, exposition
from firm.ops.page import page
from firm.ops.snapshot import Snapshot

Read = Callable[[], Snapshot]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STARTED_WITHIN_S: Final = 10.0


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine and nothing else."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def make_app(read: Read) -> web.Application:
    """The endpoints. `read` is called once a request and must be cheap: it runs in the server's thread.

    When `read` raises a FirmError the answer is 503 with its message: no news is not good news. Requests
    for another host name are refused, so that no web page can read them through a name of its own.
    """

    async def health(_: web.Request) -> web.Response:
        found = read().health()
        return web.json_response(found.as_dict(), status=503 if found.status == "down" else 200)

    async def status(_: web.Request) -> web.Response:
        return web.json_response(read().as_dict())

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(_: web.Request) -> web.Response:
        found = read().health().readiness()
        answer = {"ready": found.ready, "reasons": list(found.reasons)}
        return web.json_response(answer, status=200 if found.ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(read()), headers={"Content-Type": CONTENT_TYPE})

    async def front(_: web.Request) -> web.Response:
        return web.Response(text=page(read()), content_type="text/html")

    app = web.Application(middlewares=[_this_machine_only, _unreadable])
    for path, handler in (
        ("/", front),
        ("/health", health),
        ("/live", live),
        ("/ready", ready),
        ("/status", status),
        ("/metrics", metrics),
    ):
        app.router.add_get(path, handler)
    return app


@web.middleware
async def _this_machine_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    if not is_loopback(host):
        return web.Response(status=403, text=f"only this machine is answered, not {escape(host)}\n")
    response = await handler(request)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@web.middleware
async def _unreadable(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except FirmError as error:
        reason = f"the state of the firm cannot be read: {error}"
        answer = {"status": "down", "ready": False, "reasons": [reason]}
        return web.json_response(answer, status=503)


class OpsServer:
    """The endpoints in a thread of their own, so that they answer while the firm is busy."""

    def __init__(self, host: str, port: int, read: Read) -> None:
        """`host` must be loopback; port 0 takes a free one."""
        if not is_loopback(host):
            raise ConfigError(
                f"ops.host needs a loopback address (127.0.0.1, ::1, localhost), found {host!r}: the"
                " endpoints have no password. Reach them from elsewhere through an SSH tunnel."
            )
        self._host = "127.0.0.1" if host.lower() == "localhost" else host
        self._port, self._read = port, read
        self._thread = threading.Thread(target=self._run, name="firm-ops", daemon=True)
        self._listening: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    def start(self) -> int:
        """Listen; the port. GatewayUnavailable if the port is taken."""
        self._thread.start()
        try:
            return self._listening.result(STARTED_WITHIN_S)[0]
        except TimeoutError as error:
            raise GatewayUnavailable(
                f"the endpoints need {self._host} port {self._port} and did not get it within"
                f" {STARTED_WITHIN_S:g} s; this machine is overloaded, start the firm again"
            ) from error
        except OSError as error:
            self._thread.join()
            raise GatewayUnavailable(
                f"the endpoints need {self._host} port {self._port} and cannot have it ({error.strerror})."
                " Stop what listens there, or take any free port with --set ops.port=0"
            ) from error

    def stop(self) -> None:
        """Stop listening and end the thread. Nothing happens if it does not run."""
        if self._thread.is_alive():
            _, loop, leave = self._listening.result()
            loop.call_soon_threadsafe(leave.set)
            self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        leave = asyncio.Event()
        runner = web.AppRunner(make_app(self._read), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            self._listening.set_exception(error)
        else:
            self._listening.set_result((runner.addresses[0][1], asyncio.get_running_loop(), leave))
            await leave.wait()
        finally:
            await runner.cleanup()
