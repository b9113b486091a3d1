"""A slow network cable: carries Ethernet frames between two interfaces, each after a delay, some never.

It stands in for the kernel's `netem`, which many kernels are built without. A frame keeps its place behind
those sent before it, as in a real cable. Run as root: `python wire.py LEFT RIGHT --delay-ms 50 --loss 0.01`.
"""

import argparse
import random
import selectors
import socket
import time
from collections import deque

ALL_PROTOCOLS = 0x0003  # linux/if_ether.h, ETH_P_ALL
SOL_PACKET, PACKET_VNET_HDR = (
    263,
    15,
)  # linux/if_packet.h: large frames keep their segmentation and checksum marks
OUTGOING = 4  # linux/if_packet.h: our own frames, which the socket hears as well
FRAME_BYTES_MAX = 1 << 17


def tap(interface: str) -> socket.socket:
    """A socket that hears and says whole frames on an interface."""
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    heard.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    heard.bind((interface, 0))
    heard.setblocking(False)
    return heard


class Direction:
    """One way of the cable: frames on their way, in order."""

    def __init__(self, source: socket.socket, target: socket.socket, options: argparse.Namespace) -> None:
        self.source, self._target = source, target
        self._options = options
        self._chance = random.Random(options.seed)
        self._under_way: deque[tuple[float, bytes]] = deque()

    def hear(self) -> None:
        """Take what has arrived."""
        while True:
            try:
                frame, origin = self.source.recvfrom(FRAME_BYTES_MAX)
            except BlockingIOError:
                return
            if origin[2] != OUTGOING and self._chance.random() >= self._options.loss:
                late_ms = self._options.delay_ms + self._chance.uniform(0, self._options.jitter_ms)
                self._under_way.append((time.monotonic() + late_ms / 1000, frame))

    def deliver(self) -> float | None:
        """Hand over what is due; the seconds until the next frame is."""
        while self._under_way:
            due, frame = self._under_way[0]
            if (left := due - time.monotonic()) > 0:
                return left
            self._under_way.popleft()
            try:
                self._target.send(frame)
            except OSError:  # a full or missing interface loses the frame, as a cable does
                continue
        return None


def main() -> None:
    """Carry frames until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("interfaces", nargs=2)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="one way")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="up to so much more")
    parser.add_argument("--loss", type=float, default=0.0, help="fraction of the frames")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    left, right = (tap(interface) for interface in options.interfaces)
    ways = [Direction(left, right, options), Direction(right, left, options)]
    with selectors.DefaultSelector() as selector:
        for way in ways:
            selector.register(way.source, selectors.EVENT_READ, way)
        while True:
            waits = [left for way in ways if (left := way.deliver()) is not None]
            for key, _ in selector.select(min(waits, default=None)):
                key.data.hear()


if __name__ == "__main__":
    main()
