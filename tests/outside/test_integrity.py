#!/usr/bin/python3
"""What is missing or was changed behind the server's back is told: database, packs, audit trail, and the anchor that joins them (docs/store-format.md, "Identity" and "Rebuild")."""

import glob
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
from corpus import ROOT, Peer
from harness import HILUM, Hilum, Orthanc, free_port, wait_until
from hl7_listener import Listener
from test_outbox import put_in


def alarms(server):
    """The alarms of the last start, as the log has them."""
    log = server.log()
    return [line for line in log[log.rfind(" sandbox: "):].splitlines() if " error   alarm " in line]


def path_of(number):
    return f"/dicom-web/studies/{ROOT}.{number}/series/{ROOT}.{number}.0/instances/{ROOT}.{number}.1"


def store(server, *numbers):
    """An association each, so a pack each."""
    for number in numbers:
        with Peer(server.dicom) as peer:
            assert peer.associate(calling="TEST") == 2
            status = peer.store(corpus.sound(number), f"{ROOT}.{number}.1")
            assert status == 0, f"object {number} was answered {status:04X}H"


class Folder(unittest.TestCase):
    """A data folder with a server that comes and goes."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-test-")
        self.data = os.path.join(self.folder, "data")
        self.server = None

    def tearDown(self):
        if self.server:
            self.server.kill()
            os.unlink(self.server.log_path)
        shutil.rmtree(self.folder)

    def start(self):
        self.server = Hilum(self.data, config="disk:\n  low_water_mb: 0\n")
        return self.server.start()

    def stop(self):
        self.assertEqual(self.server.stop(), 0)

    def packs(self):
        """Once no file in packs/ has its name in lanes/ too."""
        wait_until(lambda: not glob.glob(self.path("lanes", "*.lane")), 10, "the pack")
        return sorted(glob.glob(self.path("packs", "*.pack")))

    def path(self, *names):
        return os.path.join(self.data, *names)

    def audit_files(self):
        return sorted(glob.glob(self.path("audit-*.log")))

    def trail(self):
        text = ""
        for path in self.audit_files():
            with open(path, encoding="utf-8") as file:
                text += file.read()
        return text

    def fill(self, *numbers):
        """Stores in a server of its own, and ends it."""
        store(self.start(), *numbers)
        self.stop()
        os.unlink(self.server.log_path)
        self.server = None


class Start(Folder):
    def refused(self):
        done = subprocess.run([HILUM, "serve", "--data", self.data, "--http", f"127.0.0.1:{free_port()}", "--dicom", f"127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("hilum rebuild", done.stderr)
        return done.stderr

    def test_a_folder_that_is_as_it_was_left_starts_without_an_alarm(self):
        self.fill(1, 2)
        server = self.start()
        self.assertEqual(alarms(server), [])
        server.kill()
        self.assertEqual(alarms(self.start()), [])

    def test_without_its_database_it_does_not_start(self):
        self.fill(1)
        for path in glob.glob(self.path("hilum.db*")):
            os.unlink(path)
        self.assertIn("no database", self.refused())
        self.assertFalse(os.path.exists(self.path("hilum.db")))

    def test_with_the_database_of_another_folder_it_does_not_start(self):
        self.fill(1)
        first, self.data = self.data, self.data + "2"
        self.fill(2)
        shutil.copy(os.path.join(first, "hilum.db"), self.path("hilum.db"))
        self.assertIn("another data folder", self.refused())

    def test_with_an_older_database_it_says_so(self):
        self.fill(1)
        shutil.copy(self.path("hilum.db"), self.path("older"))
        self.fill(2)
        os.replace(self.path("older"), self.path("hilum.db"))
        server = self.start()
        self.assertEqual(len(alarms(server)), 1)
        self.assertIn("older copy", alarms(server)[0])
        self.assertEqual(server.request(path_of(2) + "/metadata")[0], 200)

    def test_what_waits_in_an_older_database_is_told_to_nobody_until_somebody_says_that_he_knows(self):
        listener = Listener(manners=())
        self.addCleanup(listener.stop)
        self.fill(1)
        put_in(types.SimpleNamespace(data=self.data), [("hl7", "ris", "M1")])
        shutil.copy(self.path("hilum.db"), self.path("older"))
        server = self.start()
        server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": listener.port})
        wait_until(lambda: len(listener.tries) == 1, 10, "it is told")
        store(server, 2)
        self.stop()
        os.replace(self.path("older"), self.path("hilum.db"))
        server = self.start()
        server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": listener.port})
        self.assertIn("so nothing is sent", " ".join(server.get_json("/healthz")["warnings"]))
        for path in ("DiagnosticReport?study=1.2.3", "DiagnosticReport/1", "Observation?study=1.2.3", "Device/1"):
            status, _, body = server.request(f"/fhir/{path}")
            self.assertEqual((status, json.loads(body)["resourceType"]), (503, "OperationOutcome"), path)
            self.assertIn("older copy", json.loads(body)["issue"][0]["diagnostics"], path)
        time.sleep(3)  # three of the looks that would send it
        self.assertEqual(len(listener.tries), 1)
        self.assertEqual([one["state"] for one in server.get_json("/api/deliveries?state=waiting")], ["waiting"])
        server.command("audit", "acknowledge", "--by", "Ann", "--server", server.url(""))
        wait_until(lambda: len(listener.tries) == 2, 10, "it is told after all")
        self.assertEqual(server.request("/fhir/DiagnosticReport/1")[0], 404)

    def check(self):
        return subprocess.run([HILUM, "audit", "check", self.data], capture_output=True, text=True, timeout=60)

    def test_an_older_database_with_its_anchor_is_told_by_the_trail_at_each_start_until_somebody_says_that_he_knows(self):
        self.fill(1)
        for name in ("hilum.db", "anchor"):
            shutil.copy(self.path(name), self.path(name + ".older"))
        server = self.start()
        server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": 1})  # no object comes, so no pack is newer
        self.stop()
        self.assertEqual(self.check().returncode, 0)
        for name in ("hilum.db", "anchor"):
            os.replace(self.path(name + ".older"), self.path(name))
        for _ in range(2):
            server = self.start()
            self.assertEqual(server.get_json("/api/hl7-targets"), [])
            self.assertEqual(len(alarms(server)), 1)
            self.assertIn("it is an older copy: the audit trail has", alarms(server)[0])
            self.assertIn("hilum audit acknowledge --by NAME", " ".join(server.get_json("/healthz")["warnings"]))
            self.stop()
            done = self.check()
            self.assertEqual(done.returncode, 1)
            self.assertIn("the database is an older copy: ", done.stdout)
            self.assertNotIn("NOT whole", done.stdout)
        server = self.start()
        server.command("audit", "acknowledge", "--by", "Ann", "--server", server.url(""))
        self.assertEqual(server.get_json("/healthz")["status"], "ok")
        self.stop()
        self.assertEqual(self.check().returncode, 0, self.check().stdout)
        self.assertEqual(alarms(self.start()), [])

    def test_a_copy_of_a_running_server_s_database_and_anchor_is_told_by_the_packs_that_came_since(self):
        for end in ("kill", "stop"):
            server = self.start()
            store(server, 1)
            self.packs()
            for name in ("hilum.db", "hilum.db-wal", "anchor"):
                shutil.copy(self.path(name), self.path(name + ".older"))
            store(server, 2)
            self.packs()
            getattr(server, end)()
            for path in glob.glob(self.path("hilum.db-*")):
                if not path.endswith(".older"):
                    os.unlink(path)
            for name in ("hilum.db", "hilum.db-wal", "anchor"):
                os.replace(self.path(name + ".older"), self.path(name))
            server = self.start()
            self.assertEqual(len(alarms(server)), 1)
            self.assertIn("it is an older copy: it does not know of pack ", alarms(server)[0])
            self.assertEqual(server.request(path_of(2) + "/metadata")[0], 200)
            self.stop()
            shutil.rmtree(self.data)

    def test_what_came_since_a_person_looked_is_not_known_to_him(self):
        self.fill(1)
        shutil.copy(self.path("hilum.db"), self.path("older"))
        self.fill(2)
        os.replace(self.path("older"), self.path("hilum.db"))
        server = self.start()
        seen = server.get_json("/api/audit/unknown")
        self.assertEqual(len(seen["tells"]), 1)
        self.assertIn("older copy", seen["tells"][0])
        os.unlink(self.audit_files()[-1])
        wait_until(lambda: len(alarms(server)) == 2, 10, "the break is told")
        say = lambda **body: server.request("/api/audit/acknowledge", "POST", json.dumps(body).encode())[0]
        self.assertEqual((say(by="Ann"), say(by="Ann", version=seen["version"])), (400, 409))
        self.assertEqual(len(alarms(server)), 2)
        shown = server.command("audit", "acknowledge", "--by", "Ann", "--server", server.url("")).stdout.splitlines()
        self.assertEqual(len(shown), 2)
        self.assertEqual(server.get_json("/healthz")["status"], "ok")

    def test_overwritten_pages_of_the_database_are_found(self):
        self.fill(*range(1, 6))
        with sqlite3.connect(self.path("hilum.db")) as db:
            root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='reading_item'").fetchone()
            size = db.execute("PRAGMA page_size").fetchone()[0]
        db.close()
        with open(self.path("hilum.db"), "r+b") as file:
            file.seek((root[0] - 1) * size)
            file.write(os.urandom(size))
        self.server = Hilum(self.data)
        self.server.launch()
        # Whether it starts follows from which page it was; that it says what to do does not.
        wait_until(lambda: "hilum rebuild" in self.server.log(), 20, "the damage is told")

    def test_a_pack_that_is_gone_is_told_and_its_objects_are_no_404(self):
        self.fill(1, 2)
        os.unlink(sorted(glob.glob(self.path("packs", "*.pack")))[0])
        server = self.start()
        self.assertEqual(len(alarms(server)), 1)
        self.assertIn("(1)", alarms(server)[0])
        status, _, body = server.request(path_of(1))
        self.assertEqual(status, 500)
        self.assertIn(b"restore it from a backup", body)
        self.assertEqual(server.request(path_of(2))[0], 200)

    def test_an_audit_trail_that_was_cut_is_told(self):
        self.fill(1)
        path = self.audit_files()[0]
        with open(path, "rb") as file:
            lines = file.readlines()
        with open(path, "wb") as file:
            file.writelines(lines[:-1])
        server = self.start()
        self.assertEqual(len(alarms(server)), 1)
        self.assertIn("was cut off", alarms(server)[0])
        with open(self.audit_files()[1], encoding="utf-8") as file:
            self.assertIn("was cut off", file.readline())

    def test_a_trail_that_is_gone_is_told_at_each_start_until_somebody_says_that_he_knows(self):
        self.fill(1)
        check = lambda: subprocess.run([HILUM, "audit", "check", self.data], capture_output=True, text=True, timeout=60)
        for path in self.audit_files():
            os.unlink(path)
        for _ in range(2):
            server = self.start()
            self.assertEqual(len(alarms(server)), 1)
            self.assertIn("hilum audit acknowledge --by NAME", alarms(server)[0])
            self.assertNotEqual(server.get_json("/healthz")["status"], "ok")
            self.stop()
            self.assertEqual(check().returncode, 1)
            self.assertIn("audit-00000001.log is missing", check().stdout)
        server = self.start()
        server.command("audit", "acknowledge", "--by", "Ann", "--server", server.url(""))
        self.assertEqual(server.get_json("/healthz")["status"], "ok")
        self.assertEqual(check().returncode, 0, check().stdout)
        self.stop()
        self.assertEqual(alarms(self.start()), [])


class Running(Folder):
    def test_an_audit_file_that_is_removed_is_told_and_begun_again(self):
        server = self.start()
        os.unlink(self.audit_files()[0])
        wait_until(lambda: alarms(server), 5, "the alarm")
        store(server, 1)
        wait_until(lambda: "TEST" in self.trail(), 5, "the next lines")
        self.assertEqual([os.path.basename(path) for path in self.audit_files()], ["audit-00000002.log"])

    def test_a_pack_that_is_removed_is_told_when_it_is_read(self):
        server = self.start()
        store(server, 1)
        pack = self.packs()[0]
        os.unlink(pack)
        self.assertEqual(server.request(path_of(1))[0], 500)
        self.assertIn("container", alarms(server)[0])

    def test_an_object_that_cannot_be_understood_any_more_is_damaged_and_nobody_s_fault_who_asks(self):
        server = self.start()
        store(server, 1, 2)
        for pack in self.packs():
            with open(pack, "r+b") as file:
                content = file.read()
                file.seek(content.index(f"{ROOT}.1.1".encode()) - 60 if f"{ROOT}.1.1".encode() in content else len(content))
                file.write(bytes(200) if f"{ROOT}.1.1".encode() in content else b"")
        for path in (path_of(1) + "/metadata", path_of(1) + "/frames/1"):
            status, _, body = server.request(path)
            self.assertEqual(status, 500, body)
        self.assertIn("the data do not match their digest", alarms(server)[0])
        self.assertNotEqual(server.get_json("/healthz")["status"], "ok")
        self.assertEqual(server.request(path_of(2) + "/metadata")[0], 200)

    @unittest.skipUnless(os.geteuid() == 0, "only root may give a folder away")
    def test_folders_that_the_server_may_not_write_to_start_nothing_and_are_named(self):
        server = self.start()
        server.stop()
        for root, folders, files in os.walk(self.data):
            for name in (root, *(os.path.join(root, name) for name in (*folders, *files))):
                os.chown(name, 65534, 65534)
        os.chmod(os.path.dirname(self.data), 0o755)
        for part in ("lanes", "packs"):
            os.chown(self.path(part), 0, 0)
            os.chmod(self.path(part), 0o755)
            refused = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", server.program, "serve", "--data", self.data, "--http", f"127.0.0.1:{server.http}", "--dicom",
                                      f"127.0.0.1:{server.dicom}"], capture_output=True, text=True, timeout=60)
            self.assertEqual(refused.returncode, 1, refused.stderr)
            self.assertIn(f"no file can be made in {self.data}/{part} (Permission denied): it must belong to the user that runs the server, uid 65534", refused.stderr)
            os.chown(self.path(part), 65534, 65534)

    def test_a_pack_that_loses_its_end_is_told_when_it_is_read(self):
        server = self.start()
        store(server, 1)
        pack = self.packs()[0]
        os.truncate(pack, 200)
        self.assertEqual(server.request(path_of(1) + "/metadata")[0], 500)
        self.assertIn("container 1: an object in it cannot be read (file ends at offset 200", alarms(server)[0])
        self.assertNotEqual(server.get_json("/healthz")["status"], "ok")


class Damaged(Folder):
    """One byte of the pixels of an object in a pack is another one."""

    def damage(self, number, offset=-1):
        pixels = bytes(range(256)) * 2
        for path in glob.glob(self.path("packs", "*.pack")):
            with open(path, "r+b") as file:
                content = file.read()
                at = content.find(f"{ROOT}.{number}.1".encode())
                if at >= 0:
                    file.seek(content.index(pixels, at) + offset % len(pixels))
                    file.write(b"!")
                    return
        self.fail(f"object {number} is in no pack")

    def cut_off(self, path, **headers):
        with self.assertRaises((http.client.IncompleteRead, ConnectionError, http.client.RemoteDisconnected)) as caught:
            self.server.request(path, headers=headers)
        return getattr(caught.exception, "partial", b"")

    def test_a_reply_with_a_damaged_object_is_cut_off(self):
        self.fill(1, 2)
        self.damage(1, 100)
        server = self.start()
        self.assertEqual(server.request(path_of(1) + "/metadata")[0], 200)
        self.assertEqual(alarms(server), [])
        study = f"/dicom-web/studies/{ROOT}.1"
        for path, accept in ((study, "*/*"), (path_of(1).rsplit("/", 2)[0], "*/*"), (path_of(1), "*/*"), (path_of(1), "application/dicom")):
            self.assertNotIn(b"\r\n--", self.cut_off(path, Accept=accept)[4:])
        self.assertEqual(len(alarms(server)), 1)
        self.assertIn("container 1, offset 64: the data do not match their digest", alarms(server)[0])
        status, _, body = server.request(path_of(2), headers={"Accept": "application/dicom"})
        self.assertEqual((status, body[-512:]), (200, bytes(range(256)) * 2))

    def test_a_long_reply_ends_before_the_end_of_the_damaged_object(self):
        pixels = {0x00280010: ("US", corpus.us(1024)), 0x00280011: ("US", corpus.us(1024)), 0x7FE00010: ("OW", (bytes(range(256)) * 2 + bytes(512)) * 2048)}
        server = self.start()
        with Peer(server.dicom) as peer:
            self.assertEqual(peer.associate(calling="TEST"), 2)
            for number in (1, 2, 3):
                same = {0x0020000D: ("UI", corpus.uid(f"{ROOT}.1")), 0x0020000E: ("UI", corpus.uid(f"{ROOT}.1.0"))}
                self.assertEqual(peer.store(corpus.sound(number, replace={**pixels, **same}), f"{ROOT}.{number}.1"), 0)
        self.stop()
        whole = self.start().request(f"/dicom-web/studies/{ROOT}.1")[2]
        self.damage(2, 0)
        part = self.cut_off(f"/dicom-web/studies/{ROOT}.1")
        self.assertLess(len(part), len(whole) * 2 // 3)
        self.assertGreater(len(part), len(whole) // 3)  # the one in front of it came whole
        self.assertEqual(len(alarms(self.server)), 1)

    def test_a_delivery_of_a_damaged_object_fails_for_good_and_nothing_arrives(self):
        self.fill(1, 2)
        self.damage(1)
        with Orthanc() as orthanc:
            server = self.start()
            server.put_json("/api/peers/pacs", {"title": "ORTHANC", "host": "127.0.0.1", "port": orthanc.dicom, "rights": ["target"], "plain": "accepted"})
            self.stop()
            put_in(server, [("dicom", "pacs", f"{ROOT}.{number}.1") for number in (1, 2)])
            server = self.start()
            dead = wait_until(lambda: server.get_json("/api/deliveries?state=dead"), 10, "it is given up")
            self.assertEqual((dead[0]["subject"], dead[0]["attempts"]), (f"{ROOT}.1.1", 1))
            self.assertIn("do not match their digest", dead[0]["lastError"])
            wait_until(lambda: server.get_json("/api/deliveries?state=done"), 10, "the other one goes")
            self.assertEqual([orthanc.get_json(f"/instances/{i}/tags?simplify")["SOPInstanceUID"] for i in orthanc.get_json("/instances")], [f"{ROOT}.2.1"])
            self.assertEqual(len(alarms(server)), 1)


class AuditCheck(Folder):
    """`hilum audit check`, on trails in several files that were tampered with in each way. The chain is computed here a second time, as src/access/audit_chain.h has it."""

    FIRST = "0" * 64

    def lines(self, number):
        with open(self.path(f"audit-{number:08}.log"), "rb") as file:
            return file.readlines()

    def write(self, number, lines):
        with open(self.path(f"audit-{number:08}.log"), "wb") as file:
            file.writelines(lines)

    def chained(self, lines, value):
        """The lines as a file that continues `value`, and the value of its last one, by the key of the data folder."""
        with open(self.path("audit-key"), encoding="ascii") as file:
            key = bytes.fromhex(file.read().split()[2])
        name = hashlib.sha256(b"hilum audit key" + key).hexdigest()[:16].encode()
        out = []
        for line in lines:
            line = re.sub(rb' previous="[0-9a-f]{64}" key="[0-9a-f]{16}"', b"", line)
            if not out:
                line = line.replace(b' value="', b' previous="%s" key="%s" value="' % (value.encode(), name), 1)
            before, rest = line.split(b' value="', 1)
            text = before + b' value="' + rest[64:].rstrip(b"\n")
            value = hmac.new(key, bytes.fromhex(value) + text, "sha256").hexdigest()
            out.append(before + b' value="' + value.encode() + rest[64:])
        return out, value

    def anchor(self, segment, line, value):
        """docs/store-format.md, "Identity": the newer of two slots names the last line."""
        with open(self.path("anchor"), "r+b") as file:
            data = bytearray(file.read())
            at = max((0, 4096), key=lambda slot: int.from_bytes(data[slot + 8 : slot + 16], "little"))
            data[at + 72 : at + 88] = struct.pack("<QQ", segment, line)
            data[at + 88 : at + 120] = bytes.fromhex(value)
            data[at + 128 : at + 160] = hashlib.sha256(data[at : at + 128]).digest()
            file.seek(0)
            file.write(data)

    def setUp(self):
        super().setUp()
        self.fill(*range(1, 6))
        lines = self.lines(1)
        again, value = self.chained(lines, self.FIRST)
        self.assertEqual(again, lines, "the chain is computed as the server does")
        self.total = len(lines)
        self.assertGreaterEqual(self.total, 7)
        value = self.FIRST
        for number, part in ((1, lines[:2]), (2, lines[2:4]), (3, lines[4:])):
            part, value = self.chained(part, value)
            self.write(number, part)
        self.anchor(3, self.total, value)

    def check(self, status, *words):
        done = subprocess.run([HILUM, "audit", "check", self.data], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (status, ""), done.stdout)
        for word in words:
            self.assertIn(word, done.stdout)
        self.assertEqual("NOT whole" in done.stdout, status != 0)
        return done.stdout.splitlines()

    def test_an_untouched_trail_is_sound_also_while_it_is_written(self):
        shown = self.check(0)
        self.assertEqual(shown, [f"{self.total} of {self.total} lines in 3 of 3 files are sound"])
        server = self.start()
        for number in range(6, 10):
            store(server, number)
            self.check(0, "3 of 3 files are sound")
        self.assertEqual(alarms(server), [])
        self.stop()
        self.check(0, "3 of 3 files are sound")

    def test_a_changed_line_is_found(self):
        lines = self.lines(2)
        self.write(2, [lines[0], lines[1].replace(b"hilum", b"h1lum", 1)])
        shown = self.check(1, f"{self.total - 1} of {self.total} lines in 2 of 3 files")
        self.assertIn("audit-00000002.log line 2: ", shown[0])
        self.assertIn("hilum audit acknowledge --by NAME", shown[1])
        self.assertEqual(len(shown), 3)

    def test_a_removed_line_is_found(self):
        lines = self.lines(3)
        self.write(3, [lines[0]] + lines[2:])
        self.check(1, "audit-00000003.log line 2: lines are missing before it")

    def test_a_removed_file_is_found(self):
        os.unlink(self.path("audit-00000002.log"))
        self.assertEqual(self.check(1)[0], "audit-00000002.log is missing")
        os.unlink(self.path("audit-00000001.log"))
        self.assertEqual(self.check(0)[0], "begins with audit-00000003.log: the files before it are not here")
        os.unlink(self.path("audit-00000003.log"))
        self.check(1, "was cut off")

    def test_an_end_cut_off_is_found(self):
        self.write(3, self.lines(3)[:-1])
        self.check(1, f"line {self.total} of the chain, in audit-00000003.log, is missing")

    def test_a_chain_computed_anew_is_found(self):
        lines = self.lines(3)
        lines[-1] = lines[-1].replace(b"hilum", b"h1lum", 1)
        first = re.search(rb' previous="([0-9a-f]{64})"', lines[0])[1].decode()
        self.write(3, self.chained(lines, first)[0])
        self.check(1, "the trail was written anew")

    def test_each_file_s_places_are_named_up_to_a_limit_and_counted(self):
        lines, others = self.lines(1), self.lines(2)
        self.write(1, [lines[0].replace(b"hilum", b"h1lum", 1), lines[1].replace(b"hilum", b"h1lum", 1)])
        self.write(2, [b"nothing\n"] * 11 + others)
        shown = self.check(1)
        self.assertEqual([line[:27] for line in shown[:2]], ["audit-00000001.log line 1: ", "audit-00000001.log line 2: "])
        self.assertEqual([line[:26] for line in shown[2:10]], [f"audit-00000002.log line {n}:" for n in range(1, 9)])
        self.assertRegex(shown[10], r"^  and \d+ more places in it$")

    def test_what_is_damaged_is_known_until_something_else_is(self):
        lines = self.lines(1)
        self.write(1, [lines[0], lines[1].replace(b"hilum", b"h1lum", 1)])
        server = self.start()
        self.assertEqual(alarms(server), [])  # a start looks at the end alone
        self.check(1, "hilum audit acknowledge --by NAME")
        server.command("audit", "acknowledge", "--by", "Ann", "--server", server.url(""))
        shown = self.check(0, "; what is damaged is known")
        self.assertIn("audit-00000001.log line 2: ", shown[0])
        self.assertRegex(shown[1], r"^  known: audit-0000000\d.log begins with who has said so$")
        self.assertIn("what is damaged in the audit trail is known: ", self.trail())
        again = subprocess.run([HILUM, "audit", "acknowledge", "--by", "Ann", "--server", server.url("")], capture_output=True, text=True, timeout=60)
        self.assertEqual((again.returncode, "nobody knows of" in again.stderr), (1, True), again.stderr)
        self.stop()
        self.check(0)
        self.write(2, [self.lines(2)[0].replace(b"hilum", b"h1lum", 1), *self.lines(2)[1:]])
        self.assertIn("  known: ", "\n".join(self.check(1, "audit-00000002.log line 1: ")))

    def test_wrong_use_and_no_trail(self):
        for arguments, status in (((), 2), (("check", "a", "b"), 2), (("chekc",), 2), (("check", self.path("nowhere")), 1), (("check", self.path("packs")), 1)):
            self.assertEqual(subprocess.run([HILUM, "audit", *arguments], capture_output=True, timeout=60).returncode, status, arguments)


class Rebuild(Folder):
    """The database is lost or damaged, and is made again from the objects."""

    PATIENTS = {1: "P1", 2: "P1", 3: "P2"}  # of the studies

    def data_set(self, study, number):
        rows = {0x00100010: ("PN", f"Name^{self.PATIENTS[study]} ".encode()), 0x00100020: ("LO", self.PATIENTS[study].encode()), 0x00200013: ("IS", f"{number:<4d}".encode()),
                0x0020000D: ("UI", corpus.uid(f"{ROOT}.{study}")), 0x0020000E: ("UI", corpus.uid(f"{ROOT}.{study}.{number % 2}"))}
        return corpus.sound(100 * study + number, replace=rows)

    def store_all(self, server):
        """20 objects of 3 studies: those of two studies in packs, those of the third in a lane that a kill leaves."""
        with Peer(server.dicom) as peer:
            self.assertEqual(peer.associate(calling="CT1"), 2)
            for study, count in ((1, 8), (2, 6)):
                for number in range(count):
                    self.assertEqual(peer.store(self.data_set(study, number), f"{ROOT}.{100 * study + number}.1"), 0)
        self.packs()
        peer = Peer(server.dicom)
        self.assertEqual(peer.associate(calling="CT1"), 2)
        for number in range(6):
            self.assertEqual(peer.store(self.data_set(3, number), f"{ROOT}.{300 + number}.1"), 0)
        return peer

    def answers(self, server):
        """What QIDO and WADO say of all there is."""
        found = {level: server.get_json(f"/dicom-web/{level}?includefield=all") for level in ("studies", "series", "instances")}
        objects = {}
        for row in found["instances"]:
            study, series, instance = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
            status, _, body = server.request(f"/dicom-web/studies/{study}/series/{series}/instances/{instance}", headers={"Accept": "application/dicom"})
            self.assertEqual(status, 200)
            objects[instance] = body
        text = json.dumps(found, sort_keys=True).replace(f"127.0.0.1:{server.http}", "HOST")
        return text, objects

    def serve_refuses(self):
        done = subprocess.run([HILUM, "serve", "--data", self.data, "--http", f"127.0.0.1:{free_port()}", "--dicom", f"127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("hilum rebuild", done.stderr)

    def rebuild(self, *arguments):
        return subprocess.run([HILUM, "rebuild", "--data", self.data, *arguments], capture_output=True, text=True, timeout=60)

    def before(self):
        server = self.start()
        self.assertNotEqual(server.get_json("/api/rules"), [])  # what packages bring
        server.put_json("/api/rules/mine", {"modality": "CT", "model": "head-ct-hyperdense", "send_to": [], "priority": 5})
        peer = self.store_all(server)
        answers = self.answers(server)
        self.assertEqual(len(answers[1]), 20)
        done = self.rebuild()
        self.assertEqual((done.returncode, "is in use by process" in done.stderr), (1, True))  # the same lock
        server.kill()
        peer.__exit__(None, None, None)
        self.assertEqual(len(glob.glob(self.path("lanes", "*.lane"))), 1)
        return answers

    def comes_back(self, answers, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("20 objects of 3 studies and 2 patients", done.stdout)
        self.assertIn("0 objects could not be read", done.stdout)
        self.assertIn("hilum config apply", done.stdout)
        os.unlink(self.server.log_path)
        server = self.start()
        self.assertEqual(self.answers(server), answers)
        self.assertEqual([line.split(" alarm ")[1].split(":")[0].strip() for line in alarms(server)], ["rebuilt, hilum.db"])
        self.assertIn("rebuilt at 20", alarms(server)[0])
        self.assertIn("the database was rebuilt from objects", self.trail())
        # Neither a standard rule, nor a job of what was rebuilt, not even when a rule is entered again.
        self.assertEqual((server.get_json("/api/rules"), server.get_json("/api/jobs")), ([], []))
        server.put_json("/api/rules/mine", {"modality": "CT", "model": "head-ct-hyperdense", "send_to": [], "priority": 5})
        with Peer(server.dicom) as peer:
            self.assertEqual(peer.associate(calling="CT1"), 2)
            self.assertEqual(peer.store(corpus.sound(900), f"{ROOT}.900.1"), 0)
        wait_until(lambda: server.get_json("/api/jobs"), 20, "what comes afterwards has a job")
        self.assertEqual({(job["study"], job["state"]) for job in server.get_json("/api/jobs")}, {(f"{ROOT}.900", "queued")})  # until the confirmation
        wait_until(lambda: len(server.get_json("/api/worklist")) == 4, 20, "the list has all studies")
        self.assertEqual({item["study"] for item in server.get_json("/api/worklist") if item["arriving"]}, set())
        self.stop()

    def confirm(self):
        self.assertEqual(self.rebuild("--confirm").returncode, 0)
        os.unlink(self.server.log_path)
        server = self.start()
        self.assertEqual(alarms(server), [])
        self.assertEqual([rule["name"] for rule in server.get_json("/api/rules")], ["mine"])
        wait_until(lambda: not {job["state"] for job in server.get_json("/api/jobs")} & {"queued", "running"}, 60, "what waited is taken up now")
        self.stop()
        self.assertEqual(self.rebuild("--confirm").returncode, 1)
        done = self.rebuild()
        self.assertEqual((done.returncode, "--replace" in done.stderr), (1, True))  # what is sound stays

    def test_without_a_database_all_objects_come_back_and_nothing_is_done_with_them(self):
        answers = self.before()
        for path in glob.glob(self.path("hilum.db*")):
            os.unlink(path)
        self.serve_refuses()
        self.comes_back(answers, self.rebuild())
        self.confirm()

    def test_with_a_damaged_database_the_same_and_the_damaged_one_is_kept(self):
        answers = self.before()
        for path in glob.glob(self.path("hilum.db-*")):
            os.unlink(path)
        with open(self.path("hilum.db"), "r+b") as file:
            size = max(file.seek(0, os.SEEK_END), 65536)
            file.seek(100)
            file.write(os.urandom(size - 100))
        with open(self.path("hilum.db"), "rb") as file:
            damaged = file.read()
        self.serve_refuses()
        self.comes_back(answers, self.rebuild())
        with open(glob.glob(self.path("hilum.db.lost-20*-1"))[0], "rb") as file:
            self.assertEqual(file.read(), damaged)

    def test_what_cannot_be_read_is_counted(self):
        self.fill(1, 2)
        with open(self.path("packs", "0000000001.pack"), "r+b") as file:
            file.seek(file.read().index(bytes(range(256))))
            file.write(b"!")
        os.unlink(self.path("hilum.db"))
        done = self.rebuild()
        self.assertEqual(done.returncode, 1)
        self.assertIn("1 objects of 1 studies and 1 patients", done.stdout)
        self.assertIn("1 objects could not be read", done.stdout)
        self.assertIn("container 1", done.stderr)
        self.assertIn("1 objects could not be brought back", " ".join(self.start().get_json("/healthz")["warnings"]))  # until the confirmation

    def test_a_trail_whose_key_is_elsewhere_goes_on_unbroken(self):
        key = os.path.join(self.folder, "trail.key")
        self.server = Hilum(self.data, config=f"audit: {{key: {key}}}\ndisk: {{low_water_mb: 0}}\n").start()
        store(self.server, 1)
        self.stop()
        for path in glob.glob(self.path("hilum.db*")):
            os.unlink(path)
        self.assertEqual(self.rebuild("--audit-key", key).returncode, 0)
        self.assertEqual(self.rebuild("--confirm", "--audit-key", key).returncode, 0)
        self.assertEqual(os.path.exists(self.path("audit-key")), False)
        checked = subprocess.run([HILUM, "audit", "check", self.data, "--key", key], capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main()
