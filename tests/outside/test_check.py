#!/usr/bin/python3
"""A check of a connection names what is wrong, on which side, and the remedy: faults are planted with other people's programs as the far side (DCMTK, openssl, Python's web server and sockets)."""

import ctypes
import datetime
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Hilum, free_port, multipart, wait_for_port, wait_until
from hl7_listener import Listener
from test_outbox import put_in
from test_tls import Authority, fingerprint

PROFILE = """
[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Some]
PresentationContext1 = VerificationSOPClass\\Uncompressed
PresentationContext2 = 1.2.840.10008.5.1.4.1.1.88.34\\Uncompressed
PresentationContext3 = KeyObjectSelectionDocumentStorage\\Uncompressed
[[Profiles]]
[Default]
PresentationContexts = Some
"""


class Faults(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-check-")
        self.addCleanup(shutil.rmtree, self.folder)

    def serve(self, config=""):
        server = Hilum(config=config)
        server.start()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def far(self, *command, port):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.PIPE, cwd=self.folder)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdin.close)
        wait_for_port(port, process=process)
        return port

    def path(self, name, text=""):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def enter(self, server, name, port, title="PACS", rights=("target",), **more):
        server.put_json(f"/api/peers/{name}", {"title": title, "host": "127.0.0.1", "port": port, "rights": list(rights), "plain": "accepted", **more})

    def check(self, server, name, kind="peer"):
        return server.put_json(f"/api/connections/{kind}/{urllib.parse.quote(name, safe='')}/check", {}, "POST")

    def step(self, connection, step, state="failed"):
        (found,) = [one for one in connection["steps"] if one["step"] == step]
        self.assertEqual(found["state"], state, connection)
        return found

    def named(self, connection, step, said, remedy, state="failed"):
        found = self.step(connection, step, state)
        self.assertIn(said, found["said"])
        self.assertIn(remedy, found["remedy"])
        if state == "failed":
            self.assertEqual(connection["state"], "failed")

    def faulty(self, port, step, said, remedy, server=None, **entry):
        server = server or self.serve()
        self.enter(server, "pacs", port, **entry)
        self.named(self.check(server, "pacs"), step, said, remedy)

    def archive(self):
        """DCMTK's dcmqrscp, which looks at both titles."""
        port = free_port()
        os.mkdir(os.path.join(self.folder, "db"))
        config = self.path("qr.cfg", f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 4\nHostTable BEGIN\nus = (HILUM, 127.0.0.1, 104)\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
                           f"AETable BEGIN\nPACS {self.folder}/db RW (10, 16mb) us\nAETable END\n")
        return self.far("dcmqrscp", "-c", config, port=port)

    def rejecting(self, source, reason):
        """A socket that answers each association request with A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
        listener = socket.create_server(("127.0.0.1", 0))

        def answer():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    if connection.recv(1 << 16):
                        connection.sendall(bytes([3, 0, 0, 0, 0, 4, 0, 1, source, reason]))
        thread = threading.Thread(target=answer)
        thread.start()
        self.addCleanup(listener.close)
        self.addCleanup(thread.join)
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        return listener.getsockname()[1]

    def storescp(self, *options):
        port = free_port()
        return self.far("storescp", *options, str(port), port=port)

    # ---- what we call

    def test_what_is_well_is_said_to_be_well_and_is_kept(self):
        server = self.serve()
        self.enter(server, "pacs", self.storescp())
        before = [one for one in server.get_json("/api/connections") if one["name"] == "pacs"]
        self.assertEqual([(one["state"], one["steps"], one["checked"]) for one in before], [("unknown", [], None)])
        now = self.check(server, "pacs")
        self.assertEqual([(one["step"], one["state"]) for one in now["steps"]], [(step, "ok") for step in ("reach", "title", "classes", "answer")])
        self.assertEqual([one for one in server.get_json("/api/connections") if one["name"] == "pacs"], [now])
        self.enter(server, "pacs", free_port())  # what was seen of another port says nothing of this one
        self.assertEqual([one["state"] for one in server.get_json("/api/connections") if one["name"] == "pacs"], ["unknown"])

    def test_a_wrong_called_title(self):
        self.faulty(self.archive(), "title", "does not know itself as pacs1", "case-sensitive", title="pacs1")

    def test_a_wrong_calling_title(self):
        self.faulty(self.rejecting(1, 3), "title", "no entry for us", "on the side of pacs: enter AE title HILUM")

    def test_an_archive_that_calls_an_unknown_caller_a_wrong_called_title(self):
        self.faulty(self.archive(), "title", "does not know itself as PACS", "enter AE title STRANGER", server=self.serve("dicom: {titles: STRANGER}\n"))

    def test_a_closed_port(self):
        self.faulty(free_port(), "reach", "port is closed", "start its service")

    def test_a_filtered_port_is_told_from_a_closed_one(self):
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # past its backlog the kernel drops what comes, as a firewall does
        for one in waiting:
            self.addCleanup(one.close)
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        self.faulty(full.getsockname()[1], "reach", "a firewall drops", "let this server connect")

    def test_a_host_without_an_address(self):
        self.faulty(104, "reach", "not known to this server's name look-up", "correct the host", host="pacs.invalid")

    def test_a_web_server_s_port(self):
        web = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        web.RequestHandlerClass.log_message = lambda *_: None
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        self.addCleanup(web.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(web.shutdown)
        self.faulty(web.server_address[1], "title", "a web server's port", "enter the DICOM port")

    def test_segmentations_refused(self):
        self.faulty(self.storescp("-xf", self.path("scp.cfg", PROFILE), "Default"), "classes", "Segmentation", "allow these storage classes")

    # ---- TLS

    def secure(self, names="DNS:localhost,IP:127.0.0.1", days=30, signer="authority", more=""):
        """A server with TLS, and openssl's as the far side; the port of that."""
        ours, strangers = Authority(self.folder, "authority"), Authority(self.folder, "stranger")
        pem, key = ours.sign("server")
        by = {"authority": ours, "stranger": strangers, "issuing": Authority.between(ours, "issuing"), "ended": Authority.between(ours, "ended", days=-1)}
        believed = self.path("believed.pem", "".join(open(by[name].pem, encoding="ascii").read() for name in ("authority", "ended")))
        server = self.serve(f"tls: {{certificate: {pem}, key: {key}, authorities: {believed}}}\n")
        theirs = by[signer].sign("pacs", days=days, names=names, more=more)
        port = free_port()
        self.far("openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert", theirs[0], "-key", theirs[1], port=port)
        return server, port

    def test_tls_spoken_to_a_plain_port(self):
        server, _ = self.secure()
        self.faulty(self.storescp(), "tls", "speaks no TLS", "enter the port where pacs speaks TLS", server=server, tls="required")

    def test_plain_spoken_to_a_tls_port(self):
        server, port = self.secure()
        self.faulty(port, "title", "speaks TLS", "tls: required", server=server)

    def test_an_expired_certificate(self):
        server, port = self.secure(days=-1)
        self.faulty(port, "tls", "has ended", "renew its certificate", server=server, tls="required")

    def test_an_authority_that_has_ended_is_told_from_a_certificate_that_has(self):
        server, port = self.secure(signer="ended")
        self.faulty(port, "tls", "an authority above the certificate of pacs has ended, and it is one of ours", "the file of tls.authorities", server=server, tls="required")

    def test_an_issuer_that_the_far_side_does_not_send(self):
        server, port = self.secure(signer="issuing")
        self.faulty(port, "tls", "its issuer CN=issuing is not known here, and nothing was sent behind it", "send the issuer's certificate behind its own", server=server, tls="required")

    def test_a_certificate_for_clients_alone(self):
        server, port = self.secure(more="extendedKeyUsage=clientAuth\n")
        self.faulty(port, "tls", "it is for clients alone (clientAuth), and needs serverAuth", "enter the fingerprint", server=server, tls="required")

    def test_a_certificate_of_another_host(self):
        server, port = self.secure(names="DNS:elsewhere.example")
        self.faulty(port, "tls", "not made out for 127.0.0.1", "subject alternative names", server=server, tls="required")

    def test_an_unknown_authority(self):
        server, port = self.secure(signer="stranger")
        self.faulty(port, "tls", "an authority that this server does not know", "tls.authorities", server=server, tls="required")

    def test_another_certificate_of_an_hl7_target_than_its_entry_has(self):
        server, port = self.secure()
        entry = {"host": "127.0.0.1", "port": port, "tls": "required"}
        server.put_json("/api/hl7-targets/ris", {**entry, "certificate": fingerprint(os.path.join(self.folder, "authority.pem"))})
        self.named(self.check(server, "ris", "hl7"), "tls", "another certificate", "fingerprint")
        server.put_json("/api/hl7-targets/ris", {**entry, "certificate": ""})
        self.step(self.check(server, "ris", "hl7"), "tls", "ok")

    def test_a_certificate_of_ours_that_ends_soon(self):
        ours = Authority(self.folder, "authority")
        for days, state in ((90, "ok"), (10, "warning")):
            pem, key = ours.sign("server", days=days)
            server = self.serve(f"tls: {{certificate: {pem}, key: {key}, authorities: {ours.pem}}}\n")
            self.named(self.check(server, "certificate", "tls"), "certificate", "our certificate ends at", "" if state == "ok" else "renew the file", state)

    # ---- who calls us

    def call(self, server, calling, called):
        subprocess.run(["echoscu", "-aet", calling, "-aec", called, "127.0.0.1", str(server.dicom)], capture_output=True, timeout=60, check=False)

    def test_a_sender_that_calls_another_title(self):
        server = self.serve()
        self.enter(server, "ct1", 104, title="CT1", rights=("store",))
        self.step(self.check(server, "ct1"), "calls", "unknown")
        for _ in range(3):
            self.call(server, "CT1", "HILUMX")
        self.named(self.check(server, "ct1"), "calls", "CT1 at 127.0.0.1 called HILUMX 3 times", "enter HILUM as the called AE title")
        self.call(server, "CT1", "HILUM")
        self.step(self.check(server, "ct1"), "calls", "ok")

    def test_a_caller_without_an_entry_is_listed_until_he_is_let_in(self):
        server = self.serve()
        self.call(server, "CT9", "HILUMX")
        (caller,) = [one for one in server.get_json("/api/connections") if one["kind"] == "caller"]
        self.assertEqual(caller["name"], "CT9 at 127.0.0.1")
        self.named(self.check(server, caller["name"], "caller"), "calls", "we are called HILUM", "enter HILUM")

    def test_a_sender_without_an_issuer_beside_another_sender(self):
        server = self.serve()
        self.enter(server, "ct1", 104, title="CT1", rights=("store",))
        self.assertNotIn("issuer", [one["step"] for one in self.check(server, "ct1")["steps"]])
        self.enter(server, "ct2", 104, title="CT2", rights=("store",), issuer="SITE_B")
        self.named(self.check(server, "ct1"), "issuer", "patient IDs would merge", "--issuer", state="warning")

    def heard(self, server, speaks):
        """The row of who spoke another protocol, checked."""
        (row,) = wait_until(lambda: [one for one in server.get_json("/api/connections") if one["kind"] == "caller" and speaks in one["about"]], 10, f"a row of {speaks}")
        return self.check(server, row["name"], "caller")

    def test_a_browser_at_our_dicom_port(self):
        server = self.serve()
        for _ in range(3):
            subprocess.run(["curl", "-s", "-m", "5", f"http://127.0.0.1:{server.dicom}/"], check=False, timeout=60)
        self.named(self.heard(server, "HTTP to our DICOM port"), "calls", "127.0.0.1 spoke HTTP to our DICOM port 3 times", "the port of http.listen")
        self.assertEqual(server.log().count("127.0.0.1 speaks HTTP to our DICOM port"), 1)

    def test_a_scanner_and_a_browser_with_https_at_our_http_port(self):
        server = self.serve()
        for _ in range(3):
            self.assertNotEqual(subprocess.run(["echoscu", "-to", "5", "-ta", "5", "-aec", "HILUM", "127.0.0.1", str(server.http)], capture_output=True, timeout=60, check=False).returncode, 0)
        self.named(self.heard(server, "DICOM to our HTTP port"), "calls", "127.0.0.1 spoke DICOM to our HTTP port 3 times", "the port of dicom.listen")
        self.assertEqual(server.log().count("127.0.0.1 speaks DICOM to our HTTP port"), 1)
        subprocess.run(["curl", "-sk", "-m", "5", f"https://127.0.0.1:{server.http}/"], check=False, timeout=60)
        self.named(self.heard(server, "TLS to our HTTP port without TLS"), "calls", "spoke TLS to our HTTP port", "http:// in place of https://")

    def test_tls_at_our_plain_dicom_port_and_the_other_way_round(self):
        ours = Authority(self.folder, "authority")
        pem, key = ours.sign("server")
        port = free_port()
        server = self.serve(f"dicom: {{tls_listen: '127.0.0.1:{port}'}}\ntls: {{certificate: {pem}, key: {key}, authorities: {ours.pem}}}\n")
        subprocess.run(["echoscu", "-to", "5", "-aec", "HILUM", "+tla", "+cf", ours.pem, "127.0.0.1", str(server.dicom)], capture_output=True, timeout=60, check=False)
        self.named(self.heard(server, "TLS to our DICOM port without TLS"), "calls", "spoke TLS", "dicom.tls_listen")
        subprocess.run(["echoscu", "-to", "5", "-aec", "HILUM", "127.0.0.1", str(port)], capture_output=True, timeout=60, check=False)
        self.named(self.heard(server, "without TLS to our DICOM port of TLS"), "calls", "spoke without TLS", "switch TLS on")

    # ---- the test object

    def test_one_test_object_is_sent_when_it_is_asked_for(self):
        server, far = self.serve(), self.serve()
        self.enter(server, "pacs", far.dicom, title="HILUM")
        self.check(server, "pacs")
        self.assertEqual(far.get_json("/dicom-web/instances"), [])
        for _ in range(2):
            said = server.command("check", "pacs", "--test-object", "--server", server.url("")).stdout
            self.assertIn("pacs took the test object with status 0000H; patient HILUM^TEST", said)
        (study,) = far.get_json("/dicom-web/studies")
        self.assertEqual((study["00100010"]["Value"], study["00201208"]["Value"]), ([{"Alphabetic": "HILUM^TEST"}], [1]))
        uid = study["0020000D"]["Value"][0]
        _, headers, body = far.request(f"/dicom-web/studies/{uid}", headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
        path = os.path.join(self.folder, "object.dcm")
        ((_, content),) = multipart(headers, body)
        with open(path, "wb") as file:
            file.write(content)
        judged = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=60, check=False)
        self.assertNotIn("Error", judged.stdout + judged.stderr)
        self.assertIn("TEST OBJECT, NO PATIENT", subprocess.run(["dcmdump", path], capture_output=True, text=True, timeout=60, check=True).stdout)

    def ask(self, server, kind, name, body):
        status, _, answer = server.request(f"/api/connections/{kind}/{name}/check", "POST", json.dumps(body).encode())
        return status, json.loads(answer)

    def test_what_becomes_of_a_test_object_that_is_not_taken(self):
        space = os.statvfs(tempfile.gettempdir())
        server, full = self.serve(), self.serve(f"disk: {{low_water_mb: {(space.f_bavail * space.f_frsize >> 20) + 10000}}}\n")
        self.enter(server, "full", full.dicom, title="HILUM")
        self.named(self.ask(server, "peer", "full", {"test_object": True})[1], "test object", "did not take the test object: status A700H", "A7xx says that it has no room")
        self.enter(server, "picky", self.storescp("-xf", self.path("scp.cfg", PROFILE), "Default"))
        self.named(self.ask(server, "peer", "picky", {"test_object": True})[1], "test object", "does not take Secondary Capture", "")
        self.enter(server, "closed", free_port(), title="CLOSED")
        self.step(self.ask(server, "peer", "closed", {"test_object": True})[1], "test object", "unknown")
        self.enter(server, "ct1", 104, title="CT1", rights=("store",))
        for kind, name, body, says in (("peer", "ct1", {"test_object": True}, "has none"), ("disk", "data", {"test_object": True}, "has none"), ("peer", "full", {"test_object": "yes"}, "neither true nor false"), ("peer", "full", {"object": True}, "which nobody reads")):
            status, answer = self.ask(server, kind, name, body)
            self.assertEqual(status, 400)
            self.assertIn(says, answer["detail"])
        self.assertEqual(server.command("check", "--test-object", "--server", server.url(""), check=False).returncode, 2)

    # ---- what is ours

    def test_a_clock_that_is_not_ours(self):
        """Both times are named; whose is right says the kernel, of ours."""
        moment = datetime.datetime.now(datetime.timezone.utc)
        late = Listener(manners=(), when=(moment - datetime.timedelta(hours=1)).strftime("%Y%m%d%H%M%S+0000"))
        good = Listener(manners=(), when=(moment.astimezone(datetime.timezone(datetime.timedelta(hours=2)))).strftime("%Y%m%d%H%M%S.%f")[:18] + "+0200")
        silent = Listener(manners=(), when=moment.strftime("%Y%m%d"))
        for listener in (late, good, silent):
            self.addCleanup(listener.stop)
        server = self.serve()
        for name, listener in (("late", late), ("good", good), ("silent", silent)):
            server.put_json(f"/api/hl7-targets/{name}", {"host": "127.0.0.1", "port": listener.port})
        self.assertEqual(server.stop(), 0)
        put_in(server, [("hl7", name, f"M-{name}") for name in ("late", "good", "silent")])
        server.start()
        wait_until(lambda: late.accepted and good.accepted and silent.accepted, 10, "all are told")
        steps = wait_until(lambda: [one for one in [[one for one in self.check(server, "clock", "clock")["steps"] if one["step"] == "clock of others"]] if len(one) == 2], 10, "what was heard")[0]
        states = {one["said"].split()[0]: one for one in steps}
        self.assertEqual({name: one["state"] for name, one in states.items()}, {"late": "warning", "good": "ok"})
        self.assertRegex(states["late"]["said"], r"late said that it was \S+Z \(MSH-7\) when it was \S+Z here: 36\d\d s behind")
        self.named(self.check(server, "late", "hl7"), "clock of others", "behind", "clock", state="warning")
        self.assertNotIn("clock of others", str(self.check(server, "silent", "hl7")))

    def test_our_clock_is_synchronised_where_the_kernel_says_so(self):
        error, unsynchronised = 5, 0x40  # TIME_ERROR and STA_UNSYNC, adjtimex(2)
        timex = (ctypes.c_long * 64)()  # modes 0 asks only; status is its sixth, on machines of 64 bits
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
        expected = "unknown" if answer < 0 else "warning" if answer == error or timex[5] & unsynchronised else "ok"
        self.step(self.check(self.serve(), "clock", "clock"), "synchronised", expected)

    def test_a_full_disk(self):
        space = os.statvfs(tempfile.gettempdir())
        server = self.serve(f"disk: {{low_water_mb: {(space.f_bavail * space.f_frsize >> 20) + 10000}}}\n")
        self.named(self.check(server, "data", "disk"), "space", "the disk is full", "a larger disk")

    def test_hl7_targets_are_reached_and_told_nothing(self):
        server = self.serve()
        server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": free_port()})
        self.named(self.check(server, "ris", "hl7"), "reach", "port is closed", "start its service")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server.put_json("/api/hl7-targets/lis", {"host": "127.0.0.1", "port": listener.getsockname()[1]})
            self.step(self.check(server, "lis", "hl7"), "answer", "unknown")
            with listener.accept()[0] as connection:
                self.assertEqual(connection.recv(1), b"")

    # ---- the command

    def test_the_command_prints_the_same_and_fails_when_something_failed(self):
        server = self.serve()
        self.enter(server, "pacs", free_port())
        bad = server.command("check", "pacs", "--server", server.url(""), check=False)
        self.assertEqual(bad.returncode, 1)
        self.assertIn("port is closed", bad.stdout)
        self.assertIn("on the side of pacs", bad.stdout)
        good = server.command("check", "data", "--json", "--server", server.url(""))
        self.assertEqual([one["state"] for one in json.loads(good.stdout)], ["ok"])
        self.assertEqual(server.command("check", "nobody", "--server", server.url(""), check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
