#!/usr/bin/python3
"""A full disk, a disk below the low-water mark, and a database that another process holds: refusals that say "later" (A700H, 507, 503), nothing half-stored, reading goes on, and it heals without a
restart (docs/bad-input.md, section 2)."""

import glob
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
from corpus import EXPLICIT, ROOT, Peer
from harness import HILUM, wait_until
from test_bad_input import SANITIZED, Watched

FULL = 0xA700
DISK_MB, FILLER_MB = 20, 8
SPARE_DISK_MB = 2048  # spare files are made only where more than 1 GiB is free
LAYER = os.path.join(os.path.dirname(os.path.abspath(HILUM)), "tests", "powercut", "libpowercut-record.so")


def config(low_water_mb):
    return f"disk:\n  low_water_mb: {low_water_mb}\n"


class Sender:
    """Stores objects of a size and keeps account of what was acknowledged and what was refused."""

    def __init__(self, server, first, size):
        self.server, self.size, self.next = server, size, first
        self.kept, self.refused = {}, {}

    def object(self, number):
        seed = hashlib.sha256(str(number).encode()).digest()
        return corpus.sound(number, replace={0x7FE00010: ("OW", (seed * (self.size // len(seed) + 1))[:self.size & ~1])})

    def send(self, peer, number):
        status = peer.store(self.object(number), f"{ROOT}.{number}.1")
        if status not in (0, FULL):
            raise AssertionError(f"object {number} was answered {status:04X}H")
        (self.refused if status else self.kept)[number] = True
        if status == 0:
            self.refused.pop(number, None)
        return status

    def until_full(self, most):
        with Peer(self.server.dicom) as peer:
            assert peer.associate(calling="FAULTS") == 2
            for _ in range(most):
                self.next += 1
                if self.send(peer, self.next) == FULL:
                    assert peer.echo() == 0  # the association goes on
                    return True
        return False

    def again(self):
        """What was refused, once more."""
        with Peer(self.server.dicom) as peer:
            assert peer.associate(calling="FAULTS") == 2
            return [self.send(peer, number) for number in list(self.refused)]

    def check(self, test):
        """What was acknowledged is there bit for bit; of what was refused there is nothing."""
        for number in self.kept:
            test.assertEqual(self.server.data_set(f"{ROOT}.{number}", f"{ROOT}.{number}.0", f"{ROOT}.{number}.1")[0], self.object(number), number)
        for number in self.refused:
            test.assertEqual(self.server.get_json(f"/dicom-web/instances?SOPInstanceUID={ROOT}.{number}.1"), [])
        test.assertEqual(self.server.stored(), len(self.kept))


class SmallDisk(unittest.TestCase):
    """A file system of its own."""

    megabytes = DISK_MB

    def setUp(self):
        self.folder, self.logs = tempfile.mkdtemp(prefix="hilum-full-"), tempfile.mkdtemp(prefix="hilum-full-")
        self.mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m", "hilum-test", self.folder], capture_output=True).returncode == 0
        if not self.mounted:
            self.tearDown()
            self.skipTest("a file system of its own needs root")

    def tearDown(self):
        if self.mounted:
            subprocess.run(["umount", self.folder], check=True)
        for folder in (self.folder, self.logs):
            shutil.rmtree(folder, ignore_errors=True)

    def server(self, low_water_mb):
        server = Watched(data=os.path.join(self.folder, "data"), config=config(low_water_mb))
        server.log_path = os.path.join(self.logs, "log.txt")  # not on the full disk
        return server


class FullDisk(SmallDisk):
    def fills_and_heals(self, size):
        filler = os.path.join(self.folder, "filler")
        with open(filler, "wb") as f:
            f.write(bytes(FILLER_MB << 20))
        server = self.server(0)
        try:
            server.start()
            sender = Sender(server, 900000 + size, size)
            self.assertTrue(sender.until_full(5000), "the disk was never full")
            for _ in range(3):  # others try too, on associations and lanes of their own
                sender.until_full(20)
            self.assertGreaterEqual(len(sender.refused), 1)
            sender.check(self)
            server.kill()
            server.start()  # it has kept some room for that
            sender.check(self)
            os.remove(filler)
            self.assertEqual(set(sender.again()), {0})
            sender.check(self)
            wait_until(lambda: server.get_json("/healthz")["storing"] == "ok", 5, "healthy again")
            self.assertEqual(server.stop(), 0)
            server.start()
            sender.check(self)
        finally:
            server.stop()

    def test_a_disk_full_of_large_objects_refuses_and_heals(self):
        self.fills_and_heals(512 << 10)

    def test_a_disk_full_of_small_objects_refuses_and_heals(self):
        """Here it is the database that finds no room first."""
        self.fills_and_heals(2 << 10)


class Reserve(SmallDisk):
    """One reserve for all that writes what comes from outside."""

    megabytes, mark, upload = 32, 16, 20

    def free(self):
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def test_an_upload_that_would_eat_the_reserve_is_refused_with_the_figures(self):
        server = self.server(self.mark)
        body = os.path.join(self.logs, "body")
        with open(body, "wb") as f:
            f.write(bytes(self.upload << 20))
        try:
            server.start()
            for header in ("X-Length: told", "Transfer-Encoding: chunked"):
                answer = subprocess.run(["curl", "-s", "-T", body, "-X", "POST", "-H", header, f"http://127.0.0.1:{server.http}/api/import"], capture_output=True, check=True).stdout
                problem = json.loads(answer)
                self.assertEqual(problem["status"], 507)
                self.assertRegex(problem["detail"], r"[0-9]+ MiB are left on the disk, no room for [0-9]+ more bytes above the low-water mark of 16 MiB")
                wait_until(lambda: self.free() > (self.mark + 10) << 20, 3, "the piece that was kept is given back")
            sender = Sender(server, 975000, 512 << 10)
            self.assertFalse(sender.until_full(3))  # what fits is taken
            self.assertTrue(sender.until_full(100))
            self.assertGreater(self.free(), (self.mark - 1) << 20)  # rows and audit come out of it
            sender.check(self)
        finally:
            server.stop()


class FullDiskWithSpares(SmallDisk):
    megabytes = SPARE_DISK_MB

    def spares(self):
        return glob.glob(os.path.join(self.folder, "data", "lanes", "*.spare"))

    def burst_and_fill(self, sender, left_kb):
        """A burst, after which spare files are made; then the disk is filled up."""
        self.assertFalse(sender.until_full(6))
        wait_until(lambda: len(self.spares()) >= 1, 10, "spare files")
        time.sleep(1)
        status = os.statvfs(self.folder)
        with open(os.path.join(self.folder, "filler"), "wb") as f:
            os.posix_fallocate(f.fileno(), 0, status.f_bavail * status.f_frsize - (left_kb << 10))

    def test_a_disk_that_is_full_but_for_spare_files_refuses_and_heals(self):
        server = self.server(0)
        try:
            server.start()
            sender = Sender(server, 960000, 512 << 10)
            self.burst_and_fill(sender, 700)
            had = len(self.spares())
            self.assertTrue(sender.until_full(200), "the disk was never full")
            self.assertLess(len(self.spares()), had)  # the objects went there
            for _ in range(3):
                sender.until_full(20)
            sender.check(self)
            server.kill()
            server.start()
            sender.check(self)
            os.remove(os.path.join(self.folder, "filler"))
            self.assertEqual(set(sender.again()), {0})
            sender.check(self)
            self.assertEqual(server.stop(), 0)
            server.start()
            sender.check(self)
        finally:
            server.stop()

    def test_a_server_killed_on_a_disk_that_is_full_but_for_spare_files_starts_again(self):
        """After a power cut SQLite's index of the WAL is not there either: a start has to write before it can read."""
        server = self.server(0)
        try:
            server.start()
            sender = Sender(server, 965000, 512 << 10)
            self.burst_and_fill(sender, 700)
            server.kill()
            os.remove(os.path.join(self.folder, "data", "hilum.db-shm"))
            space = os.statvfs(self.folder)
            with open(os.path.join(self.folder, "more"), "wb") as f:
                os.posix_fallocate(f.fileno(), 0, space.f_bavail * space.f_frsize)
            self.assertGreaterEqual(len(self.spares()), 1)
            server.start()
            self.assertEqual(self.spares(), [])
            sender.check(self)
        finally:
            server.stop()

    def test_below_the_low_water_mark_the_spare_files_are_given_back_first(self):
        server = self.server(100)
        try:
            server.start()
            sender = Sender(server, 970000, 512 << 10)
            self.burst_and_fill(sender, (100 << 10) - 64)
            self.assertFalse(sender.until_full(1))
            self.assertEqual(self.spares(), [])
            sender.check(self)
        finally:
            server.stop()


class FailingDisk(unittest.TestCase):
    """Syncs that answer EIO: no acknowledgement, storing stops until a restart, an alarm; reading goes on. What a later sync says is not believed: the kernel has forgotten the pages."""

    def setUp(self):
        if SANITIZED or not os.path.exists(LAYER):
            self.skipTest("the layer that plays a bad disk is not in this build")
        self.folder = tempfile.mkdtemp(prefix="hilum-eio-")
        self.flag = os.path.join(self.folder, "flag")
        os.mkdir(os.path.join(self.folder, "data"))

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def server(self, pattern):
        data = os.path.join(self.folder, "data")
        return Watched(data=data, config=config(0), env={"LD_PRELOAD": LAYER, "POWERCUT_FOLDER": data, "POWERCUT_LOG": "/dev/null", "POWERCUT_EIO": pattern, "POWERCUT_EIO_FLAG": self.flag})

    def bad_disk(self, on):
        if on:
            open(self.flag, "w", encoding="utf-8").close()
        else:
            os.remove(self.flag)

    def stopped_until_a_restart(self, server, sender):
        health = server.get_json("/healthz")  # reading goes on
        self.assertEqual(health["status"], "warnings")
        self.assertRegex(health["storing"], "^refused: .*failed to sync")
        self.assertIn("objects are " + health["storing"], health["warnings"])
        self.assertTrue(sender.until_full(1))
        status, _, body = server.request("/api/import", "POST", corpus.part10(sender.object(sender.next), EXPLICIT, f"{ROOT}.{sender.next}.1"))
        self.assertEqual(status, 507, body)
        sender.check(self)
        server.stop()
        server.start()
        self.assertEqual(server.get_json("/healthz")["storing"], "ok")
        sender.check(self)
        self.assertEqual(set(sender.again()), {0})
        sender.check(self)

    def test_a_lane_that_cannot_be_synced_stops_storing(self):
        server = self.server("lanes/*")
        try:
            server.start()
            sender = Sender(server, 980000, 64 << 10)
            with Peer(server.dicom) as peer:
                self.assertEqual(peer.associate(calling="FAULTS"), 2)
                self.assertEqual(sender.send(peer, 980001), 0)
                self.bad_disk(True)
                self.assertNotEqual(peer.store(sender.object(980002), f"{ROOT}.980002.1"), 0)
                sender.refused[980002] = True
                self.bad_disk(False)
                self.assertEqual(sender.send(peer, 980003), FULL)
            sender.next = 980010
            self.stopped_until_a_restart(server, sender)
        finally:
            server.stop()

    def test_a_database_that_cannot_be_synced_stops_storing(self):
        server = self.server("*.db-wal")
        try:
            server.start()
            sender = Sender(server, 990000, 64 << 10)
            self.assertFalse(sender.until_full(3))
            peer = json.dumps({"title": "PACS", "host": "127.0.0.1", "port": 104, "rights": ["target"], "plain": "accepted"}).encode()
            self.bad_disk(True)
            status, _, body = server.request("/api/peers/pacs", "PUT", peer, {"Content-Type": "application/json"})
            self.assertGreaterEqual(status, 500, body)
            self.bad_disk(False)
            self.assertEqual([p for p in server.get_json("/api/peers") if p["name"] == "pacs"], [])
            self.assertGreaterEqual(server.request("/api/peers/pacs", "PUT", peer, {"Content-Type": "application/json"})[0], 500)
            self.stopped_until_a_restart(server, sender)
            self.assertIn(server.request("/api/peers/pacs", "PUT", peer, {"Content-Type": "application/json"})[0], (200, 204))
        finally:
            server.stop()


class Faults(unittest.TestCase):
    def test_a_file_that_may_not_grow_is_a_full_disk_too(self):
        with Watched(config=config(0), wrap=["prlimit", f"--fsize={3 << 20}:unlimited"]) as server:
            sender = Sender(server, 910000, 512 << 10)
            self.assertTrue(sender.until_full(20))
            sender.check(self)
            subprocess.run(["prlimit", f"--pid={server.process.pid}", "--fsize=unlimited:unlimited"], check=True)
            self.assertEqual(set(sender.again()), {0})
            sender.check(self)

    def test_nothing_is_changed_without_a_line_in_the_audit_trail_and_what_waits_at_a_kill_is_told(self):
        """The trail is the longest file of this folder, so that a limit of its length leaves room for all else."""
        peer = lambda port: json.dumps({"title": f"PACS{port}", "host": "127.0.0.1", "port": port, "rights": ["target"], "plain": "accepted"}).encode()
        put = lambda port: server.request(f"/api/peers/p{port}", "PUT", peer(port), {"Content-Type": "application/json"})
        lines = lambda: b"".join(pathlib.Path(path).read_bytes() for path in sorted(glob.glob(os.path.join(server.data, "audit-*.log"))))
        standing = lambda: [text for text in server.get_json("/healthz")["warnings"] if "missing lines" in text]
        with Watched(config=config(0)) as server:
            while len(lines()) < 1 << 20:
                for _ in range(100):
                    self.assertEqual(server.request(f"/api/peers/{'x' * 900}", "PUT", peer(1), {"Content-Type": "application/json"})[0], 400)
                self.assertEqual(put(1)[0], 200)
            self.assertEqual(server.stop(), 0)
            server.start()
            self.assertEqual(put(2)[0], 200)
            self.assertIn(b"peer p2", lines(), "it was answered, so its line is there")
            subprocess.run(["prlimit", f"--pid={server.process.pid}", f"--fsize={len(lines())}:unlimited"], check=True)
            status, _, body = put(3)
            self.assertEqual(status, 507)
            self.assertIn("it was done, and its line in the audit trail cannot be written yet", json.loads(body)["detail"])
            for port in (4, 5):
                status, _, body = put(port)
                self.assertEqual(status, 507)
                self.assertIn("nothing is changed while the audit trail cannot be written", json.loads(body)["detail"])
            self.assertEqual([p["name"] for p in server.get_json("/api/peers")], ["p1", "p2", "p3"])  # reading goes on
            health = server.get_json("/healthz")
            self.assertEqual((health["status"], health["audit"]), ("warnings", "the audit trail cannot be written"))
            self.assertEqual(Sender(server, 960000, 1 << 10).until_full(1), False)  # images come in
            server.kill()
            self.assertEqual(server.command("audit", "check", server.data, check=False).returncode, 1)
            server.start()
            self.assertNotIn(b"peer p3", lines())
            self.assertRegex(standing()[0], "lines may be missing here: the server ended while the trail could not be written")
            self.assertEqual(put(6)[0], 200)
            self.assertEqual(server.stop(), 0)
            server.start()
            self.assertEqual(len(standing()), 1, "until somebody knows")
            checked = server.command("audit", "check", server.data, check=False)
            self.assertEqual(checked.returncode, 1, checked.stdout)
            self.assertIn("lines may be missing here", checked.stdout)
            server.command("audit", "acknowledge", "--by", "Ann", "--server", server.url(""))
            self.assertEqual((standing(), server.command("audit", "check", server.data).returncode), ([], 0))

    def test_below_the_low_water_mark_objects_are_refused_and_reading_goes_on(self):
        with Watched(config=config(0)) as server:
            sender = Sender(server, 920000, 1 << 10)
            self.assertFalse(sender.until_full(5))
            self.assertEqual(server.get_json("/healthz")["status"], "ok")
            self.assertEqual(server.stop(), 0)
            server.config = config(1 << 30)
            server.start()
            self.assertTrue(sender.until_full(1))
            status, _, body = server.request("/api/import", "POST", corpus.part10(sender.object(sender.next), EXPLICIT, f"{ROOT}.{sender.next}.1"))
            self.assertEqual(status, 507, body)
            health = server.get_json("/healthz")  # 200: what is there is served
            self.assertEqual(health["status"], "warnings")
            self.assertRegex(health["storing"], "^refused: .*low-water mark of 1073741824 MiB")
            self.assertIn("objects are " + health["storing"], health["warnings"])
            self.assertIn("\nhilum_storing 0\n", server.request("/metrics")[2].decode())
            sender.check(self)
            wait_until(lambda: server.refusals().get("FAULTS") == 1, 3, "one audit record of the refusal")
            self.assertEqual(server.stop(), 0)
            server.config = config(0)
            server.start()
            self.assertEqual(sender.again(), [0])
            sender.check(self)

    def test_a_database_that_another_process_holds_refuses_and_heals(self):
        """On a lane that has objects already: the record is synced when its rows are refused, and must be put down again."""
        with Watched(config=config(0)) as server, Peer(server.dicom) as peer:
            sender = Sender(server, 930000, 1 << 10)
            self.assertEqual(peer.associate(calling="FAULTS"), 2)
            self.assertEqual(sender.send(peer, 930001), 0)
            holder = sqlite3.connect(os.path.join(server.data, "hilum.db"), isolation_level=None)
            holder.execute("BEGIN EXCLUSIVE")
            try:
                held = threading.Thread(target=sender.send, args=(peer, 930002))
                start = time.monotonic()
                held.start()
                while held.is_alive():
                    self.assertEqual(len(server.get_json("/dicom-web/instances")), 1)  # reading goes on
                    time.sleep(0.2)
                waited = time.monotonic() - start
                self.assertEqual(list(sender.refused), [930002])
                self.assertGreater(waited, 3)
                self.assertLess(waited, 14)  # what is in the queue before it waits too
                sender.check(self)
                health = server.get_json("/healthz")
                self.assertEqual((health["status"], health["reading"]), ("warnings", "ok"))
                self.assertRegex(health["storing"], "^refused: nothing can be written since 20.*Z: another process holds the database")
                self.assertEqual(health["warnings"], ["objects are " + health["storing"]])
                self.assertIn("\nhilum_storing 0\n", server.request("/metrics")[2].decode())
            finally:
                holder.execute("ROLLBACK")
                holder.close()
            wait_until(lambda: server.get_json("/healthz")["status"] == "ok", 5, "healthy again, although nobody sends")
            self.assertIn("\nhilum_storing 1\n", server.request("/metrics")[2].decode())
            self.assertEqual(peer.echo(), 0)  # the association goes on, and so does its lane
            self.assertEqual(sender.send(peer, 930003), 0)
            sender.check(self)
            server.kill()
            server.start()
            sender.check(self)  # the replay does not take up what was refused
            self.assertEqual(sender.again(), [0])
            sender.check(self)

    def test_a_stop_waits_for_no_other_process_that_holds_the_database(self):
        with Watched(config=config(0)) as server, Peer(server.dicom) as peer:
            sender = Sender(server, 950000, 1 << 10)
            self.assertEqual(peer.associate(calling="FAULTS"), 2)
            self.assertEqual(sender.send(peer, 950001), 0)
            holder = sqlite3.connect(os.path.join(server.data, "hilum.db"), isolation_level=None)
            holder.execute("BEGIN EXCLUSIVE")
            try:
                time.sleep(6)  # the server's own writes wait, and more queue up behind them
                start = time.monotonic()
                self.assertEqual(server.stop(), 0)
                self.assertLess(time.monotonic() - start, 5)
            finally:
                holder.execute("ROLLBACK")
                holder.close()
            server.start()
            sender.check(self)

    def test_a_database_that_is_held_for_a_moment_only_delays(self):
        with Watched(config=config(0)) as server:
            sender = Sender(server, 940000, 1 << 10)
            holder = sqlite3.connect(os.path.join(server.data, "hilum.db"), isolation_level=None, check_same_thread=False)
            holder.execute("BEGIN EXCLUSIVE")
            timer = threading.Timer(1, holder.execute, ["ROLLBACK"])
            timer.start()
            start = time.monotonic()
            self.assertFalse(sender.until_full(1))
            self.assertGreater(time.monotonic() - start, 0.8)
            timer.join()
            sender.check(self)
            holder.close()


if __name__ == "__main__":
    unittest.main(warnings="ignore")
