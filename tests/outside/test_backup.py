#!/usr/bin/python3
"""Backups: made while the server works, encrypted, only what is new written again; put back the archive answers as it did, sends nothing until somebody says that he knows, and what is damaged, of another key or in the
way is refused by name."""

import glob
import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
from corpus import ROOT, Peer
from harness import HILUM, Hilum, free_port, wait_until
from hl7_listener import Listener
from test_integrity import path_of, store
from test_login import PASSWORD, Person
from test_outbox import put_in
from test_tls import Authority

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def object_of(server, number):
    """The object's bytes, or None."""
    status, _, body = server.request(path_of(number), headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
    return body[body.index(b"DICM"):body.rindex(b"\r\n--")] if status == 200 else None


def trail(data):
    lines = []
    for path in sorted(glob.glob(os.path.join(data, "audit-*.log"))):
        with open(path, encoding="utf-8") as f:
            lines += f
    return lines


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Backed(unittest.TestCase):
    """A data folder, a folder of backups and a key."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-test-")
        self.data, self.vault, self.key = (os.path.join(self.folder, name) for name in ("data", "vault", "backup.key"))
        self.servers = []
        self.run_hilum("backup", "key", self.key)

    def tearDown(self):
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.folder)

    def run_hilum(self, *arguments, check=True):
        return Hilum.command(None, *arguments, check=check)

    def server(self, data=None, at="", more="", env=None):
        config = f"backup:\n  folder: {self.vault}\n  key: {self.key}\n  at: '{at}'\n" + more
        server = Hilum(data=data or self.data, config=config, env=env).start()
        self.servers.append(server)
        return server

    def packed(self, server):
        """Once each lane is a pack."""
        wait_until(lambda: not glob.glob(os.path.join(server.data, "lanes", "*.lane")), 20, "packs")

    def backup(self, server, *options, check=True):
        return self.run_hilum("backup", "--server", f"http://127.0.0.1:{server.http}", *options, check=check)

    def restore(self, data, *options, check=True):
        return self.run_hilum("restore", "--from", self.vault, "--key", self.key, "--data", data, *options, check=check)

    def objects(self):
        return {path: os.stat(path).st_mtime_ns for path in glob.glob(os.path.join(self.vault, "objects", "*", "*"))}

    def refused(self, result, *words):
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)


class Answers(Backed):
    maxDiff = 4000

    def fill(self, server):
        """Some of everything that an archive knows."""
        store(server, *range(1, 6))
        server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "port": free_port(), "rights": ["store"]})
        server.put_json("/api/rules/head", {"model": "head-ct-hyperdense", "modality": "CT"})
        server.put_json("/api/labels/staff", {"description": "patients who work here"})
        server.put_json(f"/api/studies/{ROOT}.2/labels", {"labels": ["staff"], "version": server.get_json(f"/api/studies/{ROOT}.2/labels")["version"]})
        with Peer(server.dicom) as peer:
            peer.associate(calling="TEST")
            peer.store(corpus.sound(1, replace={0x00080020: ("DA", "20260103")}), f"{ROOT}.1.1")  # a conflict
            peer.store(corpus.sound(77)[:-300], f"{ROOT}.77.1")  # cut: into the quarantine

    def answers(self, server):
        return {path: json.loads(json.dumps(server.get_json(path)).replace(f"127.0.0.1:{server.http}", "HERE")) for path in ("/dicom-web/studies?includefield=all", "/dicom-web/series", "/dicom-web/instances", "/api/peers", "/api/rules", "/api/labels",
                                                         "/api/conflicts", "/api/quarantine", f"/api/studies/{ROOT}.2/labels", f"/dicom-web/studies/{ROOT}.1/metadata")}

    def test_what_is_put_back_answers_as_the_original_did(self):
        server = self.server()
        self.fill(server)
        wait_until(lambda: server.get_json(f"/api/worklist?study={ROOT}.3"), 30, "the study on the list")
        server.mark_read(f"{ROOT}.3")
        wait_until(lambda: server.get_json("/api/quarantine"), 5, "a refused object")
        before, bytes_before = self.answers(server), [object_of(server, number) for number in range(1, 6)]
        read_before = sorted(item["study"] for item in server.get_json("/api/worklist"))
        made = self.backup(server)
        self.assertRegex(made.stdout, r"backup 000001-\d{8}T\d{6}Z in ")
        server.stop()
        shutil.rmtree(self.data)
        told = self.restore(self.data)
        self.assertIn("It is the same archive", told.stdout)
        self.assertIn("then it had 5 patients, 5 studies, 5 series, 5 instances", told.stdout)
        server = self.server()
        self.assertEqual(self.answers(server), before)
        self.assertEqual([object_of(server, number) for number in range(1, 6)], bytes_before)
        self.assertEqual(sorted(item["study"] for item in server.get_json("/api/worklist")), read_before)
        self.assertNotIn(f"{ROOT}.3", read_before)
        # It works on, also after a stop, and the audit trail is whole.
        store(server, 6)
        server.command("audit", "acknowledge", "--server", server.url(""), "--by", "Admin")
        server.stop()
        checked = self.run_hilum("audit", "check", self.data, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        server = self.server()
        self.assertEqual(server.get_json("/api/status")["instances"], 6)
        self.backup(server)

    def test_who_was_logged_in_when_it_was_made_is_not_after_a_restore(self):
        server = self.server()
        with unittest.mock.patch.dict(os.environ, HILUM_TOKEN_FILE=os.path.join(self.data, "token")):
            subprocess.run([HILUM, "account", "add", "boss", "--roles", "administrator", "--shown", "Boss", "--server", server.url("")], input=PASSWORD + "\n", text=True, check=True, capture_output=True)
            boss = Person(server)
            self.assertEqual(boss.log_in("boss")[0], 200)
            server.stop()
            server.start()
            self.assertEqual(boss.ask("GET", "/api/session")[0], 200)  # a mere restart ends nothing
            self.backup(server)
        server.stop()
        shutil.rmtree(self.data)
        self.restore(self.data)
        server.start()
        self.assertEqual(boss.ask("GET", "/api/session")[0], 401)
        self.assertEqual(Person(server).log_in("boss")[0], 200)

    def test_keys_certificates_configuration_and_models_are_in_it_and_what_is_not_is_told(self):
        ours = Authority(self.folder, "ours")
        certificate, key = ours.sign("server")
        audit_key, model = os.path.join(self.folder, "trail.key"), os.path.join(self.folder, "models", "head", "notes.txt")
        os.makedirs(os.path.dirname(model))
        with open(model, "w", encoding="ascii") as f:
            f.write("of a model")
        revoked = ours.revoke()
        server = self.server(more=f"tls: {{certificate: {certificate}, key: {key}, authorities: {ours.pem}, revoked: {revoked}}}\naudit: {{key: {audit_key}}}\nmodels: {{folder: {os.path.dirname(os.path.dirname(model))}}}\n")
        self.backup(server)
        self.assertNotIn("last backup", server.request("/healthz")[2].decode())
        place = os.path.join(self.folder, "place")
        self.restore(place)
        for path in (certificate, key, ours.pem, revoked, audit_key, model, server.log_path + ".yaml"):
            self.assertEqual(read(place + "/restored" + path), read(path), path)
        deep = os.path.join(os.path.dirname(model), "of", "a", "model")
        for made, ended in ((lambda: os.makedirs(deep), lambda: os.rmdir(deep)), (lambda: os.symlink("nowhere", deep), lambda: os.unlink(deep))):
            os.makedirs(os.path.dirname(deep), exist_ok=True)
            made()
            self.backup(server, check=False)
            self.assertIn("lacks 1 files", server.request("/healthz")[2].decode())
            self.assertIn(f"{deep} is not in the backup", server.log())
            ended()
            self.backup(server)
            self.assertNotIn("last backup", server.request("/healthz")[2].decode())
        os.rename(audit_key, audit_key + ".away")
        self.backup(server, check=False)
        self.assertIn("lacks 1 files", server.request("/healthz")[2].decode())
        self.assertIn(f"{audit_key} is not in the backup", server.log())
        os.rename(audit_key + ".away", audit_key)
        self.backup(server)
        self.assertNotIn("last backup", server.request("/healthz")[2].decode())

    def test_nothing_of_a_patient_can_be_read_in_the_folder(self):
        server = self.server()
        self.fill(server)
        self.backup(server)
        for path in glob.glob(os.path.join(self.vault, "**"), recursive=True):
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    content = f.read()
                for word in (b"Bad^Input", b"BAD1", ROOT.encode(), b"hilum.db", b"staff"):
                    self.assertNotIn(word, content, path)
                    self.assertNotIn(word, path.encode())
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)

    def test_what_waits_is_sent_when_somebody_says_that_he_knows_and_never_from_a_copy(self):
        listener = Listener(manners=["AE"] * 1000)
        server = self.server()
        server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": listener.port, "application": "RIS", "facility": "HOSP"})
        server.stop()
        put_in(server, [("hl7", "ris", "1")])
        server = self.server()
        self.backup(server)
        server.stop()
        listener.manners.clear()
        place, copy = os.path.join(self.folder, "place"), os.path.join(self.folder, "copy")
        self.restore(place)
        self.assertIn("nothing will be sent from it", self.restore(copy, "--copy").stdout)
        for data, is_copy in ((copy, True), (place, False)):
            server = self.server(data)
            health = server.request("/healthz")[2].decode()
            self.assertIn("put back from the backup of", health)
            self.assertEqual("copy beside its original" in health, is_copy)
            time.sleep(2)
            self.assertEqual(listener.accepted, {})
            server.command("audit", "acknowledge", "--server", server.url(""), "--by", "Admin")
            server.stop()
            server = self.server(data)  # what somebody knows is not told again
            health = server.request("/healthz")[2].decode()
            self.assertNotIn("put back from", health)
            self.assertEqual("copy beside its original" in health, is_copy)
            if is_copy:
                time.sleep(3)
                self.assertEqual(listener.accepted, {})
            else:
                wait_until(lambda: listener.accepted, 60, "what waited")
            server.stop()


class WhileItWorks(Backed):
    def test_what_was_acknowledged_before_a_backup_began_is_in_it_while_objects_come(self):
        server = self.server()
        acknowledged, stop = [], threading.Event()

        def send(first):
            number = first
            while not stop.is_set():
                store(server, number)
                acknowledged.append(number)
                number += 1
                time.sleep(0.01)

        threads = [threading.Thread(target=send, args=(first,)) for first in (1000, 5000, 9000)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(3):
                time.sleep(0.7)
                before = list(acknowledged)
                self.backup(server)
                data = os.path.join(self.folder, f"restored-{turn}")
                self.restore(data)
                other = self.server(data)
                health = other.request("/healthz")[2].decode()
                self.assertNotIn("container", health)
                self.assertNotIn("audit trail", health)
                self.assertGreater(len(before), 20)
                for number in before:
                    self.assertIsNotNone(object_of(other, number), f"object {number}, acknowledged before backup {turn}")
                sample = random.Random(turn).sample(before, 10)
                self.assertEqual([object_of(other, number) for number in sample], [object_of(server, number) for number in sample])
                other.stop()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        server.stop()

    def test_only_what_is_new_is_written_again(self):
        server = self.server()
        store(server, *range(1, 40))
        self.packed(server)
        self.backup(server)
        first = self.objects()
        store(server, 50)
        self.packed(server)
        self.backup(server)
        second = self.objects()
        self.assertTrue(first.keys() <= second.keys())
        again = [path for path in first if first[path] != second[path]]
        self.assertLessEqual(len(again), 6, "packs of the first backup were written again")  # what is small is read each time
        self.assertLessEqual(len(second) - len(first), 6)  # a pack, the database, the audit trail
        checked = self.run_hilum("backup", "check", "--folder", self.vault, "--key", self.key)
        self.assertIn("each is as it was written", checked.stdout)

    def test_the_oldest_go_and_with_them_what_only_they_had(self):
        server = self.server(more="  keep: 2\n")
        for number in range(1, 5):
            store(server, number)
            self.backup(server)
        listed = self.run_hilum("backup", "list", "--folder", self.vault, "--key", self.key).stdout.splitlines()
        self.assertEqual([line[:6] for line in listed], ["000004", "000003"])
        for name in [line.split("\t")[0] for line in listed]:
            self.assertIn("each is as it was written", self.run_hilum("backup", "check", name, "--folder", self.vault, "--key", self.key).stdout)
        databases = len(self.objects())
        self.assertLess(databases, 16)

    def test_a_server_that_has_none_makes_one_by_itself_on_another_disk_only(self):
        server = self.server(at="02:30")
        time.sleep(1)
        told = server.get_json("/api/backups")
        self.assertEqual((told["backups"], told["running"], told["failed"]), ([], None, None), "one was made on the data folder's own disk")
        server.stop()
        self.vault = tempfile.mkdtemp(prefix="hilum-test-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.vault)
        self.assertNotEqual(os.stat(self.vault).st_dev, os.stat(self.folder).st_dev)
        server = self.server(at="02:30")
        wait_until(lambda: server.get_json("/api/backups")["backups"], 10, "a first backup")
        told = server.get_json("/api/backups")
        self.assertEqual((told["folder"], told["at"], told["failed"]), (self.vault, "02:30", None))
        self.assertEqual(len(told["backups"]), 1)
        self.assertIn("hilum_backup_last_success_timestamp_seconds 1", server.request("/metrics")[2].decode())

    def test_without_a_folder_it_says_what_to_configure(self):
        with Hilum() as server:
            self.refused(self.backup(server, check=False), "backup.folder", "backup.key")


class Damage(Backed):
    def make(self):
        server = self.server()
        store(server, 1, 2, 3)
        self.packed(server)
        self.backup(server)
        return server

    def flip(self, path, at=-20):
        with open(path, "r+b") as f:
            f.seek(at, os.SEEK_END)
            byte = f.read(1)
            f.seek(at, os.SEEK_END)
            f.write(bytes([byte[0] ^ 1]))

    def test_a_changed_cut_or_missing_file_is_named_and_nothing_starts_from_it(self):
        self.make()
        path = max(self.objects(), key=os.path.getsize)  # the database
        with open(path, "rb") as f:
            original = f.read()
        for name, damage in (("flip", lambda: self.flip(path)), ("cut", lambda: os.truncate(path, len(original) - 1000)), ("missing", lambda: os.unlink(path)),
                             ("swapped", lambda: shutil.copy(min(self.objects(), key=os.path.getsize), path))):
            with self.subTest(name):
                damage()
                checked = self.run_hilum("backup", "check", "--folder", self.vault, "--key", self.key, check=False)
                self.assertEqual(checked.returncode, 1)
                self.assertIn("hilum.db", checked.stderr)
                data = os.path.join(self.folder, name)
                self.refused(self.restore(data, check=False), "hilum.db")
                self.assertFalse(os.path.exists(os.path.join(data, "hilum.db")))
                server = Hilum(data=data)
                server.launch()
                self.assertNotEqual(server.process.wait(20), 0, "a half of an archive started")
                with open(path, "wb") as f:
                    f.write(original)
        for path in glob.glob(os.path.join(self.vault, "lists", "*")):
            self.flip(path)
        self.refused(self.restore(os.path.join(self.folder, "list"), check=False), "000001")
        self.assertIn("its list is damaged", self.run_hilum("backup", "list", "--folder", self.vault, "--key", self.key).stdout)

    def test_a_pack_that_the_disk_has_damaged_is_found_by_the_backup(self):
        server = self.server()
        store(server, 1)
        self.packed(server)
        (pack,) = glob.glob(os.path.join(self.data, "packs", "*.pack"))
        with open(pack, "r+b") as f:
            f.seek(64 + 128 + 40)
            f.write(b"\xff\xff")
        result = self.backup(server, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("1 containers are damaged or missing", result.stdout)
        health = server.request("/healthz")[2].decode()
        self.assertIn("found by the backup", health)
        self.assertIn("damaged or missing files of its own", health)

    def test_a_wrong_key_one_that_others_may_read_and_a_foreign_folder_are_refused_by_name(self):
        server = self.make()
        other = os.path.join(self.folder, "other.key")
        self.run_hilum("backup", "key", other)
        self.refused(self.run_hilum("backup", "key", other, check=False), "never written over")
        self.refused(self.run_hilum("restore", "--from", self.vault, "--key", other, "--data", os.path.join(self.folder, "d"), check=False), "are of key", "this is key")
        os.chmod(self.key, 0o640)
        self.refused(self.run_hilum("backup", "list", "--folder", self.vault, "--key", self.key, check=False), "chmod 600")
        os.chmod(self.key, 0o600)
        self.refused(self.restore(self.data, check=False), "new or empty folder")
        with open(other, "w", encoding="ascii") as f:
            f.write("secret\n")
        self.refused(self.run_hilum("backup", "list", "--folder", self.vault, "--key", other, check=False), "is no backup key")
        self.refused(self.run_hilum("backup", "list", "--folder", self.folder, "--key", self.key, check=False), "there are no backups in")
        self.assertIn("running", server.get_json("/api/backups"))

    def test_a_key_that_is_in_no_file_any_more_makes_no_backup(self):
        server = self.make()
        os.rename(self.key, self.key + ".away")
        self.refused(self.backup(server, check=False), "backup.key")
        self.assertIn("backup.key", server.request("/healthz")[2].decode())
        self.run_hilum("backup", "key", self.key)
        self.refused(self.backup(server, check=False), "holds another key than at the start")
        os.replace(self.key + ".away", self.key)
        self.backup(server)

    @unittest.skipUnless(os.path.exists(FAKETIME), "libfaketime is not installed")
    def test_that_none_was_made_for_two_days_is_an_alarm(self):
        self.make().stop()
        told = "where none is made by itself"
        for ahead, is_late in (("+1d", False), ("+3d", True)):
            server = self.server(at="02:30", env={"LD_PRELOAD": FAKETIME, "FAKETIME": ahead})
            if is_late:
                wait_until(lambda: told in server.request("/healthz")[2].decode(), 10, "an alarm")
            else:
                time.sleep(0.5)
                self.assertNotIn(told, server.request("/healthz")[2].decode())
            server.stop()

    def test_a_backup_that_fails_is_not_tried_again_at_once(self):
        self.vault = tempfile.mkdtemp(prefix="hilum-test-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.vault)
        with open(os.path.join(self.vault, "thesis.doc"), "w", encoding="ascii") as f:
            f.write("draft")
        server = self.server(at="02:30")
        wait_until(lambda: server.get_json("/api/backups")["failed"], 10, "a first try")
        time.sleep(1)
        server.stop()
        self.assertEqual(sum(line.count("no backup was made") for line in trail(self.data)), 1)

    @unittest.skipUnless(os.path.exists(FAKETIME), "libfaketime is not installed")
    def test_a_backup_that_a_clock_ahead_has_dated_keeps_no_other_from_being_made(self):
        self.vault = tempfile.mkdtemp(prefix="hilum-test-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.vault)
        config = f"backup:\n  folder: {self.vault}\n  key: {self.key}\n  at: '02:30'\n"
        for ahead, names in (("+9d", 1), ("+0d", 2)):
            server = Hilum(data=self.data, config=config, env={"LD_PRELOAD": FAKETIME, "FAKETIME": ahead}).start()
            self.servers.append(server)
            wait_until(lambda: len(server.get_json("/api/backups")["backups"]) == names, 20, f"backup {names}")
            server.stop()

    def test_a_disk_that_is_not_mounted_gets_no_new_backups_without_a_word(self):
        server = self.make()
        os.rename(self.vault, self.vault + ".away")
        os.mkdir(self.vault)
        self.refused(self.backup(server, check=False), "is its disk mounted?", "--begin")
        self.assertIn("is its disk mounted?", server.request("/healthz")[2].decode())
        os.rmdir(self.vault)
        self.refused(self.backup(server, check=False), "is its disk mounted?")
        self.backup(server, "--begin")
        self.assertNotIn("is its disk mounted?", server.request("/healthz")[2].decode())

    def test_a_folder_with_other_things_is_left_alone(self):
        os.mkdir(self.vault)
        with open(os.path.join(self.vault, "thesis.doc"), "w", encoding="ascii") as f:
            f.write("draft")
        server = self.server()
        self.refused(self.backup(server, check=False), "holds other things than backups")
        self.assertEqual(os.listdir(self.vault), ["thesis.doc"])

    def test_what_has_rotted_in_the_folder_is_written_again_when_somebody_says_so(self):
        server = self.make()
        lines = lambda *more: self.run_hilum("backup", "check", *more, "--folder", self.vault, "--key", self.key, check=False)
        for path in self.objects():
            if not lines().returncode:
                self.flip(path)
        self.assertEqual(lines().returncode, 1)
        bad = lines("--drop")
        self.assertIn("1 are missing or damaged: they are taken out", bad.stdout)
        self.backup(server)
        self.assertEqual(lines().returncode, 0, lines().stderr)

    def test_a_pipe_or_a_link_in_the_folder_holds_nobody_up_and_leads_nowhere(self):
        server = self.make()
        prey = os.path.join(self.folder, "prey")
        os.makedirs(os.path.join(prey, "ab"))
        precious = os.path.join(prey, "ab", "0" * 62)
        with open(precious, "w", encoding="ascii") as f:
            f.write("x")
        (name,) = os.listdir(os.path.join(self.vault, "lists"))
        os.rename(os.path.join(self.vault, "lists", name), os.path.join(self.folder, name))
        for made in (name, "000009-20260101T000000Z.list", "000002.tmp"):
            os.mkfifo(os.path.join(self.vault, "lists", made))
        os.mkfifo(os.path.join(self.vault, "objects", "new.tmp"))
        with open(os.path.join(self.vault, "lists", "zz\x1b[31mred.list"), "w", encoding="ascii") as f:
            f.write("x")
        began = time.monotonic()
        self.assertIn("its list is damaged", self.run_hilum("backup", "list", "--folder", self.vault, "--key", self.key).stdout)
        self.assertRegex(self.backup(server).stdout, "backup 000010-")  # behind the highest that is there
        self.assertLess(time.monotonic() - began, 20)
        os.rename(os.path.join(self.vault, "objects"), os.path.join(self.vault, "objects.away"))
        os.symlink(prey, os.path.join(self.vault, "objects"))
        self.refused(self.backup(server, check=False), "cannot open the folders")
        self.assertTrue(os.path.exists(precious))
        self.assertEqual(server.stop(), 0, server.log()[-3000:])

    def test_a_pack_of_another_life_with_the_same_number_and_size_is_no_known_one(self):
        """Put back from a backup that is not the newest, then sent again in another order: equal numbers and sizes, other bytes."""
        server = self.make()
        store(server, 11)
        self.packed(server)
        self.backup(server)
        server.stop()
        second = os.path.join(self.folder, "second")
        self.restore(second, "--backup", self.run_hilum("backup", "list", "--folder", self.vault, "--key", self.key).stdout.splitlines()[1].split("\t")[0])
        server = self.server(second)
        with Peer(server.dicom) as peer:
            peer.associate(calling="TEST")
            peer.store(corpus.sound(12), f"{ROOT}.12.1")
        self.packed(server)
        packs = [{name: os.path.getsize(os.path.join(data, "packs", name)) for name in os.listdir(os.path.join(data, "packs"))} for data in (self.data, second)]
        self.assertEqual(packs[0], packs[1], "the test has not made what it is about")
        self.backup(server)
        kept = object_of(server, 12)
        server.stop()
        third = os.path.join(self.folder, "third")
        self.restore(third)
        self.assertEqual(object_of(self.server(third), 12), kept)

    def test_a_copy_makes_no_backups_and_neither_does_another_archive_nor_one_that_was_put_back_elsewhere(self):
        server = self.make()
        copy, place = os.path.join(self.folder, "copy"), os.path.join(self.folder, "place")
        self.restore(copy, "--copy")
        trial = self.server(copy)
        self.refused(self.backup(trial, check=False), "copy beside its original")
        trial.stop()
        other = self.server(os.path.join(self.folder, "other"))
        self.refused(self.backup(other, check=False), "are of archive", "name another folder")
        other.stop()
        self.restore(place)
        second = self.server(place)
        self.backup(second)
        self.refused(self.backup(server, check=False), "another server runs with it")
        self.backup(second)

    def test_what_the_configuration_says_of_backups_is_checked_at_the_start(self):
        for lines, words in (("  folder: /srv/b\n", "needs backup.key"), ("  folder: b\n  key: k\n", "does not begin with /"), ("  at: 25:00\n", "is no time of the day"),
                             (f"  folder: {self.data}/b\n  key: {self.key}\n", "is in the data folder"), (f"  folder: {self.vault}\n  key: {self.key}x\n", "backup.key")):
            server = Hilum(data=self.data, config="backup:\n" + lines)
            server.launch()
            self.assertNotEqual(server.process.wait(20), 0, lines)
            self.assertIn(words, server.log())
            os.unlink(server.log_path)


if __name__ == "__main__":
    unittest.main()
