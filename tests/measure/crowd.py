#!/usr/bin/env python3
"""Ten thousand connections that hold on and say little: what each costs, and what a newcomer feels.

    tests/measure/crowd.py [--connections 10000] [--only SHAPE]...

For each shape of crowd: opens the connections from many loopback addresses, lets every one of them send an octet now
and then, divides the growth of the server's resident set by their number, and measures whole new logins (TCP, TLS,
greeting, LOGIN, LOGOUT) from another process meanwhile. Ends with 1 when a target is missed:

    16 KiB a connection in clear, 48 KiB under TLS; p99 of a login below 100 ms.

The kernel's part of a socket is not in the figures. A machine with other work spoils the latencies, not the memory:
the same logins without a crowd are measured beforehand and shown beside them.
"""

import argparse
import multiprocessing
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from server import USERS, Ringpost
from idle import resident, say

PLAIN_KIB_MAX, TLS_KIB_MAX, LOGIN_P99_MS_MAX = 16, 48, 100
SOURCES = [f"127.0.{n // 250}.{n % 250 + 2}" for n in range(100)]
LOGINS = 300
MESSAGE_OCTETS = 4 << 20

# The crowds must outlast the measurement; the deadlines that end them have tests of their own.
LIMITS = """
[limits]
imap_login_secs_max = 3600
tls_handshake_secs_max = 600
smtp_data_idle_secs_max = 3600
smtp_idle_secs_max = 3600
write_secs_max = 3600
"""


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


CONTEXT = client_context()


def client_hello():
    """The octets a real client would begin with."""
    outgoing = ssl.MemoryBIO()
    tls = CONTEXT.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise SystemExit("a handshake without a peer")


HELLO = client_hello()


class Crowd:
    """One shape: how a connection gets where it stays, and the octets it trickles there."""

    def __init__(self, server):
        self.server = server

    def connect(self, port, number, tls=False):
        source = (SOURCES[number % len(SOURCES)], 0)
        connection = socket.create_connection(("127.0.0.1", port), 60, source)
        return CONTEXT.wrap_socket(connection, server_hostname="localhost") if tls else connection

    def imap(self, number, tls=False, login=True):
        server = self.server
        connection = self.connect(server.imaps if tls else server.imap, number, tls)
        say(connection, b"", b"\r\n")
        if login:
            say(connection, f"a LOGIN {USERS[number % len(USERS)]} secret\r\n".encode(), b"a OK")
        return connection

    def before_login(self, number):
        connection = self.imap(number, login=False)
        connection.sendall(b"a LOG")
        return connection, b"x"

    def before_login_tls(self, number):
        connection = self.imap(number, tls=True, login=False)
        connection.sendall(b"a LOG")
        return connection, b"x"

    def tls_hello(self, number):
        connection = self.connect(self.server.imaps, number)
        connection.sendall(HELLO[:60])
        return connection, None

    def tls_hello_drop(self, number):
        """All but the last octet of the hello."""
        connection = self.connect(self.server.imaps, number)
        connection.sendall(HELLO[:-1])
        return connection, None

    def smtp_command(self, number):
        connection = self.connect(self.server.smtp, number)
        say(connection, b"", b"\r\n")
        connection.sendall(b"EHL")
        return connection, b"x"

    def smtp_data(self, number):
        connection = self.connect(self.server.smtp, number)
        say(connection, b"", b"\r\n")
        say(connection, b"EHLO client.test\r\n", b"250 ")
        say(connection, b"MAIL FROM:<a@remote.test>\r\n", b"250 ")
        say(connection, f"RCPT TO:<{USERS[number % len(USERS)]}>\r\n".encode(), b"250 ")
        say(connection, b"DATA\r\n", b"354 ")
        connection.sendall(b"Subject: slow\r\n\r\n")
        return connection, b"x"

    def literal_before_login(self, number):
        connection = self.imap(number, login=False)
        connection.sendall(b"a LOGIN {4000+}\r\nxxxx")
        return connection, b"x"

    def literal_append(self, number):
        connection = self.imap(number)
        say(connection, b"b APPEND INBOX {1000000}\r\n", b"+")
        connection.sendall(b"Subject: slow\r\n\r\n")
        return connection, b"x"

    def slow_reading(self, number):
        connection = self.imap(number)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        say(connection, b"b EXAMINE Big\r\n", b"b OK")
        connection.sendall(b"c FETCH 1 BODY.PEEK[]\r\n")
        return connection, None

    def slow_reading_tls(self, number):
        connection = self.imap(number, tls=True)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        say(connection, b"b EXAMINE Big\r\n", b"b OK")
        connection.sendall(b"c FETCH 1 BODY.PEEK[]\r\n")
        return connection, None

    def idle(self, number):
        connection = self.imap(number)
        say(connection, b"b SELECT INBOX\r\n", b"b OK")
        say(connection, b"c IDLE\r\n", b"+ ")
        return connection, None

    def idle_tls(self, number):
        connection = self.imap(number, tls=True)
        say(connection, b"b SELECT INBOX\r\n", b"b OK")
        say(connection, b"c IDLE\r\n", b"+ ")
        return connection, None


SHAPES = {
    "before-login": (Crowd.before_login, PLAIN_KIB_MAX),
    "before-login-tls": (Crowd.before_login_tls, TLS_KIB_MAX),
    "tls-hello": (Crowd.tls_hello, TLS_KIB_MAX),
    "tls-hello-last-octet": (Crowd.tls_hello_drop, TLS_KIB_MAX),
    "smtp-command": (Crowd.smtp_command, PLAIN_KIB_MAX),
    "smtp-data": (Crowd.smtp_data, PLAIN_KIB_MAX),
    "literal-before-login": (Crowd.literal_before_login, PLAIN_KIB_MAX),
    "literal-append": (Crowd.literal_append, PLAIN_KIB_MAX),
    "slow-reading": (Crowd.slow_reading, PLAIN_KIB_MAX),
    "slow-reading-tls": (Crowd.slow_reading_tls, TLS_KIB_MAX),
    "idle": (Crowd.idle, PLAIN_KIB_MAX),
    "idle-tls": (Crowd.idle_tls, TLS_KIB_MAX),
}


def hold(server, shape, count, pipe):
    """The client's process: opens the crowd, says so, trickles until told to let go."""
    allow_descriptors()
    crowd, begin = Crowd(server), SHAPES[shape][0]
    held = [begin(crowd, number) for number in range(100)]
    pipe.send("begun")
    pipe.recv()
    held += [begin(crowd, number) for number in range(count)]
    pipe.send("held")
    at = 0
    while not pipe.poll():
        for connection, octets in held[at : at + 100]:
            if octets:
                connection.sendall(octets)
        at = (at + 100) % len(held)
        pipe.poll(0.1)
    open_still = sum(not is_closed(connection) for connection, _ in held)
    pipe.send(open_still - 100)


def is_closed(connection):
    """Whether the server ended it: what it said before is read away first."""
    raw = socket.socket(fileno=connection.detach())
    raw.setblocking(False)
    try:
        for _ in range(64):
            if not raw.recv(1 << 16):
                return True
    except BlockingIOError:
        pass
    except OSError:
        return True
    raw.close()
    return False


def logins(server, count, pipe):
    """The newcomer's process: milliseconds of each whole login."""
    taken = []
    for number in range(count):
        start = time.monotonic()
        connection = CONTEXT.wrap_socket(socket.create_connection(("127.0.0.1", server.imaps), 60))
        say(connection, b"", b"\r\n")
        say(connection, f"a LOGIN {USERS[number % len(USERS)]} secret\r\n".encode(), b"a OK")
        taken.append((time.monotonic() - start) * 1000)
        connection.close()
    pipe.send(taken)


def login_percentiles(server):
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=logins, args=(server.ports(), LOGINS, theirs))
    process.start()
    taken = sorted(ours.recv())
    process.join()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]


class Measured(Ringpost):
    """The demo server of the other measurements with patience for slow crowds."""

    extra = LIMITS

    def ports(self):
        return Ports(self.smtp, self.imap, self.imaps)


class Ports:
    """What a client's process needs to know of a server."""

    def __init__(self, smtp, imap, imaps):
        self.smtp, self.imap, self.imaps = smtp, imap, imaps


def store_big_message(server):
    """A message in `Big` of every account, larger than any buffer on its way."""
    message = b"Subject: big\r\n\r\n" + (b"x" * 78 + b"\r\n") * (MESSAGE_OCTETS // 80)
    for user in USERS:
        connection = socket.create_connection(("127.0.0.1", server.imap), 60)
        say(connection, b"", b"\r\n")
        say(connection, f"a LOGIN {user} secret\r\n".encode(), b"a OK")
        say(connection, b"b CREATE Big\r\n", b"b OK")
        say(connection, f"c APPEND Big {{{len(message)}}}\r\n".encode(), b"+")
        say(connection, message + b"\r\n", b"c OK")
        connection.close()


def allow_descriptors():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def trial(shape, count):
    """One fresh server, one crowd; gives the line to print and whether the targets hold."""
    base = tempfile.mkdtemp(prefix="ringpost-crowd-", dir="/var/tmp")
    server = Measured(base)
    server.start()
    try:
        if "reading" in shape:
            store_big_message(server)
        alone = login_percentiles(server)
        ours, theirs = multiprocessing.Pipe()
        client = multiprocessing.Process(target=hold, args=(server.ports(), shape, count, theirs))
        client.start()
        ours.recv()
        time.sleep(1)
        before = resident(server.process.pid)
        started = time.monotonic()
        ours.send("go")
        ours.recv()
        opened = time.monotonic() - started
        time.sleep(1)
        grown = (resident(server.process.pid) - before) / count / 1024
        p50, p99 = login_percentiles(server)
        ours.send("stop")
        still = ours.recv()
        client.join()
    finally:
        server.stop()
        subprocess.run(["rm", "-rf", base])
    good = grown <= SHAPES[shape][1] and p99 < LOGIN_P99_MS_MAX and still >= count
    verdict = "" if good else "  MISSED"
    print(
        f"{shape:>21} {grown:7.2f} {SHAPES[shape][1]:5} {still:7} {opened:7.1f} {alone[1]:8.1f} {p50:8.1f} {p99:8.1f}{verdict}",
        flush=True,
    )
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--only", action="append", choices=list(SHAPES))
    wanted = parser.parse_args()
    allow_descriptors()
    count = wanted.connections
    print(f"{count} connections a shape; KiB of the server's resident set; milliseconds of a login")
    print(f"{'crowd':>21} {'KiB':>7} {'max':>5} {'held':>7} {'open s':>7} {'p99 alone':>8} {'p50':>8} {'p99':>8}")
    results = [trial(shape, count) for shape in wanted.only or SHAPES]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
