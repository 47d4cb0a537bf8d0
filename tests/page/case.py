"""What the tests of the page share: a server for each class of tests, one browser for all of them, and small objects to look at."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "outside"))
from browser import Browser
from harness import ROOT, Hilum, wait_until

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT = "1.2.840.10008.5.1.4.1.1.2"
SCREENS = ((1280, 800), (1920, 1080))
DATE = r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b(?! *[AP]M)"  # how the page writes one


def make_head(folder, *options):
    """A series with a bleed: its folder, and the truth."""
    made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder, *options], capture_output=True, text=True, check=True).stdout.split()[0]
    with open(made.rstrip("/") + ".truth.json", encoding="utf-8") as f:
        return made, json.load(f)


def windowed(values, window):
    """PS3.3 C.11.2.1.2.1."""
    return np.clip(((values - (window[0] - 0.5)) / (window[1] - 1) + 0.5) * 255, 0, 255)


def new_object(study, sop_class=SECONDARY_CAPTURE, **values):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = sop_class, generate_uid(), ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality, dataset.SpecificCharacterSet = "P1", "Test^Page", "OT", "ISO_IR 192"
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def set_pixels(dataset, pixels, photometric, stored=None):
    pixels = np.ascontiguousarray(pixels)
    dataset.PhotometricInterpretation = photometric
    dataset.SamplesPerPixel = 3 if photometric in ("RGB", "YBR_FULL") else 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    shape = pixels.shape[:-1] if dataset.SamplesPerPixel == 3 else pixels.shape
    dataset.Rows, dataset.Columns = shape[-2:]
    if len(shape) == 3:
        dataset.NumberOfFrames = shape[0]
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = stored or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    return dataset


def new_image(study, **values):
    """What puts a study on the reading list."""
    return set_pixels(new_object(study, **values), np.zeros((4, 4), np.uint8), "MONOCHROME2")


class PageTest(unittest.TestCase):
    """A server for each class, whose configuration `prepare` gives."""

    browser = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hilum-page-")
        cls.server = Hilum(config=cls.prepare()).start()
        cls.addClassCleanup(lambda: shutil.rmtree(cls.folder, ignore_errors=True))
        cls.addClassCleanup(lambda: cls.server.__exit__(None, None, None))
        if not PageTest.browser:
            PageTest.browser = Browser().__enter__()
            unittest.addModuleCleanup(PageTest.browser.__exit__)

    @classmethod
    def prepare(cls):
        return ""

    def tab(self, study=""):
        tab = self.browser.tab()
        self.addCleanup(tab.close)
        tab.goto(self.server.url(f"/#{study}"))
        return tab

    def store(self, *datasets):
        folder = tempfile.mkdtemp(dir=self.folder)
        for number, dataset in enumerate(datasets):
            dataset.save_as(os.path.join(folder, f"{number}.dcm"), write_like_original=False)
        self.server.command("import", folder, "--server", self.server.url(""))

    def send(self, folder):
        self.server.command("send", f"127.0.0.1:{self.server.dicom}", folder, "--aec", "HILUM")

    def scan(self, head, slices=None, aet="CT1"):
        """Its slices, or those given, from a scanner."""
        self.server.storescu(*head.save(tempfile.mkdtemp(dir=self.folder), slices), aet=aet)

    def check_whole(self, tab, selector):
        """Every one of them shows all of its text."""
        cut = tab.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})].filter((one) => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight).map((one) => one.innerText)")
        self.assertEqual(cut, [], f"{selector}: cut")

    def check_in_sight(self, tab):
        """A study's images, their slider and its header are in the window, whatever stands between them."""
        tab.until("document.querySelector('.stage')")
        for width, height in SCREENS:
            tab.resize(width, height)
            tab.until(f"innerWidth === {width} && innerHeight === {height}")
            self.assertEqual(tab.evaluate("[document.documentElement.scrollWidth > innerWidth, document.documentElement.scrollHeight > innerHeight]"), [False, False], "the page scrolls")
            slider, stage = tab.evaluate("[...document.querySelectorAll('.scroll input, .stage')].map((one) => one.getBoundingClientRect()).map((box) => [box.top, box.bottom, box.width])")[::-1]
            self.assertLessEqual(slider[1], height, "the slider is below the window")
            self.assertLessEqual(stage[1], slider[0], "the image covers its slider")
            self.assertGreater(stage[2], height / 2, "the image is small")

    def answer_otherwise(self, tab, path, change):
        """What the page asks of addresses with that in them is changed by the script `change`, of (body, headers), on its way."""
        tab.evaluate("""(() => {
            const real = window.fetch;
            window.fetch = async (path, init) => {
                const answer = await real(path, init);
                if (!String(path).includes(%s)) return answer;
                const body = await answer.json(), headers = new Headers(answer.headers);
                (%s)(body, headers);
                return new Response(JSON.stringify(body), { headers });
            };
        })()""" % (json.dumps(path), change))

    def finding_of(self, study):
        return wait_until(lambda: self.server.get_json(f"/api/studies/{study}/findings"), 60, "a finding")[0]
