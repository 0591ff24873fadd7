#!/usr/bin/env python3
"""Durable, delivered messages a second: Ringpost beside Postfix + Dovecot, in one run, in turn.

    tests/measure/delivered.py [--runs 3] [--messages 20000] [--bytes 4096]

Load: `smtp-source` of Debian's postfix, on the same machine. A message counts when it is in the INBOX over IMAP.
CPU of the server: all of the machine's CPU time during the run less that of the load generators. Needs root, because
Postfix does.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import peers

HOME = pathlib.Path(__file__).resolve().parents[2]
USERS = [f"user{n}@example.test" for n in range(20)]


class Ringpost:
    name = "Ringpost"
    extra = ""  # More lines of the configuration.

    def __init__(self, base):
        self.base = pathlib.Path(base)
        self.smtp = peers.free_port()
        self.imap = peers.free_port()
        self.imaps = peers.free_port()
        self.http = peers.free_port()

    def start(self):
        listeners = (
            ("smtp", self.smtp, "none"),
            ("imap", self.imap, "none"),
            ("imap", self.imaps, "implicit"),
            ("http", self.http, "none"),
        )
        certificate = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        certificate += ["-days", "2", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"]
        subprocess.run(certificate, cwd=self.base, check=True, stderr=subprocess.DEVNULL)
        text = f'hostname = "ringpost.example.test"\ndata = "{self.base}/data"\n[[domain]]\nname = "example.test"\n'
        text += '[[certificate]]\nnames = ["localhost"]\ncert = "cert.pem"\nkey = "key.pem"\n'
        for protocol, port, tls in listeners:
            text += f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1:{port}"\ntls = "{tls}"\n'
        for user in USERS:
            text += f'[[account]]\naddress = "{user}"\npassword = "{{PLAIN}}secret"\n'
        config = self.base / "ringpost.toml"
        config.write_text(text + self.extra)
        log = open(self.base / "log", "wb")
        binary = pathlib.Path(os.environ.get("RINGPOST_BIN_DIR", HOME / "target" / "release")) / "ringpost"
        self.process = subprocess.Popen([binary, "--config", config], stderr=log, stdout=log)
        peers.wait_for(lambda: peers.can_connect(self.http) and peers.can_connect(self.smtp), "Ringpost")

    def delivered(self, users):
        return sum(peers.inbox_count(self.imap, user, "secret") for user in users)

    def commits(self):
        """Commit latency from /metrics: (quantile, seconds) of the histogram's bounds."""
        import urllib.request

        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics").read().decode()
        buckets = {}
        for line in text.splitlines():
            if "commit" in line and "seconds_bucket" in line:
                bound = line.split('le="')[1].split('"')[0]
                buckets[float(bound)] = buckets.get(float(bound), 0) + float(line.split()[-1])
        total = max(buckets.values(), default=0)
        found = {}
        for quantile in (0.5, 0.99):
            over = [bound for bound, count in sorted(buckets.items()) if count >= quantile * total]
            found[quantile] = over[0] if over and total else float("nan")
        return found

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def busy_secs():
    """CPU seconds of the whole machine, not idle and not waiting."""
    fields = open("/proc/stat").readline().split()[1:]
    user, nice, system, _idle, _wait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def children_secs():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def load(server, sessions, keep, messages, size):
    """Returns (accepted/s, delivered/s, server CPU seconds per 1,000 messages)."""
    sources = min(sessions, len(USERS))
    each = messages // sources
    before = server.delivered(USERS)
    busy, own, start = busy_secs(), children_secs(), time.monotonic()
    running = []
    for n in range(sources):
        command = ["smtp-source", "-s", str(sessions // sources), "-m", str(each), "-l", str(size)]
        command += ["-d"] if keep else []
        command += ["-f", "load@example.test", "-t", USERS[n], f"127.0.0.1:{server.smtp}"]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
    if any(source.wait() != 0 for source in running):
        raise SystemExit(f"{server.name}: smtp-source failed")
    accepted = time.monotonic() - start
    sent = each * sources
    while server.delivered(USERS) - before < sent:
        if time.monotonic() - start > 600:
            raise SystemExit(f"{server.name}: {sent} sent, {server.delivered(USERS) - before} delivered")
        time.sleep(0.05)
    delivered = time.monotonic() - start
    cpu = busy_secs() - busy - (children_secs() - own)
    if server.delivered(USERS) - before != sent:
        raise SystemExit(f"{server.name}: {sent} sent, {server.delivered(USERS) - before} there")
    return sent / accepted, sent / delivered, cpu / sent * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=20000, help="for Ringpost; peers get a tenth")
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--only", choices=["ringpost", "peers"])
    wanted = parser.parse_args()
    servers = []
    if wanted.only != "peers":
        servers.append(Ringpost(tempfile.mkdtemp(prefix="ringpost-measure-", dir="/var/tmp")))
    if wanted.only != "ringpost":
        servers.append(peers.PostfixDovecot(tempfile.mkdtemp(prefix="peers-measure-", dir="/var/tmp")))
    print(f"{wanted.bytes} octets a message, medians of {wanted.runs} runs", flush=True)
    print(f"{'sessions':>12} {'server':>18} {'accepted/s':>11} {'delivered/s':>12} {'CPU s/1,000':>12}")
    try:
        for server in servers:
            server.start()
        for sessions, keep in ((10, True), (100, True), (10, False), (100, False)):
            shape = f"{sessions}{' kept' if keep else ''}"
            results = {server: [] for server in servers}
            for _ in range(wanted.runs):
                for server in servers:
                    share = 1 if isinstance(server, Ringpost) else 10
                    results[server].append(load(server, sessions, keep, wanted.messages // share, wanted.bytes))
            for server, runs in results.items():
                accepted, delivered, cpu = (statistics.median(column) for column in zip(*runs))
                print(f"{shape:>12} {server.name:>18} {accepted:>11,.0f} {delivered:>12,.0f} {cpu:>12.3f}", flush=True)
            if len(servers) == 2:
                pairs = list(zip(*results.values()))
                rate = statistics.median(ours[1] / theirs[1] for ours, theirs in pairs)
                cpu = statistics.median(theirs[2] / ours[2] for ours, theirs in pairs)
                print(f"{'':>12} {'ratio':>18} {'':>11} {rate:>11.1f}x {cpu:>11.1f}x", flush=True)
        for server in servers:
            if isinstance(server, Ringpost):
                p50, p99 = (server.commits()[q] * 1e6 for q in (0.5, 0.99))
                print(f"commit latency of Ringpost: p50 <= {p50:,.0f} µs, p99 <= {p99:,.0f} µs")
    finally:
        for server in servers:
            try:
                server.stop()
            except (AttributeError, subprocess.TimeoutExpired) as error:
                print(f"{server.name}: {error}", file=sys.stderr)
        for server in servers:
            subprocess.run(["rm", "-rf", server.base])


if __name__ == "__main__":
    main()
