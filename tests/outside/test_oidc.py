#!/usr/bin/python3
"""Login by an identity provider: npm's oidc-provider and a browser of few lines, and what must not be believed."""

import concurrent.futures
import html
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import HILUM, ROOT, Hilum, wait_until
from test_tls import Authority

sys.path.insert(0, os.path.join(ROOT, "tests", "oidc"))
from provider import SECRET, Provider, Surfer

PASSWORD = "correct horse battery"
CALLBACK = "/api/session/provider/callback"


class Site(unittest.TestCase):
    """A server and its provider, for each test."""

    def site(self, public=False, start=True, boss=True, tls=None, **settings):
        self.server = Hilum()
        self.provider = Provider(self.server.url(CALLBACK), public, **({"tls": tls} if tls else {}))
        self.addCleanup(self.provider.close)
        self.provider.set("ada", name="Ada Lovelace", preferred_username="Ada.L", groups=["readers", "staff"])
        self.provider.set("bob", name="Bob", preferred_username="bob", groups=["porters"])
        if start:
            self.provider.start()
        self.server.start()
        self.addCleanup(self.server.__exit__, None, None, None)
        if boss:
            self.command("/api/accounts/boss", "PUT", {"shown": "Boss", "roles": ["administrator"], "password": PASSWORD})
        self.entered = self.enter(**settings)

    def enter(self, **settings):
        return self.command("/api/provider", "PUT", self.provider.entry(**settings))

    def begin(self, surfer, login):
        return surfer.to_callback(self.server.url("/api/session/provider"), login)

    def log_in(self, login, surfer=None):
        """The browser, and what the page is told: None, or why not."""
        surfer = surfer or Surfer()
        return surfer, self.end(surfer, self.begin(surfer, login))

    def end(self, surfer, url):
        answer = surfer.get(url)
        self.assertEqual((answer.status, answer.location), (302, "/"), answer.text)
        self.assertEqual((answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]), ("no-store", "no-referrer"))
        return self.told(surfer)

    def told(self, surfer):
        return surfer.get(self.server.url("/api/login")).json().get("refused")

    def cookie_name(self):
        return f"hilum-{urllib.parse.urlsplit(self.server.url('/')).port}"

    def session(self, surfer):
        answer = surfer.get(self.server.url("/api/session"))
        return answer.json() if answer.status == 200 else None

    def command(self, path, method="GET", body=None):
        """As the program's own commands do."""
        token = pathlib.Path(self.server.data, "token").read_text(encoding="utf-8").strip()
        status, _, text = self.server.request(path, method, body and json.dumps(body).encode(), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        self.assertIn(status, (200, 201, 204), text)
        return json.loads(text) if text else None

    def trail(self):
        return html.unescape("".join(path.read_text(encoding="utf-8") for path in sorted(pathlib.Path(self.server.data).glob("audit-*.log"))))

    def check_refused(self, surfer, why, part):
        self.assertIsNotNone(why, "it was let in")
        self.assertIn(part, why)
        self.assertIsNone(self.session(surfer))
        self.assertIsNone(self.told(surfer))  # once
        wait_until(lambda: why[:80] in self.trail(), 10, "a line in the audit trail")


class Login(Site):
    def test_a_person_comes_in_with_the_roles_of_his_groups(self):
        self.site()
        ways = self.server.get_json("/api/login")
        self.assertEqual(ways["providers"], [{"name": "Testing", "words": "Log in with Testing", "url": "/api/session/provider"}])
        self.assertTrue(ways["needed"])
        surfer, why = self.log_in("ada")
        self.assertIsNone(why)
        session = self.session(surfer)
        self.assertEqual((session["name"], session["shown"], session["roles"], session["way"]), ("ada.l", "Ada Lovelace", ["radiologist"], "provider"))
        self.assertEqual([(account["name"], account["issuer"]) for account in self.command("/api/accounts")], [("ada.l", self.provider.issuer), ("boss", "")])
        wait_until(lambda: "by an identity provider" in self.trail(), 10, "a line in the audit trail")

    def test_what_goes_to_the_provider_is_code_flow_with_pkce_and_a_cookie_for_the_way_back(self):
        self.site()
        answer = Surfer().get(self.server.url("/api/session/provider"))
        self.assertEqual(answer.status, 302)
        address = urllib.parse.urlsplit(answer.location)
        asked = dict(urllib.parse.parse_qsl(address.query, strict_parsing=True))
        self.assertTrue(answer.location.startswith(self.provider.issuer + "/"))
        self.assertEqual((asked["response_type"], asked["client_id"], asked["redirect_uri"], asked["scope"], asked["code_challenge_method"]), ("code", "hilum", self.server.url(CALLBACK), "openid profile email", "S256"))
        for name in ("state", "nonce", "code_challenge"):
            self.assertRegex(asked[name], r"^[\w-]{43}$")
        self.assertRegex(answer.headers["Set-Cookie"], rf"^hilum-login-\d+=[\w-]{{43}}; Path=/api/session/provider; Max-Age=600; HttpOnly; SameSite=Lax$")
        again = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(Surfer().get(self.server.url("/api/session/provider")).location).query))
        self.assertFalse({asked[name] for name in ("state", "nonce", "code_challenge")} & set(again.values()))

    def test_behind_a_proxy_the_way_back_is_https_and_in_the_clear_there_is_none(self):
        self.site()
        self.server.stop()
        self.server.config += "http: {names: hilum.example.org, trusted_proxies: 127.0.0.1}\n"
        self.server.start()
        url = self.server.url("/api/session/provider")
        answer = Surfer().get(url, headers={"Host": "hilum.example.org", "X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https"})
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.location).query))
        self.assertEqual(asked["redirect_uri"], f"https://hilum.example.org{CALLBACK}")
        self.assertRegex(answer.headers["Set-Cookie"], rf"^__Secure-hilum-login=[\w-]{{43}}; Path=/api/session/provider; Max-Age=600; HttpOnly; SameSite=Lax; Secure$")
        for proxy in ({}, {"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "http"}):
            answer = Surfer().get(url, headers={"Host": "hilum.example.org", **proxy})
            self.assertEqual(answer.location, "/")
            cookie = answer.headers["Set-Cookie"].split(";")[0]
            _, _, text = self.server.request("/api/login", headers={"Host": "hilum.example.org", "Cookie": cookie, **proxy})
            self.assertIn("needs HTTPS", json.loads(text)["refused"])
        self.assertEqual(Surfer().get(url, headers={"Host": "evil.example.org"}).status, 403)
        for origin, wanted in (("https://hilum.example.org", 401), ("http://hilum.example.org", 403)):  # a page in the clear is none of ours over TLS
            status, _, _ = self.server.request("/api/session", "POST", b'{"name": "boss", "password": "wrong"}', {"Host": "hilum.example.org", "X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https", "Origin": origin, "Content-Type": "application/json"})
            self.assertEqual(status, wanted, origin)

    def test_a_public_client_has_no_secret(self):
        self.site(public=True, client_secret=None)
        surfer, why = self.log_in("ada")
        self.assertIsNone(why)
        self.assertEqual(self.session(surfer)["name"], "ada.l")

    def test_other_groups_at_the_next_login_are_other_roles_and_end_the_sessions_before(self):
        self.site()
        first, _ = self.log_in("ada")
        self.provider.set("ada", name="Ada King", preferred_username="countess", groups=["it"])
        second, why = self.log_in("ada")
        self.assertIsNone(why)
        self.assertEqual([self.session(second)[what] for what in ("name", "shown", "roles")], ["ada.l", "Ada King", ["administrator"]])
        self.assertIsNone(self.session(first))

    def test_the_first_account_is_an_administrator_s(self):
        self.site(boss=False)
        self.assertTrue(self.server.get_json("/api/login")["needed"])
        surfer, why = self.log_in("ada")
        self.check_refused(surfer, why, "no enabled administrator")
        self.provider.set("ada", preferred_username="ada", groups=["it"])
        self.assertIsNone(self.log_in("ada")[1])

    def test_each_login_is_a_new_session_whatever_cookie_came(self):
        self.site()
        surfer, _ = self.log_in("ada")
        before = {cookie.value for cookie in surfer.cookies if cookie.name == self.cookie_name()}
        self.log_in("ada", surfer)
        after = {cookie.value for cookie in surfer.cookies if cookie.name == self.cookie_name()}
        self.assertEqual((len(before), len(after), before & after), (1, 1, set()))

    def test_several_tabs_that_log_in_at_once_all_come_in_and_a_refusal_takes_nothing_from_them(self):
        self.site()
        surfer, elsewhere = Surfer(), Surfer()
        tabs = [surfer.get(self.server.url("/api/session/provider")).location for _ in range(4)]  # each at the provider's door
        for number in (2, 0, 3, 1):
            url = surfer.to_callback(tabs[number], "ada")
            self.assertIsNone(self.end(surfer, url), number)
            self.assertIn("has been used already", self.end(surfer, url))
        self.assertEqual(self.session(surfer)["name"], "ada.l")
        self.check_refused(elsewhere, self.end(elsewhere, self.begin(surfer, "ada")), "did not begin in this browser")

    def test_after_a_logoff_or_a_session_that_was_left_the_provider_asks_who_it_is(self):
        self.site()
        def place(surfer):
            return surfer.get(self.server.url("/api/session/provider")).location
        surfer, _ = self.log_in("ada")
        self.assertNotIn("prompt=", place(Surfer()))
        self.assertNotIn("prompt=", place(surfer))  # who is in
        cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in surfer.cookies if cookie.name == self.cookie_name())
        status, headers, _ = self.server.request("/api/session", "DELETE", None, {"Cookie": cookie, "X-Hilum-CSRF": self.session(surfer)["csrf"]})
        self.assertEqual(status, 200)
        self.assertRegex("\n".join(headers.get_all("Set-Cookie")), r"hilum-before-\d+=1; Path=/api/session/provider; HttpOnly; SameSite=Lax")
        url = place(surfer)  # its session is gone, and that at the provider goes on
        self.assertIn("prompt=login", url)
        answer = surfer.get(url)
        while answer.location:
            answer = surfer.get(urllib.parse.urljoin(url, answer.location))
        self.assertIn('name="password"', answer.text)
        self.assertIsNone(self.log_in("ada", surfer)[1])
        self.assertEqual(self.session(surfer)["name"], "ada.l")
        (session,) = self.command("/api/sessions")
        self.command("/api/sessions/" + session["id"], "DELETE")  # as one that was left alone ends
        self.assertIn("prompt=login", place(surfer))

    def test_after_a_person_who_was_refused_the_provider_asks_who_it_is(self):
        self.site()
        surfer, why = self.log_in("bob")
        self.check_refused(surfer, why, "porters")
        self.assertIn("prompt=login", surfer.get(self.server.url("/api/session/provider")).location)
        self.provider.set("bob", name="Bob", preferred_username="bob", groups=["readers"])
        self.assertIsNone(self.log_in("bob", surfer)[1])
        self.assertEqual(self.session(surfer)["name"], "bob")

    def test_two_servers_on_one_host_leave_each_other_s_login_alone(self):
        self.site()
        with Hilum() as other:
            surfer, _ = self.log_in("ada")
            value = next(cookie.value for cookie in surfer.cookies if cookie.name == self.cookie_name())
            body = json.dumps({"shown": "X", "roles": ["administrator"], "password": PASSWORD}).encode()
            self.assertEqual(other.request("/api/accounts/x", "PUT", body, {"Content-Type": "application/json"})[0], 200)
            status, headers, _ = other.request("/api/session", "POST", json.dumps({"name": "x", "password": PASSWORD}).encode(), {"Content-Type": "application/json", "Cookie": f"{self.cookie_name()}={value}"})
            self.assertEqual(status, 200)
            names = {cookie.split("=")[0] for cookie in headers.get_all("Set-Cookie")}
            self.assertIn(f"hilum-{urllib.parse.urlsplit(other.url('/')).port}", names)
            self.assertNotIn(self.cookie_name(), names)

    def test_groups_of_a_member_of_a_member(self):
        self.site(groups_claim="realm_access.roles", roles="Radiology A = resident")
        self.provider.set("ada", preferred_username="ada", realm_access={"roles": ["offline_access", "Radiology A"]})
        surfer, why = self.log_in("ada")
        self.assertIsNone(why)
        self.assertEqual(self.session(surfer)["roles"], ["resident"])

    def test_logging_off_says_where_the_provider_s_session_is_ended(self):
        self.site()
        surfer, _ = self.log_in("ada")
        cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in surfer.cookies if cookie.name == self.cookie_name())
        status, _, text = self.server.request("/api/session", "DELETE", None, {"Cookie": cookie, "X-Hilum-CSRF": self.session(surfer)["csrf"]})
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(text), {"provider": "Testing", "url": f"{self.provider.issuer}/session/end?client_id=hilum"})
        self.assertIsNone(self.session(surfer))
        self.assertEqual(surfer.get(json.loads(text)["url"]).status, 200)

    def test_new_keys_of_the_provider_are_taken_once_a_minute(self):
        self.site()
        self.log_in("ada")
        for part in (None, "does not publish"):  # once a minute
            self.provider.stop()
            self.provider.start()
            surfer, why = self.log_in("ada")
            self.assertIn(part, why) if part else self.assertIsNone(why)


class Refused(Site):
    def test_who_has_no_role_is_told_his_groups_and_what_to_set(self):
        self.site()
        surfer, why = self.log_in("bob")
        self.check_refused(surfer, why, "porters")
        self.assertIn("the provider's roles", why)
        self.assertEqual([account["name"] for account in self.command("/api/accounts")], ["boss"])
        self.provider.set("bob", preferred_username="bob")
        time.sleep(1.1)  # refused logins of one name within a second are one line
        self.check_refused(*self.log_in("bob"), "'groups' (groups_claim)")

    def test_too_many_groups_for_a_token_are_called_so(self):
        self.site()
        for long in ("CN=readers of the department of radiology number {},OU=groups,DC=hospital,DC=example", "{}"):
            self.provider.set("bob", preferred_username="bob", groups=[long.format(number) for number in range(300 if len(long) > 2 else 20000)])
            self.check_refused(*self.log_in("bob"), "too many groups: let the provider send only those")
            time.sleep(1.1)  # refused logins of one name within a second are one line

    def test_who_has_no_role_any_more_is_out_of_the_session_he_has(self):
        self.site()
        here, _ = self.log_in("ada")
        self.provider.set("ada", name="Ada Lovelace", preferred_username="Ada.L", groups=["porters"])
        elsewhere, why = self.log_in("ada")
        self.check_refused(elsewhere, why, "porters")
        self.assertIsNone(self.session(here))
        self.assertEqual([one["roles"] for one in self.command("/api/accounts") if one["name"] == "ada.l"], [[]])
        self.provider.set("ada", name="Ada Lovelace", preferred_username="Ada.L", groups=["readers"])
        again, why = self.log_in("ada")
        self.assertIsNone(why)
        self.assertEqual(self.session(again)["roles"], ["radiologist"])

    def test_people_whose_names_have_foreign_letters_or_are_alike_come_in_and_are_told_apart(self):
        self.site()
        for login, name, shown in (("1", "m\u00fcller", "M. M\u00fcller"), ("2", "m\u00f6ller", "M. M\u00f6ller"), ("3", "\u738b\u4f1f", "\u738b\u4f1f"), ("4", "\u674e\u5a1c", "\u674e\u5a1c"), ("5", "muller", "\u202eM. M\u00fcller\u001b[2J\n")):
            self.provider.set(login, preferred_username=name, name=shown, groups=["readers"])
            self.assertIsNone(self.log_in(login)[1], name)
        self.assertEqual([(one["name"], one["shown"]) for one in self.command("/api/accounts")], [("__", "\u738b\u4f1f"), ("__-2", "\u674e\u5a1c"), ("boss", "Boss"), ("moller", "M. M\u00f6ller"), ("muller", "M. M\u00fcller"), ("muller-2", "M. M\u00fcller[2J ")])
        self.provider.set("6", preferred_username="x", name="M. M\u00fcller", groups=["readers"])
        self.assertEqual(self.session(self.log_in("6")[0])["shown"], "M. M\u00fcller (x)")

    def test_a_disabled_account_stays_out(self):
        self.site()
        self.log_in("ada")
        (account,) = [one for one in self.command("/api/accounts") if one["name"] == "ada.l"]
        self.command("/api/accounts/ada.l", "PUT", {**{name: account[name] for name in ("shown", "roles", "version")}, "enabled": False})
        surfer, why = self.log_in("ada")
        self.check_refused(surfer, why, "disabled")

    def test_the_name_of_an_account_that_is_here_is_not_taken_over(self):
        self.site()
        self.command("/api/accounts/ada.l", "PUT", {"shown": "Another Ada", "roles": ["administrator"], "password": PASSWORD})
        surfer, why = self.log_in("ada")
        self.check_refused(surfer, why, "ada.l is another one's")

    def test_an_answer_counts_once(self):
        self.site()
        surfer = Surfer()
        url = self.begin(surfer, "ada")
        kept = [cookie for cookie in surfer.cookies if cookie.name.startswith("hilum-login-")]
        self.assertIsNone(self.end(surfer, url))
        thief = Surfer()
        for cookie in kept:
            thief.cookies.set_cookie(cookie)
        self.check_refused(thief, self.end(thief, url), "has been used already")

    def test_an_answer_with_a_parameter_twice_is_refused(self):
        self.site()
        for more in ("&code=x", "&iss=https%3A%2F%2Fevil.example", "&state=y"):
            surfer = Surfer()
            why = self.end(surfer, self.begin(surfer, "ada") + more)
            self.assertIn("a parameter twice", why or "it was let in", more)
            self.assertIsNone(self.session(surfer), more)

    def test_the_answer_to_another_browser_s_login_is_refused(self):
        self.site()
        attacker, victim = Surfer(), Surfer()
        url = self.begin(attacker, "ada")  # who would like his own account to be used by another
        self.check_refused(victim, self.end(victim, url), "did not begin in this browser")
        self.check_refused(attacker, self.end(attacker, url), "has been used already")

    def test_answers_to_nothing_fill_neither_log_nor_trail(self):
        self.site()
        for number in range(200):
            self.assertEqual(self.server.request(f"{CALLBACK}?state={number}&code=x", headers={"Connection": "close"})[0], 200)  # the page, where urllib was sent to
        self.assertLessEqual(self.server.log().count("login by Testing"), 30)
        self.assertLessEqual(self.trail().count("login by Testing"), 40)

    def test_another_login_s_code_is_refused_by_pkce(self):
        self.site()
        stolen = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.begin(Surfer(), "ada")).query))["code"]
        surfer = Surfer()
        url = self.begin(surfer, "bob")
        injected = re.sub(r"(?<=[?&]code=)[^&]*", stolen, url)
        self.check_refused(surfer, self.end(surfer, injected), "invalid_grant")

    def test_an_answer_of_another_issuer_is_refused_as_is_one_without(self):
        self.site()
        surfer = Surfer()
        url = self.begin(surfer, "ada")
        self.assertIn("iss=", url)  # RFC 9207
        other = re.sub(r"(?<=[?&]iss=)[^&]*", "https%3A%2F%2Fevil.example", url)
        self.check_refused(surfer, self.end(surfer, other), "not from Testing")
        url = self.begin(surfer, "ada")
        self.check_refused(surfer, self.end(surfer, re.sub(r"&?iss=[^&]*", "", url)), "not named")

    def test_what_an_address_says_is_not_shown(self):
        self.site()
        surfer = Surfer()
        for query in ("error=access_denied&error_description=call+0800", "state=x&code=y", "state=&code=", "", "state=a&state=b", "code=%00", "error=%3Cscript%3E"):
            answer = surfer.get(self.server.url(f"{CALLBACK}?{query}"))
            why = self.told(surfer) if answer.status == 302 else answer.text
            self.assertIn(answer.status, (302, 400), query)
            self.assertNotRegex(why, "0800|script")
            self.assertIsNone(self.session(surfer))
        url = self.begin(surfer, "ada")
        state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["state"]
        issuer = urllib.parse.quote(self.provider.issuer, safe="")
        url = self.server.url(f"{CALLBACK}?state={state}&iss={issuer}&error=%3Cb%3Ecall&error_description=0800")
        self.check_refused(surfer, self.end(surfer, url), "an error of no form")


class Faults(Site):
    def test_while_the_provider_is_down_the_page_says_so_and_passwords_work(self):
        self.site(start=False)
        surfer = Surfer()
        answer = surfer.get(self.server.url("/api/session/provider"))
        self.assertEqual((answer.status, answer.location), (302, "/"))
        why = self.told(surfer)
        self.assertIn("Testing cannot be reached", why)
        self.assertIn(self.provider.issuer, why)
        status, _, _ = self.server.request("/api/session", "POST", json.dumps({"name": "boss", "password": PASSWORD}).encode(), {"Content-Type": "application/json"})
        self.assertEqual(status, 200)
        self.provider.start()
        wait_until(lambda: surfer.get(self.server.url("/api/session/provider")).location != "/", 10, "it is asked again")
        self.assertIsNone(self.log_in("ada")[1])

    def test_a_provider_that_goes_away_in_the_middle_is_a_refusal_in_words(self):
        self.site()
        surfer = Surfer()
        url = self.begin(surfer, "ada")
        self.provider.stop()
        self.check_refused(surfer, self.end(surfer, url), "does not answer")

    def told_at(self, address):
        """What one at another address of loopback is told of a login."""
        def get(path, headers):
            connection = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(self.server.url("/")).port, timeout=60, source_address=(address, 0))
            try:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                return answer.getheader("Set-Cookie"), answer.read()
            finally:
                connection.close()
        cookie, _ = get("/api/session/provider", {})
        return json.loads(get("/api/login", {"Cookie": cookie.split(";")[0]})[1]).get("refused")

    def test_a_provider_that_hangs_holds_two_of_an_address_four_in_all_and_nobody_else(self):
        self.site(start=False)
        with socket.create_server(("127.0.0.1", self.provider.port), backlog=64):  # takes connections, and says nothing
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                waiting = [pool.submit(lambda surfer: (surfer.get(self.server.url("/api/session/provider")), self.told(surfer))[1], Surfer()) for _ in range(8)]
                wait_until(lambda: sum(one.done() for one in waiting) == 6, 5, "six are told at once that others wait")
                elsewhere = [pool.submit(self.told_at, f"127.0.0.{number}") for number in (2, 3, 4)]
                wait_until(lambda: sum(one.done() for one in elsewhere) == 1, 5, "of three elsewhere, one is told that others wait")
                status, _, _ = self.server.request("/api/session", "POST", json.dumps({"name": "boss", "password": PASSWORD}).encode(), {"Content-Type": "application/json"})
                self.assertEqual(status, 200)
                self.assertLess(time.monotonic() - began, 6)
                told = sorted(one.result() for one in waiting)
                others = sorted(one.result() for one in elsewhere)
            self.assertLess(time.monotonic() - began, 13)
            self.assertEqual(["2 logins from your address wait for Testing already" in why for why in told], [True] * 6 + [False] * 2, told)
            self.assertEqual(["4 logins wait for Testing already" in why for why in others], [True, False, False], others)
            self.assertIn("did not answer in time", told[-1])

    def test_a_provider_of_another_issuer_is_not_believed(self):
        self.site(start=False)
        self.provider.start(issuer=self.provider.issuer + "/other")
        surfer = Surfer()
        surfer.get(self.server.url("/api/session/provider"))
        self.assertIn(f"calls itself '{self.provider.issuer}/other'", self.told(surfer))

    def test_a_wrong_secret_names_the_setting(self):
        self.site()
        self.enter(client_secret="wrong")
        surfer, why = self.log_in("ada")
        self.check_refused(surfer, why, "client_secret")

    def test_an_id_token_out_of_its_time_names_the_clocks(self):
        self.site(start=False)
        self.provider.start(clock_s=600)
        surfer, why = self.log_in("ada")
        self.check_refused(surfer, why, "one of the two clocks is off")


class Entered(Site):
    """While the server runs."""

    def refused(self, body):
        token = pathlib.Path(self.server.data, "token").read_text(encoding="utf-8").strip()
        status, _, text = self.server.request("/api/provider", "PUT", json.dumps(body).encode(), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        self.assertGreaterEqual(status, 400, text)
        return text.decode()

    def test_it_is_entered_changed_and_removed_without_a_restart_and_its_people_are_out_then(self):
        self.site()
        self.assertEqual((self.entered["warnings"], self.entered["redirectUri"]), ([], self.server.url(CALLBACK)))
        surfer, _ = self.log_in("ada")
        self.command("/api/provider", "PUT", {"name": "Elsewhere"})
        self.assertEqual(self.server.get_json("/api/login")["providers"][0]["words"], "Log in with Elsewhere")
        self.assertIsNotNone(self.session(surfer))
        self.command("/api/provider", "PUT", {"roles": "staff=technologist"})
        self.assertIsNone(self.session(surfer))
        surfer, why = self.log_in("ada")
        self.assertIsNone(why)
        self.assertEqual(self.session(surfer)["roles"], ["technologist"])
        self.command("/api/provider", "DELETE")
        self.assertIsNone(self.session(surfer))
        self.assertEqual(self.server.get_json("/api/login")["providers"], [])
        self.assertEqual(surfer.get(self.server.url("/api/session/provider")).status, 404)
        self.assertIn("ada.l", [account["name"] for account in self.command("/api/accounts")])
        for words in ("identity provider Testing set", "identity provider Elsewhere changed", "staff=technologist", "identity provider Elsewhere removed"):
            self.assertIn(words, self.trail())

    def test_a_login_that_began_before_a_change_or_a_removal_ends_in_words(self):
        self.site()
        for change in (lambda: self.command("/api/provider", "PUT", {"name": "Elsewhere"}), lambda: self.command("/api/provider", "DELETE")):
            surfer = Surfer()
            url = self.begin(surfer, "ada")
            change()
            self.check_refused(surfer, self.end(surfer, url), "the provider was changed meanwhile; log in again")

    def test_the_secret_is_never_shown_is_kept_when_none_is_given_and_goes_to_no_other_issuer(self):
        self.site()
        entry = self.command("/api/provider")["provider"]
        self.assertTrue(entry["hasSecret"])
        for changed in ({"client_secret": ""}, {**entry, "name": "Again"}):
            self.command("/api/provider", "PUT", changed)
            self.assertIsNone(self.log_in("ada")[1])
        self.assertIn("the client_secret is that of", self.refused({"issuer": "https://evil.example"}))
        self.assertIn("was changed since", self.refused({"version": entry["version"], "name": "Late"}))
        self.assertNotIn(SECRET, json.dumps(self.command("/api/provider")) + self.trail())
        self.assertEqual(os.stat(os.path.join(self.server.data, "hilum.db")).st_mode & 0o077, 0)

    def test_one_that_is_not_well_is_kept_with_warnings(self):
        self.site(start=False)
        (warning,) = self.entered["warnings"]
        self.assertIn("nothing listens", warning)
        self.provider.start()
        (warning,) = self.command("/api/provider", "PUT", self.provider.entry(issuer=self.provider.issuer + "/"))["warnings"]
        self.assertIn("to the last slash", warning)

    def test_with_the_provider_logins_are_needed_and_the_first_administrator_has_a_way_in(self):
        self.site(boss=False)
        self.assertIn("first-administrator", self.entered["warnings"][0])
        self.assertTrue(pathlib.Path(self.server.data, "first-administrator").exists())
        self.assertEqual(self.server.request("/api/provider")[0], 401)

    def test_the_command_enters_shows_and_removes_it(self):
        self.site()
        environment = dict(os.environ, HILUM_TOKEN_FILE=os.path.join(self.server.data, "token"))

        def hilum(*words, typed=None):
            return subprocess.run([HILUM, "provider", *words, "--server", self.server.url("")], env=environment, input=typed, capture_output=True, text=True, check=False)

        self.assertEqual(hilum("remove").returncode, 0)
        self.assertIn("no identity provider is entered", hilum("show").stdout)
        self.assertIn(self.server.url(CALLBACK), hilum("show").stdout)
        self.assertIn("needs issuer", hilum("set").stderr)
        done = hilum("set", "--issuer", self.provider.issuer, "--client-id", "hilum", "--secret-file", "-", "--roles", "readers=radiologist", typed=SECRET + "\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(self.provider.issuer, done.stdout)
        self.assertNotIn(SECRET, done.stdout + hilum("show", "--json").stdout)
        self.assertIsNone(self.log_in("ada")[1])


class Checked(Site):
    """`hilum check` of the provider: each planted fault is named, on its side."""

    def check(self):
        return self.command("/api/connections/provider/login/check", "POST", {})

    def step(self, step, state):
        connection = self.check()
        found = next((one for one in connection["steps"] if one["step"] == step), None)
        self.assertIsNotNone(found, connection)
        self.assertEqual((found["state"], connection["state"]), (state, "ok" if state == "ok" else "failed"), connection)
        return found

    def test_a_provider_that_is_well_is_so_and_says_what_to_register(self):
        self.site()
        connection = self.check()
        self.assertEqual([(step["step"], step["state"]) for step in connection["steps"]], [("reach", "ok"), ("clock", "ok"), ("description", "ok"), ("keys", "ok")])
        self.assertIn(self.server.url(CALLBACK), connection["steps"][2]["said"])
        shown = subprocess.run([HILUM, "check", "--server", self.server.url("")], env=dict(os.environ, HILUM_TOKEN_FILE=os.path.join(self.server.data, "token")), capture_output=True, text=True, check=False)
        self.assertIn("provider", shown.stdout)

    def test_a_provider_that_is_down_is_called_so(self):
        self.site(start=False)
        found = self.step("reach", "failed")
        self.assertIn("nothing listens", found["said"])
        self.assertIn("on the side of Testing: start its service", found["remedy"])
        self.assertIn("the provider's issuer", found["remedy"])

    def test_a_clock_that_is_off_is_called_so_with_both_times(self):
        self.site(start=False)
        for ahead in (45, -45):
            self.provider.start(clock_s=ahead)
            found = self.step("clock", "failed")
            self.assertRegex(found["said"], r"the clock is off by 4[3-6] s: it is \S+Z here, and \S+Z at Testing")
            self.assertRegex(found["remedy"], "^on this side first|^on the side of Testing")
            self.provider.stop()
        self.provider.start(clock_s=10)
        self.assertEqual(self.check()["state"], "ok")

    def test_another_issuer_is_called_so(self):
        self.site(start=False)
        self.provider.start(issuer=self.provider.issuer + "/")
        self.assertIn("to the last slash", self.step("issuer", "failed")["remedy"])

    def test_an_address_where_there_is_no_provider_is_called_so(self):
        self.site()
        self.enter(issuer=self.provider.issuer + "/nothing")
        self.assertIn("answers 404", self.step("description", "failed")["said"])

    def test_a_certificate_of_an_unknown_authority_is_called_so_and_counts_once_its_authority_is_named(self):
        folder = tempfile.mkdtemp(prefix="hilum-oidc-tls-")
        self.addCleanup(shutil.rmtree, folder)
        authority = Authority(folder, "authority")
        certificate, key = authority.sign("provider")
        self.site(tls={"key": key, "cert": certificate})
        self.assertIn("provider's authorities", self.step("tls", "failed")["remedy"])
        surfer = Surfer()
        surfer.get(self.server.url("/api/session/provider"))
        self.assertIn("does not count", self.told(surfer))
        self.enter(authorities=pathlib.Path(authority.pem).read_text(encoding="ascii"))
        self.step("tls", "ok")

    def test_a_provider_that_lies_is_told_by_what_it_answers(self):
        self.site()
        issuer = self.provider.issuer
        well = {"issuer": issuer, "authorization_endpoint": issuer + "/auth", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys"}
        lies = {
            "no JSON": (b"<html>", "no JSON object"),
            "a list": (b"[]", "no JSON object"),
            "without end": (b'{"issuer": "' + b"x" * (64 << 10) + b'"}', "the answer"),
            "twice": (json.dumps(well)[:-1].encode() + b', "issuer": "https://evil.example"}', "no JSON object"),
            "half": (json.dumps(dict(well, token_endpoint=None)).encode(), "has no token_endpoint"),
            "in the clear": (json.dumps(dict(well, token_endpoint="http://192.0.2.1/token")).encode(), "must begin with https://"),
            "a script": (json.dumps(dict(well, authorization_endpoint="javascript:alert(1)")).encode(), "authorization_endpoint is"),
            "a script at the end": (json.dumps(dict(well, end_session_endpoint="data:text/html,x")).encode(), "end_session_endpoint is"),
            "elsewhere": (None, "answers 302"),
            "no keys": (json.dumps(well).encode(), "publishes 0 keys"),
        }
        self.provider.stop()

        class Liar(http.server.BaseHTTPRequestHandler):
            answer = b""

            def do_GET(self):
                body = b'{"keys": []}' if self.path == "/keys" else Liar.answer
                self.send_response(200 if body is not None else 302)
                self.send_header("Location", issuer + "/other")
                self.end_headers()
                self.wfile.write(body or b"{}")

            def log_message(self, *_):
                pass

        liar = http.server.ThreadingHTTPServer(("127.0.0.1", self.provider.port), Liar)
        self.addCleanup(liar.server_close)
        self.addCleanup(liar.shutdown)
        threading.Thread(target=liar.serve_forever, daemon=True).start()
        for name, (answer, part) in lies.items():
            Liar.answer = answer
            with self.subTest(name):
                connection = self.check()
                (failed,) = [step for step in connection["steps"] if step["state"] == "failed"]
                self.assertIn(part, failed["said"])


if __name__ == "__main__":
    unittest.main()
