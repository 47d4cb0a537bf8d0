#!/usr/bin/python3
"""Peers, rules and HL7 targets changed under a running server: `hilum config diff|apply`, `hilum peer`, the API; each read back by another way than it was written."""

import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Hilum

WHOLE = """
peers:
  - {name: pacs, title: PACS, host: 127.0.0.1, port: 1104, rights: [target, find], plain: accepted}
hl7_targets:
  - {name: ris, host: 127.0.0.1, port: 2575, application: RIS}
rules:
  - name: heads
    modality: CT
    slices_min: 20
    spacing_max_mm: 3
    model: head-ct-hyperdense
    send_to: [pacs]
    hl7_to: [ris]
"""


class ConfigApply(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Hilum().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def config(self, verb, text, check=True):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            return self.server.command("config", verb, f.name, "--server", self.server.url(""), check=check)

    def names(self, kind):
        return [entry["name"] for entry in self.server.get_json(f"/api/{kind}")]

    def test_a_file_is_compared_applied_and_applied_again(self):
        self.config("apply", "peers: []\nhl7_targets: []\nrules: []\n")
        differs = self.config("diff", WHOLE, check=False)
        self.assertEqual(differs.returncode, 1)
        shown = differs.stdout
        for line in ("+ peer pacs", "+ HL7 target ris", "+ rule heads", "3 would change"):
            self.assertIn(line, shown)
        self.assertEqual(self.names("peers") + self.names("rules") + self.names("hl7-targets"), [], "diff changes nothing")
        self.assertIn("3 changed", self.config("apply", WHOLE).stdout)
        rule, = self.server.get_json("/api/rules")
        self.assertEqual((rule["name"], rule["modality"], rule["slices_min"], rule["spacing_max_mm"], rule["send_to"]), ("heads", "CT", 20, 3, ["pacs"]))
        peer, = self.server.get_json("/api/peers")
        self.assertEqual((peer["title"], peer["port"], peer["rights"], peer["plain"]), ("PACS", 1104, ["find", "target"], "accepted"))
        last_event = lambda: [line for line in self.server.request("/metrics")[2].splitlines() if line.startswith(b"hilum_event_last ")]
        last = last_event()
        for verb in ("apply", "diff"):
            self.assertIn("the server is as", self.config(verb, WHOLE).stdout)
        self.assertEqual(self.server.get_json("/api/rules")[0]["version"], rule["version"])
        self.assertEqual((len(last), last_event()), (1, last), "no event: nothing was written")

    def test_a_changed_member_is_shown_with_both_values_and_raises_the_version(self):
        self.config("apply", WHOLE)
        version = self.server.get_json("/api/rules")[0]["version"]
        shown = self.config("apply", WHOLE.replace("slices_min: 20", "slices_min: 30")).stdout
        self.assertIn("~ rule heads: slices_min 20 -> 30", shown)
        self.assertIn("1 changed", shown)
        rule, = self.server.get_json("/api/rules")
        self.assertEqual((rule["slices_min"], rule["version"]), (30, version + 1))

    def test_what_a_rule_names_and_is_not_there_is_told(self):
        self.config("apply", WHOLE)
        shown = self.config("apply", WHOLE.replace("slices_min: 20", "slices_min: 21"))
        self.assertNotIn("warning", shown.stderr)
        rule = self.server.put_json("/api/rules/heads", dict(self.server.get_json("/api/rules")[0], priority=3))
        self.assertEqual(rule["warnings"], [])
        self.assertEqual(self.server.put_json("/api/rules/heads", dict(rule, priority=4))["priority"], 4, "an answer can be sent back")
        told = self.config("apply", WHOLE.replace("model: head-ct-hyperdense", "model: gone").replace("send_to: [pacs]", "send_to: [pacs, archive]").replace("hl7_to: [ris]", "hl7_to: [ris, his]").replace("[target, find]", "[find]"))
        self.assertEqual(told.returncode, 0)
        lines = told.stderr.splitlines()
        self.assertEqual(len(lines), 4, told.stderr)
        for line, named in zip(lines, ("model 'gone' is not installed", "peer 'pacs' has no right 'target'", "peer 'archive' is not entered", "HL7 target 'his' is not entered")):
            self.assertIn(f"warning: rule heads: {named}", line)

    def test_what_a_section_does_not_name_is_removed_and_other_sections_are_left_alone(self):
        self.config("apply", WHOLE)
        self.server.put_json("/api/rules/by-hand", {"model": "head-ct-hyperdense"})
        shown = self.config("apply", WHOLE[WHOLE.index("rules:") :]).stdout
        self.assertIn("- rule by-hand", shown)
        self.assertEqual(self.names("rules"), ["heads"])
        self.assertEqual(self.names("peers"), ["pacs"])
        self.assertEqual(self.names("hl7-targets"), ["ris"])

    def test_an_unfit_file_is_refused_by_name_before_anything_changes(self):
        self.config("apply", WHOLE)
        before = [self.server.get_json(f"/api/{kind}") for kind in ("peers", "rules", "hl7-targets")]
        for text, named in (
            ("peers: []\nrules: [{name: r, model: m, modalty: CT}]", "modalty"),
            ("peers: []\nruls: []", "ruls"),
            ("peers: []\nrules: {name: r}", "rules must be a list"),
            ("peers: []\nrules: [{name: r, model: m}, {name: r, model: m}]", "twice"),
            ("peers: []\nrules: [{name: ../peers/pacs, model: m}]", "../peers/pacs"),
            ("rules: []\npeers: [{name: p, title: TOO_LONG_A_TITLE_1, host: h, rights: [store]}]", "title"),
            ("rules: []\nhl7_targets: [{name: t, host: h, port: 0}]", "port"),
            ("rules: [", ".yaml:"),
        ):
            result = self.config("apply", text, check=False)
            self.assertEqual(result.returncode, 1, text)
            self.assertIn(named, result.stderr, text)
        self.assertEqual(before, [self.server.get_json(f"/api/{kind}") for kind in ("peers", "rules", "hl7-targets")])

    def test_what_is_wrong_in_an_entry_is_named_with_its_line(self):
        for text, where in (
            ("peers: []\nrules:\n  - name: r\n    model: m\n    modalty: CT\n", ":5: rule r: "),
            ("rules:\n  - {name: r, model: m}\n  - name: r\n    model: m\n", ":3: rule r is there twice"),
            ("hl7_targets:\n  - name: t\n    host: h\n    port: 70000\n", ":4: HL7 target t: "),
            ("peers:\n  - name: p\n    title: P\n    host: h\n    rights: [read]\n", ":2: peer p: "),
            ("peers:\n  - {name: p, title: P, host: h, rights: [store]}\n  - {name: q, title: P, host: h, rights: [find]}\n", ":3: peer q: "),
            ("peers: []\nrules: 3\n", ":2: rules must be a list"),
        ):
            for verb in ("check", "diff"):
                with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
                    f.write(text)
                    f.flush()
                    result = self.server.command("config", verb, f.name, *(["--server", self.server.url("")] if verb == "diff" else []), check=False)
                self.assertEqual(result.returncode, 1, text)
                self.assertIn(f.name + where, result.stderr)

    def test_one_file_holds_what_the_server_reads_and_what_changes_while_it_runs(self):
        both = "log: info\nflow:\n  negative_quiet_s: 2\n" + WHOLE
        with Hilum(config=both) as server:
            path = server.log_path + ".yaml"
            self.assertEqual(server.command("config", "check", path).stdout, f"{path} is fit\n")
            for kind in ("peers", "hl7-targets"):
                self.assertEqual(server.get_json(f"/api/{kind}"), [], "a start enters nothing")
            before = [rule["name"] for rule in server.get_json("/api/rules")]
            self.assertNotIn("heads", before)
            server.command("config", "apply", path, "--server", server.url(""))
            self.assertEqual([entry["name"] for kind in ("peers", "hl7-targets", "rules") for entry in server.get_json(f"/api/{kind}")], ["pacs", "ris", "heads"])
            self.assertIn("the server is as", server.command("config", "diff", path, "--server", server.url("")).stdout)
            with open(path, "w", encoding="utf-8") as f:  # the server's own file says where it listens
                f.write(f"http:\n  listen: 127.0.0.1:{server.http}\n" + both)
            self.assertIn("the server is as", server.command("config", "diff", path).stdout)
            server.put_json("/api/hl7-targets/by-hand", {"host": "127.0.0.1", "port": 2576})
            self.assertEqual(server.stop(), 0)
            server.start()
            self.assertEqual([entry["name"] for entry in server.get_json("/api/hl7-targets")], ["by-hand", "ris"], "nor does it take away")
            with open(path, "w", encoding="utf-8") as f:
                f.write("log: info\n")
            self.assertIn("nothing to change", server.command("config", "apply", path, "--server", server.url("")).stdout)
            with open(path, "w", encoding="utf-8") as f:
                f.write(both.replace("slices_min", "slices_mim"))
            wrong = server.command("config", "check", path, check=False)
            self.assertIn(f"{path}:12: rule heads", wrong.stderr)

    def test_without_a_server_it_fails_with_the_address(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(WHOLE)
            f.flush()
            result = self.server.command("config", "diff", f.name, "--server", "http://127.0.0.1:9", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("127.0.0.1", result.stderr)

    def test_peer_commands_enter_list_and_remove(self):
        at = ("--server", self.server.url(""))
        self.server.command("peer", "add", "ct1", "--title", "CT1", "--address", "127.0.0.1:11113", "--plain", "--no-echo", *at)
        entry = next(peer for peer in self.server.get_json("/api/peers") if peer["name"] == "ct1")
        self.assertEqual((entry["title"], entry["plain"], entry["rights"]), ("CT1", "accepted", ["store", "find", "get"]))
        self.assertIn("plain", self.server.command("peer", "list", *at).stdout)
        self.server.command("peer", "remove", "ct1", *at)
        self.assertNotIn("ct1", self.names("peers"))

    def test_a_change_of_a_peer_says_what_it_changes_and_leaves_what_it_does_not_name(self):
        def add(*options):
            return self.server.command("peer", "add", "ct2", *options, "--no-echo", "--server", self.server.url("")).stdout.splitlines()

        def entry():
            return next(peer for peer in self.server.get_json("/api/peers") if peer["name"] == "ct2")

        add("--title", "CT2", "--address", "127.0.0.1:11114", "--rights", "store", "--plain", "--issuer", "SITE_A", "--limit", "3", "--charset", "ISO_IR 100", "--versions", "newest")
        whole = entry()
        self.assertEqual((whole["issuer"], whole["rights"], whole["plain"], whole["associations_max"], whole["charset"], whole["versions"]), ("SITE_A", ["store"], "accepted", 3, "ISO_IR 100", "newest"))
        self.assertEqual(add("--address", "127.0.0.1:11115"), ["ct2 port: 11114 -> 11115"])
        self.assertEqual(entry(), dict(whole, port=11115, version=2))
        self.assertEqual(add("--address", "127.0.0.1:11115"), ["ct2 is as it was"])
        self.assertEqual(entry()["version"], 2)
        self.assertEqual(add("--charset", "GB18030"), ["ct2 charset: ISO_IR 100 -> GB18030"])
        self.assertEqual(add("--charset", ""), ["ct2 charset: GB18030 -> (none)"])
        refused = self.server.command("peer", "add", "ct2", "--charset", "ISO_IR 999", "--server", self.server.url(""), check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("ISO_IR 999", refused.stderr)
        self.assertEqual(add("--issuer", "SITE_B"), ["ct2 issuer: SITE_A -> SITE_B"])
        self.assertEqual(add("--issuer", "", "--no-plain"), ["ct2 plain: accepted -> refused", "ct2 issuer: SITE_B -> (none)"])
        self.assertEqual(add("--rights", "store,target", "--versions", "first", "--limit", "0"), ['ct2 rights: ["store"] -> ["store","target"]', "ct2 associations_max: 3 -> 0", "ct2 versions: newest -> first"])
        self.assertEqual(entry(), dict(whole, port=11115, issuer="", charset="", plain="refused", rights=["store", "target"], associations_max=0, versions="first", version=7))
        unknown = self.server.command("peer", "add", "ct3", "--issuer", "X", "--server", self.server.url(""), check=False)
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("--title", unknown.stderr)

    def test_a_put_clears_nothing_by_leaving_it_out(self):
        for path, whole, left_out in (
            ("/api/peers/p", {"title": "P", "host": "127.0.0.1", "port": 104, "rights": ["store"], "issuer": "SITE_A"}, "issuer"),
            ("/api/hl7-targets/t", {"host": "127.0.0.1", "port": 2575, "facility": "HOSP"}, "facility"),
            ("/api/rules/r", {"model": "head-ct-hyperdense", "no_contrast": True}, "no_contrast"),
        ):
            self.server.put_json(path, whole)
            part = {name: value for name, value in whole.items() if name != left_out}
            status, _, body = self.server.request(path, "PUT", json.dumps(part).encode())
            self.assertEqual(status, 409, path)
            self.assertIn(left_out, json.loads(body)["detail"])
            cleared = self.server.put_json(path, {**part, left_out: type(whole[left_out])()})
            self.assertFalse(cleared[left_out], path)
            self.server.put_json(path, part)


if __name__ == "__main__":
    unittest.main()
