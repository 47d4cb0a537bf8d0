#!/usr/bin/python3
"""Models that hang, eat memory or are killed cost their job, with a reason that a person can read; the server, its answers and the other jobs go on (docs/bad-input.md, 78). Rules change while it runs."""

import glob
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, Hilum, wait_until

REAL = "head-ct-hyperdense"
TIMEOUT_SECONDS = 15


def make_package(folder, name, graph, version=None):
    """The real package under another name, with a graph that misbehaves and no rule of its own."""
    to = os.path.join(folder, name)
    shutil.copytree(os.path.join(ROOT, "models", REAL), to)
    if graph:
        subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "src", "model", "tests", "make.py"), "graph", graph, os.path.join(to, "model.onnx")], check=True)
    with open(os.path.join(to, "manifest.json"), encoding="utf-8") as f:
        manifest = json.load(f)
    with open(os.path.join(to, "model.onnx"), "rb") as f:
        manifest["files"]["model.onnx"] = hashlib.sha256(f.read()).hexdigest()
    manifest["name"] = name
    manifest["version"] = version or manifest["version"]
    del manifest["rule"]
    with open(os.path.join(to, "manifest.json"), "w", encoding="utf-8") as f:
        json.dump(manifest, f)


def runners(server):
    """Pids of the server's model children."""
    found = []
    for path in glob.glob(f"/proc/{server.process.pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as f:
                pids = f.read().split()
            for pid in pids:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if b"runner" in f.read().split(b"\0"):
                        found.append(int(pid))
        except OSError:
            continue
    return found


class RunnerFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hilum-runner-")
        models = os.path.join(cls.folder, "models")
        for name, graph in (("sound", None), ("endless", "endless"), ("hungry", "hungry")):
            make_package(models, name, graph)
        damaged = os.path.join(models, "damaged")
        make_package(models, "damaged", None)
        with open(os.path.join(damaged, "model.onnx"), "ab") as f:
            f.write(b"x")
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", cls.folder, "--bleed-seed", "1", "2", "3", "4"], capture_output=True, text=True, check=True)
        cls.heads = made.stdout.split()
        cls.server = Hilum(data=os.path.join(cls.folder, "data"),
                           config=f"models:\n  folder: {models}\n  timeout_seconds: {TIMEOUT_SECONDS}\n  memory_mb: 1024\n  workers: 3\n").start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        for rule in self.server.get_json("/api/rules"):
            self.server.request(f"/api/rules/{rule['name']}", "DELETE")

    def rule(self, model, **more):
        self.server.put_json(f"/api/rules/{model}", {"model": model, "modality": "CT", **more})

    def send(self, number):
        """A head; its Study Instance UID."""
        import pydicom

        paths = sorted(glob.glob(self.heads[number] + "/*.dcm"))
        self.server.storescu(*paths)
        return pydicom.dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID

    def jobs(self, study):
        return {job["model"].split()[0]: job for job in self.server.get_json(f"/api/jobs?study={study}")}

    def ended(self, study, model, seconds=60):
        return wait_until(lambda: (lambda job: job and job["state"] in ("done", "failed", "skipped") and job)(self.jobs(study).get(model)), seconds, f"the job of {model} ends")

    def answers_at_once(self):
        for path in ("/dicom-web/studies", "/api/worklist", "/healthz"):
            began = time.monotonic()
            self.assertEqual(self.server.request(path)[0], 200)
            self.assertLess(time.monotonic() - began, 2, path)

    def test_a_damaged_package_is_named_and_keeps_no_other_away(self):
        self.assertEqual(sorted(model["name"] for model in self.server.get_json("/api/models")), ["endless", "hungry", "sound"])
        self.assertIn("damaged", self.server.log())

    def test_models_that_hang_or_eat_memory_fail_alone_with_a_reason(self):
        for model in ("endless", "hungry", "sound"):
            self.rule(model)
        study = self.send(0)
        wait_until(lambda: self.jobs(study).get("endless", {}).get("state") == "running", 30, "the endless job runs")
        self.answers_at_once()
        sound = self.ended(study, "sound")
        self.assertEqual((sound["state"], sound["outcome"]), ("done", "positive"), sound["reason"])
        hungry = self.ended(study, "hungry")
        self.assertEqual(hungry["state"], "failed")
        self.assertIn("memory", hungry["reason"])
        endless = self.ended(study, "endless")
        self.assertEqual(endless["state"], "failed")
        self.assertIn("longer than it may", endless["reason"])
        self.answers_at_once()
        self.assertIsNone(self.server.process.poll())

    def test_a_runner_killed_in_a_run_fails_that_job_and_the_next_one_works(self):
        self.rule("endless")
        study = self.send(1)
        wait_until(lambda: self.jobs(study).get("endless", {}).get("state") == "running", 30, "the endless job runs")
        time.sleep(2)
        for pid in wait_until(lambda: runners(self.server), 10, "a runner"):
            os.kill(pid, signal.SIGKILL)
        job = self.ended(study, "endless", 10)
        self.assertEqual(job["state"], "failed")
        self.assertIn("signal 9", job["reason"])
        self.rule("sound")
        self.server.request("/api/rules/endless", "DELETE")
        job = self.ended(self.send(2), "sound")
        self.assertEqual(job["state"], "done", job["reason"])

    def test_rules_are_edited_and_added_while_the_server_runs(self):
        self.rule("sound", slices_min=1000)
        study = self.send(3)
        time.sleep(4)
        job = self.jobs(study)["sound"]
        self.assertEqual(job["state"], "skipped")
        self.assertIn("1000", job["reason"])  # what the rule asks, and is not so
        self.rule("sound", slices_min=10)
        self.rule("hungry", slices_min=10)
        # A late slice makes a new version, which the rules of now are asked about.
        import pydicom

        late = pydicom.dcmread(sorted(glob.glob(self.heads[3] + "/*.dcm"))[-1])
        late.SOPInstanceUID += ".1"
        late.file_meta.MediaStorageSOPInstanceUID = late.SOPInstanceUID
        late.InstanceNumber = int(late.InstanceNumber) + 1
        late.ImagePositionPatient[2] = float(late.ImagePositionPatient[2]) + 1.5
        path = os.path.join(self.folder, "late.dcm")
        late.save_as(path)
        self.server.storescu(path)
        self.assertEqual(self.ended(study, "hungry")["state"], "failed")
        # The job of before stays skipped; the new version has one of its own.
        states = lambda: sorted(job["state"] for job in self.server.get_json(f"/api/jobs?study={study}") if job["model"].startswith("sound"))
        wait_until(lambda: states() == ["done", "skipped"], 60, "the new version's job is done")

    def test_what_failed_is_asked_again_by_hand_and_of_a_mended_package_when_it_is_installed(self):
        make_package(os.path.join(self.folder, "models"), "mended", "unknown-operator", "1.0.0")
        make_package(self.folder, "mended", None, "1.0.1")
        self.server.put_json("/api/models/rescan", {}, "POST")
        self.rule("mended")
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", os.path.join(self.folder, "more"), "--bleed-seed", "10"], capture_output=True, text=True, check=True)
        self.heads.append(made.stdout.split()[0])
        study = self.send(len(self.heads) - 1)
        states = lambda: [(job["model"], job["state"]) for job in reversed(self.server.get_json(f"/api/jobs?study={study}"))]
        failed, done = ("mended 1.0.0", "failed"), ("mended 1.0.1", "done")
        wait_until(lambda: states() == [failed], 60, "the job fails")
        ask = lambda: self.server.put_json(f"/api/studies/{study}/ask", {"by": "Dr. Who"}, "POST")
        self.assertEqual(ask()["jobs"], 1)
        wait_until(lambda: states() == [failed, failed], 60, "it fails again")
        self.server.command("model", "install", os.path.join(self.folder, "mended"), "--server", self.server.url(""))
        wait_until(lambda: states() == [failed, failed, done], 60, "the mended package looks")
        (result,) = self.server.get_json(f"/api/studies/{study}/results")
        self.assertEqual((result["outcome"], result["modelVersion"]), ("positive", "1.0.1"))
        asked = ask()
        self.assertEqual((asked["jobs"], asked["answered"]), (0, 1))

    def test_the_server_stops_at_once_in_a_run_and_takes_the_job_up_again(self):
        self.rule("endless")
        path = os.path.join(self.folder, "again")
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", path, "--bleed-seed", "9"], capture_output=True, text=True, check=True)
        self.heads.append(made.stdout.split()[0])
        study = self.send(len(self.heads) - 1)
        wait_until(lambda: self.jobs(study).get("endless", {}).get("state") == "running", 30, "the endless job runs")
        time.sleep(1)
        began = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - began, 5)
        self.server.start()
        job = self.ended(study, "endless")
        self.assertEqual((job["state"], job["attempts"]), ("failed", 1))


if __name__ == "__main__":
    unittest.main()
