#!/usr/bin/python3
"""The reading list: a study that was read leaves it, and comes back with images or findings that nobody has seen."""

import json
import os
import sqlite3
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import Hilum, pydicom_files, wait_until
from heads import BLEED_SLICE, Head

TEXTS = ("job", "series", "model", "model_version", "model_digest", "label_text", "concept_value", "concept_scheme", "site_value", "site_scheme", "seg_instance", "sr_instance")
NUMBERS = [f"{what}_{axis}_mm" for what in ("centroid", "low", "high") for axis in "xyz"] + ["volume_ml", "score", "segment"]

INVISIBLE = ("", "  ", "\u00a0", "\u200b", "\u202e", " \u2060\t")


class Reading(unittest.TestCase):
    def read(self, server, study):
        wait_until(lambda: server.get_json("/api/worklist"), 5, "the study is on the list")
        server.mark_read(study)
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

    def test_a_study_of_too_many_answers_says_so_and_keeps_no_other_from_the_list(self):
        path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        other = pydicom.dcmread(path)
        study = other.StudyInstanceUID
        other.StudyInstanceUID, other.SeriesInstanceUID, other.SOPInstanceUID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
        other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
        with Hilum() as server, tempfile.TemporaryDirectory() as folder:
            other.save_as(os.path.join(folder, "other.dcm"))
            server.storescu(path, os.path.join(folder, "other.dcm"))
            wait_until(lambda: [item["arriving"] for item in server.get_json("/api/worklist")] == [False] * 2, 10, "both studies are on the list, and the rules were asked")
            self.assertEqual(server.stop(), 0)
            database = sqlite3.connect(os.path.join(server.data, "hilum.db"))
            for number in range(65):  # 1 MiB each, of the 64 MiB that one study's answers may take
                values = dict({name: "x" for name in TEXTS}, **{name: 1 for name in NUMBERS}, id=f"f{number}", result="r", study=study, concept_meaning="b" * (1 << 20), site_meaning="Brain", side="left", urgency=2, made_ns=1, state=0)
                database.execute(f"INSERT INTO finding ({','.join(values)}) VALUES ({','.join('?' * len(values))})", list(values.values()))
            database.commit()
            database.close()
            server.start()
            models = {item["study"]: item["models"] for item in server.get_json("/api/worklist")}
            self.assertEqual((set(models), models["1.2.3.1"]), ({study, "1.2.3.1"}, []))
            (said,) = models[study]
            self.assertEqual((said["model"], said["outcome"], said["said"]), ("all models", "not analysed", "not known here: too many answers, open the study"))
            self.assertTrue(said["reason"])

    def change(self, server, *statements):
        """Statements with their rows, in the database of a server that does not run."""
        database = sqlite3.connect(os.path.join(server.data, "hilum.db"))
        for statement, rows in statements:
            database.executemany(statement, rows)
        database.commit()
        database.close()

    def copies(self, folder, *studies):
        """CT slices, one of each study."""
        paths = []
        for study in studies:
            one = pydicom.dcmread(next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm"))
            one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID = study, study + ".1", study + ".1.1"
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            paths.append(os.path.join(folder, study + ".dcm"))
            one.save_as(paths[-1])
        return paths

    def test_a_study_of_very_many_findings_keeps_no_other_from_the_list(self):
        with Hilum() as server, tempfile.TemporaryDirectory() as folder:
            many, other = self.copies(folder, "1.2.3.1", "1.2.3.2")
            server.storescu(many)
            wait_until(lambda: server.get_json("/api/worklist"), 5, "the study is on the list")
            self.assertEqual(server.stop(), 0)
            values = dict({name: "x" for name in TEXTS}, **{name: 1 for name in NUMBERS}, study="1.2.3.1", concept_meaning="A bleed", site_meaning="Brain", side="left", urgency=1, made_ns=1, state=0)
            rows = [dict(values, id=f"f{number}", volume_ml=number % 700, urgency=2 if number == 7000 else 1) for number in range(12000)]  # more than 16 MiB of them
            self.change(server, (f"INSERT INTO finding ({','.join(rows[0])}) VALUES ({','.join('?' * len(rows[0]))})", [list(row.values()) for row in rows]),
                        ("INSERT INTO event (number, kind, time_ns, study, subject, detail) SELECT max(number) + 1, 'result.changed', 1, '1.2.3.1', 'r', '' FROM event", [()]))
            server.start()
            server.storescu(other)
            first, second = wait_until(lambda: (lambda items: len(items) == 2 and items)(server.get_json("/api/worklist")), 10, "both studies are on the list")
            self.assertEqual((first["study"], first["urgency"], first["findings"], second["study"]), ("1.2.3.1", "stat", 12000, "1.2.3.2"))

    def test_what_was_imported_comes_after_all_that_was_sent_and_the_list_says_where_it_ends(self):
        with Hilum(config="reading:\n  cap_minutes: 1\n") as server, tempfile.TemporaryDirectory() as folder:
            old, new, late = self.copies(folder, "1.2.3.1", "1.2.3.2", "1.2.3.3")
            server.command("import", old, "--server", server.url(""))
            wait_until(lambda: server.get_json("/api/worklist"), 5, "it is on the list")
            self.assertEqual(server.stop(), 0)
            self.change(server, ("UPDATE reading_item SET arrived_ns=1", [()]), ("INSERT INTO study(uid) VALUES(?)", [(f"9.{number}",) for number in range(2000)]),
                        ("INSERT INTO study_patient(study, rank, patient_id, issuer, patient_name, birth_date, sex) SELECT id, 0, 'P', '', '', '', '' FROM study WHERE uid LIKE '9.%'", [()]),
                        ("INSERT INTO reading_item(study, arrived_ns, arrived_event, urgency, reason, findings, imported) SELECT uid, 1, 0, 0, '', 0, 1 FROM study WHERE uid LIKE '9.%'", [()]))
            server.start()
            server.storescu(new)
            items = wait_until(lambda: (lambda items: items[0]["study"] == "1.2.3.2" and items)(server.get_json("/api/worklist")), 10, "what was sent is first")
            self.assertEqual((items[0]["capped"], items[0]["imported"], items[1]["capped"], items[1]["imported"]), (False, False, False, True))
            self.assertEqual(items[1]["reason"], "imported or rebuilt: after all that was sent")
            self.assertEqual((len(items), server.request("/api/worklist")[1]["X-Total-Count"]), (2000, "2002"))
            self.assertIn("2002 studies are to be read, and the list shows 2000", " ".join(server.get_json("/healthz")["warnings"]))
            server.storescu(old, late)  # the same image again: it was sent by nobody
            wait_until(lambda: [item["study"] for item in server.get_json("/api/worklist")[:2]] == ["1.2.3.2", "1.2.3.3"], 10, "the second that was sent follows the first")

    def test_what_cannot_be_followed_is_passed_over_and_its_study_says_so_until_it_is_read(self):
        with Hilum() as server, tempfile.TemporaryDirectory() as folder:
            bad, good = self.copies(folder, "1.2.3.1", "1.2.3.2")
            server.storescu(bad)
            wait_until(lambda: server.get_json("/api/worklist"), 5, "the study is on the list")
            self.assertEqual(server.stop(), 0)
            self.change(server, ("CREATE TRIGGER fault BEFORE UPDATE OF urgency ON reading_item WHEN NEW.study='1.2.3.1' BEGIN SELECT RAISE(ABORT, 'this row cannot be written'); END", [()]))
            self.make_finding(server, "1.2.3.1", 0)
            server.start()
            server.storescu(good)
            first, second = wait_until(lambda: (lambda items: len(items) == 2 and items[0]["flags"] and items)(server.get_json("/api/worklist")), 20, "both studies are on the list, and one has a line")
            self.assertEqual((first["study"], second["flags"]), ("1.2.3.1", []))
            self.assertIn("not all of it could be worked out here (result.changed of reading: ", first["flags"][0])
            self.assertIn('1 studies on the reading list have a line "not all of it', " ".join(server.get_json("/healthz")["warnings"]))
            server.mark_read("1.2.3.1")
            self.assertEqual(server.get_json("/healthz")["warnings"], [])

    def refused(self, server, path, body):
        status, _, answer = server.request(path, "POST", json.dumps(body).encode())
        return status, json.loads(answer)["detail"]

    def test_what_its_reader_has_not_seen_takes_no_study_off_the_list(self):
        with Hilum(config="flow:\n  negative_quiet_s: 1\n") as server, tempfile.TemporaryDirectory() as folder:
            head, late = Head(1), Head(1, series=2, bleed=BLEED_SLICE)
            read = f"/api/worklist/{head.study}/read"
            server.storescu(*head.save(os.path.join(folder, "head")))
            seen = wait_until(lambda: [item for item in server.get_json("/api/worklist") if [one["said"] for one in item["models"]] == ["negative"] and not item["arriving"]], 60, "a negative")[0]
            self.assertEqual(server.get_json("/api/worklist?study=1.2.3"), [])
            server.storescu(*late.save(os.path.join(folder, "late")))
            wait_until(lambda: server.get_json(f"/api/worklist?study={head.study}")[0]["urgency"] == "stat", 60, "a bleed in the second series")
            status, why = self.refused(server, read, {"by": "Reader", "version": seen["version"]})
            self.assertEqual(status, 409, why)
            for part in ("something came since", "images", "a model's answer: Suspected", "look again"):
                self.assertIn(part, why)
            (item,) = server.get_json("/api/worklist")
            self.assertEqual((item["study"], item["urgency"]), (head.study, "stat"))
            for body, part in (({"by": "Reader"}, "'version'"), ({"by": "Reader", "version": "1"}, "'version'"), ({"by": "Reader", "version": -1}, "'version'"), ({"version": item["version"]}, "'by'"),
                               ({"by": "Reader", "version": item["version"], "seen": True}, "'seen'"), *(({"by": name, "version": item["version"]}, "'by'") for name in INVISIBLE)):
                status, why = self.refused(server, read, body)
                self.assertEqual(status, 400, body)
                self.assertIn(part, why, body)
            self.assertEqual(len(server.get_json("/api/worklist")), 1)
            server.mark_read(head.study)
            self.assertEqual(server.get_json("/api/worklist"), [])

    def test_a_mark_as_read_is_taken_back(self):
        path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        study = pydicom.dcmread(path).StudyInstanceUID
        at = f"/api/worklist/{study}"
        with Hilum() as server:
            self.assertEqual(server.get_json(f"{at}/read"), {"read": None, "by": "", "version": 0})
            self.assertEqual(self.refused(server, f"{at}/unread", {"by": "Ann", "version": 1})[0], 404)
            server.storescu(path)
            (item,) = wait_until(lambda: server.get_json("/api/worklist"), 5, "the study is on the list")
            self.assertEqual(self.refused(server, f"{at}/unread", {"by": "Ann", "version": item["version"]})[0], 409)
            server.mark_read(study, "Ann")
            mark = server.get_json(f"{at}/read")
            self.assertEqual((mark["by"], mark["version"], mark["read"] is None), ("Ann", item["version"], False))
            self.assertEqual(self.refused(server, f"{at}/unread", {"by": "Bob", "version": mark["version"] + 1})[0], 409)
            self.assertEqual(self.refused(server, f"{at}/unread", {"by": "  ", "version": mark["version"]})[0], 400)
            server.put_json(f"{at}/unread", {"by": "Bob", "version": mark["version"]}, "POST")
            (back,) = server.get_json("/api/worklist")
            self.assertEqual((back["reason"], back["arrived"], back["version"]), ("marked as unread by Bob", item["arrived"], item["version"]))
            with open(os.path.join(server.data, "audit-00000001.log"), encoding="utf-8") as trail:
                (line,) = [line for line in trail if "marked unread" in line and 'EventOutcomeIndicator="0"' in line]
            for part in ('UserID="Bob"', f'ParticipantObjectID="{study}"'):
                self.assertIn(part, line)

    def test_a_judgement_says_what_it_was_made_on(self):
        with Hilum() as server, tempfile.TemporaryDirectory() as folder:
            server.storescu(*Head(1, bleed=BLEED_SLICE).save(folder))
            study = wait_until(lambda: [item["study"] for item in server.get_json("/api/worklist") if item["findings"]], 60, "a finding")[0]
            (finding,) = server.get_json(f"/api/studies/{study}/findings")
            judge = f"/api/findings/{finding['id']}/judge"
            server.put_json(judge, {"state": "rejected", "by": "Ann", "version": finding["version"]}, "POST")
            status, why = self.refused(server, judge, {"state": "accepted", "by": "Bob", "version": finding["version"]})
            self.assertEqual((status, "rejected by Ann" in why), (409, True), why)
            for body, part in (({"state": "accepted", "by": "Bob", "version": "new"}, "'version'"), ({"state": "accepted", "by": "Bob", "verdict": "rejected"}, "'verdict'"),
                               *(({"state": "accepted", "by": name}, "'by'") for name in INVISIBLE)):
                status, why = self.refused(server, judge, body)
                self.assertEqual(status, 400, body)
                self.assertIn(part, why, body)
            (finding,) = server.get_json(f"/api/studies/{study}/findings")
            self.assertEqual((finding["state"], finding["judgedBy"], finding["version"]), ("rejected", "Ann", 1))
            server.put_json(judge, {"state": "accepted", "by": "Bob", "version": 1}, "POST")
            server.put_json(judge, {"state": "rejected", "by": "Cid"}, "POST")  # without one the last word stands


if __name__ == "__main__":
    unittest.main()
