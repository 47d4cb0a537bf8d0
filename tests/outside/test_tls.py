#!/usr/bin/python3
"""DICOM over TLS (PS3.15 B.12): DCMTK as the scanner and as the PACS, with certificates that the openssl program makes."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
from harness import Hilum, free_port, wait_for_port, wait_until
from heads import BLEED_SLICE, Head


def run(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout


class Authority:
    """Certificates of one authority, in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name, self.fetched = folder, name, ""
        self.pem = self.make(name, "-x509", "-days", "30")

    def make(self, name, *more):
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", self.path(name, "key"), "-out", self.path(name, "pem"), *more)
        return self.path(name, "pem")

    def path(self, name, ending):
        return os.path.join(self.folder, f"{name}.{ending}")

    @classmethod
    def between(cls, above, name, days=30):
        """An authority that another one has signed; what it signs says where its own certificate can be fetched."""
        own = cls.__new__(cls)
        own.folder, own.name, own.fetched = above.folder, name, "authorityInfoAccess=caIssuers;URI:http://authority.example/issuing.crt\n"
        own.pem, _ = above.sign(name, days=days, more="basicConstraints=critical,CA:TRUE\n")
        return own

    def sign(self, name, days=30, names="DNS:localhost,IP:127.0.0.1", more=""):
        """The certificate and its key."""
        self.make(name, "-new")
        os.rename(self.path(name, "pem"), self.path(name, "csr"))
        with open(self.path(name, "ext"), "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\n{self.fetched}{more}")
        run("openssl", "x509", "-req", "-in", self.path(name, "csr"), "-CA", self.pem, "-CAkey", self.path(self.name, "key"), "-CAcreateserial", "-extfile", self.path(name, "ext"), "-days", str(days),
            "-out", self.path(name, "pem"))
        return self.path(name, "pem"), self.path(name, "key")


    def revoke(self, *pems, ends="20990101000000Z"):
        """A list of these and of those that were revoked before, which is to be followed by a newer one at `ends`."""
        config, database = self.path(self.name, "cnf"), self.path(self.name, "index")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"[ca]\ndefault_ca=own\n[own]\ndatabase={database}\ncertificate={self.pem}\nprivate_key={self.path(self.name, 'key')}\ndefault_md=sha256\n")
        with open(database, "a", encoding="ascii"):
            pass
        for pem in pems:
            run("openssl", "ca", "-config", config, "-revoke", pem)
        made = self.path(self.name, "crl.new")
        run("openssl", "ca", "-config", config, "-gencrl", "-crl_lastupdate", "20260101000000Z", "-crl_nextupdate", ends, "-out", made)
        os.rename(made, self.path(self.name, "crl"))
        return self.path(self.name, "crl")


def fingerprint(pem):
    return run("openssl", "x509", "-in", pem, "-noout", "-fingerprint", "-sha256").strip().split("=")[1]


class Tls(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-tls-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.ours, self.strangers = Authority(self.folder, "authority"), Authority(self.folder, "stranger")
        self.server_pem, self.server_key = self.ours.sign("server")
        self.scanner = self.ours.sign("scanner")
        self.stranger = self.strangers.sign("scanner-of-a-stranger")
        self.port = free_port()
        self.object = os.path.join(self.folder, "object.dcm")
        with open(self.object, "wb") as file:
            file.write(corpus.part10(corpus.sound(1), corpus.EXPLICIT, f"{corpus.ROOT}.1.1"))

    def serve(self, more=""):
        server = Hilum(config=f"dicom:\n  tls_listen: 127.0.0.1:{self.port}\ntls:\n  certificate: {self.server_pem}\n  key: {self.server_key}\n  authorities: {self.ours.pem}\n{more}")
        server.start()
        self.addCleanup(server.__exit__, None, None, None)
        wait_for_port(self.port)
        return server

    def call(self, program, *options, shows=None, believes=None, aet="CT1"):
        shows = shows or self.scanner
        return subprocess.run([program, "-aet", aet, "-aec", "HILUM", "+tls", shows[1], shows[0], "+cf", believes or self.ours.pem, *options, "127.0.0.1", str(self.port)]
                              + ([self.object] if program == "storescu" else []), capture_output=True, text=True, timeout=60)

    def enter(self, server, **more):
        server.put_json("/api/peers/ct1", {"title": "CT1", "host": "127.0.0.1", "port": 104, "rights": ["store"], **more})

    def test_a_scanner_stores_over_tls_and_not_without(self):
        server = self.serve()
        self.enter(server, tls="required")
        done = self.call("storescu")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(server.get_json("/dicom-web/instances")), 1)
        show = lambda: server.get_json("/api/audit?actor=CT1&event=110104")["lines"]
        (line,) = wait_until(show, 5, "the line of what was stored")
        self.assertEqual(line["verified"], "certificate " + fingerprint(self.scanner[0]).replace(":", "").lower())
        plain = server.storescu(self.object, aet="CT1", check=False)
        self.assertNotEqual(plain.returncode, 0)
        wait_until(lambda: "tls: required, and it came without" in server.log(), 10, "the reason")
        self.assertEqual(self.call("echoscu", aet="ANYBODY").returncode, 0)  # on loopback, with a certificate that counts

    def test_objects_over_tls_wait_for_no_delayed_acknowledgement(self):
        """Without TCP_NODELAY DCMTK leaves Nagle's algorithm on: each object would wait tens of milliseconds for ours."""
        server = self.serve()
        folder = os.path.join(self.folder, "many")
        os.mkdir(folder)
        for number in range(100):
            with open(os.path.join(folder, f"{number}.dcm"), "wb") as file:
                file.write(corpus.part10(corpus.sound(number + 2), corpus.EXPLICIT, f"{corpus.ROOT}.1.{number + 2}") + bytes(0))
        self.enter(server, tls="required")
        seconds = {}
        for title, port, options in (("PLAIN", server.dicom, []), ("CT1", self.port, ["+tls", self.scanner[1], self.scanner[0], "+cf", self.ours.pem])):
            began = time.monotonic()
            subprocess.run(["storescu", "-aet", title, "-aec", "HILUM", *options, "+sd", "127.0.0.1", str(port), folder], check=True, capture_output=True, timeout=60, env={name: value for name, value in os.environ.items() if name != "TCP_NODELAY"})
            seconds[title] = time.monotonic() - began
        self.assertLess(seconds["CT1"], seconds["PLAIN"] + 100 * 0.02)

    def test_each_security_profile_of_the_stock_client_that_encrypts_is_spoken_and_the_one_that_does_not_is_none(self):
        """PS3.15 B.12, its variants, and B.13 as DCMTK 3.6.7 has them."""
        server = self.serve()
        self.enter(server, tls="required")
        for profile, spoken in (("+py", True), ("+px", True), ("+pz", True), ("+pn", False)):
            done = self.call("echoscu", profile)
            self.assertEqual(done.returncode == 0, spoken, f"{profile}: {done.stderr}")

    def test_a_certificate_of_a_stranger_or_none_is_refused_with_its_fingerprint(self):
        server = self.serve()
        self.enter(server, tls="required")
        self.assertNotEqual(self.call("storescu", shows=self.stranger).returncode, 0)
        wait_until(lambda: "association of CT1 at 127.0.0.1" in server.log(), 10, "the refusal")
        line = re.search("association of CT1 .* refused: .*", server.log()).group(0)
        self.assertIn("none of the known authorities has signed it", line)
        self.assertIn(fingerprint(self.stranger[0]).replace(":", "").lower(), line)
        anonymous = subprocess.run(["echoscu", "-aec", "HILUM", "+tla", "+cf", self.ours.pem, "127.0.0.1", str(self.port)], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(anonymous.returncode, 0)
        wait_until(lambda: "the peer shows no certificate" in server.log(), 10, "the reason")
        self.assertEqual(server.get_json("/dicom-web/instances"), [])

    def test_the_certificate_that_is_entered_counts_whoever_signed_it_and_no_other(self):
        server = self.serve()
        self.enter(server, tls="required", certificate=fingerprint(self.stranger[0]))
        self.assertEqual(self.call("storescu", shows=self.stranger).returncode, 0)
        self.assertNotEqual(self.call("storescu").returncode, 0)  # of our authority, and another one
        wait_until(lambda: "another one is entered for this peer" in server.log(), 10, "the reason")
        status, _, body = server.request("/api/peers/ct1", "PUT", b'{"title": "CT1", "host": "127.0.0.1", "port": 104, "rights": ["store"], "tls": "required", "certificate": "AB:CD"}')
        self.assertEqual(status, 400)
        self.assertIn(b"is no SHA-256 fingerprint", body)

    def test_who_speaks_no_tls_at_the_port_of_tls_is_told_so(self):
        server = self.serve()
        self.assertNotEqual(subprocess.run(["echoscu", "-aec", "HILUM", "-to", "5", "-ta", "5", "127.0.0.1", str(self.port)], capture_output=True, timeout=60).returncode, 0)
        wait_until(lambda: "speaks no TLS at this port" in server.log(), 10, "the reason")
        self.assertNotEqual(subprocess.run(["echoscu", "-aec", "HILUM", "+tls", self.scanner[1], self.scanner[0], "+cf", self.ours.pem, "127.0.0.1", str(server.dicom)], capture_output=True, timeout=60).returncode, 0)
        wait_until(lambda: "ended with" not in server.log() and "connection from 127.0.0.1 without an association" in server.log(), 10, "the reason")

    def pacs(self, port, shows, believes):
        """A PACS that speaks TLS only."""
        folder = tempfile.mkdtemp(prefix="pacs-", dir=self.folder)
        process = subprocess.Popen(["storescp", "+tls", shows[1], shows[0], "+cf", believes, "-rc", "-od", folder, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for_port(port)
        return folder

    def test_we_call_over_tls_whom_we_know_and_nobody_else(self):
        server = self.serve()
        good, strange, closed = free_port(), free_port(), free_port()
        self.pacs(good, self.ours.sign("pacs"), self.ours.pem)
        self.pacs(strange, self.strangers.sign("pacs-of-a-stranger"), self.ours.pem)
        for name, title, host, port in (("good", "PACS", "127.0.0.1", good), ("strange", "PACS3", "localhost", strange), ("plain", "HILUM", "127.0.0.1", server.dicom), ("closed", "PACS2", "127.0.0.1", closed)):
            server.put_json(f"/api/peers/{name}", {"title": title, "host": host, "port": port, "rights": ["target"], "tls": "required"})
        status, _, body = server.request("/api/peers/good/echo", "POST", b"{}")
        self.assertEqual(status, 200, body)
        for name, says in (("strange", b"none of the known authorities has signed it"), ("plain", b"no TLS"), ("closed", b"refused")):
            status, _, body = server.request(f"/api/peers/{name}/echo", "POST", b"{}")
            self.assertGreaterEqual(status, 400)
            self.assertIn(says, body, name)

    def test_a_renewed_certificate_is_taken_without_a_restart_and_one_that_ends_is_told(self):
        self.server_pem, self.server_key = self.ours.sign("server", days=5)
        server = self.serve()
        self.assertIn("renew it", " ".join(server.get_json("/healthz")["warnings"]))
        self.assertRegex(server.request("/metrics")[2].decode(), r"(?m)^hilum_certificate_ends_seconds \d{10}$")
        before = fingerprint(self.server_pem)
        self.ours.sign("server", days=365)
        self.assertNotEqual(before, fingerprint(self.server_pem))
        seen = lambda: run("sh", "-c", f"openssl s_client -connect 127.0.0.1:{self.port} -cert {self.scanner[0]} -key {self.scanner[1]} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256").strip().split("=")[1]
        wait_until(lambda: seen() == fingerprint(self.server_pem), 10, "the newer certificate")
        self.assertEqual(server.get_json("/healthz")["warnings"], [])
        with open(self.server_pem, "w", encoding="ascii") as file:
            file.write("nothing\n")
        wait_until(lambda: seen() != "" and "the ones before it stay in force" in " ".join(server.get_json("/healthz")["warnings"]), 10, "the alarm")
        self.assertEqual(self.call("echoscu").returncode, 0)

    def test_peers_that_stall_in_the_handshake_hold_up_nobody(self):
        server = self.serve()
        stalled = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(40)]
        for one in stalled:
            one.sendall(b"\x16\x03\x01\x02\x00\x01")  # the begin of a ClientHello
        start = time.monotonic()
        self.assertEqual(self.call("echoscu").returncode, 0)
        self.assertLess(time.monotonic() - start, 5)
        for one in stalled:
            one.close()
        self.assertEqual(server.stop(), 0)

    def record(self, shows):
        """A record that takes HL7 over TLS: (port, what it got)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*shows)
        context.load_verify_locations(self.ours.pem)
        context.verify_mode = ssl.CERT_REQUIRED
        listener, got = socket.create_server(("127.0.0.1", 0)), []

        def answer():
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as wire:
                        data = b""
                        while not data.endswith(b"\x1c\r"):
                            data += wire.recv(1 << 16) or b"\x1c\r"
                        if b"MSH" in data:
                            got.append((wire.getpeercert()["subject"], data))
                            wire.sendall(b"\x0bMSH|^~\\&|A|B|C|D|20260101||ACK|1|P|2.5.1\rMSA|AA|" + data.split(b"|")[9] + b"\r\x1c\r")
                except OSError:
                    pass

        threading.Thread(target=answer, daemon=True).start()
        self.addCleanup(listener.close)
        return listener.getsockname()[1], got

    def test_a_record_hears_over_tls_when_it_shows_the_right_certificate(self):
        server = self.serve("flow:\n  negative_quiet_s: 1\n")
        port, got = self.record(self.ours.sign("record"))
        target = {"host": "127.0.0.1", "port": port, "application": "RIS", "facility": "TEST", "tls": "required", "certificate": fingerprint(self.scanner[0])}
        server.put_json("/api/hl7-targets/ris", target)
        server.put_json("/api/rules/head-ct-hyperdense", {**{key: value for key, value in server.get_json("/api/rules")[0].items() if key != "version"}, "hl7_to": ["ris"]})
        head = Head(1, bleed=BLEED_SLICE)
        server.storescu(*head.save(os.path.join(self.folder, "head")))
        says = wait_until(lambda: " ".join(str(one) for one in server.get_json("/api/deliveries?state=waiting")) if "another one is entered" in str(server.get_json("/api/deliveries?state=waiting")) else "", 60, "the refusal")
        self.assertIn(fingerprint(self.ours.path("record", "pem")).replace(":", "").lower(), says)
        self.assertEqual(got, [])
        server.put_json("/api/hl7-targets/ris", {**target, "certificate": ""})
        wait_until(lambda: got, 60, "the message")
        self.assertIn("server", str(got[0][0]))  # we show our own certificate
        self.assertIn(b"ORU^R01", got[0][1])
        status, _, body = server.request("/api/hl7-targets/ris", "PUT", json.dumps({**target, "tls": "no"}).encode())
        self.assertEqual(status, 400)
        self.assertIn(b"is looked at with tls: required only", body)

    def test_the_certificates_of_our_own_command_serve_both_ends(self):
        folder, program = os.path.join(self.folder, "made"), Hilum(program=None)
        shutil.rmtree(program.folder)
        told = program.command("cert", folder, "localhost,127.0.0.1,::1,pacs.example").stdout
        program.command("cert", folder, "ct1.example", "--file", "ct1")
        path = lambda name: os.path.join(folder, name)
        self.server_pem, self.server_key, self.ours.pem = path("server.pem"), path("server.key"), path("authority.pem")
        self.assertIn(fingerprint(self.server_pem).replace(":", "").lower(), told)
        for name in ("server.pem", "ct1.pem"):
            run("openssl", "verify", "-x509_strict", "-CAfile", path("authority.pem"), path(name))
        self.assertEqual(run("openssl", "x509", "-in", self.server_pem, "-noout", "-checkhost", "pacs.example", "-checkip", "::1").count("does match"), 2)
        for name in ("authority.key", "server.key", "ct1.key"):
            self.assertEqual(os.stat(path(name)).st_mode & 0o777, 0o600)
        server = self.serve()
        self.enter(server, tls="required")
        self.assertEqual(self.call("storescu", shows=(path("ct1.pem"), path("ct1.key"))).returncode, 0)
        # What is there is not written over unless that is asked for, and the authority never.
        before = [fingerprint(path(name)) for name in ("authority.pem", "server.pem")]
        self.assertIn("is not written over", program.command("cert", folder, "localhost", check=False).stderr)
        self.assertEqual(before, [fingerprint(path(name)) for name in ("authority.pem", "server.pem")])
        program.command("cert", folder, "localhost,127.0.0.1", "--renew")
        self.assertEqual(before[0], fingerprint(path("authority.pem")))
        self.assertNotEqual(before[1], fingerprint(path("server.pem")))
        for names, options, says in (("a b", (), "is neither a host's name nor an address"), (",".join(f"h{i}" for i in range(33)), (), "names; give 1 to 32"), ("x", ("--file", "../x"), "is no file name of its own"),
                                     ("x", ("--file", "authority"), "is no file name of its own"), ("evil,DNS:google.com", ("--file", "y"), "is neither")):
            refused = program.command("cert", folder, names, *options, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(says, refused.stderr)
        self.assertFalse(os.path.exists(path("y.pem")))
        # Names that sites have: an underscore, a wildcard, and one that no subject can hold.
        long = f"{'h' * 60}.{'d' * 60}.hospital.example"
        program.command("cert", folder, f"{long},pacs_1.hospital.example,*.hospital.example", "--file", "names")
        for name in (long, "pacs_1.hospital.example", "any.hospital.example"):
            self.assertIn("does match", run("openssl", "x509", "-in", path("names.pem"), "-noout", "-checkhost", name), name)
        for name in ("*", "*.example", "a.*.example", "*a.hospital.example", f"{'h' * 64}.example"):
            self.assertIn("is neither", program.command("cert", folder, name, "--file", "z", check=False).stderr, name)

    def test_a_revoked_certificate_is_refused_as_soon_as_the_list_says_so(self):
        self.server_pem, self.server_key = self.ours.sign("server", days=365)
        listed = self.ours.revoke()
        server = self.serve(f"  revoked: {listed}\n")
        self.enter(server, tls="required")
        other = self.ours.sign("another-scanner")
        self.assertEqual(self.call("storescu").returncode, 0)
        self.ours.revoke(self.scanner[0])
        wait_until(lambda: self.call("echoscu").returncode != 0, 10, "the list is read")
        wait_until(lambda: "its issuer has revoked it" in server.log(), 10, "the reason")
        self.assertEqual(self.call("echoscu", shows=other).returncode, 0)
        self.enter(server, tls="required", certificate=fingerprint(self.scanner[0]))  # entered, and revoked all the same
        self.assertNotEqual(self.call("echoscu").returncode, 0)
        self.assertEqual(server.get_json("/healthz")["warnings"], [])
        # Whom we call shows a certificate too.
        port, pacs = free_port(), self.ours.sign("pacs")
        self.pacs(port, pacs, self.ours.pem)
        server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "port": port, "rights": ["target"], "tls": "required"})
        self.assertEqual(server.request("/api/peers/pacs/echo", "POST", b"{}")[0], 200)
        self.ours.revoke(pacs[0])
        wait_until(lambda: b"has revoked it" in server.request("/api/peers/pacs/echo", "POST", b"{}")[2], 10, "it is refused")

    def test_a_list_that_is_late_is_told_and_shuts_nobody_out_but_whom_it_names(self):
        self.server_pem, self.server_key = self.ours.sign("server", days=365)
        other = self.ours.sign("another-scanner")
        server = self.serve(f"  revoked: {self.ours.revoke(self.scanner[0], ends='20260201000000Z')}\n")
        self.enter(server, tls="required")
        self.assertEqual(self.call("echoscu", shows=other).returncode, 0)
        self.assertNotEqual(self.call("echoscu").returncode, 0)
        self.assertIn("should have been followed by a newer one at 2026-02-01T00:00:00", " ".join(server.get_json("/healthz")["warnings"]))
        self.assertRegex(server.request("/metrics")[2].decode(), r"(?m)^hilum_revoked_ends_seconds 1769904000$")
        self.ours.revoke()
        wait_until(lambda: not server.get_json("/healthz")["warnings"], 10, "there is a newer one")
        with open(self.ours.path("authority", "crl"), "w", encoding="ascii") as file:
            file.write("nothing\n")
        wait_until(lambda: "the ones before it stay in force" in " ".join(server.get_json("/healthz")["warnings"]), 10, "the alarm")
        self.assertNotEqual(self.call("echoscu").returncode, 0)

    def test_a_list_that_its_authority_has_not_signed_says_nothing_and_one_that_is_none_starts_nothing(self):
        folder = os.path.join(self.folder, "forger")
        os.mkdir(folder)
        forger = Authority(folder, "authority")  # of the same name
        server = self.serve(f"  revoked: {forger.revoke(self.scanner[0])}\n")
        self.enter(server, tls="required")
        self.assertEqual(self.call("echoscu").returncode, 0)
        server.stop()
        for path in (self.ours.pem, os.path.join(self.folder, "absent")):
            bad = Hilum(config=f"tls:\n  revoked: {path}\n")
            self.addCleanup(shutil.rmtree, bad.folder)
            bad.launch()
            self.assertEqual(bad.process.wait(20), 1)
            self.assertIn(f"the revoked certificates {path}: ", bad.log())

    def test_our_own_echo_and_send_speak_tls_both_ways_and_say_what_is_wrong(self):
        server = self.serve()
        self.enter(server, tls="required", title="HILUM")
        us = ["--tls", "--authorities", self.ours.pem, "--certificate", self.scanner[0], "--key", self.scanner[1]]
        to = f"127.0.0.1:{self.port}"
        self.assertIn("answered 0000H", server.command("echo", to, *us).stdout)
        self.assertIn("1 sent", server.command("send", to, self.object, *us).stdout)
        self.assertEqual(len(server.get_json("/dicom-web/instances")), 1)
        port = free_port()
        folder = self.pacs(port, self.ours.sign("pacs"), self.ours.pem)
        self.assertIn("answered 0000H", server.command("echo", f"localhost:{port}", "--aec", "PACS", *us).stdout)
        server.command("send", f"localhost:{port}", self.object, "--aec", "PACS", *us)
        self.assertEqual(len(os.listdir(folder)), 1)
        nothing = os.path.join(self.folder, "nothing.pem")
        for options, status, says in (
            (["--tls", "--authorities", self.strangers.pem, "--certificate", self.scanner[0], "--key", self.scanner[1]], 1, "none of the known authorities has signed it"),
            (["--tls", "--certificate", self.scanner[0], "--key", self.scanner[1]], 1, "none of the known authorities has signed it"),  # the system's
            (["--tls", "--authorities", self.ours.pem], 1, ""),  # the server asks for ours; what it says of that depends on the version
            (["--tls", "--authorities", self.ours.pem, "--certificate", self.stranger[0], "--key", self.stranger[1]], 1, "permanently"),
            (["--tls", "--authorities", nothing], 1, nothing), (["--tls", "--authorities", self.ours.pem, "--certificate", self.scanner[0], "--key", self.server_key], 1, "server.key: key values mismatch"),
            (["--tls", "--certificate", self.scanner[0]], 2, "--key is missing"), (["--tls", "--key", self.scanner[1]], 2, "--certificate is missing"), (["--authorities", self.ours.pem], 2, "--authorities goes with --tls"),
            ([], 1, ""),
        ):
            for command in (["echo", to], ["send", to, self.object]):
                refused = server.command(*command, *options, check=False)
                self.assertEqual(refused.returncode, status, options)
                self.assertIn(says, refused.stderr, options)
        spoken = server.command("echo", f"127.0.0.1:{server.dicom}", *us, check=False)
        self.assertIn("no TLS", spoken.stderr)

    def test_files_that_do_not_fit_start_nothing_and_are_named(self):
        self.server_key = self.scanner[1]
        server = Hilum(config=f"dicom:\n  tls_listen: 127.0.0.1:{self.port}\ntls:\n  certificate: {self.server_pem}\n  key: {self.server_key}\n")
        self.addCleanup(shutil.rmtree, server.folder)
        server.launch()
        self.assertEqual(server.process.wait(20), 1)
        self.assertIn("scanner.key: key values mismatch", server.log())
        path = os.path.join(self.folder, "config.yaml")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"dicom:\n  tls_listen: 127.0.0.1:{self.port}\n")
        check = server.command("config", "check", path, check=False)
        self.assertNotEqual(check.returncode, 0)
        self.assertIn("dicom.tls_listen needs tls.certificate and tls.key", check.stderr + check.stdout)


if __name__ == "__main__":
    unittest.main()
