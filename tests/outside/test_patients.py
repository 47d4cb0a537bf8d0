#!/usr/bin/python3
"""Patients are not mixed: several under one Study Instance UID, the same UIDs again with other names or pixels, and two sites' identifiers."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import ROOT, Hilum, multipart, wait_until
from heads import Head, key_object
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
SIDE = 16  # pixels
PROPOSE = {"+ti": "-xi", "+tb": "-xb", "+te": "-xe", "--rle": "-xr", "--j2k": "-xv", "--jpegls": "-xt", "--jpeg": "-xs"}  # storescu's option for what dcmconv or gdcmconv made


class Scanner:
    """Thin CT slices of one study and series."""

    def __init__(self, folder):
        self.folder, self.study, self.series, self.frame = folder, generate_uid(), generate_uid(), generate_uid()
        self.uids = {}

    def slice(self, number, pixel=0, **attributes):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = CT, self.uids.setdefault(number, generate_uid())
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = self.study, self.series, self.frame
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "20260110", "101500", "A1", "1", "Ref^Doc"
        ds.Modality, ds.StudyDescription, ds.SeriesDescription, ds.SeriesNumber, ds.InstanceNumber = "CT", "Test", "Thin", 2, number
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^John", "P1", "19500505", "M"
        ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing, ds.SliceThickness = [0, 0, number], [1, 0, 0, 0, 1, 0], [1, 1], 1
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.Rows, ds.Columns = 1, "MONOCHROME2", SIDE, SIDE
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation, ds.RescaleIntercept, ds.RescaleSlope = 16, 16, 15, 1, 0, 1
        ds.PixelData = b"".join(((i * number + pixel) % 1000).to_bytes(2, "little") for i in range(SIDE * SIDE))
        for name, value in attributes.items():
            setattr(ds, name, value)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID, ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, CT, ds.SOPInstanceUID
        ds.is_little_endian, ds.is_implicit_VR = True, False
        path = os.path.join(self.folder, f"{number}-{len(os.listdir(self.folder))}.dcm")
        ds.save_as(path, write_like_original=False)
        return path


def value(item, tag):
    values = item.get(tag, {}).get("Value", [""])
    return values[0].get("Alphabetic", "") if isinstance(values[0], dict) else values[0]


class Patients(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-patients-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.scanner = Scanner(self.folder)

    def item(self, server):
        """The study's line on the reading list."""
        return wait_until(lambda: next((item for item in server.get_json("/api/worklist") if item["study"] == self.scanner.study), None), 10, "the study is on the list")

    def test_two_patients_under_one_study_uid_are_each_found_and_the_list_says_so(self):
        with Hilum() as server:
            server.storescu(*[self.scanner.slice(n) for n in range(1, 4)])
            self.assertEqual(self.item(server)["flags"], [])
            server.storescu(*[self.scanner.slice(n, PatientID="P2", PatientName="Roe^Jane", PatientBirthDate="19800101", PatientSex="F") for n in range(4, 109)])
            for patient, name, count in (("P1", "Doe^John", 3), ("P2", "Roe^Jane", 105)):
                (study,) = server.get_json(f"/dicom-web/studies?PatientID={patient}")
                self.assertEqual((value(study, "00100020"), value(study, "00100010"), value(study, "00201208"), value(study, "00201206")), (patient, name, count, 1))
                (series,) = server.get_json(f"/dicom-web/series?PatientID={patient}")
                self.assertEqual((value(series, "00100010"), value(series, "00201209")), (name, count))
                self.assertEqual(len(server.get_json(f"/dicom-web/instances?PatientID={patient}")), count)
                (study,) = server.get_json(f"/dicom-web/studies?PatientName={name.lower()}")
                self.assertEqual(value(study, "00100020"), patient)
            self.assertEqual(len(server.get_json(f"/dicom-web/studies/{self.scanner.study}/instances")), 108)
            self.assertEqual(self.item(server)["flags"], ["objects of 2 patients: P1 Doe John, P2 Roe Jane"])
            flagged = server.get_json("/api/flagged?flag=identity")
            self.assertEqual(len(flagged), 105)
            self.assertIn({"tag": "00100020", "attribute": "PatientID", "object": "P2", "known": "P1"}, flagged[0]["differences"])
            self.assertEqual(server.request(f"/fhir/DiagnosticReport?study={self.scanner.study}")[0], 409)  # a report has one subject

    def test_another_name_under_the_same_id_is_flagged_and_what_a_study_owns_is_not_on_the_list(self):
        with Hilum() as server:
            server.storescu(self.scanner.slice(1), self.scanner.slice(2, StudyDescription="Other", PatientWeight="70", PatientAge="075Y", StudyTime="101501"))
            self.assertEqual(self.item(server)["flags"], [])
            (flagged,) = server.get_json("/api/flagged")
            self.assertEqual((flagged["flags"], flagged["differences"]), (["level"], [{"tag": "00081030", "attribute": "StudyDescription", "object": "Other", "known": "Test"}]))
            server.storescu(self.scanner.slice(4, AccessionNumber="A2"))
            self.assertEqual(self.item(server)["flags"], [])
            self.assertIn([{"tag": "00080050", "attribute": "AccessionNumber", "object": "A2", "known": "A1"}], [one["differences"] for one in server.get_json("/api/flagged?flag=level")])
            server.storescu(self.scanner.slice(3, PatientName="Roe^Jane"))
            self.assertEqual(self.item(server)["flags"], ["name of P1: Doe John or Roe Jane"])
            self.assertEqual(len(server.get_json("/dicom-web/studies?PatientID=P1")), 1)
            self.assertEqual(server.request("/api/flagged?flag=none")[0], 400)

    def test_a_note_that_rejects_images_is_told_before_they_are_read_whichever_comes_first(self):
        says = lambda why: [f"images of this study were rejected by their sender ({why}): the notes are kept, nothing is hidden"]
        notes = (("113001", "for quality reasons, 113001"), ("113037", "for patient safety reasons, 113037"), ("113038", "for an incorrect worklist entry, 113038"), ("113039", "since their retention has expired, 113039"), ("113000", None))
        with Hilum() as server:
            told = 0
            for number, (code, why) in enumerate(notes):
                head = Head(60 + number)
                images, note = head.save(f"{self.folder}/images{number}", head.slices[:2]), head.save(f"{self.folder}/note{number}", [key_object(head, code)])
                for paths in (note, images) if number % 2 else (images, note):
                    server.storescu(*paths)
                item = wait_until(lambda: next((item for item in server.get_json("/api/worklist") if item["study"] == head.study), None), 10, "the study is on the list")
                flagged = [row for row in server.get_json("/api/flagged?flag=rejection") if row["study"] == head.study]
                self.assertEqual((item["flags"], server.get_json(f"/api/studies/{head.study}/flags")), (says(why), says(why)) if why else ([], []), code)
                self.assertEqual([row["instance"] for row in flagged], [f"{head.study}.77.1"] if why else [])
                told += why is not None
                self.assertEqual(len(re.findall("rejects images of study", server.log())), told)
                self.assertEqual(len(server.get_json(f"/dicom-web/studies/{head.study}/instances")), 3)
            self.assertIn(f'hilum_objects_flagged{{flag="rejection"}} {told}', server.request("/metrics")[2].decode())

    def test_a_name_that_cannot_be_read_is_told_before_the_study_is_read(self):
        path = self.scanner.slice(1, SpecificCharacterSet="ISO_IR 100", PatientName="M\u00fcller^J\u00f6rg")
        with open(path, "rb") as f:
            data = f.read()
        with open(path, "wb") as f:  # Latin-1 bytes that are said to be UTF-8
            f.write(data.replace(b"ISO_IR 100", b"ISO_IR 192"))
        with Hilum() as server:
            server.storescu(path)
            self.assertEqual(self.item(server)["flags"], ["a name of this study cannot be read in its character set"])
            self.assertEqual(server.get_json(f"/api/studies/{self.scanner.study}/flags"), self.item(server)["flags"])
            self.assertEqual(len(server.get_json("/api/flagged?flag=charset")), 1)

    def convert(self, path, option):
        """By dcmconv or gdcmconv: the new file."""
        converted = f"{path}.{option.strip('+-')}.dcm"
        program = "dcmconv" if option.startswith("+") else "gdcmconv"
        subprocess.run([program, option, path, converted], check=True, capture_output=True)
        return converted

    def metric(self, server, name):
        lines = server.request("/metrics")[2].decode().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(name + " ")))

    def decide(self, server, conflict, word, by="Dr. Who"):
        status, _, body = server.request(f"/api/conflicts/{conflict['id']}/{word}", "POST", json.dumps({"by": by}).encode())
        return status, json.loads(body)

    def check_parts(self, server, path, rows):
        """Each part of three rows says how many there are in all."""
        self.assertEqual(len(rows), 3)
        for parameters, part in (("", rows), ("&limit=2", rows[:2]), ("&limit=2&offset=2", rows[2:]), ("&offset=3", []), ("&limit=0", rows), ("&limit=5000", rows)):
            status, headers, body = server.request(path + parameters)
            self.assertEqual((status, headers["X-Total-Count"], json.loads(body)), (200, "3", part), parameters)
        for wrong in ("limit=-1", "offset=x", "limit="):
            self.assertEqual(server.request(f"{path}&{wrong}")[0], 400, wrong)

    def wait_for_trail(self, server, by, detail, study=None):
        """The audit trail is synced within a second."""

        def is_there():
            lines = subprocess.run(["cat", *glob.glob(os.path.join(server.data, "audit-*.log"))], capture_output=True, text=True, check=True).stdout.splitlines()
            return any(by in line and detail in line and (study or self.scanner.study) in line for line in lines)

        wait_until(is_there, 5, detail)

    def test_what_comes_again_in_another_transfer_syntax_is_the_same_object(self):
        path = self.scanner.slice(1)
        with Hilum() as server:
            server.storescu(path)
            for option in ("+ti", "+tb", "--rle", "--j2k", "--jpegls", "--jpeg"):
                server.storescu(self.convert(path, option), options=(PROPOSE[option],))
            self.assertEqual(server.get_json("/api/conflicts"), [])
            self.assertEqual((self.metric(server, "hilum_objects_stored_total"), self.metric(server, "hilum_objects_same_total"), self.metric(server, "hilum_objects_beside_total")), (1, 6, 0))
            self.assertEqual(len(server.get_json("/dicom-web/instances")), 1)

    def test_the_source_s_policy_says_which_attributes_are_served(self):
        with Hilum() as server:
            server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "rights": ["store"], "plain": "accepted", "versions": "newest"})
            slices = [self.scanner.slice(n) for n in range(1, 4)]
            server.storescu(*slices)
            server.storescu(*[self.scanner.slice(n, PatientName="Right^Name", StudyDescription="Corrected") for n in range(1, 4)], aet="CT1")
            conflicts = server.get_json(f"/api/conflicts?study={self.scanner.study}")
            self.assertEqual([(c["kind"], c["state"], c["from"]) for c in conflicts], [("attributes", "open", "CT1")] * 3)
            self.assertIn({"tag": "00100010", "attribute": "PatientName", "object": "Right^Name", "known": "Doe^John"}, conflicts[0]["differences"])
            self.check_parts(server, f"/api/conflicts?study={self.scanner.study}", conflicts)
            self.check_parts(server, "/api/conflicts?state=all", conflicts)
            self.check_parts(server, "/api/flagged?flag=conflict", server.get_json("/api/flagged?flag=conflict"))
            self.assertEqual(len(server.get_json("/dicom-web/studies?PatientName=Doe*")), 1)
            (flag,) = self.item(server)["flags"]
            self.assertIn("3 objects came again", flag)
            server.storescu(*[self.scanner.slice(n, PatientName="Newest^Name") for n in range(1, 4)], aet="PACS")
            (study,) = server.get_json("/dicom-web/studies?PatientID=P1")
            self.assertEqual((value(study, "00100010"), value(study, "00201208")), ("Newest^Name", 3))
            self.assertEqual(server.get_json("/api/conflicts"), [])
            self.assertEqual(self.item(server)["flags"], [])
            metadata = server.get_json(f"/dicom-web/studies/{self.scanner.study}/metadata")
            self.assertEqual({value(one, "00100010") for one in metadata}, {"Newest^Name"})
            server.storescu(*slices)  # the first ones again are there
            self.assertEqual(server.get_json("/api/conflicts"), [])

    def test_a_decision_is_asked_for_once_audited_and_survives_a_kill(self):
        with Hilum() as server:
            server.storescu(self.scanner.slice(1), self.scanner.slice(2))
            again = [self.scanner.slice(n, pixel=9) for n in (1, 2)]
            server.storescu(*again)
            second, first = server.get_json("/api/conflicts")
            self.assertEqual((first["kind"], first["state"], self.metric(server, "hilum_conflicts")), ("pixels", "open", 2))
            self.assertNotEqual(first["sha256"], first["served"]["sha256"])
            self.assertIn("came again", server.log())
            self.assertEqual(self.decide(server, first, "keep")[1]["state"], "kept")
            status, taken = self.decide(server, second, "take")
            self.assertEqual((status, taken["state"], taken["decidedBy"], taken["served"]["sha256"]), (200, "taken", "Dr. Who", second["sha256"]))
            self.wait_for_trail(server, "Dr. Who", f"conflict {first['id']} kept")
            self.wait_for_trail(server, "Dr. Who", f"conflict {second['id']} taken")
            server.kill()
            server.start()
            self.assertEqual(server.get_json("/api/conflicts"), [])
            self.assertEqual({(c["id"], c["state"]) for c in server.get_json("/api/conflicts?state=all")} & {(first["id"], "kept"), (second["id"], "taken")}, {(first["id"], "kept"), (second["id"], "taken")})
            for n, expected in ((1, 0), (2, 9)):
                _, headers, body = server.request(f"/dicom-web/studies/{self.scanner.study}/series/{self.scanner.series}/instances/{self.scanner.uids[n]}", headers={"Accept": 'multipart/related; type="application/dicom"'})
                ((_, content),) = multipart(headers, body)
                self.assertEqual(pydicom.dcmread(pydicom.filebase.DicomBytesIO(content)).PixelData[0], expected)
            for conflict, word, wanted in ((first, "keep", 409), (second, "take", 409), ({"id": 9999}, "keep", 404), ({"id": "x"}, "take", 404)):
                self.assertEqual(self.decide(server, conflict, word)[0], wanted)
            self.assertEqual(server.request(f"/api/conflicts/{first['id']}/take", "POST", b"{}")[0], 400)
            self.assertEqual(self.decide(server, first, "take", by="Dr. No")[1]["state"], "taken")
            server.storescu(*again)
            self.assertEqual((server.get_json("/api/conflicts"), self.item(server)["flags"]), ([], []))
            self.assertEqual(server.stop(), 0)
            self.wait_for_trail(server, "Dr. No", f"conflict {first['id']} taken")

    def test_what_is_lost_is_whole_again_when_its_sender_sends_it_again(self):
        path = self.scanner.slice(1)
        url = f"/dicom-web/studies/{self.scanner.study}/series/{self.scanner.series}/instances/{self.scanner.uids[1]}"
        with Hilum() as server:
            server.storescu(path)
            self.assertEqual(server.stop(), 0)
            for pack in glob.glob(os.path.join(server.data, "packs", "*.pack")):
                os.unlink(pack)
            server.start()
            self.assertEqual(server.request(url)[0], 500)
            for _ in range(2):
                server.storescu(path)  # 0000H: it may be deleted where it comes from
                self.assertEqual(server.request(url)[0], 200)
            self.assertEqual(server.log().count("is whole again"), 1)
            server.kill()
            server.start()
            self.assertEqual(server.request(url)[0], 200)

    def test_a_study_of_which_all_is_held_back_is_on_the_list_and_both_patients_are_in_the_trail(self):
        other = Scanner(self.folder)
        with Hilum() as server:
            server.storescu(*[self.scanner.slice(n) for n in range(1, 4)])
            other.uids = self.scanner.uids
            server.storescu(*[other.slice(n, pixel=9, PatientID="P2", PatientName="Roe^Jane", PatientBirthDate="19800101") for n in range(1, 4)])
            first, second = (server.get_json(f"/api/conflicts?study={scanner.study}") for scanner in (self.scanner, other))
            self.assertEqual((len(first), first), (3, second))
            self.assertIn("3 objects came again", self.item(server)["flags"][0])
            held_back = "3 images of this study are held back: their UIDs are those of objects of another study"
            item = wait_until(lambda: next((item for item in server.get_json("/api/worklist") if item["study"] == other.study), None), 10, "the study of which nothing is served is on the list")
            self.assertEqual((item["patientId"], item["flags"]), ("P2", [held_back]))
            self.assertEqual(server.get_json(f"/api/studies/{other.study}/flags"), [held_back])
            for conflict, word in zip(first, ("keep", "take", "take")):
                self.assertEqual(self.decide(server, conflict, word)[0], 200)
            self.assertEqual(server.get_json(f"/api/studies/{other.study}/flags"), ["1 image of this study is held back: its UID is that of an object of another study"])
            self.assertEqual(server.get_json(f"/api/studies/{self.scanner.study}/flags"), [held_back.replace("3 images", "2 images")])
            for conflict, word in zip(first, ("kept", "taken", "taken")):
                for scanner in (self.scanner, other):
                    self.wait_for_trail(server, "Dr. Who", f"conflict {conflict['id']} {word}", scanner.study)


class Heads(unittest.TestCase):
    """A head without a bleed that comes again, corrected, with one."""

    def test_corrected_images_are_taken_by_a_person_and_looked_at_anew_and_our_own_results_come_back_as_what_they_are(self):
        folder = tempfile.mkdtemp(prefix="hilum-heads-")
        self.addCleanup(shutil.rmtree, folder, True)
        made = [subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder, *options], capture_output=True, text=True, check=True).stdout.split()[0] for options in ([], ["--bleed-seed", "5"])]
        plain, bleeding = ({int(ds.InstanceNumber): ds for ds in map(pydicom.dcmread, glob.glob(path + "/*.dcm"))} for path in made)
        before = {number: ds.PixelData for number, ds in plain.items()}
        corrected = []
        for number, ds in plain.items():
            ds.PixelData = bleeding[number].PixelData
            corrected.append(os.path.join(folder, f"corrected-{number}.dcm"))
            ds.save_as(corrected[-1])
        study = ds.StudyInstanceUID
        with Hilum(config="flow: {negative_quiet_s: 2}\n") as server:
            patients = Patients()

            def jobs():
                return [job for job in server.get_json(f"/api/jobs?study={study}") if job["state"] in ("done", "skipped", "failed")]

            server.storescu(*glob.glob(made[0] + "/*.dcm"))
            (first,) = wait_until(jobs, 60, "the head was looked at")
            self.assertEqual(first["outcome"], "negative", first)
            server.storescu(*corrected)  # every C-STORE answers 0000H
            conflicts = server.get_json(f"/api/conflicts?study={study}")
            bleeds = sum(ds.PixelData != before[number] for number, ds in plain.items())
            self.assertGreater(bleeds, 10)
            self.assertEqual([c["kind"] for c in conflicts], ["pixels"] * bleeds)
            (flag,) = server.get_json(f"/api/studies/{study}/flags")
            self.assertIn(f"{bleeds} objects came again", flag)
            self.assertEqual([item["flags"] for item in server.get_json("/api/worklist") if item["study"] == study], [[flag]])
            # Nobody has looked at the newer pixels: the negative holds no more.
            (said,) = wait_until(lambda: [one for one in server.get_json(f"/api/studies/{study}/results") if one["outcome"] == "not analysed"], 60, "the negative is taken back")
            self.assertEqual(said["reason"], f"{bleeds} images came again with other pixels, or another place, scale or contrast of them, which were not looked at; keep or take them")
            self.assertEqual([model["reason"] for item in server.get_json("/api/worklist") if item["study"] == study for model in item["models"]], [said["reason"]])
            for conflict in conflicts:
                self.assertEqual(patients.decide(server, conflict, "take")[0], 200)
            wait_until(lambda: any(job["outcome"] == "positive" for job in jobs()), 60, "the corrected head is looked at")
            self.assertEqual([one["outcome"] for one in server.get_json(f"/api/studies/{study}/results")], ["positive"])
            self.assertEqual(server.get_json(f"/api/studies/{study}/flags"), [])

            (seg,) = server.get_json(f"/dicom-web/instances?StudyInstanceUID={study}&Modality=SEG")
            _, headers, body = server.request("/dicom-web/studies/{}/series/{}/instances/{}".format(*(value(seg, tag) for tag in ("0020000D", "0020000E", "00080018"))), headers={"Accept": 'multipart/related; type="application/dicom"'})
            ((_, content),) = multipart(headers, body)
            ours = os.path.join(folder, "seg.dcm")
            with open(ours, "wb") as f:
                f.write(content)
            before = patients.metric(server, "hilum_objects_same_total")
            for option in ("+ti", "+tb", "+te"):
                server.storescu(patients.convert(ours, option), options=("-R", PROPOSE[option]), aet="PACS")
            subprocess.run(["gdcmconv", "--raw", "--implicit", ours, ours + ".raw.dcm"], check=True, capture_output=True)
            server.storescu(ours + ".raw.dcm", options=("-R", "-xi"), aet="PACS")
            self.assertEqual(patients.metric(server, "hilum_objects_same_total") - before, 4)
            self.assertEqual(server.get_json("/api/conflicts"), [])
            self.assertEqual(len(server.get_json(f"/dicom-web/instances?StudyInstanceUID={study}&Modality=SEG")), 1)

    def test_what_was_said_of_the_wrong_patient_is_that_one_s_in_fhir_too(self):
        folder = tempfile.mkdtemp(prefix="hilum-heads-")
        self.addCleanup(shutil.rmtree, folder, True)
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder], capture_output=True, text=True, check=True).stdout.split()[0]
        right = []
        for path in glob.glob(made + "/*.dcm"):
            ds = pydicom.dcmread(path)
            wrong, ds.PatientID, ds.PatientName = ds.PatientID, "RIGHT1", "Right^One"
            right.append(path.replace(made, folder).replace(".dcm", "-right.dcm"))
            ds.save_as(right[-1])
        study = ds.StudyInstanceUID
        with Hilum(config="flow: {negative_quiet_s: 2}\n") as server:
            server.put_json("/api/peers/ct", {"title": "CT1", "host": "127.0.0.1", "rights": ["store"], "plain": "accepted", "versions": "newest"})
            reports = lambda: [entry["resource"] for entry in server.get_json(f"/fhir/DiagnosticReport?study={study}").get("entry", [])]
            server.storescu(*glob.glob(made + "/*.dcm"), aet="CT1")
            (report,) = wait_until(reports, 60, "the head was looked at")
            self.assertEqual(report["subject"], {"reference": f"Patient/{study}"})
            server.storescu(*right, aet="CT1")
            withdrawn, present = wait_until(lambda: len(reports()) == 2 and sorted(reports(), key=lambda one: one["status"] != "entered-in-error"), 60, "the right patient's head was looked at")
            self.assertEqual((withdrawn["id"], withdrawn["status"], withdrawn["subject"]["identifier"]["value"]), (report["id"], "entered-in-error", wrong))
            self.assertNotIn("reference", withdrawn["subject"])
            self.assertEqual(present["subject"], {"reference": f"Patient/{study}"})
            self.assertEqual(server.get_json(f"/fhir/Patient/{study}")["identifier"][0]["value"], "RIGHT1")

    def test_two_patients_studies_with_one_series_uid_keep_their_results_apart_and_the_list_says_so(self):
        folder = tempfile.mkdtemp(prefix="hilum-heads-")
        self.addCleanup(shutil.rmtree, folder, True)
        plain, first, second = Head(91), Head(92, bleed=22), Head(93, bleed=22)
        for ds in first.slices + second.slices:
            ds.SeriesInstanceUID = plain.series
        with Hilum(config="flow: {negative_quiet_s: 2}\n") as server:
            said, reports = [], []
            for head, outcome in ((plain, "negative"), (first, "positive"), (second, "positive")):
                server.storescu(*head.save(f"{folder}/{head.study}"))
                results = wait_until(lambda: [one for one in server.get_json(f"/api/studies/{head.study}/results") if one["told"]], 60, "the head was looked at and told")
                self.assertEqual([one["outcome"] for one in results], [outcome])
            for head in (plain, first, second):
                said += server.get_json(f"/api/studies/{head.study}/results")
                reports += [entry["resource"] for entry in server.get_json(f"/fhir/DiagnosticReport?study={head.study}")["entry"]]
            self.assertEqual([one["standing"] for one in said], ["current"] * 3)
            self.assertEqual(len({one["topic"] for one in said}), 3)
            self.assertNotIn("entered-in-error", [report["status"] for report in reports])
            flags = {item["study"]: item["flags"] for item in server.get_json("/api/worklist")}
            for head, others in ((plain, (first, second)), (first, (plain, second)), (second, (plain, first))):
                (flag,) = flags[head.study]
                sentences = [f"series {plain.series} of this study ({head.study}) is also in study {o.study} of patient {o.slices[0].PatientID}, accession number {o.slices[0].AccessionNumber}: one of the two has a wrong Series Instance UID" for o in others]
                self.assertIn(flag, sentences)
                self.assertEqual(server.get_json(f"/api/studies/{head.study}/flags"), [flag])

    def test_nothing_is_said_to_be_found_where_images_are_held_back(self):
        folder = tempfile.mkdtemp(prefix="hilum-heads-")
        self.addCleanup(shutil.rmtree, folder, True)
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder], capture_output=True, text=True, check=True).stdout.split()[0]
        slices = sorted(map(pydicom.dcmread, glob.glob(made + "/*.dcm")), key=lambda ds: ds.InstanceNumber)
        study, series, frame, others = generate_uid(), generate_uid(), generate_uid(), []
        for k, ds in enumerate(slices):
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID, ds.PatientID, ds.PatientName = study, series, frame, "P3", "Day^P3"
            if k >= 7:  # those at one end have the UIDs of the first patient's
                ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            others.append(os.path.join(folder, f"other-{k}.dcm"))
            ds.save_as(others[-1])
        with Hilum(config="flow: {negative_quiet_s: 2}\n") as server:
            server.storescu(*glob.glob(made + "/*.dcm"))
            server.storescu(*others)
            (job,) = wait_until(lambda: [job for job in server.get_json(f"/api/jobs?study={study}") if job["state"] in ("done", "skipped", "failed")], 60, "what is left of the head was looked at")
            self.assertEqual((job["outcome"], job["reason"]), ("not analysed", "7 images are held back: their UIDs are other objects'"))


if __name__ == "__main__":
    unittest.main()
