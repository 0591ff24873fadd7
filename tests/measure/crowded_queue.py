#!/usr/bin/env python3
"""Very many messages for very many sites, half of them dead: do the living feel it?

    tests/measure/crowded_queue.py [--items 1000000] [--sites 10000] [--binaries target/release]

A stub DNS names one mail exchanger for each domain. The living share a sink (`ringpost-bench sink`); of the dead a third
refuses connections, a third is silent, a third answers 4xx to every message (a sink of its own, so that what the
dead cost is our cost and not that of a slow script). The queue is filled while the tenant is suspended, the server
is killed and started again, and the suspension is taken back. Three runs: the living alone, all together, and all together
with a kill in the middle. Told are: octets of memory for each waiting recipient, seconds from the start of the process to
the first delivery, the rate of the living beside that without the dead (goal: 0.9 of it), the commit's p99, and how evenly
two tenants are served. Repeatable; everything is on loopback, in a scratch directory.
"""

import argparse
import json
import os
import pathlib
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request

import server

HOME = pathlib.Path(__file__).resolve().parents[2]
LIVING, REFUSING, SILENT, LATER = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
TENANTS = ("one.test", "two.test")


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def address_of(site, with_dead):
    """Even sites live; odd ones are dead in one of three ways."""
    if site % 2 == 0 or not with_dead:
        return LIVING
    return (REFUSING, SILENT, LATER)[site // 2 % 3]


class Dns(threading.Thread):
    """MX d7.test → mx7.test, A mx7.test → by its number. Nothing else is there."""

    def __init__(self, with_dead):
        super().__init__(daemon=True)
        self.with_dead = with_dead
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = 0

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            self.asked += 1
            self.socket.sendto(self.answer(query), peer)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += query[at] + 1
        kind, question = struct.unpack("!H", query[at + 1:at + 3])[0], query[12:at + 5]
        record = self.record(labels[0], kind)
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if record else 0, 0, 0)
        if not record:
            return head + question
        return head + question + b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 3600, len(record)) + record

    def record(self, label, kind):
        if kind == 15 and label.startswith("d"):
            name = b"mx" + label[1:].encode()
            return struct.pack("!H", 10) + bytes([len(name)]) + name + b"\x04test\x00"
        if kind == 1 and label.startswith("mx"):
            return socket.inet_aton(address_of(int(label[2:]), self.with_dead))
        return None


class Silent(socketserver.BaseRequestHandler):
    def handle(self):
        # Until the other side has had enough.
        while self.request.recv(4096):
            pass


class Dead(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 4096

    def handle_error(self, request, client_address):
        pass  # Whoever breaks off is Ringpost, and may.


class Crowd:
    """One server with its sink, its dead hosts and its DNS."""

    def __init__(self, options, base, with_dead):
        self.options, self.base = options, pathlib.Path(base)
        self.dns = Dns(with_dead)
        self.dns.start()
        self.smtp, self.http, self.mx = (server.free_port() for _ in range(3))
        self.dead = Dead((SILENT, self.mx), Silent)
        threading.Thread(target=self.dead.serve_forever, daemon=True).start()
        self.sink, self.later = self.sink_at(LIVING), self.sink_at(LATER, "--defer", "100")
        (self.base / "ringpost.toml").write_text(self.configuration())
        self.log = open(self.base / "log", "ab")
        self.process = None

    def configuration(self):
        text = f'hostname = "localhost"\ndata = "{self.base}/data"\nshards = {self.options.shards}\n'
        text += '[[domain]]\nname = "example.test"\n[log]\nlevel = "warn"\n'
        for protocol, port in (("smtp", self.smtp), ("http", self.http)):
            text += f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1:{port}"\ntls = "none"\n'
        text += f'[resolver]\nservers = "127.0.0.1:{self.dns.port}"\nloopback_hosts = true\nmx_port = {self.mx}\n'
        text += 'mta_sts = false\ndnssec = "off"\n'
        text += '[[route]]\ndomains = "*"\nvia = "mx"\ntls = "never"\n[relay]\nnetworks = ["127.0.0.0/8"]\n'
        return text

    def sink_at(self, address, *more):
        command = [self.options.binaries / "ringpost-bench", "sink", f"{address}:{self.mx}", *more]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        began = time.monotonic()
        command = [self.options.binaries / "ringpost", "--config", self.base / "ringpost.toml"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        server.wait_for(lambda: self.ready(), "Ringpost", 120)
        return began

    def ready(self):
        if self.process.poll() is not None:
            raise SystemExit((self.base / "log").read_text()[-2000:])
        return server.can_connect(self.http) and server.can_connect(self.smtp)

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def end(self):
        began = time.monotonic()
        for process in (self.process, self.sink, self.later):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)
        say(f"  ended in {time.monotonic() - began:.1f} s")
        self.dead.shutdown()

    def metrics(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics").read().decode()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def sum(self, start):
        return sum(value for name, value in self.metrics().items() if name.startswith(start))

    def delivered(self):
        return self.sum('ringpost_queue_ends_total{shard="0",end="delivered"') + self.sum(
            'ringpost_queue_ends_total{shard="1",end="delivered"')

    def resident(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("the server is gone")

    def cpu(self):
        """CPU seconds of the server, of the sinks, and of the silent hosts and the DNS, which are this process."""
        own, pids = os.times(), (self.process.pid, self.sink.pid, self.later.pid)
        return [*(cpu_of(pid) for pid in pids), own.user + own.system]

    def ctl(self, *arguments):
        command = [self.options.binaries / "ringpostctl", "--data", self.base / "data", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def fill(self, items, step):
        """Each message has a hundred recipients, of a hundred sites; two tenants take turns."""
        sites = self.options.sites
        sender = socket.create_connection(("127.0.0.1", self.smtp))
        replies = sender.makefile("rb")

        def ask(text, count):
            sender.sendall(text)
            for _ in range(count):
                line = replies.readline()
                while line[3:4] == b"-":
                    line = replies.readline()
                if line[:1] not in b"23":
                    raise SystemExit(f"refused: {line}")

        replies.readline()
        ask(b"EHLO crowd.test\r\n", 1)
        body = b"Subject: crowd\r\n\r\n" + b"x" * 62 + b"\r\n" + b".\r\n"
        for number in range(items // 100):
            first = number * 100
            mail = f"MAIL FROM:<a@{TENANTS[number % 2]}>\r\n"
            rcpts = "".join(f"RCPT TO:<u@d{(first + n) * step % sites}.test>\r\n" for n in range(100))
            ask((mail + rcpts + "DATA\r\n").encode(), 102)
            ask(body, 1)
            if number % 1000 == 999:
                say(f"  queued {first + 100:,}")
        ask(b"QUIT\r\n", 1)


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def crowd(options, base, with_dead, items):
    """Fills a queue that is suspended, and starts anew. Returns it, and the octets of an item."""
    it = Crowd(options, base, with_dead)
    it.start()
    empty = it.resident()
    for tenant in TENANTS:
        it.ctl("queue", "suspend", "--tenant", f"@{tenant}")
    it.fill(items, 1 if with_dead else 2)
    server.wait_for(lambda: it.sum("ringpost_queue_items") >= items, "the whole queue", 120)
    filled = it.resident()
    it.kill()
    began = it.start()
    opened = time.monotonic() - began
    waiting = 'ringpost_site_deferred{site="unresolved"}'
    server.wait_for(lambda: it.metrics().get(waiting, 0) >= items, "all of it on the board", 120)
    again = it.resident()
    say(f"  {items:,} items: {filled - empty:,} octets more after filling, {again - empty:,} after a start in {opened:.2f} s,"
        f" {(again - empty) / items:.1f} an item; nodes {it.sum('ringpost_queue_node_bytes'):,.0f}")
    return it, (again - empty) / items


def run(options, base, with_dead):
    items = options.items if with_dead else options.items // 2
    say("with the dead" if with_dead else "the living alone")
    it, octets = crowd(options, base, with_dead, items)
    living = options.items // 2
    try:
        before, cpu = it.metrics(), it.cpu()
        began = time.monotonic()
        for tenant in TENANTS:
            it.ctl("queue", "resume", "--tenant", f"@{tenant}")
        rate = drain(it, living, began)
        cpu = [round(after - before, 2) for before, after in zip(cpu, it.cpu())]
        deferred = it.sum('ringpost_queue_attempts_total') - it.delivered()
        commit = p99(before, it.metrics())
        fair = fairness(it)
        restart = restart_again(it, living) if with_dead else None
        overdue = it.sum("ringpost_queue_overdue_total")
    finally:
        it.end()
    return {"rate": rate, "octets": octets, "commit_p99_ms": commit, "fair": fair,
            "cpu_s": dict(zip(("server", "sink", "later", "script"), cpu)), "others": deferred, "restart_s": restart, "overdue": overdue}


def drain(it, living, began):
    """The rate of the living until nine of ten have theirs."""
    goal, told = living * 0.9, 0
    while (done := it.delivered()) < goal:
        passed = time.monotonic() - began
        if passed > it.options.patience:
            raise SystemExit(f"only {done:,.0f} of {living:,} after {passed:.0f} s")
        if passed > told + 5:
            told = passed
            say(f"  {done:,.0f} delivered, {done / passed:,.0f}/s, connections {it.sum('ringpost_queue_connections'):.0f},"
                f" ready {it.sum('ringpost_queue_ready'):,.0f}")
        # The page has hundreds of thousands of lines of sites: to ask often is to measure it.
        time.sleep(0.2 if living < 100_000 else 3)
    return done / (time.monotonic() - began)


def fairness(it):
    """What the tenant that got less has, beside the other."""
    metrics = it.metrics()
    sent = [value for name, value in metrics.items()
            if name.startswith("ringpost_tenant_recipients_total") and 'result="sent"' in name and "@" in name]
    return min(sent) / max(sent) if sent and max(sent) else None


def p99(before, after):
    """Milliseconds, from the histogram of commits between two looks."""
    buckets = {}
    for name, value in after.items():
        if name.startswith("ringpost_commit_seconds_bucket"):
            bound = float(name.split('le="')[1].split('"')[0].replace("+Inf", "inf"))
            buckets[bound] = buckets.get(bound, 0) + value - before.get(name, 0)
    total = buckets.get(float("inf"), 0)
    return next((bound * 1000 for bound in sorted(buckets) if buckets[bound] >= total * 0.99), None)


def restart_again(it, living):
    """Kills in the middle of the rest; seconds from the start of the process to the first delivery."""
    left = it.sum("ringpost_queue_items")
    it.kill()
    began = it.start()
    server.wait_for(lambda: it.delivered() > 0 or it.sum("ringpost_queue_attempts_total") > 0, "the first attempt", 120)
    secs = time.monotonic() - began
    say(f"  killed with {left:,.0f} items: first attempt {secs:.2f} s after the start of the process")
    return secs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--patience", type=float, default=900, help="seconds a run may take")
    parser.add_argument("--base", default="/var/tmp")
    parser.add_argument("--binaries", type=pathlib.Path, default=HOME / "target" / "release")
    options = parser.parse_args()
    options.binaries = options.binaries.resolve()
    results = {}
    for name, with_dead in (("alone", False), ("crowded", True)):
        with tempfile.TemporaryDirectory(prefix="ringpost-crowd-", dir=options.base) as base:
            results[name] = run(options, base, with_dead)
            say(f"  {results[name]}")
    ratio = results["crowded"]["rate"] / results["alone"]["rate"]
    say(f"the living get {ratio:.2f} of the rate that they have without the dead (goal: 0.9)")
    print(json.dumps({"cpus": os.cpu_count(), "items": options.items, "sites": options.sites, "ratio": ratio, **results}))


if __name__ == "__main__":
    main()
