#!/usr/bin/python3
"""The command line: help, exit codes, and what the commands print, beside other people's tools."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import HILUM, ROOT, Hilum, pydicom_files

COMMANDS = ("serve", "send", "echo", "import", "peer", "config", "dump", "json", "version")


def hilum(*arguments):
    return subprocess.run([HILUM, *arguments], capture_output=True, text=True, timeout=60)


def test_file(name):
    return next(path for path in pydicom_files() if os.path.basename(path) == name)


class Commands(unittest.TestCase):
    def test_every_command_has_help_and_the_list_names_them_all(self):
        overview = hilum("--help")
        self.assertEqual(overview.returncode, 0)
        for name in COMMANDS:
            self.assertIn(f"  {name} ", overview.stdout)
            self.assertEqual(hilum(name, "--help").returncode, 0 if name != "version" else 0, name)

    def test_wrong_use_ends_with_2_and_says_what_is_wrong(self):
        for arguments, word in ((("nonsense",), "nonsense"), (("send",), "HOST:PORT"), (("echo", "nowhere"), "HOST:PORT"), (("serve", "--nonsense"), "--nonsense"), (("serve", "--data"), "value"), ((), "COMMAND")):
            result = hilum(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn(word, result.stderr, arguments)

    def test_the_example_in_docs_is_the_program_s(self):
        with open(os.path.join(ROOT, "docs", "hilum.yaml"), encoding="utf-8") as f:
            self.assertEqual(hilum("config", "example").stdout, f.read(), "write it again with: hilum config example > docs/hilum.yaml")
        self.assertEqual(hilum("config", "check", os.path.join(ROOT, "docs", "hilum.yaml")).returncode, 0)
        json.loads(hilum("config", "schema").stdout)

    def test_a_wrong_configuration_is_refused_with_its_key(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("dicom:\n  title: X\n")
            f.flush()
            result = hilum("config", "check", f.name)
            self.assertEqual(result.returncode, 1)
            self.assertIn("did you mean dicom.titles?", result.stderr)
            self.assertEqual(hilum("serve", "--config", f.name).returncode, 2)

    def test_http_off_loopback_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            result = hilum("serve", "--data", folder, "--http", "0.0.0.0:8999", "--dicom", "127.0.0.1:11999")
            self.assertEqual(result.returncode, 1)
            self.assertIn("TLS", result.stderr)

    def test_dump_and_json_show_what_pydicom_reads(self):
        path = test_file("CT_small.dcm")
        dataset = pydicom.dcmread(path)
        shown = hilum("dump", path)
        self.assertEqual(shown.returncode, 0)
        self.assertIn("PatientName [CompressedSamples^CT1]", shown.stdout)
        ours = json.loads(hilum("json", path).stdout)
        self.assertEqual(ours["00100020"]["Value"], [dataset.PatientID])
        self.assertEqual(ours["00280010"]["Value"], [dataset.Rows])
        for command in ("dump", "json"):
            self.assertEqual(hilum(command, "/nowhere").returncode, 1)
            self.assertEqual(hilum(command, test_file("rtplan.dump")).returncode, 1)

    def test_commands_through_a_server(self):
        with Hilum() as server:
            url = ["--server", f"http://127.0.0.1:{server.http}"]
            imported = server.command("import", test_file("no_meta_group_length.dcm"), test_file("CT_small.dcm"), *url, check=False)
            self.assertIn("1 stored", imported.stdout)
            self.assertEqual(imported.returncode, 1)  # the first has no SOP Instance UID
            self.assertIn("SOP Instance UID", imported.stderr)
            again = server.command("import", test_file("CT_small.dcm"), *url)
            self.assertIn("1 there already", again.stdout)
            added = server.command("peer", "add", "myself", "--title", "HILUM", "--address", f"127.0.0.1:{server.dicom}", "--issuer", "SITE_A", *url)
            self.assertIn("answered C-ECHO with 0000H", added.stdout)
            self.assertIn("SITE_A", server.command("peer", "list", *url).stdout)
            self.assertIn("0000H", server.command("echo", f"127.0.0.1:{server.dicom}", "--aec", "HILUM").stdout)
            server.command("peer", "remove", "myself", *url)
            self.assertEqual(server.command("peer", "list", *url).stdout, "")
            second = hilum("serve", "--data", server.data, "--http", "127.0.0.1:1", "--dicom", "127.0.0.1:1")
            self.assertEqual(second.returncode, 1)
            self.assertIn("in use by process", second.stderr)
        unreachable = hilum("peer", "list", "--server", f"http://127.0.0.1:{server.http}")
        self.assertEqual(unreachable.returncode, 1)
        self.assertIn("is the server running", unreachable.stderr)

    def test_a_peer_s_default_issuer_keeps_two_sites_apart(self):
        with Hilum() as server:
            for name, title, issuer in (("a", "SITE_A", "ISSUER_A"), ("b", "SITE_B", "ISSUER_B")):
                server.put_json(f"/api/peers/{name}", {"title": title, "host": "127.0.0.1", "port": 104, "rights": ["store"], "plain": "accepted", "issuer": issuer})
            server.storescu(test_file("CT_small.dcm"), aet="SITE_A")
            server.storescu(test_file("MR_small.dcm"), aet="SITE_B")
            issuers = {row["00100021"]["Value"][0] for row in server.get_json("/dicom-web/studies")}
            self.assertEqual(issuers, {"ISSUER_A", "ISSUER_B"})


if __name__ == "__main__":
    unittest.main(warnings="ignore")
