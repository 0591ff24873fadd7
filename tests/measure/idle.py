#!/usr/bin/env python3
"""Resident memory of an idle IMAP connection, in clear and under TLS.

    tests/measure/idle.py [--connections 2000]

Starts the demo in a scratch directory, logs in on every connection, selects INBOX, enters IDLE, and divides the growth
of the server's resident set by the number of connections. The kernel's part of a socket is not in it.
"""

import argparse
import pathlib
import resource
import socket
import ssl
import subprocess
import tempfile
import time

from server import USERS, Ringpost

HOME = pathlib.Path(__file__).resolve().parents[2]


def resident(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the server is gone")


def say(connection, command, until):
    connection.sendall(command)
    received = b""
    while until not in received:
        octets = connection.recv(65536)
        if not octets:
            raise SystemExit(f"closed after {command!r}")
        received += octets


def idle(port, context, user):
    connection = socket.create_connection(("127.0.0.1", port))
    if context:
        connection = context.wrap_socket(connection, server_hostname="localhost")
    say(connection, b"", b"\r\n")
    say(connection, f"a LOGIN {user} secret\r\n".encode(), b"a OK")
    say(connection, b"b SELECT INBOX\r\n", b"b OK")
    say(connection, b"c IDLE\r\n", b"+ ")
    return connection


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--connections", type=int, default=2000)
    count = parser.parse_args().connections
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, tls in (("plain", None), ("TLS", context)):
        # A server each: what the connections before gave back would be taken again, unseen.
        base = tempfile.mkdtemp(prefix="ringpost-idle-", dir="/var/tmp")
        server = Ringpost(base)
        server.extra = f"[limits]\nconnections_per_account_max = {count + 100}\n"
        server.start()
        port = server.imaps if tls else server.imap
        try:
            held = [idle(port, tls, USERS[n % len(USERS)]) for n in range(100)]
            time.sleep(1)
            before = resident(server.process.pid)
            held += [idle(port, tls, USERS[n % len(USERS)]) for n in range(count)]
            time.sleep(1)
            grown = resident(server.process.pid) - before
            print(f"{name:>6}: {grown / count / 1024:6.2f} KiB a connection ({count} in IDLE)", flush=True)
            for connection in held:
                connection.close()
        finally:
            server.stop()
            subprocess.run(["rm", "-rf", base])


if __name__ == "__main__":
    main()
