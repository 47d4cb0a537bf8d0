#!/usr/bin/python3
"""The page in a real browser, over a head with a SYNTHETIC bleed and over what else comes."""

import os
import subprocess
import sys
import unittest

import numpy as np
import pydicom
from pydicom.uid import generate_uid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, pydicom_files, wait_until
from heads import BLEED_SLICE, GAP_MM, PIXEL_MM, SIZE, SLICES, Head, volume

sys.path.insert(0, os.path.join(ROOT, "tests", "page"))
from case import CT, DATE, PageTest, new_image, new_object, set_pixels, windowed

SIDE = "left"  # where the head's bleed lies
BRAIN = (40, 80)


class Way(PageTest):
    @classmethod
    def prepare(cls):
        return "flow:\n  negative_quiet_s: 1\n"

    def test_the_list_comes_live_and_a_study_opens_with_its_mask_and_is_judged(self):
        head = Head(1, bleed=BLEED_SLICE)
        tab = self.tab()
        tab.until_text("main", "Nothing waits to be read")
        tab.until_text(".live", "live")
        # The browser is there before the images: the list must change under its eyes.
        self.scan(head)
        tab.until(f"document.querySelector('tbody tr.stat')?.dataset.study === '{head.study}'", 60)
        row = tab.texts("tbody tr:first-child td")
        self.assertEqual(row[0], "stat")
        self.assertEqual(row[5], "2026-11-28")
        self.assertIn(SIDE, row[7])
        tab.until_text("tbody tr td:last-child", "positive")
        other = self.tab(head.study)

        # By keyboard alone.
        tab.press("ArrowDown")
        tab.press("Enter")
        tab.until("document.querySelector('.finding') && document.querySelector('canvas')?.dataset.masked === 'true'")
        self.assertIn("not a medical device", tab.text(".banner"))
        self.assertEqual(tab.text(".finding .sentence"), self.finding_of(head.study)["sentence"])
        card = tab.text(".finding")
        finding = self.finding_of(head.study)
        for part in (SIDE, f"{finding['volumeMl']:.1f} mL", "head-ct-hyperdense 1.3.0", "stat"):
            self.assertIn(part, card)
        self.assertNotIn("score", card)  # which is no probability: the model is not calibrated on patients
        self.assertFalse(tab.evaluate("document.documentElement.scrollWidth > innerWidth || document.querySelector('.scroll').getBoundingClientRect().bottom > innerHeight"), "fits 1280 x 720")
        self.check_in_sight(tab)

        # Scrolled by wheel, keys, drag and slider; the finding's button leads back.
        at = tab.slice_shown()
        tab.wheel("canvas", 100)
        tab.until(f"document.querySelector('.scroll input').value === '{at + 1}'")
        for key, wanted in (("ArrowUp", at), ("PageDown", at + 10), ("Home", 0), ("ArrowUp", 0), ("End", SLICES - 1), ("ArrowDown", SLICES - 1)):
            tab.press(key)
            tab.until(f"document.querySelector('.scroll input').value === '{wanted}'", 5, key)
            self.assertEqual(tab.slice_shown(), wanted)
        tab.drag("canvas", [0, -100], "left")
        tab.until(f"document.querySelector('.scroll input').value === '{SLICES - 21}'")
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

        # A judgement needs a name, which is said to be nobody's but the typist's; another tab sees it at once; a mind can be changed.
        self.assertTrue(tab.evaluate("[...document.querySelectorAll('.judge button')].every((button) => button.disabled)"))
        self.assertIn("no login is needed here, so the name is not verified", tab.text("aside .name"))
        tab.fill(".name input", "Dr Test")
        tab.fill(".judge textarea", "as in the report")
        tab.click(".judge button:has-text('Accept')")
        for seen in (tab, other):
            seen.until_text(".judged", "accepted by Dr Test", 5)
            self.assertIn("not verified", seen.text(".judged"))
            self.assertRegex(seen.text(".judged"), DATE)
            self.assertIn("as in the report", seen.text(".comment"))
        finding = self.finding_of(head.study)
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

    def test_what_came_while_the_page_asked_is_shown_before_a_study_is_marked_as_read(self):
        head, late = Head(2), Head(2, series=2, bleed=BLEED_SLICE)
        self.scan(head)
        tab = self.tab(head.study)
        tab.until_text("aside", "Nothing found by head-ct-hyperdense", 60)
        tab.fill(".name input", "Dr Test")
        self.assertIn("off the reading list", tab.ask("header button"))
        self.scan(late)  # the page stands still while its question stands
        self.finding_of(head.study)
        wait_until(lambda: [item["urgency"] for item in self.server.get_json(f"/api/worklist?study={head.study}")] == ["stat"], 60, "on the list as stat")
        tab.accept()
        tab.until_text(".study [role=alert]", "something came since the study was looked at")
        self.assertIn("Suspected", tab.text(".study [role=alert]"))
        tab.until_text(".finding", "stat")
        (item,) = self.server.get_json(f"/api/worklist?study={head.study}")
        self.assertEqual((item["urgency"], item["findings"]), ("stat", 1))
        self.assertIn("409", " ".join(tab.errors()))

        # Two people at once: who comes second is told what the first has said.
        finding = self.finding_of(head.study)
        stale = self.tab(head.study)
        stale.until("document.querySelector('.judge')")
        self.answer_otherwise(stale, f"{head.study}/findings", "(findings) => { findings[0].state = 'unverified'; findings[0].version = 0; }")
        self.server.put_json(f"/api/findings/{finding['id']}/judge", {"state": "rejected", "by": "Dr First"}, "POST")
        stale.click(".judge button:has-text('Accept')")
        stale.until_text(".finding [role=alert]", "rejected by Dr First")
        self.assertEqual(self.finding_of(head.study)["state"], "rejected")

        # Seen now.
        tab.click("header button")
        wait_until(lambda: self.server.get_json(f"/api/worklist?study={head.study}") == [], 10, "it is off the list")

        # By mistake: taken back.
        tab.click("main > p a:has-text('open last')")
        tab.until_text("header button", "Mark as unread")
        self.assertIn("read by Dr Test", tab.text(".study header"))
        tab.click("header button")
        tab.until_text("header button", "Mark as read")
        (item,) = self.server.get_json(f"/api/worklist?study={head.study}")
        self.assertEqual(item["reason"], "marked as unread by Dr Test")


    def test_two_findings_of_one_side_in_one_slice_are_told_apart_and_a_grave_one_that_nobody_judged_is_named_before_its_study_is_read(self):
        z, y, x = np.mgrid[0:SLICES, 0:SIZE, 0:SIZE].astype(float)
        z, y, x = (z - 30) * GAP_MM, (y - (SIZE - 1) / 2) * PIXEL_MM, (x - (SIZE - 1) / 2) * PIXEL_MM
        balls = [(x - right) ** 2 + (y - back) ** 2 + z**2 < 9**2 for right in (-28, 28) for back in (-32, 24)]
        head = Head(3, hu=np.where(np.any(balls, axis=0), 70, volume()).astype("<i2"))
        self.scan(head)
        wait_until(lambda: len(self.server.get_json(f"/api/studies/{head.study}/findings")) == 4, 60, "four findings")
        findings = self.server.get_json(f"/api/studies/{head.study}/findings")
        tab = self.tab(head.study)
        tab.until("document.querySelectorAll('.finding').length === 4")
        chosen = "[...document.querySelectorAll('.labels .chosen')].map((one) => one.innerText).join()"
        for number in (3, 1, 4, 2):
            tab.evaluate(f"document.querySelectorAll('.finding .sentence')[{number - 1}].click()")
            tab.until(f"{chosen} === '{number}'")
            self.assertEqual(sorted(tab.texts(".labels .number")), ["1", "2", "3", "4"])
            self.assertEqual(tab.texts(".finding.chosen .number"), [str(number)])
            self.assertIn(f"segment {findings[number - 1]['segment']} \u00b7 slice {SLICES - 30}", tab.text(".finding.chosen"))
            # Where the model says that it lies, there and only there the picture is red; the others are blue.
            place = [value / PIXEL_MM + (SIZE - 1) / 2 for value in findings[number - 1]["centroidMm"][:2]]
            seen = tab.picture().astype(int)
            for colour, hit in ((seen[..., 0] - seen[..., 2] > 50, True), (seen[..., 2] - seen[..., 0] > 50, False)):
                rows, columns = np.nonzero(colour)
                apart = np.hypot(columns - place[0], rows - place[1])
                self.assertGreater(len(rows), 20)
                self.assertEqual(apart.max() < 6 if hit else apart.min() < 6, hit)
        tab.press("f")
        tab.until(f"{chosen} === '3'")

        # What is rejected has its number alone.
        tab.fill(".name input", "Dr Test")
        tab.click(".finding.chosen button:has-text('Reject')")
        tab.until("document.querySelector('.labels .rejected')?.innerText === '3'")
        seen = tab.picture().astype(int)
        self.assertFalse((seen[..., 0] - seen[..., 2] > 50).any())
        self.assertTrue((seen[..., 2] - seen[..., 0] > 50).any())

        said = tab.ask("header button")
        self.assertTrue(said.startswith("3 stat findings are neither accepted nor rejected. Take this study off the reading list"), said)
        tab.accept()
        wait_until(lambda: self.server.get_json(f"/api/worklist?study={head.study}") == [], 10, "it is off the list")
        self.assertEqual(tab.errors(), [])


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

    def test_a_study_that_is_not_stored_is_said_not_to_be_until_it_comes(self):
        study = generate_uid()
        tab = self.tab(study)
        tab.until_text("main", f"There is no study {study} here")
        self.assertEqual(tab.texts("button"), [], "nothing is to be judged or marked as read")
        self.assertNotIn("No model", tab.text("main"))
        self.store(new_image(study))
        tab.until_text(".scroll", "/ 1")
        self.assertEqual(tab.errors(), [])

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

    def test_three_hundred_frames_have_their_slider_in_sight(self):
        frames = np.arange(300, dtype=np.uint16)[:, None, None].repeat(4, 1).repeat(4, 2)
        tab = self.shown(set_pixels(new_object(generate_uid()), frames, "MONOCHROME2"))
        self.assertIn("/ 300", tab.text(".scroll"))
        self.check_in_sight(tab)
        tab.press("End")
        self.assertEqual(tab.slice_shown(), 299)
        self.assertNotIn("1 to 1", tab.text(".help"))  # it has one window only
        self.assertNotIn("mask", tab.text(".tools"))  # and no mask, which is not an empty one

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
        head = Head(2, bleed=BLEED_SLICE)
        source = head.slices[BLEED_SLICE]
        (path,) = head.save(os.path.join(self.folder, "slice"), [source])
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
            self.check_in_sight(page)
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


if __name__ == "__main__":
    unittest.main()
