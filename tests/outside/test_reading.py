#!/usr/bin/python3
"""The reading list: a study that was read leaves it, and comes back with images or findings that nobody has seen."""

import os
import sqlite3
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import Hilum, pydicom_files, wait_until

TEXTS = ("job", "series", "model", "model_version", "model_digest", "label_text", "concept_value", "concept_scheme", "site_value", "site_scheme", "seg_instance", "sr_instance")
NUMBERS = [f"{what}_{axis}_mm" for what in ("centroid", "low", "high") for axis in "xyz"] + ["volume_ml", "score", "segment"]


class Reading(unittest.TestCase):
    def read(self, server, study):
        wait_until(lambda: server.get_json("/api/worklist"), 5, "the study is on the list")
        server.put_json(f"/api/worklist/{study}/read", {"by": "Reader"}, "POST")
        self.assertEqual(server.get_json("/api/worklist"), [])

    def make_finding(self, server, study, state):
        """A model's finding and its event, in the database of a server that does not run."""
        values = dict({name: "x" for name in TEXTS}, **{name: 1 for name in NUMBERS}, id=f"f{state}", job=f"j{state}", study=study, concept_meaning="A bleed", site_meaning="Brain", side="left", urgency=2,
                      made_ns=time.time_ns(), state=state)
        database = sqlite3.connect(os.path.join(server.data, "hilum.db"))
        database.execute(f"INSERT INTO finding ({','.join(values)}) VALUES ({','.join('?' * len(values))})", list(values.values()))
        database.execute("INSERT INTO event (number, kind, time_ns, study, subject, detail) SELECT max(number) + 1, 'result.changed', ?, ?, '', '' FROM event", (time.time_ns(), study))
        database.commit()
        database.close()

    def test_a_study_that_was_read_comes_back_with_new_images_and_findings(self):
        path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        data = pydicom.dcmread(path)
        study = data.StudyInstanceUID
        with Hilum() as server, tempfile.TemporaryDirectory() as folder:
            server.storescu(path)
            item, = wait_until(lambda: server.get_json("/api/worklist"), 5, "the study is on the list")
            self.assertEqual((item["models"], item["arriving"]), ([], True))
            wait_until(lambda: not server.get_json("/api/worklist")[0]["arriving"], 10, "the rules were asked")
            self.assertEqual(server.get_json("/api/worklist")[0]["models"], [])
            self.read(server, study)
            server.storescu(path)  # the same image again is nothing new
            time.sleep(2)
            self.assertEqual(server.get_json("/api/worklist"), [])
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID + ".1"
            late = os.path.join(folder, "late.dcm")
            data.save_as(late)
            server.storescu(late)
            self.read(server, study)
            self.assertEqual(server.stop(), 0)
            self.make_finding(server, study, 1)  # accepted: someone has seen it
            server.start()
            time.sleep(2)
            self.assertEqual(server.get_json("/api/worklist"), [])
            self.assertEqual(server.stop(), 0)
            self.make_finding(server, study, 0)
            server.start()
            item, = wait_until(lambda: server.get_json("/api/worklist"), 5, "the study is back")
            self.assertEqual((item["study"], item["urgency"], item["findings"]), (study, "stat", 2))
            self.assertLess(item["waiting_s"], 60)


if __name__ == "__main__":
    unittest.main()
