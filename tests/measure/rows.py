#!/usr/bin/env python3
"""One large mailbox over IMAP: what commands cost that are answered from the index alone.

    tests/measure/rows.py [--messages 1000000] [--runs 3] [--server target/release/ringpost]

Makes a synthetic store, serves it, and reads the answers with a client that only looks for the tagged line. Says for
each command the best of the runs: wall time, messages a second, CPU time of the server, and how long a second session
of the same shard waited for a NOOP meanwhile.
"""

import argparse
import multiprocessing
import os
import pathlib
import socket
import subprocess
import tempfile
import time

import server

HOME = pathlib.Path(__file__).resolve().parents[2]
RELEASE = HOME / "target" / "release"
COMMANDS = (
    "SELECT INBOX",
    "STATUS INBOX (MESSAGES UNSEEN SIZE UIDNEXT HIGHESTMODSEQ)",
    "FETCH 1:* (FLAGS)",
    "UID FETCH 1:* (UID FLAGS MODSEQ)",
    "FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)",
    "UID SEARCH ALL",
    "SEARCH UNSEEN",
    "UID SEARCH FLAGGED NOT SEEN KEYWORD $Forwarded",
    "UID SEARCH RETURN (COUNT) SINCE 1-Jan-2020",
    "STORE 1:* +FLAGS.SILENT (\\Flagged)",
    "STORE 1:* -FLAGS (\\Flagged)",
    "STORE 1:* +FLAGS.SILENT (\\Seen)",
    "STORE * -FLAGS.SILENT (\\Seen)",
    "SELECT INBOX",
    "NOOP",
)


class Client:
    def __init__(self, port, password):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.buffer = bytearray(1 << 20)
        self.line()
        self.command(f"LOGIN u1@example.test {password}")

    def line(self):
        self.socket.recv(65536)

    def command(self, text):
        """Octets of the answer; an answer that is not OK ends the measurement."""
        self.socket.sendall(f"a {text}\r\n".encode())
        octets, tail = 0, b""
        while True:
            count = self.socket.recv_into(self.buffer)
            if count == 0:
                raise SystemExit(f"{text}: the server hung up")
            octets += count
            tail = (tail + self.buffer[max(0, count - 300) : count])[-300:]
            last = tail[tail.rfind(b"\r\n", 0, -2) + 2 :] if tail.count(b"\r\n") > 1 else tail
            if tail.endswith(b"\r\n") and last.startswith(b"a "):
                if not last.startswith(b"a OK"):
                    raise SystemExit(f"{text}: {last.decode()}")
                return octets


class Neighbour:
    """A process that says NOOP every few milliseconds and remembers the longest wait."""

    def __init__(self, port, password):
        self.longest = multiprocessing.Value("d", 0.0)
        self.process = multiprocessing.Process(target=self.run, args=(port, password), daemon=True)
        self.process.start()

    def run(self, port, password):
        client = Client(port, password)
        while True:
            begin = time.perf_counter()
            client.command("NOOP")
            wait = time.perf_counter() - begin
            with self.longest.get_lock():
                self.longest.value = max(self.longest.value, wait)
            time.sleep(0.002)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve(binary, base):
    imap, http = server.free_port(), server.free_port()
    text = f'hostname = "localhost"\ndata = "{base}/data"\nshards = 1\n[[domain]]\nname = "example.test"\n'
    text += "accounts_elsewhere = true\n"
    for protocol, port in (("imap", imap), ("http", http)):
        text += f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1:{port}"\ntls = "none"\n'
    config = base / "ringpost.toml"
    config.write_text(text)
    log = open(base / "log", "wb")
    process = subprocess.Popen([binary, "--config", config], stdout=log, stderr=log)
    server.wait_for(lambda: server.can_connect(imap), "Ringpost")
    return process, imap


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--server", type=pathlib.Path, default=RELEASE / "ringpost")
    options.add_argument("--ctl", type=pathlib.Path, default=RELEASE / "ringpostctl")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as base:
        base = pathlib.Path(base)
        begin = time.perf_counter()
        made = [options.ctl, "--data", base / "data", "synthetic", "--messages", str(options.messages)]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        print(f"{options.messages:,} messages made in {time.perf_counter() - begin:.2f} s")
        process, port = serve(options.server, base)
        try:
            measure(process.pid, port, options)
        finally:
            process.terminate()
            process.wait()


def measure(pid, port, options):
    client = Client(port, "ringpost-demo")
    neighbour = Neighbour(port, "ringpost-demo")
    print(f"{'':52}{'wall ms':>9}{'M/s':>8}{'CPU ms':>8}{'MB':>7}{'NOOP ms':>9}")
    for command in COMMANDS:
        best = None
        neighbour.longest.value = 0.0
        for _ in range(options.runs):
            before, begin = cpu_seconds(pid), time.perf_counter()
            octets = client.command(command)
            wall = time.perf_counter() - begin
            run = (wall, cpu_seconds(pid) - before, octets)
            best = run if best is None else min(best, run)
        wall, cpu, octets = best
        rate = options.messages / wall / 1e6
        print(
            f"{command:52}{wall * 1e3:9.1f}{rate:8.2f}{cpu * 1e3:8.0f}{octets / 1e6:7.1f}"
            f"{neighbour.longest.value * 1e3:9.1f}"
        )
    neighbour.process.terminate()


if __name__ == "__main__":
    main()
