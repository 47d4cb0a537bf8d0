#!/usr/bin/python3
"""The page's button of an identity provider, in a real browser, whose cookies are kept and sent as browsers do that."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "page"))
sys.path.insert(0, os.path.join(ROOT, "tests", "oidc"))
from case import PageTest
from provider import SECRET, Provider


PASSWORD = "correct horse battery"


class Site(PageTest):
    @classmethod
    def setUpClass(cls):
        # "localhost" is another site than the provider's 127.0.0.1, as theirs are: SameSite tells them apart.
        cls.provider = Provider("http://localhost:0/")
        cls.addClassCleanup(cls.provider.close)
        cls.provider.set("ada", name="Ada Lovelace", preferred_username="ada", groups=["it", "readers"])
        cls.provider.set("bob", name="Bob", preferred_username="bob", groups=["porters"])
        super().setUpClass()
        cls.provider.options["client"]["redirect_uris"] = [cls.url("/api/session/provider/callback")]

    @classmethod
    def url(cls, path):
        return f"http://localhost:{cls.server.http}{path}"


class Entered(Site):
    def test_a_provider_is_entered_changed_and_removed_on_the_page(self):
        self.server.put_json("/api/accounts/boss", {"shown": "Boss", "roles": ["administrator"], "password": PASSWORD})
        tab = self.browser.tab()
        self.addCleanup(tab.close)
        tab.goto(self.url("/#/accounts"))
        tab.fill(".login [name=name]", "boss")
        tab.fill(".login [name=password]", PASSWORD)
        tab.click(".login button.main")
        tab.until_text("main", self.url("/api/session/provider/callback"))  # what to register, before anything is entered

        tab.click("button:text-is('Enter the provider')")
        for field, text in (("issuer", self.provider.issuer), ("client_id", "hilum"), ("client_secret", SECRET), ("roles", "it=administrator")):
            tab.fill(f"form [name={field}]", text)
        tab.click("form button:text-is('Enter the provider')")
        tab.until_text("main", "nothing listens")  # it is kept, with what is wrong
        self.assertIn(self.provider.issuer, tab.text("main"))

        self.provider.start()
        tab.click("button:text-is('Change')")
        self.assertEqual(tab.evaluate("document.querySelector('form [name=client_secret]').value"), "")
        tab.evaluate("document.querySelector('form details').open = true")
        tab.fill("form [name=name]", "Renamed")
        tab.click("form button:text-is('Save')")
        tab.until_text("main", "It is entered, and answers as it should.")
        self.assertNotIn(SECRET, tab.evaluate("document.documentElement.outerHTML"))
        self.assertEqual(self.server.get_json("/api/login")["providers"][0]["words"], "Log in with Renamed")

        tab.click("button[aria-label='Remove Renamed']")
        tab.until("document.querySelector('main.accounts').innerText.includes('Enter the provider')")
        self.assertEqual(self.server.get_json("/api/login")["providers"], [])
        self.assertEqual([line for line in tab.errors() if not re.search("status of 40[014]", line)], [])


class Oidc(Site):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.start()
        cls.server.put_json("/api/provider", cls.provider.entry())

    def by_provider(self, tab, login):
        tab.click(".login a.way[href='/api/session/provider']")
        tab.until("document.querySelector('input[name=login]')")
        tab.fill("[name=login]", login)
        tab.fill("[name=password]", "anything")
        tab.press("Enter")
        tab.until(f"location.href.startsWith({self.url('/')!r})")

    def test_the_button_leads_to_the_provider_and_back_to_where_one_was(self):
        tab = self.browser.tab()
        self.addCleanup(tab.close)
        tab.goto(self.url("/#/accounts"))
        tab.until("document.querySelector('.providers a.way')")
        self.by_provider(tab, "bob")
        tab.until_text(".login .error", "none of your groups at Testing has a role here: porters")
        tab.goto("about:blank")
        tab.goto(self.url("/#/accounts"))
        tab.until("document.querySelector('.providers a.way')")
        self.assertEqual(tab.texts(".login .error"), [])  # told once

        # Bob is logged in at the provider; Ada is another one's turn.
        tab.goto(f"{self.provider.issuer}/session/end")
        tab.click("[name=logout]")
        tab.until("!document.querySelector('[name=logout]')")
        tab.goto(self.url("/#/accounts"))
        tab.until("document.querySelector('.providers a.way')")
        self.by_provider(tab, "ada")
        tab.until("document.querySelector('main.accounts tr[data-key=ada]')")  # where one wanted to be
        self.assertIn("Ada Lovelace", tab.text(".person"))

        tab.click("button:text-is('Log off')")
        tab.until_text(".login", "may still be logged in at Testing")
        self.assertEqual(tab.evaluate("document.querySelector('.login a').href"), f"{self.provider.issuer}/session/end?client_id=hilum")
        self.assertEqual([line for line in tab.errors() if not re.search("status of 40[014]", line)], [])


if __name__ == "__main__":
    unittest.main()
