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

NO_IDENTITY = "SOP Instance UID (0008,0018) is missing"
NO_DICOM = "no DICOM: neither"
DIRECTORY = "a DICOMDIR only lists other files"
# Every file that is not taken, and why. The first are objects that are refused, the others no objects at all.
REFUSED = {
    "MR_truncated.dcm": "62 of 8192 bytes of its value are missing",
    "rtplan_truncated.dcm": "21 of 50 bytes of its value are missing",
    "SC_rgb_jpeg.dcm": "has no VR (1800H); the transfer syntax is explicit VR",  # its data set is implicit VR
    "UN_sequence.dcm": NO_IDENTITY, "empty_charset_LEI.dcm": NO_IDENTITY, "meta_missing_tsyntax.dcm": NO_IDENTITY, "nested_priv_SQ.dcm": NO_IDENTITY,
    "no_meta_group_length.dcm": NO_IDENTITY, "priv_SQ.dcm": NO_IDENTITY, "chrSQEncoding.dcm": NO_IDENTITY, "chrSQEncoding1.dcm": NO_IDENTITY,
}
PASSED_OVER = {
    "no_meta.dcm": NO_DICOM,  # a blank stands before its first element, and nobody reads it: DCMTK and pydicom neither
    "README.txt": NO_DICOM, "README": NO_DICOM, "FileInfo.txt": NO_DICOM, "rtplan.dump": NO_DICOM, "rtstruct.dump": NO_DICOM, "test1.json": NO_DICOM, "test_PN.json": NO_DICOM, "zipMR.gz": NO_DICOM,
    "DICOMDIR": DIRECTORY, "DICOMDIR-bigEnd": DIRECTORY, "DICOMDIR-empty.dcm": DIRECTORY, "DICOMDIR-implicit": DIRECTORY, "DICOMDIR-nooffset": DIRECTORY, "DICOMDIR-nopatient": DIRECTORY,
    "DICOMDIR-reordered": DIRECTORY,
}
QUARANTINED = ("MR_truncated.dcm", "rtplan_truncated.dcm", "SC_rgb_jpeg.dcm")
# The three without meta information that are taken: what they are.
WITHOUT_META = {"ExplVR_BigEndNoMeta.dcm": "1.2.840.10008.1.2.2", "ExplVR_LitEndNoMeta.dcm": "1.2.840.10008.1.2.1", "rtstruct.dcm": "1.2.840.10008.1.2"}


def data_set_of(path):
    """The bytes of the data set, its transfer syntax, class and instance; None when it has no identity."""
    with open(path, "rb") as f:
        raw = f.read()
    try:
        head = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True, force=True)
        identity = str(head.SOPClassUID), str(head.SOPInstanceUID)
        if raw[128:132] != b"DICM":
            return (raw, WITHOUT_META[original_name(path)], *identity)
        f = DicomBytesIO(raw)
        meta = pydicom.filereader.read_file_meta_info(path)
        pydicom.filereader.read_preamble(f, False)
        pydicom.filereader._read_file_meta_info(f)
        return (raw[f.tell():], str(meta.TransferSyntaxUID), *identity)
    except Exception:  # noqa: BLE001 - a file without what an object needs
        return None


def original_name(path):
    return os.path.basename(path).partition("-")[2] or os.path.basename(path)


def with_own_uid(path, number, folder):
    """A copy whose SOP Instance UID is its own where it has one, made by replacing the bytes in place so that nothing else changes. (Of a deflated file nothing can be replaced.)"""
    with open(path, "rb") as f:
        raw = f.read()
    found = data_set_of(path)
    if found:
        old = found[3].encode()
        # The same length, so that every length in the file stays right; no component may begin with a zero.
        tail = f"{1000 + number}".encode()
        raw = raw.replace(old, old[: -len(tail)] + tail) if len(old) > len(tail) + 2 else raw
    copy = os.path.join(folder, f"{number:04d}-{os.path.basename(path)}")
    with open(copy, "wb") as f:
        f.write(raw)
    return copy


def reasons(stderr):
    """What a command said of each file, by the file's first name."""
    out = {}
    for line in stderr.splitlines():
        if not line.startswith("hilum: "):
            continue  # the progress bar
        path, _, reason = line.removeprefix("hilum: ").partition(": ")
        out.setdefault(original_name(path.split(" ")[0]), []).append(reason)
    return out


class RoundTrip(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hilum-files-")
        cls.server = Hilum().start()
        originals = pydicom_files() + pydicom_files("charset_files")
        every = [with_own_uid(path, number, cls.folder) for number, path in enumerate(originals)]
        cls.every = every
        cls.copies = {}
        for copy in every:
            found = data_set_of(copy)
            if found and original_name(copy) not in REFUSED:
                cls.copies[copy] = found
        with_meta = [copy for copy in every if original_name(copy) not in WITHOUT_META]
        cls.sent = cls.server.command("send", f"127.0.0.1:{cls.server.dicom}", *with_meta, "--aec", "HILUM", check=False)
        cls.imported = cls.server.command("import", *every, "--server", f"http://127.0.0.1:{cls.server.http}", check=False)
        cls.counted = cls.server.get_json("/api/status")

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

    def test_every_file_is_taken_or_refused_for_its_reason(self):
        files = [original_name(copy) for copy in self.every]
        refused, passed_over = [sum(name in table for name in files) for table in (REFUSED, PASSED_OVER)]
        taken = len(files) - refused - passed_over
        self.assertEqual(taken, len(self.copies))
        self.assertGreaterEqual(taken, 150)
        by_send = taken - len(WITHOUT_META)
        self.assertIn(f"{by_send} sent, 0 with a warning, {refused} refused, {passed_over} passed over", self.sent.stdout)
        self.assertIn(f"{len(WITHOUT_META)} stored, {by_send} there already, 0 kept beside another with the same UID, {refused} refused, {passed_over} passed over", self.imported.stdout)
        self.assertEqual((self.counted["instances"], self.counted["conflicts"]), (taken, 0))
        told = reasons(self.imported.stderr)
        self.assertEqual(set(told), set(REFUSED) | set(PASSED_OVER))
        for name, why in {**REFUSED, **PASSED_OVER}.items():
            self.assertEqual([reason for reason in told[name] if why not in reason], [], name)
        # The sender says the same of what it can see itself.
        self.assertEqual(set(reasons(self.sent.stderr)), set(told))

    def test_what_is_damaged_is_in_the_quarantine(self):
        folder = os.path.join(self.server.data, "quarantine")
        kept = []
        for name in os.listdir(folder):
            if name.endswith(".dcm"):
                with open(os.path.join(folder, name), "rb") as f:
                    kept.append(f.read())
        for copy in self.every:
            if original_name(copy) in QUARANTINED:
                with open(copy, "rb") as f:
                    raw = f.read()
                self.assertTrue(any(data and raw.endswith(data) and len(raw) - len(data) < 1000 for data in kept), copy)

    def test_every_object_comes_back_bit_for_bit(self):
        wrong = []
        for copy, (data, syntax, _, instance) in self.copies.items():
            _, headers, body = self.server.request(self.instance_path(instance), headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
            if data_set_of_bytes(multipart(headers, body)[0][1]) != (data, syntax):
                wrong.append(os.path.basename(copy))
        self.assertEqual(wrong, [])

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
