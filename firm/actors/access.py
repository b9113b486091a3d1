"""Who may use Ray: whoever has the token, and on a cluster with certificates only who has one of those too.

Ray runs whatever it is sent, and even an embedded Ray listens on every network of its machine: without a
token anybody who can reach it could trade for the firm. So token authentication is on everywhere unless the
variable RAY_AUTH_MODE says otherwise, and a cluster that lets strangers in is refused. See docs/security.md.
"""

import os
import secrets
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc  # type: ignore[import-untyped]
from ray._raylet import Config  # type: ignore[attr-defined]
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from firm.errors import FirmError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
TLS, TLS_FILES = "RAY_USE_TLS", ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
AT_HOME: Final = ".ray/auth_token"
"""In the home directory: where Ray's own commands look for it too."""
PROBE_WITHIN_S: Final = 10.0


def turn_on_token(environ: MutableMapping[str, str], home: Path, *, make: bool) -> None:
    """Turn token authentication on, and see that there is a token that nobody else on the machine can read.

    `make`: write a new one if there is none, for a Ray of our own; else FirmError. A mode that is set already
    is left alone.
    """
    environ.setdefault(MODE, "token")
    if environ is os.environ:
        Config.initialize("")  # Ray has read the environment when it was imported
    if environ[MODE] != "token" or environ.get(TOKEN):
        return
    file = Path(environ[TOKEN_PATH]) if environ.get(TOKEN_PATH) else home / AT_HOME
    if file.exists():
        if file.stat().st_mode & 0o077 and os.access(file, os.W_OK):
            file.chmod(0o600)  # Ray's own command leaves it readable for everybody
    elif make:
        _make(file)
    else:
        raise FirmError(
            f"the cluster's token was needed in {file}, found no such file; copy it there from the head "
            "(mode 0600), where `ray up cluster.yaml` has put it"
        )


def _make(file: Path) -> None:
    """A new token; of two who make one at the same time the first counts."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.touch(mode=0o600, exist_ok=False)
        beside.write_text(secrets.token_hex(32), encoding="ascii")
        with suppress(FileExistsError):
            file.hardlink_to(beside)
        beside.unlink()
    except OSError as error:
        raise FirmError(
            f"Ray's token needs a place in {file}, found that it cannot be written ({error}). Set "
            f"{TOKEN} to a long random text, or {TOKEN_PATH} to a file that can be"
        ) from error


def require_closed(gcs_address: str) -> None:
    """See that the cluster refuses who has no token. FirmError if it lets anybody in."""
    if _answers_strangers(gcs_address):
        raise FirmError(
            f"the cluster at {gcs_address} needs token authentication, found that it answers without a "
            "token: whoever reaches it can run anything on it. Start every node with RAY_AUTH_MODE=token, as "
            "deploy/env.sh does"
        )


def _answers_strangers(gcs_address: str) -> bool:
    with _channel(gcs_address) as channel:
        ask = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel).GetAllNodeInfo
        try:
            ask(gcs_service_pb2.GetAllNodeInfoRequest(limit=1), timeout=PROBE_WITHIN_S)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise FirmError(
                f"the cluster at {gcs_address} needed to refuse a request without a token, found "
                f"{error.code().name}: {error.details()}"
            ) from error
    return True


def _channel(address: str) -> grpc.Channel:
    """As a client with our certificate, if the cluster wants one, but without a token."""
    if os.environ.get(TLS, "0").lower() not in {"1", "true"}:
        return grpc.insecure_channel(address)
    certificate, key, authority = (Path(os.environ[name]).read_bytes() for name in TLS_FILES)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, certificate))
