#!/usr/bin/env python3
"""Very many messages for very many sites, half of them dead: do the living feel it?

    tests/measure/crowded_queue.py [--items 1000000] [--sites 10000] [--rounds 1] [--binaries target/release]
    tests/measure/crowded_queue.py --only memory --items 10000000

A stub DNS names one mail exchanger for each domain. The living share a sink (`ringpost-bench sink`); of the dead a third
refuses connections, a third is silent (a sink that takes them and says nothing), a third answers 4xx to every message (a
third sink). The queue is filled while the tenants are suspended, the server is killed and started again, and the suspension
is taken back. Each round has two runs: the living alone, and all together, with a kill at the end. Told are: octets of memory
for each waiting recipient, seconds from the start of the process to the first attempt, the rate of the living beside that
without the dead (goal: 0.9 of it; the median of the rounds), the commit's p99, and how evenly two tenants are served.

The rate is that of the sink: it says 20 times a second how many it has taken, and the time at which nine of ten were there is
taken from that. The server's metrics are read before and after, not meanwhile: with ten thousand sites they are work, too.

Everything shares the cores, so what the dead cost in CPU is what the living lose: `cpu_s` tells how much went to whom until
nine of ten had theirs. That is not the server's alone. Of a hundred seconds with 200,000 recipients for 10,000 sites the server
took 75, the sink of the living 18, the sinks of the dead 4, and this script, which is the DNS, 3 (three questions for each domain,
13 microseconds each); with more recipients a site the last two weigh less. A name server and hosts elsewhere would cost the
living nothing. What the server itself needs is `cpu_s["server"]`, and `a_server_cpu_s` how many of the living it serves for a
second of that.

`idle` is the part of all cores that nobody used, `others` the seconds that were used by none of these: where they are many, the
machine was not quiet, and only the seconds of CPU tell something. Repeatable; everything is on loopback, in a scratch directory.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
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
    """MX d7.test → mx7.test, A mx7.test → by its number. Nothing else is there, which an SOA record says (RFC 2308)."""

    NOTHING = b"\x04test\0" + struct.pack("!HHIH", 6, 1, 900, 38)
    NOTHING += b"\x02ns\x04test\0\x02me\x04test\0" + struct.pack("!5I", 1, 900, 900, 900, 900)

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
        end = query.index(0, 12)
        kind, label = query[end + 2], query[13:13 + query[12]].lower()
        head, question = query[:2] + b"\x81\x80\0\1", query[12:end + 5]
        if data := self.data(label, kind):
            record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 3600, len(data)) + data
            return head + b"\0\1\0\0\0\0" + question + record
        return head + b"\0\0\0\1\0\0" + question + self.NOTHING

    def data(self, label, kind):
        if kind == 15 and label[:1] == b"d":
            name = b"mx" + label[1:]
            return b"\0\x0a" + bytes([len(name)]) + name + b"\x04test\x00"
        if kind == 1 and label[:2] == b"mx":
            return socket.inet_aton(address_of(int(label[2:]), self.with_dead))
        return None


class Crowd:
    """One server with its sinks and its DNS."""

    def __init__(self, options, base, with_dead):
        self.options, self.base = options, pathlib.Path(base)
        self.dns = Dns(with_dead)
        self.dns.start()
        self.smtp, self.http, self.mx = (server.free_port() for _ in range(3))
        self.taken = open(self.base / "taken", "wb")
        self.sink = self.sink_at(LIVING, "--tell", out=self.taken)
        self.silent, self.later = self.sink_at(SILENT, "--mute"), self.sink_at(LATER, "--defer", "100")
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

    def sink_at(self, address, *more, out=subprocess.DEVNULL):
        command = [self.options.binaries / "ringpost-bench", "sink", f"{address}:{self.mx}", *more]
        return subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)

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
        for process in (self.process, self.sink, self.silent, self.later):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)
        say(f"  ended in {time.monotonic() - began:.1f} s")

    def metrics(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics").read().decode()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def sum(self, start):
        return sum(value for name, value in self.metrics().items() if name.startswith(start))

    def resident(self):
        """Octets of its own; mapped files, which the kernel takes back when it likes, are not among them."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("the server is gone")

    def received(self):
        """What the sink of the living has taken: of each look the seconds of the monotonic clock, and how many."""
        lines = (self.base / "taken").read_bytes().split(b"\n")[:-1]
        looks = (line.split() for line in lines)
        return [(int(millis) / 1000, int(taken)) for millis, taken in looks]

    def cpu(self):
        """CPU seconds of the server, of the sinks, of this process, which is the DNS; and of the whole machine, idle apart."""
        own = os.times()
        used = {name: cpu_of(process.pid) for name, process in (
            ("server", self.process), ("sink", self.sink), ("silent", self.silent), ("later", self.later))}
        used["dns"] = own.user + own.system
        fields = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        fields = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]
        used["idle"] = fields[3] + fields[4]
        used["others"] = sum(fields) - used["idle"] - sum(used[name] for name in ("server", "sink", "silent", "later", "dns"))
        return used

    def ctl(self, *arguments):
        command = [self.options.binaries / "ringpostctl", "--data", self.base / "data", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def fill(self, items, step):
        """Each message has a hundred recipients, of a hundred sites; each tenant sends half of them, by itself."""
        senders = [threading.Thread(target=self.send, args=(tenant, items, step), daemon=True) for tenant in range(len(TENANTS))]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()

    def send(self, tenant, items, step):
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
        for number in range(tenant, items // 100, len(TENANTS)):
            first = number * 100
            mail = f"MAIL FROM:<a@{TENANTS[tenant]}>\r\n"
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
    """Fills a queue that is suspended, and starts anew. Returns it, and what it needs."""
    it = Crowd(options, base, with_dead)
    it.start()
    empty = it.resident()
    for tenant in TENANTS:
        it.ctl("queue", "suspend", "--tenant", f"@{tenant}")
    began = time.monotonic()
    it.fill(items, 1 if with_dead else 2)
    server.wait_for(lambda: it.sum("ringpost_queue_items") >= items, "the whole queue", 120)
    took = time.monotonic() - began
    filled = it.resident()
    it.kill()
    began = it.start()
    opened = time.monotonic() - began
    waiting = 'ringpost_site_deferred{site="unresolved"}'
    server.wait_for(lambda: it.metrics().get(waiting, 0) >= items, "all of it on the board", 60 + items // 50_000)
    again = it.resident()
    needs = {"fill_s": round(took, 1), "filled_mb": filled / 2**20, "opened_s": opened, "again_mb": again / 2**20,
             "octets": (again - empty) / items}
    say(f"  {items:,} items in {took:.1f} s: {filled - empty:,} octets more after filling ({filled / 2**20:,.0f} MB in all),"
        f" {again - empty:,} after a start in {opened:.2f} s ({again / 2**20:,.0f} MB in all),"
        f" {(again - empty) / items:.1f} an item; nodes {it.sum('ringpost_queue_node_bytes'):,.0f}")
    return it, needs


def memory(options, base):
    """Fills a queue and starts anew; nothing is sent but the first attempts."""
    it, needs = crowd(options, base, True, options.items)
    try:
        for tenant in TENANTS:
            it.ctl("queue", "resume", "--tenant", f"@{tenant}")
        server.wait_for(lambda: it.sum("ringpost_queue_attempts_total") > 0, "the first attempt", 120)
        needs["restart_s"] = restart_again(it)
        needs["sending_mb"] = it.resident() / 2**20
    finally:
        it.end()
    return rounded(needs)


def run(options, base, with_dead):
    items = options.items if with_dead else options.items // 2
    say("with the dead" if with_dead else "the living alone")
    it, needs = crowd(options, base, with_dead, items)
    living = options.items // 2
    try:
        before, cpu = it.metrics(), it.cpu()
        began = time.monotonic()
        for tenant in TENANTS:
            it.ctl("queue", "resume", "--tenant", f"@{tenant}")
        took = drain(it, living * 0.9, began)
        cpu = {name: after - cpu[name] for name, after in it.cpu().items()}
        after = it.metrics()
        deferred = attempts(after) - delivered(after)
        restart = restart_again(it) if with_dead else None
        overdue = it.sum("ringpost_queue_overdue_total")
    finally:
        it.end()
    told = {"rate": living * 0.9 / took, "took_s": took, "cpu_s": cpu, "idle": cpu["idle"] / (took * os.cpu_count()),
            "a_server_cpu_s": living * 0.9 / cpu["server"], "dns_asked": it.dns.asked, "commit_p99_ms": p99(before, after),
            "fair": fairness(after), "put_off": deferred, "restart_s": restart, "overdue": overdue, **needs}
    return rounded(told)


def rounded(told):
    return {name: rounded(value) if isinstance(value, dict) else round(value, 3) if isinstance(value, float) else value
            for name, value in told.items()}


def drain(it, goal, began):
    """Waits until so many of the living have theirs. Seconds that took."""
    told = 0
    while True:
        looks = it.received()
        passed, done = time.monotonic() - began, looks[-1][1] if looks else 0
        if done >= goal:
            break
        if passed > it.options.patience:
            raise SystemExit(f"only {done:,} of {goal:,.0f} after {passed:.0f} s")
        if passed > told + 5:
            told = passed
            say(f"  {done:,} delivered, {done / passed:,.0f}/s")
        time.sleep(0.1)
    (then, before), (now, done) = next(pair for pair in zip(looks, looks[1:]) if pair[1][1] >= goal)
    return then + (now - then) * (goal - before) / (done - before) - began


def delivered(metrics):
    return sum(value for name, value in metrics.items()
               if name.startswith("ringpost_queue_ends_total") and 'end="delivered"' in name)


def attempts(metrics):
    return sum(value for name, value in metrics.items() if name.startswith("ringpost_queue_attempts_total"))


def fairness(metrics):
    """What the tenant that got less has, beside the other."""
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


def restart_again(it):
    """Kills in the middle of the rest; seconds from the start of the process to the first attempt."""
    left = it.sum("ringpost_queue_items")
    it.kill()
    began = it.start()
    server.wait_for(lambda: attempts(it.metrics()) > 0, "the first attempt", 120)
    secs = time.monotonic() - began
    say(f"  killed with {left:,.0f} items: first attempt {secs:.2f} s after the start of the process")
    return secs


def once(options, what, *more):
    with tempfile.TemporaryDirectory(prefix="ringpost-crowd-", dir=options.base) as base:
        result = what(options, base, *more)
        say(f"  {result}")
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1, help="the ratio is the median of so many")
    parser.add_argument("--only", choices=["alone", "crowded", "memory"], help="one run of this kind, no ratio")
    parser.add_argument("--patience", type=float, default=900, help="seconds a run may take")
    parser.add_argument("--base", default="/var/tmp")
    parser.add_argument("--binaries", type=pathlib.Path, default=HOME / "target" / "release")
    options = parser.parse_args()
    options.binaries = options.binaries.resolve()
    told = {"cpus": os.cpu_count(), "items": options.items, "sites": options.sites}
    if options.only:
        what, *more = {"alone": (run, False), "crowded": (run, True), "memory": (memory,)}[options.only]
        print(json.dumps({**told, options.only: once(options, what, *more)}))
        return
    rounds = []
    for _ in range(options.rounds):
        alone, crowded = once(options, run, False), once(options, run, True)
        rounds.append({"ratio": round(crowded["rate"] / alone["rate"], 3), "alone": alone, "crowded": crowded})
        dearer = crowded["cpu_s"]["server"] - alone["cpu_s"]["server"]
        say(f"the living get {rounds[-1]['ratio']:.2f} of the rate that they have without the dead (goal: 0.9);"
            f" the dead cost the server {dearer:.2f} s of CPU")
    ratio = statistics.median(one["ratio"] for one in rounds)
    say(f"median of {len(rounds)}: {ratio:.2f}")
    print(json.dumps({**told, "ratio": ratio, "rounds": rounds}))


if __name__ == "__main__":
    main()
