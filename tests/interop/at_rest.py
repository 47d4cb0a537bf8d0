#!/usr/bin/python3
"""The recipe for encryption at rest of docs/security.md, with fscrypt on ext4: a data folder in an encrypted folder of a file system in a file. Objects are kept bit for bit, also after a kill;
on the disk there is no name of a patient; without the key the server does not start, and begins nothing.

As root, in a mount namespace of its own, so that nothing is left of it. BUILD names the build folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
os.environ.setdefault("HILUM", os.path.join(BUILD, "hilum"))
sys.path.insert(0, os.path.join(ROOT, "tests", "outside"))
import pydicom  # noqa: E402
from harness import Hilum, multipart, pydicom_files  # noqa: E402

CONFIG = "disk: {low_water_mb: 0, spare_mb: 16}\n"


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=120).stdout


def is_on_the_disk(image, text):
    run("sync")
    with open(image, "rb") as f:
        return text in f.read()


def served(server, study):
    status, headers, body = server.request(f"/dicom-web/studies/{study}", headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
    assert status == 200, status
    return [content for _, content in multipart(headers, body)]


def check(folder):
    image, disk, key = (os.path.join(folder, name) for name in ("disk.img", "disk", "key"))
    encrypted, data = os.path.join(disk, "hilum"), os.path.join(disk, "hilum", "data")
    # /etc/fscrypt.conf is this namespace's.
    shutil.copytree("/etc", os.path.join(folder, "etc"), symlinks=True)
    run("mount", "--bind", os.path.join(folder, "etc"), "/etc")
    # ---- the recipe
    os.mkdir(disk)
    run("truncate", "-s", "400M", image)
    run("mkfs.ext4", "-q", "-b", "4096", image)
    run("tune2fs", "-O", "encrypt", image)
    run("mount", "-o", "loop", image, disk)
    run("fscrypt", "setup", "--force", "--quiet")
    run("fscrypt", "setup", disk, "--quiet")
    os.mkdir(encrypted)
    with open(key, "wb") as f:
        f.write(os.urandom(32))
    run("fscrypt", "encrypt", encrypted, "--source=raw_key", f"--key={key}", "--name=hilum", "--no-recovery", "--quiet")
    # ---- what it is worth
    path = next(path for path in pydicom_files() if os.path.basename(path) == "CT_small.dcm")
    object_ = pydicom.dcmread(path)
    name, study = str(object_.PatientName).encode(), object_.StudyInstanceUID
    with Hilum(data=data, config=CONFIG) as server:
        server.storescu(path)
        before = served(server, study)
        server.kill()
        server.start()
        assert served(server, study) == before and len(before) == 1
    assert not is_on_the_disk(image, name), "the patient's name is on the disk"
    run("fscrypt", "lock", encrypted, "--quiet")
    listed = sorted(os.listdir(encrypted))
    assert "data" not in listed, listed
    locked = Hilum(data=data, config=CONFIG)
    locked.log_path = os.path.join(folder, "log.txt")
    locked.launch()
    assert locked.process.wait(20) == 1, "it started without the key"
    assert "Required key not available" in locked.log(), locked.log()
    assert sorted(os.listdir(encrypted)) == listed, "it began another data folder"
    run("fscrypt", "unlock", encrypted, f"--key={key}", "--quiet")
    with Hilum(data=data, config=CONFIG) as server:
        assert served(server, study) == before
    # That a name would be found if it were there.
    with Hilum(data=os.path.join(disk, "plain"), config=CONFIG) as server:
        server.storescu(path)
    assert is_on_the_disk(image, name)
    run("umount", disk)


def main():
    if "--inside" not in sys.argv:
        if os.geteuid() != 0:
            sys.exit("at_rest: has to be root, to mount")
        folder = tempfile.mkdtemp(prefix="hilum-at-rest-")
        try:
            return subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, os.path.abspath(__file__), "--inside", folder], check=False).returncode
        finally:
            shutil.rmtree(folder)
    check(sys.argv[2])
    print("at rest: fscrypt on ext4: bit for bit, after a kill too; no name on the disk; locked, nothing starts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
