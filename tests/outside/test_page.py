#!/usr/bin/python3
"""The page in a real browser, over real heads with SYNTHETIC bleeds and over what else comes. HILUM_SCREENSHOTS names a folder to keep pictures in (docs/screenshots).

What a canvas shows is compared pixel by pixel with what pydicom reads, turned by the test's own few lines.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, Hilum, pydicom_files, wait_until
from test_runner_faults import make_package

sys.path.insert(0, os.path.join(ROOT, "tests", "page"))
from browser import Browser

SEED = 5
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT = "1.2.840.10008.5.1.4.1.1.2"
BRAIN = (40, 80)
MASK_SHARE = 0.4


def make_head(folder, *options):
    """A series with a bleed: its folder, and the truth."""
    made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder, *options], capture_output=True, text=True, check=True).stdout.split()[0]
    with open(made.rstrip("/") + ".truth.json", encoding="utf-8") as f:
        return made, json.load(f)


def windowed(values, window):
    """PS3.3 C.11.2.1.2.1."""
    return np.clip(((values - (window[0] - 0.5)) / (window[1] - 1) + 0.5) * 255, 0, 255)


def as_read(image, cosines):
    """An axial image turned so that columns run to the patient's left and rows to the back."""
    if cosines[0] < 0:
        image = image[:, ::-1]
    return image[::-1] if cosines[4] < 0 else image


def by_uid(folder):
    return {dataset.SOPInstanceUID: dataset for dataset in (pydicom.dcmread(path) for path in glob.glob(folder + "/*.dcm"))}


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
    """A server and a browser for each class."""

    config = ""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hilum-page-")
        cls.pictures = os.environ.get("HILUM_SCREENSHOTS", cls.folder)
        cls.server = Hilum(config=cls.prepare()).start()
        cls.addClassCleanup(lambda: shutil.rmtree(cls.folder, ignore_errors=True))
        cls.addClassCleanup(lambda: cls.server.__exit__(None, None, None))
        cls.browser = cls.enterClassContext(Browser()) if hasattr(cls, "enterClassContext") else Browser().__enter__()
        if not hasattr(cls, "enterClassContext"):
            cls.addClassCleanup(lambda: cls.browser.__exit__())

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

    def finding_of(self, study):
        return wait_until(lambda: self.server.get_json(f"/api/studies/{study}/findings"), 60, "a finding")[0]


class Way(PageTest):
    def test_the_list_comes_live_and_a_study_opens_with_its_mask_and_is_judged(self):
        folder, truth = make_head(self.folder, "--bleed-seed", str(SEED))
        tab = self.tab()
        tab.until_text("main", "Nothing waits to be read")
        tab.until_text(".live", "live")
        # The browser is there before the images: the list must change under its eyes.
        self.send(folder)
        tab.until(f"document.querySelector('tbody tr.stat')?.dataset.study === '{truth['study']}'", 60)
        row = tab.texts("tbody tr:first-child td")
        self.assertEqual(row[0], "stat")
        self.assertIn(truth["side"], row[6])
        tab.until_text("tbody tr td:last-child", "positive")
        tab.screenshot(f"{self.pictures}/list.png")
        other = self.tab(truth["study"])

        # By keyboard alone.
        tab.press("ArrowDown")
        tab.press("Enter")
        tab.until("document.querySelector('.finding') && document.querySelector('canvas')?.dataset.masked === 'true'")
        self.assertIn("not a medical device", tab.text(".banner"))
        self.assertIn("research", tab.text(".finding .label"))
        card = tab.text(".finding")
        finding = self.finding_of(truth["study"])
        for part in (truth["side"], f"{finding['volumeMl']:.1f} mL", "head-ct-hyperdense 1.1.0", "stat"):
            self.assertIn(part, card)
        self.assertNotIn("score", card)  # which is no probability: the model is not calibrated on patients
        self.assertFalse(tab.evaluate("document.documentElement.scrollWidth > innerWidth || document.querySelector('.scroll').getBoundingClientRect().bottom > innerHeight"), "fits 1280 x 720")
        tab.screenshot(f"{self.pictures}/study.png")

        # Scrolled by wheel, keys, drag and slider; the finding's button leads back.
        at = tab.slice_shown()
        tab.wheel("canvas", 100)
        tab.until(f"document.querySelector('.scroll input').value === '{at + 1}'")
        for key, wanted in (("ArrowUp", at), ("PageDown", at + 10), ("Home", 0), ("ArrowUp", 0), ("End", 107), ("ArrowDown", 107)):
            tab.press(key)
            tab.until(f"document.querySelector('.scroll input').value === '{wanted}'", 5, key)
            self.assertEqual(tab.slice_shown(), wanted)
        tab.drag("canvas", [0, -100], "left")
        tab.until("document.querySelector('.scroll input').value === '87'")
        tab.press("f")
        tab.until(f"document.querySelector('.scroll input').value === '{at}'")
        tab.press("Home")
        tab.click(".finding .sentence")
        tab.until(f"document.querySelector('.scroll input').value === '{at}'")
        for key, window in (("4", "C 500 W 2000"), ("1", "C 40 W 80")):
            tab.press(key)
            tab.until_text(".stage .window", window)
        tab.drag("canvas", [50, 10], "right")
        tab.until("document.querySelector('.stage .window').innerText === 'C 50 W 130'")

        # A judgement needs a name; another tab sees it at once; a mind can be changed.
        self.assertTrue(tab.evaluate("[...document.querySelectorAll('.judge button')].every((button) => button.disabled)"))
        tab.fill(".name input", "Dr Test")
        tab.fill(".judge textarea", "as in the report")
        tab.click(".judge button:has-text('Accept')")
        for seen in (tab, other):
            seen.until_text(".judged", "accepted by Dr Test", 5)
            self.assertIn("not verified", seen.text(".judged"))
            self.assertIn("as in the report", seen.text(".comment"))
        tab.screenshot(f"{self.pictures}/judged.png")
        finding = self.finding_of(truth["study"])
        self.assertEqual((finding["state"], finding["judgedBy"], finding["comment"]), ("accepted", "Dr Test", "as in the report"))
        tab.click(".finding button:has-text('Change')")
        tab.fill(".judge textarea", "an old calcification <b>")
        tab.click(".judge button:has-text('Reject')")
        for seen in (tab, other):
            seen.until_text(".judged", "rejected by Dr Test", 5)
            self.assertIn("an old calcification <b>", seen.text(".comment"))
        tab.press("Escape")
        tab.until_text("tbody tr td:first-child", "routine")

        # Read: off the list, for everybody.
        watcher = self.tab()
        watcher.until("document.querySelectorAll('tbody tr').length === 1")
        tab.click("tbody a")
        tab.click("header button")
        for seen in (tab, watcher):
            seen.until_text("main", "Nothing waits to be read", 5)
        for seen in (tab, other, watcher):
            self.assertEqual(seen.errors(), [])


class Geometry(PageTest):
    """Slices, mask and letters against pydicom, however the series lies."""

    def compare(self, tab, folder, study):
        sources = by_uid(folder)
        finding = self.finding_of(study)
        tab.until("document.querySelector('canvas')?.dataset.masked === 'true'")
        tab.slice_shown()
        marked = self.marked_pixels(study, finding, sources)
        source = sources[tab.evaluate("document.querySelector('canvas').dataset.instance")]
        cosines = [float(value) for value in source.ImageOrientationPatient]
        wanted = windowed(as_read(source.pixel_array * float(source.RescaleSlope) + float(source.RescaleIntercept), cosines), BRAIN)
        mask = as_read(marked[source.SOPInstanceUID], cosines)
        self.assertGreater(mask.sum(), 50)
        seen = tab.picture()
        self.assertLessEqual(np.abs(seen[..., 0] - np.where(mask, wanted * (1 - MASK_SHARE) + 255 * MASK_SHARE, wanted)).max(), 1)
        self.assertLessEqual(np.abs(seen[..., 1] - np.where(mask, wanted * (1 - MASK_SHARE), wanted)).max(), 1)
        self.assertEqual(tab.edges(), ["R", "L", "A", "P"])
        # The side that the finding names is the side of the screen that is marked: the patient's right at the left.
        left_half = np.nonzero(mask)[1].mean() < mask.shape[1] / 2
        self.assertEqual(left_half, finding["side"] == "right")
        # Without the mask, the picture alone; the head's top comes first.
        tab.press("m")
        tab.until("document.querySelector('canvas').dataset.masked === 'false'")
        self.assertLessEqual(np.abs(tab.picture() - wanted[..., None]).max(), 1)
        tab.press("Home")
        tab.slice_shown()
        top = sources[tab.evaluate("document.querySelector('canvas').dataset.instance")]
        self.assertEqual(float(top.ImagePositionPatient[2]), max(float(one.ImagePositionPatient[2]) for one in sources.values()))
        self.assertEqual(tab.errors(), [])

    def marked_pixels(self, study, finding, sources):
        """By source image, the pixels of the SEG that the server made, as pydicom reads it."""
        row = self.server.get_json(f"/dicom-web/studies/{study}/instances?SOPInstanceUID={finding['seg']}")[0]
        path = "/dicom-web/studies/{}/series/{}/instances/{}".format(*(row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")))
        _, headers, body = self.server.request(path, headers={"Accept": 'multipart/related; type="application/dicom"'})
        from harness import multipart

        seg = os.path.join(self.folder, "seg.dcm")
        with open(seg, "wb") as f:
            f.write(multipart(headers, body)[0][1])
        seg = pydicom.dcmread(seg)
        frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
        marked = {uid: np.zeros((seg.Rows, seg.Columns), bool) for uid in sources}
        for group, frame in zip(seg.PerFrameFunctionalGroupsSequence, frames):
            uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            marked[uid] |= frame > 0
        return marked

    def check_series(self, folder, study):
        self.send(folder)
        self.finding_of(study)
        self.compare(self.tab(study), folder, study)

    def test_a_head_as_it_comes(self):
        folder, truth = make_head(os.path.join(self.folder, "plain"), "--bleed-seed", "1")
        self.check_series(folder, truth["study"])

    def test_a_head_scanned_feet_first(self):
        folder, truth = make_head(os.path.join(self.folder, "feet"), "--feet-first", "--bleed-seed", "2")
        self.check_series(folder, truth["study"])

    def test_rows_that_rise_from_the_bottom(self):
        folder, _ = make_head(os.path.join(self.folder, "up"), "--bleed-seed", "3")
        study, series = generate_uid(), generate_uid()
        for path in glob.glob(folder + "/*.dcm"):
            dataset = pydicom.dcmread(path)
            position, cosines = dataset.ImagePositionPatient, [float(value) for value in dataset.ImageOrientationPatient]
            height = float(dataset.PixelSpacing[0]) * (dataset.Rows - 1)
            dataset.ImagePositionPatient = [float(position[i]) + height * cosines[3 + i] for i in range(3)]
            dataset.ImageOrientationPatient = cosines[:3] + [-value for value in cosines[3:]]
            dataset.PixelData = dataset.pixel_array[::-1].tobytes()
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            dataset.save_as(path)
        self.check_series(folder, study)

    def test_letters_of_every_plane_and_pixels_that_are_not_square(self):
        # A corner is bright: the one towards the patient's (first letter) and (second letter).
        planes = {
            "sagittal": ([0, 1, 0, 0, 0, -1], ["A", "P", "H", "F"], "lies as it is read"),
            "sagittal, rows from back to front, from the feet": ([0, -1, 0, 0, 0, 1], ["A", "P", "H", "F"], "turned by half"),
            "coronal": ([1, 0, 0, 0, 0, -1], ["R", "L", "H", "F"], ""),
            "coronal, on its side": ([0, 0, -1, 1, 0, 0], ["R", "L", "H", "F"], "transposed"),
            "axial, prone and on its side": ([0, 1, 0, -1, 0, 0], ["R", "L", "A", "P"], "transposed and mirrored"),
            "axial, tilted by 25 degrees": ([1, 0, 0, 0, 0.9063, -0.4226], ["R", "L", "AH", "PF"], ""),
        }
        for name, (cosines, letters, _) in planes.items():
            with self.subTest(name):
                study = generate_uid()
                pixels = np.zeros((20, 40), np.uint16)
                pixels[:5, :10] = 100  # the first row's beginning
                dataset = new_object(study, CT, Modality="MR", ImageOrientationPatient=cosines, ImagePositionPatient=[0, 0, 0], PixelSpacing=[2, 1])
                self.store(set_pixels(dataset, pixels, "MONOCHROME2"))
                tab = self.tab(study)
                tab.slice_shown()
                self.assertEqual(tab.edges(), letters)
                seen = tab.picture()[..., 0] > 127
                # The bright corner lies against both directions of the image: rows and columns.
                axes = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}

                def away(letter):
                    axis, sign = axes[letter[0]]
                    return sign * (cosines[axis] + cosines[3 + axis]) < 0

                self.assertEqual(bool(seen[seen.shape[0] // 2, :].any() or seen[:, 0].any()), away(letters[0]), "left")
                self.assertEqual(bool(seen[0, :].any()), away(letters[2]), "top")
                self.assertEqual(seen.sum(), 50)
                box = tab.evaluate("(() => { const box = document.querySelector('canvas').getBoundingClientRect(); return [box.width, box.height]; })()")
                self.assertAlmostEqual(box[0] / box[1], 1, 1, "40 x 1 mm is as long as 20 x 2 mm")
                self.assertEqual(tab.errors(), [])

    def test_a_mask_that_does_not_lie_on_the_slices_is_not_drawn(self):
        folder, truth = make_head(os.path.join(self.folder, "moved"), "--bleed-seed", "4")
        self.send(folder)
        finding = self.finding_of(truth["study"])
        tab = self.tab()
        # The page's own code, given a segmentation with another geometry in the way of the network.
        tab.evaluate("""(() => {
            const real = window.fetch;
            window.fetch = async (path, init) => {
                const answer = await real(path, init);
                if (!String(path).endsWith("/metadata")) return answer;
                const text = await answer.text();
                const moved = JSON.parse(text);
                for (const group of moved[0]["52009230"]?.Value ?? []) group["00209113"].Value[0]["00200032"].Value[0] += 3;
                return new Response(JSON.stringify(moved), { headers: answer.headers });
            };
            location.hash = "%s";
        })()""" % truth["study"])
        tab.until_text("section .error", "does not lie on these slices")
        tab.slice_shown()
        self.assertEqual(tab.evaluate("document.querySelector('canvas').dataset.masked"), "false")
        self.assertEqual(finding["state"], "unverified")


class Kinds(PageTest):
    """What is no head CT: shown, or said why not."""

    def shown(self, dataset):
        self.store(dataset)
        tab = self.tab(dataset.StudyInstanceUID)
        tab.slice_shown()
        self.assertEqual(tab.errors(), [])
        return tab

    def said(self, dataset, selector=".panes"):
        self.store(dataset)
        tab = self.tab(dataset.StudyInstanceUID)
        tab.until("document.querySelector('.stage .error, section > p') && !document.body.innerText.includes('Loading images')")
        return tab.text(selector)

    def test_eight_bits_and_monochrome1(self):
        ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
        for photometric, wanted in (("MONOCHROME2", ramp), ("MONOCHROME1", 255 - ramp)):
            tab = self.shown(set_pixels(new_object(generate_uid()), ramp, photometric))
            self.assertLessEqual(np.abs(tab.picture()[..., 0] - wanted).max(), 1, photometric)

    def test_signed_values_of_twelve_bits_with_notes_above_them(self):
        values = np.array([[-2048, -1, 0, 1, 2047]], np.int16)
        stored = (values & 0x0FFF | 0x3000).astype(np.int16)
        dataset = set_pixels(new_object(generate_uid(), WindowCenter=0, WindowWidth=1001), stored, "MONOCHROME2", 12)
        dataset.PixelRepresentation = 1
        seen = self.shown(dataset).picture()[0, :, 0]
        self.assertLessEqual(np.abs(seen - windowed(values[0], (0, 1001))).max(), 1)

    def test_the_windows_of_the_image_itself(self):
        dataset = set_pixels(new_object(generate_uid(), WindowCenter=[300, 10], WindowWidth=[200, 20], RescaleSlope=2, RescaleIntercept=-100), np.array([[100, 200, 300]], np.uint16), "MONOCHROME2")
        tab = self.shown(dataset)
        self.assertEqual(tab.text(".stage .window"), "C 300 W 200")
        self.assertLessEqual(np.abs(tab.picture()[0, :, 0] - windowed(np.array([100, 300, 500]), (300, 200))).max(), 1)

    def test_colour_and_several_frames(self):
        frames = np.random.default_rng(1).integers(0, 256, (3, 8, 10, 3), np.uint8)
        tab = self.shown(set_pixels(new_object(generate_uid()), frames, "RGB"))
        self.assertIn("/ 3", tab.text(".scroll"))
        for key, number in (("Home", 0), ("ArrowDown", 1), ("ArrowDown", 2)):
            tab.press(key)
            tab.until(f"document.querySelector('canvas').dataset.slice === '{number}'")
            self.assertTrue((tab.picture() == frames[number]).all(), number)

    def test_colours_of_every_coding(self):
        """pydicom's own files, beside DCMTK's or pydicom's reading of them."""
        for name in ("SC_rgb_small_odd.dcm", "SC_rgb_rle.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm", "SC_rgb_dcmtk_+eb+cy+s2.dcm",
                     "SC_ybr_full_422_uncompressed.dcm"):
            path = next(path for path in pydicom_files() if os.path.basename(path) == name)
            with self.subTest(name):
                wanted = self.oracle_rgb(path)
                dataset = pydicom.dcmread(path)
                dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
                dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
                tab = self.shown(dataset)
                tab.press("Home")
                tab.slice_shown()
                self.assertEqual(tab.picture().shape, wanted.shape)
                self.assertLess(np.abs(tab.picture() - wanted).mean(), 2)

    def oracle_rgb(self, path):
        """The first frame as dcmtk's dcm2pnm draws it."""
        out = os.path.join(self.folder, "oracle.ppm")
        subprocess.run(["dcmj2pnm", "+op", "+F", "1", path, out], check=True, capture_output=True)
        made = next(one for one in (out, out + ".0.ppm", os.path.join(self.folder, "oracle.0.ppm")) if os.path.exists(one))
        with open(made, "rb") as f:
            data = f.read()
        os.unlink(made)
        words, at = [], 0
        while len(words) < 4:
            end = next(i for i in range(at, len(data)) if data[i:i + 1].isspace())
            word = data[at:end]
            at = end + 1
            if word.startswith(b"#"):
                at = data.index(b"\n", at - 1) + 1
            elif word:
                words.append(word)
        width, height = int(words[1]), int(words[2])
        return np.frombuffer(data[at:], np.uint8).reshape(height, width, 3).astype(int)

    def test_a_compressed_slice_is_the_slice(self):
        folder, _ = make_head(os.path.join(self.folder, "packed"), "--bleed-seed", "6")
        path = sorted(glob.glob(folder + "/*.dcm"))[50]
        source = pydicom.dcmread(path)
        packed = os.path.join(self.folder, "packed.dcm")
        subprocess.run(["dcmcjpls", "+un", path, packed], check=True, capture_output=True)
        tab = self.shown(pydicom.dcmread(packed))
        tab.press("1")
        tab.until_text(".stage .window", "C 40 W 80")
        self.assertLessEqual(np.abs(tab.picture()[..., 0] - windowed(source.pixel_array + float(source.RescaleIntercept), BRAIN)).max(), 1)

    def test_a_study_without_images_says_what_it_has(self):
        self.assertIn("has no images, only SR", self.said(new_object(generate_uid(), "1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")))
        self.assertIn("has no images", self.said(new_object(generate_uid(), Modality="OT")))

    def test_what_cannot_be_shown_says_why_and_shows_nothing_else(self):
        palette = set_pixels(new_object(generate_uid()), np.zeros((4, 4), np.uint8), "PALETTE COLOR")
        self.assertIn("palette", self.said(palette))
        study, series = generate_uid(), generate_uid()
        good = set_pixels(new_object(study, SeriesInstanceUID=series, InstanceNumber=1), np.full((4, 4), 9, np.uint8), "MONOCHROME2")
        cut = set_pixels(new_object(study, SeriesInstanceUID=series, InstanceNumber=2), np.zeros((4, 4), np.uint8), "MONOCHROME2")
        cut.Rows = 4000
        self.store(good, cut)
        tab = self.tab(study)
        tab.until_text(".stage .error", "Image 2 cannot be shown")  # the middle one, first
        tab.press("Home")
        tab.until("document.querySelector('canvas')?.dataset.slice === '0'")
        tab.press("End")
        tab.until_text(".stage .error", "Image 2 cannot be shown")
        self.assertEqual(tab.picture().shape, (1, 1, 3), "not the slice before it")
        tab.press("Home")
        tab.until("document.querySelector('canvas').dataset.slice === '0' && !document.querySelector('.stage .error')")

    def test_two_series_are_chosen_between(self):
        study = generate_uid()
        for number, level in ((1, 10), (2, 200)):
            pixels = np.array([[0, level, 255]], np.uint8)
            self.store(*(set_pixels(new_object(study, SeriesNumber=number, SeriesDescription=f"level {level}"), pixels, "MONOCHROME2") for _ in range(1)))
        tab = self.tab(study)
        tab.slice_shown()
        options = tab.evaluate("[...document.querySelectorAll('.series option')].map((one) => [one.value, one.innerText])")
        self.assertEqual(len(options), 2)
        for value, name in options:
            tab.select(".series select", value)
            tab.until(f"document.querySelector('canvas')?.dataset.slice === '0' && document.querySelector('.series select').value === '{value}'")
            tab.slice_shown()
            level = 10 if "level 10" in name else 200
            tab.until(f"Math.abs(document.querySelector('canvas').getContext('2d').getImageData(1, 0, 1, 1).data[0] - {level}) <= 1", 5)

    def test_images_that_come_late_join_the_stack(self):
        study, series = generate_uid(), generate_uid()

        def slice_at(z):
            return set_pixels(new_object(study, CT, SeriesInstanceUID=series, Modality="CT", ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[0, 0, z], PixelSpacing=[1, 1]), np.full((4, 4), z, np.uint8), "MONOCHROME2")

        self.store(*(slice_at(z) for z in range(3)))
        tab = self.tab(study)
        tab.until_text(".scroll", "/ 3")
        self.store(slice_at(10))
        tab.until_text(".scroll", "/ 4", 40)

    def test_no_such_study(self):
        for name in ("1.2.3.4", "%E0%A4%A", "..%2F..%2Fapi", "<script>alert(1)</script>"):
            tab = self.tab(name)
            tab.until("/No such study|there is no|nothing is at|not acceptable|Nothing waits|Why here/.test(document.querySelector('main').innerText)", 10)
            tab.until("!document.querySelector('main').innerText.includes('Loading')", 10)


class HostileAndMany(PageTest):
    def test_five_hundred_studies_and_hostile_texts(self):
        names = {
            "script": "<script>window.broken=1</script>^<img src=x onerror=window.broken=1>",
            "rtl": "\u202eevil^txt\u202e",
            "arabic": "\u0645\u062d\u0645\u062f^\u0639\u0644\u064a",
            "long": "W" * 65000,
            "empty": "",
            "japanese": "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce",
        }
        studies = {kind: generate_uid() for kind in names}
        self.store(*(new_image(studies[kind], PatientName=name, StudyDescription="<b>x</b>", PatientID=f"<i>{kind}", AccessionNumber="A<u>1") for kind, name in names.items()))
        self.store(*(new_image(generate_uid(), PatientID=f"M{number}", PatientName=f"Many^{number:03}", Modality="CT") for number in range(494)))
        tab = self.tab()
        tab.until("document.querySelectorAll('tbody tr').length === 500", 60)
        self.assertFalse(tab.evaluate("'broken' in window || document.querySelectorAll('main script, main img, main i, main b, main u').length"))
        cell = lambda kind: tab.text(f"tr[data-study='{studies[kind]}'] td:nth-child(2)")
        self.assertIn("<script>", cell("script"))
        self.assertIn("(no name)", cell("empty"))
        self.assertEqual(cell("japanese"), "Yamada, Tarou (\u5c71\u7530, \u592a\u90ce)")
        self.assertLess(tab.evaluate(f"document.querySelector(\"tr[data-study='{studies['long']}']\").getBoundingClientRect().height"), 120)
        self.assertFalse(tab.evaluate("document.documentElement.scrollWidth > innerWidth"))
        # A text that turns the direction of what follows stays in its own box.
        self.assertEqual(tab.evaluate(f"getComputedStyle(document.querySelector(\"tr[data-study='{studies['rtl']}'] a\")).unicodeBidi"), "isolate")
        for kind in studies:
            page = self.tab(studies[kind])
            page.until_text(".scroll", "/ 1")
            self.assertFalse(page.evaluate("'broken' in window || document.documentElement.scrollWidth > innerWidth"), kind)
            self.assertEqual(page.errors(), [])
        # Arrows walk down the list; coming back, the study just looked at has the focus.
        for _ in range(5):
            tab.press("ArrowDown")
        study = tab.evaluate("document.activeElement.closest('tr').dataset.study")
        self.assertEqual(study, tab.evaluate("document.querySelectorAll('tbody tr')[4].dataset.study"))
        tab.press("Enter")
        tab.until("document.querySelector('main.study')")
        tab.press("Escape")
        tab.until(f"document.activeElement?.closest('tr')?.dataset.study === '{study}'")
        self.assertEqual(tab.errors(), [])

    def test_nothing_of_the_page_runs_inline(self):
        _, headers, body = self.server.request("/")
        self.assertIn("default-src 'self'", headers["Content-Security-Policy"])
        self.assertNotIn("unsafe", headers["Content-Security-Policy"])
        self.assertNotRegex(body.decode(), r"<style|<script(?![^>]*\bsrc=)|\bon\w+=|style=")


class Failures(PageTest):
    """What goes wrong is told in words."""

    @classmethod
    def prepare(cls):
        models = os.path.join(cls.folder, "models")
        for name, graph in (("sound", None), ("endless", "endless"), ("hungry", "hungry")):
            make_package(models, name, graph)
        return f"models:\n  folder: {models}\n  timeout_seconds: 8\n  memory_mb: 1024\n  workers: 2\n"

    def test_a_failed_jobs_reason_is_on_the_page_and_the_rest_goes_on(self):
        for model in ("endless", "hungry", "sound"):
            self.server.put_json(f"/api/rules/{model}", {"model": model, "modality": "CT"})
        folder, truth = make_head(os.path.join(self.folder, "failing"), "--bleed-seed", str(SEED))
        listing, tab = self.tab(), self.tab(truth["study"])
        self.send(folder)
        tab.until("['failed', 'failed', 'done'].every((state) => document.querySelector(`.jobs li.${state}`)) && document.querySelectorAll('.jobs li.failed').length === 2", 90)
        lines = {line.split()[0]: line for line in tab.texts(".jobs li")}
        self.assertIn("failed", lines["hungry"])
        self.assertIn("memory", lines["hungry"])
        self.assertIn("failed", lines["endless"])
        self.assertIn("longer than it may", lines["endless"])
        self.assertIn("done (positive)", lines["sound"])
        for job in self.server.get_json(f"/api/jobs?study={truth['study']}"):
            self.assertIn(job["reason"], lines[job["model"].split()[0]])
        tab.until("document.querySelector('.finding') && document.querySelector('canvas')")
        # On the list too: a study that a model could not look at is no study without a finding.
        listing.until_text("tbody tr td:last-child", "failed")
        self.assertIn("memory", listing.evaluate("document.querySelector('tbody .failed').title"))
        tab.screenshot(f"{self.pictures}/failed.png")
        self.assertEqual(tab.errors() + listing.errors(), [])

    def test_a_server_that_ends_and_comes_back(self):
        tab = self.tab()
        tab.until_text(".live", "live")
        for end in (self.server.kill, self.server.stop):
            end()
            tab.until_text(".lost", "connection lost, trying again; as of", 40)
            self.server.start()
            study = generate_uid()
            self.store(new_image(study))
            tab.until_text(".live", "live", 40)
            tab.until(f"document.querySelector(\"tr[data-study='{study}']\")", 10)

    def test_nine_tabs_are_not_too_many(self):
        """A browser opens six connections to a server: the tabs share one stream, and the next takes it over when its tab is closed."""
        tabs = [self.browser.tab() for _ in range(9)]
        for tab in tabs:
            tab.goto(self.server.url("/"))
            tab.until_text(".live", "live")
        tabs[0].close()
        study = generate_uid()
        self.store(new_image(study))
        for tab in tabs[1:]:
            tab.until(f"document.querySelector(\"tr[data-study='{study}']\")", 10)
            tab.close()

    def test_a_refused_judgement_says_why(self):
        folder, truth = make_head(os.path.join(self.folder, "refused"), "--bleed-seed", "8")
        self.server.put_json("/api/rules/sound", {"model": "sound", "modality": "CT"})
        for rule in ("endless", "hungry"):
            self.server.request(f"/api/rules/{rule}", "DELETE")
        self.send(folder)
        self.finding_of(truth["study"])
        tab = self.tab(truth["study"])
        tab.until("document.querySelector('.finding')")
        tab.fill(".name input", "Dr Test")
        self.server.stop()
        tab.click(".judge button:has-text('Accept')")
        tab.until_text(".judge .error", "The server cannot be reached")
        self.server.start()
        tab.click(".judge button:has-text('Accept')")
        tab.until_text(".judged", "accepted by Dr Test", 40)


if __name__ == "__main__":
    unittest.main()
