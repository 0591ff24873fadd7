#!/usr/bin/env python3
"""What compaction costs those who are being served: commit latency with the compactor at rest and at work, in pairs.

    tests/measure/compacting.py [--pairs 5] [--seconds 20] [--rate 200] [--bytes 4096] [--backlog 2000000]

Each pair is one life of a release server on a fresh copy of a store whose log is the backlog (mail made by `ringpostctl
synthetic --bodies small`, about 1 KiB each). First the server keeps its whole log, so that the compactor has nothing to
do but checkpoints, one every second as later; then the configuration is changed to keep next to nothing and read anew,
and the compactor goes through the backlog. `smtp-source` sends the same load in both halves: as many sessions as
messages a second, each waiting 0 to 2 s between two, in fifty processes that begin one after the other within a second.

Latencies are those of the histogram in /metrics, whose bounds double: quantiles are interpolated within one step. The
share of a core that the compactor's thread had says whether it was at work; a pair in which the backlog was used up
before the end is told, and does not count. Honest on a quiet machine only; the directory must be on the disk in question
(`--base`).
"""

import argparse
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

import server
from rows import RELEASE

ALL = 1 << 50
SOURCES = 50
NOTHING = 1 << 20


class Server:
    def __init__(self, options, base):
        self.options, self.base = options, base
        self.smtp, self.http = server.free_port(), server.free_port()
        self.configure(ALL)
        log = open(base / "log", "wb")
        command = [options.server, "--config", base / "ringpost.toml"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        server.wait_for(lambda: server.can_connect(self.http) and server.can_connect(self.smtp), "Ringpost")

    def configure(self, kept):
        text = f'hostname = "localhost"\ndata = "{self.base}/data"\nshards = 1\n'
        text += f'[limits]\nlog_kept_bytes_max = "{kept} B"\ncheckpoint_secs_max = 1\n'
        text += '[[domain]]\nname = "example.test"\naccounts_elsewhere = true\n'
        for protocol, port in (("smtp", self.smtp), ("http", self.http)):
            text += f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1:{port}"\ntls = "none"\n'
        (self.base / "ringpost.toml").write_text(text)

    def compact(self):
        self.configure(NOTHING)
        self.process.send_signal(signal.SIGHUP)
        before = self.compactor_secs()
        # Nothing is due in a shard to which nothing was written.
        one = ["smtp-source", "-f", "load@example.test", "-t", "u1@example.test", f"127.0.0.1:{self.smtp}"]
        subprocess.run(one, check=True, stdout=subprocess.DEVNULL)
        server.wait_for(lambda: self.compactor_secs() - before > 0.3, "the compactor")

    def metrics(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics").read().decode()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def steps(self):
        """Commits up to each bound, in seconds."""
        found = {}
        for name, value in self.metrics().items():
            if name.startswith("ringpost_commit_seconds_bucket"):
                bound = float(name.split('le="')[1].split('"')[0])
                found[bound] = found.get(bound, 0) + value
        return found

    def compactor_secs(self):
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("compactor"):
                return int((task / "schedstat").read_text().split()[0]) / 1e9
        raise SystemExit("there is no thread of the compactor")

    def is_backlogged(self):
        log = self.base / "data" / "shard-00" / "log"
        return sum(1 for _ in log.glob("*.log")) > 2

    def stop(self):
        self.process.terminate()
        self.process.wait(120)


def quantile(steps, part):
    """Interpolated within a step, in milliseconds; the first one begins at 0."""
    total, below, before = max(steps.values(), default=0), 0.0, 0.0
    for bound, count in sorted(steps.items()):
        if count >= part * total and total and bound != float("inf"):
            inside = (part * total - before) / max(count - before, 1)
            return (below + inside * (bound - below)) * 1e3
        below, before = bound, count
    return float("nan")


def half(server, options):
    """p50 and p99 in ms, commits, and the compactor's share of a core, under the load."""
    before, worked, begin = server.steps(), server.compactor_secs(), time.monotonic()
    sessions = max(options.rate // SOURCES, 1)
    command = ["smtp-source", "-d", "-s", str(sessions), "-R", "2", "-m", str(sessions * options.seconds)]
    command += ["-l", str(options.bytes), "-f", "load@example.test", "-t", "u1@example.test"]
    sources = []
    for _ in range(SOURCES):
        sources.append(subprocess.Popen([*command, f"127.0.0.1:{server.smtp}"], stdout=subprocess.DEVNULL))
        # They wait for whole seconds: together they would send in bursts.
        time.sleep(1 / SOURCES)
    if any([source.wait() for source in sources]):
        raise SystemExit("smtp-source failed")
    share = (server.compactor_secs() - worked) / (time.monotonic() - begin)
    after = server.steps()
    delta = {bound: count - before.get(bound, 0) for bound, count in after.items()}
    return quantile(delta, 0.5), quantile(delta, 0.99), max(delta.values()), share


def pair(options, base, store):
    shutil.copytree(store, base / "data")
    os.sync()
    server = Server(options, base)
    try:
        rest = half(server, options)
        server.compact()
        work = half(server, options)
        return rest, work, server.is_backlogged()
    finally:
        server.stop()
        shutil.rmtree(base / "data")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=200, help="messages a second")
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--backlog", type=int, default=2_000_000, help="messages in the log before")
    parser.add_argument("--base", default="/var/tmp")
    parser.add_argument("--server", type=pathlib.Path, default=RELEASE / "ringpost")
    parser.add_argument("--ctl", type=pathlib.Path, default=RELEASE / "ringpostctl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ringpost-compacting-", dir=options.base) as base:
        base = pathlib.Path(base)
        accounts = str(max(options.backlog // 1000, 1))
        made = [options.ctl, "--data", base / "store", "synthetic", "--accounts", accounts, "--bodies", "small"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        print(f"{options.rate} messages of {options.bytes} octets a second, {options.seconds} s each half; ms, shares of a core")
        print(f"{'':8}{'p50':>8}{'p99':>8}{'commits':>9}{'share':>7}   {'p50':>8}{'p99':>8}{'commits':>9}{'share':>7}{'p99 x':>8}")
        ratios = []
        for number in range(options.pairs):
            rest, work, is_full = pair(options, base, base / "store")
            ratio = work[1] / rest[1]
            row = "   ".join(f"{p50:8.2f}{p99:8.2f}{commits:9.0f}{share:7.2f}" for p50, p99, commits, share in (rest, work))
            note = "" if is_full else "  the backlog was used up: not counted"
            print(f"pair {number + 1:<3}{row}{ratio:8.2f}{note}", flush=True)
            if is_full:
                ratios.append(ratio)
        if not ratios:
            raise SystemExit("no pair counts: take a larger --backlog or fewer --seconds")
        print(f"p99 at work by p99 at rest: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
