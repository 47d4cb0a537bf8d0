"""The Debian package of this build is made; lintian and systemd-analyze find no fault in it, and its SBOM says truly what is in it."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import harness

BUILD = os.path.dirname(os.path.abspath(harness.HILUM))


def have(path):
    return os.path.exists(os.path.join(harness.ROOT, path))


@unittest.skipUnless(have("ui/dist/index.html"), "the page is not built: make build")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hilum-deb-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        env = dict(os.environ, BUILD=BUILD, DEB_COMPRESSION="-Zgzip -z1")
        made = subprocess.run([os.path.join(harness.ROOT, "tools", "deb"), cls.folder], check=True, stdout=subprocess.PIPE, text=True, env=env)
        cls.package, cls.root = made.stdout.splitlines()[-1], os.path.join(cls.folder, "root")
        subprocess.run(["dpkg-deb", "-x", cls.package, cls.root], check=True)

    def test_the_program_finds_models_and_page_beside_itself(self):
        beside = os.path.dirname(os.path.realpath(os.path.join(self.root, "usr/bin/hilum")))
        for path in ("../models/head-ct-hyperdense/manifest.json", "../ui/dist/index.html", "onnxruntime/lib/libonnxruntime.so.1"):
            self.assertTrue(os.path.exists(os.path.join(beside, path)), path)

    def test_it_depends_on_what_the_binary_links_to(self):
        depends = subprocess.run(["dpkg-deb", "-f", self.package, "Depends"], check=True, capture_output=True, text=True).stdout
        for name in ("libc6 (>= ", "libssl3 (>= ", "libsqlite3-0 (>= ", "libstdc++6 (>= "):
            self.assertIn(name, depends)

    def test_the_configuration_of_the_package_is_one(self):
        shown, etc = os.path.join(self.folder, "hilum.yaml"), os.path.join(self.folder, "etc")
        hilum = os.path.join(self.root, "usr/bin/hilum")
        subprocess.run([hilum, "cert", os.path.join(etc, "tls"), "pacs.hospital.example"], check=True, capture_output=True)  # as the installation does
        subprocess.run([hilum, "backup", "key", os.path.join(etc, "backup.key")], check=True, capture_output=True)
        with open(os.path.join(self.root, "usr/share/hilum/hilum.yaml"), encoding="utf-8") as f, open(shown, "w", encoding="utf-8") as to:
            to.write(f.read().replace("@NAMES@", "pacs.hospital.example").replace("/etc/hilum", etc))
        done = subprocess.run([os.path.join(self.root, "usr/bin/hilum"), "config", "check", shown], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd_understands_the_unit(self):
        unit = os.path.join(self.folder, "hilum.service")
        with open(os.path.join(self.root, "lib/systemd/system/hilum.service"), encoding="utf-8") as f, open(unit, "w", encoding="utf-8") as to:
            to.write(f.read().replace("ExecStart=/usr/bin/hilum", "ExecStart=" + harness.HILUM))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
        self.assertEqual((done.returncode, [line for line in done.stderr.splitlines() if "hilum" in line]), (0, []))

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def test_lintian_finds_no_error(self):
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", "--tag-display-limit", "0", self.package], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_sbom_names_each_file_with_its_digest_and_every_library(self):
        with open(os.path.join(self.root, "usr/share/doc/hilum/hilum.spdx.json"), encoding="utf-8") as f:
            sbom = json.load(f)
        told = {one["fileName"]: {c["algorithm"]: c["checksumValue"] for c in one["checksums"]} for one in sbom["files"]}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                shown = "./" + os.path.relpath(path, self.root)
                if not os.path.islink(path) and not name.endswith(".spdx.json"):
                    with open(path, "rb") as f:
                        self.assertEqual(told.pop(shown)["SHA256"], hashlib.sha256(f.read()).hexdigest(), shown)
        self.assertEqual(told, {})
        linked = {r["relatedSpdxElement"] for r in sbom["relationships"] if r["relationshipType"] == "DYNAMIC_LINK"}
        packages = {one["name"]: one for one in sbom["packages"]}
        for name in ("libssl3", "libsqlite3-0", "libsodium23", "libc6"):
            self.assertIn(packages[name]["SPDXID"], linked)
            version = subprocess.run(["dpkg-query", "-W", "-f=${Version}\n", name], capture_output=True, text=True).stdout.split()[0]
            self.assertEqual(packages[name]["versionInfo"], version)
        self.assertIn("onnxruntime", packages)
        self.assertIn("npm-preact", packages)


if __name__ == "__main__":
    unittest.main()
