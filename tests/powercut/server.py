#!/usr/bin/python3
"""The whole server under the power-cut layer: the two commands that test.py runs.

    server.py run FOLDER ANSWERS --layer SO [--heads FOLDER] [--orthanc]
    server.py check FOLDER ANSWERS CUT_NS [--orthanc]

`run` starts the server (`hilum serve`, HILUM names the program) on FOLDER under the layer and does to it what a hospital does: several modalities send, a head CT with a bleed
makes a job, findings and deliveries, a person enters peers and rules and judges. Now and then the disk is full for a moment. Every answer is written down. `check` starts the
server on what a cut has left and asks for everything that had been answered before it.

With --orthanc the server is Debian's Orthanc, which only gets the objects.
"""

import argparse
import glob
import hashlib
import http.client
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import urllib.error

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "outside")]
import harness  # noqa: E402
from sender import ROOT, Answers, Images, Sender, data_set_of, read_answers  # noqa: E402

SENDERS, PER_ASSOCIATION, BETWEEN_OBJECTS, BETWEEN_ASSOCIATIONS = 3, 12, 0.02, 0.1  # seconds
FULL_TIMES, FULL_SECONDS, FULL_EVERY = 4, 0.15, 0.8
PAUSE_SECONDS, PAUSE_EVERY = 0.7, 1  # long enough for spare files to be made
JOB_SECONDS, ORTHANC_SECONDS = 60, 6
BLEED_SEED = 5
READY_SECONDS = 2  # a promise of the design
CONFIG = f'models:\n  folder: "{harness.ROOT}/models"\ndisk:\n  low_water_mb: 0\n'


# ---- run

def send_series(port, answers, images, stop, go_on, title, per_association):
    """Small series one after the other, each over an association of its own, until told to stop."""
    while not stop.is_set():
        association, left = Sender(port, title, answers), per_association
        study = f"{ROOT}.{images.number()}"
        while left > 0 and not stop.is_set():
            go_on.wait()
            association.put(study, f"{study}.0", *images.make(study, f"{study}.0"))
            left -= 1
            time.sleep(BETWEEN_OBJECTS)
        association.release()
        time.sleep(BETWEEN_ASSOCIATIONS)


def make_head(folder):
    """The slices of a head with a SYNTHETIC bleed; made once."""
    head = os.path.join(folder, f"bleed-{BLEED_SEED:04d}")
    if not os.path.exists(head + ".truth.json"):
        subprocess.run([os.path.join(harness.ROOT, "tools", "head-ct"), "make", folder, "--bleed-seed", str(BLEED_SEED)], check=True, stdout=subprocess.DEVNULL)
    return sorted(glob.glob(os.path.join(head, "*.dcm")))


def send_head(port, answers, paths, sent):
    import pydicom

    association = Sender(port, "HEAD", answers)
    for path in paths:
        head = pydicom.dcmread(path, stop_before_pixels=True)
        with open(path, "rb") as f:
            association.put(head.StudyInstanceUID, head.SeriesInstanceUID, head.SOPInstanceUID, data_set_of(f.read()))
    association.release()
    sent.set()


def call(server, answers, what, path, value, method="PUT", **values):
    """A change; what is answered with success is written down."""
    status, _, _ = server.request(path, method, json.dumps(value).encode(), {"Content-Type": "application/json"})
    if status in (200, 204):
        answers.add(what, **values)


def look(server, answers, judged):
    """What the server shows as done is as good as told. True when the head's job is done and its results wait to be delivered."""
    jobs, deliveries = server.get_json("/api/jobs"), server.get_json("/api/deliveries")
    for job in jobs:
        answers.add("job", key=job["key"], done=job["state"] == "done")
        for finding in server.get_json(f"/api/studies/{job['study']}/findings"):
            answers.add("finding", study=job["study"], id=finding["id"])
            if finding["id"] not in judged:
                judged.add(finding["id"])
                call(server, answers, "judged", f"/api/findings/{finding['id']}/judge", {"state": "accepted", "by": "Test"}, "POST", study=job["study"], id=finding["id"])
    for delivery in deliveries:
        answers.add("delivery", id=delivery["id"], subject=delivery["subject"])
    return bool(deliveries) and all(job["state"] == "done" for job in jobs)


def ask(server, answers, stop, whole):
    """A person at the page: enters, looks, judges."""
    judged, number = set(), 0
    rule = {"modality": "MR", "model": "head-ct-hyperdense"}
    while not stop.is_set():
        number += 1
        call(server, answers, "peer", f"/api/peers/peer{number}", {"title": f"PEER{number}", "host": "127.0.0.1", "port": 104, "rights": ["target"], "plain": "accepted"}, name=f"peer{number}")
        call(server, answers, "rule", f"/api/rules/rule{number}", rule, name=f"rule{number}")
        call(server, answers, "hl7", f"/api/hl7-targets/ris{number}", {"host": "127.0.0.1", "port": 2575, "application": "RIS", "facility": "TEST"}, name=f"ris{number}")
        if look(server, answers, judged):
            whole.set()
        stop.wait(0.2)


def fill_disk(flag, stop, sent):
    """Not before the head was sent: without slices that were refused it would have a gap, and no result."""
    sent.wait(JOB_SECONDS)
    for _ in range(FULL_TIMES):
        if stop.wait(FULL_EVERY):
            return
        with open(flag, "w", encoding="utf-8"):
            pass
        time.sleep(FULL_SECONDS)
        os.unlink(flag)


def pause(folder, stop, go_on, seen):
    """Now and then nobody sends, so that spare files are made; `seen` is set when there was one."""
    while not stop.wait(PAUSE_EVERY):
        go_on.clear()
        time.sleep(PAUSE_SECONDS)
        if glob.glob(os.path.join(folder, "lanes", "*.spare")):
            seen.set()
        go_on.set()


class Threads:
    """Threads whose failure is the test's."""

    def __init__(self):
        self.threads, self.failures = [], []

    def start(self, work, *arguments):
        def guarded():
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - told by join
                self.failures.append(error)

        self.threads.append(threading.Thread(target=guarded))
        self.threads[-1].start()

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]


def start_senders(threads, port, answers, stop, go_on):
    images = Images()
    go_on.set()
    for number in range(SENDERS):
        # The first keeps its association to the end: a refused object stays in an open lane, where only its tombstone speaks against it.
        threads.start(send_series, port, answers, images, stop, go_on, f"CT{number}", PER_ASSOCIATION if number else sys.maxsize)


def run_hilum(args, answers):
    flag, head = os.path.join(os.path.dirname(args.folder), "full"), make_head(args.heads)
    server = harness.Hilum(args.folder, CONFIG, {"LD_PRELOAD": args.layer, "POWERCUT_FULL": "*-wal", "POWERCUT_FULL_FLAG": flag})
    server.start()
    threads, stop, whole, go_on, spares, sent = Threads(), *(threading.Event() for _ in range(5))
    try:
        # Nobody listens on that port: deliveries wait.
        server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "port": harness.free_port(), "rights": ["target"], "plain": "accepted"})
        rules = server.get_json("/api/rules")
        server.put_json(f"/api/rules/{rules[0]['name']}", dict(rules[0], send_to=["pacs"]))
        threads.start(send_head, server.dicom, answers, head, sent)
        threads.start(ask, server, answers, stop, whole)
        time.sleep(0.5)
        start_senders(threads, server.dicom, answers, stop, go_on)
        threads.start(pause, args.folder, stop, go_on, spares)
        threads.start(fill_disk, flag, stop, sent)
        if not whole.wait(JOB_SECONDS):
            print(f"the head's job was not done in {JOB_SECONDS} s")
        time.sleep(2)
    finally:
        stop.set()
        threads.join()
        server.stop()
    if not spares.is_set():
        print("no spare file was made")
    return whole.is_set() and spares.is_set()


def run_orthanc(args, answers):
    threads, stop = Threads(), threading.Event()
    os.environ["LD_PRELOAD"] = args.layer
    server = orthanc_on(args.folder).start()
    try:
        start_senders(threads, server.dicom, answers, stop, threading.Event())
        time.sleep(ORTHANC_SECONDS)
    finally:
        stop.set()
        threads.join()
        server.stop()
    return True


def orthanc_on(folder):
    server = harness.Orthanc("HILUM")
    shutil.rmtree(server.folder)
    server.folder = folder
    return server


# ---- check

class Check:
    def __init__(self, answers):
        self.answers, self.wrong = answers, []

    def of(self, what):
        return [answer for answer in self.answers if answer["what"] == what]

    def require(self, condition, what):
        if not condition:
            self.wrong.append(what)

    def report(self, lost, ready):
        for line in self.wrong[:3]:
            print(line)
        told = ", ".join(f"{len(self.of(what))} {what}" for what in dict.fromkeys(answer["what"] for answer in self.answers))
        print(f"{len(self.wrong)} wrong; {lost} of {len(self.of('stored'))} acknowledged lost; ready after {ready:.2f} s; before the cut: {told}")
        return not self.wrong


def get(connection, path, accept="*/*"):
    connection.request("GET", path, headers={"Accept": accept})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def what_is_wrong(connection, answer):
    """"" when the object comes back bit for bit."""
    path = f"/dicom-web/studies/{answer['study']}/series/{answer['series']}/instances/{answer['instance']}"
    try:
        status, headers, body = get(connection, path, 'multipart/related; type="application/dicom"; transfer-syntax=*')
        if status != 200:
            return f"{status} {body[:100]}"
        parts = harness.multipart(headers, body)
        return "" if len(parts) == 1 and hashlib.sha256(data_set_of(parts[0][1])).hexdigest() == answer["digest"] else "it has other bytes"
    except (OSError, http.client.HTTPException, struct.error) as error:
        connection.close()
        return f"its answer breaks off: {error!r}"


def check_objects(check, port):
    """How many of the acknowledged are lost; the refused must not be there."""
    lost, connection = 0, http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for answer in check.of("stored"):
        wrong = what_is_wrong(connection, answer)
        lost += bool(wrong)
        check.require(not wrong, f"object {answer['instance']} is lost: {wrong}")
    for answer in check.of("refused"):
        check.require(not is_there(connection, answer["instance"]), f"object {answer['instance']} was refused and is there")
    return lost


def is_there(connection, instance):
    status, _, body = get(connection, f"/dicom-web/instances?SOPInstanceUID={instance}")
    return status == 200 and bool(json.loads(body))


def check_rows(check, server):
    for what, path in (("peer", "/api/peers"), ("rule", "/api/rules"), ("hl7", "/api/hl7-targets")):
        names = {row["name"] for row in server.get_json(path)}
        for answer in check.of(what):
            check.require(answer["name"] in names, f"{what} {answer['name']} is lost")
    jobs = {job["key"]: job["state"] for job in server.get_json("/api/jobs")}
    for answer in check.of("job"):
        check.require(answer["key"] in jobs, f"job {answer['key'][:16]} is lost")
        check.require(not answer["done"] or jobs.get(answer["key"]) == "done", f"job {answer['key'][:16]} was done and is {jobs.get(answer['key'])}")
    deliveries = {(delivery["id"], delivery["subject"]) for delivery in server.get_json("/api/deliveries")}
    for answer in check.of("delivery"):
        check.require((answer["id"], answer["subject"]) in deliveries, f"delivery {answer['id']} is lost")
    for answer in check.of("finding") + check.of("judged"):
        states = {row["id"]: row["state"] for row in server.get_json(f"/api/studies/{answer['study']}/findings?superseded=true")}
        check.require(answer["id"] in states, f"finding {answer['id']} is lost")
        check.require(answer["what"] != "judged" or states.get(answer["id"]) == "accepted", f"the judgement of finding {answer['id']} is lost")


def check_names(check, server):
    """No job, delivery or finding names an object that is not there."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=60)
    for job in server.get_json("/api/jobs"):
        series = server.get_json(f"/dicom-web/studies/{job['study']}/series?SeriesInstanceUID={job['series']}")
        check.require(series, f"job {job['key'][:16]} is about series {job['series']}, which is not there")
        for made in {job["result"]["seg"], job["result"]["sr"]} - {""} if job["state"] == "done" else ():
            check.require(is_there(connection, made), f"job {job['key'][:16]} made {made}, which is not there")
        for finding in server.get_json(f"/api/studies/{job['study']}/findings?superseded=true"):
            check.require(is_there(connection, finding["sr"]), f"finding {finding['id']} names {finding['sr']}, which is not there")
    for delivery in server.get_json("/api/deliveries"):
        check.require(is_there(connection, delivery["subject"]), f"delivery {delivery['id']} names {delivery['subject']}, which is not there")


def check_packs(check, folder):
    """Looked at before the server is started: a pack has its whole index [S4]."""
    for path in glob.glob(os.path.join(folder, "packs", "*.pack")):
        with open(path, "rb") as f:
            content = f.read()
        at = int.from_bytes(content[-16:-8], "little")
        whole = content[-8:] == b"HILUMEND" and content[at:at + 8] == b"HILUMIX1" and hashlib.sha256(content[at:-48]).digest() == content[-48:-16]
        check.require(whole, f"{os.path.basename(path)} has no whole index")


def check_database(check, folder):
    try:
        with sqlite3.connect(os.path.join(folder, "hilum.db")) as db:
            said = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        said = str(error)
    check.require(said == "ok", f"the database: {said}")


def check_hilum(args):
    check = Check(read_answers(args.answers, args.cut_ns))
    check_packs(check, args.folder)
    server = harness.Hilum(args.folder, CONFIG)
    lost, started, ready = len(check.of("stored")), time.monotonic(), float("nan")
    try:
        server.start()
        ready = time.monotonic() - started
        check.require(ready <= READY_SECONDS, f"the server was ready after {ready:.1f} s")
        lost = check_objects(check, server.http)
        check_rows(check, server)
        check_names(check, server)
        # A power cut is nothing that an administrator has to look after.
        check.require(" error   alarm " not in server.log(), f"an alarm: {[line for line in server.log().splitlines() if ' alarm ' in line][:1]}")
    except (AssertionError, RuntimeError, OSError, urllib.error.URLError) as error:
        check.require(False, f"{error}: {(server.log().splitlines() or [''])[-1]}")
    finally:
        server.kill()
        os.unlink(server.log_path)
    check_database(check, args.folder)
    return check.report(lost, ready)


def check_orthanc(args):
    """Lost: not in the index; and in it, but not to be read."""
    check = Check(read_answers(args.answers, args.cut_ns))
    server, ids, started, ready = orthanc_on(args.folder), {}, time.monotonic(), float("nan")
    unlisted = unread = 0
    try:
        server.start()
        ready = time.monotonic() - started
        ids = {row["MainDicomTags"]["SOPInstanceUID"]: row["ID"] for row in server.get_json("/instances?expand")}
    except (RuntimeError, OSError) as error:
        check.require(False, f"Orthanc does not start: {error}")
    for answer in check.of("stored"):
        if answer["instance"] not in ids:
            unlisted += 1
            continue
        try:
            unread += hashlib.sha256(data_set_of(server.get(f"/instances/{ids[answer['instance']]}/file"))).hexdigest() != answer["digest"]
        except (OSError, http.client.HTTPException, struct.error):
            unread += 1
    if server.process:
        server.process.kill()
        server.process.wait()
    check.require(unlisted + unread == 0, f"{unlisted} are not in the index, {unread} are and cannot be read")
    return check.report(unlisted + unread, ready)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["run", "check"])
    parser.add_argument("folder")
    parser.add_argument("answers")
    parser.add_argument("cut_ns", type=int, nargs="?")
    parser.add_argument("--layer")
    parser.add_argument("--heads", help="where the head CT is made and kept")
    parser.add_argument("--orthanc", action="store_true")
    args = parser.parse_args()
    if args.what == "run":
        good = (run_orthanc if args.orthanc else run_hilum)(args, Answers(args.answers))
    else:
        good = (check_orthanc if args.orthanc else check_hilum)(args)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
