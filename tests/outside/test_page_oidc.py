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
from provider import Provider


class Oidc(PageTest):
    @classmethod
    def setUpClass(cls):
        # "localhost" is another site than the provider's 127.0.0.1, as theirs are: SameSite tells them apart.
        cls.provider = Provider("http://localhost:0/")
        cls.addClassCleanup(cls.provider.close)
        cls.provider.set("ada", name="Ada Lovelace", preferred_username="ada", groups=["it", "readers"])
        cls.provider.set("bob", name="Bob", preferred_username="bob", groups=["porters"])
        super().setUpClass()
        cls.provider.options["client"]["redirect_uris"] = [cls.url("/api/session/provider/callback")]
        cls.provider.start()

    @classmethod
    def prepare(cls):
        return cls.provider.config()

    @classmethod
    def url(cls, path):
        return f"http://localhost:{cls.server.http}{path}"

    def by_provider(self, tab, login):
        tab.click("button:text-is('Log in with Testing')")
        tab.until("document.querySelector('input[name=login]')")
        tab.fill("[name=login]", login)
        tab.fill("[name=password]", "anything")
        tab.press("Enter")
        tab.until(f"location.href.startsWith({self.url('/')!r})")

    def test_the_button_leads_to_the_provider_and_back_to_where_one_was(self):
        tab = self.browser.tab()
        self.addCleanup(tab.close)
        tab.goto(self.url("/#/accounts"))
        tab.until("document.querySelector('.providers button')")
        self.by_provider(tab, "bob")
        tab.until_text(".login .error", "none of your groups at Testing has a role here: porters")
        tab.goto("about:blank")
        tab.goto(self.url("/#/accounts"))
        tab.until("document.querySelector('.providers button')")
        self.assertEqual(tab.texts(".login .error"), [])  # told once

        # Bob is logged in at the provider; Ada is another one's turn.
        tab.goto(f"{self.provider.issuer}/session/end")
        tab.click("[name=logout]")
        tab.until("!document.querySelector('[name=logout]')")
        tab.goto(self.url("/#/accounts"))
        tab.until("document.querySelector('.providers button')")
        self.by_provider(tab, "ada")
        tab.until("document.querySelector('main.accounts tr[data-key=ada]')")  # where one wanted to be
        self.assertIn("Ada Lovelace", tab.text(".person"))

        tab.click("button:text-is('Log off')")
        tab.until_text(".login", "may still be logged in at Testing")
        self.assertEqual(tab.evaluate("document.querySelector('.login a').href"), f"{self.provider.issuer}/session/end?client_id=hilum")
        self.assertEqual([line for line in tab.errors() if not re.search("status of 40[014]", line)], [])


if __name__ == "__main__":
    unittest.main()
