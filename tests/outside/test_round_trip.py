#!/usr/bin/python3
"""Whatever is sent is read back bit for bit, by DICOM and over DICOMweb, and found by its attributes: all of pydicom's files, each under UIDs of its own."""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import Hilum, multipart, pydicom_files
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite

NOT_OBJECTS = ("DICOMDIR", "README", ".json", ".dump", ".gz", ".zip")


def data_set_of(path):
    """The bytes behind the meta information, its transfer syntax, class and instance; None when there is no meta information."""
    with open(path, "rb") as f:
        raw = f.read()
    if raw[128:132] != b"DICM":
        return None
    f = DicomBytesIO(raw)
    try:
        head = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True, force=True)
        meta = pydicom.filereader.read_file_meta_info(path)
        pydicom.filereader.read_preamble(f, False)
        pydicom.filereader._read_file_meta_info(f)
        return raw[f.tell():], str(meta.TransferSyntaxUID), str(head.SOPClassUID), str(head.SOPInstanceUID)
    except Exception:  # noqa: BLE001 - a file without what an object needs
        return None


def with_own_uid(path, number, folder):
    """A copy whose SOP Instance UID is its own, made by replacing the bytes in place so that nothing else changes."""
    with open(path, "rb") as f:
        raw = f.read()
    found = data_set_of(path)
    if not found:
        return None
    old = found[3].encode()
    # The same length, so that every length in the file stays right.
    tail = f"{number:04d}".encode()
    if len(old) <= len(tail) + 2:
        return None
    new = old[: -len(tail)] + tail
    copy = os.path.join(folder, f"{number:04d}.dcm")
    with open(copy, "wb") as f:
        f.write(raw.replace(old, new))
    return copy


class RoundTrip(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hilum-files-")
        cls.server = Hilum().start()
        cls.copies = {}
        for number, path in enumerate(p for p in pydicom_files() if not any(word in os.path.basename(p) for word in NOT_OBJECTS)):
            copy = with_own_uid(path, number, cls.folder)
            found = data_set_of(copy) if copy else None
            if found:
                cls.copies[copy] = found
        # Deflated files have their UIDs where no replacing reaches; they go as they are.
        cls.sent = cls.server.command("send", f"127.0.0.1:{cls.server.dicom}", *cls.copies, "--aec", "HILUM", check=False)

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        shutil.rmtree(cls.server.folder, ignore_errors=True)
        shutil.rmtree(cls.folder, ignore_errors=True)
        assert status == 0, f"the server ended with {status}"

    def instance_path(self, instance):
        rows = self.server.get_json(f"/dicom-web/instances?SOPInstanceUID={instance}")
        self.assertEqual(len(rows), 1, instance)
        values = [rows[0][tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
        return "/dicom-web/studies/{}/series/{}/instances/{}".format(*values)

    def test_every_object_comes_back_bit_for_bit(self):
        wrong, checked = [], 0
        stored = self.server.get_json("/api/status")["instances"]
        for copy, (data, syntax, _, instance) in self.copies.items():
            status, headers, body = self.server.request(f"/dicom-web/instances?SOPInstanceUID={instance}")
            rows = json.loads(body) if status == 200 else []
            if not rows:
                continue  # refused; counted below
            _, headers, body = self.server.request(self.instance_path(instance), headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
            part = multipart(headers, body)[0][1]
            got = data_set_of_bytes(part)
            checked += 1
            if got != (data, syntax):
                wrong.append(os.path.basename(copy))
        self.assertEqual(wrong, [])
        self.assertEqual(checked, stored)
        self.assertGreaterEqual(checked, 100, self.sent.stderr[-3000:])

    def test_a_frame_is_its_slice_of_the_pixel_data(self):
        checked = 0
        for copy, (_, syntax, _, instance) in self.copies.items():
            if syntax not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
                continue
            rows = self.server.get_json(f"/dicom-web/instances?SOPInstanceUID={instance}")
            dataset = pydicom.dcmread(copy, force=True)
            if not rows or "PixelData" not in dataset or dataset.get("BitsAllocated", 1) == 1 or dataset.get("NumberOfFrames", "1") == "1A":
                continue
            frames = int(dataset.get("NumberOfFrames", 1) or 1)
            size = dataset.Rows * dataset.Columns * dataset.get("SamplesPerPixel", 1) * dataset.BitsAllocated // 8
            if size * frames > len(dataset.PixelData):
                continue
            for frame in {1, frames}:
                status, headers, body = self.server.request(f"{self.instance_path(instance)}/frames/{frame}")
                self.assertEqual(status, 200, (copy, body[:200]))
                self.assertEqual(multipart(headers, body)[0][1], dataset.PixelData[size * (frame - 1): size * frame], copy)
                checked += 1
        self.assertGreater(checked, 30)

    def test_the_same_object_again_is_the_same_object(self):
        before = self.server.get_json("/api/status")
        copy = next(iter(self.copies))
        for _ in range(2):
            self.server.command("send", f"127.0.0.1:{self.server.dicom}", copy, "--aec", "HILUM")
        after = self.server.get_json("/api/status")
        self.assertEqual((before["instances"], before["conflicts"], before["bytes"]), (after["instances"], after["conflicts"], after["bytes"]))

    def test_other_bytes_under_a_known_uid_are_kept_and_listed(self):
        copy, (_, _, _, instance) = next((c, f) for c, f in self.copies.items() if f[1] == "1.2.840.10008.1.2.1")
        dataset = pydicom.dcmread(copy)
        dataset.PatientComments = "other bytes"
        changed = os.path.join(self.folder, "changed.dcm")
        dcmwrite(changed, dataset)
        self.server.storescu(changed)
        self.assertIn(instance, [row["instance"] for row in self.server.get_json("/api/conflicts")])
        metadata = self.server.get_json(self.instance_path(instance) + "/metadata")[0]
        self.assertNotIn("00104000", metadata)  # the first is served

    def test_findscu_has_no_hidden_answer_and_echo_works(self):
        self.assertEqual(subprocess.run(["echoscu", "-aec", "HILUM", "127.0.0.1", str(self.server.dicom)], capture_output=True).returncode, 0)
        refused = subprocess.run(["echoscu", "-aec", "OTHER", "127.0.0.1", str(self.server.dicom)], capture_output=True, text=True)
        self.assertIn("Called AE Title Not Recognized", refused.stdout + refused.stderr)

    def test_queries_match_as_the_standard_says(self):
        for query, least in (("PatientID=1CT1", 1), ("PatientID=1CT*", 1), ("PatientName=compressedsamples*", 2), ("StudyDate=20040101-20041231", 2), ("ModalitiesInStudy=MR", 1),
                             ("00100020=1CT1", 1), ("PatientID=1CT1&limit=1&offset=0", 1)):
            self.assertGreaterEqual(len(self.server.get_json(f"/dicom-web/studies?{query}")), least, query)
        for query in ("PatientID=' OR 1=1--", "PatientID=%25", "PatientID=_CT1", "PatientID=1CT[1]", "PatientID=1ct1", "StudyDate=19000101-19000102"):
            self.assertEqual(self.server.get_json("/dicom-web/studies?" + query.replace(" ", "%20").replace("[", "%5B").replace("]", "%5D")), [], query)
        for query in ("StudyDate=99990101-00010101", "StudyDate=-", "StudyDate=yesterday", "Nonsense=1", "limit=x", "PatientID=" + "*?" * 20):
            self.assertEqual(self.server.request("/dicom-web/studies?" + query)[0], 400, query)

    def test_metadata_is_what_pydicom_reads(self):
        checked = 0
        for copy, (_, syntax, _, instance) in list(self.copies.items())[::5]:
            if not self.server.get_json(f"/dicom-web/instances?SOPInstanceUID={instance}"):
                continue
            metadata = self.server.get_json(self.instance_path(instance) + "/metadata")[0]
            dataset = pydicom.dcmread(copy, force=True)
            self.assertEqual(metadata["00080018"]["Value"], [instance])
            for keyword in ("Modality", "StudyInstanceUID", "StudyDate", "Manufacturer", "BodyPartExamined"):
                element = dataset.data_element(keyword) if keyword in dataset else None
                if element is not None and element.value:
                    self.assertEqual(metadata[f"{int(element.tag):08X}"]["Value"], [str(element.value)], (copy, keyword))
                    checked += 1
        self.assertGreater(checked, 30)


def data_set_of_bytes(raw):
    f = DicomBytesIO(raw)
    pydicom.filereader.read_preamble(f, False)
    meta = pydicom.filereader._read_file_meta_info(f)
    return raw[f.tell():], str(meta.TransferSyntaxUID)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
