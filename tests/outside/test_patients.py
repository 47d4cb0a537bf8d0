#!/usr/bin/python3
"""Patients are not mixed: several under one Study Instance UID, the same UIDs again with other names or pixels, and two sites' identifiers."""

import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import Hilum, wait_until
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
SIDE = 16  # pixels


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
            server.storescu(self.scanner.slice(3, PatientName="Roe^Jane"))
            self.assertEqual(self.item(server)["flags"], ["name of P1: Doe John or Roe Jane"])
            self.assertEqual(len(server.get_json("/dicom-web/studies?PatientID=P1")), 1)
            self.assertEqual(server.request("/api/flagged?flag=none")[0], 400)


if __name__ == "__main__":
    unittest.main()
