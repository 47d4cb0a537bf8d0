#!/usr/bin/python3
"""What the page tells before a study is read: two patients in one study, images that came again with something else in them, and what the models said or why they said nothing."""

import glob
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, wait_until
from heads import BLEED_SLICE, SLICES, Head, copy

sys.path.insert(0, os.path.join(ROOT, "tests", "page"))
from case import DATE, SCREENS, PageTest, new_image
from pydicom.uid import generate_uid

SLICE_SHOWN = "document.querySelector('canvas').dataset.instance"


class Doubts(PageTest):
    @classmethod
    def prepare(cls):
        return "flow: {negative_quiet_s: 2}\n"

    def row(self, tab, study, script):
        """Of the study's line on the list, once that is true."""
        return tab.until(f"((row) => row && {script})(document.querySelector(\"tr[data-study='{study}']\"))", 40, script)

    def named(self, study):
        tab = self.tab(study)
        tab.until("document.querySelector('.name input') && document.querySelector('canvas')")
        tab.fill(".name input", "")
        return tab

    def check_width(self, tab):
        self.assertFalse(tab.evaluate("document.documentElement.scrollWidth > innerWidth"), "it fits the window's width")

    def check_stacks(self, tab, slices):
        """By patient's name: each has a stack of those slices and no other."""
        options = tab.until("((all) => all.length === 2 && all.map((one) => [one.value, one.innerText]))([...document.querySelectorAll('select option')])")
        for name, own in slices.items():
            (value,) = [value for value, text in options if name in text]
            tab.select(".whose select", value)
            self.assertIn(name, tab.evaluate("document.querySelector('.whose select').selectedOptions[0].innerText"))
            self.assertIn(name, tab.text("header h1"))
            tab.until_text(".scroll", f"/ {len(own)}")
            tab.click("canvas")
            tab.press("Home")
            seen = set()
            for number in range(len(own)):
                tab.until(f"document.querySelector('canvas').dataset.slice === '{number}'")
                seen.add(tab.evaluate(SLICE_SHOWN))
                tab.press("ArrowDown")
            self.assertEqual(seen, {d.SOPInstanceUID for d in own})

    def test_one_id_of_two_issuers_is_told_apart(self):
        studies = [(generate_uid(), f"SITE-{site}") for site in "AB"]
        self.store(*(new_image(study, PatientID="P77", IssuerOfPatientID=site, PatientName="Same^Name", PatientBirthDate="19500101") for study, site in studies))
        listing = self.tab()
        for study, site in studies:
            self.assertEqual(self.row(listing, study, "row.cells[2].innerText").split("\n"), ["P77", f"of {site}"])
            self.tab(study).until_text("header", f"ID P77 of {site}")
        self.check_width(listing)

    def test_a_study_that_names_no_patient_id_says_so(self):
        study = generate_uid()
        self.store(new_image(study, PatientID="", PatientName="Nobody^Known"))
        listing, tab = self.tab(), self.tab(study)
        said = "this study names no Patient ID"
        self.row(listing, study, f"row.querySelector('.badge')?.innerText.includes('{said}')")
        tab.until_text(".band", said)
        self.assertIn("ID not given", tab.text("header"))
        (flagged,) = self.server.get_json("/api/flagged?flag=unidentified")
        self.assertEqual((flagged["study"], flagged["flags"]), (study, ["unidentified"]))

    def test_two_patients_in_one_study_are_named_and_never_in_one_stack(self):
        first, second = Head(1, bleed=BLEED_SLICE), Head(2, PatientID="P9", IssuerOfPatientID="SITE-B", PatientName="Roe^Jane", PatientBirthDate="19800229")
        for number, d in enumerate(second.slices):
            d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPInstanceUID, d.FrameOfReferenceUID = first.study, first.series, f"{first.series}.{1000 + number}", first.slices[0].FrameOfReferenceUID
        listing, tab = self.tab(), self.tab(first.study)
        self.scan(first, first.slices[::2])
        tab.until_text(".scroll", f"/ {SLICES // 2}")
        self.scan(second, second.slices[1::2], "CT2")  # between the other's
        self.row(listing, first.study, "row.querySelector('.badge')?.innerText.includes('2 patients')")
        self.assertIn("P9 of SITE-B", self.row(listing, first.study, "row.querySelector('.not-analysed')?.title"))
        listing.resize(*SCREENS[0])
        self.check_width(listing)
        tab.until_text(".band summary", "2 patients")
        self.check_whole(tab, ".band summary span")
        self.check_in_sight(tab)
        self.assertNotIn("26 objects", tab.text(".band"))
        tab.click(".band summary")
        self.check_in_sight(tab)
        band = tab.text(".band")
        for part in ("Day, P1 (ID P1, born 1960-01-01): 26 objects", "Roe, Jane (ID P9 of SITE-B, born 1980-02-29): 26 objects"):
            self.assertIn(part, band)
        tab.until_text(".results", "not analysed")
        self.assertIn("Not analysed by head-ct-hyperdense: objects of two patients", tab.text("aside .nothing"))
        self.check_stacks(tab, {"Day, P1": first.slices[::2], "Roe, Jane": second.slices[1::2]})
        tab.resize(1024, 720)
        self.check_width(tab)
        self.assertEqual(tab.errors() + listing.errors(), [])

    def test_what_is_said_names_whose_it_is_and_is_judged_beside_that_patients_images_only(self):
        first, second = Head(20, bleed=BLEED_SLICE), Head(20, series=2, PatientID="P24", PatientName="Other^Olga")
        self.scan(first)
        self.scan(second)
        tab = self.tab(first.study)
        tab.until_text("aside > .results .negative", "Other, Olga (ID P24")
        self.assertIn("Day, P20 (ID P20", tab.text("aside > .results .positive"))
        self.assertEqual(len(tab.texts("aside > .results li")), 2)
        options = tab.evaluate("[...document.querySelectorAll('.series select option')].map((one) => one.innerText)")
        self.assertEqual([sum(name in option for option in options) for name in ("Day, P20", "Other, Olga")], [1, 1], options)
        self.assertEqual(len(set(options)), 2)
        tab.until_text("header h1", "Day, P20")
        tab.until("document.querySelector('.finding .judge')")
        self.assertIn("Day, P20 (ID P20", tab.text(".finding .whose"))
        tab.select(".series select", second.series)
        tab.until_text("header h1", "Other, Olga")
        tab.until("!document.querySelector('.finding .judge')")
        self.assertIn("Day, P20 (ID P20", tab.text(".finding .whose"))
        tab.click(".finding .elsewhere")
        tab.until_text("header h1", "Day, P20")
        tab.until("document.querySelector('.finding .judge')")
        listing = self.tab()
        self.row(listing, first.study, "row.querySelector('.positive')?.innerText === 'ID P20: positive' && row.querySelector('.negative')?.innerText === 'ID P24: negative'")
        self.assertIn("ID P20: Suspected ", self.row(listing, first.study, "row.querySelector('td.why').innerText"))
        self.assertEqual(tab.errors() + listing.errors(), [])

    def test_a_model_that_is_not_installed_is_told_where_a_reader_looks(self):
        listing = self.tab()
        listing.until("document.querySelector('.list')")
        self.assertEqual(listing.texts(".warnings"), [])
        self.server.put_json("/api/rules/lung", {"model": "lung-model", "modality": "CT", "body_part": "HEAD"})
        self.addCleanup(self.server.request, "/api/rules/lung", "DELETE")
        head = Head(30)
        self.scan(head)
        tab = self.tab(head.study)
        self.row(listing, head.study, "row.querySelector('.not-analysed')?.innerText === 'not analysed (lung-model): model lung-model is not installed'")
        tab.until_text("aside > .results li.not-analysed", "model lung-model is not installed")
        tab.until_text("aside .nothing", "Not analysed by lung-model: model lung-model is not installed")
        (warning,) = self.server.get_json("/healthz")["warnings"]
        self.assertIn("lung-model", warning)
        self.assertEqual(listing.texts(".warnings li"), [warning])
        self.assertIn("For the administrator (1):", listing.text(".warnings"))

    def test_a_health_that_cannot_be_asked_is_told(self):
        tab = self.tab()
        tab.evaluate("((real) => (window.fetch = (path, init) => (path === '/healthz' ? Promise.reject() : real(path, init))))(window.fetch)")
        self.store(new_image(generate_uid()))
        tab.until_text(".warnings", "how the server is could not be asked: The server cannot be reached.")

    def test_a_long_wait_is_said_in_hours_and_days(self):
        tab = self.tab()
        self.answer_otherwise(tab, "/api/worklist", "(items) => items.forEach((item, i) => Object.assign(item, { waiting_s: [59, 3600 * 5 + 120, 3600 * 49][i % 3], capped: true, imported: false }))")
        self.store(*(new_image(generate_uid()) for _ in range(3)))
        tab.until("['0 min', '5 h 2 min', '2 d 1 h'].every((wanted) => [...document.querySelectorAll('td.wait')].some((cell) => cell.innerText === wanted))")
        self.assertIn("routine, overdue", tab.texts("td:first-child"))

    def test_the_list_says_where_it_ends_and_what_was_imported_or_cannot_be_followed(self):
        tab, image, said = self.tab(), new_image(generate_uid()), "not all of it could be worked out here (x of flow: y)"
        self.answer_otherwise(tab, "/api/worklist", f"(items, headers) => (items.forEach((item) => Object.assign(item, {{ imported: true, flags: ['{said}'] }})), headers.set('X-Total-Count', items.length + 40))")
        self.store(image)
        tab.until_text("main > p.warnings", "are on nobody's list until some of these are marked read")
        shown = len(self.server.get_json("/api/worklist"))
        tab.until_text("main > p.warnings", f"These are the first {shown} of {shown + 40}.")
        self.assertIn("routine, imported", tab.texts("td:first-child"))
        self.answer_otherwise(tab, f"/api/worklist?study={image.StudyInstanceUID}", f"(items) => items.forEach((item) => (item.flags = ['{said}']))")
        tab.evaluate(f"location.hash = '{image.StudyInstanceUID}'")
        tab.until_text(".band", said)

    def test_what_is_known_of_earlier_images_alone_is_no_negative_of_those_that_are_there(self):
        """The rule is off when others come, so that no model looks at them."""
        heads = {"was negative": (Head(31), Head(31, bleed=BLEED_SLICE)), "was positive": (Head(32, bleed=BLEED_SLICE), Head(32))}
        listing = self.tab()
        for name, (first, _) in heads.items():
            self.scan(first)
            self.row(listing, first.study, f"row.querySelector('.{name.split()[-1]}')")
        self.enable_rule(False)
        self.addCleanup(self.enable_rule, True)
        for first, other in heads.values():
            self.scan(other)
            wait_until(lambda: self.server.get_json(f"/api/conflicts?study={first.study}"), 20, "what came again")
            for conflict in self.server.get_json(f"/api/conflicts?study={first.study}"):
                self.server.put_json(f"/api/conflicts/{conflict['id']}/take", {"by": "Dr Test"}, "POST")
        why = "said of earlier images; those that are there now have no answer yet"
        first = heads["was negative"][0]
        self.row(listing, first.study, f"row.querySelector('.models')?.innerText === 'only an earlier answer: {why}' && !row.querySelector('.negative')")
        tab = self.tab(first.study)
        tab.until_text("aside > .results", "only an earlier answer")
        self.assertEqual(tab.text("aside .nothing"), f"The images that are there now have no answer yet by head-ct-hyperdense: {why}")
        self.assertNotRegex(tab.text("aside").lower(), "negative|nothing found|no finding")
        first = heads["was positive"][0]
        self.row(listing, first.study, f"row.querySelector('.positive')?.innerText === 'positive: {why}'")
        tab = self.tab(first.study)
        tab.until_text(".finding .not-analysed", f"{why}; its mask is not drawn")
        tab.slice_shown()
        self.assertNotIn("mask", tab.text(".tools"))  # which would be drawn over other images
        self.assertEqual(listing.errors() + tab.errors(), [])

    def enable_rule(self, enabled):
        (rule,) = [rule for rule in self.server.get_json("/api/rules") if rule["model"] == "head-ct-hyperdense"]
        self.server.put_json(f"/api/rules/{rule['name']}", dict(rule, enabled=enabled))

    def test_the_list_is_dense_and_what_is_cut_has_its_title(self):
        for number in range(3):
            self.scan(Head(40 + number, bleed=BLEED_SLICE, PatientName=f"Andersson-Lindqvist^Kristina Maria{number}"))
            self.scan(Head(50 + number, ContrastBolusAgent="Iomeprol"))
        self.store(*(new_image(generate_uid(), Modality="CT", PatientName=f"Konstantinopoulos^Aristoteles{number}", PatientID=f"HOSPITAL-0000{number:05}", AccessionNumber=f"ACC20261128{number:05}",
                               StudyDescription="CT of the head and the neck without and with contrast") for number in range(14)))
        tab = self.tab()
        tab.until("document.querySelectorAll('tbody .positive').length >= 3 && document.querySelectorAll('tbody .not-analysed').length >= 3 && document.querySelectorAll('tbody tr').length >= 20", 60)
        for width, height in (*SCREENS, (1024, 720)):
            tab.resize(width, height)
            tab.until(f"innerWidth === {width} && innerHeight === {height}")
            self.check_width(tab)
            if height >= 800:
                self.check_whole(tab, "th")
                self.assertGreaterEqual(tab.evaluate("[...document.querySelectorAll('tbody tr')].filter((row) => row.getBoundingClientRect().bottom <= innerHeight).length"), 14)
            self.assertEqual(tab.evaluate("""[...document.querySelectorAll('.list td, .list td *')].filter((one) => one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)
                .filter((one) => getComputedStyle(one).display !== 'inline' && !one.title).map((one) => one.outerHTML)"""), [])
        said = tab.evaluate("[...document.querySelectorAll('.list .not-analysed')].map((one) => [one.innerText, one.title]).find(([said]) => said.includes('Iomeprol'))")
        self.assertTrue(said[0].startswith("not analysed: a contrast agent was given"), said)
        self.assertRegex(said[1], r"^head-ct-hyperdense [0-9.]+: not analysed: a contrast agent was given.*Iomeprol")
        self.assertEqual(tab.evaluate("[...document.querySelectorAll('.list a')].filter((one) => !one.title).length"), 0)
        self.assertRegex(tab.evaluate("document.querySelector('.list .wait').title"), "^since " + DATE)

    def test_in_a_narrow_window_what_the_models_said_is_whole(self):
        head = Head(60, ContrastBolusAgent="Iomeprol")
        self.scan(head)
        tab = self.tab()
        reason = self.row(tab, head.study, "row.querySelector('.not-analysed')?.title").split(": ", 1)[1]
        for width in (700, 500):
            tab.resize(width, 800)
            tab.until(f"innerWidth === {width}")
            self.check_width(tab)
            self.check_whole(tab, "th, td.why .clip")
            self.assertIn(reason, self.row(tab, head.study, "row.cells[row.cells.length - 1].innerText"))
            left, right = self.row(tab, head.study, "((box) => [box.left, box.right])(row.querySelector('.not-analysed').getBoundingClientRect())")
            self.assertTrue(0 <= left < right <= width, (left, right))

    def test_two_studies_of_one_patient_are_told_apart_by_their_dates(self):
        dates = {generate_uid(): written for written in ("20190101", "20261128", "")}
        self.store(*(new_image(study, PatientID="P78", StudyDate=written) for study, written in dates.items()))
        listing = self.tab()
        seen = [self.row(listing, study, "row.querySelector('td.date').innerText") for study in dates]
        self.assertEqual(seen, ["2019-01-01", "2026-11-28", "not given"])

    def test_two_names_under_one_id_are_told_and_have_stacks_of_their_own(self):
        head = Head(5)
        slices = [copy(d) for d in head.slices[:8]]
        for d in slices[1::2]:
            d.PatientName = "Roe^Jane"
        self.scan(head, slices)
        tab = self.tab(head.study)
        tab.until_text(".band", "name of P5: Day P5 or Roe Jane")
        self.check_stacks(tab, {"Day, P5": slices[::2], "Roe, Jane": slices[1::2]})

    def test_images_that_came_again_are_taken_by_a_person_all_at_once_and_seen_at_once(self):
        head, bleeding = Head(3), Head(3, bleed=BLEED_SLICE)
        listing, tab = self.tab(), self.tab(head.study)
        self.scan(head)
        self.row(listing, head.study, "row.querySelector('.negative')")
        tab.fill(".name input", "")
        self.scan(bleeding)
        wrong = sum(a.PixelData != b.PixelData for a, b in zip(head.slices, bleeding.slices))
        self.row(listing, head.study, "row.querySelector('.badge')?.innerText.includes('came again')")
        self.check_width(listing)
        tab.until_text(".band summary", f"{wrong} images of this study came again with other pixels, from CT1 at ")
        self.assertRegex(tab.text(".band summary"), DATE)
        self.check_whole(tab, ".band summary span")
        tab.click(".band summary")
        self.check_in_sight(tab)
        self.assertTrue(tab.evaluate("[...document.querySelectorAll('.band button')].every((button) => button.disabled)"))
        tab.until_text("aside > .results .not-analysed", "which were not looked at; keep or take them")
        self.assertEqual(tab.text("aside > .results").count("keep or take them"), 1)
        self.row(listing, head.study, "row.querySelector('.not-analysed') && !row.querySelector('.negative')")
        overview = self.tab("/conflicts")
        self.assertIn(f"{wrong} images with other pixels", self.row(overview, head.study, "row.innerText"))
        self.assertIn("waits", overview.text("tbody tr td:last-child"))
        self.assertRegex(overview.text("tbody tr"), DATE)
        self.check_width(overview)

        middle = bleeding.slices[BLEED_SLICE].SOPInstanceUID
        tab.click("canvas")
        tab.press("Home")
        for _ in range(SLICES - 1 - BLEED_SLICE):  # the head's top comes first
            tab.press("ArrowDown")
        tab.until(f"{SLICE_SHOWN} === '{middle}'")
        before = tab.picture()
        tab.fill(".name input", "Dr Test")
        tab.click(".band button:has-text('Take the newer ones')")
        tab.until_text(".said", f"{wrong} of {wrong} replaced by the newer ones")
        tab.until("!document.querySelector('.band')")
        wait_until(lambda: (tab.picture() != before).any(), 20, "the newer image is shown")
        self.assertEqual(tab.evaluate(SLICE_SHOWN), middle)
        self.assertEqual({c["decidedBy"] for c in self.server.get_json(f"/api/conflicts?state=all&study={head.study}")}, {"Dr Test"})
        # The models look anew; what was said before is history.
        tab.until("document.querySelector('.finding') && document.querySelector('aside > .results li.positive')", 60)
        self.assertFalse(tab.evaluate("!!document.querySelector('aside > .results li.negative')"))
        tab.click(".past summary:has-text('earlier result')")
        tab.until_text("aside .past", "superseded: negative")
        tab.click(".past summary:has-text('was decided')")
        for word in ("taken", "set aside"):
            self.assertIn(f"{word} by Dr Test", tab.text("main > .past"))
        self.assertRegex(tab.text("main > .past li"), DATE)
        self.check_in_sight(tab)
        self.row(listing, head.study, "!row.querySelector('.badge') && row.querySelector('.positive')")
        overview.until_text("main", "Nothing waits for a decision")
        overview.click("input[type=checkbox]")
        self.assertIn("taken by Dr Test", self.row(overview, head.study, "row.innerText"))
        overview.click("tbody a")
        overview.until_text("main.study h1", "Day, P3")
        self.assertEqual(tab.errors() + listing.errors() + overview.errors(), [])

    def test_other_attributes_are_kept_or_taken_and_a_decision_that_fails_says_how_far_it_came(self):
        head = Head(4)
        slices = head.slices[:3]
        self.scan(head, slices)
        again = [copy(d) for d in slices]
        for d in again:
            d.PatientName, d.StudyDescription = "Corrected^P4", "CT head, corrected"
        tab = self.named(head.study)
        self.scan(head, again, "PACS")
        tab.until_text(".band summary", "3 objects of this study came again with other attributes, from PACS at ")
        tab.click(".band summary")
        self.assertIn(["Patient Name", "Day, P4", "Corrected, P4"], tab.evaluate("[...document.querySelectorAll('.differences tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"))
        tab.fill(".name input", "Dr Test")
        self.check_in_sight(tab)
        self.server.stop()
        tab.click(".band button:has-text('Keep')")
        tab.until_text(".undone", "0 of 3 kept as they are; then: The server cannot be reached.")
        self.server.start()
        tab.click(".band button:has-text('Keep')")
        tab.until_text(".said", "3 of 3 kept as they are")
        tab.until("!document.querySelector('.band')")
        tab.until("!document.querySelector('main > .error')")
        self.assertEqual(tab.text("header h1"), "Day, P4")
        tab.click("main > .past summary")
        self.assertIn("set aside by Dr Test", tab.text("main > .past"))
        tab.click("main > .past button:has-text('Take after all')")
        tab.until_text("header h1", "Corrected, P4")
        tab.until_text("main > .past", "taken by Dr Test")
        self.assertEqual(tab.text(".said"), "3 of 3 taken after all.")
        self.assertIn("Came more than once", tab.text("main > .past"))

    def test_what_the_server_says_of_a_result_is_shown_and_a_list_that_is_cut_says_so(self):
        head, corrected = Head(6), Head(6, StudyDescription="CT head, corrected")
        self.scan(head)
        self.scan(corrected)
        tab = self.tab()
        reason = "it is of images that were replaced"
        self.answer_otherwise(tab, "/results", f"(results) => results.forEach((one) => (one.reason = {reason!r}))")
        self.answer_otherwise(tab, "/api/worklist", f"(items) => items.forEach((item) => item.models.forEach((one) => (one.reason = {reason!r})))")
        self.answer_otherwise(tab, "/api/conflicts", "(conflicts, headers) => headers.set('X-Total-Count', conflicts.length + 1000)")
        tab.evaluate(f"location.hash = '{head.study}'")
        tab.until_text("aside .results li.negative", reason)
        tab.until(f"document.querySelector('aside .nothing').innerText === 'Nothing found by head-ct-hyperdense: {reason}'")
        wrong = len(self.server.get_json(f"/api/conflicts?study={head.study}"))
        tab.until_text(".band summary", f"{wrong} or more objects")
        tab.click(".band summary")
        self.assertIn(f"These are the first {wrong} of {wrong + 1000}.", tab.text(".band"))
        tab.press("Escape")
        self.assertIn(reason, self.row(tab, head.study, "row.querySelector('.negative')?.innerText"))
        tab.evaluate("location.hash = '/conflicts'")
        tab.until_text("main.conflicts", f"{wrong} or more objects")
        shown = len(self.server.get_json("/api/conflicts"))
        self.assertIn(f"These are the first {shown} of {shown + 1000}.", tab.text("main.conflicts"))
        self.assertEqual(tab.errors(), [])

    def test_what_the_models_said_and_why_they_said_nothing(self):
        listing = self.tab()
        unasked = generate_uid()
        self.store(new_image(unasked, PatientName="Not^Asked"))
        self.row(listing, unasked, "row.innerText.includes('images are still coming')")
        heads = {"negative": Head(10), "positive": Head(11, bleed=BLEED_SLICE), "contrast": Head(12, ContrastBolusAgent="Iomeprol")}
        for head in heads.values():
            self.scan(head)
        self.row(listing, unasked, "row.innerText.includes('no rule asked for it')")
        self.row(listing, heads["negative"].study, "row.querySelector('.negative')?.innerText === 'negative'")
        self.row(listing, heads["positive"].study, "row.querySelector('.positive')?.innerText === 'positive'")
        said = self.row(listing, heads["contrast"].study, "row.querySelector('.not-analysed')?.title")
        self.assertRegex(said, "^head-ct-hyperdense [0-9.]+: not analysed: ")
        self.assertIn("Iomeprol", said)
        # Each says why it is there, what it was made with and what of; in every line.
        self.assertNotIn("", listing.texts("td.why"))
        self.assertEqual(self.row(listing, heads["negative"].study, "row.querySelector('.modality').parentNode.innerText"), "CT CT head")
        tab = self.tab(heads["negative"].study)
        tab.until_text("aside .results li.negative", f"negative; looked at {SLICES} images, {SLICES * 3 - 3} mm")  # one slice has the pixels of the one before
        self.assertIn("contrast is not stated", tab.text("aside .results"))
        tab.until("document.querySelector('aside .nothing').innerText === 'Nothing found by head-ct-hyperdense'")
        self.assertNotIn("no rule", tab.text("aside").lower())
        self.check_in_sight(tab)
        (result,) = self.server.get_json(f"/api/studies/{heads['contrast'].study}/results")
        tab = self.tab(heads["contrast"].study)
        tab.until_text("aside .results li.not-analysed", result["reason"])
        self.assertEqual(tab.text("aside .nothing"), f"Not analysed by head-ct-hyperdense: {result['reason']}")
        tab = self.tab(unasked)
        tab.until_text("aside", "No rule asked for it.")
        self.assertEqual(tab.text("aside .nothing"), "No model has looked at this study.")
        # Somebody has looked, elsewhere or before a rebuild, and said so in a document that is not read here.
        self.store(new_image(unasked, PatientName="Not^Asked", Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.34"))
        self.row(listing, unasked, "row.innerText.includes('no rule asked for it; a report (SR) or segmentation (SEG) is stored')")
        tab = self.tab(unasked)
        tab.until_text("aside .nothing", "No answer is known for this study; a report (SR) or segmentation (SEG) is stored, which is not read here.")

        # A finding that a reader rejects is no positive any more; the result says so in both places.
        tab = self.tab(heads["positive"].study)
        tab.until("document.querySelector('.judge')")
        self.assertTrue(tab.text(".finding .sentence").startswith("Suspected "))
        tab.fill(".name input", "Dr Test")
        tab.click(".judge button:has-text('Reject')")
        tab.until_text("aside .results li.positive", "rejected by a reader")
        self.row(listing, heads["positive"].study, "row.querySelector('.positive')?.innerText === 'positive, rejected by a reader'")
        # What was looked at of one series says nothing of another.
        other = Head(10, series=2, Modality="MR", SeriesDescription="2 other")
        self.scan(other, other.slices[:2])
        tab = self.tab(heads["negative"].study)
        tab.until_text("aside .unasked", "No rule asked for 1 MR 2 other (2)")
        self.assertEqual(listing.errors(), [])

    def test_the_models_are_asked_again_where_nobody_has_looked(self):
        study = generate_uid()
        self.store(new_image(study, PatientName="Asked^Late"))
        tab = self.named(study)
        tab.until_text("aside .unasked", "No rule asked for it.")
        self.assertTrue(tab.evaluate("document.querySelector('.ask button').disabled"), "whoever asks has a name")
        tab.fill(".name input", "Dr Test")
        tab.click(".ask button")
        tab.until_text(".ask", "1 of 1 series has no rule that asks")
        self.server.put_json("/api/rules/late", {"model": "head-ct-hyperdense"})
        self.addCleanup(self.server.request, "/api/rules/late", "DELETE")
        tab.click(".ask button")
        tab.until_text("aside > .results li.not-analysed", "head-ct-hyperdense")
        tab.until_text(".ask", "1 look is queued")
        self.assertNotIn("No rule", tab.text("aside"))
        self.check_width(tab)


class Loss(PageTest):
    def test_lost_images_say_so_and_the_list_says_it_to_the_administrator(self):
        head = Head(1)
        self.scan(head, head.slices[:3])
        self.server.stop()
        for path in glob.glob(os.path.join(self.server.data, "packs", "*.pack")):
            os.unlink(path)
        self.server.start()
        listing, tab = self.tab(), self.tab(head.study)
        listing.until_text(".warnings li", "packs: 1 files with objects are not there")
        self.assertRegex(listing.text(".warnings li"), "^alarm since " + DATE)
        tab.until_text("main > .error", "The images cannot be shown: container 1 is not there: restore it from a backup (an administrator has to see to this)")


class LossOfSome(PageTest):
    def test_images_that_can_be_read_are_shown_and_the_others_are_counted(self):
        head = Head(1)
        self.scan(head, head.slices[:4])
        packs = os.path.join(self.server.data, "packs", "*.pack")
        pack = wait_until(lambda: glob.glob(packs), 10, "the pack")[0]
        os.truncate(pack, os.path.getsize(pack) // 2)
        listing, tab = self.tab(), self.tab(head.study)
        tab.until_text("main > .error", "of the 4 images of this series cannot be read and are missing here: container 1: file ends at offset")
        tab.until("document.querySelector('canvas')")
        listing.until_text(".warnings li", "an object in it cannot be read")


if __name__ == "__main__":
    unittest.main()
