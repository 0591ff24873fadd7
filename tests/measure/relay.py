#!/usr/bin/env python3
"""Mail that is passed on: `smtp-source` → Ringpost, by a smarthost route → `smtp-sink`, durable.

    tests/measure/relay.py [--sessions 10] [--messages 30000] [--bytes 4096] [--dkim rsa ed25519] [--rate 10000]
                           [--sink bench --sink-threads 1] [--every 0.1]

Counts until the queue is empty again; CPU is that of the server, and of the sink. Told is also how long after its
transaction had begun a message was first tried, and taken; with `--rate` messages come at that rate (from
`ringpost-bench`), whatever is answered, and `--every` shows what happened in each so many seconds. `smtp-sink` has one
thread: where that is the narrow place, `--sink bench` takes the mail with as many threads as are wanted. Honest on a
quiet machine only; the directory must be on the disk in question (`--base`). As root, `smtp-sink` runs as the user
postfix.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import urllib.request

import server
from rows import RELEASE

HZ = os.sysconf("SC_CLK_TCK")


def configuration(base, smtp, http, sink, signing, connections):
    text = f'hostname = "mx.example.test"\ndata = "{base}/data"\n[[domain]]\nname = "example.test"\n'
    for algorithm in signing:
        key = f"{base}/{algorithm}.pem"
        kind = ["-algorithm", algorithm] + (["-pkeyopt", "rsa_keygen_bits:2048"] if algorithm == "rsa" else [])
        subprocess.run(["openssl", "genpkey", *kind, "-out", key], check=True, stderr=subprocess.DEVNULL)
        text += f'[[dkim]]\ndomain = "example.test"\nselector = "{algorithm}"\n'
        text += f'key = "{key}"\nalgorithm = "{algorithm}"\n'
    for protocol, port in (("smtp", smtp), ("http", http)):
        text += f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1:{port}"\ntls = "none"\n'
    text += f'[[route]]\ndomains = ["*"]\nvia = "smarthost"\nhost = "127.0.0.1:{sink}"\ntls = "never"\n'
    text += f"messages_per_connection_max = 100000\nconnections_max = {connections}\n"
    return text + '[relay]\nnetworks = ["127.0.0.0/8"]\n'


def scrape(http):
    """All values, by name and labels."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics").read().decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def total(values, name):
    return sum(value for key, value in values.items() if key == name or key.startswith(name + "{"))


def waiting(http):
    return total(scrape(http), "ringpost_queue_items")


def cpu_secs(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def buckets(values, name):
    """Upper bound in seconds and how many did not exceed it."""
    counts = {}
    for key, value in values.items():
        if key.startswith(name + "_bucket"):
            bound = float(key.split('le="')[1].split('"')[0])
            counts[bound] = counts.get(bound, 0) + value
    return sorted(counts.items())


def within(counts, share):
    """The time within which a share of all was done: as if evenly spread between two bounds."""
    wanted, (lower, below) = share * counts[-1][1], (0, 0)
    for bound, count in counts:
        if count >= wanted:
            part = (wanted - below) / max(count - below, 1)
            return f"{1000 * (lower + (bound - lower) * part):,.1f}" if bound < float("inf") else f"> {1000 * lower:,.0f}"
        lower, below = bound, count


def tell_waits(values):
    for what, name in (("first attempts began", "first_attempt"), ("messages were taken", "delivery")):
        counts = buckets(values, f"ringpost_site_{name}_seconds")
        shares = ", ".join(f"p{100 * share:g} {within(counts, share)}" for share in (0.5, 0.9, 0.99))
        soon, of = dict(counts)[0.05], counts[-1][1]
        print(f"  {100 * soon / of:.2f} % of {of:,.0f} {what} within 50 ms; ms: {shares}")


def tell_log(values, messages):
    kib = {what: total(values, f"ringpost_{name}") / messages / 1024 for what, name in (
        ("in frames", "commit_bytes_sum"), ("zeros ahead of them", "log_zeroed_bytes_total"),
        ("compacted", "compacted_bytes_total"))}
    frames = total(values, "ringpost_commits_total")
    print(f"  KiB a message: {', '.join(f'{each:.1f} {what}' for what, each in kib.items())}; "
          f"{messages / frames:.1f} messages a frame")


class Line:
    """What came in and what went out in each interval, and how many connections it went by."""

    def __init__(self, http, every):
        self.http, self.every, self.rows, self.ended = http, every, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        if self.every:
            self.thread.start()

    def __exit__(self, *_):
        self.ended.set()
        if not self.every:
            return
        self.thread.join()
        print("   secs  came in  tried  > 50 ms  behind  connections")
        start = self.rows[0]
        for before, row in zip(self.rows, self.rows[1:]):
            came, tried, late = (now - then for now, then in zip(row[1:4], before[1:4]))
            print(f"  {row[0] - start[0]:5.2f} {came:8,.0f} {tried:6,.0f} {late:8,.0f} {row[1] - row[2]:7,.0f} {row[4]:7,.0f}")

    def watch(self):
        while not self.ended.wait(self.every):
            values = scrape(self.http)
            first = "ringpost_site_first_attempt_seconds"
            tried = total(values, first + "_count")
            soon = dict(buckets(values, first)).get(0.05, 0)
            came = total(values, "ringpost_messages_received_total")
            self.rows.append((time.monotonic(), came, tried, tried - soon, total(values, "ringpost_site_connections")))


def load_of(options, smtp):
    if options.rate:
        bench = options.server.with_name("ringpost-bench")
        load = [bench, "smtp", f"127.0.0.1:{smtp}", "-c", str(options.sessions), "-m", str(options.messages)]
        return load + ["--rate", str(options.rate), "--size", str(options.bytes), "--accounts", "b@example.net"]
    load = ["smtp-source", "-d", "-s", str(options.sessions), "-m", str(options.messages), "-l", str(options.bytes)]
    return load + ["-f", "a@example.test", "-t", "b@example.net", f"127.0.0.1:{smtp}"]


def measure(options, ringpost, taker, smtp, http):
    before, begun = [cpu_secs(one.pid) for one in (ringpost, taker)], time.monotonic()
    with Line(http, options.every):
        subprocess.run(load_of(options, smtp), check=True, stdout=subprocess.DEVNULL)
        accepted = time.monotonic() - begun
        server.wait_for(lambda: waiting(http) == 0, "an empty queue")
    relayed = time.monotonic() - begun
    cpu = [1000 * (cpu_secs(one.pid) - was) / options.messages for one, was in zip((ringpost, taker), before)]
    print(f"accepted {options.messages / accepted:,.0f}/s, relayed {options.messages / relayed:,.0f}/s, "
          f"{cpu[0]:.3f} CPU s per 1,000, the sink {cpu[1]:.3f}")
    values = scrape(http)
    tell_waits(values)
    tell_log(values, options.messages)


def sink_of(options, port):
    if options.sink == "bench":
        bench = options.server.with_name("ringpost-bench")
        return [bench, "sink", f"127.0.0.1:{port}", "--threads", str(options.sink_threads)]
    user = ["-u", "postfix"] if os.getuid() == 0 else []
    return ["smtp-sink", *user, f"127.0.0.1:{port}", "1024"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--dkim", nargs="*", default=[], choices=["rsa", "ed25519"])
    parser.add_argument("--rate", type=int, help="messages a second, instead of as many as it takes")
    parser.add_argument("--sink", choices=["smtp-sink", "bench"], default="smtp-sink")
    parser.add_argument("--sink-threads", type=int, default=1)
    parser.add_argument("--connections", type=int, default=20, help="to the sink")
    parser.add_argument("--every", type=float, default=0, help="a line for each so many seconds")
    parser.add_argument("--base", default="/var/tmp")
    parser.add_argument("--server", type=pathlib.Path, default=RELEASE / "ringpost")
    options = parser.parse_args()
    smtp, http, sink = server.free_port(), server.free_port(), server.free_port()
    with tempfile.TemporaryDirectory(prefix="ringpost-relay-", dir=options.base) as base:
        file = pathlib.Path(base) / "ringpost.toml"
        file.write_text(configuration(base, smtp, http, sink, options.dkim, options.connections))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        taker = subprocess.Popen(sink_of(options, sink), **quiet)
        ringpost = subprocess.Popen([options.server, "--config", file], **quiet)
        try:
            server.wait_for(lambda: all(map(server.can_connect, (smtp, http, sink))), "both servers")
            measure(options, ringpost, taker, smtp, http)
        finally:
            for process in (ringpost, taker):
                process.terminate()
                process.wait(60)


if __name__ == "__main__":
    main()
