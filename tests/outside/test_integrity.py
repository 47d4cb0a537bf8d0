#!/usr/bin/python3
"""What is missing or was changed behind the server's back is told: database, packs, audit trail, and the anchor that joins them (docs/store-format.md, "Identity" and "Rebuild")."""

import glob
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
from corpus import ROOT, Peer
from harness import HILUM, Hilum, free_port, wait_until


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
        pack = wait_until(lambda: glob.glob(self.path("packs", "*.pack")), 10, "the pack")[0]
        os.unlink(pack)
        self.assertEqual(server.request(path_of(1))[0], 500)
        self.assertIn("container", alarms(server)[0])


if __name__ == "__main__":
    unittest.main()
