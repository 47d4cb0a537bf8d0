#!/usr/bin/python3
"""The page for who runs the system: what is stuck and why, what is done about it, and the other systems that are spoken with."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, Hilum, free_port, pydicom_files, wait_until
from heads import Head
from test_outbox import put_in

sys.path.insert(0, os.path.join(ROOT, "tests", "page"))
from case import SCREENS, PageTest, new_image

PHONE = (390, 844)
# What is used or read, and is not whole in the window.
OUTSIDE = """[...document.querySelectorAll('button, select, input, a, td, th, h1, h2, .id, .clip')].filter((one) => one.offsetParent).filter((one) => {
    const { left, right } = one.getBoundingClientRect();
    return left < 0 || right > innerWidth || (one.matches('.id, .clip') && (one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight + 1));
}).map((one) => `${one.tagName} ${one.className} ${one.innerText.slice(0, 60)}`)"""
PLACES = ("/", "/conflicts", "/operation", "/connections", "/audit", "/accounts", "/me")
# WCAG 2.1, 1.4.3: every text that is seen and can be used, beside the colour behind it. [what it says, ratio] of those that are too faint.
FAINT = """(() => {
    const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (one) => { for (; one; one = one.parentElement) { const { rgb, a } = parse(getComputedStyle(one).backgroundColor); if (a === 1) return rgb; } return [20, 23, 26]; };
    const faint = [];
    for (const one of document.querySelectorAll('body *')) {
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || one.disabled || one.closest(':disabled') || !one.offsetParent || one.closest('.stage')) continue;
        const style = getComputedStyle(one), [a, b] = [light(parse(style.color).rgb), light(behind(one))].sort((x, y) => y - x);
        const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < (large ? 3 : 4.5)) faint.push([one.innerText.slice(0, 40), ratio]);
    }
    return faint;
})()"""


def a_file(name):
    return next(path for path in pydicom_files() if os.path.basename(path) == name)


class Operation(PageTest):
    @classmethod
    def prepare(cls):
        return "flow:\n  negative_quiet_s: 1\ndisk: {low_water_mb: 0}\n"

    def section(self, title):
        """The section of that name, in CSS as the browser's driver has it."""
        return f"section.panel:has(h2:text-is('{title}'))"

    def says(self, tab, title, part, seconds=30):
        tab.until(f"[...document.querySelectorAll('section.panel')].find((one) => one.querySelector('h2').innerText === {title!r})?.innerText.includes({part!r})", seconds, f"{part!r} in {title}")

    def opened(self, place, name="Dr. Admin"):
        tab = self.tab()
        tab.goto(self.server.url(f"/#{place}"))
        tab.until("document.querySelector('main h1')")
        if name:
            tab.fill(".name input", name)
        return tab

    def test_every_screen_is_reached_from_every_other_by_keyboard_and_can_be_read(self):
        self.store(new_image("1.2.3"))
        tab = self.tab()
        tab.until("document.querySelectorAll('nav a').length >= 4 && document.querySelector('tbody tr')")
        for words in tab.texts("nav a"):
            tab.evaluate(f"[...document.querySelectorAll('nav a')].find((one) => one.innerText === {words!r}).focus()")
            tab.press("Shift+Tab")
            tab.press("Tab")
            self.assertEqual(tab.evaluate("document.activeElement.innerText"), words)
            self.assertNotEqual(tab.evaluate("getComputedStyle(document.activeElement).outlineStyle"), "none")
            tab.press("Enter")
            tab.until(f"document.querySelector('nav [aria-current=page]')?.innerText === {words!r}")
        tab.press("Escape")
        tab.until("document.querySelector('nav [aria-current=page]')?.innerText === 'Reading list' && location.hash === ''")
        for place in PLACES:
            tab.goto(self.server.url(f"/#{place}"))
            tab.until("document.querySelector('main') && !document.body.innerText.includes('Loading')")
            self.assertEqual(tab.evaluate(FAINT), [], place)
            for width, height in (*SCREENS, (800, 600)):
                tab.resize(width, height)
                self.assertFalse(tab.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{place} at {width}")
        tab.goto(self.server.url("/#/nothing"))
        tab.until_text("main", "There is no such screen")

    def test_on_a_phone_nothing_is_cut_and_every_button_is_in_reach(self):
        self.store(new_image("1.2.5", PatientID="A-LONG-IDENTIFIER-0000-0001", StudyDescription="Wrist, left, in two planes, with the hand and the forearm"))
        self.server.put_json("/api/peers/phone", {"title": "PHONE", "host": "127.0.0.1", "port": free_port(), "rights": ["store", "find"]})
        self.server.put_json("/api/labels/phone", {"description": "for a narrow window"})
        self.server.request("/api/import", "POST", b"x" * 200)
        tab = self.tab()
        tab.resize(*PHONE)
        forms = {"/operation": ("Add a rule", "Add a receiver"), "/connections": ("Add a peer",), "/accounts": ("Add an account", "Make a token", "Add a label")}
        for place in (*PLACES, "1.2.5"):
            tab.goto(self.server.url(f"/#{place.removeprefix('/') if place == '/' else place}"))
            tab.until("document.querySelector('main h1') && !document.body.innerText.includes('Loading')")
            for button in forms.get(place, ()):
                tab.click(f"button:text-is('{button}')")
            tab.evaluate("[...document.querySelectorAll('form details')].forEach((one) => (one.open = true))")
            self.assertFalse(tab.evaluate("document.documentElement.scrollWidth > innerWidth"), place)
            self.assertEqual(tab.evaluate(OUTSIDE), [], place)
        tab.until("document.querySelector('.stage canvas')")
        stage, slider, aside = tab.evaluate("['.stage', '.scroll', 'aside'].map((one) => document.querySelector(one).getBoundingClientRect()).map((box) => [box.top, box.bottom, box.width])")
        self.assertGreater(stage[2], PHONE[0] * 0.8, "the image is small")
        self.assertLessEqual(stage[1], slider[0], "the image covers its slider")
        self.assertLessEqual(slider[1], aside[0], "the slider covers what is beside the images")

    def test_what_waits_for_a_target_that_is_gone_is_given_up_for_a_reason_and_sent_again(self):
        self.server.stop()
        put_in(self.server, [("hl7", "old-ris", f"m{number}") for number in range(3)])
        self.server.start()
        tab = self.opened("/operation", "")
        self.says(tab, "Deliveries", "there is no HL7 target 'old-ris'")
        tab.fill(".name input", "")
        tab.until("document.querySelector('[aria-label=\"Give up all: old-ris\"]').disabled", 5, "nobody signs")
        tab.fill(".name input", "Dr. Admin")
        tab.click("[aria-label='Give up all: old-ris']")
        tab.until("document.activeElement.matches('.deed input')")
        tab.press("Escape")  # of the line that asks, not of the screen
        tab.click("[aria-label='Give up all: old-ris']")
        tab.fill(".deed input", "the RIS was taken out of service")
        tab.press("Enter")
        self.says(tab, "Deliveries", "all delivered")
        self.assertEqual({row["lastError"] for row in self.server.get_json("/api/deliveries?state=given%20up")}, {"given up by Dr. Admin: the RIS was taken out of service"})
        tab.select(f"{self.section('Deliveries')} select", "given up")
        self.says(tab, "Deliveries", "given up by Dr. Admin: the RIS was taken out of service")
        tab.click(f"{self.section('Deliveries')} button:text-is('Send again')")
        wait_until(lambda: len(self.server.get_json("/api/deliveries?state=given%20up")) == 2, 10, "one goes out again")
        self.says(tab, "Deliveries", "1 on the way")
        self.assertEqual(tab.errors(), [])

    def test_where_no_backup_is_made_it_is_told_what_to_write(self):
        tab = self.opened("/operation", "")
        self.says(tab, "Backups", "hilum backup key")
        lines = tab.texts(".todo pre")
        key = os.path.join(self.folder, "backup.key")
        Hilum.command(None, "backup", "key", key)
        config = lines[1].replace("/etc/hilum/backup.key", key).replace("/mnt/backups/hilum", os.path.join(self.folder, "vault"))
        with Hilum(config=config) as server:  # what is told is what the server takes
            self.assertEqual(server.get_json("/api/backups")["at"], "02:30")

    def test_a_look_that_never_was_says_why_and_is_asked_for_again(self):
        self.server.request("/api/rules/head-ct-hyperdense", "DELETE")  # the package's own
        self.server.put_json("/api/rules/head", {"model": "not-there", "modality": "CT"})
        head = Head(1)
        self.scan(head)
        tab = self.opened("/operation")
        tab.select(f"{self.section('Jobs of models')} select", "")
        self.says(tab, "Jobs of models", "not-there", 60)
        self.assertIn(head.study, [link.split("#")[1] for link in tab.evaluate("[...document.querySelectorAll('.uid')].map((one) => one.href)")])
        self.server.put_json("/api/rules/head", {"model": "head-ct-hyperdense", "modality": "CT"})
        tab.click("button:text-is('Ask again')")
        tab.until("/look is queued/.test(document.body.innerText)")
        wait_until(lambda: any(job["model"].startswith("head-ct-hyperdense") for job in self.server.get_json(f"/api/jobs?study={head.study}")), 60, "it looks")

    def test_what_was_refused_is_listed_and_removed(self):
        with open(a_file("CT_small.dcm"), "rb") as whole:
            self.assertEqual(self.server.request("/api/import", "POST", whole.read()[:3000])[0], 400)
        tab = self.opened("/operation")
        self.says(tab, "Refused and kept", "1 object")
        self.says(tab, "Refused and kept", self.server.get_json("/api/quarantine")[0]["reason"])
        self.assertIn("for good", tab.ask(f"{self.section('Refused and kept')} button"))
        tab.accept()
        self.says(tab, "Refused and kept", "nothing was refused")
        self.assertEqual(self.server.get_json("/api/quarantine"), [])

    def test_a_rule_is_tried_before_it_is_entered_and_another_tab_sees_it_at_once(self):
        for name in ("CT_small.dcm", "MR_small.dcm"):
            with open(a_file(name), "rb") as file:
                self.server.request("/api/import", "POST", file.read())
        series = len(self.server.get_json("/dicom-web/series"))
        tab, other = self.opened("/operation"), self.opened("/operation")
        tab.click("button:text-is('Add a rule')")
        for field, text in (("name", "brains"), ("modality", "MR"), ("model", "head-ct-hyperdense"), ("hl7_to", "ris, his")):
            tab.fill(f"form [name={field}]", text)
        tab.press("Tab")
        tab.click("form button:text-is('Try on what is here')")
        tab.until_text("form [role=status]", f"1 of the {series} series match")
        self.assertNotIn("brains", [rule["name"] for rule in self.server.get_json("/api/rules")])
        tab.click("form button:text-is('Save')")
        for seen in (tab, other):
            self.says(seen, "Rules", "brains")
        (rule,) = [rule for rule in self.server.get_json("/api/rules") if rule["name"] == "brains"]
        self.assertEqual((rule["modality"], rule["hl7_to"], rule["enabled"]), ("MR", ["ris", "his"], True))
        tab.click("[aria-label='Turn off: brains']")
        tab.until("document.querySelector('[aria-label=\"Turn on: brains\"]')")
        (rule,) = [rule for rule in self.server.get_json("/api/rules") if rule["name"] == "brains"]
        self.assertEqual((rule["modality"], rule["hl7_to"], rule["enabled"]), ("MR", ["ris", "his"], False))
        self.assertIn("brains", tab.ask("[aria-label='Remove brains']"))
        tab.accept()
        other.until("!document.body.innerText.includes('brains')")

    def test_a_receiver_is_entered_and_moved_and_keeps_what_it_had(self):
        self.server.put_json("/api/hl7-targets/lab", {"host": "127.0.0.1", "port": 2575, "facility": "WEST"})
        tab = self.opened("/operation")
        tab.click(f"{self.section('HL7 receivers')} tr:has-text('lab') button:text-is('Edit')")
        tab.fill("form [name=port]", "2600")
        tab.click("form button:text-is('Save')")
        self.says(tab, "HL7 receivers", "127.0.0.1:2600")
        (target,) = [target for target in self.server.get_json("/api/hl7-targets") if target["name"] == "lab"]
        self.assertEqual((target["port"], target["facility"]), (2600, "WEST"))
        tab.click(f"{self.section('HL7 receivers')} tr:has-text('lab') button:text-is('Edit')")
        tab.fill("form [name=port]", "many")
        tab.click("form button:text-is('Save')")
        tab.until_text("form .error", "port")
        self.assertEqual(self.server.get_json("/api/hl7-targets")[0]["port"], 2600)


class Backups(PageTest):
    @classmethod
    def prepare(cls):
        cls.vault, cls.key = os.path.join(cls.folder, "vault"), os.path.join(cls.folder, "backup.key")
        Hilum.command(None, "backup", "key", cls.key)
        return f"backup:\n  folder: {cls.vault}\n  key: {cls.key}\n  at: '03:30'\n"

    def test_one_is_made_when_asked_and_why_the_next_was_not_is_told_with_its_alarm(self):
        tab = self.tab()
        tab.goto(self.server.url("/#/operation"))
        part = "section.panel:has(h2:text-is('Backups'))"
        said = "[...document.querySelectorAll('section.panel')].find((one) => one.querySelector('h2').innerText === 'Backups')"
        tab.until(f"{said}?.innerText.includes('none yet')")
        for words in (self.vault, "each day at 03:30", "A copy of this key must be kept elsewhere"):
            self.assertIn(words, tab.evaluate(f"{said}.innerText"))
        tab.click(f"{part} button:text-is('Make one now')")
        tab.until(f"{said}.querySelectorAll('tbody tr').length === 1")
        (made,) = self.server.get_json("/api/backups")["backups"]
        row = tab.evaluate(f"{said}.querySelector('tbody tr').innerText")
        self.assertIn(made["name"], row)
        self.assertIn("whole", row)
        self.assertRegex(tab.evaluate(f"{said}.innerText"), "the last one .*, 0 min ago")
        self.assertIn(self.server.get_json("/api/backups")["key"], tab.evaluate(f"{said}.innerText"))
        tab.click(f"{part} button:text-is('Make one now')")
        tab.until(f"{said}.querySelectorAll('tbody tr').length === 2")
        self.assertGreater(*tab.evaluate(f"[...{said}.querySelectorAll('tbody tr')].map((row) => row.dataset.key)"), "the newest is the first")

        os.rename(self.vault, self.vault + ".away")
        tab.click(f"{part} button:text-is('Make one now')")
        tab.until(f"{said}.querySelector('[role=alert]')?.innerText.includes('is its disk mounted?')")
        tab.goto(self.server.url("/#"))
        tab.until_text(".warnings", "last backup: none was made into")
        self.assertEqual(tab.errors(), [])

    def test_one_that_is_being_made_shows_how_far_it_is_and_those_with_damage_are_marked(self):
        tab = self.tab()
        made = '{ name: "000003-X", readable: true, time: "2026-11-29T02:30:00Z", files: 9, bytes: 5e9, damaged: 2, version: "1" }, { name: "000002-X", readable: false }'
        running = '{ since: "2026-11-29T03:30:00Z", what: "objects", done: 2500000, total: 10000000 }'
        self.answer_otherwise(tab, "/api/backups", f"(body) => {{ body.running = {running}; body.backups = [{made}]; body.last = '2026-11-29T02:30:00Z'; }}")
        tab.evaluate("location.hash = '#/operation'")
        tab.until_text(".making", "2.5 MB of 10.0 MB")
        self.assertEqual(tab.evaluate("document.querySelector('.making progress').position"), 0.25)
        self.assertTrue(tab.evaluate("[...document.querySelectorAll('button')].find((one) => one.innerText === 'Make one now').disabled"))
        self.assertIn("2 containers were missing or damaged", tab.text("tr.bad[data-key='000003-X']"))
        self.assertIn("cannot be read", tab.text("tr.bad[data-key='000002-X']"))


class Audit(PageTest):
    def test_a_reviewer_finds_what_was_done_with_a_study_and_goes_back_page_by_page(self):
        self.store(new_image("1.2.3"), new_image("1.2.4"))
        tab = self.tab()
        tab.goto(self.server.url("/#/audit"))
        tab.until("document.querySelectorAll('main.audit tbody tr').length > 3")
        tab.fill("[name=event]", "Application Start")
        tab.press("Enter")
        tab.until("document.querySelectorAll('main.audit tbody tr').length === 1")
        self.assertIn("Application Start", tab.text("main.audit tbody"))
        tab.fill("[name=event]", "")
        tab.fill("[name=study]", "1.2.3")
        tab.press("Enter")
        tab.until("(rows => rows.length > 0 && rows.every((row) => row.querySelector('.uid')?.title === '1.2.3'))([...document.querySelectorAll('main.audit tbody tr')])")
        tab.fill("[name=from]", "yesterday")
        tab.press("Enter")
        tab.until_text("main .error", "A day is written as")
        tab.fill("[name=study]", "")
        tab.fill("[name=from]", "2199-01-01 00:00")
        tab.press("Enter")
        tab.until_text("main", "No line of the trail is like that")

        # Older lines, a page at a time.
        for _ in range(120):
            self.server.request("/api/peers/none", "DELETE")
        wait_until(lambda: len(self.server.get_json("/api/audit?limit=130")["lines"]) > 110, 10, "the lines are written")
        tab.fill("[name=from]", "")
        tab.press("Enter")
        tab.until("document.querySelectorAll('main.audit tbody tr').length === 100")
        first = tab.evaluate("document.querySelector('main.audit tbody tr').dataset.key")  # its words may be those of the next
        tab.click("button:text-is('Older ones')")
        tab.until(f"document.querySelector('main.audit tbody tr') && document.querySelector('main.audit tbody tr').dataset.key !== {first!r} && [...document.querySelectorAll('button')].some((one) => one.innerText === 'The newest')")
        self.assertEqual(tab.errors(), [])


class Peers(PageTest):
    def entered(self, tab, title, port, right="target"):
        """By five fields."""
        tab.click("button:text-is('Add a peer')")
        for field, text in (("title", title), ("host", "127.0.0.1"), ("port", str(port))):
            tab.fill(f"form [name={field}]", text)
        tab.click(f"form [value={right}]")
        tab.select("form [name=plain]", "accepted")
        tab.click("form button:text-is('Add a peer')")
        tab.until(f"document.querySelector('tr[data-key={title.lower()}]')")

    def test_a_peer_is_entered_in_five_fields_answers_and_is_changed(self):
        tab = self.tab()
        tab.goto(self.server.url("/#/connections"))
        tab.until_text("main", "this machine's clock")
        with Hilum() as pacs:
            self.entered(tab, "HILUM", pacs.dicom)
            (peer,) = self.server.get_json("/api/peers")
            self.assertEqual([peer[what] for what in ("name", "title", "host", "port", "rights", "plain")], ["hilum", "HILUM", "127.0.0.1", pacs.dicom, ["store", "target"], "accepted"])
            tab.click("[aria-label='Echo hilum']")
            tab.until_text("tr[data-key=hilum] [role=status]", "answered in")
        tab.click("[aria-label='Echo hilum']")
        tab.until_text("tr[data-key=hilum] [role=alert]", str(peer["port"]))  # nobody is there any more
        tab.click("[aria-label='Edit hilum']")
        tab.click("form summary")
        self.assertTrue(tab.evaluate("document.querySelector('form [name=name]').disabled"))
        tab.fill("form [name=issuer]", "SITE-A")
        tab.click("form button:text-is('Save')")
        wait_until(lambda: self.server.get_json("/api/peers")[0].get("issuer") == "SITE-A", 10, "changed")
        self.assertEqual(self.server.get_json("/api/peers")[0]["rights"], ["store", "target"])

        # What the server refuses stays in the form, with its reason.
        tab.click("button:text-is('Add a peer')")
        tab.click("form summary")
        for field, text in (("name", "long"), ("title", "A TITLE OF MORE THAN 16"), ("host", "127.0.0.1")):
            tab.fill(f"form [name={field}]", text)
        tab.click("form button:text-is('Add a peer')")
        tab.until_text("form .error", "A TITLE OF MORE THAN 16")
        self.assertEqual(tab.evaluate("document.querySelector('form [name=name]').value"), "long")

    def test_somebody_elses_change_is_not_overwritten(self):
        port = free_port()
        self.server.put_json("/api/peers/ct", {"title": "CT1", "host": "127.0.0.1", "port": port, "rights": ["store"]})
        tab = self.tab()
        tab.goto(self.server.url("/#/connections"))
        tab.until("document.querySelector('tr[data-key=ct]')")
        tab.click("[aria-label='Edit ct']")
        peer = next(peer for peer in self.server.get_json("/api/peers") if peer["name"] == "ct")
        self.server.put_json("/api/peers/ct", dict(peer, title="CT2"))
        tab.fill("form [name=title]", "CT3")
        tab.click("form button:text-is('Save')")
        tab.until("document.querySelector('form .error')")
        self.assertEqual(next(peer for peer in self.server.get_json("/api/peers") if peer["name"] == "ct")["title"], "CT2")


if __name__ == "__main__":
    unittest.main()
