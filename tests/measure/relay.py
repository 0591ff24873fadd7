#!/usr/bin/env python3
"""Mail that is passed on: `smtp-source` → Ringpost, by a smarthost route → `smtp-sink`, durable.

    tests/measure/relay.py [--sessions 10] [--messages 30000] [--bytes 4096] [--dkim rsa ed25519] [--rate 10000]

Counts until the queue is empty again; CPU is that of the server. Told is also how many first attempts began within 50 ms of
their transactions; with `--rate` messages come at that rate (from `ringpost-bench`), whatever is answered. Honest on a quiet machine only; the directory must be on
the disk in question (`--base`). As root, `smtp-sink` runs as the user postfix.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

import server
from rows import RELEASE

HZ = os.sysconf("SC_CLK_TCK")


def configuration(base, smtp, http, sink, signing):
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
    text += "messages_per_connection_max = 100000\n"
    return text + '[relay]\nnetworks = ["127.0.0.0/8"]\n'


def sums(http, name, label=""):
    text = urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics").read().decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(name) and label in line)
    return sum(float(value) for _, value in lines)


def waiting(http):
    return sums(http, "ringpost_queue_items")


def cpu_secs(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def measure(options, ringpost, smtp, http):
    load = ["smtp-source", "-d", "-s", str(options.sessions), "-m", str(options.messages), "-l", str(options.bytes)]
    load += ["-f", "a@example.test", "-t", "b@example.net", f"127.0.0.1:{smtp}"]
    if options.rate:
        bench = options.server.with_name("ringpost-bench")
        load = [bench, "smtp", f"127.0.0.1:{smtp}", "-c", str(options.sessions), "-m", str(options.messages)]
        load += ["--rate", str(options.rate), "--size", str(options.bytes), "--accounts", "b@example.net"]
    before, begun = cpu_secs(ringpost.pid), time.monotonic()
    subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
    accepted = time.monotonic() - begun
    server.wait_for(lambda: waiting(http) == 0, "an empty queue")
    relayed, cpu = time.monotonic() - begun, cpu_secs(ringpost.pid) - before
    print(f"accepted {options.messages / accepted:,.0f}/s, relayed {options.messages / relayed:,.0f}/s, "
          f"{1000 * cpu / options.messages:.3f} CPU s per 1,000")
    first = "ringpost_site_first_attempt_seconds_"
    soon, all_of_them = sums(http, first + "bucket", 'le="0.05"'), sums(http, first + "count")
    print(f"  {100 * soon / all_of_them:.2f} % of {all_of_them:,.0f} first attempts began within 50 ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--dkim", nargs="*", default=[], choices=["rsa", "ed25519"])
    parser.add_argument("--rate", type=int, help="messages a second, instead of as many as it takes")
    parser.add_argument("--base", default="/var/tmp")
    parser.add_argument("--server", type=pathlib.Path, default=RELEASE / "ringpost")
    options = parser.parse_args()
    smtp, http, sink = server.free_port(), server.free_port(), server.free_port()
    user = ["-u", "postfix"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="ringpost-relay-", dir=options.base) as base:
        file = pathlib.Path(base) / "ringpost.toml"
        file.write_text(configuration(base, smtp, http, sink, options.dkim))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        taker = subprocess.Popen(["smtp-sink", *user, f"127.0.0.1:{sink}", "1024"], **quiet)
        ringpost = subprocess.Popen([options.server, "--config", file], **quiet)
        try:
            server.wait_for(lambda: all(map(server.can_connect, (smtp, http, sink))), "both servers")
            measure(options, ringpost, smtp, http)
        finally:
            for process in (ringpost, taker):
                process.terminate()
                process.wait(60)


if __name__ == "__main__":
    main()
