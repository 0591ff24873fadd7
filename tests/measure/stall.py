#!/usr/bin/env python3
"""Large requests by HTTP beside a client that only says NOOP: how long does that one wait?

    tests/measure/stall.py [--octets 20000000] [--requests 10] [--binaries target/release]

One shard. Told are the median and the longest wait of NOOPs one after the other, without requests and with them. A wait is
what the loop of the shard needs for its longest turn, and whatever else the machine does. Repeatable; on loopback.
"""

import argparse
import base64
import http.client
import json
import multiprocessing
import os
import pathlib
import smtplib
import statistics
import subprocess
import tempfile
import time

import server
from rows import RELEASE


def configuration(base, ports):
    text = f'hostname = "localhost"\ndata = "{base}/data"\nshards = 1\n[[domain]]\nname = "example.test"\n'
    text += '[[account]]\naddress = "a@example.test"\npassword = "{PLAIN}x"\n'
    for protocol, port in ports.items():
        more = "inject = true\n" if protocol == "http" else ""
        text += f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1:{port}"\ntls = "none"\n{more}'
    return text + '[[route]]\ndomains = ["*"]\nvia = "relay"\nhost = "127.0.0.1:9"\ntls = "never"\nretry = "1h"\n'


def inject(port, options, ended):
    content = base64.b64encode(os.urandom(options.octets)).decode()
    request = {"from": "a@example.test", "to": ["r@far.test"], "subject": "large", "text": "x",
               "attachments": [{"name": "a.bin", "type": "application/octet-stream", "content": content}]}
    body, waits = json.dumps(request), []
    headers = {"Content-Type": "application/json", "Authorization": "Basic YUBleGFtcGxlLnRlc3Q6eA=="}
    for _ in range(options.requests):
        connection, began = http.client.HTTPConnection("127.0.0.1", port), time.monotonic()
        connection.request("POST", "/v1/messages", body, headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {answer.read()[:200]}")
        answer.read()
        waits.append(time.monotonic() - began)
    ended.put(waits)


def noops(smtp, is_over):
    waits = []
    while not is_over():
        began = time.monotonic()
        smtp.noop()
        waits.append((time.monotonic() - began) * 1000)
    return {"noops": len(waits), "median_ms": round(statistics.median(waits), 3), "longest_ms": round(max(waits), 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--octets", type=int, default=20_000_000, help="of the attachment")
    parser.add_argument("--requests", type=int, default=10)
    parser.add_argument("--base", default="/var/tmp")
    parser.add_argument("--binaries", type=pathlib.Path, default=RELEASE)
    options = parser.parse_args()
    ports = {"smtp": server.free_port(), "http": server.free_port()}
    with tempfile.TemporaryDirectory(prefix="ringpost-stall-", dir=options.base) as base:
        config = pathlib.Path(base) / "ringpost.toml"
        config.write_text(configuration(base, ports))
        with open(pathlib.Path(base) / "log", "ab") as log:
            process = subprocess.Popen([options.binaries / "ringpost", "--config", config], stdout=log, stderr=log)
        try:
            server.wait_for(lambda: all(map(server.can_connect, ports.values())), "Ringpost", 30)
            smtp, ended = smtplib.SMTP("127.0.0.1", ports["smtp"]), multiprocessing.Queue()
            until = time.monotonic() + 2
            alone = noops(smtp, lambda: time.monotonic() > until)
            sender = multiprocessing.Process(target=inject, args=(ports["http"], options, ended))
            sender.start()
            beside = noops(smtp, lambda: not sender.is_alive() or not ended.empty())
            waits = ended.get(timeout=10)
            sender.join()
        finally:
            process.kill()
            process.wait()
    print(json.dumps({"octets": options.octets, "alone": alone, "beside": beside,
                      "request_median_s": round(statistics.median(waits), 3)}))


if __name__ == "__main__":
    main()
