#!/usr/bin/python3
"""The command line: help, exit codes, and what the commands print, beside other people's tools."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import HILUM, ROOT, Hilum, free_port, pydicom_files

COMMANDS = ("serve", "send", "echo", "import", "peer", "model", "config", "conformance", "access", "audit", "dump", "json", "version")


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
            shown = hilum(name, "--help")
            self.assertEqual(shown.returncode, 0, name)
            self.assertTrue(shown.stdout.startswith(f"hilum {name} "), shown.stdout)

    def test_help_is_there_under_each_of_its_names(self):
        overview = hilum("--help").stdout
        for name in ("-h", "help"):
            shown = hilum(name)
            self.assertEqual((shown.returncode, shown.stdout), (0, overview), name)
        for name in COMMANDS:
            whole = hilum(name, "--help").stdout
            for arguments in ((name, "-h"), ("help", name)):
                shown = hilum(*arguments)
                self.assertEqual((shown.returncode, shown.stdout, shown.stderr), (0, whole, ""), arguments)
        self.assertEqual(hilum("--version").stdout, hilum("version").stdout)
        for arguments in (("sned",), ("help", "sned")):
            wrong = hilum(*arguments)
            self.assertEqual((wrong.returncode, wrong.stdout), (2, ""), arguments)
            self.assertIn("did you mean 'send'?", wrong.stderr)
        self.assertNotIn("did you mean", hilum("xyzzy").stderr)
        one_hyphen = hilum("echo", "-aec", "HILUM")
        self.assertEqual(one_hyphen.returncode, 2)
        self.assertIn("two hyphens", one_hyphen.stderr)

    def test_wrong_use_ends_with_2_and_says_what_is_wrong(self):
        for arguments, word in ((("nonsense",), "nonsense"), (("send",), "HOST:PORT"), (("echo", "nowhere"), "HOST:PORT"), (("serve", "--nonsense"), "--nonsense"), (("version", "nonsense"), "nonsense"), (("serve", "--data"), "value"), ((), "COMMAND")):
            result = hilum(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn(word, result.stderr, arguments)

    def test_the_table_of_who_may_do_what_is_printed_whole(self):
        shown = hilum("access", "table")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        actions, routes, services = (part.splitlines() for part in shown.stdout.split("\n\n"))
        self.assertEqual(actions[0].split()[2:], "radiologist resident technologist administrator model owner auditor service peers with the right".split())
        cells = {line[:31].strip(): line[31:].split() for line in actions[1:]}
        self.assertEqual(cells["judge"], list("xx-----"))
        self.assertEqual(cells["store objects"], list("--xx--x") + ["store"])
        with open(os.path.join(ROOT, "src", "service", "routes.c"), encoding="utf-8") as f:
            self.assertEqual(len(routes) - 1, len(re.findall(r'^    \{"[A-Z]+",', f.read(), re.M)))
        for line in routes[1:] + services[1:]:  # each is for one of the actions
            self.assertIn(line[93:].split(":")[0], cells, line)
        self.assertIn(("C-STORE", "store objects: peers with store"), [(line.split()[0], line[93:]) for line in services])
        self.assertEqual((hilum("access").returncode, hilum("access", "tabel").returncode), (2, 2))

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

    def test_the_check_refuses_what_the_server_refuses_with_the_line(self):
        for text, where in (
            ("log: info\ndicom:\n  titles: \"ABCDEFGHIJKLMNOPQRSTUV\"\n", ":3: dicom.titles: "),
            ("dicom:\n  titles: \"A\\\\B\"\n", ":2: dicom.titles: "),
            ("dicom:\n  titles: \" \"\n", ":2: dicom.titles: "),
            ("http:\n  listen: \"0.0.0.0:8080\"\n", ":2: http.listen: "),
            ("http:\n  listen: \"[::]:8080\"\n", ":2: http.listen: "),
            ("http:\n  listen: \":8080\"\n", ":2: http.listen: "),
            ("dicom:\n  listen: \"999.1.1.1:104\"\n", ":2: dicom.listen: "),
            ("dicom:\n  charset: \"ISO_IR 999\"\n", ":2: dicom.charset: "),
            ("models:\n\n  synonyms: \"HEAD\"\n", ":3: models.synonyms: "),
            ("data: \"\"\n", ":1: data: "),
            (f"data: \"{'x' * 4000}\"\n", ":1: data: "),
            ("http.listen: \"127.0.0.1:1\"\n", ":1: there is no key 'http.listen'"),
            ("page:\n  foldr: \"\"\n", ":2: there is no key page.foldr; did you mean page.folder?"),
            ("ruls: []\n", ":1: there is no key ruls; did you mean rules?"),
        ):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "hilum.yaml")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
                checked = hilum("config", "check", path)
                self.assertEqual(checked.returncode, 1, text)
                self.assertIn(path + where, checked.stderr)
                served = subprocess.run([HILUM, "serve", "--config", path], capture_output=True, text=True, timeout=60, cwd=folder)
                self.assertNotEqual(served.returncode, 0, text)
                self.assertIn(checked.stderr, served.stderr)
                self.assertEqual(os.listdir(folder), ["hilum.yaml"], "nothing was begun")

    def test_the_check_looks_at_the_files_that_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            path, backups, made = (os.path.join(folder, name) for name in ("hilum.yaml", "backups", "made"))
            hilum("cert", made, "localhost")
            hilum("backup", "key", os.path.join(folder, "backup.key"))
            pem, key, authority = (os.path.join(made, name) for name in ("server.pem", "server.key", "authority.pem"))
            for text, says in (
                (f"backup:\n  folder: {backups}\n  key: {backups}\n", [":3: backup.key: "]),
                (f"backup:\n  folder: {backups}\n  key: {pem}\n", [":3: backup.key: "]),
                (f"audit:\n  key: {pem}\n", [":2: audit.key: "]),
                (f"tls:\n  certificate: {pem}\n  key: {authority}\n", [":3: tls.key: "]),
                (f"tls:\n  certificate: {pem}\n  key: {key}\n  authorities: {key}\n  revoked: {folder}/none\n", [":5: tls.revoked: "]),
                (f"tls:\n  certificate: {pem}\n  key: {key}\n  authorities: {key}\n", [":4: tls.authorities: "]),
                # Of values that do not go together too, beside all others.
                (f"data: {folder}/data\nlog: loud\ntls:\n  certificate: {pem}\nbackup:\n  folder: {folder}/data/b\n  key: {folder}\n  at: noon\n", [":2: log", ":4: tls.certificate", ":6: backup.folder", ":7: backup.key: ", ":8: backup.at: "]),
            ):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
                checked = hilum("config", "check", path)
                self.assertEqual((checked.returncode, len(checked.stderr.splitlines())), (1, len(says)), text + checked.stderr)
                for line, words in zip(checked.stderr.splitlines(), says):
                    self.assertIn(path + words, line)
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"tls:\n  certificate: {pem}\n  key: {key}\n  authorities: {authority}\nbackup:\n  folder: {backups}\n  key: {folder}/backup.key\naudit:\n  key: {folder}/absent\n")
            checked = hilum("config", "check", path)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_the_check_names_all_that_is_wrong_by_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "hilum.yaml")

            def said(text):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
                checked = hilum("config", "check", path)
                self.assertEqual((checked.returncode, checked.stdout), (1, ""))
                return checked.stderr.splitlines()

            lines = said(
                "log: loud\nhttp: 7\ndicom:\n  titles: A/B\n  listen: \"999.1.1.1:104\"\n  idle_seconds: never\n"
                "peers:\n  - {name: a, title: A, host: h, port: 0x}\n  - {name: b, title: B, host: h, plain: accepted, rights: [store]}\nrules:\n  - name: r\n    modality: CT\npagee: 1\n"
            )
            for line, (number, word) in zip(lines, ((1, "log"), (2, "http"), (4, "dicom.titles"), (5, "dicom.listen"), (6, "dicom.idle_seconds"), (8, "peer a"), (11, "rule r"), (13, "pagee"))):
                self.assertTrue(line.startswith(f"hilum: {path}:{number}: "), line)
                self.assertIn(word, line)
            self.assertEqual(len(lines), 8, lines)
            lines = said("".join(f"key{i}: 1\n" for i in range(50)))
            self.assertEqual((len(lines), lines[19].split(":")[2], lines[20]), (21, "20", "hilum: and 30 more"))

    def test_the_example_s_lists_are_as_they_could_be_entered(self):
        example = hilum("config", "example").stdout
        lists = example[example.index("# Peers.") :]
        rows = "\n".join(line[2:] for line in lists.splitlines() if re.match(r"# (  - |\w+:$)", line))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(example + "\n" + rows + "\n")
            f.flush()
            checked = hilum("config", "check", f.name)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        self.assertEqual(re.findall(r"^(\w+):$", rows, re.M), ["peers", "hl7_targets", "labels", "rules"])

    def test_localhost_and_ipv6_are_listened_on_and_printed_as_they_can_be_opened(self):
        for host in ("localhost", "127.0.0.2", "[::1]"):
            with tempfile.TemporaryDirectory() as folder:
                http, dicom = free_port(), free_port()
                server = subprocess.Popen([HILUM, "serve", "--data", folder, "--http", f"{host}:{http}", "--dicom", f"{host}:{dicom}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                try:
                    shown = host.replace("localhost", "127.0.0.1")
                    self.assertEqual(server.stdout.readline(), f"hilum: ready, page at http://{shown}:{http}/, DICOM at {shown}:{dicom}\n")
                    url = f"http://{host}:{http}"
                    imported = hilum("import", test_file("CT_small.dcm"), "--server", url)
                    self.assertIn("1 stored", imported.stdout, imported.stderr)
                    peer = hilum("peer", "add", "p", "--title", "P", "--address", f"{host}:{dicom}", "--no-echo", "--server", url)
                    self.assertEqual(peer.returncode, 0, peer.stderr)
                    echoed = hilum("echo", f"{host}:{dicom}")
                    self.assertIn(f"HILUM at {host}:{dicom} answered 0000H", echoed.stdout, echoed.stderr)
                    sent = hilum("send", f"{host}:{dicom}", test_file("CT_small.dcm"))
                    self.assertEqual(sent.returncode, 0, sent.stderr)
                    used = hilum("serve", "--data", folder + "/2", "--http", f"{host}:{http}", "--dicom", f"{host}:{dicom}")
                    self.assertIn(f" at {shown}:{dicom}", used.stderr)
                finally:
                    server.terminate()
                    server.wait(20)
                    server.stdout.close()

    def test_send_and_echo_find_the_server_that_runs_as_it_comes(self):
        """In a network of its own, since the default ports may be taken in this one."""
        with tempfile.TemporaryDirectory() as folder:
            up = 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'  # SIOCSIFFLAGS, IFF_UP
            script = f"""
                {sys.executable} -c '{up}' || exit 8
                {HILUM} serve >out 2>log &
                while ! grep -q ready out; do kill -0 $! || exit 9; sleep .05; done
                {HILUM} echo && {HILUM} send "$1"
                status=$?
                kill $!; wait $!
                exit $status"""
            done = subprocess.run(["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net", "sh", "-c", script, "sh", test_file("CT_small.dcm")], capture_output=True, text=True, timeout=60, cwd=folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("HILUM at 127.0.0.1:11112 answered 0000H", done.stdout)
            self.assertIn("1 sent", done.stdout)

    def test_what_is_no_file_is_refused_and_never_waited_for(self):
        with Hilum() as server, tempfile.TemporaryDirectory() as folder:
            pipe, sock = os.path.join(folder, "pipe"), os.path.join(folder, "socket")
            os.mkfifo(pipe)
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(sock)
            url = ["--server", f"http://127.0.0.1:{server.http}"]
            for path in (pipe, sock, "/dev/zero"):
                for arguments in (("dump",), ("json",), ("import", *url), ("send", f"127.0.0.1:{server.dicom}"), ("config", "check"), ("config", "apply", *url), ("serve", "--config"), ("model", "run", os.path.join(ROOT, "models", "head-ct-hyperdense"))):
                    result = hilum(*arguments, path)
                    self.assertNotEqual(result.returncode, 0, arguments)
                    self.assertIn(path, result.stderr, arguments)
            self.assertIn("a folder", hilum("dump", folder).stderr)

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
            url = ["--server", f"http://127.0.0.1:{server.http}/"]  # as the server prints it
            imported = server.command("import", test_file("no_meta_group_length.dcm"), test_file("CT_small.dcm"), *url, check=False)
            self.assertIn("1 stored", imported.stdout)
            self.assertEqual(imported.returncode, 1)  # the first has no SOP Instance UID
            self.assertIn("SOP Instance UID", imported.stderr)
            again = server.command("import", test_file("CT_small.dcm"), *url)
            self.assertIn("1 there already", again.stdout)
            added = server.command("peer", "add", "myself", "--title", "HILUM", "--address", f"127.0.0.1:{server.dicom}", "--issuer", "SITE_A", *url)
            self.assertIn("answered C-ECHO with 0000H", added.stdout)
            self.assertIn("SITE_A", server.command("peer", "list", *url).stdout)
            # What is printed is what --address takes.
            server.command("peer", "add", "six", "--title", "SIX", "--address", "[2001:db8::7]:104", "--no-echo", *url)
            shown = next(line.split()[2] for line in server.command("peer", "list", *url).stdout.splitlines() if line.startswith("six "))
            self.assertEqual(shown, "[2001:db8::7]:104")
            server.command("peer", "remove", "six", *url)
            self.assertIn("0000H", server.command("echo", f"127.0.0.1:{server.dicom}", "--aec", "HILUM").stdout)
            server.command("peer", "remove", "myself", *url)
            self.assertEqual(server.command("peer", "list", *url).stdout, "")
            second = hilum("serve", "--data", server.data, "--http", "127.0.0.1:1", "--dicom", "127.0.0.1:1")
            self.assertEqual(second.returncode, 1)
            self.assertIn("in use by process", second.stderr)
            os.unlink(os.path.join(server.data, "lock"))  # as a stale one
            third = hilum("serve", "--data", server.data, "--http", "127.0.0.1:1", "--dicom", "127.0.0.1:1")
            self.assertEqual((third.returncode, "in use by another process" in third.stderr), (1, True), third.stderr)
        unreachable = hilum("peer", "list", "--server", f"http://127.0.0.1:{server.http}")
        self.assertEqual(unreachable.returncode, 1)
        self.assertIn("is the server running", unreachable.stderr)

    def test_a_terminal_that_closes_stops_the_server_cleanly_unless_it_was_started_to_stay(self):
        for wrap in ((), ("nohup",)):
            with Hilum(wrap=wrap) as server:
                server.process.send_signal(signal.SIGHUP)
                if wrap:
                    self.assertEqual(server.get_json("/healthz")["status"], "ok")
                    self.assertEqual(server.stop(), 0)
                    self.assertIn("stopping: SIGTERM", server.log())
                else:
                    self.assertEqual(server.process.wait(20), 0)
                    self.assertIn("stopping: SIGHUP", server.log())
                with open(os.path.join(server.data, "audit-00000001.log"), encoding="utf-8") as file:
                    self.assertIn('"110121"', file.read())  # Application Stop

    def test_too_few_open_files_are_named_with_what_to_do(self):
        with tempfile.TemporaryDirectory() as folder:
            for most in (12, 20, 100):
                done = subprocess.run(["prlimit", f"--nofile={most}", HILUM, "serve", "--data", f"{folder}/d", "--http", "127.0.0.1:1"], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"may have {most} files open at once", done.stderr)
                self.assertIn("LimitNOFILE=", done.stderr)
            self.assertFalse(os.path.exists(f"{folder}/d"))

    def package(self, folder, **changes):
        """A copy of the real package with members of its manifest changed; a dict changes members of that member."""
        to = tempfile.mkdtemp(dir=folder)
        shutil.copytree(os.path.join(ROOT, "models", "head-ct-hyperdense"), to, dirs_exist_ok=True)
        path = os.path.join(to, "manifest.json")
        with open(path, encoding="utf-8") as f:
            manifest = json.load(f)
        for member, value in changes.items():
            manifest[member] = {**manifest[member], **value} if isinstance(value, dict) else value
        with open(path, "w", encoding="utf-8") as f:
            json.dump({member: value for member, value in manifest.items() if value is not None}, f)
        return to

    def test_a_package_is_installed_and_replaced_without_a_restart(self):
        real = os.path.join(ROOT, "models", "head-ct-hyperdense")
        with tempfile.TemporaryDirectory() as folder:
            installed = os.path.join(folder, "installed")
            os.mkdir(installed)
            with open(os.path.join(real, "manifest.json"), encoding="utf-8") as f:
                version = json.load(f)["version"]
            newer, damaged = self.package(folder, version="99.0.0"), self.package(folder)
            os.truncate(os.path.join(damaged, "card.md"), 10)
            with Hilum(config=f"models:\n  folder: {installed}\n") as server:
                install = lambda package, *options: server.command("model", "install", package, "--server", server.url(""), *options, check=False)
                listed = lambda: [(model["version"], model["digest"]) for model in server.get_json("/api/models")]
                versions = lambda: [version for version, _ in listed()]
                self.assertEqual((versions(), server.get_json("/api/rules")), ([], []))
                said = install(real).stdout
                (_, digest), = listed()
                self.assertEqual(said, f"head-ct-hyperdense {version} ({digest[:12]}) is installed\nrule 'head-ct-hyperdense' was entered, active; it sends to nobody yet: give it send_to or hl7_to\n")
                self.assertEqual(versions(), [version])
                self.assertEqual([rule["model"] for rule in server.get_json("/api/rules")], ["head-ct-hyperdense"])
                self.assertIn("is installed, as it was before", install(real).stdout)
                said = install(newer).stdout
                (_, newest), = listed()
                self.assertIn(f"99.0.0 ({newest[:12]}) is installed in place of {version} ({digest[:12]})\nrule 'head-ct-hyperdense' is there already, and is kept as it is, active\n", said)
                for package, words in ((real, "an older one"), (self.package(folder, version="99.0.0", title="Other"), "another package of the same version")):
                    refused = install(package)
                    self.assertEqual(refused.returncode, 1)
                    self.assertIn(f"99.0.0 ({newest[:12]}) is installed, and this is {words}", refused.stderr)
                    self.assertIn("--replace", refused.stderr)
                    self.assertEqual(listed(), [("99.0.0", newest)])
                self.assertIn(f"in place of 99.0.0 ({newest[:12]})", install(real, "--replace").stdout)
                self.assertEqual(listed(), [(version, digest)])
                for unfit in ("banana", "99.1", "v100.0.0"):
                    refused = install(self.package(folder, version=unfit))
                    self.assertEqual(refused.returncode, 1)
                    self.assertIn(f"version '{unfit}' is none of Semantic Versioning", refused.stderr)
                refused = install(damaged)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("card.md", refused.stderr)
                self.assertEqual(versions(), [version])
                self.assertEqual(os.listdir(installed), ["head-ct-hyperdense"], "nothing half done is left")
                shutil.copytree(damaged, os.path.join(installed, "other"))
                answer = server.put_json("/api/models/rescan", {}, "POST")
                self.assertIn("other is not installed", answer["refused"][0])
                self.assertEqual([model["version"] for model in answer["models"]], [version])

    def test_an_older_copy_in_another_folder_takes_no_package_s_place_and_the_health_names_both(self):
        with tempfile.TemporaryDirectory() as folder:
            installed = os.path.join(folder, "installed")
            os.mkdir(installed)
            shutil.copytree(self.package(folder, version="1.10.0"), os.path.join(installed, "head"))
            with Hilum(config=f"models:\n  folder: {installed}\n") as server:
                for name, version in (("backup-head", "1.9.0"), ("zz-old-head", "0.9.0")):
                    shutil.copytree(self.package(folder, version=version), os.path.join(installed, name))
                due = [f"{installed}/{name} is not installed: it holds head-ct-hyperdense {version}, and head holds 1.10.0, which is run; move the one that is not wanted elsewhere"
                       for name, version in (("backup-head", "1.9.0"), ("zz-old-head", "0.9.0"))]
                self.assertEqual(server.put_json("/api/models/rescan", {}, "POST")["refused"], due)
                for _ in range(2):
                    self.assertEqual([model["version"] for model in server.get_json("/api/models")], ["1.10.0"])
                    health = server.get_json("/healthz")
                    self.assertEqual((health["status"], health["warnings"]), ("warnings", due))
                    self.assertEqual(server.stop(), 0)
                    server.start()
                for name in ("backup-head", "zz-old-head"):
                    shutil.rmtree(os.path.join(installed, name))
                server.put_json("/api/models/rescan", {}, "POST")
                self.assertEqual(server.get_json("/healthz")["warnings"], [])

    def test_an_installation_says_what_becomes_of_the_rule_that_a_package_brings(self):
        with tempfile.TemporaryDirectory() as folder:
            installed = os.path.join(folder, "installed")
            os.mkdir(installed)
            with Hilum(config=f"models:\n  folder: {installed}\n") as server:
                install = lambda package: server.command("model", "install", package, "--server", server.url(""), check=False)
                install(os.path.join(ROOT, "models", "head-ct-hyperdense"))
                said = install(self.package(folder, name="second", rule={"model": "second"})).stdout
                self.assertIn("rule 'head-ct-hyperdense' is a rule of model 'head-ct-hyperdense', and is kept", said)
                self.assertIn("it brings no rule", install(self.package(folder, name="third", rule=None)).stdout)
                self.assertEqual([rule["model"] for rule in server.get_json("/api/rules")], ["head-ct-hyperdense"])
                self.assertEqual(server.request("/api/rules/head-ct-hyperdense", "DELETE")[0], 204)
                self.assertIn("rule 'head-ct-hyperdense' is not there, and is not entered", install(self.package(folder, version="99.0.0")).stdout)
                unknown = self.package(folder, name="fourth", rule={"model": "fourth", "name": "fourth", "urgency": 7})
                shutil.copytree(unknown, os.path.join(installed, "fourth"))
                self.assertIn("urgency", server.put_json("/api/models/rescan", {}, "POST")["rules"]["fourth"])
                for rule, value in (({"name": "../../x"}, "../../x"), ({"model": "other"}, "other"), ({"modality": "x" * 40}, "modality"), ({"urgency": 7}, "urgency")):
                    package = self.package(folder, rule=rule)
                    for refused in (install(package), server.command("model", "check", package, check=False)):
                        self.assertEqual(refused.returncode, 1)
                        self.assertIn(value, refused.stderr)

    def install(self, server, package, *options):
        return server.command("model", "install", package, "--server", server.url(""), *options, check=False)

    def test_an_installation_deletes_nothing_but_an_earlier_version_of_its_package(self):
        """A link, another package, what is no package and one with more files than its own are refused by name, and stand as they were; so is what an install that was ended has left, unless it has been followed."""
        with tempfile.TemporaryDirectory() as folder:
            installed, place = os.path.join(folder, "installed"), os.path.join(folder, "installed", "head-ct")
            os.mkdir(installed)
            new = self.package(folder, name="head-ct", version="99.0.0", rule={"model": "head-ct"})
            older = lambda: self.package(folder, name="head-ct", version="98.0.0", rule={"model": "head-ct"})
            behind, more, empty = older(), older(), tempfile.mkdtemp(dir=folder)
            os.mkdir(os.path.join(more, "notes"))
            tree = lambda: sorted((path, sorted(files), os.path.islink(path)) for path, _, files in os.walk(installed, followlinks=True))
            with Hilum(config=f"models:\n  folder: {installed}\n") as server:
                for put, named in ((lambda: os.symlink(behind, place), "is a symbolic link"), (lambda: shutil.copytree(self.package(folder), place), "holds another package, head-ct-hyperdense"), (lambda: shutil.copytree(empty, place), "manifest.json"), (lambda: shutil.copytree(more, place), "notes")):
                    put()
                    server.put_json("/api/models/rescan", {}, "POST")
                    before = tree(), server.get_json("/api/models")
                    for options in ((), ("--replace",)):
                        refused = self.install(server, new, *options)
                        self.assertEqual(refused.returncode, 1)
                        self.assertIn(f"{place} is not replaced", refused.stderr)
                        self.assertIn(named, refused.stderr)
                        self.assertEqual((tree(), server.get_json("/api/models")), before)
                    os.rename(place, os.path.join(folder, named))
                left = {".installing-half": None, ".installing-98": older(), ".installing-7-other": self.package(folder), ".installing-more": more, ".installing-link": behind}
                os.mkdir(os.path.join(installed, ".installing-half"))
                shutil.copy(os.path.join(behind, "card.md"), os.path.join(installed, ".installing-half"))
                for name in (".installing-98", ".installing-7-other", ".installing-more"):
                    shutil.copytree(left[name], os.path.join(installed, name))
                os.symlink(behind, os.path.join(installed, ".installing-link"))
                said = self.install(server, new)
                self.assertEqual(said.returncode, 0, said.stderr)
                kept = [".installing-7-other", ".installing-link", ".installing-more"]
                self.assertEqual(sorted(os.listdir(installed)), kept + ["head-ct"])
                self.assertEqual(sorted(os.listdir(behind)), sorted(os.listdir(new)))
                for name in kept:
                    self.assertIn(f"{name} is left of an install that was ended, and is kept", said.stderr)

    def test_what_the_server_does_not_take_is_taken_back(self):
        with tempfile.TemporaryDirectory() as folder:
            installed = os.path.join(folder, "installed")
            os.mkdir(installed)
            place = os.path.join(installed, "head-ct-hyperdense")
            shutil.copytree(self.package(folder, version="98.0.0"), os.path.join(installed, "zzz"))
            with Hilum(config=f"models:\n  folder: {installed}\n") as server:
                older = self.package(folder, version="1.1.0")
                for standing in (None, "1.0.5"):
                    if standing:
                        shutil.copytree(self.package(folder, version=standing), place)
                    before = sorted(os.listdir(installed))
                    refused = self.install(server, older, "--replace")
                    self.assertEqual(refused.returncode, 1)
                    self.assertIn("did not take head-ct-hyperdense", refused.stderr)
                    self.assertEqual(sorted(os.listdir(installed)), before)
                with open(os.path.join(place, "manifest.json"), encoding="utf-8") as f:
                    self.assertEqual(json.load(f)["version"], "1.0.5")
                self.assertEqual([model["version"] for model in server.get_json("/api/models")], ["98.0.0"])
                (told,) = (warning for warning in json.loads(server.request("/healthz")[2])["warnings"] if "head-ct-hyperdense" in warning)
                self.assertIn("it holds head-ct-hyperdense 1.0.5, and zzz holds 98.0.0", told)

    def test_of_several_installations_at_once_the_latest_version_stays(self):
        """Also where the server was given its folder relatively, and the command stands elsewhere, beside a folder of the same name."""
        with tempfile.TemporaryDirectory() as folder:
            home, elsewhere = os.path.join(folder, "home"), os.path.join(folder, "elsewhere")
            for path in (home, elsewhere):
                os.makedirs(os.path.join(path, "models"))
            shutil.copytree(self.package(folder, version="1.0.5"), os.path.join(elsewhere, "models", "head-ct-hyperdense"))
            packages = [self.package(folder, version=f"90.{i}.0") for i in range(6, 12)]
            here = os.getcwd()
            self.addCleanup(os.chdir, here)
            os.chdir(home)
            with Hilum(config="models:\n  folder: models\n") as server:
                os.chdir(here)
                self.assertEqual(server.get_json("/api/status")["modelsFolder"], os.path.join(os.path.realpath(home), "models"))
                installs = [subprocess.Popen([HILUM, "model", "install", package, "--server", server.url("")], cwd=elsewhere, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for package in packages]
                for install in installs:
                    _, said = install.communicate(timeout=120)
                    self.assertTrue(install.returncode == 0 or "an older one" in said, said)
                self.assertEqual([model["version"] for model in server.get_json("/api/models")], ["90.11.0"])
                self.assertEqual(os.listdir(os.path.join(home, "models")), ["head-ct-hyperdense"])
                with open(os.path.join(elsewhere, "models", "head-ct-hyperdense", "manifest.json"), encoding="utf-8") as f:
                    self.assertEqual(json.load(f)["version"], "1.0.5")

    def test_a_package_in_a_folder_whose_name_is_no_utf8_is_told_at_the_health(self):
        with tempfile.TemporaryDirectory() as folder:
            damaged = os.fsencode(folder) + b"/\xff\xfe"
            os.mkdir(damaged)
            with open(damaged + b"/manifest.json", "w", encoding="utf-8") as f:
                f.write("{")
            with Hilum(config=f"models:\n  folder: {folder}\n") as server:
                warnings = json.loads(server.request("/healthz")[2])["warnings"]
                self.assertIn(f"{folder}/\\xFF\\xFE is not installed", "\n".join(warnings))

    def test_onnx_runtime_is_not_put_where_other_libraries_are(self):
        with tempfile.TemporaryDirectory() as folder:
            for part in ("lib", "include"):
                other = os.path.join(folder, part, "other.h")
                os.mkdir(os.path.dirname(other))
                open(other, "w", encoding="utf-8").close()
                refused = subprocess.run([os.path.join(ROOT, "tools", "fetch-onnxruntime"), folder], capture_output=True, text=True, timeout=60)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(other, refused.stderr)
                os.rename(other, os.path.join(folder, part + ".h"))
                os.rmdir(os.path.dirname(other))

    def test_folders_as_they_are_found(self):
        """A disc's README and DICOMDIR are passed over; links that lead nowhere, pipes, empty and damaged files are failures that stop nothing; a link back does not repeat its folder."""
        with Hilum() as server, tempfile.TemporaryDirectory() as folder:
            inner = os.path.join(folder, "inner")
            os.mkdir(inner)
            shutil.copy(test_file("CT_small.dcm"), inner)
            shutil.copy(test_file("README.txt"), folder)
            shutil.copy(test_file("DICOMDIR"), folder)
            os.symlink(folder, os.path.join(inner, "back"))
            url = ["--server", f"http://127.0.0.1:{server.http}"]
            peer = f"127.0.0.1:{server.dicom}"
            imported = server.command("import", folder, *url)
            self.assertIn("1 stored, 0 there already, 0 kept beside another with the same UID, 0 refused, 2 passed over", imported.stdout)
            self.assertIn("DICOMDIR only lists", imported.stderr)
            self.assertIn("1 sent, 0 with a warning, 0 refused, 2 passed over", server.command("send", peer, folder, "--aec", "HILUM").stdout)
            bad = os.path.join(folder, "a bad\x1b[2J one")
            os.mkdir(bad)
            os.symlink("nowhere", os.path.join(bad, "dangling"))
            os.symlink("self", os.path.join(bad, "self"))
            os.mkfifo(os.path.join(bad, "pipe"))
            open(os.path.join(bad, "empty"), "wb").close()
            shutil.copy(test_file("rtplan_truncated.dcm"), bad)
            for result, due in ((server.command("import", folder, *url, check=False), "0 stored, 1 there already, 0 kept beside another with the same UID, 5 refused, 2 passed over"),
                                (server.command("send", peer, folder, "--aec", "HILUM", check=False), "1 sent, 0 with a warning, 5 refused, 2 passed over")):
                self.assertIn(due, result.stdout)
                self.assertEqual(result.returncode, 1)
                self.assertNotIn("\x1b", result.stderr)
                for words in ("dangling: No such file", "self: Too many levels", "pipe: it is neither a file nor a folder", "the file is empty", "is cut off"):
                    self.assertIn(words, result.stderr)
            only_foreign = server.command("import", os.path.join(folder, "README.txt"), *url, check=False)
            self.assertEqual(only_foreign.returncode, 1)

    def test_a_hostile_file_moves_no_cursor(self):
        """What a file holds comes out of dump and json without a terminal's commands in it."""
        with tempfile.TemporaryDirectory() as folder:
            dataset = pydicom.dcmread(test_file("CT_small.dcm"))
            dataset.SpecificCharacterSet = "ISO_IR 192"
            dataset.PatientName = "\x1b[2J\x1b]0;title\x07\u009b31m\u202eevil\x7f"
            dataset.PatientComments = "line\r\nline\x08"
            path = os.path.join(folder, "hostile.dcm")
            dataset.save_as(path)
            for command in ("dump", "json"):
                shown = hilum(command, path).stdout
                self.assertEqual([c for c in shown if (ord(c) < 32 or 127 <= ord(c) < 160) and c != "\n"], [], command)
            self.assertNotIn("\u202e", hilum("dump", path).stdout)
            self.assertEqual(json.loads(hilum("json", path).stdout)["00100010"]["Value"][0]["Alphabetic"], str(dataset.PatientName))

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
