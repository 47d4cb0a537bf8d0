#!/usr/bin/python3
"""The page where logins are needed: the first administrator, accounts, who may see what, whose word a judgement is, the end of a session with nobody at it, emergencies, and labels."""

import json
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, wait_until
from heads import BLEED_SLICE, Head

sys.path.insert(0, os.path.join(ROOT, "tests", "page"))
from case import PageTest, new_image

PASSWORD = "correct horse battery"


class LoginTest(PageTest):
    """A server that needs logins."""

    @classmethod
    def prepare(cls):
        return "flow:\n  negative_quiet_s: 1\nhttp:\n  names: hilum.example\n"

    @classmethod
    def ask(cls, path, method="GET", body=None):
        """As the program's own commands do."""
        with open(os.path.join(cls.server.data, "token"), encoding="utf-8") as file:
            headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
        status, _, answer = cls.server.request(path, method, json.dumps(body).encode() if body is not None else None, headers)
        assert status in (200, 201, 204), f"{method} {path} answered {status}: {answer[:300]!r}"
        return json.loads(answer) if answer else None

    @classmethod
    def account(cls, name, shown, *roles):
        cls.ask(f"/api/accounts/{name}", "PUT", {"shown": shown, "roles": list(roles), "password": PASSWORD})

    def fresh(self, address=""):
        """A tab in which nobody is logged in."""
        tab = self.tab()
        tab.evaluate("fetch('/api/session').then((answer) => answer.json()).then(({ csrf }) => fetch('/api/session', { method: 'DELETE', headers: { 'X-Hilum-CSRF': csrf ?? '' } })).then(() => true, () => true)")
        tab.evaluate("(sessionStorage.clear(), localStorage.clear())")
        tab.goto("about:blank")
        tab.goto(self.server.url(f"/#{address}"))
        tab.until("document.querySelector('.login form')")
        return tab

    def log_in(self, tab, name, password=PASSWORD):
        tab.fill("[name=name]", name)
        tab.fill("[name=password]", password)
        tab.press("Enter")

    def check_errors(self, tab, expected="status of 40[01]"):
        self.assertEqual([line for line in tab.errors() if not re.search(expected, line)], [])

    def hide(self, number, *labels):
        """A study that has these labels."""
        study = f"1.2.826.0.1.3680043.10.1.{number}"
        path = os.path.join(self.folder, f"{number}.dcm")
        new_image(study, PatientName="Hidden^From^Many").save_as(path, write_like_original=False)
        self.server.storescu(path)
        for label in labels:
            if label not in [one["name"] for one in self.ask("/api/labels")]:
                self.ask(f"/api/labels/{label}", "PUT", {"description": f"for {label}"})
        version = self.ask(f"/api/studies/{study}/labels")["version"]
        self.ask(f"/api/studies/{study}/labels", "PUT", {"labels": list(labels), "version": version})
        return study


class Login(LoginTest):
    def test_1_the_first_administrator_comes_in_by_the_code_and_enters_a_reader(self):
        tab = self.fresh("/accounts")
        self.assertIn("The first administrator", tab.text("main"))
        self.assertEqual(tab.evaluate("document.activeElement.name"), "code")
        with open(os.path.join(self.server.data, "first-administrator"), encoding="utf-8") as file:
            code = file.read().strip()
        for field, text in (("code", code), ("name", "root"), ("password", PASSWORD), ("again", PASSWORD + "!")):
            tab.fill(f"[name={field}]", text)
        tab.press("Enter")
        tab.until_text(".login .error", "not the same")
        tab.fill("[name=again]", PASSWORD)
        tab.press("Enter")
        tab.until("document.querySelector('main.accounts tr[data-key=root]')")  # where one wanted to be
        self.assertIn("root", tab.text(".person"))
        self.assertIn("Accounts", tab.texts("nav a"))

        tab.click("button:text-is('Add an account')")
        for field, text in (("name", "anna"), ("shown", "Dr. Anna Roe"), ("password", "short")):
            tab.fill(f"form [name={field}]", text)
        tab.click("form [value=radiologist]")
        tab.click("form button:text-is('Save')")
        tab.until_text("form .error", "password")
        tab.fill("form [name=password]", PASSWORD)
        tab.click("form button:text-is('Save')")
        tab.until("document.querySelector('tr[data-key=anna]')")
        self.assertEqual(next(one for one in self.ask("/api/accounts") if one["name"] == "anna")["roles"], ["radiologist"])

        # Deeds are signed with the name that is logged in: none is asked for.
        tab.evaluate("location.hash = '/operation'")
        tab.until_text("main .name", "You act as root")
        self.assertEqual(tab.texts(".name input"), [])
        tab.evaluate("location.hash = '/accounts'")

        # Whoever lacks a study's label does not see it; an account is given one.
        tab.click("button:text-is('Add a label')")
        tab.fill("form [name=name]", "staff")
        tab.fill("form [name=description]", "people who work here")
        tab.click("form button:text-is('Add a label')")
        tab.until("document.querySelector('[data-key=\"label staff\"]')")
        tab.click("[aria-label='Edit anna']")
        tab.fill("form [name=labels]", "staff")
        tab.click("form button:text-is('Save')")
        tab.until_text("tr[data-key=anna]", "staff")
        anna = next(one for one in self.ask("/api/accounts") if one["name"] == "anna")
        self.assertEqual((anna["labels"], anna["roles"], anna["shown"]), (["staff"], ["radiologist"], "Dr. Anna Roe"))

        # A program's token is shown once.
        tab.click("button:text-is('Make a token')")
        tab.fill("form [name=name]", "viewer")
        tab.click("form button:text-is('Make a token')")
        token = tab.until("document.querySelector('.band code')?.innerText")
        self.assertEqual(self.server.request("/api/worklist", headers={"Authorization": f"Bearer {token}"})[0], 200)
        tab.click("button:text-is('I have it')")
        self.assertIn("Revoke", tab.text("tr[data-key=viewer]") + tab.ask("[aria-label='Revoke viewer']"))
        tab.accept()
        wait_until(lambda: self.server.request("/api/worklist", headers={"Authorization": f"Bearer {token}"})[0] == 401, 10, "it is revoked")
        self.check_errors(tab)

    def test_2_a_reader_sees_what_a_reader_may_and_signs_with_his_own_name(self):
        self.account("anna", "Dr. Anna Roe", "radiologist")
        head = Head(1, bleed=BLEED_SLICE)
        self.server.storescu(*head.save(tempfile.mkdtemp(dir=self.folder)), aet="CT1")
        wait_until(lambda: self.ask(f"/api/studies/{head.study}/findings"), 60, "a finding")
        tab = self.fresh(head.study)
        self.log_in(tab, "anna", "wrong horse battery")
        tab.until("document.querySelector('.login .error')")
        self.log_in(tab, "anna")
        tab.until("document.querySelector('.finding')")
        self.assertEqual(tab.texts("nav a"), ["Reading list", "Conflicts"])
        self.assertIn("You judge as Dr. Anna Roe", tab.text("aside"))
        self.assertEqual(tab.texts(".name input"), [])
        tab.fill(".judge textarea", "as in the report")
        tab.click(".judge button:has-text('Accept')")
        tab.until_text(".judged", "accepted by Dr. Anna Roe")
        (finding,) = self.ask(f"/api/studies/{head.study}/findings")
        self.assertEqual((finding["state"], finding["judgedBy"], finding["comment"]), ("accepted", "Dr. Anna Roe", "as in the report"))
        tab.goto(self.server.url("/#/operation"))
        tab.until_text("main", "Your role may not see the operation")

        # A comment that was not sent outlasts a session that was ended; one that was logged off by hand does not.
        tab.goto(self.server.url(f"/#{head.study}"))
        tab.click(".finding button:has-text('Change')")
        tab.fill(".judge textarea", "half a thought")
        for one in self.ask("/api/sessions"):
            self.ask(f"/api/sessions/{one['id']}", "DELETE")
        tab.until("document.querySelector('.login form')", 40)
        self.assertNotIn("Day", tab.text("body"))
        self.log_in(tab, "anna")
        tab.until("document.querySelector('.finding')")
        tab.click(".finding button:has-text('Change')")
        tab.click(".person button")
        tab.until("document.querySelector('.login form')")
        self.assertEqual(tab.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('draft'))"), [])
        self.check_errors(tab)

    def test_3_with_nobody_there_the_session_ends_a_minute_after_it_was_said(self):
        self.account("anna", "Dr. Anna Roe", "radiologist")
        tab = self.fresh()
        self.log_in(tab, "anna")
        tab.until("document.querySelector('main h1')?.innerText === 'Reading list'")
        idle = tab.evaluate("fetch('/api/session').then((answer) => answer.json()).then(({ idle_s }) => idle_s)")
        since = "localStorage.setItem('active', String(Date.now() - {0} * 1000))"
        tab.evaluate(since.format(idle - 59))
        tab.until_text(".ending", "you are logged off in")
        tab.click(".ending button")
        tab.until("!document.querySelector('.ending')")
        tab.evaluate(since.format(idle + 1))
        tab.until_text(".login", "You were logged off because nobody was here")
        self.assertEqual([one for one in self.ask("/api/sessions") if one["name"] == "anna"], [])
        self.check_errors(tab)


class Emergency(LoginTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account("root", "Root", "administrator")

    def test_in_an_emergency_a_reader_sees_a_hidden_study_says_why_and_is_told_all_the_while(self):
        study = self.hide(4, "staff")
        self.account("eve", "Dr. Eve Poe", "radiologist")
        tab = self.fresh(study)
        self.log_in(tab, "eve")
        tab.until_text("main h1", "No such study")
        tab.until("document.querySelector('details.emergency')")
        self.assertNotIn("an alarm stands", tab.text("main"))  # quiet until somebody opens it
        tab.click("details.emergency summary")
        for words in ("one hour", "audit trail", "an alarm stands"):
            self.assertIn(words, tab.text("details.emergency"))
        button = "details.emergency button"
        tab.fill("[name=reason]", "too short")
        self.assertTrue(tab.evaluate(f"document.querySelector({button!r}).disabled"))
        tab.fill("[name=reason]", "unconscious in the emergency room,\nno colleague is here")
        tab.click(button)
        tab.until_text(".emergency-banner", "Emergency access until")
        tab.until("document.querySelector('.stage canvas')")  # the study, without being asked for again
        self.assertIn("Hidden, From Many", tab.text("main h1"))
        self.assertRegex(tab.text(".emergency-banner"), r"until \d{4}-\d\d-\d\d \d\d:\d\d")
        self.check_in_sight(tab)
        for place in ("", "/conflicts", "/me", "/nowhere"):
            tab.evaluate(f"location.hash = '{place}'")
            tab.until(f"!document.querySelector('.study') && document.querySelector('.emergency-banner') && location.hash.slice(1) === '{place}'")
            self.assertEqual(tab.texts("details.emergency"), [])
        self.assertTrue(any("an emergency" in line for line in self.ask("/healthz")["warnings"]))
        lines = wait_until(lambda: [line for line in self.ask("/api/audit")["lines"] if "unconscious in the emergency room, no colleague is here" in json.dumps(line)], 10, "the reason in the trail")
        self.assertEqual(len(lines), 1)

        tab.click(".emergency-banner button")
        tab.until("document.querySelector('.login form')")
        self.log_in(tab, "eve")
        tab.until("document.querySelector('main h1')")
        self.assertEqual(tab.texts(".emergency-banner"), [])
        tab.evaluate(f"location.hash = '{study}'")
        tab.until_text("main h1", "No such study")

        # Its end by itself is seen without anything being pressed.
        tab.evaluate("location.hash = '/me'")
        tab.click("details.emergency summary")
        tab.fill("[name=reason]", "unconscious in the emergency room")
        tab.click(button)
        tab.until("document.querySelector('.emergency-banner')")
        self.answer_otherwise(tab, "/api/session", "(body) => { body.emergency = null; body.labels = []; }")
        tab.until("!document.querySelector('.emergency-banner') && document.querySelector('details.emergency')", 40)
        self.check_errors(tab, "status of 40[14]")

    def test_who_does_not_read_or_sees_all_studies_is_offered_no_emergency(self):
        study = self.hide(5, "staff")
        self.account("tom", "Tom Technologist", "technologist")
        self.account("ada", "Dr. Ada All", "radiologist")
        self.ask("/api/accounts/ada", "PUT", {"labels": [one["name"] for one in self.ask("/api/labels")]})
        for name, place, words in (("tom", study, "No such study"), ("ada", "1.2.3.4.5", "No such study"), ("ada", "/me", "Ada")):
            tab = self.fresh(place)
            self.log_in(tab, name)
            tab.until_text("main h1", words)
            tab.until("document.querySelector('[role=status].live')")
            self.assertEqual(tab.texts("details.emergency"), [], name)


class Labels(LoginTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account("root", "Root", "administrator")
        for label, about in (("staff", "people who work here"), ("vip", "known to the public")):
            cls.ask(f"/api/labels/{label}", "PUT", {"description": about})
        for name, roles, labels in (("anna", ["radiologist"], ["staff"]), ("tom", ["technologist"], []), ("tess", ["technologist"], ["staff"]), ("root", ["administrator"], ["staff", "vip"])):
            cls.account(name, name.title(), *roles)
            cls.ask(f"/api/accounts/{name}", "PUT", {"labels": labels})

    def opened_by(self, name, place):
        tab = self.fresh(place)
        self.log_in(tab, name)
        tab.until("document.querySelector('main h1')")
        return tab

    def labels(self, study):
        return self.ask(f"/api/studies/{study}/labels")["labels"]

    def test_who_may_takes_a_label_away_and_is_told_who_sees_the_study_then(self):
        study = self.hide(6, "staff")
        tab = self.opened_by("tess", study)
        tab.until_text(".tags", "staff")
        self.assertEqual(tab.evaluate("document.querySelectorAll('.tags button, .tags select').length"), 0)
        self.assertEqual(tab.evaluate("document.querySelector('.tag').title"), "people who work here")
        self.check_in_sight(tab)

        tab = self.opened_by("root", study)
        tab.until("document.querySelector('.tag button')")
        self.assertIn("Your role may not retrieve objects", tab.text("main"))
        self.assertEqual(tab.texts("main [role=alert]"), [])
        asked = tab.ask("[aria-label='Take the label staff away']")
        for words in ("seen by all who may query", "tom (account)"):
            self.assertIn(words, asked)
        self.assertNotIn("anna", asked)  # she sees it already
        tab.accept()
        wait_until(lambda: self.labels(study) == [], 10, "taken away")
        tab.until("!document.querySelector('.tag')")
        tab.select(".tags select", "staff")
        tab.until_text(".tag", "staff")
        tab.select(".tags select", "vip")
        wait_until(lambda: self.labels(study) == ["staff", "vip"], 10, "added")
        self.assertIn("have the label vip", tab.ask("[aria-label='Take the label staff away']"))
        tab.accept()
        wait_until(lambda: self.labels(study) == ["vip"], 10, "one is taken away, the other stays")
        self.check_errors(tab)

    def test_whoever_would_lose_sight_of_the_study_is_asked_before(self):
        study = self.hide(7, "staff")
        tab = self.opened_by("anna", study)
        tab.until("document.querySelector('.tags select')")
        tab.evaluate("(window.confirm = (words) => { window.asked = words; return false; }, true)")
        tab.select(".tags select", "vip")
        self.assertIn("you will not see this study any more", tab.until("window.asked"))
        self.assertEqual(self.labels(study), ["staff"])
        tab.evaluate("(window.confirm = () => true)")
        tab.until("!document.querySelector('.tags select').disabled")
        tab.select(".tags select", "vip")
        tab.until_text("main h1", "No such study")
        self.assertEqual(self.labels(study), ["staff", "vip"])

    def test_labels_that_somebody_else_changed_meanwhile_are_told_and_stay(self):
        study = self.hide(8, "staff")
        tab = self.opened_by("root", study)
        tab.until("document.querySelector('.tags select')")
        tab.evaluate("(() => { const real = window.fetch; window.fetch = (path, init) => real(path, init?.method === 'PUT' ? { ...init, body: init.body.replace(/\"version\":\\d+/, '\"version\":0') } : init); })()")
        tab.select(".tags select", "vip")
        tab.until_text(".tags .error", "Nothing was changed")
        self.assertIn("It has now: staff.", tab.text(".tags .error"))
        self.assertEqual(self.labels(study), ["staff"])

    def test_an_administrator_makes_a_label_changes_its_words_and_sees_who_has_it(self):
        self.ask("/api/tokens", "POST", {"name": "viewer", "roles": ["service"], "days": 3, "labels": ["staff"]})
        self.ask("/api/peers/ct", "PUT", {"title": "CT", "host": "127.0.0.1", "port": 104, "rights": ["store"], "puts": ["staff"]})
        tab = self.opened_by("root", "/accounts")
        tab.until_text("[data-key='label staff']", "viewer (program)")
        for words in ("people who work here", "anna (account)", "ct (peer)"):
            self.assertIn(words, tab.text("[data-key='label staff']"))
        self.assertNotIn("tom", tab.text("[data-key='label staff']"))
        tab.click("button:text-is('Add a label')")
        tab.fill("form [name=name]", "vip")
        tab.fill("form [name=description]", "other words")
        tab.click("form button:text-is('Add a label')")
        tab.until_text("form .error", "There is a label vip already")
        tab.fill("form [name=name]", "trial")
        tab.click("form button:text-is('Add a label')")
        tab.until_text("[data-key='label trial']", "other words")
        tab.click("[aria-label='Edit trial']")
        tab.fill("form [name=description]", "of the trial")
        tab.click("form button:text-is('Save')")
        tab.until_text("[data-key='label trial']", "of the trial")
        self.check_errors(tab)


if __name__ == "__main__":
    unittest.main()
