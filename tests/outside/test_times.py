#!/usr/bin/python3
"""A server in Berlin: what it tells record, PACS and FHIR of when images were made is one instant everywhere, whether the scanner names its zone or not; what is no date, sex or value stays out. The record is python3-hl7's reading, the PACS DCMTK's storescp, judged by pydicom and dciodvfy."""

import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hl7
from harness import Hilum, wait_until
from heads import BLEED_SLICE, Head
from hl7_listener import Listener
from test_results import Pacs

warnings.filterwarnings("ignore", "Invalid value for VR")  # of pydicom, which writes it all the same
BERLIN = ZoneInfo("Europe/Berlin")


def of_record(text):
    """A time of HL7, which must have an offset."""
    return datetime.strptime(text, "%Y%m%d%H%M%S.%f%z" if "." in text else "%Y%m%d%H%M%S%z")


def of_object(ds, what):
    """(0008,0201) holds for all dates of an object (PS3.3 C.12.1.1)."""
    text = ds[what + "Date"].value + ds[what + "Time"].value + ds.TimezoneOffsetFromUTC
    return of_record(text)


class Times(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.pacs = Pacs(cls.temporary.name)
        cls.addClassCleanup(cls.pacs.stop)
        cls.listener = Listener([])
        cls.server = Hilum(config="flow:\n  negative_quiet_s: 1\n", env={"TZ": "Europe/Berlin"}).start()
        cls.addClassCleanup(lambda: cls.server.__exit__(None, None, None))
        cls.server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "port": cls.pacs.port, "rights": ["target"], "plain": "accepted"})
        cls.server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": cls.listener.port, "application": "RIS", "facility": "TEST"})
        (rule,) = cls.server.get_json("/api/rules")
        cls.server.put_json(f"/api/rules/{rule['name']}", dict(rule, send_to=["pacs"], hl7_to=["ris"]))

    def told(self, head):
        """What record and PACS got of a head with a bleed: the message, the report and the segmentation."""
        folder = os.path.join(self.temporary.name, head.study)
        head.save(folder)
        self.server.command("send", f"127.0.0.1:{self.server.dicom}", folder, "--aec", "HILUM")
        messages = lambda: [text for texts in self.listener.accepted.values() for text in texts if head.study in text]
        objects = lambda: {ds.Modality: ds for ds in self.pacs.objects().values() if ds.StudyInstanceUID == head.study}
        (text,) = wait_until(messages, 60, "a message")
        got = wait_until(lambda: (lambda found: found if len(found) == 2 else None)(objects()), 60, "report and segmentation")
        return hl7.parse(text), got["SR"], got["SEG"]

    def resource(self, kind, study):
        bundle = self.server.get_json(f"/fhir/{kind}?study={study}")
        (entry,) = bundle["entry"]
        return entry["resource"]

    def test_when_images_were_made_is_one_instant_in_record_pacs_and_fhir(self):
        for number, zone, named in ((1, BERLIN, None), (2, BERLIN, "+0100"), (3, timezone(timedelta(hours=-8)), "-0800")):
            with self.subTest(zone=named):
                before = datetime.now(timezone.utc)
                made = before.replace(microsecond=0).astimezone(zone)
                if number == 2:
                    made = made.astimezone(timezone(timedelta(hours=1)))
                tags = {"TimezoneOffsetFromUTC": named} if named else {}
                head = Head(number, bleed=BLEED_SLICE, StudyDate=f"{made:%Y%m%d}", StudyTime=f"{made:%H%M%S}", **tags)
                message, report, segmentation = self.told(head)
                after = datetime.now(timezone.utc)
                self.assertEqual(of_record(str(message.segment("OBR")[7])), made)
                self.assertEqual({str(row[14]) for row in message.segments("OBX")}, {str(message.segment("OBR")[7])})
                for said in (message.segment("MSH")[7], message.segment("OBR")[22]):
                    self.assertEqual(of_record(str(said)).utcoffset(), before.astimezone(BERLIN).utcoffset())
                    self.assertTrue(before <= of_record(str(said)) <= after, said)
                for ds in (report, segmentation):
                    self.assertEqual(of_object(ds, "Study"), made)
                    self.assertTrue(made <= of_object(ds, "Content") <= after, ds.ContentTime)
                    self.assertEqual(of_object(ds, "Content").utcoffset(), made.utcoffset())
                self.assertEqual(datetime.fromisoformat(self.resource("DiagnosticReport", head.study)["effectiveDateTime"]), made)
                self.assertEqual(datetime.fromisoformat(self.resource("ImagingStudy", head.study)["started"]), made)
                (row,) = self.server.get_json(f"/dicom-web/studies?StudyInstanceUID={head.study}")
                self.assertEqual(row["00080201"].get("Value"), [named] if named else None)
        with open(self.server.log_path, encoding="utf-8") as log:
            self.assertIn(f"zone: {datetime.now(BERLIN):%z} now", log.read())

    def test_a_study_of_the_other_season_has_the_offset_of_its_day(self):
        made = datetime(2025, 7 if datetime.now(BERLIN).dst() == timedelta(0) else 1, 1, 12, 0, 5, tzinfo=BERLIN)
        head = Head(4, bleed=BLEED_SLICE, StudyDate=f"{made:%Y%m%d}", StudyTime=f"{made:%H%M%S}")
        message, report, _ = self.told(head)
        self.assertEqual(of_record(str(message.segment("OBR")[7])), made)
        self.assertEqual(of_object(report, "Study"), made)
        self.assertLess(abs(of_object(report, "Content") - datetime.now(timezone.utc)), timedelta(minutes=2))
        self.assertEqual(datetime.fromisoformat(self.resource("ImagingStudy", head.study)["started"]), made)

    def test_what_is_none_is_left_out_and_named_in_the_log(self):
        head = Head(5, bleed=BLEED_SLICE, StudyDate="20260230", StudyTime="246100", PatientBirthDate="19000229", PatientSex="female", AccessionNumber='""', StudyDescription='""', ReferringPhysicianName='""')
        message, report, segmentation = self.told(head)
        self.assertNotIn('""', str(message))
        self.assertEqual([str(message.segment(name)[field]) for name, field in (("PID", 7), ("PID", 8), ("OBR", 7), ("OBR", 18))], ["", "U", "", ""])
        self.assertEqual({str(row[14]) for row in message.segments("OBX")}, {""})
        for ds in (report, segmentation):
            self.assertEqual([ds[name].value for name in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")], ["", "", "", ""])
            path = os.path.join(self.temporary.name, ds.Modality + ".dcm")
            ds.save_as(path)
            said = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
            self.assertNotIn("Error", said.stdout + said.stderr)
        patient = self.resource("Patient", head.study)
        self.assertEqual((patient.get("birthDate"), patient["gender"]), (None, "unknown"))
        self.assertNotIn("started", self.resource("ImagingStudy", head.study))
        self.assertNotIn("effectiveDateTime", self.resource("DiagnosticReport", head.study))
        with open(self.server.log_path, encoding="utf-8") as log:
            self.assertIn(f'study {head.study} of patient P5 leaves out what is none: birth date "19000229", sex "female", study date "20260230", study time "246100"', log.read())

    def test_the_form_of_acr_nema_goes_out_as_the_date_it_is(self):
        head = Head(6, bleed=BLEED_SLICE, StudyDate="2026.11.28", StudyTime="10:15:00", PatientBirthDate="1960.01.01")
        message, report, _ = self.told(head)
        self.assertEqual((str(message.segment("PID")[7]), str(message.segment("OBR")[7])), ("19600101", "20261128101500+0100"))
        self.assertEqual((report.PatientBirthDate, report.StudyDate, report.StudyTime), ("19600101", "20261128", "101500"))
        self.assertEqual(self.resource("Patient", head.study)["birthDate"], "1960-01-01")
        self.assertEqual(self.resource("ImagingStudy", head.study)["started"], "2026-11-28T10:15:00+01:00")


if __name__ == "__main__":
    unittest.main()
