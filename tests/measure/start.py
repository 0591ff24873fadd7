#!/usr/bin/env python3
"""How long a server with much stored mail needs until it answers, and what it holds in memory then.

    tests/measure/start.py [--accounts 10000] [--mailboxes 10] [--messages 1000] [--shards 2] [--runs 5] [--store DIR]

Makes a synthetic store (100 million messages unless told otherwise: some 6 GB; `--store` keeps it for the next time),
then starts the server again and again: cold, that is with the page cache dropped where that is permitted, and warm. Ready
is when an IMAP client is greeted. Then one client logs in and looks at a mailbox of a thousand messages that nobody has
looked at since the start.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

from rows import RELEASE, Client, serve

CACHES = pathlib.Path("/proc/sys/vm/drop_caches")
COMMANDS = ("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", "SELECT INBOX", "FETCH 1:* (FLAGS)", "SELECT INBOX")


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def one_start(options, base, is_cold):
    if is_cold and os.access(CACHES, os.W_OK):
        os.sync()
        CACHES.write_text("3")
    begin = time.perf_counter()
    process, port = serve(options.server, base)
    ready = time.perf_counter() - begin
    try:
        held = resident(process.pid)
        client = Client(port, "ringpost-demo")
        waits = []
        for command in COMMANDS:
            begin = time.perf_counter()
            client.command(command)
            waits.append((time.perf_counter() - begin) * 1e3)
        return ready, held, waits
    finally:
        process.terminate()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--mailboxes", type=int, default=10)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--store", type=pathlib.Path)
    parser.add_argument("--server", type=pathlib.Path, default=RELEASE / "ringpost")
    parser.add_argument("--ctl", type=pathlib.Path, default=RELEASE / "ringpostctl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = options.store or pathlib.Path(scratch)
        base.mkdir(parents=True, exist_ok=True)
        if not (base / "data").exists():
            make(options, base)
        for is_cold in (True, False):
            starts = [one_start(options, base, is_cold) for _ in range(options.runs)]
            ready = [start[0] for start in starts]
            print(
                f"{'cold' if is_cold else 'warm'}: ready in {statistics.median(ready):.2f} s "
                f"({min(ready):.2f} to {max(ready):.2f}), {statistics.median(s[1] for s in starts):.0f} MiB resident"
            )
            for at, command in enumerate(COMMANDS):
                print(f"    {command:42}{statistics.median(s[2][at] for s in starts):8.2f} ms")


def make(options, base):
    begin = time.perf_counter()
    shape = {name: str(getattr(options, name)) for name in ("shards", "accounts", "mailboxes", "messages")}
    arguments = [text for name, value in shape.items() for text in (f"--{name}", value)]
    subprocess.run([options.ctl, "--data", base / "data", "synthetic", *arguments], check=True)
    print(f"made in {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
