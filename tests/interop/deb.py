#!/usr/bin/python3
"""The package's life in a clean Debian 12: install, serve, upgrade with data, downgrade, remove, reinstall, purge (make test-deb).

Needs root and mmdebstrap, which takes the clean root with the package's dependencies from Debian's mirror. Two packages of this build folder differ in their
version only. The root is entered with pivot_root, as the sandbox of models asks for, with a network of its own and without systemd: the server is started by hand
as the unit's user with the unit's ExecStart and Type=notify. BUILD names the build folder; the file ROOT_TAR, if given, keeps the clean root for the next time.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
OLD, NEW = "0.0.9", "0.1.0"
SERVE_SECONDS = 60
SPDX_TOOLS = "spdx-tools==0.8.3"  # the SPDX project's own reader, from PyPI

# Runs inside: starts ExecStart as hilum, waits for READY=1, runs a command as root, ends the server. argv: command.
SERVED = r"""
import os, signal, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0hilum-test")
s.settimeout(%d)
unit = dict(line.strip().split("=", 1) for line in open("/lib/systemd/system/hilum.service") if "=" in line and line[0] != "#")
log = open("/tmp/server.log", "w")
p = subprocess.Popen(["setpriv", "--reuid", unit["User"], "--regid", unit["Group"], "--init-groups", "--no-new-privs"] + unit["ExecStart"].split(),
                     cwd=unit["WorkingDirectory"], env={"NOTIFY_SOCKET": "@hilum-test", "PATH": "/usr/bin:/bin"}, stdout=log, stderr=log, umask=int(unit["UMask"], 8))
try:
    said = s.recv(100).decode()
    assert said == "READY=1", said
    r = subprocess.run(["sh", "-ec", sys.argv[1]])
    p.send_signal(signal.SIGTERM)
    ended = p.wait(60)
    said = s.recv(100).decode()
    assert said == "STOPPING=1" and ended == 0, (said, ended)
    sys.exit(r.returncode)
except Exception:
    p.kill()
    sys.stderr.write(open("/tmp/server.log").read())
    raise
""" % SERVE_SECONDS

ENTER = """
mount --bind "$1" "$1"; cd "$1"; ip link set lo up
mount -t proc proc proc; mount --rbind /dev dev; mkdir -p old; pivot_root . old; umount -l /old; rmdir /old
exec sh -ec "$2"
"""


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def make_package(folder, version):
    env = dict(os.environ, BUILD=BUILD, VERSION=version, DEB_COMPRESSION="-Zgzip -z1")
    return subprocess.run([os.path.join(ROOT, "tools", "deb"), folder], check=True, capture_output=True, text=True, env=env).stdout.splitlines()[-1]


def make_root(folder, package):
    """A minimal Debian 12 with what the package depends on, python3 for the test's own part, and openssl and curl as its judges."""
    depends = run("dpkg-deb", "-f", package, "Depends").stdout
    names = [re.split(r"[ (|]", one.strip())[0] for one in depends.split(",")] + ["python3-minimal", "openssl", "curl", "ca-certificates"]
    kept = os.environ.get("ROOT_TAR")
    source = kept if kept and os.path.exists(kept) else None
    if not source:
        source = kept or os.path.join(folder, "clean.tar")
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(names), "bookworm", source, "http://deb.debian.org/debian"], check=True)
    root = os.path.join(folder, "root")
    os.mkdir(root)
    subprocess.run(["tar", "-C", root, "--exclude=./dev/*", "-xf", source], check=True)
    with open(os.path.join(root, "usr/sbin/policy-rc.d"), "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nexit 101\n")
    os.chmod(f.name, 0o755)
    with open(os.path.join(root, "served.py"), "w", encoding="ascii") as f:
        f.write(SERVED)
    return root


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hilum-deb-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        packages = {version: make_package(cls.folder, version) for version in (OLD, NEW)}
        cls.package = packages[NEW]
        cls.root = make_root(cls.folder, packages[NEW])
        subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", cls.root], check=True, capture_output=True)
        for version, path in packages.items():
            shutil.copy(path, os.path.join(cls.root, f"{version}.deb"))
        cls.size = os.path.getsize(packages[NEW])

    def inside(self, script, status=0):
        done = run("unshare", "--mount", "--net", "--uts", "--pid", "--fork", "sh", "-ec", "hostname pacs.hospital.example\n" + ENTER, "enter", self.root, script)
        self.assertEqual(done.returncode, status, f"{script}\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def served(self, script):
        return self.inside("python3 /served.py " + shlex.quote(script))

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def test_the_life_of_an_installation(self):
        began = time.monotonic()
        said = self.inside(f"dpkg -i /{OLD}.deb")
        seconds = time.monotonic() - began
        self.assertIn("/var/lib/hilum/first-administrator", said)
        self.assertIn("https://pacs.hospital.example:8443/", said)
        self.it_is_closed_to_others()
        self.it_serves_over_tls_on_all_addresses()
        self.served("echo kept > /var/lib/hilum/of-the-site")
        before = self.state()
        self.assertEqual([len(one) for one in before["answers"][1:]], [1, len(os.listdir(self.path("head")))])
        began = time.monotonic()
        self.inside(f"echo '# of the site' >> /etc/hilum/hilum.yaml; dpkg -i /{NEW}.deb")
        upgrade = time.monotonic() - began
        self.assertEqual(self.state(), before, "certificate, code and database are the older version's")
        self.assertIn("# of the site", self.inside("cat /etc/hilum/hilum.yaml"))
        self.assertIn("it cannot know what they mean", self.inside(f"dpkg -i /{OLD}.deb", 1))
        self.assertEqual(self.inside("dpkg-query -W -f='${Version} ${Status}' hilum"), f"{NEW} install ok installed")
        self.inside("dpkg -r hilum")
        self.assertFalse(os.path.exists(self.path("usr/lib/hilum")))
        self.assertEqual(self.files(), before["files"])
        self.assertIn("it cannot know what they mean", self.inside(f"dpkg -i /{OLD}.deb", 1))
        self.inside(f"dpkg -i /{NEW}.deb")
        self.assertEqual(self.state(), before)
        self.assertIn("the archive stays", self.inside("dpkg -P hilum"))
        self.assertFalse(os.path.exists(self.path("etc/hilum")))
        self.assertTrue(os.path.exists(self.path("var/lib/hilum/of-the-site")))
        self.inside(f"dpkg -i /{NEW}.deb; touch /var/lib/hilum/purge-data; dpkg -P hilum")
        self.assertFalse(os.path.exists(self.path("var/lib/hilum")))
        print(f"package {self.size / 2**20:.1f} MiB (gzip -1), installed in {seconds:.1f} s, upgraded in {upgrade:.1f} s", flush=True)

    def test_others_read_the_sbom(self):
        tools, shown = os.path.join(self.folder, "tools"), os.path.join(self.folder, "sbom")
        subprocess.run([sys.executable, "-m", "venv", tools], check=True)
        subprocess.run([os.path.join(tools, "bin", "pip"), "install", "--quiet", SPDX_TOOLS], check=True)
        subprocess.run(["dpkg-deb", "-x", self.package, shown], check=True)
        sbom = os.path.join(shown, "usr/share/doc/hilum/hilum.spdx.json")
        done = run(os.path.join(tools, "bin", "pyspdxtools"), "--infile", sbom)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def it_is_closed_to_others(self):
        shown = self.inside("cd /; stat -c '%a %U %G %n' var/lib/hilum etc/hilum/tls etc/hilum/hilum.yaml etc/hilum/tls/server.key etc/hilum/tls/authority.key")
        self.assertEqual(shown.splitlines(), ["750 hilum hilum var/lib/hilum", "750 root hilum etc/hilum/tls", "640 root hilum etc/hilum/hilum.yaml",
                                              "600 hilum hilum etc/hilum/tls/server.key", "600 root root etc/hilum/tls/authority.key"])

    def it_serves_over_tls_on_all_addresses(self):
        ca = "/etc/hilum/tls/authority.pem"
        said = self.served(f"""
            curl -sS --cacert {ca} --resolve pacs.hospital.example:8443:127.0.0.2 https://pacs.hospital.example:8443/ | grep -c '<title>'
            curl -sS --cacert {ca} https://127.0.0.1:8443/api/login
            openssl s_client -connect 127.0.0.2:2762 -CAfile {ca} -verify_return_error -verify_hostname pacs.hospital.example </dev/null 2>&1 | grep Verif
            stat -c '%a %U' /var/lib/hilum/first-administrator
            hilum import /head --token /var/lib/hilum/token
            setpriv --reuid hilum --regid hilum --clear-groups hilum model run /usr/lib/hilum/models/head-ct-hyperdense /head/*""")
        self.assertIn('"first"', said)
        self.assertIn("Verification: OK", said)
        self.assertIn("600 hilum", said)
        self.assertIn("nothing found in 108 slices", said)

    def files(self):
        """What only a person or the first start makes, by content."""
        found = {}
        for name in ("etc/hilum/tls/server.pem", "etc/hilum/tls/authority.pem", "var/lib/hilum/of-the-site"):
            with open(self.path(name), "rb") as f:
                found[name] = f.read()
        return found

    def state(self):
        answers = self.served("""
            for path in api/login dicom-web/studies "dicom-web/instances?limit=200"; do
                curl -sSf -H "Authorization: Bearer $(cat /var/lib/hilum/token)" "http://127.0.0.1:8080/$path"
                echo
            done""")
        return {"files": self.files(), "answers": [json.loads(line) for line in answers.splitlines() if line]}


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("deb.py: needs root, to make and enter a clean root")
    unittest.main()
