#!/usr/bin/python3
"""The audit trail reaches a collector by syslog over TLS (RFC 5425), each line at least once, whatever becomes of the collector meanwhile."""

import glob
import hashlib
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Hilum, free_port, pydicom_files, wait_until

SEGMENT = 16 << 20
OUTAGE_MIB = int(os.environ.get("HILUM_OUTAGE_MIB", "48"))  # of lines that wait for the collector


def certificate(folder, name):
    """(PEM file with key, SHA-256 fingerprint), self-signed."""
    path = os.path.join(folder, name + ".pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", path + ".key", "-out", path], check=True, capture_output=True)
    with open(path, encoding="ascii") as f:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest()
    with open(path, "a", encoding="ascii") as f, open(path + ".key", encoding="ascii") as key:
        f.write(key.read())
    return path, digest


class Collector:
    """Python's own TLS server. `cut_after`: bytes after which a connection is reset, one for each, what was not read yet lost. `lose_at_end`: connections at whose end it dies, with all that came over them."""

    def __init__(self, pem, port, cut_after=(), lose_at_end=0):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.port, self.cut_after, self.lose_at_end = port, list(cut_after), lose_at_end
        self.lines, self.connections, self.ended = [], 0, False
        self.wrong = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def run(self):
        while not self.ended:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                self.serve(plain)
            except (OSError, ssl.SSLError) as error:
                self.wrong.append(str(error))

    def serve(self, plain):
        cut, got, rest = self.cut_after.pop(0) if self.cut_after else None, 0, b""
        before = len(self.lines)
        plain.settimeout(60)
        with self.context.wrap_socket(plain, server_side=True) as wire:
            while True:
                data = wire.recv(1 << 18)
                if not data:
                    if self.lose_at_end > 0:
                        self.lose_at_end -= 1
                        del self.lines[before:]
                        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                got += len(data)
                rest = self.take(rest + data)
                if cut is not None and got > cut:
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return

    def take(self, data):
        at = 0
        while True:
            space = data.find(b" ", at, at + 8)
            if space < 0:
                return data[at:]
            size = int(data[at:space])  # RFC 5425, section 4.3: octet counting
            if len(data) - space - 1 < size:
                return data[at:]
            self.lines.append(data[space + 1:space + 1 + size])
            at = space + 1 + size


def files(server):
    """All lines of the trail, in order."""
    lines = []
    for path in sorted(glob.glob(os.path.join(server.data, "audit-*.log"))):
        with open(path, "rb") as f:
            lines += f.read().split(b"\n")[:-1]
    return lines


def write_history(folder, mebibytes):
    """Audit files as an earlier server left them; their chain is computed here a second time. How many lines."""
    value, seq, segment, size, file = bytes(32), 0, 0, SEGMENT, None
    os.makedirs(folder)
    message = "<AuditMessage><EventIdentification EventActionCode=\"E\" EventDateTime=\"2026-01-01T00:00:00.000Z\" EventOutcomeIndicator=\"0\"/>" + "x" * 600 + "</AuditMessage>"
    while segment < mebibytes * (1 << 20) // SEGMENT or size < SEGMENT:
        previous = ""
        if size >= SEGMENT:
            if file:
                file.close()
            segment, size, previous = segment + 1, 0, f'" previous="{value.hex()}'
            file = open(os.path.join(folder, f"audit-{segment:08}.log"), "wb")
        seq += 1
        start = f'<85>1 2026-01-01T00:00:00.000Z host hilum 1 DICOM+RFC3881 [chain@32473 seq="{seq}{previous}" value="'.encode()
        end = f'"][sum@32473 count="1"] \ufeff{message}'.encode()
        value = hashlib.sha256(value + start + end).digest()
        line = start + value.hex().encode() + end + b"\n"
        size += file.write(line)
    file.close()
    return seq


def metric(server, name):
    return int(re.search(rf"^{name} (\d+)$", server.request("/metrics")[2].decode(), re.M).group(1))


class Syslog(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-test-")
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder])
        self.pem, self.fingerprint = certificate(self.folder, "collector")
        self.port = free_port()

    def server(self, fingerprint=None, data=None):
        return Hilum(data=data, config=f"audit: {{syslog: '127.0.0.1:{self.port}', syslog_certificate: '{fingerprint or self.fingerprint}'}}\n")

    def test_every_line_arrives_as_it_is_in_the_files_with_that_of_the_stop(self):
        data = os.path.join(self.folder, "data")
        with Collector(self.pem, self.port) as collector:
            for _ in range(2):
                with self.server(data=data) as server:
                    server.storescu(next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm"))
                    for number in range(100):
                        server.request(f"/api/conflicts?study=1.2.{number}")
                    self.assertEqual(server.stop(), 0)
                    wait_until(lambda: collector.lines == files(server), 5, "the lines of the files at the collector, each once")
        self.assertTrue(any(b"Application Stop" in line for line in collector.lines[-110:]))
        self.assertEqual(collector.wrong, [])

    def test_a_collector_that_is_away_and_breaks_off_loses_no_line(self):
        data = os.path.join(self.folder, "data")
        waiting = write_history(data, OUTAGE_MIB)
        with self.server(data=data) as server:
            wait_until(lambda: metric(server, "hilum_audit_unsent_lines") > waiting, 30, "the count of what waits")
            wait_until(lambda: "wait for the collector" in server.log(), 10, "a word in the log")
            with Collector(self.pem, self.port, cut_after=[1 << 20, 5 << 20]) as collector:
                wait_until(lambda: collector.connections >= 3, 30, "two connections that broke, and a third")
                server.kill()  # and so does the server
                server.start()
                begun = time.monotonic()
                wait_until(lambda: metric(server, "hilum_audit_unsent_lines") == 0, 120, "everything at the collector")
                print(f"{OUTAGE_MIB} MiB, {waiting} lines, after {time.monotonic() - begun:.1f} s; {len(collector.lines)} received", file=sys.stderr)
                self.assertEqual(server.stop(), 0)
                wait_until(lambda: collector.lines[-1] == files(server)[-1], 5, "the last line")
            first = list(dict.fromkeys(collector.lines))  # without the doubles
            self.assertEqual(first, files(server))
            checked = server.command("audit", "check", server.data)
            self.assertIn("are sound", checked.stdout)

    def test_lines_of_a_connection_at_whose_end_the_collector_dies_are_sent_again(self):
        data = os.path.join(self.folder, "data")
        with Collector(self.pem, self.port, lose_at_end=1) as collector:
            with self.server(data=data) as server:
                for number in range(20):
                    server.request(f"/api/conflicts?study=1.2.{number}")
                wait_until(lambda: len(collector.lines) >= 20, 10, "the lines at the collector")
                server.stop()  # which ends the connection
                self.assertEqual(collector.lose_at_end, 0)
                server.start()
                self.assertEqual(server.stop(), 0)
                wait_until(lambda: list(dict.fromkeys(collector.lines)) == files(server), 5, "all lines of the files")

    def test_who_shows_another_certificate_gets_no_line(self):
        with Collector(self.pem, self.port) as collector, self.server(fingerprint="ab" * 32) as server:
            wait_until(lambda: "another one is entered" in server.log(), 10, "a word in the log")
            self.assertGreater(metric(server, "hilum_audit_unsent_lines"), 0)
            self.assertEqual(server.stop(), 0)
            self.assertEqual(collector.lines, [])

    def test_a_place_that_does_not_fit_the_files_is_none(self):
        data = os.path.join(self.folder, "data")
        with Collector(self.pem, self.port) as collector:
            with self.server(data=data) as server:
                server.stop()
                cursor = os.path.join(data, "audit-cursor")
                with open(cursor, encoding="ascii") as f:
                    _, form, segment, offset, value = f.read().split()
                self.assertEqual((form, segment, int(offset)), ("1", "1", os.path.getsize(os.path.join(data, "audit-00000001.log"))))
                for wrong in (f"hilum-audit-cursor 1 7 {offset} {value}\n", f"hilum-audit-cursor 1 1 {offset} {'0' * 64}\n", f"hilum-audit-cursor 1 1 {int(offset) + 9} {value}\n", "no cursor", ""):
                    with open(cursor, "w", encoding="ascii") as f:
                        f.write(wrong)
                    collector.lines.clear()
                    server.start()
                    server.stop()
                    self.assertEqual(collector.lines, files(server), wrong)


if __name__ == "__main__":
    unittest.main()
