#!/usr/bin/python3
"""What an administrator does with what is stuck: deliveries of a target that is gone are given up and sent again, refused objects are listed and removed, and a rule is tried on what is there before it is entered."""

import glob
import json
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Hilum, pydicom_files
from test_outbox import put_in

GONE = "the RIS was taken out of service"


def a_file(name):
    return next(path for path in pydicom_files() if os.path.basename(path) == name)


class Operation(unittest.TestCase):
    def setUp(self):
        self.server = Hilum(config="disk: {low_water_mb: 0}\n").start()
        self.addCleanup(self.server.__exit__, None, None, None)

    def post(self, path, body, wanted=200):
        status, _, answer = self.server.request(path, "POST", json.dumps(body).encode(), {"Content-Type": "application/json"})
        self.assertEqual(status, wanted, answer)
        return json.loads(answer) if answer else None

    def states(self, target):
        return sorted(row["state"] for row in self.server.get_json(f"/api/deliveries?target={target}"))

    def test_what_waits_for_a_target_that_is_gone_is_given_up_with_who_and_why_and_can_be_sent_again(self):
        self.server.stop()
        put_in(self.server, [("hl7", "old-ris", f"m{number}") for number in range(3)] + [("hl7", "other", "m9")])
        self.server.start()
        self.post("/api/deliveries/give-up", {"kind": "hl7", "target": "old-ris"}, 400)  # nobody, for no reason
        self.assertEqual(self.post("/api/deliveries/give-up", {"kind": "hl7", "target": "old-ris", "by": "Dr. A", "reason": GONE}), {"count": 3})
        rows = self.server.get_json("/api/deliveries?state=given%20up")
        self.assertEqual({row["lastError"] for row in rows}, {f"given up by Dr. A: {GONE}"})
        self.assertEqual(self.states("old-ris"), ["given up"] * 3)
        self.assertEqual(self.states("other"), ["waiting"])
        self.assertRegex(self.server.request("/metrics")[2].decode(), r'hilum_deliveries\{kind="hl7",target="old-ris",state="given up"\} 3\n')
        health = json.loads(self.server.request("/healthz")[2])
        self.assertNotIn("old-ris", json.dumps(health))
        first = rows[0]["id"]
        self.assertEqual(self.server.request(f"/api/deliveries/{first}/replay", "POST", b"{}")[0], 204)
        self.assertEqual(self.states("old-ris"), ["given up", "given up", "waiting"])
        self.assertEqual(self.server.request(f"/api/deliveries/{first}/give-up", "POST", json.dumps({"by": "Dr. B", "reason": GONE}).encode())[0], 204)
        self.assertEqual(self.states("old-ris"), ["given up"] * 3)
        trail = pathlib.Path(glob.glob(os.path.join(self.server.data, "audit-*.log"))[0]).read_text(encoding="utf-8")
        self.assertIn("/api/deliveries/give-up: hl7 target old-ris, 3 deliveries, given up by Dr. A: " + GONE, trail)

    def bring(self, path):
        return self.server.request("/api/import", "POST", pathlib.Path(path).read_bytes())[0]

    def test_refused_objects_are_listed_with_their_reasons_and_removed(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "cut.dcm")
            with open(a_file("CT_small.dcm"), "rb") as whole, open(path, "wb") as cut:
                cut.write(whole.read()[:3000])
            self.assertEqual(self.bring(path), 400)
        listed = self.server.get_json("/api/quarantine")
        self.assertEqual(len(listed), 1)
        self.assertIn("import from", listed[0]["about"])
        self.assertTrue(listed[0]["reason"])
        self.assertEqual(os.path.getsize(os.path.join(self.server.data, listed[0]["file"])), listed[0]["size"])
        self.assertEqual(self.server.request(f"/api/quarantine/{listed[0]['number']}", "DELETE")[0], 204)
        self.assertEqual(self.server.get_json("/api/quarantine"), [])
        self.assertEqual(self.server.request(f"/api/quarantine/{listed[0]['number']}", "DELETE")[0], 404)

    def test_a_rule_is_tried_on_the_series_that_are_there_and_makes_nothing(self):
        for name in ("CT_small.dcm", "MR_small.dcm"):
            self.bring(a_file(name))
        rule = {"modality": "MR", "model": "head-ct-hyperdense"}
        found = self.post("/api/rules/try", rule)
        self.assertEqual((found["looked"], found["more"], [row["modality"] for row in found["matching"]]), (2, False, ["MR"]))
        self.assertEqual(self.post("/api/rules/try?limit=1", dict(rule, modality="CT", enabled=False))["looked"], 1)
        self.assertEqual(len(self.post("/api/rules/try", dict(rule, modality=""))["matching"]), 2)
        self.assertIn("modallity", json.dumps(self.post("/api/rules/try", {"modallity": "MR", "model": "x"}, 400)))
        self.assertEqual([row for row in self.server.get_json("/api/rules") if row["name"] == "trial"], [])

    def test_jobs_are_listed_by_their_state(self):
        self.assertEqual(self.server.get_json("/api/jobs?state=failed"), [])
        self.assertEqual(self.server.request("/api/jobs?state=lost")[0], 400)
        self.assertEqual(self.server.request("/api/jobs?state=failed&study=1.2")[0], 400)


if __name__ == "__main__":
    unittest.main(verbosity=2)
