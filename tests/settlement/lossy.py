"""A simulated network between hosts, for kernels without netem: it delays every packet and drops some.

`python -m tests.settlement.lossy PID…` puts a tun device `air` into the network namespace of each process and carries
IP packets between them by their destination. A line "DELAY_MS LOSS_PERCENT" on its input sets both; when the input
ends it says how many packets it dropped.
"""

import ctypes
import fcntl
import heapq
import os
import random
import selectors
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
PACKET_BYTES = 65_536


def tun_in(pid: int) -> int:
    """A tun device in the namespace of a process, into which this process moves."""
    with open(f"/proc/{pid}/ns/net", "rb") as namespace:  # noqa: PTH123 - a descriptor is what setns takes
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"air", IFF_TUN | IFF_NO_PI))
    return device


def number_of(packet: bytes) -> int | None:
    """The last byte of the destination address, which is the host's number; None for other packets."""
    if packet[0] >> 4 == 4:
        return packet[19]
    return packet[39] if packet[0] >> 4 == 6 and packet[24] != 0xFF else None


class Air:
    """Packets in transit, soonest first."""

    def __init__(self, devices: list[int]) -> None:
        self.devices, self.chosen = devices, random.Random(1)
        self.delay_s, self.loss, self.dropped, self.taken = 0.0, 0.0, 0, 0
        self.under_way: list[tuple[float, int, int, bytes]] = []

    def take(self, device: int) -> None:
        packet = os.read(device, PACKET_BYTES)
        number = number_of(packet)
        if number is None or not 1 <= number <= len(self.devices):
            return
        if self.chosen.random() < self.loss:
            self.dropped += 1
            return
        self.taken += 1
        heapq.heappush(self.under_way, (time.monotonic() + self.delay_s, self.taken, number, packet))

    def give(self) -> float | None:
        """Deliver the packets that are due; returns the seconds until the next one."""
        while self.under_way:
            left_s = self.under_way[0][0] - time.monotonic()
            if left_s > 0:
                return left_s
            _, _, number, packet = heapq.heappop(self.under_way)
            try:
                os.write(self.devices[number - 1], packet)
            except OSError:
                self.dropped += 1  # the host is not up yet, or accepts no more
        return None


def main(pids: list[str]) -> None:
    """Carry packets until the input ends."""
    air = Air([tun_in(int(pid)) for pid in pids])
    waiting = selectors.DefaultSelector()
    for one in (0, *air.devices):
        waiting.register(one, selectors.EVENT_READ)
    print("up", flush=True)
    while True:
        for key, _ in waiting.select(air.give()):
            if key.fd:
                air.take(key.fd)
                continue
            line = sys.stdin.readline()
            if not line:
                print(air.dropped)
                return
            delay_ms, loss_percent = line.split()
            air.delay_s, air.loss = int(delay_ms) / 1000, int(loss_percent) / 100


if __name__ == "__main__":
    main(sys.argv[1:])
