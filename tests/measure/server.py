"""Ringpost as the measuring scripts start it: on loopback, in a scratch directory, twenty accounts."""

import os
import pathlib
import socket
import subprocess
import time

HOME = pathlib.Path(__file__).resolve().parents[2]
USERS = [f"user{n}@example.test" for n in range(20)]


class Ringpost:
    name = "Ringpost"
    extra = ""  # More lines of the configuration.

    def __init__(self, base):
        self.base = pathlib.Path(base)
        self.smtp = free_port()
        self.imap = free_port()
        self.imaps = free_port()
        self.http = free_port()

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
        wait_for(lambda: can_connect(self.http) and can_connect(self.smtp), "Ringpost")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wait_for(condition, what, secs=60):
    end = time.monotonic() + secs
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not ready after {secs} s")
        time.sleep(0.01)
