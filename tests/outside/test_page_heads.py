#!/usr/bin/python3
"""Heads on the page: every slice and mask against what pydicom reads, however the series lies; and what goes wrong with a model or the server.

What a canvas shows is compared pixel by pixel, turned by the test's own few lines.
"""

import glob
import os
import sys
import unittest

import numpy as np
import pydicom
from pydicom.uid import generate_uid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, multipart
from heads import BLEED_SLICE, PIXEL_MM, Head
from test_runner_faults import make_package

sys.path.insert(0, os.path.join(ROOT, "tests", "page"))
from case import CT, PageTest, make_head, new_image, new_object, set_pixels, windowed

BRAIN = (40, 80)
MASK_SHARE = 0.4


def as_read(image, cosines):
    """An axial image turned so that columns run to the patient's left and rows to the back."""
    if cosines[0] < 0:
        image = image[:, ::-1]
    return image[::-1] if cosines[4] < 0 else image


def by_uid(folder):
    return {dataset.SOPInstanceUID: dataset for dataset in (pydicom.dcmread(path) for path in glob.glob(folder + "/*.dcm"))}


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

    def check_head(self, head):
        folder = os.path.join(self.folder, head.study)
        head.save(folder)
        self.check_series(folder, head.study)

    def test_a_head_as_it_comes(self):
        folder, truth = make_head(os.path.join(self.folder, "plain"), "--bleed-seed", "1")
        self.check_series(folder, truth["study"])

    def test_a_head_scanned_feet_first(self):
        head = Head(2, bleed=BLEED_SLICE)
        for d in head.slices:  # columns run from left to right, and the first slice is the top
            x, y, z = d.ImagePositionPatient
            d.ImagePositionPatient, d.ImageOrientationPatient, d.PatientPosition = [-x, y, z], [-1, 0, 0, 0, 1, 0], "FFS"
            d.InstanceNumber, d.PixelData = len(head.slices) - d.InstanceNumber + 1, d.pixel_array[:, ::-1].tobytes()
        self.check_head(head)

    def test_rows_that_rise_from_the_bottom(self):
        head = Head(3, bleed=BLEED_SLICE)
        for d in head.slices:
            x, y, z = d.ImagePositionPatient
            d.ImagePositionPatient, d.ImageOrientationPatient = [x, y + PIXEL_MM * (d.Rows - 1), z], [1, 0, 0, 0, -1, 0]
            d.PixelData = d.pixel_array[::-1].tobytes()
        self.check_head(head)

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
        head = Head(4, bleed=BLEED_SLICE)
        self.scan(head)
        finding = self.finding_of(head.study)
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
        })()""" % head.study)
        tab.until_text("section .error", "does not lie on these slices")
        tab.slice_shown()
        self.assertEqual(tab.evaluate("document.querySelector('canvas').dataset.masked"), "false")
        self.assertEqual(finding["state"], "unverified")


class Failures(PageTest):
    """What goes wrong is told in words."""

    @classmethod
    def prepare(cls):
        models = os.path.join(cls.folder, "models")
        for name, graph in (("sound", None), ("endless", "endless"), ("hungry", "hungry")):
            make_package(models, name, graph)
        return f"models:\n  folder: {models}\n  timeout_seconds: 15\n  memory_mb: 1024\n  workers: 2\n"

    def test_a_failed_jobs_reason_is_on_the_page_and_the_rest_goes_on(self):
        for model in ("endless", "hungry", "sound"):
            self.server.put_json(f"/api/rules/{model}", {"model": model, "modality": "CT"})
        head = Head(5, bleed=BLEED_SLICE)
        listing, tab = self.tab(), self.tab(head.study)
        self.scan(head)
        tab.until("document.querySelectorAll('.results li.failed').length === 2 && document.querySelector('.results li.positive')", 90)
        lines = {line.split()[0]: line for line in tab.texts(".results li")}
        self.assertIn("failed", lines["hungry"])
        self.assertIn("memory", lines["hungry"])
        self.assertIn("failed", lines["endless"])
        self.assertIn("longer than it may", lines["endless"])
        self.assertIn("positive", lines["sound"])
        for job in self.server.get_json(f"/api/jobs?study={head.study}"):
            self.assertIn(job["reason"], lines[job["model"].split()[0]])
        tab.until("document.querySelector('.finding') && document.querySelector('canvas')")
        # On the list too: a study that a model could not look at is no study without a finding.
        listing.until_text("tbody tr td:last-child", "failed")
        self.assertTrue(any("memory" in title for title in listing.evaluate("[...document.querySelectorAll('tbody .failed')].map((one) => one.title)")))
        self.check_in_sight(tab)
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
        head = Head(8, bleed=BLEED_SLICE)
        self.server.put_json("/api/rules/sound", {"model": "sound", "modality": "CT"})
        for rule in ("endless", "hungry"):
            self.server.request(f"/api/rules/{rule}", "DELETE")
        self.scan(head)
        self.finding_of(head.study)
        tab = self.tab(head.study)
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
