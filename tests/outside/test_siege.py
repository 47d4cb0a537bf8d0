#!/usr/bin/python3
"""An honest peer beside those who are not: idle and one-byte-a-second peers on every port, TLS handshakes that stall, and guesses at passwords, all at once. With `--bars` it holds the times of docs/performance.md,
which a busy machine does not."""

import http.client
import json
import os
import re
import socket
import ssl
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from corpus import Peer
from harness import Hilum, free_port
from test_tls import Authority

BARS = "--bars" in sys.argv
IDLE, SLOW, STALLED, GUESSES = 1000, 100, 50, 10000
SECONDS = 20 if BARS else 8
ECHO_P99_MS = 50 if BARS else 1000
PSS_MIB = 128 + 256  # and the budget, memory.peers_mb
CONFIG = """
http: {{names: localhost, tls_listen: "127.0.0.1:{https}"}}
dicom: {{tls_listen: "127.0.0.1:{dicoms}"}}
tls: {{certificate: "{certificate}", key: "{key}", authorities: "{authority}"}}
memory: {{peers_mb: 256}}
"""


def connect(port, sockets, source):
    try:
        sockets.append(socket.create_connection(("127.0.0.1", port), 5, source_address=(source, 0)))
    except OSError:  # turned away: that is the server's right
        pass


def pss_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Pss: +(\d+)", file.read(), re.M).group(1)) / 1024


class Siege(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="hilum-siege-")
        self.addCleanup(self.folder.cleanup)
        authority = Authority(self.folder.name, "authority")
        certificate, key = authority.sign("server")
        self.https, self.dicoms = free_port(), free_port()
        self.server = Hilum(config=CONFIG.format(https=self.https, dicoms=self.dicoms, certificate=certificate, key=key, authority=authority.pem))
        self.addCleanup(self.server.__exit__, None, None, None)
        self.server.start()
        self.sockets, self.end, self.guesses = [], threading.Event(), [0, 0]

    def drip(self):
        """A byte a second each, of an association's or a request's beginning."""
        slow = []
        for number in range(SLOW):
            connect((self.server.dicom, self.server.http, self.dicoms, self.https)[number % 4], slow, f"127.0.1.{number}")
        at = 0
        while not self.end.wait(1):
            for number, one in enumerate(slow):
                try:
                    one.send((b"\x01\x00\x00\x00\x01\x00\x00\x01", b"GET /healthz HTTP/1.1\r\n")[number % 2][at % 8:at % 8 + 1])
                except OSError:
                    pass
            at += 1
        for one in slow:
            one.close()

    def stall(self):
        """A ClientHello that is half there."""
        hello, context = ssl.MemoryBIO(), ssl.create_default_context()
        try:
            context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
        except ssl.SSLWantReadError:
            pass
        half = hello.read()[:100]
        while not self.end.is_set():
            stalled = []
            for number in range(STALLED):
                connect((self.https, self.dicoms)[number % 2], stalled, f"127.0.2.{number}")
            for one in stalled:
                try:
                    one.send(half)
                except OSError:
                    pass
            self.end.wait(5)
            for one in stalled:
                one.close()

    def guess(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http, timeout=30, source_address=("127.0.3.1", 0))
        while not self.end.is_set() and self.guesses[0] < GUESSES:
            body = json.dumps({"name": "root", "password": f"guess number {self.guesses[0]}"})
            self.guesses[0] += 1
            try:
                connection.request("POST", "/api/session", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                self.guesses[1] += answer.status == 429
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()

    def echoes(self):
        """Each in an association of its own: in milliseconds."""
        took = []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            began = time.monotonic()
            with Peer(self.server.dicom) as peer:
                self.assertEqual(peer.associate(calling="HONEST"), 2)
                self.assertEqual(peer.echo(), 0)
            took.append((time.monotonic() - began) * 1000)
            time.sleep(0.01)
        return sorted(took)

    def test_an_honest_peer_is_answered_beside_a_thousand_others(self):
        for number in range(IDLE):
            connect((self.server.dicom, self.server.http, self.dicoms, self.https)[number % 4], self.sockets, f"127.0.4.{number % 250}")
        others = [threading.Thread(target=other) for other in (self.drip, self.stall, self.guess, self.guess)]
        for other in others:
            other.start()
        try:
            took = self.echoes()
            pss = pss_mib(self.server.process.pid)
            began = time.monotonic()
            self.assertEqual(self.server.request("/healthz")[0], 200)
            health = (time.monotonic() - began) * 1000
        finally:
            self.end.set()
            for other in others:
                other.join()
            for one in self.sockets:
                one.close()
        p99 = took[int(len(took) * 0.99)]
        print(f"{len(self.sockets)} idle, {SLOW} slow, {STALLED} stalled, {self.guesses[0]} guesses ({self.guesses[1]} of them 429): {len(took)} echoes, median {took[len(took) // 2]:.1f} ms, p99 {p99:.1f} ms; "
              f"/healthz {health:.0f} ms; PSS {pss:.0f} MiB", flush=True)
        self.assertGreater(self.guesses[1], 0)
        self.assertLessEqual(p99, ECHO_P99_MS)
        self.assertLessEqual(pss, PSS_MIB)


if __name__ == "__main__":
    unittest.main(argv=[one for one in sys.argv if one != "--bars"])
