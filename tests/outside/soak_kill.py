#!/usr/bin/python3
"""soak_kill.py [ROUNDS [SEED]]: the server is killed with SIGKILL again and again, at every named point (docs/store-format.md, "Crash points") in turn and at random times, while 1 to 4 associations
store objects. By the senders' own record every acknowledged object must be there bit for bit after a restart, ready within 2 s; nothing is listed that was never sent; and a start after a clean stop
finds nothing to mend. Likewise while a model's job ends and its results leave for a PACS: they exist exactly once, here and there.
"""

import glob
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
import pydicom
from corpus import ROOT, Ended, Peer, data_pdus, pdu, pdv
from harness import ROOT as ROOT_FOLDER
from harness import wait_until
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from test_bad_input import Watched

CONFIG = "disk:\n  low_water_mb: 0\n"
READY_SECONDS = 2
SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"  # Comprehensive 3D SR
# Name, and how often it is passed before the kill, at least and at most: among the first objects or after many, in a start, or in the close of a lane.
POINTS = [("lane.mid_write", 1, 60), ("lane.after_write", 1, 25), ("lane.after_sync", 1, 25), ("rows.after_commit", 1, 150), ("store.before_answer", 1, 25), ("pack.before_rename", 1, 5),
          ("pack.after_rename", 1, 5), ("pack.after_sync", 1, 1), ("pack.after_rows", 1, 1), (None, 0, 0)]
# Points on the way of a job, once a round each: the job's end, its results stored, a result sent.
JOB_POINTS = [("job.in_commit", 1, 1), ("job.after_store", 1, 1), ("outbox.after_send", 1, 2)]
SPARE_OBJECTS, SPARE_SECONDS = 3, 1.5  # a burst, and how long a spare file may take after it
RUN_SECONDS = 0.9  # a point that was not passed so often by then is no longer waited for


class Record:
    """What the senders know. Threads share it; each number belongs to one."""

    def __init__(self, random_source):
        self.random, self.lock = random_source, threading.Lock()
        self.number = 2000000
        self.sent, self.acknowledged = {}, {}  # number -> digest

    def make(self, study):
        with self.lock:
            self.number += 1
            number, size = self.number, self.random.choice((100, 4000, 70000, 300000))
        seed = hashlib.sha256(str(number).encode()).digest()
        data = corpus.sound(number, replace={0x0020000D: ("UI", corpus.uid(f"{ROOT}.{study}")), 0x0020000E: ("UI", corpus.uid(f"{ROOT}.{study}.0")), 0x7FE00010: ("OW", seed * (size // 32))})
        with self.lock:
            self.sent[number] = hashlib.sha256(data).digest()
        return number, data

    def acknowledge(self, number):
        with self.lock:
            self.acknowledged[number] = self.sent[number]


def send_until_it_ends(server, record, seed):
    """One sender: associations of a few objects each, some broken off in the middle, until the server is gone."""
    choice = random.Random(seed)
    while server.process.poll() is None:
        try:
            with Peer(server.dicom, timeout=10) as peer:
                if peer.associate(calling="SOAK") != 2:
                    continue
                study = choice.randrange(10**6, 2 * 10**6)
                for _ in range(choice.randrange(1, 9)):
                    number, data = record.make(study)
                    status = peer.store(data, f"{ROOT}.{number}.1")
                    if status != 0:
                        raise AssertionError(f"object {number} was answered {status:04X}H")
                    record.acknowledge(number)
                    if choice.random() < 0.1 and peer.store(data, f"{ROOT}.{number}.1") != 0:  # the same again is the same object
                        raise AssertionError(f"object {number} again was refused")
                if choice.random() < 0.2:
                    number, data = record.make(study)
                    peer.send(data_pdus(3, corpus.store_command(f"{ROOT}.{number}.1", 99), 1) + pdu(4, pdv(3, 0, data[:-2])))
                elif choice.random() < 0.8:
                    peer.release()
        except (Ended, OSError):
            pass


def send_burst(server, record):
    try:
        with Peer(server.dicom, timeout=10) as peer:
            if peer.associate(calling="SOAK") != 2:
                return
            for _ in range(SPARE_OBJECTS):
                number, data = record.make(10**6 - 1)
                if peer.store(data, f"{ROOT}.{number}.1") != 0:
                    raise AssertionError(f"object {number} was refused")
                record.acknowledge(number)
            peer.release()
    except (Ended, OSError):
        pass


class Soak:
    """Kills while objects come in."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.record = Record(self.random)
        self.folder = tempfile.mkdtemp(prefix="hilum-kill-")
        self.server = Watched(data=os.path.join(self.folder, "data"), config=CONFIG)
        self.killed, self.slowest, self.epoch = {}, 0.0, None
        self.with_spares = 0

    def start(self, fault=None):
        """False when the fault came in the start itself."""
        self.server.env.pop("HILUM_FAULT", None)
        if fault:
            self.server.env["HILUM_FAULT"] = fault
        begun = time.monotonic()
        try:
            self.server.start()
        except RuntimeError:
            if not fault or self.server.process.poll() != -9:
                raise
            return False
        if not fault:
            self.slowest = max(self.slowest, time.monotonic() - begun)
        if " error   alarm " in self.server.log():
            raise AssertionError(f"a kill raised an alarm: {[line for line in self.server.log().splitlines() if ' alarm ' in line][:1]}")
        return True

    def wait_for_spares(self):
        """A burst and a quiet time: the lanes that follow begin as spare files."""
        send_burst(self.server, self.record)
        end = time.monotonic() + SPARE_SECONDS
        while self.server.process.poll() is None and time.monotonic() < end:
            if glob.glob(os.path.join(self.server.data, "lanes", "*.spare")):
                time.sleep(self.random.uniform(0, 0.3))  # it may be whole by then, or not
                self.with_spares += 1
                return
            time.sleep(0.01)

    def load(self, fault, seconds):
        senders = [threading.Thread(target=send_until_it_ends, args=(self.server, self.record, self.random.random())) for _ in range(self.random.randrange(1, 5))]
        for sender in senders:
            sender.start()
        end = time.monotonic() + seconds
        while self.server.process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        hit = self.server.process.poll() is not None
        if hit and self.server.process.returncode != -9:
            raise AssertionError(f"the server ended with {self.server.process.returncode} by itself: {self.server.log()[-3000:]}")
        self.server.kill()
        for sender in senders:
            sender.join()
        name = fault.split(":")[0] if fault and hit else "random"
        self.killed[name] = self.killed.get(name, 0) + 1

    def listed(self):
        """Number -> (study, series) of every object that the server lists."""
        out, offset = {}, 0
        while True:
            rows = self.server.get_json(f"/dicom-web/instances?limit=500&offset={offset}")
            for row in rows:
                instance, study, series = (row[tag]["Value"][0] for tag in ("00080018", "0020000D", "0020000E"))
                number = int(instance.split(".")[-2])
                if number not in self.record.sent or number in out:
                    raise AssertionError(f"{instance} is listed, but was {'listed before' if number in out else 'never sent'}")
                out[number] = study, series
            if len(rows) < 500:
                return out
            offset += 500

    def check(self, since, sample=20):
        """Everything acknowledged is listed; what was sent after `since`, and a sample of the rest, is read back."""
        listed = self.listed()
        lost = sorted(set(self.record.acknowledged) - set(listed))
        if lost:
            raise AssertionError(f"{len(lost)} acknowledged objects are lost, the first {lost[:5]}")
        warnings = " ".join(self.server.get_json("/healthz")["warnings"])
        if "alarm since" in warnings:
            raise AssertionError(f"a kill is nothing that an administrator has to look after: {warnings}")
        older = [number for number in listed if number <= since]
        for number in [n for n in listed if n > since] + self.random.sample(older, min(sample, len(older))):
            study, series = listed[number]
            data, _ = self.server.data_set(study, series, f"{ROOT}.{number}.1")
            if hashlib.sha256(data).digest() != self.record.sent[number]:
                raise AssertionError(f"object {number} is not what was sent")
        return len(listed)

    def clean(self, stored):
        """A stop and a start find nothing to mend: the same objects, the same epoch of the log, every lane closed."""
        epoch = self.server.get_json("/api/status")["epoch"]
        if self.server.stop() != 0:
            raise AssertionError("the stop after a kill was not clean")
        self.start()
        status = self.server.get_json("/api/status")
        if (status["epoch"], status["instances"]) != (epoch, stored):
            raise AssertionError(f"after a clean stop the server mended something: epoch {epoch} -> {status['epoch']}, {stored} -> {status['instances']} objects")

    def round(self, number):
        point, least, most = POINTS[number % len(POINTS)]
        fault = f"{point}:{self.random.randint(least, most)}" if point else None
        since = self.record.number
        if self.start(fault):
            if self.random.random() < 0.5:
                self.wait_for_spares()
            self.load(fault, RUN_SECONDS if fault else self.random.uniform(0.02, RUN_SECONDS))
        else:
            self.killed[point + " in a start"] = self.killed.get(point + " in a start", 0) + 1
        self.start()
        self.clean(self.check(since))
        if self.server.stop() != 0:
            raise AssertionError("the server did not stop cleanly")

    def end(self):
        self.start()
        listed = self.check(0)
        self.server.stop()
        if self.slowest > READY_SECONDS:
            raise AssertionError(f"a start took {self.slowest:.2f} s")
        if self.with_spares == 0:
            raise AssertionError("no spare file was ever made")
        return f"{len(self.record.acknowledged)} objects acknowledged, {listed} listed, all bit for bit; {self.with_spares} rounds with spare files; slowest start {self.slowest:.2f} s; killed: " + ", ".join(
            f"{name} {count}" for name, count in sorted(self.killed.items()))

    def close(self):
        self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Series:
    """The head CT with a bleed, every other slice; each copy is another series of another patient."""

    def __init__(self, folder):
        made = subprocess.run([os.path.join(ROOT_FOLDER, "tools", "head-ct"), "make", folder, "--bleed-seed", "0"], capture_output=True, text=True, check=True).stdout.split()[0]
        self.slices = [pydicom.dcmread(path) for path in sorted(glob.glob(os.path.join(made, "*.dcm")))[::2]]

    def send(self, peer, number):
        study = f"{ROOT}.7.{number}"
        for index, dataset in enumerate(self.slices):
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID, dataset.FrameOfReferenceUID = study, study + ".1", f"{study}.1.{index}", study + ".2"
            dataset.PatientID, dataset.InstanceNumber = f"KILL{number}", index + 1
            out = DicomBytesIO()
            out.is_little_endian, out.is_implicit_VR = True, False
            write_dataset(out, dataset)
            if peer.store(out.getvalue(), dataset.SOPInstanceUID) != 0:
                raise AssertionError(f"slice {index} of series {number} was refused")
        peer.release()
        return study


class JobSoak:
    """Kills while a job ends and its results leave: each job's results exist exactly once, here and at the target."""

    def __init__(self, seed):
        self.random, self.number = random.Random(seed), 0
        self.folder = tempfile.mkdtemp(prefix="hilum-kill-")
        self.series = Series(self.folder)
        self.target = Watched(data=os.path.join(self.folder, "pacs"), config=CONFIG)
        shutil.copytree(os.path.join(ROOT_FOLDER, "models"), os.path.join(self.folder, "models"))  # which nobody changes meanwhile
        self.server = Watched(data=os.path.join(self.folder, "data"), config=f"{CONFIG}models:\n  folder: {self.folder}/models\n")
        self.killed, self.objects = {}, 0
        self.target.start()
        self.server.start()
        self.server.put_json("/api/peers/pacs", {"title": "HILUM", "host": "127.0.0.1", "port": self.target.dicom, "rights": ["target"], "plain": "accepted"})
        rule = next(rule for rule in self.server.get_json("/api/rules") if rule["model"] == "head-ct-hyperdense")
        self.server.put_json("/api/rules/" + rule["name"], dict(rule, send_to=["pacs"]))
        if self.server.stop() != 0:
            raise AssertionError("the server did not stop cleanly")

    def made(self, server, study):
        """The digest of each object of the study that is not of the source series, by its UID."""
        out = {}
        for row in server.get_json(f"/dicom-web/instances?StudyInstanceUID={study}"):
            instance, series = row["00080018"]["Value"][0], row["0020000E"]["Value"][0]
            if not instance.startswith(study + ".1."):
                out[instance] = hashlib.sha256(server.data_set(study, series, instance)[0]).hexdigest(), row["00080016"]["Value"][0]
        return out

    def job(self, study):
        jobs = self.server.get_json("/api/jobs?study=" + study)
        return jobs[0] if len(jobs) == 1 and jobs[0]["state"] not in ("queued", "running") else None

    def round(self, number):
        point, least, most = JOB_POINTS[number % len(JOB_POINTS)]
        self.number += 1
        self.server.env["HILUM_FAULT"] = f"{point}:{self.random.randint(least, most)}"
        self.server.start()
        with Peer(self.server.dicom) as peer:
            peer.associate(calling="SOAK")
            study = self.series.send(peer, self.number)
        wait_until(lambda: self.server.process.poll() is not None, 60, f"{point} is passed")
        if self.server.process.returncode != -9:
            raise AssertionError(f"the server ended with {self.server.process.returncode} by itself")
        self.killed[point] = self.killed.get(point, 0) + 1
        del self.server.env["HILUM_FAULT"]
        self.server.start()
        job = wait_until(lambda: self.job(study), 60, "the job's end after the kill")
        if (job["state"], job["outcome"]) != ("done", "positive"):
            raise AssertionError(f"the job ended as {job}")
        here = self.made(self.server, study)
        if sorted(sop_class for _, sop_class in here.values()) != [SEG, SR]:
            raise AssertionError(f"the study has the results {here}, not one SEG and one SR")
        wait_until(lambda: len(self.made(self.target, study)) == len(here), 30, "the results at the target")
        wait_until(lambda: not self.server.get_json("/api/deliveries?state=waiting"), 30, "nothing more to deliver")
        if self.made(self.target, study) != here or self.target.get_json("/api/conflicts") or self.server.get_json("/api/conflicts"):
            raise AssertionError("the target has other results than the server, or an object twice with other bytes")
        self.objects += len(here)
        if self.server.stop() != 0:
            raise AssertionError("the server did not stop cleanly")

    def end(self):
        return f"{self.objects} results of {self.number} jobs, each once here and at the target; killed: " + ", ".join(f"{name} {count}" for name, count in sorted(self.killed.items()))

    def close(self):
        self.server.kill()
        self.target.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def run(kind, rounds, seed, show=lambda text: None):
    soak = kind(seed)
    try:
        for number in range(rounds):
            soak.round(number)
            show(f"\r{number + 1} of {rounds} rounds")
        return soak.end()
    except BaseException:
        sys.stderr.write(f"seed {seed}\n" + soak.server.log()[-3000:])
        raise
    finally:
        soak.close()


def main(rounds=100, seed=1):
    begun = time.monotonic()
    jobs = rounds * len(JOB_POINTS) // (len(POINTS) + len(JOB_POINTS))
    for kind, count in ((Soak, rounds - jobs), (JobSoak, jobs)):
        print("\r" + run(kind, count, seed, lambda text: (sys.stderr.write(text), sys.stderr.flush())))
    print(f"{rounds} kills in {time.monotonic() - begun:.0f} s, seed {seed}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
