"""QIDO-RS and WADO-RS as PS3.18 has them: what Accept asks for and gets, what is refused, bulk data as pydicom reads them."""

import os
import shutil
import tempfile
import unittest

import pydicom
import pydicom.data
import pydicom.uid
from harness import Hilum, multipart

FOLDER = os.path.join(os.path.dirname(pydicom.data.__file__), "test_files")
EXPLICIT, IMPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"
FILES = {"native": "CT_small.dcm", "jpeg": "SC_rgb_jpeg_dcmtk.dcm", "big": "MR_small_bigendian.dcm", "deflated": "image_dfl.dcm", "rle": "MR_small_RLE.dcm", "plan": "rtplan.dcm"}
OBJECT, BYTES = 'multipart/related; type="application/dicom"', 'multipart/related; type="application/octet-stream"'


class DicomWeb(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="dicomweb-")
        cls.server = Hilum().start()
        cls.data, cls.paths = {}, {}
        for name, file in FILES.items():
            dataset = pydicom.dcmread(os.path.join(FOLDER, file))
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[file])  # pydicom's files share some
            dataset.StudyInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[file, "study"])
            copy = os.path.join(cls.folder, file)
            dataset.save_as(copy)
            cls.server.command("import", "--server", cls.server.url(""), copy)
            cls.data[name] = dataset
            cls.paths[name] = f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        shutil.rmtree(cls.folder)

    def ask(self, path, accept=None):
        status, headers, body = self.server.request(path, headers={"Accept": accept} if accept else {})
        return status, headers["Content-Type"], multipart(headers, body) if "boundary=" in headers["Content-Type"] else body

    def test_objects_are_given_as_accept_has_them(self):
        for name, accept, status in (("native", OBJECT, 200), ("native", "*/*", 200), ("native", OBJECT + "; transfer-syntax=*", 200), ("native", f"{OBJECT}; transfer-syntax={EXPLICIT}", 200),
                                     ("jpeg", OBJECT, 200), ("jpeg", f'{OBJECT}; transfer-syntax="{JPEG}"', 200),
                                     ("jpeg", f"{OBJECT}; transfer-syntax={EXPLICIT}", 406), ("native", f"{OBJECT}; transfer-syntax={JPEG}", 406), ("native", BYTES, 406),
                                     ("native", 'multipart/related; type="image/jpeg"', 406), ("native", "image/jpeg", 406), ("native", "*/*;q=0", 406)):
            got = self.ask(self.paths[name], accept)
            self.assertEqual(got[0], status, (name, accept, got))
            if status == 200:
                self.assertIn('type="application/dicom"', got[1])
                self.assertIn(self.data[name].file_meta.TransferSyntaxUID.encode(), got[2][0][0])

    def test_one_object_is_given_alone_when_only_that_is_accepted(self):
        status, kind, body = self.ask(self.paths["native"], "application/dicom")
        self.assertEqual((status, kind), (200, "application/dicom; transfer-syntax=" + EXPLICIT))
        self.assertEqual(body[128:132], b"DICM")
        with open(os.path.join(self.folder, "alone.dcm"), "wb") as f:
            f.write(body)
        self.assertEqual(pydicom.dcmread(f.name).PixelData, self.data["native"].PixelData)
        self.assertEqual(self.ask(self.paths["native"], "application/dicom; transfer-syntax=" + JPEG)[0], 406)

    def test_several_objects_are_not_given_alone(self):
        dataset = pydicom.dcmread(os.path.join(self.folder, FILES["plan"]))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        dataset.save_as(os.path.join(self.folder, "second.dcm"))
        self.server.command("import", "--server", self.server.url(""), os.path.join(self.folder, "second.dcm"))
        study = f"/dicom-web/studies/{dataset.StudyInstanceUID}"
        self.assertEqual(self.ask(study, "application/dicom")[0], 406)
        self.assertEqual(len(self.ask(study, OBJECT)[2]), 2)

    def test_frames_are_given_as_accept_has_them(self):
        native, jpeg = self.data["native"].PixelData, 3 * self.data["jpeg"].Rows * self.data["jpeg"].Columns
        for accept in (None, "*/*", BYTES, BYTES + "; transfer-syntax=*", f"{BYTES}; transfer-syntax={EXPLICIT}"):
            self.assertEqual(self.ask(self.paths["native"] + "/frames/1", accept)[2][0][1], native, accept)
        self.assertEqual(self.ask(self.paths["native"] + "/frames/1", "application/octet-stream")[1:], ("application/octet-stream", native))
        for accept in ("image/png", 'multipart/related; type="image/jpeg"', f"{BYTES}; transfer-syntax={JPEG}"):
            self.assertEqual(self.ask(self.paths["native"] + "/frames/1", accept)[0], 406, accept)
        for accept, kind, size in ((None, "application/octet-stream", jpeg), ("*/*", "application/octet-stream", jpeg), (BYTES, "application/octet-stream", jpeg),
                                   ('multipart/related; type="image/jpeg"', "image/jpeg", None), (BYTES + "; transfer-syntax=*", "image/jpeg", None),
                                   (f"{BYTES}; transfer-syntax={JPEG}", "image/jpeg", None), (f'{BYTES}; q=0.4, multipart/related; type="image/jpeg"; q=0.2', "application/octet-stream", jpeg)):
            status, whole, parts = self.ask(self.paths["jpeg"] + "/frames/1", accept)
            self.assertEqual(status, 200, accept)
            self.assertIn(f'type="{kind}"', whole, accept)
            if size:
                self.assertEqual(len(parts[0][1]), size, accept)
            else:
                self.assertEqual(parts[0][1][:2], b"\xff\xd8", accept)
        status, kind, body = self.ask(self.paths["jpeg"] + "/frames/1", "application/octet-stream")
        self.assertEqual((status, kind, len(body)), (200, "application/octet-stream", jpeg))
        self.assertEqual(self.ask(self.paths["jpeg"] + "/frames/1,1", "application/octet-stream")[0], 406)
        self.assertEqual(self.ask(self.paths["jpeg"] + "/frames/2")[0], 404)

    def test_bulk_data_are_little_endian_and_inflated(self):
        little = pydicom.dcmread(os.path.join(FOLDER, "MR_small.dcm")).PixelData
        self.assertNotEqual(little, self.data["big"].PixelData)
        for name, pixels in (("native", self.data["native"].PixelData), ("big", little), ("deflated", self.data["deflated"].PixelData)):
            metadata = self.server.get_json(self.paths[name] + "/metadata")[0]
            path = metadata["7FE00010"]["BulkDataURI"].split(str(self.server.http))[1]
            for accept in (None, BYTES):
                status, _, parts = self.ask(path, accept)
                self.assertEqual(status, 200, (name, parts))
                self.assertEqual(parts[0][1], pixels, name)
            self.assertEqual(self.ask(path, "application/octet-stream")[1:], ("application/octet-stream", pixels), name)
            self.assertEqual(self.ask(path, "image/png")[0], 406)
            self.assertEqual(self.ask(path + "9")[0], 404)

    def test_json_is_given_only_when_accepted(self):
        for path in ("/dicom-web/studies", "/dicom-web/series", self.paths["plan"] + "/metadata"):
            for accept, status, kind in ((None, 200, "application/dicom+json"), ("*/*", 200, "application/dicom+json"), ("application/json", 200, "application/json"),
                                         ("text/html, application/dicom+json;q=0.5", 200, "application/dicom+json"), ("application/dicom+xml", 406, None),
                                         ('multipart/related; type="application/dicom+xml"', 406, None), ("application/*;q=0", 406, None)):
                got = self.ask(path, accept)
                self.assertEqual(got[0], status, (path, accept))
                if kind:
                    self.assertEqual(got[1], kind, accept)

    def test_search_says_what_it_did_not_do(self):
        def warnings(query):
            status, headers, _ = self.server.request("/dicom-web/studies?" + query)
            self.assertEqual(status, 200, query)
            return " ".join(headers.get_all("Warning") or [])

        self.assertIn("fuzzymatching", warnings("fuzzymatching=true&PatientName=x"))
        self.assertNotIn("fuzzymatching", warnings("fuzzymatching=false&PatientName=x"))
        self.assertIn("more results", warnings("limit=1"))
        both = warnings("limit=1&fuzzymatching=true")
        self.assertTrue("fuzzymatching" in both and "more results" in both)
        self.assertEqual(warnings("includefield=all&includefield=00081030,StudyTime,00400275.00400009"), "")
        for query in ("fuzzymatching=maybe", "includefield=NoSuchThing", "includefield=", "includefield=StudyDate,", "limit=-1", "offset=1.5"):
            self.assertEqual(self.server.request("/dicom-web/studies?" + query)[0], 400, query)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
