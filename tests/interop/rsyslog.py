#!/usr/bin/python3
"""The audit trail reaches Debian's rsyslog over TLS, by each of its two libraries: every line of the files is in its file, as it is, also after it was killed and started again.

rsyslog runs in a temporary folder on a free loopback port. BUILD names the build folder.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
os.environ.setdefault("HILUM", os.path.join(BUILD, "hilum"))
sys.path.insert(0, os.path.join(ROOT, "tests", "outside"))
from harness import Hilum, free_port, wait_for_port, wait_until  # noqa: E402
from test_syslog import certificate  # noqa: E402

CONFIG = """
global(workDirectory="{folder}" maxMessageSize="64k" DefaultNetstreamDriver="{driver}"
       DefaultNetstreamDriverCAFile="{pem}" DefaultNetstreamDriverCertFile="{pem}" DefaultNetstreamDriverKeyFile="{pem}.key")
module(load="imtcp" StreamDriver.Name="{driver}" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="keep")
ruleset(name="keep") {{ action(type="omfile" file="{folder}/got.log" template="raw") }}
"""


def trail(data):
    lines = []
    for path in sorted(glob.glob(os.path.join(data, "audit-*.log"))):
        with open(path, "rb") as f:
            lines += f.read().splitlines()
    return lines


def start(folder, port):
    process = subprocess.Popen(["/usr/sbin/rsyslogd", "-n", "-f", f"{folder}/rsyslog.conf", "-i", f"{folder}/pid"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_port(port, process=process)
    return process


def ask(server, numbers):
    for number in numbers:
        server.request(f"/api/conflicts?study=1.2.{number}")


def check(driver):
    folder = tempfile.mkdtemp(prefix="hilum-rsyslog-")
    pem, fingerprint = certificate(folder, "collector")
    port, data = free_port(), os.path.join(folder, "data")
    with open(f"{folder}/rsyslog.conf", "w", encoding="ascii") as f:
        f.write(CONFIG.format(folder=folder, driver=driver, pem=pem, port=port))
    collector = start(folder, port)
    try:
        with Hilum(data=data, config=f"audit: {{syslog: '127.0.0.1:{port}', syslog_certificate: '{fingerprint}'}}\n") as server:
            ask(server, range(200))
            wait_until(lambda: os.path.exists(f"{folder}/got.log"), 20, "first lines at rsyslog")
            collector.kill()
            collector.wait()
            ask(server, range(200, 400))
            collector = start(folder, port)
            server.stop()
            server.start()  # what was not sent at the stop is sent now

            def arrived():
                with open(f"{folder}/got.log", "rb") as f:
                    return set(trail(data)) <= set(f.read().splitlines())

            wait_until(arrived, 60, "every line of the trail in rsyslog's file")
            print(f"rsyslog by {driver}: {len(trail(data))} lines of the audit trail arrived as they are")
    finally:
        collector.kill()
        collector.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    for name in ("gtls", "ossl"):
        check(name)
