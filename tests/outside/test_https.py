#!/usr/bin/python3
"""HTTPS: curl, Python's ssl and the openssl program as browsers, with a certificate of an authority that `hilum cert` makes; and proxies in front (RFC 7239)."""

import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import websocket
from harness import ROOT, Hilum, free_port, pydicom_files, wait_for_port, wait_until
from test_tls import Authority

ELSEWHERE = "192.0.2.7"


def a_file(name):
    return next(path for path in pydicom_files() if os.path.basename(path) == name)


class Https(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-https-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.authority = Authority(self.folder, "authority")
        self.certificate, self.key = self.authority.sign("server")

    def start(self, more=""):
        self.port = free_port()
        self.server = Hilum(config=f"http: {{tls_listen: '127.0.0.1:{self.port}'{more}}}\ntls: {{certificate: {self.certificate}, key: {self.key}}}\ndisk: {{low_water_mb: 0}}\n").start()
        self.addCleanup(self.server.__exit__, None, None, None)

    def context(self, **how):
        context = ssl.create_default_context(cafile=self.authority.pem)
        for name, value in how.items():
            setattr(context, name, value)
        return context

    def connect(self, **how):
        return http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.context(**how))

    def curl(self, *arguments):
        return subprocess.run(["curl", "-sS", "--cacert", self.authority.pem, *arguments], capture_output=True, check=True).stdout

    def bring(self, name):
        return json.loads(self.curl("--data-binary", f"@{a_file(name)}", "-H", "Content-Type: application/dicom", f"https://localhost:{self.port}/api/import"))

    def test_objects_go_in_and_out_over_tls_bit_for_bit_as_without(self):
        self.start()
        self.bring("CT_small.dcm")
        study = self.server.get_json("/dicom-web/studies")[0]["0020000D"]["Value"][0]
        path = f"/dicom-web/studies/{study}"
        over_tls = json.loads(self.curl(f"https://localhost:{self.port}{path}/metadata"))
        links = re.findall('"BulkDataURI": ?"([^"]*)"', json.dumps(over_tls))
        self.assertTrue(links and all(link.startswith(f"https://localhost:{self.port}/") for link in links))
        plain = self.server.request(path, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
        both = [plain[2]]
        connection = self.connect()
        for _ in range(3):  # kept open
            connection.request("GET", path, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
            both.append(connection.getresponse().read())
        without_boundary = {re.sub(rb"--[0-9a-f]{32}", b"--", body) for body in both}
        self.assertEqual(len(without_boundary), 1)

    def bring_large(self, rows):
        """An object of one square frame; where the frame is, and its bytes."""
        import pydicom

        data = pydicom.dcmread(a_file("CT_small.dcm"))
        data.Rows = data.Columns = rows
        data.PixelData = os.urandom(rows * rows * 2)
        path = os.path.join(self.folder, "large.dcm")
        data.save_as(path)
        self.curl("--data-binary", f"@{path}", "-H", "Content-Type: application/dicom", f"https://localhost:{self.port}/api/import")
        return f"/dicom-web/studies/{data.StudyInstanceUID}/series/{data.SeriesInstanceUID}/instances/{data.SOPInstanceUID}/frames/1", data.PixelData

    def test_a_body_and_an_answer_of_many_megabytes_arrive_whole(self):
        self.start()
        url, pixels = self.bring_large(3000)
        self.assertEqual(self.curl("-H", "Accept: application/octet-stream", f"https://localhost:{self.port}{url}"), pixels)

    def test_who_has_asked_and_closed_his_side_gets_the_whole_answer(self):
        self.start()
        url, pixels = self.bring_large(1000)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        wire = self.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("localhost", self.port), timeout=20) as plain:

            def carry(what, *arguments):
                while True:
                    try:
                        return what(*arguments)
                    except ssl.SSLWantReadError:
                        plain.sendall(outgoing.read())
                        data = plain.recv(1 << 16)
                        incoming.write(data) if data else incoming.write_eof()

            carry(wire.do_handshake)
            wire.write(f"GET {url} HTTP/1.1\r\nHost: localhost\r\nAccept: application/octet-stream\r\nConnection: close\r\n\r\n".encode())
            with self.assertRaises(ssl.SSLWantReadError):
                wire.unwrap()  # our close_notify, before an answer has come
            answer = b""
            try:
                while more := carry(wire.read, 1 << 16):
                    answer += more
            except ssl.SSLError:  # the other side's end
                pass
        body = answer.partition(b"\r\n\r\n")[2]
        self.assertTrue(body == pixels, f"{len(body)} bytes of {len(pixels)}")

    def test_events_come_over_tls_as_they_happen(self):
        self.start()
        connection = self.connect()
        connection.request("GET", "/api/events")
        stream = connection.getresponse()
        self.assertEqual(stream.readline(), b":\n")
        self.bring("CT_small.dcm")
        lines = b""
        while b"object.stored" not in lines:
            lines += stream.readline()
        stream.close()

    def test_who_says_http_to_the_port_of_https_is_told_the_address_and_heard_as_is_a_scanner(self):
        self.start()
        said = subprocess.run(["curl", "-sS", "-i", "-m", "10", "-d", "x" * 100000, f"http://localhost:{self.port}/api/status"], capture_output=True, text=True, check=True).stdout
        self.assertTrue(said.startswith("HTTP/1.1 400 "), said)
        self.assertIn("Content-Type: text/plain", said)
        self.assertTrue(said.endswith(f"Call https://localhost:{self.port}/\n"), said)
        with socket.create_connection(("127.0.0.1", self.port)) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n")
            self.assertIn(b"Call https:// and the same name and port.", plain.recv(1000))
        subprocess.run(["echoscu", "-to", "5", "-ta", "5", "-aec", "HILUM", "127.0.0.1", str(self.port)], capture_output=True, check=False)
        callers = [row["name"] for row in self.server.get_json("/api/connections") if row["kind"] == "caller"]
        self.assertEqual(callers, ["127.0.0.1: HTTP without TLS to our HTTPS port", "127.0.0.1: DICOM to our HTTPS port"])
        self.assertEqual(self.curl(f"https://localhost:{self.port}/healthz") != b"", True)

    def test_what_others_will_find_wrong_with_our_certificate_is_told_here(self):
        between = Authority.between(self.authority, "issuing")
        self.certificate, self.key = between.sign("alone", more="extendedKeyUsage=clientAuth\n")
        self.start(more=", names: pacs.hospital.example")
        self.assertIn("our certificate's issuer CN=issuing is not behind it", self.server.log())
        bearer = {"Authorization": f"Bearer {self.server.token()}", "Content-Type": "application/json"}
        rows = {row["name"]: row for row in (json.loads(self.server.request(f"/api/connections/{name}/check", "POST", b"{}", bearer)[2]) for name in ("tls/certificate", "server/listeners"))}
        said = [step["said"] for step in rows["certificate"]["steps"] if step["state"] == "failed"]
        for one, words in zip(said, ("issuer CN=issuing is not behind it", "not made out for a server", "none of http.names (pacs.hospital.example)"), strict=True):
            self.assertIn(words, one)
        self.assertIn(f"HTTPS at 127.0.0.1:{self.port}", [step["said"] for step in rows["listeners"]["steps"]])
        path = os.path.join(self.folder, "hilum.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"http: {{tls_listen: '127.0.0.1:{self.port}', names: pacs.hospital.example}}\ntls: {{certificate: {self.certificate}, key: {self.key}}}\n")
        warned = self.server.command("config", "check", path).stderr
        for words in ("issuer CN=issuing is not behind it", "not made out for a server", "none of http.names"):
            self.assertIn(words, warned)

    def test_tls_1_1_gets_nothing_and_the_server_goes_on(self):
        self.start()
        old = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True)
        self.assertNotIn(b"Cipher is ECDHE", old.stdout)
        for version in ("TLSv1_2", "TLSv1_3"):
            wanted = getattr(ssl.TLSVersion, version)
            connection = self.connect(minimum_version=wanted, maximum_version=wanted)
            connection.request("GET", "/healthz")
            self.assertEqual(connection.getresponse().status, 200)

    def test_answers_over_tls_tell_the_browser_to_stay_with_it(self):
        self.start()
        headers = self.curl("-D", "-", "-o", "/dev/null", f"https://localhost:{self.port}/api/status").decode()
        self.assertIn("Strict-Transport-Security: max-age=31536000", headers)
        self.assertNotIn("Strict-Transport-Security", str(self.server.request("/api/status")[1]))

    def test_a_renewed_certificate_is_shown_without_a_restart(self):
        self.start()
        first = ssl.get_server_certificate(("127.0.0.1", self.port))
        self.authority.sign("server")
        wait_until(lambda: ssl.get_server_certificate(("127.0.0.1", self.port)) != first, 10, "the new certificate is shown")

    def test_handshakes_that_stall_and_idle_connections_keep_nobody_out(self):
        self.start()
        stalled = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(300)]
        began = time.monotonic()
        connection = self.connect()
        connection.request("GET", "/healthz")
        self.assertEqual(connection.getresponse().status, 200)
        self.assertLess(time.monotonic() - began, 2)
        idle = [self.connect() for _ in range(280)]
        for one in idle:
            one.connect()
        late = self.connect()
        late.request("GET", "/healthz")
        self.assertEqual(late.getresponse().status, 200)
        self.assertLessEqual(len(re.findall("TLS handshakes that did not end", self.server.log())), 1)
        for one in stalled + idle + [late, connection]:
            one.close()

    def test_a_reader_that_takes_nothing_holds_up_no_stop(self):
        self.start()
        self.bring("CT_small.dcm")
        connection = self.connect()
        connection.request("GET", "/api/events")
        began = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - began, 5)
        connection.close()

    # ---- who is not on loopback, and proxies

    def test_who_comes_from_elsewhere_by_a_proxy_is_told_from_who_is_here(self):
        self.start(", names: pacs.example.org, trusted_proxies: 127.0.0.1")
        here = self.server.request("/healthz", headers={"Host": "pacs.example.org"})
        self.assertEqual(here[0], 200)
        self.assertEqual(self.server.request("/api/status")[0], 401)  # whoever it is: all of them come from loopback
        command = {"Authorization": "Bearer " + pathlib.Path(self.server.data, "token").read_text(encoding="ascii").strip()}
        self.assertEqual(self.server.request("/api/status", headers=command)[0], 200)
        self.assertEqual(self.server.request("/api/status", headers=dict(command, **{"X-Forwarded-For": ELSEWHERE}))[0], 401)
        for header in ({"X-Forwarded-For": ELSEWHERE}, {"Forwarded": f'for={ELSEWHERE};proto=https'}, {"X-Forwarded-For": f"127.0.0.1, {ELSEWHERE}"}, {"Forwarded": 'for="[2001:db8::1]:4711"'}):
            status, _, body = self.server.request("/api/status", headers=dict(header, Host="pacs.example.org"))
            self.assertEqual(status, 401, header)
        self.assertEqual(self.server.request("/api/status", headers={"Host": "other.example.org"})[0], 403)
        wait_until(lambda: ELSEWHERE in "".join(path.read_text() for path in pathlib.Path(self.server.data).glob("audit-*.log")), 5, "the client's address is in the audit trail")

    def test_proxies_are_trusted_by_range_too(self):
        for ranges, trusted in (("10.0.0.0/8, 127.0.0.0/9", True), ("127.128.0.0/9", False), ("fd00::/8", False), ("127.0.0.1/32", True)):
            self.start(f", trusted_proxies: '{ranges}'")
            command = {"Authorization": f"Bearer {self.server.token()}"}
            self.assertEqual(self.server.request("/api/status", headers=command)[0], 200)
            status = self.server.request("/api/status", headers=dict(command, **{"X-Forwarded-For": ELSEWHERE}))[0]
            self.assertEqual(status, 401 if trusted else 200, ranges)  # the commands' token counts from here alone
            self.server.stop()

    def raw(self, *lines):
        """The status of a request by a bare socket, with these header lines."""
        with socket.create_connection(("127.0.0.1", self.server.http), timeout=20) as s:
            s.sendall(("GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + "".join(line + "\r\n" for line in lines) + "\r\n").encode())
            return int(s.makefile("rb").readline().split()[1])

    def said(self, address):
        return any(address in path.read_text() for path in pathlib.Path(self.server.data).glob("audit-*.log"))

    def test_what_a_client_says_of_itself_counts_for_nothing_behind_a_proxy_that_adds_lines_or_passes_the_other_kind_on(self):
        self.start(", trusted_proxies: 127.0.0.1")
        self.assertEqual(self.raw("X-Forwarded-For: 192.0.2.66", f"X-Forwarded-For: {ELSEWHERE}"), 401)
        self.assertEqual(self.raw("Forwarded: for=192.0.2.66", f"Forwarded: for={ELSEWHERE};proto=https"), 401)
        wait_until(lambda: self.said(ELSEWHERE), 5, "the client's address is in the audit trail")
        for lines in (("Forwarded: for=192.0.2.66", f"X-Forwarded-For: {ELSEWHERE}"), ("Forwarded: for=192.0.2.66", "X-Forwarded-Proto: https"),
                      (f"Forwarded: for={ELSEWHERE}", f"X-Forwarded-For: {ELSEWHERE}", "X-Forwarded-Proto: https"), (f'Forwarded: host="a;for=192.0.2.66";for={ELSEWHERE}',), ('Forwarded: for="192.0.2.66',)):
            self.assertEqual(self.raw(*lines), 400, lines)
        self.assertEqual(self.raw(f"Forwarded: for={ELSEWHERE};proto=https", f"X-Forwarded-For: {ELSEWHERE}", "X-Forwarded-Proto: https"), 401)
        self.assertFalse(self.said("192.0.2.66"))

    def nginx(self):
        """Debian's, with the file that deploy/ gives for it, and this test's names and ports. Returns its port."""
        port = free_port()
        text = pathlib.Path(ROOT, "deploy/nginx.conf").read_text(encoding="utf-8")
        for old, new in (("127.0.0.1:8080", f"127.0.0.1:{self.server.http}"), ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"), ("/etc/ssl/private/pacs.hospital.example.key", self.key),
                         ("/etc/ssl/pacs.hospital.example.pem", self.certificate), ("pacs.hospital.example", "localhost")):
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = os.path.join(self.folder, "nginx.conf")
        folders = "".join(f"{what}_temp_path {self.folder}/{what};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        pathlib.Path(path).write_text(f"daemon off; master_process off; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.log;\nevents {{}}\nhttp {{ access_log off;\n{folders}{text} }}\n", encoding="utf-8")
        process = subprocess.Popen(["/usr/sbin/nginx", "-e", f"{self.folder}/nginx.log", "-c", path])
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        wait_for_port(port, process=process)
        return port

    def test_behind_a_proxy_that_nobody_has_told_of_nobody_is_this_machine_s(self):
        """Without logins who is here may do everything; nginx's plain proxy_pass asks with our own address as Host, by HTTP/1.0."""
        self.start()
        self.bring("CT_small.dcm")
        for name, value in (("X-Forwarded-For", ELSEWHERE), ("Forwarded", f"for={ELSEWHERE}"), ("Via", "1.1 proxy"), ("X-Real-IP", ELSEWHERE)):
            status, _, body = self.server.request("/dicom-web/studies", headers={name: value})
            self.assertEqual((status, b"http.trusted_proxies" in body), (403, True), name)
            self.assertEqual(self.server.request("/healthz", headers={name: value})[0], 200)
        if shutil.which("nginx"):
            port = free_port()
            path = os.path.join(self.folder, "plain.conf")
            pathlib.Path(path).write_text(f"daemon off; pid {self.folder}/pid; error_log stderr; events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{self.server.http}; }} }} }}\n", encoding="ascii")
            nginx = subprocess.Popen(["nginx", "-p", self.folder, "-c", path], stderr=subprocess.DEVNULL)
            self.addCleanup(lambda: (nginx.terminate(), nginx.wait()))
            wait_for_port(port)
            answer = subprocess.run(["curl", "-s", "-w", " %{http_code}", f"http://127.0.0.1:{port}/dicom-web/studies"], capture_output=True, text=True, check=True).stdout
            self.assertTrue(answer.endswith(" 403") and "http.trusted_proxies" in answer, answer)

    def test_behind_nginx_with_the_file_of_deploy_all_works_as_before_it(self):
        self.start(", names: pacs.hospital.example, trusted_proxies: 127.0.0.1")
        url = f"https://localhost:{self.nginx()}"
        token = "Authorization: Bearer " + pathlib.Path(self.server.data, "token").read_text(encoding="ascii").strip()
        headers = self.curl("-D", "-", "-o", "/dev/null", f"{url}/healthz").decode()
        self.assertIn(" 200 ", headers)
        self.assertIn("Strict-Transport-Security", headers)
        code = ["-o", "/dev/null", "-w", "%{http_code}"]
        self.assertEqual(self.curl(*code, f"{url}/api/status"), b"401")
        self.assertEqual(self.curl(*code, "-H", "Forwarded: for=192.0.2.66", "-H", "X-Forwarded-For: 192.0.2.66", f"{url}/api/status"), b"401")
        self.assertFalse(self.said("192.0.2.66"))
        changes = ["--data-binary", f"@{a_file('CT_small.dcm')}", "-H", "Content-Type: application/dicom", "-H", token]
        self.assertEqual(self.curl(*code, *changes, "-H", "Origin: https://other.example", f"{url}/api/import"), b"403")
        self.assertEqual(self.curl(*code, *changes, "-H", f"Origin: {url}", f"{url}/api/import"), b"200")
        study = json.loads(self.curl("-H", token, f"{url}/dicom-web/studies"))[0]["0020000D"]["Value"][0]
        self.assertIn(f'"{url}/', self.curl("-H", token, f"{url}/dicom-web/studies/{study}/metadata").decode())
        events = subprocess.Popen(["curl", "-sSN", "--cacert", self.authority.pem, "-H", token, f"{url}/api/events"], stdout=subprocess.PIPE)
        self.assertEqual(events.stdout.readline(), b":\n")  # at once, though nothing has happened
        events.terminate()
        events.communicate()
        one = websocket.create_connection(f"{url.replace('https', 'wss')}/api/events", timeout=20, header=[token], origin=url, sslopt={"ca_certs": self.authority.pem})
        self.assertIn("id", json.loads(one.recv()))
        one.close()

    @unittest.skipUnless(shutil.which("testssl"), "testssl is not installed")
    def test_testssl_finds_nothing_of_medium_or_more(self):
        self.start()
        found = os.path.join(self.folder, "found.json")
        subprocess.run(["testssl", "--quiet", "--color", "0", "--nodns", "none", "--add-ca", self.authority.pem, "--jsonfile", found, "-p", "-s", "-f", "-U", f"localhost:{self.port}"], stdout=subprocess.DEVNULL, timeout=500)
        lines = json.loads(pathlib.Path(found).read_text(encoding="utf-8"))
        self.assertGreater(len([line for line in lines if line["severity"] == "OK"]), 10)
        # That testssl's own openssl has no engine is nothing of the server's.
        self.assertEqual([line for line in lines if line["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL") and line["id"] != "engine_problem"], [])

    def test_what_a_client_says_of_itself_counts_for_nothing(self):
        self.start()
        self.assertEqual(self.server.request("/healthz", headers={"X-Forwarded-For": ELSEWHERE, "X-Forwarded-Proto": "https"})[0], 200)
        self.assertNotIn("Strict-Transport-Security", str(self.server.request("/healthz", headers={"X-Forwarded-Proto": "https"})[1]))

    def test_names_and_proxies_that_are_none_are_refused_with_their_line(self):
        for line, said in (("names: 'https://pacs/'", "no host name"), ("trusted_proxies: proxy.example.org", "no numeric address"), ("trusted_proxies: '10.0.0.0/33'", "no range of such"), ("trusted_proxies: '::/0'", "no range of such")):
            path = os.path.join(self.folder, "bad.yaml")
            pathlib.Path(path).write_text(f"http: {{{line}}}\n", encoding="utf-8")
            done = subprocess.run([os.environ.get("HILUM", "build/hilum"), "config", "check", path], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
