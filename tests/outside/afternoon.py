#!/usr/bin/python3
"""An IT department's afternoon, from the package in a clean Debian to the archive that came back from its backup (make afternoon): everything by the page and the program's commands, as a person would, and counted.

Foreign programs alone are at the other ends: DCMTK is the scanner, Orthanc the PACS, npm's oidc-provider the hospital's login, Debian's chromium the browser, which believes the server by the authority's certificate. All of
it stands in a network of its own, with an address that is not loopback. There is no systemd in it: the server is started as its unit says. Needs root, mmdebstrap and certutil; BUILD names the build folder, and the file
ROOT_TAR, if given, keeps the clean root for the next time.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
for part in ("interop", "page", "oidc"):
    sys.path.insert(0, os.path.join(ROOT, "tests", part))
sys.path.insert(0, HERE)
NAME, ADDRESS = "pacs.hospital.example", "10.1.2.30"
PASSWORD = "correct horse battery"
BARS = {"login": 120, "whole": 600, "inputs": 30, "fields": 5}


def enter_own_network():
    """Begins this program anew where nobody else's network, mounts and processes are."""
    os.environ["AFTERNOON"] = "yes"
    script = f'ip link set lo up; ip addr add {ADDRESS}/32 dev lo; hostname {NAME}; exec "$@"'
    os.execvp("unshare", ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-ec", script, "afternoon", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])


class Person:
    """Whoever does it: each thing that is typed, chosen or pressed is an input."""

    def __init__(self, tab=None):
        self.tab, self.inputs, self.said = tab, 0, []

    def does(self, what):
        self.inputs += 1
        self.said.append(what)

    def types(self, field, text):
        self.does(f"types {field}")
        self.tab.fill(f"form [name={field}]" if field.isidentifier() else field, text)

    def chooses(self, field, value):
        self.does(f"chooses {field} {value}")
        self.tab.select(f"form [name={field}]", value)

    def ticks(self, value):
        self.does(f"ticks {value}")
        self.tab.click(f"form [value={value}]")

    def presses(self, selector):
        """Buttons and links are no inputs of their own: they end one."""
        self.tab.click(selector)


class Machine:
    """The clean root, and the server in it."""

    def __init__(self, folder, root):
        self.folder, self.root, self.process = folder, root, None

    def command(self, script):
        from deb import ENTER

        return ["unshare", "--mount", "sh", "-ec", ENTER.replace("ip link set lo up", "true"), "enter", self.root, script]

    def run(self, script):
        done = subprocess.run(self.command(script), capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"{script}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def start(self):
        """As the unit does."""
        with open(os.path.join(self.root, "lib/systemd/system/hilum.service"), encoding="utf-8") as file:
            unit = dict(line.strip().split("=", 1) for line in file if "=" in line and line[0] != "#")
        script = f"cd {unit['WorkingDirectory']}; umask {unit['UMask']}; exec setpriv --reuid {unit['User']} --regid {unit['Group']} --init-groups --no-new-privs {unit['ExecStart']}"
        with open(os.path.join(self.folder, "server.log"), "ab") as log:
            self.process = subprocess.Popen(self.command(script), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                return urllib.request.urlopen("http://127.0.0.1:8080/healthz", timeout=5).read()
            except OSError:
                assert self.process.poll() is None, self.log()
                time.sleep(0.05)
        raise AssertionError(self.log())

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(60) == 0, self.log()
            self.process = None

    def log(self):
        with open(os.path.join(self.folder, "server.log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8") as file:
            return file.read().strip()

    def ask(self, path):
        """As the program's own commands do, to see what is there."""
        request = urllib.request.Request(f"http://127.0.0.1:8080{path}", headers={"Authorization": f"Bearer {self.read('var/lib/hilum/token')}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


def believe(authority):
    """The browser's user takes the authority, as an IT department hands it out."""
    base = os.path.join(os.environ["HOME"], ".pki", "nssdb")
    os.makedirs(base)
    subprocess.run(["certutil", "-d", f"sql:{base}", "-N", "--empty-password"], check=True)
    subprocess.run(["certutil", "-d", f"sql:{base}", "-A", "-t", "C,,", "-n", "hilum", "-i", authority], check=True)


class Afternoon:
    def __init__(self, folder, machine, pacs, provider, browser):
        self.folder, self.machine, self.pacs, self.provider, self.browser = folder, machine, pacs, provider, browser
        self.url = f"https://{NAME}:8443"
        self.began = self.step_began = time.monotonic()
        self.person = Person()
        self.fields = {}

    def tell(self, what):
        now = time.monotonic()
        print(f"{now - self.began:6.1f} s  {now - self.step_began:5.1f} s  {self.person.inputs:3} inputs  {what}", flush=True)
        self.step_began = now

    def installs(self):
        self.person.does("dpkg -i hilum.deb")
        said = self.machine.run("dpkg -i /hilum.deb")
        assert f"https://{NAME}:8443/" in said and "/var/lib/hilum/first-administrator" in said, said
        self.machine.start()
        self.tell("installed, and it serves")

    def logs_in_first(self):
        believe(self.machine.path("etc/hilum/tls/authority.pem"))
        person = self.person
        person.tab = self.browser.tab()
        person.tab.goto(f"{self.url}/#/accounts")
        person.tab.until("document.querySelector('.login form [name=code]')")
        for field, text in (("code", self.machine.read("var/lib/hilum/first-administrator")), ("name", "root"), ("password", PASSWORD), ("again", PASSWORD)):
            person.types(field, text)
        person.tab.press("Enter")
        person.tab.until("document.querySelector('main.accounts tr[data-key=root]')")
        self.login = time.monotonic() - self.began
        self.tell("the first administrator is in, over TLS that the browser believes")

    def enters_peer(self, title, port, rights):
        person, before = self.person, self.person.inputs
        person.presses("button:text-is('Add a peer')")
        person.types("title", title)
        person.types("host", ADDRESS)
        if port:
            person.types("port", str(port))
        for right in rights:
            person.ticks(right)
        person.chooses("plain", "accepted")
        person.presses("form button:text-is('Add a peer')")
        person.tab.until(f"document.querySelector('tr[data-key={title.lower()}]')")
        self.fields[title] = person.inputs - before

    def enters_peers(self):
        person = self.person
        person.tab.goto(f"{self.url}/#/connections")
        person.tab.until_text("main", "this machine's clock")
        self.enters_peer("CT1", None, [])
        self.enters_peer("ORTHANC", self.pacs.dicom, ["target"])
        person.presses("[aria-label='Echo orthanc']")
        person.tab.until_text("tr[data-key=orthanc] [role=status]", "answered in")
        person.tab.goto(f"{self.url}/#/operation")
        rule = "tr[data-key=head-ct-hyperdense]"
        person.tab.until(f"document.querySelector('{rule}')")
        person.presses(f"{rule} button:text-is('Edit')")
        person.types("send_to", "orthanc")
        person.presses("form button:text-is('Save')")
        person.tab.until_text(rule, "orthanc")
        self.tell(f"scanner and PACS are entered ({', '.join(f'{title}: {count} fields' for title, count in self.fields.items())}), and where results go")

    def sees_that_nothing_goes_out_in_the_clear_unless_it_may(self):
        """No input of a person's: what the network between could have heard."""
        shown = self.machine.run(f"hilum peer add strict --title STRICT --address {ADDRESS}:{self.pacs.dicom} --rights target --no-echo --token /var/lib/hilum/token; hilum peer echo strict --token /var/lib/hilum/token 2>&1 || true; hilum check strict --token /var/lib/hilum/token 2>&1 || true; hilum peer remove strict --token /var/lib/hilum/token")
        assert shown.count("plain: accepted") == 2 and "nothing is sent to strict" in shown, shown
        print(shown, flush=True) if os.environ.get("SHOW") else None

    def enters_provider(self):
        from provider import SECRET

        person = self.person
        person.tab.goto(f"{self.url}/#/accounts")
        person.presses("button:text-is('Enter the provider')")
        for field, text in (("issuer", self.provider.issuer), ("client_id", "hilum"), ("client_secret", SECRET), ("roles", "readers=radiologist")):
            person.types(field, text)
        person.presses("form button:text-is('Enter the provider')")
        person.tab.until_text("main", self.provider.issuer)
        self.tell("the hospital's login is entered")

    def scans(self):
        head = os.path.join(self.folder, "heads")
        subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", head, "--bleed-seed", "5"], check=True, stdout=subprocess.DEVNULL)
        bleed = os.path.join(head, "bleed-0005")
        self.person.does("the scan is sent")
        began = time.monotonic()
        subprocess.run(["storescu", "-aet", "CT1", "-aec", "HILUM", "+sd", ADDRESS, "11112", bleed], check=True, stdout=subprocess.DEVNULL)
        (item,) = until(lambda: [one for one in self.machine.ask("/api/worklist") if one["urgency"] == "stat"], 60, "the flag")
        flag = time.monotonic() - began
        self.study = item["study"]
        kinds = until(lambda: (lambda got: got if {"SEG", "SR"} <= got else None)({series["MainDicomTags"]["Modality"] for series in self.pacs.get_json("/series?expand")}), 60, "SEG and SR in the PACS")
        self.tell(f"images in (108 slices, with a SYNTHETIC bleed), flagged {flag:.1f} s after the first was sent, {' and '.join(sorted(kinds))} in the PACS")

    def reads(self):
        """Another person, in a browser in which nobody is logged in."""
        reader = Person(self.browser.tab())
        reader.tab.goto(f"{self.url}/#")
        reader.tab.evaluate("fetch('/api/session').then((a) => a.json()).then(({ csrf }) => fetch('/api/session', { method: 'DELETE', headers: { 'X-Hilum-CSRF': csrf ?? '' } })).then(() => true, () => true)")
        reader.tab.goto("about:blank")
        reader.tab.goto(f"{self.url}/#{self.study}")
        reader.tab.until("document.querySelector('.login')")
        reader.presses(".login a.way, .login .ways a, .login a[href^='/api/session/provider']")
        reader.tab.until("document.querySelector('input[name=login]')")
        reader.types("input[name=login]", "ada")
        reader.types("input[name=password]", "anything")
        reader.presses("button:text-is('Log in')")
        if not reader.tab.evaluate("location.hash").endswith(self.study):
            reader.tab.goto(f"{self.url}/#{self.study}")
        reader.tab.until("document.querySelector('.finding') && document.querySelector('canvas')", 60)
        assert "Ada Lovelace" in reader.tab.text(".person")
        self.person.inputs += reader.inputs
        self.tell("a radiologist has logged in by the hospital's login, and sees the finding on the images")

    def answers(self):
        paths = ("/dicom-web/studies?includefield=all", "/dicom-web/instances?limit=500", f"/api/studies/{self.study}/results", f"/api/studies/{self.study}/findings", "/api/peers", "/api/rules", "/api/accounts")
        kept = {path: self.machine.ask(path) for path in paths}
        kept["worklist"] = [(item["study"], item["urgency"], item["reason"]) for item in self.machine.ask("/api/worklist")]
        return kept

    def loses_and_restores(self):
        person, before = self.person, self.answers()
        token = "--token /var/lib/hilum/token"
        person.does("hilum backup")
        said = self.machine.run(f"hilum backup {token}")
        person.does("a copy of the key")
        self.machine.run("mkdir -p /media/safe; cp -a /var/backups/hilum /etc/hilum/backup.key /media/safe/")
        self.tell(next(line for line in said.splitlines() if line.startswith("backup ")))
        self.machine.stop()
        self.machine.run("touch /var/lib/hilum/purge-data; dpkg -P hilum; rm -rf /etc/hilum /var/lib/hilum /var/backups/hilum")
        assert not os.path.exists(self.machine.path("var/lib/hilum"))
        person.does("dpkg -i hilum.deb, on a machine that lost all")
        self.machine.run("dpkg -i /hilum.deb")
        person.does("hilum restore")
        told = self.machine.run("hilum restore --from /media/safe/hilum --key /media/safe/backup.key --data /var/lib/hilum")
        assert "It is the same archive" in told, told
        self.machine.start()
        assert self.answers() == before, "the answers are not those of before"
        person.does("hilum audit acknowledge")
        self.machine.run(f"hilum audit acknowledge --by Admin {token}")
        self.tell("lost, put back, and it answers as before")

    def run(self):
        self.installs()
        self.logs_in_first()
        self.enters_peers()
        self.sees_that_nothing_goes_out_in_the_clear_unless_it_may()
        self.enters_provider()
        self.scans()
        self.reads()
        self.loses_and_restores()
        whole = time.monotonic() - self.began
        seen = {"login": self.login, "whole": whole, "inputs": self.person.inputs, "fields": max(self.fields.values())}
        print("seen: " + ", ".join(f"{name} {value:.0f} (bar {BARS[name]})" for name, value in seen.items()) + "; no file edited, no restart", flush=True)
        missed = [name for name, value in seen.items() if value > BARS[name]]
        assert not missed, f"bars missed: {missed}"


def main():
    from browser import Browser
    from deb import make_package, make_root
    from harness import Orthanc
    from provider import Provider, packages

    folder = tempfile.mkdtemp(prefix="hilum-afternoon-")
    machine = provider = None
    try:
        package = make_package(folder, "0.1.0")
        root = make_root(folder, package)
        shutil.copy(package, os.path.join(root, "hilum.deb"))
        os.environ["HOME"] = os.path.join(folder, "home")
        with open(os.path.join(folder, "hosts"), "w", encoding="ascii") as file:
            file.write(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
        for hosts in ("/etc/hosts", os.path.join(root, "etc/hosts")):
            if hosts != "/etc/hosts":
                shutil.copy(file.name, hosts)
            else:
                subprocess.run(["mount", "--bind", file.name, hosts], check=True)
        machine = Machine(folder, root)
        provider = Provider(f"https://{NAME}:8443/api/session/provider/callback")
        provider.set("ada", name="Ada Lovelace", preferred_username="ada", groups=["readers"])
        provider.start()
        with Orthanc() as pacs, Browser() as browser:
            try:
                Afternoon(folder, machine, pacs, provider, browser).run()
            except BaseException:
                sys.stderr.write(machine.log())
                raise
            machine.stop()
    finally:
        if machine and machine.process and machine.process.poll() is None:
            machine.process.kill()
        if provider:
            provider.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("afternoon.py: needs root, to make and enter a clean root")
    if os.environ.get("AFTERNOON"):
        main()
    else:
        from deb import BUILD  # what needs the machine's own network is made first
        from provider import packages

        packages()
        kept = os.environ.setdefault("ROOT_TAR", os.path.join(BUILD, "clean-root.tar"))
        if not os.path.exists(kept):
            from deb import make_package, make_root

            with tempfile.TemporaryDirectory() as folder:
                make_root(folder, make_package(folder, "0.1.0"))
        enter_own_network()
