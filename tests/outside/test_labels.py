#!/usr/bin/python3
"""Studies that not all may see: where their labels come from (a peer's entry with DCMTK as the scanner, a rule, a person), what a rebuild brings back, and who is told of a change. What is hidden from whom is walked through route by route in src/service/tests/test_hidden.c."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import pydicom

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import HILUM, Hilum, pydicom_files, wait_until

CT = next(path for path in pydicom_files() if os.path.basename(path) == "CT_small.dcm")
STUDY = str(pydicom.dcmread(CT).StudyInstanceUID)


class Labels(unittest.TestCase):
    def labels(self, server, study=STUDY):
        return server.get_json(f"/api/studies/{study}/labels")

    def put(self, server, labels, version, study=STUDY):
        status, _, body = server.request(f"/api/studies/{study}/labels", "PUT", json.dumps({"labels": labels, "version": version}).encode())
        return status, json.loads(body)

    def refused(self, server, path, method, body=None):
        status, _, answer = server.request(path, method, json.dumps(body).encode() if body is not None else None)
        return status, json.loads(answer)["detail"]

    def test_labels_are_entered_changed_and_removed_while_nobody_holds_them(self):
        with Hilum() as server:
            self.assertEqual(server.put_json("/api/labels/staff", {"description": "patients who work here"}), {"name": "staff", "description": "patients who work here", "version": 1})
            server.put_json("/api/labels/vip", {})
            status, why = self.refused(server, "/api/labels/staff", "PUT", {})
            self.assertEqual((status, "description" in why), (409, True))
            self.assertEqual(server.put_json("/api/labels/staff", {"description": "", "version": 1})["version"], 2)
            self.assertEqual([label["name"] for label in server.get_json("/api/labels")], ["staff", "vip"])
            server.command("peer", "add", "ct", "--title", "CT", "--address", "127.0.0.1:104", "--labels", "staff", "--puts", "vip,staff", "--no-echo", "--server", server.url(""))
            (peer,) = server.get_json("/api/peers")
            self.assertEqual((peer["labels"], peer["puts"]), (["staff"], ["staff", "vip"]))
            self.assertIn("peer ct", self.refused(server, "/api/labels/vip", "DELETE")[1])
            self.assertIn("'nobody'", self.refused(server, "/api/peers/ct", "PUT", dict(peer, puts=["nobody"]))[1])
            server.command("peer", "add", "ct", "--puts", "", "--no-echo", "--server", server.url(""))
            server.put_json("/api/rules/r", {"labels": ["vip"]})
            self.assertIn("rule r", self.refused(server, "/api/labels/vip", "DELETE")[1])
            self.assertEqual(server.request("/api/rules/r", "DELETE")[0], 204)
            self.assertEqual(server.request("/api/labels/vip", "DELETE")[0], 204)
            self.assertEqual([label["name"] for label in server.get_json("/api/labels")], ["staff"])

    def test_studies_that_nobody_sees_are_told(self):
        with Hilum() as server:
            server.put_json("/api/labels/vip", {})
            server.put_json("/api/labels/staff", {})
            server.storescu(CT)
            self.assertEqual(self.put(server, ["vip", "staff"], 0)[0], 200)
            told = lambda: [line for line in server.get_json_as_command("/healthz")["warnings"] if "labels staff, vip: no account" in line]
            self.assertEqual(told(), [])  # who is on this machine does
            secret = "correct horse battery"
            server.put_json("/api/accounts/root", {"shown": "Root", "roles": ["administrator"], "password": secret})
            token = {"Authorization": "Bearer " + server.token(), "Content-Type": "application/json"}
            for name, role, labels, seen in (("anna", "radiologist", ["vip"], False), ("mara", "model owner", ["vip", "staff"], False), ("bert", "radiologist", ["vip", "staff"], True)):
                body = json.dumps({"shown": name, "roles": [role], "password": secret, "labels": labels}).encode()
                self.assertEqual(server.request(f"/api/accounts/{name}", "PUT", body, token)[0] // 100, 2)
                self.assertEqual(told() == [], seen, name)
            body = json.dumps({"shown": "bert", "roles": ["radiologist"], "labels": ["vip", "staff"], "enabled": False}).encode()
            self.assertEqual(server.request("/api/accounts/bert", "PUT", body, token)[0] // 100, 2)
            self.assertEqual(len(told()), 1)  # who cannot log in sees nothing

    def test_an_import_tells_nobody_that_a_hidden_study_is_here(self):
        with Hilum() as server, open(CT, "rb") as file:
            content = file.read()
            server.put_json("/api/labels/vip", {})
            server.put_json("/api/accounts/root", {"shown": "Root", "roles": ["administrator"], "password": "correct horse battery"})
            command = {"Authorization": "Bearer " + server.token()}
            answers = []
            for labels in ([], ["vip"]):
                status, _, body = server.request("/api/tokens", "POST", json.dumps({"name": "t" + "".join(labels), "roles": ["technologist"], "labels": labels, "days": 1}).encode(), dict(command, **{"Content-Type": "application/json"}))
                self.assertEqual(status // 100, 2, body)
                bearer = {"Authorization": "Bearer " + json.loads(body)["token"], "Content-Type": "application/dicom"}
                if not labels:
                    answers.append(json.loads(server.request("/api/import", "POST", content, bearer)[2]))
                    status, _, body = server.request(f"/api/studies/{STUDY}/labels", "PUT", json.dumps({"labels": ["vip"], "version": 0}).encode(), dict(command, **{"Content-Type": "application/json"}))
                    self.assertEqual(status, 200, body)
                answers.append(json.loads(server.request("/api/import", "POST", content, bearer)[2]))
        self.assertEqual((answers[1], answers[2]["outcome"]), (answers[0], "same"))

    def test_a_peer_gives_what_it_sends_its_labels_and_a_rebuild_gives_them_again(self):
        with tempfile.TemporaryDirectory(prefix="hilum-labels-") as folder:
            with Hilum(data=os.path.join(folder, "data")) as server:
                server.put_json("/api/labels/vip", {"description": "known to the public"})
                server.put_json("/api/peers/ct", {"title": "CT", "host": "127.0.0.1", "port": 104, "rights": ["store"], "puts": ["vip"]})
                server.storescu(CT)
                self.assertEqual(self.labels(server), {"labels": [], "version": 0})
                server.storescu(CT, aet="CT")  # the same object again
                self.assertEqual(self.labels(server), {"labels": ["vip"], "version": 1})
                other = os.path.join(folder, "other.dcm")
                dataset = pydicom.dcmread(CT)
                dataset.StudyInstanceUID += ".1"
                dataset.SeriesInstanceUID += ".1"
                dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID + ".1"
                dataset.save_as(other)
                server.storescu(other, aet="CT")
                self.assertEqual(self.labels(server, STUDY + ".1")["labels"], ["vip"])
                self.assertEqual(server.stop(), 0)
                rebuilt = subprocess.run([HILUM, "rebuild", "--data", server.data, "--replace"], capture_output=True, text=True, timeout=300)
                self.assertEqual(rebuilt.returncode, 0, rebuilt.stderr)
                server.start()
                self.assertEqual(self.labels(server, STUDY + ".1")["labels"], ["vip"])
                self.assertEqual([label["name"] for label in server.get_json("/api/labels")], ["vip"])

    def test_a_rule_gives_labels_to_the_studies_that_it_matches(self):
        with Hilum() as server:
            server.put_json("/api/labels/ct", {})
            self.assertIn("labels", self.refused(server, "/api/rules/r", "PUT", {"modality": "CT"})[1])
            server.put_json("/api/rules/r", {"modality": "CT", "labels": ["ct"]})
            server.storescu(CT)
            wait_until(lambda: self.labels(server)["labels"] == ["ct"], 30, "the rule's label")

    def test_a_person_says_which_labels_a_study_has_as_it_was_seen(self):
        with Hilum() as server:
            for name in ("staff", "vip"):
                server.put_json(f"/api/labels/{name}", {})
            self.assertEqual(self.put(server, ["vip"], 0)[0], 404, "a study that is not here")
            server.storescu(CT)
            self.assertEqual(self.put(server, ["vip", "staff"], 0), (200, {"labels": ["staff", "vip"], "version": 1}))
            self.assertEqual(self.put(server, [], 0)[0], 409)
            self.assertEqual(self.put(server, ["nobody"], 1)[0], 400)
            self.assertIn(f"study {STUDY}", self.refused(server, "/api/labels/vip", "DELETE")[1])
            self.assertEqual(self.put(server, ["staff"], 1), (200, {"labels": ["staff"], "version": 2}))
            self.assertEqual(server.request("/api/labels/vip", "DELETE")[0], 204)
            audit = subprocess.run([HILUM, "audit", "check", server.data], capture_output=True, text=True, timeout=60)
            self.assertEqual(audit.returncode, 0, audit.stderr)
            with open(os.path.join(server.data, "audit-00000001.log"), encoding="utf-8") as trail:
                lines = [line for line in trail if STUDY in line and "labels: " in line]
            self.assertTrue(any("staff" in line and "vip" in line for line in lines), lines)

    def test_a_file_enters_labels_before_what_names_them_and_removes_them_after(self):
        with Hilum() as server, tempfile.TemporaryDirectory(prefix="hilum-labels-") as folder:
            path = os.path.join(folder, "rows.yaml")
            for text, names in (("labels: [{name: vip}]\npeers: [{name: ct, title: CT, host: 127.0.0.1, port: 104, rights: [store], puts: [vip]}]\n", ["vip"]), ("labels: []\npeers: []\n", [])):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                server.command("config", "apply", path, "--server", server.url(""))
                self.assertEqual([label["name"] for label in server.get_json("/api/labels")], names)
                self.assertIn("the server is as", server.command("config", "diff", path, "--server", server.url("")).stdout)


if __name__ == "__main__":
    unittest.main()
