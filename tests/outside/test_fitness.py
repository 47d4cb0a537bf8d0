#!/usr/bin/python3
"""Whether images are fit, asked of `hilum model run`: a head CT with a bleed among what scanners, archives and people do to a series, and series that the head model must not answer for. pydicom writes them all.

Each case says what a person should see: the bleed with what was left out, several volumes, or why nothing was analysed (exit status 1).
"""

import copy
import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
import pydicom
from harness import HILUM, ROOT
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

PACKAGE = os.path.join(ROOT, "models", "head-ct-hyperdense")
TOOL = os.path.join(ROOT, "tools", "head-ct")
STEP = 2  # every second slice of the tool's: 54 of 3 mm


def with_contrast(**attributes):
    def change(ds, _):
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    return change


def renumber(number):
    def change(ds, k):
        ds.InstanceNumber = number(k)

    return change


def rounded(ds, _):
    ds.ImagePositionPatient = ["%.1f" % value for value in ds.ImagePositionPatient]


def jitter(ds, k):
    random = np.random.default_rng(k)
    ds.ImageOrientationPatient = ["%.6f" % value for value in np.array([1, 0, 0, 0, 1, 0]) + random.uniform(-0.001, 0.001, 6)]


def circle(radius_mm, left_mm, padding, told=False):
    """As a scanner reconstructs a small field: a circle so far left of the picture's middle, with padding of a stored value around it, told or not; None: the square in the circle, without any."""

    def change(ds, _):
        pixels, (high, wide) = ds.pixel_array.copy(), ds.PixelSpacing
        y, x = np.mgrid[0 : ds.Rows, 0 : ds.Columns].astype(float)
        y, x = (y - (ds.Rows - 1) / 2) * high, (x - (ds.Columns - 1) / 2) * wide - left_mm
        reach = radius_mm * (1 if padding is not None else 0.7)
        if padding is not None:
            pixels[x**2 + y**2 > radius_mm**2] = padding
        rows, columns = np.nonzero(np.abs(y[:, 0]) <= reach)[0], np.nonzero(np.abs(x[0]) <= reach)[0]
        pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        ds.ImagePositionPatient = [ds.ImagePositionPatient[0] + columns[0] * wide, ds.ImagePositionPatient[1] + rows[0] * high, ds.ImagePositionPatient[2]]
        ds.Rows, ds.Columns, ds.PixelData = *pixels.shape, pixels.tobytes()
        if told:
            ds.add_new(0x00280120, "US", padding)

    return change


def filled(stored, is_out):
    """A stored value, not told, wherever `is_out` of the millimetres from the picture's middle, to the patient's left and back, says: as reformations, cone beams and defacing leave it."""

    def change(ds, _):
        pixels, (high, wide) = ds.pixel_array.copy(), ds.PixelSpacing
        y, x = np.mgrid[0 : ds.Rows, 0 : ds.Columns].astype(float)
        pixels[is_out((x - (ds.Columns - 1) / 2) * wide, (y - (ds.Rows - 1) / 2) * high)] = stored
        ds.PixelData = pixels.tobytes()

    return change


def clipped(ds, _):
    """Air that lies below what 12 bits and an intercept of -1024 hold: all of it is 0."""
    pixels = ds.pixel_array.copy()
    pixels[pixels < 124] = 0
    ds.PixelData = pixels.tobytes()


JPEG, JPEG_2000 = ["dcmcjpeg", "+ee", "+q", "70"], ["gdcmconv", "--j2k", "--lossy", "-r", "10"]


class Fitness(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        made = subprocess.run([TOOL, "make", cls.temporary.name, "--bleed-seed", "4"], capture_output=True, text=True, check=True).stdout.split()
        paths = sorted(glob.glob(os.path.join(made[0], "*.dcm")))
        cls.all = [pydicom.dcmread(path) for path in paths]
        cls.slices = cls.all[::STEP]
        cls.folders = 0

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    # ---- series

    def copies(self, change=None, slices=None):
        made = [copy.deepcopy(ds) for ds in (self.slices if slices is None else slices)]
        for k, ds in enumerate(made):
            if change:
                change(ds, k)
        return made

    def again(self, ds):
        """The same under another UID."""
        ds = copy.deepcopy(ds)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        return ds

    def ask(self, series, *options, change_bytes=None):
        """Exit status and answer; the files in an order that says nothing."""
        Fitness.folders += 1
        folder = os.path.join(self.temporary.name, "case-%d" % self.folders)
        os.makedirs(folder)
        order = np.random.default_rng(self.folders).permutation(len(series))
        for name, k in enumerate(order):
            path = os.path.join(folder, "%04d.dcm" % name)
            series[k].save_as(path, write_like_original=False)
            if change_bytes:
                with open(path, "rb") as file:
                    data = change_bytes(file.read())
                with open(path, "wb") as file:
                    file.write(data)
        done = subprocess.run([HILUM, "model", "run", "--json", *options, PACKAGE, folder], capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertTrue(done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout)

    def assert_found(self, series, slices=None, left_out=0, notes=None, options=()):
        status, answer = self.ask(series, *options)
        self.assertEqual((status, answer["notAnalysed"]), (0, ""), answer)
        (volume,) = answer["volumes"]
        self.assertEqual((volume["notAnalysed"], volume["label"], volume["slices"]), ("", "", slices or len(self.slices)))
        self.assertEqual([finding["side"] for finding in volume["findings"]], ["left"], volume)
        self.assertEqual(len(answer["leftOut"]), left_out, answer["leftOut"])
        if notes is not None:
            self.assertIn(notes, volume["notes"])
        return volume

    def assert_not_analysed(self, series, words):
        status, answer = self.ask(series)
        self.assertEqual(status, 1, answer)
        reasons = [answer["notAnalysed"]] + [volume["notAnalysed"] for volume in answer["volumes"]]
        self.assertTrue(any(words in reason for reason in reasons), reasons)
        self.assertEqual([volume["findings"] for volume in answer["volumes"] if volume["findings"]], [])
        return answer

    # ---- what must not keep the model from looking

    def test_the_order_is_that_of_the_places(self):
        for change in (renumber(lambda k: 1), renumber(lambda k: None), renumber(lambda k: (k * 7) % 54), renumber(lambda k: -k)):
            self.assert_found(self.copies(change))

    def test_rounding_and_jitter_are_no_gaps(self):
        self.assert_found(self.copies(rounded))
        self.assert_found(self.copies(jitter))

    def test_slices_of_5_mm_that_round_past_5(self):
        def place(ds, k):
            ds.ImagePositionPatient[2] = "%.2f" % (-80 + 5.003 * k)

        series = self.copies(place, [self.all[round(k * 5 / 1.5)] for k in range(32)])
        status, answer = self.ask(series)
        self.assertEqual((status, answer["volumes"][0]["notAnalysed"], answer["volumes"][0]["slices"]), (0, "", 32))
        self.assertIn("left", [finding["side"] for finding in answer["volumes"][0]["findings"]])

    def test_localizers_doubles_and_pages_are_left_out_and_named(self):
        scout = self.again(self.slices[20])
        scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        unnamed = self.again(self.slices[21])
        unnamed.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        doubles = [self.again(self.slices[k]) for k in (5, 6, 40)]
        screen = self.again(self.slices[0])
        screen.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
        del screen.ImagePositionPatient
        page = pydicom.dcmread(get_testdata_file("SC_rgb_rle.dcm"))
        report = pydicom.dcmread(get_testdata_file("reportsi.dcm"))
        for ds in (page, report):
            ds.PatientID, ds.SeriesInstanceUID = self.slices[0].PatientID, self.slices[0].SeriesInstanceUID
            if "IssuerOfPatientID" in ds:
                del ds.IssuerOfPatientID
        volume = self.assert_found([*self.copies(), scout, unnamed, *doubles, screen, page, report], left_out=8)
        for words in ("1 localizer (", "2 secondary pages (", "1 object without an image (", "1 image of another orientation (", "3 doubles ("):
            self.assertIn(words, volume["notes"])

    def test_a_series_sent_twice_under_other_uids_is_one(self):
        self.assert_found([*self.copies(), *[self.again(ds) for ds in self.slices]], left_out=len(self.slices), notes="54 doubles")

    def test_what_the_package_takes_and_how_people_call_it(self):
        def says(part, series, study=""):
            def change(ds, _):
                ds.BodyPartExamined, ds.SeriesDescription, ds.StudyDescription = part, series, study

            return change

        for part, series in (("BRAIN", ""), ("SKULL", ""), ("", "CCT nativ"), ("UNKNOWN", "Schaedel"), ("", "Schädel nativ"), ("OTHER", "TK głowy"), ("", "頭部単純")):
            self.assert_found(self.copies(says(part, series)))
        self.assert_found(self.copies(says("NEURO1", "Schockraum")), options=("--synonyms", "HEAD = Schockraum"))
        self.assert_not_analysed(self.copies(says("NEURO1", "Schockraum")), "another part of the body")
        for part, series in (("HIP", "femoral head"), ("ABDOMEN", "pancreas head"), ("CHEST", "ahead of schedule"), ("", "ahead of schedule"), ("", "femoral head left")):
            self.assert_not_analysed(self.copies(says(part, series)), "another part of the body")

    # ---- several volumes

    def test_phases_of_a_series_are_each_analysed(self):
        def first(ds, _):
            ds.AcquisitionNumber, ds.ContrastBolusAgent = "1", "NONE"

        def second(ds, _):
            ds.AcquisitionNumber = "2"
            ds.ContrastBolusAgent = ""
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ds.PixelData = (ds.pixel_array + 1).astype("<u2").tobytes()

        status, answer = self.ask(self.copies(first) + self.copies(second))
        self.assertEqual(status, 0)
        self.assertEqual([(volume["label"], volume["notAnalysed"], [f["side"] for f in volume["findings"]]) for volume in answer["volumes"]], [("Acquisition 1", "", ["left"]), ("Acquisition 2", "", ["left"])])

    def test_two_images_at_one_place_that_nothing_tells_apart(self):
        other = self.again(self.slices[30])
        other.PixelData = (other.pixel_array + 1).astype("<u2").tobytes()
        other.InstanceNumber = "999"
        self.assert_not_analysed([*self.copies(), other], "two different images at one place")

    # ---- contrast

    def test_no_agent_in_all_spellings_and_languages(self):
        for agent in ("NONE", "NO", "N/A", "W/O", "OHNE", "nativ", "sans", "sin contraste"):
            self.assertEqual(self.assert_found(self.copies(with_contrast(ContrastBolusAgent=agent)))["contrast"], "none", agent)
        for agent in ("UNKNOWN", ""):
            volume = self.assert_found(self.copies(with_contrast(ContrastBolusAgent=agent, StudyDescription="CT head")))
            self.assertEqual((volume["contrast"], volume["notes"]), ("not stated", "contrast is not stated"))

    def test_an_agent_is_seen_wherever_it_is_told(self):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "109219005", "SCT", "Iohexol"
        for attributes in (
            {"ContrastBolusAgent": "Iomeron"},
            {"ContrastBolusAgentSequence": Sequence([item])},
            {"ContrastBolusRoute": "IV"},
            {"ContrastBolusVolume": "80"},
            {"ContrastBolusStartTime": "101500"},
            {"SeriesDescription": "Head +C"},
            {"SeriesDescription": "Kopf mit KM"},
            {"StudyDescription": "CT head with contrast"},
        ):
            self.assert_not_analysed(self.copies(with_contrast(**attributes)), "a contrast agent was given")

    # ---- what must not be answered for

    def test_mr_slices_get_no_answer_from_the_head_ct_model(self):
        slices = []
        for k in range(24):
            ds = self.again(pydicom.dcmread(get_testdata_file("MR_small.dcm")))
            ds.ImagePositionPatient[2] = str(-100 + 4 * k)
            ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            ds.BodyPartExamined = "BRAIN"
            slices.append(ds)
        self.assert_not_analysed(slices, "is MR, the model needs CT")

    def test_slices_that_make_no_volume_say_why(self):
        self.assert_not_analysed(self.copies(slices=self.slices[:25] + self.slices[26:]), "gap of 6.00 mm between slices 25 and 26")
        self.assert_not_analysed(self.copies(slices=self.slices[:10]), "10 slices; 16 to 1024 are needed")
        self.assert_not_analysed(self.copies(slices=self.slices[::3]), "slices every 9.00 mm; at most 5.00 mm are needed")
        tilted = self.copies()
        for k, ds in enumerate(tilted):
            ds.ImagePositionPatient[1] = str(float(ds.ImagePositionPatient[1]) + 0.5 * k)
        self.assert_not_analysed(tilted, "tilted gantry")
        enhanced = self.again(self.slices[0])
        enhanced.NumberOfFrames = "2"
        enhanced.PixelData = enhanced.PixelData * 2
        self.assert_not_analysed([*self.copies(), enhanced], "multi-frame")

    def test_objects_of_two_patients(self):
        slices = self.copies()
        slices[7].PatientID = "SOMEBODY-ELSE"
        self.assert_not_analysed(slices, "objects of two patients")

    def test_values_past_16_bits(self):
        slices = self.copies()
        for ds in slices:
            ds.RescaleSlope = "40"
        self.assert_not_analysed(slices, "are past what 16 bits hold")

    def test_ct_pixels_without_a_rescale_are_no_hounsfield_units(self):
        """Both attributes are Type 1 of a CT image; without them a bleed would be told negative."""
        for which, missing, words in (
            (range(54), ("RescaleSlope", "RescaleIntercept", "RescaleType"), "no Rescale Slope and Intercept (0028,1053/1052)"),
            (range(18, 28), ("RescaleSlope", "RescaleIntercept"), "no Rescale Slope and Intercept (0028,1053/1052)"),
            ([30], ("RescaleSlope",), "no Rescale Slope (0028,1053)"),
            ([30], ("RescaleIntercept",), "no Rescale Intercept (0028,1052)"),
        ):
            slices = self.copies()
            for k in which:
                for keyword in missing:
                    delattr(slices[k], keyword)
            self.assert_not_analysed(slices, f"{words}: its pixels are no Hounsfield units")

    def plain_head(self):
        made = subprocess.run([TOOL, "make", self.temporary.name], capture_output=True, text=True, check=True).stdout.split()
        return [pydicom.dcmread(path) for path in sorted(glob.glob(os.path.join(made[0], "*.dcm")))[::STEP]]

    def test_a_head_that_the_field_of_view_cuts_has_no_side_and_no_negative(self):
        plain = self.plain_head()
        for case in ((80, 30, 0, True), (70, 25, 0, True), (60, 25, 0, True), (70, 25, 0), (70, 25, 4000), (70, 25, None)):
            self.assert_not_analysed(self.copies(circle(*case), plain), "the head is cut by the field of view")
            status, answer = self.ask(self.copies(circle(*case)))
            (volume,) = answer["volumes"]
            self.assertEqual((status, [finding["side"] for finding in volume["findings"]]), (0, [""]), (case, volume))
            self.assertIn("the head is cut by the field of view: no side is told", volume["notes"])
        self.assert_found(self.copies(circle(118, 0, 0, True)))  # around the whole head

    def compressed(self, series, command):
        """By someone else's encoder, lossy."""
        with tempfile.TemporaryDirectory() as folder:
            made = []
            for k, ds in enumerate(series):
                path = os.path.join(folder, "%d.dcm" % k)
                ds.save_as(path, write_like_original=False)
                subprocess.run([*command, path, path + ".lossy"], capture_output=True, check=True)
                made.append(pydicom.dcmread(path + ".lossy"))
            return made

    def assert_cut(self, plain, bled, case):
        """No negative of the head without a bleed; no side of the bleed, where it is not away."""
        self.assert_not_analysed(plain, "the head is cut by the field of view")
        status, answer = self.ask(bled)
        (volume,) = answer["volumes"]
        self.assertEqual((status, [finding["side"] for finding in volume["findings"]]), (0, [""]), (case, volume))
        self.assertIn("the head is cut by the field of view: no side is told", volume["notes"])

    def test_a_field_of_view_is_seen_though_what_lies_beyond_is_filled_with_air_s_value(self):
        plain = self.plain_head()
        shapes = {
            "circle": lambda x, y: (x - 25) ** 2 + y**2 > 70**2,
            "half": lambda x, y: x < -5,
            "wedge": lambda x, y: x * np.cos(2.6) + y * np.sin(2.6) > 20,
            "front": lambda x, y: y < -30,
        }
        for case, is_out in shapes.items():
            for stored in (0, 24):
                change = filled(stored, is_out)
                self.assert_cut(self.copies(change, plain), self.copies(change), (case, stored))
        away = self.copies(filled(0, lambda x, y: x > -5))
        self.assert_not_analysed(away, "the head is cut by the field of view")
        for command in (JPEG, JPEG_2000):
            change = circle(70, 25, 0)
            self.assert_cut(self.compressed(self.copies(change, plain), command), self.compressed(self.copies(change), command), command)

    def test_a_whole_head_in_even_air_has_a_side_and_a_negative(self):
        plain = self.plain_head()
        whole = filled(0, lambda x, y: x**2 + y**2 > 118**2)
        for change in (clipped, whole):
            status, answer = self.ask(self.copies(change, plain))
            self.assertEqual((status, answer["volumes"][0]["notAnalysed"], answer["volumes"][0]["findings"]), (0, "", []))
            self.assert_found(self.copies(change))
        for command in (JPEG, JPEG_2000):
            status, answer = self.ask(self.compressed(self.copies(clipped), command))
            self.assertEqual((status, {finding["side"] for finding in answer["volumes"][0]["findings"]}), (0, {"left"}), answer)

    def sagittal(self, series, stored, is_out):
        """The same head in sagittal slices; those at which `is_out` of the millimetres from the middle hold one value."""
        pixels = np.stack([ds.pixel_array for ds in series])[::-1]
        first, (high, wide) = series[0].ImagePositionPatient, series[0].PixelSpacing
        made = []
        for k in range(0, pixels.shape[2], 3):
            ds = self.again(series[0])
            plane = pixels[:, :, k].copy()
            if is_out((k - (pixels.shape[2] - 1) / 2) * wide):
                plane[:] = stored
            ds.Rows, ds.Columns, ds.PixelData = *plane.shape, plane.tobytes()
            ds.PixelSpacing, ds.InstanceNumber = [series[1].ImagePositionPatient[2] - first[2], high], k
            ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
            ds.ImagePositionPatient = [first[0] + k * wide, first[1], series[-1].ImagePositionPatient[2]]
            made.append(ds)
        return made

    def test_sagittal_slices_of_one_value_cut_the_head(self):
        for stored in (0, 24):
            self.assert_not_analysed(self.sagittal(self.plain_head(), stored, lambda x: x > 20), "the head is cut by the field of view")
            status, answer = self.ask(self.sagittal(self.slices, stored, lambda x: x < -5))
            self.assertEqual((status, {finding["side"] for finding in answer["volumes"][0]["findings"]}), (0, {""}), answer)
        status, answer = self.ask(self.sagittal(self.slices, 0, lambda x: False))
        self.assertEqual((status, {finding["side"] for finding in answer["volumes"][0]["findings"]}), (0, {"left"}), answer)

    def test_slices_without_image_data_are_a_gap_and_slices_again_are_noted(self):
        def fill(value, told):
            def change(ds, k):
                if 20 <= k < 26:
                    ds.PixelData = np.full((ds.Rows, ds.Columns), value, "<u2").tobytes()
                if told:
                    ds.add_new(0x00280120, "US", value)

            return change

        def again(ds, k):
            if 20 <= k < 26:
                ds.PixelData = plain[20].PixelData

        plain = self.plain_head()
        for change in (fill(0, True), fill(0, False), fill(1024, False)):
            self.assert_not_analysed(self.copies(change, plain), "hold no image data")
        status, answer = self.ask(self.copies(again, plain))
        self.assertEqual((status, answer["volumes"][0]["coverageMm"]), (0, 145.5))
        self.assertIn("5 images hold the same pixels as the one before", answer["volumes"][0]["notes"])
        status, answer = self.ask(self.copies(fill(0, True)))  # a positive in the rest is told
        self.assertEqual((status, {finding["side"] for finding in answer["volumes"][0]["findings"]}), (0, {"left"}))

    def test_images_computed_from_a_scan_are_not_analysed(self):
        """Projections of the head itself, 9 mm thick, as a console makes them; a negative of one would hide a small bleed, and of the other a bleed would be told that is none."""
        pixels = np.stack([ds.pixel_array for ds in self.slices])

        def projection(operator, *image_type, description="Head"):
            def change(ds, k):
                ds.PixelData = operator(pixels[max(0, k - 1) : k + 2], axis=0).astype(pixels.dtype).tobytes()
                ds.ImageType, ds.SeriesDescription = list(image_type), description

            return change

        for change, words in (
            (projection(np.min, "DERIVED", "SECONDARY", "MIN_IP"), "minimum intensity projections (Image Type DERIVED\\SECONDARY\\MIN_IP)"),
            (projection(np.max, "DERIVED", "SECONDARY", "MIP"), "maximum intensity projections (Image Type DERIVED\\SECONDARY\\MIP)"),
            (projection(np.max, "DERIVED", "SECONDARY", "AXIAL", description="Head MIP 10 mm"), "maximum intensity projections (series 'Head MIP 10 mm'"),
        ):
            self.assert_not_analysed(self.copies(change), words)
        for image_type in (["DERIVED", "SECONDARY", "MPR"], ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"], ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]):
            self.assert_found(self.copies(with_contrast(ImageType=image_type)))

    def test_examinations_of_a_small_field_are_not_for_the_head_model(self):
        for study, series in (("CT Felsenbein", "Felsenbein rechts 0.6 Hr70"), ("CT paranasal sinuses", "sinus 1.0"), ("CT head", "L IAC DFOV 9 cm"), ("CT dental", "mandible 0.6")):
            slices = self.copies(with_contrast(StudyDescription=study, SeriesDescription=series))
            self.assert_not_analysed(slices, "the model is for another part of the body")

    def test_decimal_commas_are_read_with_a_note(self):
        series = self.copies()
        status, answer = self.ask(series, change_bytes=lambda data: data.replace(b"0.957", b"0,957"))
        self.assertEqual((status, [finding["side"] for finding in answer["volumes"][0]["findings"]]), (0, ["left"]), answer)
        self.assertIn("decimal commas of its numbers were read as points", answer["volumes"][0]["notes"])

    def test_a_negative_needs_enough_of_the_head(self):
        head = self.plain_head()
        status, answer = self.ask(head)
        self.assertEqual((status, answer["volumes"][0]["notAnalysed"], answer["volumes"][0]["findings"]), (0, "", []))
        self.assertGreater(answer["volumes"][0]["lookedAtVoxels"], 100000)
        self.assertEqual(answer["volumes"][0]["coverageMm"], 160.5)  # slices of 1.5 mm, 3 mm apart
        self.assert_not_analysed(head[20:44], "nothing was found in 70 mm of the patient; a negative needs 80 mm")
        bled = self.assert_found(self.copies(slices=self.slices[14:38]), slices=24)  # a positive needs none
        self.assertLess(bled["coverageMm"], 80)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
