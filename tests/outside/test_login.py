#!/usr/bin/python3
"""Logins over HTTP, with curl's and Python's eyes: the first administrator, passwords, cookies and what guards them, roles, tokens, and the program's own commands on a server that needs logins."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import HILUM, Hilum, free_port, pydicom_files, wait_until
from test_https import a_file
from test_tls import Authority

PASSWORD = "correct horse battery"
JSON = {"Content-Type": "application/json"}


class Person:
    """A browser: keeps its cookie, and sends the header that a page sends."""

    def __init__(self, server):
        self.server, self.cookie, self.csrf = server, None, ""

    def ask(self, method, path, body=None, headers=None):
        head = dict(JSON, **({"Cookie": self.cookie} if self.cookie else {}), **({"X-Hilum-CSRF": self.csrf} if self.csrf else {}), **(headers or {}))
        status, answered, text = self.server.request(path, method, None if body is None else json.dumps(body).encode(), head)
        for cookie in answered.get_all("Set-Cookie") or []:
            if re.match(r"(__Host-)?hilum(-\d+)?=", cookie):
                self.cookie = cookie.split(";")[0]
        answer = json.loads(text) if text else None
        if isinstance(answer, dict) and answer.get("csrf"):
            self.csrf = answer["csrf"]
        return status, answer

    def log_in(self, name, password=PASSWORD):
        self.cookie, self.csrf = None, ""
        return self.ask("POST", "/api/session", {"name": name, "password": password})


class Login(unittest.TestCase):
    def start(self, config="", **how):
        self.server = Hilum(config="disk: {low_water_mb: 0}\n" + config, **how).start()
        self.addCleanup(self.server.__exit__, None, None, None)
        return self.server

    def account(self, name, roles, password=PASSWORD, token=None):
        """By the command, as an administrator would."""
        subprocess.run([HILUM, "account", "add", name, "--roles", roles, "--shown", f"Dr. {name}", "--server", self.server.url("")], input=password + "\n", text=True, check=True, capture_output=True, env=self.command_environment())

    def command_environment(self):
        return dict(os.environ, HILUM_TOKEN_FILE=os.path.join(self.server.data, "token"))

    def site(self):
        """A server with an administrator, a radiologist, a resident, a technologist and an auditor."""
        self.start()
        for name, roles in (("boss", "administrator"), ("reader", "radiologist"), ("young", "resident"), ("tech", "technologist"), ("watch", "auditor")):
            self.account(name, roles)

    def person(self, name):
        person = Person(self.server)
        self.assertEqual(person.log_in(name)[0], 200)
        return person

    def trail(self):
        return "".join(path.read_text(encoding="utf-8") for path in sorted(pathlib.Path(self.server.data).glob("audit-*.log")))

    # ---- the first

    def test_without_accounts_loopback_goes_as_ever_and_the_first_account_ends_that(self):
        self.start()
        self.assertEqual(self.server.get_json("/api/login"), {"needed": False, "password": False, "first": False, "providers": []})
        self.assertEqual(self.server.get_json("/api/session")["kind"], "local")
        self.account("boss", "administrator")
        self.assertEqual(self.server.request("/api/status")[0], 401)
        status, headers, _ = self.server.request("/api/worklist")
        self.assertEqual((status, headers["WWW-Authenticate"]), (401, 'Bearer realm="hilum"'))
        self.assertEqual(self.server.get_json("/api/login")["needed"], True)
        self.assertEqual(Person(self.server).log_in("boss")[0], 200)
        self.assertEqual(json.loads(self.server.request("/healthz")[2]), {"status": "ok"})
        self.assertEqual(self.server.request("/metrics")[0], 401)
        self.assertEqual(self.server.request("/")[0], 200)

    def test_where_others_can_reach_it_the_first_administrator_needs_the_code_of_the_file(self):
        folder = tempfile.mkdtemp(prefix="hilum-login-")
        self.addCleanup(shutil.rmtree, folder)
        certificate, key = Authority(folder, "authority").sign("server")
        self.start(f"http: {{tls_listen: '0.0.0.0:{free_port()}'}}\ntls: {{certificate: {certificate}, key: {key}}}\n")
        self.assertEqual(self.server.request("/api/status")[0], 401)
        self.assertTrue(self.server.get_json("/api/login")["first"])
        path = os.path.join(self.server.data, "first-administrator")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        code = pathlib.Path(path).read_text(encoding="ascii").strip()
        self.assertNotIn(code, self.server.log())
        self.assertIn(path, self.server.log())
        person = Person(self.server)
        first = {"code": "a guess", "name": "Boss", "password": PASSWORD}
        self.assertEqual(person.ask("POST", "/api/login/first", first)[0], 401)
        status, session = person.ask("POST", "/api/login/first", dict(first, code=code))
        self.assertEqual((status, session["name"], session["roles"]), (200, "boss", ["administrator"]))
        self.assertEqual(person.ask("GET", "/api/accounts")[0], 200)
        self.assertFalse(os.path.exists(path))
        self.assertEqual(Person(self.server).ask("POST", "/api/login/first", dict(first, code=code))[0], 401)

    # ---- passwords and cookies

    def test_a_login_is_a_cookie_that_scripts_do_not_see_and_that_needs_its_header(self):
        self.site()
        status, headers, text = self.server.request("/api/session", "POST", json.dumps({"name": "READER", "password": PASSWORD}).encode(), JSON)
        self.assertEqual(status, 200, text)
        cookie = headers["Set-Cookie"]
        self.assertRegex(cookie, r"^hilum-\d+=hs_[\w-]{43}; Path=/; HttpOnly; SameSite=Strict$")
        session = json.loads(text)
        self.assertEqual((session["name"], session["shown"], session["roles"], session["way"]), ("reader", "Dr. reader", ["radiologist"], "password"))
        self.assertIn("judge", session["actions"])
        self.assertNotIn("change the configuration", session["actions"])
        person = self.person("boss")
        right, person.csrf = person.csrf, ""
        rule = {"modality": "CT", "model": "head-ct-hyperdense"}
        self.assertEqual(person.ask("PUT", "/api/rules/one", rule)[0], 403)
        person.csrf = "x" * len(right)
        self.assertEqual(person.ask("PUT", "/api/rules/one", rule)[0], 403)
        person.csrf = right
        self.assertEqual(person.ask("PUT", "/api/rules/one", rule)[0], 200)
        self.assertEqual(person.ask("PUT", "/api/rules/two", rule, {"Origin": "https://evil.example"})[0], 403)

    def test_the_name_of_who_is_logged_in_is_the_one_that_counts(self):
        self.site()
        subprocess.run([HILUM, "import", "--server", self.server.url(""), a_file("CT_small.dcm")], check=True, capture_output=True, env=self.command_environment())
        reader = self.person("reader")
        wait_until(lambda: reader.ask("GET", "/api/worklist")[1], 10, "the study is on the list")
        item = reader.ask("GET", "/api/worklist")[1][0]
        path = f"/api/worklist/{item['study']}/read"
        self.assertEqual(reader.ask("POST", path, {"by": "Somebody Else", "version": item["version"]})[0], 400)
        self.assertEqual(reader.ask("POST", path, {"version": item["version"]})[0], 204)
        self.assertEqual(reader.ask("GET", path)[1]["by"], "Dr. reader")
        wait_until(lambda: re.search(r'csd-code="110103"[^\n]*UserID="reader"[^>]*AlternativeUserID="login"', self.trail()), 5, "the audit trail names the account, and how it was known")
        watch = self.person("watch")
        lines = wait_until(lambda: watch.ask("GET", "/api/audit?actor=reader&event=110103")[1]["lines"], 5, "the auditor finds it")
        self.assertEqual({(line["actor"], line["verified"]) for line in lines}, {("reader", "login")})
        self.assertEqual(reader.ask("GET", "/api/audit")[0], 403)

    def test_who_lacks_a_study_s_label_does_not_see_it_and_a_label_in_use_stays(self):
        self.site()
        boss, reader, young = (self.person(name) for name in ("boss", "reader", "young"))
        subprocess.run([HILUM, "import", "--server", self.server.url(""), a_file("CT_small.dcm")], check=True, capture_output=True, env=self.command_environment())
        study = wait_until(lambda: reader.ask("GET", "/api/worklist")[1], 10, "the study is on the list")[0]["study"]
        self.assertEqual(boss.ask("PUT", "/api/labels/vip", {"description": "staff"})[0], 200)
        self.assertEqual(reader.ask("PUT", f"/api/studies/{study}/labels", {"labels": ["vip"], "version": 0})[0], 200)
        self.assertEqual(reader.ask("GET", "/api/worklist")[1], [])
        self.assertEqual(reader.ask("GET", f"/dicom-web/studies/{study}/metadata")[0], 404)
        self.assertEqual(boss.ask("PUT", "/api/accounts/young", {"labels": ["vip"]})[0], 200)
        self.assertEqual(young.ask("GET", "/api/worklist")[0], 401)  # his session ended with the change
        young = self.person("young")
        self.assertEqual(young.ask("GET", "/api/session")[1]["labels"], ["vip"])
        self.assertEqual([item["study"] for item in young.ask("GET", "/api/worklist")[1]], [study])
        status, made = boss.ask("POST", "/api/tokens", {"name": "viewer", "roles": ["service"], "labels": ["vip"], "days": 1})
        self.assertEqual(status, 201)
        self.assertEqual(len(json.loads(self.server.request("/dicom-web/studies", headers={"Authorization": f"Bearer {made['token']}"})[2])), 1)
        status, why = boss.ask("DELETE", "/api/labels/vip")
        self.assertEqual(status, 409, why)
        self.assertEqual(boss.ask("PUT", "/api/accounts/young", {"labels": ["nosuch"]})[0], 400)

    def test_in_an_emergency_a_reader_sees_every_study_and_everybody_learns_of_it(self):
        self.site()
        boss, reader, tech = (self.person(name) for name in ("boss", "reader", "tech"))
        subprocess.run([HILUM, "import", "--server", self.server.url(""), a_file("CT_small.dcm")], check=True, capture_output=True, env=self.command_environment())
        study = wait_until(lambda: reader.ask("GET", "/api/worklist")[1], 10, "the study is on the list")[0]["study"]
        self.assertEqual(boss.ask("PUT", "/api/labels/vip", {})[0], 200)
        self.assertEqual(reader.ask("PUT", f"/api/studies/{study}/labels", {"labels": ["vip"], "version": 0})[0], 200)
        self.assertEqual(reader.ask("GET", f"/dicom-web/studies/{study}/metadata")[0], 404)
        stream = subprocess.Popen(["curl", "-sN", "-H", f"Cookie: {reader.cookie}", self.server.url("/api/events")], stdout=subprocess.PIPE)
        self.addCleanup(stream.stdout.close)
        self.assertEqual(stream.stdout.readline(), b":\n")
        why = {"reason": "unconscious in the emergency room"}
        self.assertEqual(tech.ask("POST", "/api/session/break-glass", why)[0], 403)
        self.assertEqual(reader.ask("POST", "/api/session/break-glass", {"reason": "x"})[0], 400)
        self.assertEqual(self.server.request("/api/session/break-glass", "POST", json.dumps(why).encode(), JSON)[0], 401)
        self.assertEqual(reader.ask("GET", f"/dicom-web/studies/{study}/metadata")[0], 404)
        status, session = reader.ask("POST", "/api/session/break-glass", why)
        self.assertEqual((status, session["labels"]), (200, ["vip"]))
        self.assertRegex(session["emergency"], r"^\d{4}-")
        self.assertIn(why["reason"], self.trail())
        self.assertEqual(reader.ask("GET", f"/dicom-web/studies/{study}/metadata")[0], 200)
        self.assertEqual([item["study"] for item in reader.ask("GET", "/api/worklist")[1]], [study])
        version = reader.ask("GET", f"/api/studies/{study}/labels")[1]["version"]
        for labels in ([], ["vip"]):  # it sees, and says for nobody else who sees
            status, said = reader.ask("PUT", f"/api/studies/{study}/labels", {"labels": labels, "version": version})
            self.assertEqual(status, 403)
            self.assertIn("by the emergency alone", json.dumps(said))
        self.assertEqual(reader.ask("GET", f"/api/studies/{study}/labels")[1]["labels"], ["vip"])
        self.assertEqual(self.person("reader").ask("GET", "/api/worklist")[1], [])  # another session of his
        self.assertEqual(stream.wait(10), 0)  # a stream goes on as it was opened, or not at all
        self.assertIn("an emergency", json.dumps(boss.ask("GET", "/healthz")[1]))

    def test_each_role_does_its_own(self):
        self.site()
        doors = (("boss", "/api/accounts", 200), ("reader", "/api/accounts", 403), ("watch", "/api/worklist", 403), ("watch", "/api/audit/unknown", 200), ("tech", "/api/deliveries", 200),
                 ("young", "/api/worklist", 200), ("young", "/api/deliveries", 403), ("boss", "/dicom-web/studies/1.2/metadata", 403))
        people = {name: self.person(name) for name in {door[0] for door in doors}}
        for name, path, wanted in doors:
            self.assertEqual(people[name].ask("GET", path)[0], wanted, (name, path))

    def test_who_is_removed_or_disabled_leaves_tokens_that_are_named(self):
        self.site()
        boss = self.person("boss")
        self.account("chief", "administrator")
        chief = self.person("chief")
        self.assertEqual(chief.ask("POST", "/api/tokens", {"name": "viewer", "roles": ["administrator"], "days": 300})[0], 201)
        self.assertEqual([one["makerGone"] for one in boss.ask("GET", "/api/tokens")[1]], [False])
        status, answer = boss.ask("PUT", "/api/accounts/chief", {"enabled": False})
        self.assertEqual(status, 200)
        self.assertRegex(answer["warnings"][0], r"^the token viewer, which chief made, keeps its rights until \d{4}-")
        self.assertEqual([one["makerGone"] for one in boss.ask("GET", "/api/tokens")[1]], [True])
        removed = subprocess.run([HILUM, "account", "remove", "chief", "--server", self.server.url("")], text=True, check=True, capture_output=True, env=self.command_environment())
        self.assertIn("warning: the token viewer, which chief made, keeps its rights until ", removed.stderr)
        listed = subprocess.run([HILUM, "token", "list", "--server", self.server.url("")], text=True, check=True, capture_output=True, env=self.command_environment())
        self.assertIn("made by chief, who is gone", listed.stdout)
        self.assertEqual(boss.ask("DELETE", "/api/tokens/viewer")[0], 204)

    def test_a_password_is_changed_by_its_owner_and_all_other_sessions_end(self):
        self.site()
        here, elsewhere = self.person("reader"), self.person("reader")
        self.assertEqual(here.ask("PUT", "/api/accounts/reader/password", {"old": "wrong", "new": "another long password"})[0], 401)
        self.assertEqual(here.ask("PUT", "/api/accounts/reader/password", {"old": PASSWORD, "new": "short"})[0], 400)
        self.assertEqual(here.ask("PUT", "/api/accounts/boss/password", {"old": PASSWORD, "new": "another long password"})[0], 401)
        self.assertEqual(here.ask("PUT", "/api/accounts/reader/password", {"old": PASSWORD, "new": "another long password"})[0], 200)
        self.assertEqual(here.ask("GET", "/api/worklist")[0], 200)
        self.assertEqual(elsewhere.ask("GET", "/api/worklist")[0], 401)
        self.assertEqual(Person(self.server).log_in("reader", "another long password")[0], 200)

    def test_who_is_removed_is_out_at_once_his_event_stream_too(self):
        self.site()
        reader = self.person("reader")
        boss = self.person("boss")
        stream = subprocess.Popen(["curl", "-sN", "-H", f"Cookie: {reader.cookie}", self.server.url("/api/events")], stdout=subprocess.PIPE)
        self.addCleanup(stream.stdout.close)
        self.assertEqual(stream.stdout.readline(), b":\n")
        self.assertEqual(boss.ask("DELETE", "/api/accounts/reader")[0], 204)
        self.assertEqual(reader.ask("GET", "/api/worklist")[0], 401)
        self.assertEqual(stream.wait(10), 0)
        self.assertEqual(boss.ask("DELETE", "/api/accounts/boss")[0], 409)  # nobody would be left

    def test_a_session_is_left_by_its_owner_or_ended_by_an_administrator(self):
        self.site()
        reader, second, boss = self.person("reader"), self.person("reader"), self.person("boss")
        self.assertEqual(reader.ask("DELETE", "/api/session")[0], 204)
        self.assertEqual(reader.ask("GET", "/api/session")[0], 401)
        sessions = [row for row in boss.ask("GET", "/api/sessions")[1] if row["name"] == "reader"]
        self.assertEqual(len(sessions), 1)
        self.assertEqual(boss.ask("DELETE", f"/api/sessions/{sessions[0]['id']}")[0], 204)
        self.assertEqual(second.ask("GET", "/api/session")[0], 401)

    def test_sessions_outlive_a_restart_and_what_is_left_alone_ends(self):
        self.site()
        reader = self.person("reader")
        self.server.stop()
        self.server.start()
        self.assertEqual(reader.ask("GET", "/api/worklist")[0], 200)
        for path in pathlib.Path(self.server.data).rglob("*"):
            if path.is_file():
                raw = path.read_bytes()
                self.assertNotIn(reader.cookie.split("=")[1].encode(), raw, path)  # only its digest is kept
                self.assertNotIn(PASSWORD.encode(), raw, path)

    # ---- guesses

    def test_ten_thousand_guesses_keep_nobody_out_and_fill_no_trail(self):
        self.site()
        end = time.monotonic() + 12
        tried = [0, 0]

        def guess(number):
            while time.monotonic() < end and tried[0] < 10000:
                body = json.dumps({"name": ("reader", "boss", "root")[tried[0] % 3], "password": f"guess number {tried[0]}"}).encode()
                tried[0] += 1
                status = self.server.request("/api/session", "POST", body, JSON)[0]
                tried[1] += status == 429
                self.assertIn(status, (401, 429))

        echoes = []
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            guesses = [pool.submit(guess, number) for number in range(4)]
            while not all(one.done() for one in guesses):
                began = time.monotonic()
                subprocess.run(["echoscu", "-aec", "HILUM", "127.0.0.1", str(self.server.dicom)], check=True, capture_output=True)
                echoes.append(time.monotonic() - began)
        [one.result() for one in guesses]
        self.assertGreater(tried[1], tried[0] // 2)  # most waited in vain
        self.assertLess(sorted(echoes)[int(len(echoes) * 0.9)], 1)
        print(f"{tried[0]} guesses, {tried[1]} of them 429; slowest of {len(echoes)} echoes {max(echoes):.2f} s", end=" ", flush=True)
        lines = re.findall(r'csd-code="110122"[^\n]*', self.trail())
        self.assertLess(len(lines), 40)
        # From elsewhere, and other commands, nobody notices. 127.0.0.2 is another address.
        found = subprocess.run(["curl", "-s", "--interface", "127.0.0.2", "-H", "Content-Type: application/json", "-d", json.dumps({"name": "reader", "password": PASSWORD}), "-o", "/dev/null", "-w", "%{http_code}", self.server.url("/api/session")],
                               capture_output=True, text=True, check=True)
        self.assertEqual(found.stdout, "200")

    # ---- tokens

    def test_a_token_asks_what_its_roles_may_until_it_is_removed(self):
        self.site()
        made = subprocess.run([HILUM, "token", "make", "viewer", "--days", "30", "--server", self.server.url("")], capture_output=True, text=True, check=True, env=self.command_environment()).stdout.strip()
        bearer = {"Authorization": f"Bearer {made}"}
        self.assertEqual(self.server.request("/dicom-web/studies", headers=bearer)[0], 200)
        self.assertEqual(self.server.request("/metrics", headers=bearer)[0], 200)
        self.assertEqual(self.server.request("/api/accounts", headers=bearer)[0], 403)
        self.assertEqual(self.server.request("/dicom-web/studies", headers={"Authorization": "Bearer ht_nonsense"})[0], 401)
        self.assertEqual(self.server.request("/dicom-web/studies", headers={"Authorization": "Basic YTpi"})[0], 401)
        subprocess.run([HILUM, "token", "remove", "viewer", "--server", self.server.url("")], check=True, env=self.command_environment())
        self.assertEqual(self.server.request("/dicom-web/studies", headers=bearer)[0], 401)

    def test_the_program_s_own_commands_show_the_token_of_the_data_folder(self):
        self.site()
        path = os.path.join(self.server.data, "token")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        command = [HILUM, "peer", "list", "--server", self.server.url("")]
        without = {name: value for name, value in os.environ.items() if name != "HILUM_TOKEN_FILE"}
        refused = subprocess.run(command, capture_output=True, text=True, env=without)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("needs a login", refused.stderr)
        self.assertEqual(subprocess.run(command + ["--token", path], capture_output=True).returncode, 0)
        before = pathlib.Path(path).read_bytes()
        self.server.stop()
        self.server.start()
        self.assertNotEqual(pathlib.Path(path).read_bytes(), before)
        self.assertEqual(subprocess.run(command, capture_output=True, env=self.command_environment()).returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
