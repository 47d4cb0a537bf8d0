#!/usr/bin/python3
"""The event log by WebSocket (RFC 6455): Debian's websocket-client as the browser, plain and over HTTPS, and what a client may do wrong."""

import json
import os
import shutil
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_login
import websocket
from harness import Hilum, free_port, wait_until
from test_https import a_file
from test_tls import Authority

CLOSE, PONG = websocket.ABNF.OPCODE_CLOSE, websocket.ABNF.OPCODE_PONG


class Events(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-websocket-")
        self.addCleanup(shutil.rmtree, self.folder)
        authority = Authority(self.folder, "authority")
        certificate, key = authority.sign("server")
        self.tls = {"ca_certs": authority.pem}
        self.port = free_port()
        self.server = Hilum(config=f"http: {{tls_listen: '127.0.0.1:{self.port}'}}\ntls: {{certificate: {certificate}, key: {key}}}\ndisk: {{low_water_mb: 0}}\n").start()
        self.addCleanup(self.server.__exit__, None, None, None)

    def open(self, secure=False, query="", **how):
        url = f"wss://localhost:{self.port}" if secure else f"ws://127.0.0.1:{self.server.http}"
        how.setdefault("origin", url.replace("ws", "http", 1))  # by itself the client says http:// of a page that came by TLS
        one = websocket.create_connection(f"{url}/api/events{query}", timeout=20, sslopt=self.tls, **how)
        self.addCleanup(one.shutdown)
        return one

    def bring(self, name):
        with open(a_file(name), "rb") as f:
            self.assertEqual(self.server.request("/api/import", "POST", f.read(), {"Content-Type": "application/dicom"})[0], 200)

    def until(self, one, event):
        while True:
            message = json.loads(one.recv())
            if message.get("event") == event:
                return message

    def ended_with(self, one):
        """The code of the close frame that comes."""
        while True:
            opcode, data = one.recv_data()
            if opcode == CLOSE:
                return struct.unpack("!H", data[:2])[0]

    def test_events_come_as_they_happen_plain_and_over_tls_and_are_those_of_the_event_stream(self):
        both = [self.open(), self.open(secure=True)]
        begun = [json.loads(one.recv()) for one in both]
        self.assertEqual(set(begun[0]), {"id"})
        self.bring("CT_small.dcm")
        plain, secure = [self.until(one, "object.stored") for one in both]
        self.assertEqual(plain, secure)
        with socket.create_connection(("127.0.0.1", self.server.http)) as stream:
            stream.sendall(f"GET /api/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {begun[0]['id']}\r\n\r\n".encode())
            text = b""
            while b"event: object.stored" not in text or not text.endswith(b"\n\n\r\n"):
                text += stream.recv(4096)
        wanted = f"id: {plain['id']}\nevent: object.stored\ndata: {json.dumps(plain['data'], separators=(',', ':'))}\n\n"
        self.assertIn(wanted, text.decode().replace("\r\n", "\n"))

    def test_a_reader_that_comes_back_misses_nothing(self):
        first = self.open()
        begun = json.loads(first.recv())["id"]
        first.close()
        self.bring("CT_small.dcm")
        again = self.open(query=f"?after={begun}")
        self.assertEqual(self.until(again, "object.stored")["event"], "object.stored")
        lost = self.open(query="?after=1-1")
        self.assertEqual(json.loads(lost.recv())["event"], "reset")

    def test_a_ping_is_answered_in_the_midst_of_a_message_that_is_not_whole(self):
        for secure in (False, True):
            one = self.open(secure)
            one.recv()
            one.send_frame(websocket.ABNF.create_frame("he", websocket.ABNF.OPCODE_TEXT, fin=0))
            one.ping("are you there")
            self.assertEqual(one.recv_data(control_frame=True), (PONG, b"are you there"))
            one.send_frame(websocket.ABNF.create_frame("llo", websocket.ABNF.OPCODE_CONT))
            self.assertEqual(self.ended_with(one), 1003)  # nothing is taken here

    def test_what_breaks_the_rules_is_closed_with_its_code_and_the_server_goes_on(self):
        mask = bytes(4)
        cases = (("unmasked", b"\x81\x02hi", 1002), ("too long", b"\x82\xff" + struct.pack("!Q", 65537) + mask, 1009), ("too long in pieces", (b"\x02\xfe\x80\x00" + mask + bytes(32768)) + (b"\x00\xfe\x80\x00" + mask + bytes(32768)) + b"\x00\x81" + mask + b"x", 1009),
                 ("no UTF-8", b"\x81\x82" + mask + b"\xff\xfe", 1007), ("a long ping", b"\x89\xfe\x00\x7e" + mask + bytes(126), 1002), ("a reserved bit", b"\xc1\x80" + mask, 1002))
        for secure in (False, True):
            for what, frames, code in cases:
                one = self.open(secure)
                one.recv()
                one.sock.sendall(frames)
                self.assertEqual(self.ended_with(one), code, what)
        self.assertEqual(self.server.request("/healthz")[0], 200)
        self.assertIn("a WebSocket of 127.0.0.1 is closed with 1002: a frame without a mask", self.server.log())

    def test_a_page_of_another_origin_may_not_listen(self):
        for origin, secure in (("http://elsewhere.example", False), ("https://elsewhere.example", True), ("null", False), (f"http://127.0.0.1:{self.server.http + 1}", False)):
            with self.assertRaises(websocket.WebSocketBadStatusException) as refused:
                self.open(secure, origin=origin)
            self.assertEqual(refused.exception.status_code, 403, origin)
        self.open(origin=f"http://127.0.0.1:{self.server.http}").recv()
        self.open(True, origin=f"https://localhost:{self.port}").recv()

    def test_a_stop_says_goodbye(self):
        both = [self.open(), self.open(secure=True)]
        for one in both:
            one.recv()
        began = time.monotonic()
        stopping = threading.Thread(target=self.server.stop)
        stopping.start()
        self.assertEqual([self.ended_with(one) for one in both], [1001, 1001])
        stopping.join()
        self.assertLess(time.monotonic() - began, 5)

    def test_who_takes_nothing_is_cut_off_and_holds_up_nobody(self):
        """Pings whose answers are never read fill all that lies between."""
        ping = b"\x89\xfd" + bytes(4) + bytes(125)
        ended = []

        def flood(secure):
            one = self.open(secure, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),))
            began = time.monotonic()
            one.sock.settimeout(30)
            try:
                while time.monotonic() - began < 60:
                    one.sock.sendall(ping * 1000)
            except (OSError, ssl.SSLError):
                ended.append(time.monotonic() - began)

        both = [threading.Thread(target=flood, args=(secure,)) for secure in (False, True)]
        for one in both:
            one.start()
        good = self.open()
        good.recv()
        began = time.monotonic()
        self.bring("CT_small.dcm")
        self.until(good, "object.stored")
        self.assertLess(time.monotonic() - began, 2)
        for one in both:
            one.join(60)
        self.assertEqual(len(ended), 2, "both were cut off")
        self.assertLess(max(ended), 45)
        wait_until(lambda: self.server.log().count("takes too long to read") == 2, 5, "both are told of")

    def test_those_that_are_open_are_counted_with_the_event_streams(self):
        open_ones = [self.open(i % 2 == 1) for i in range(64)]
        with self.assertRaises(websocket.WebSocketBadStatusException) as refused:
            self.open()
        self.assertEqual(refused.exception.status_code, 503)
        open_ones[0].close()
        wait_until(lambda: self.opens(), 5, "there is room again")

    def opens(self):
        try:
            self.open()
            return True
        except websocket.WebSocketBadStatusException:
            return False


class Logins(unittest.TestCase):
    start, account, command_environment, site, person = (getattr(test_login.Login, name) for name in ("start", "account", "command_environment", "site", "person"))

    def socket(self, **headers):
        return websocket.create_connection(f"ws://127.0.0.1:{self.server.http}/api/events", timeout=20, header=headers)

    def test_a_login_is_needed_and_its_end_is_the_websocket_s(self):
        self.site()
        with self.assertRaises(websocket.WebSocketBadStatusException) as refused:
            self.socket()
        self.assertEqual(refused.exception.status_code, 401)
        reader, watch = self.person("reader"), self.person("watch")
        with self.assertRaises(websocket.WebSocketBadStatusException) as refused:
            self.socket(Cookie=watch.cookie)  # an auditor sees no patients
        self.assertEqual(refused.exception.status_code, 403)
        one = self.socket(Cookie=reader.cookie)
        self.addCleanup(one.shutdown)
        one.recv()
        self.assertEqual(reader.ask("DELETE", "/api/session")[0], 204)
        opcode, data = one.recv_data()
        while opcode != CLOSE:
            opcode, data = one.recv_data()
        self.assertEqual(struct.unpack("!H", data[:2])[0], 1001)


if __name__ == "__main__":
    unittest.main()
