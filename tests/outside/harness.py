"""What the outside tests share: a Hilum server (and peers) on free loopback ports in a folder of its own, ended by the test.

The tests drive the program as its users do, and judge by other people's tools: DCMTK, pydicom, Orthanc, curl. They run under Debian's python3 (/usr/bin/python3).
HILUM in the environment names the program; the default is build/hilum.
"""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HILUM = os.environ.get("HILUM", os.path.join(ROOT, "build", "hilum"))
START_SECONDS = 20


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_port():
    """Not one of those that the kernel gives to outgoing connections (/proc/sys/net/ipv4/ip_local_port_range): one of these may be taken before a server listens."""
    while True:
        port = 15000 + os.getpid() % 17 * 1000 + random.randrange(1000)  # apart from those of other tests at the same time
        if is_free(port):
            return port


def wait_for_port(port, seconds=START_SECONDS, process=None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process and process.poll() is not None:
            raise RuntimeError(f"the program ended with status {process.returncode} before it listened on port {port}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"nothing listens on port {port} after {seconds} s")


class Hilum:
    """`hilum serve` in a folder of its own. Use as a context manager."""

    def __init__(self, data=None, config="", env=None, wrap=(), extra=(), program=HILUM):
        self.folder = tempfile.mkdtemp(prefix="hilum-test-") if data is None else None
        self.data = data or os.path.join(self.folder, "data")
        self.http, self.dicom = free_port(), free_port()
        self.env = dict(os.environ, **(env or {}))
        self.wrap, self.extra, self.config, self.program = list(wrap), list(extra), config, program
        self.log_path = os.path.join(self.folder or os.path.dirname(self.data), f"log-{self.http}.txt")
        self.process, self.told = None, False

    def launch(self):
        """Starts the process, and does not wait."""
        arguments = ["--data", self.data, "--http", f"127.0.0.1:{self.http}", "--dicom", f"127.0.0.1:{self.dicom}"]
        if self.config:
            path = self.log_path + ".yaml"
            with open(path, "w", encoding="utf-8") as f:
                f.write(self.config)
            arguments += ["--config", path]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.wrap + [self.program, "serve"] + arguments + self.extra, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self, tries=4):
        """Where one of its ports was taken by somebody else meanwhile, on others: nobody was told them before the first start."""
        if not self.told and not (is_free(self.http) and is_free(self.dicom)):  # another's answer would be taken for its own
            self.http, self.dicom = free_port(), free_port()
        said = len(self.log()) if os.path.exists(self.log_path) else 0
        self.launch()
        try:
            wait_for_port(self.http, process=self.process)
        except RuntimeError:
            taken = re.search(f"cannot listen.* at 127.0.0.1:({self.http}|{self.dicom}): Address already in use", self.log()[said:])
            if self.told or not taken or tries == 1:
                raise
            self.http, self.dicom = free_port(), free_port()
            return self.start(tries - 1)
        self.told = True
        return self

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def stop(self, seconds=20):
        """Asks it to end, and returns its exit status."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError("the server did not end when asked to") from None
        return self.process.returncode if self.process else None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        bad = kind
        try:
            self.stop()
            bad = bad or re.search("Sanitizer|runtime error:", self.log())  # the program's, or a child's, of which no status tells
            if bad and not kind:
                raise AssertionError("a sanitizer reports")
        finally:
            if bad:
                sys.stderr.write(self.log()[-4000:])
            if self.folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    # ---- HTTP

    def url(self, path):
        return f"http://127.0.0.1:{self.http}{path}"

    def request(self, path, method="GET", body=None, headers=None, timeout=60):
        """(status, headers, body)"""
        request = urllib.request.Request(self.url(path), data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def get_json(self, path):
        status, _, body = self.request(path)
        if status != 200:
            raise AssertionError(f"GET {path} answered {status}: {body[:300]!r}")
        return json.loads(body)

    def token(self):
        """Of the program's own commands, which see all."""
        with open(os.path.join(self.data, "token"), encoding="ascii") as f:
            return f.read().strip()

    def get_json_as_command(self, path):
        status, _, body = self.request(path, headers={"Authorization": "Bearer " + self.token()})
        if status != 200:
            raise AssertionError(f"GET {path} answered {status}: {body[:300]!r}")
        return json.loads(body)

    def put_json(self, path, value, method="PUT"):
        status, _, body = self.request(path, method, json.dumps(value).encode(), {"Content-Type": "application/json"})
        if status not in (200, 201, 204):
            raise AssertionError(f"{method} {path} answered {status}: {body[:300]!r}")
        return json.loads(body) if body else None

    def mark_read(self, study, by="Reader"):
        """As who has seen all that is there now."""
        (item,) = self.get_json(f"/api/worklist?study={study}")
        self.put_json(f"/api/worklist/{study}/read", {"by": by, "version": item["version"]}, "POST")

    # ---- commands

    def command(self, *arguments, check=True):
        result = subprocess.run([HILUM, *map(str, arguments)], capture_output=True, text=True, timeout=300)
        if check and result.returncode != 0:
            raise AssertionError(f"hilum {' '.join(map(str, arguments))} ended with {result.returncode}: {result.stderr[-600:]}")
        return result

    def storescu(self, *paths, aet="STORESCU", options=(), check=True):
        result = subprocess.run(["storescu", "-aet", aet, "-aec", "HILUM", *options, "127.0.0.1", str(self.dicom), *map(str, paths)], capture_output=True, text=True,
                                timeout=300, env=dict(os.environ, TCP_NODELAY="1"))
        if check and result.returncode != 0:
            raise AssertionError(f"storescu ended with {result.returncode}: {result.stdout[-600:]}{result.stderr[-600:]}")
        return result


class Orthanc:
    """Debian's Orthanc as the PACS, on free ports, in a folder of its own."""

    def __init__(self, title="ORTHANC", plugins=(), nodelay=True):
        self.nodelay = nodelay  # without, it keeps DCMTK's default: Nagle's algorithm
        self.folder = tempfile.mkdtemp(prefix="orthanc-test-")
        self.http, self.dicom, self.title, self.plugins = free_port(), free_port(), title, list(plugins)
        self.process = None

    def start(self):
        config = {
            "Name": "peer", "StorageDirectory": self.folder, "IndexDirectory": self.folder, "HttpPort": self.http, "DicomPort": self.dicom, "DicomAet": self.title,
            "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True,
            "OverwriteInstances": True, "Plugins": self.plugins, "DicomCheckCalledAet": False,
        }
        path = os.path.join(self.folder, "orthanc.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        env = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
        if self.nodelay:
            env["TCP_NODELAY"] = "1"
        with open(os.path.join(self.folder, "log.txt"), "ab") as log:
            self.process = subprocess.Popen(["Orthanc", path], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        wait_for_port(self.http, process=self.process)
        wait_for_port(self.dicom, process=self.process)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def get_json(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=60) as answer:
            return json.loads(answer.read())

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=60) as answer:
            return answer.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def multipart(headers, body):
    """The parts of a multipart/related answer: (headers as bytes, content)."""
    boundary = b"--" + headers["Content-Type"].split("boundary=")[1].strip('"').encode()
    parts = []
    for piece in body.split(boundary)[1:-1]:
        head, _, content = piece[2:].partition(b"\r\n\r\n")
        parts.append((head, content[:-2]))
    return parts


def wait_until(condition, seconds, what, step=0.05):
    """Calls it until it gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(step)


def pydicom_files(part="test_files"):
    """Every file that comes with pydicom's tests."""
    import pydicom.data

    folder = os.path.join(os.path.dirname(pydicom.data.__file__), part)
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)
