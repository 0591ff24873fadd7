#!/usr/bin/env python3
"""Mail by HTTP: what a message costs the server, of its own text each or one text for all.

    tests/measure/inject.py [--requests 200] [--recipients 100] [--connections 8] [--separate]

Counts until the last answer; CPU is that of the server, whose queue is held back by a relay that does not answer. Honest on
a quiet machine only.
"""

import argparse
import http.client
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

import server
from rows import RELEASE

HZ = os.sysconf("SC_CLK_TCK")


def configuration(base, inject, pages):
    text = f'hostname = "localhost"\ndata = "{base}/data"\n[[domain]]\nname = "example.test"\n'
    text += '[[account]]\naddress = "a@example.test"\npassword = "{PLAIN}x"\n'
    for port, takes in ((inject, "true"), (pages, "false")):
        text += f'[[listener]]\nprotocol = "http"\naddress = "127.0.0.1:{port}"\ntls = "none"\ninject = {takes}\n'
    return text + '[[route]]\ndomains = ["*"]\nvia = "relay"\nhost = "127.0.0.1:9"\ntls = "never"\nretry = "1h"\n'


def cpu_secs(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def body(number, options):
    to = [{"email": f"r{n}@far{number % 50}.test", "substitutions": {"name": f"R {n}"}} for n in range(options.recipients)]
    text = "Dear {{name}},\n" + "what we have to say to you.\n" * 60
    request = {"from": "a@example.test", "to": to, "subject": "For {{name}}", "text": text, "html": f"<p>{text}</p>"}
    if not options.separate:
        request |= {"template": False, "to": [one["email"] for one in to], "subject": "For all"}
    return json.dumps(request)


def load(port, numbers, options):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json", "Authorization": "Basic YUBleGFtcGxlLnRlc3Q6eA=="}
    for number in numbers:
        keyed = headers | ({"Idempotency-Key": f"k{number}"} if options.keys else {})
        connection.request("POST", "/v1/messages", body(number, options), keyed)
        answer = json.loads(connection.getresponse().read())
        assert answer["accepted"] == options.recipients, answer


def measure(options, ringpost, port):
    before, begun = cpu_secs(ringpost.pid), time.monotonic()
    parts = [range(at, options.requests, options.connections) for at in range(options.connections)]
    threads = [threading.Thread(target=load, args=(port, part, options)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    secs, cpu = time.monotonic() - begun, cpu_secs(ringpost.pid) - before
    count = options.requests * options.recipients
    print(f"{count / secs:,.0f} recipients/s, {1000 * cpu / count:.3f} CPU s per 1,000")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--recipients", type=int, default=100)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--separate", action="store_true")
    parser.add_argument("--keys", action="store_true")
    parser.add_argument("--base", default="/var/tmp")
    parser.add_argument("--server", type=pathlib.Path, default=RELEASE / "ringpost")
    options = parser.parse_args()
    inject, pages = server.free_port(), server.free_port()
    with tempfile.TemporaryDirectory(prefix="ringpost-inject-", dir=options.base) as base:
        file = pathlib.Path(base) / "ringpost.toml"
        file.write_text(configuration(base, inject, pages))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        ringpost = subprocess.Popen([options.server, "--config", file], **quiet)
        try:
            server.wait_for(lambda: all(map(server.can_connect, (inject, pages))), "the server")
            measure(options, ringpost, inject)
        finally:
            ringpost.terminate()
            ringpost.wait(60)


if __name__ == "__main__":
    main()
