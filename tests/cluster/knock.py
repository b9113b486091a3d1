"""Knocks at a Ray head as somebody with or without token and certificate; prints the answer's gRPC status.

python knock.py ADDRESS [--client] [--token FILE] [--certificates DIR] [--authority FILE]

ADDRESS is that of the GCS or, with --client, of the server for Ray's own clients.
"""

import argparse
import sys
from pathlib import Path

import grpc
from ray.core.generated import (
    gcs_service_pb2,
    gcs_service_pb2_grpc,
    ray_client_pb2,
    ray_client_pb2_grpc,
)

WITHIN_S = 10.0


def knock(
    address: str, token: str | None, credentials: grpc.ChannelCredentials | None, *, client: bool
) -> str:
    """Ask about the nodes; the status, OK if it was told."""
    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    channel = (
        grpc.insecure_channel(address) if credentials is None else grpc.secure_channel(address, credentials)
    )
    with channel:
        if client:
            ask = ray_client_pb2_grpc.RayletDriverStub(channel).ClusterInfo
            question = ray_client_pb2.ClusterInfoRequest(type=ray_client_pb2.ClusterInfoType.PING)
        else:
            ask = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel).GetAllNodeInfo
            question = gcs_service_pb2.GetAllNodeInfoRequest()
        try:
            ask(question, timeout=WITHIN_S, metadata=metadata)
        except grpc.RpcError as refusal:
            return str(refusal.code().name)
    return "OK"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--client", action="store_true")
    parser.add_argument("--token", type=Path)
    parser.add_argument("--certificates", type=Path)
    parser.add_argument("--authority", type=Path)
    told = parser.parse_args()
    credentials = None
    if told.certificates is not None:
        key, certificate = ((told.certificates / name).read_bytes() for name in ("node.key", "node.crt"))
        authority = (told.authority or told.certificates / "ca.crt").read_bytes()
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    elif told.authority is not None:
        credentials = grpc.ssl_channel_credentials(told.authority.read_bytes())
    token = None if told.token is None else told.token.read_text().strip()
    sys.stdout.write(knock(told.address, token, credentials, client=told.client) + "\n")


if __name__ == "__main__":
    main()
