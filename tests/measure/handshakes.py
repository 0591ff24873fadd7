#!/usr/bin/env python3
"""What a flood of TLS handshakes does to those who are inside: the ratio of NOOP latencies.

    tests/measure/handshakes.py [--secs 8]

Two processes open connections to the IMAPS port as fast as they can, send a ready ClientHello, read the server's whole
answer and hang up: all the work is the server's. Meanwhile another process says NOOP on an open session. The target is
a p99 below twice that without the flood; with one processor for the flooders and one for the server that cannot be
seen, so the same number of flooders that only connect and hang up is measured too, and the verdict is about the ratio
to those. Ends with 1 when it is missed.
"""

import argparse
import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time

from crowd import HELLO, Measured
from server import USERS
from idle import say

RATIO_MAX = 2.0
FLOODERS = 2


def flood(port, hello, stop, counted):
    count = 0
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                if hello:
                    connection.sendall(HELLO)
                    connection.recv(1 << 16)
                count += 1
        except OSError:
            pass
    counted.put(count)


def noops(port, secs, pipe):
    """Microseconds of each NOOP, one every millisecond."""
    connection = socket.create_connection(("127.0.0.1", port), 60)
    say(connection, b"", b"\r\n")
    say(connection, f"a LOGIN {USERS[0]} secret\r\n".encode(), b"a OK")
    taken = []
    end = time.monotonic() + secs
    while (start := time.monotonic()) < end:
        say(connection, b"b NOOP\r\n", b"b OK")
        taken.append((time.monotonic() - start) * 1e6)
        time.sleep(0.001)
    pipe.send(sorted(taken))


def measured(server, secs, hello=None):
    """p50 and p99 of a NOOP, and connections of the flood a second."""
    stop, counted = multiprocessing.Event(), multiprocessing.Queue()
    arguments = (server.imaps, hello, stop, counted)
    flooders = [multiprocessing.Process(target=flood, args=arguments) for _ in range(FLOODERS)]
    if hello is not None:
        for flooder in flooders:
            flooder.start()
    ours, theirs = multiprocessing.Pipe()
    prober = multiprocessing.Process(target=noops, args=(server.imap, secs, theirs))
    prober.start()
    taken = ours.recv()
    prober.join()
    stop.set()
    rate = sum(counted.get() for _ in flooders) / secs if hello is not None else 0
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100], rate


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--secs", type=float, default=8)
    secs = parser.parse_args().secs
    base = tempfile.mkdtemp(prefix="ringpost-flood-", dir="/var/tmp")
    server = Measured(base)
    server.start()
    try:
        print(f"{'flood':>12} {'a second':>9} {'p50 µs':>8} {'p99 µs':>8}")
        p99s = {}
        for name, hello in (("none", None), ("connections", False), ("handshakes", True)):
            p50, p99s[name], rate = measured(server, secs, hello)
            print(f"{name:>12} {rate:9.0f} {p50:8.0f} {p99s[name]:8.0f}", flush=True)
    finally:
        server.stop()
        subprocess.run(["rm", "-rf", base])
    ratio = p99s["handshakes"] / p99s["connections"]
    print(f"p99: {ratio:.2f} times that of connections, {p99s['handshakes'] / p99s['none']:.2f} times that of none")
    sys.exit(0 if ratio < RATIO_MAX else 1)


if __name__ == "__main__":
    main()
