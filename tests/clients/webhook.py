"""A program that is told of mail: verifies the signature, misbehaves by plan, prints what it got.

webhook.py PORT SECRET PLAN — the n-th request meets the n-th word of PLAN (comma-separated), and the
last one all that follow: ok, 500, reset, stall, redirect. Each event of a request that was answered
with 204 is printed on one line.
"""

import base64
import hashlib
import hmac
import json
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, SECRET, PLAN = int(sys.argv[1]), base64.b64decode(sys.argv[2]), sys.argv[3].split(",")
lock, count = threading.Lock(), [0]


class Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        wanted = "v1," + base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
        with lock:
            way = PLAN[min(count[0], len(PLAN) - 1)]
            count[0] += 1
        if self.headers["webhook-signature"] != wanted:
            print("BAD SIGNATURE", flush=True)
            return self.answer(401)
        if way == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        if way == "stall":
            # As long as the client waits.
            self.connection.recv(1)
            self.close_connection = True
            return
        if way == "redirect":
            return self.answer(302)
        if way != "ok":
            return self.answer(int(way))
        with lock:
            for event in json.loads(body):
                print(json.dumps(event), flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


server = Server(("127.0.0.1", PORT), Hook)
print("READY", flush=True)
server.serve_forever()
