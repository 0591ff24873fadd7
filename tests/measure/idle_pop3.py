#!/usr/bin/env python3
"""Resident memory of an idle POP3 session, in clear and under TLS.

    tests/measure/idle_pop3.py [--connections 2000]

As idle.py does it for IMAP; a maildrop belongs to one session, so there is an account for each, which was opened once
before.
"""

import argparse
import resource
import socket
import ssl
import subprocess
import tempfile
import time

from idle import resident, say
from server import Ringpost, free_port

WARM_UP = 100


def listening(count, ports):
    """The lines that a server needs for so many sessions."""
    text = ""
    for port, tls in zip(ports, ("none", "implicit")):
        text += f'[[listener]]\nprotocol = "pop3"\naddress = "127.0.0.1:{port}"\ntls = "{tls}"\n'
    for number in range(count):
        text += f'[[account]]\naddress = "pop{number}@example.test"\npassword = "{{PLAIN}}secret"\n'
    return text


def idle(port, context, number):
    connection = socket.create_connection(("127.0.0.1", port))
    if context:
        connection = context.wrap_socket(connection, server_hostname="localhost")
    say(connection, b"", b"+OK")
    say(connection, f"USER pop{number}@example.test\r\n".encode(), b"+OK")
    say(connection, b"PASS secret\r\n", b"+OK")
    say(connection, b"STAT\r\n", b"+OK 0 0")
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
        base = tempfile.mkdtemp(prefix="ringpost-idle-", dir="/var/tmp")
        ports = (free_port(), free_port())
        server = Ringpost(base)
        server.extra = listening(count + WARM_UP, ports)
        server.start()
        port = ports[1] if tls else ports[0]
        try:
            # Each account is made by its first login; what that costs is no matter of the connection.
            for number in range(count + WARM_UP):
                idle(port, tls, number).close()
            held = [idle(port, tls, number) for number in range(WARM_UP)]
            time.sleep(1)
            before = resident(server.process.pid)
            held += [idle(port, tls, WARM_UP + number) for number in range(count)]
            time.sleep(1)
            grown = resident(server.process.pid) - before
            print(f"{name:>6}: {grown / count / 1024:6.2f} KiB a session ({count} waiting)", flush=True)
            for connection in held:
                connection.close()
        finally:
            server.stop()
            subprocess.run(["rm", "-rf", base])


if __name__ == "__main__":
    main()
