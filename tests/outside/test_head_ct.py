#!/usr/bin/python3
"""The head CT of tools/head-ct, judged by dciodvfy and pydicom; and the package head-ct-hyperdense on it: 24 bleeds, and the head as it is, mirrored, feet first and off its calibration.

With --table the 24 seeds are printed for the package's card.
"""

import concurrent.futures
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

TOOL = os.path.join(ROOT, "tools", "head-ct")
PACKAGE = os.path.join(ROOT, "models", "head-ct-hyperdense")
SEEDS = range(24)


def make(folder, *arguments):
    """The folders that the tool says it made."""
    done = subprocess.run([TOOL, "make", folder, *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def slices(folder):
    return sorted(glob.glob(os.path.join(folder, "*.dcm")))


def run_model(folder):
    done = subprocess.run([HILUM, "model", "run", "--json", PACKAGE, *slices(folder)], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr)
    (volume,) = json.loads(done.stdout)["volumes"]
    return volume


def truth_of(folder):
    with open(folder + ".truth.json", encoding="utf-8") as f:
        return json.load(f)


def hu_by_place(folder):
    """HU as [slice][row][column] with places rising along z, y and x of the patient, whatever way it was scanned."""
    series = sorted((pydicom.dcmread(path) for path in slices(folder)), key=lambda ds: float(ds.ImagePositionPatient[2]))
    volume = np.stack([ds.pixel_array.astype(int) + int(ds.RescaleIntercept) for ds in series])
    return volume[:, :, :: int(series[0].ImageOrientationPatient[0])]


class HeadCt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        folder = cls.temporary.name
        (cls.head,) = make(folder)
        (cls.mirrored,) = make(folder, "--mirror")
        (cls.feet_first,) = make(folder, "--feet-first")
        (cls.lower,) = make(folder, "--hu-offset", "-10")
        (cls.higher,) = make(folder, "--hu-offset", "10")
        cls.bleeds = make(folder, "--bleed-seed", *SEEDS)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_dciodvfy_finds_no_error_in_any_slice(self):
        for folder in (self.head, self.feet_first, self.bleeds[0]):
            self.assertEqual(len(slices(folder)), 108)
            for path in slices(folder):
                report = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
                self.assertNotIn("Error", report.stdout + report.stderr, path)

    def test_the_same_arguments_give_the_same_bytes_and_others_another_study(self):
        with tempfile.TemporaryDirectory() as folder:
            (again,) = make(folder, "--bleed-seed", 0)
            for one, other in zip(slices(again), slices(self.bleeds[0])):
                with open(one, "rb") as a, open(other, "rb") as b:
                    self.assertEqual(a.read(), b.read(), one)
        folders = [self.head, self.mirrored, self.feet_first, self.lower, self.higher, *self.bleeds]
        headers = [pydicom.dcmread(slices(folder)[0], stop_before_pixels=True) for folder in folders]
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "AccessionNumber"):
            self.assertEqual(len({ds[keyword].value for ds in headers}), len(folders), keyword)

    def test_every_synthetic_slice_says_so_and_no_other(self):
        for folder, synthetic in ((self.head, False), (self.bleeds[3], True)):
            for path in slices(folder):
                ds = pydicom.dcmread(path, stop_before_pixels=True)
                for text in (ds.SeriesDescription, ds.ImageComments, str(ds.get("DerivationDescription", ""))):
                    self.assertEqual("SYNTHETIC" in text, synthetic, path)

    def test_variants_are_the_same_head_in_its_place(self):
        head = hu_by_place(self.head)
        self.assertEqual(head.shape, (108, 256, 256))
        np.testing.assert_array_equal(hu_by_place(self.feet_first), head)
        np.testing.assert_array_equal(hu_by_place(self.mirrored), head[:, :, ::-1])
        np.testing.assert_array_equal(hu_by_place(self.higher), head + 10)

    def test_a_bleed_is_where_and_as_large_as_the_truth_says(self):
        head = hu_by_place(self.head)
        for folder in self.bleeds[:6]:
            truth = truth_of(folder)
            rise = hu_by_place(folder) - head
            places = np.argwhere(rise > truth["excess_hu"] / 2)
            center = (places.mean(axis=0) - (np.array(head.shape) - 1) / 2) * (1.5, 0.9570312, 0.9570312)
            np.testing.assert_allclose(center[::-1], truth["centroid_mm"], atol=2)
            self.assertAlmostEqual(len(places) * 1.5 * 0.9570312**2 / 1000 / truth["volume_ml"], 1, delta=0.25)
            self.assertEqual(truth["side"], "left" if center[2] > 0 else "right")
            self.assertTrue(2 <= truth["volume_ml"] <= 30.5 and 15 <= truth["excess_hu"] <= 45)

    def test_the_graph_in_the_package_is_the_recipe_s(self):
        recipe = os.path.join(ROOT, "models", "train", "head-ct-hyperdense", "recipe.py")
        done = subprocess.run([recipe, "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_nothing_is_found_on_a_head_without_a_bleed(self):
        for folder in (self.head, self.mirrored, self.feet_first, self.lower, self.higher):
            result = run_model(folder)
            self.assertEqual((result["findings"], result["notAnalysed"]), ([], ""), folder)

    def test_bleeds_are_found_with_side_and_volume(self):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(run_model, self.bleeds))
        found = 0
        for folder, result in zip(self.bleeds, results):
            truth = truth_of(folder)
            near = [f for f in result["findings"] if np.linalg.norm(np.subtract(f["centroidMm"], truth["centroid_mm"])) < 15]
            self.assertEqual(len(near), len(result["findings"]), "found where nothing is: " + folder)
            if "--table" in sys.argv:
                row = (truth["seed"], truth["side"], truth["volume_ml"], truth["excess_hu"])
                print("| %d | %s | %.1f | %.0f |" % row, *("%.1f | %+.0f %% | %s | %.2f |" % (f["volumeMl"], 100 * (f["volumeMl"] / truth["volume_ml"] - 1), f["side"], f["score"]) for f in near))
            if near:
                found += 1
                self.assertEqual(near[0]["side"], truth["side"], folder)
                self.assertAlmostEqual(near[0]["volumeMl"] / truth["volume_ml"], 1, delta=0.25, msg=folder)
        self.assertGreaterEqual(found, 22)


if __name__ == "__main__":
    unittest.main(argv=[a for a in sys.argv if a != "--table"])
