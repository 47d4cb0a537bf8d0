#!/usr/bin/python3
"""Makes the pictures of docs/screenshots: `tests/page/screenshots.py [FOLDER]`. A real head with a SYNTHETIC bleed and synthetic heads with each kind of doubt go through the program; no person is in them."""

import json
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "outside"))
from browser import Browser
from case import make_head
from harness import ROOT, Hilum, free_port, pydicom_files, wait_until
from heads import BLEED_SLICE, Head
from test_runner_faults import REAL, make_package

LIST, STUDY = (1280, 800), (1080, 700)  # the window of each picture, so that it stays under 200 kB
MASKED = "document.querySelector('.finding') && document.querySelector('canvas')?.dataset.masked === 'true'"
PASSWORD = "correct horse battery"
FAILING = "hungry"  # a model that takes more memory than it may


class Scene:
    """A server with studies of every kind, by name."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-scene-")
        self.studies = {}
        for name, graph in ((REAL, None), (FAILING, "hungry")):
            make_package(os.path.join(self.folder, "models"), name, graph)
        self.server = Hilum(config=f"models:\n  folder: {self.folder}/models\n  memory_mb: 1024\nflow: {{negative_quiet_s: 2}}\n")

    def __enter__(self):
        self.server.start()
        self.server.put_json("/api/rules/head", {"model": REAL, "modality": "CT", "body_part": "HEAD"})
        self.send()
        return self

    def __exit__(self, *what):
        self.server.__exit__(*what)
        shutil.rmtree(self.folder)

    def scan(self, name, head, slices=None):
        self.studies[name] = head.study
        self.server.storescu(*head.save(tempfile.mkdtemp(dir=self.folder), slices), aet="CT1")

    def send(self):
        made, truth = make_head(self.folder, "--bleed-seed", "5")
        self.studies["positive"] = truth["study"]
        self.server.command("send", f"127.0.0.1:{self.server.dicom}", made, "--aec", "HILUM")
        self.scan_two_patients()
        self.scan_twice()
        self.scan("negative", Head(4, PatientName="Doe^John"))
        self.scan("not analysed", Head(5, PatientName="Miller^Jane", ContrastBolusAgent="Iomeprol"))
        wrist = Head(6, Modality="CR", PatientName="Doe^Richard", BodyPartExamined="WRIST", StudyDescription="Wrist, left, in two planes", SeriesDescription="Wrist")
        self.scan("not asked", wrist, wrist.slices[:2])
        wait_until(self.is_settled, 120, "every model's answer")
        self.server.put_json("/api/rules/failing", {"model": FAILING, "modality": "CT", "body_part": "HEAD"})
        self.scan("failed", Head(7, bleed=BLEED_SLICE, PatientName="Doe^Jack"))
        wait_until(self.is_settled, 120, "every model's answer")

    def scan_two_patients(self):
        first, second = Head(1, PatientName="Roe^Richard"), Head(2, PatientID="P9", PatientName="Roe^Jane", PatientBirthDate="19800229")
        for number, d in enumerate(second.slices):
            d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPInstanceUID = first.study, first.series, f"{first.series}.{1000 + number}"
        self.scan("two patients", first, first.slices[::2] + second.slices[1::2])

    def scan_twice(self):
        head = Head(3, PatientName="Doe^Jane")
        self.scan("came again", head)
        for d in head.slices:
            d.PatientName, d.StudyDescription = "Doe^Janet", "CT head, corrected"
        self.scan("came again", head)

    def is_settled(self):
        items = {item["study"]: item for item in self.server.get_json("/api/worklist")}
        for name, study in self.studies.items():
            said = items[study]["models"]
            if items[study]["arriving"] or not said and name != "not asked" or not all(one["told"] and one["outcome"] != "waiting" for one in said):
                return False
        return True


def stand_still(server):
    """What an administrator finds on a bad day: a receiver that is gone, an object cut short, a peer that does not answer."""
    server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "port": free_port(), "rights": ["target"], "plain": "accepted"})
    server.put_json("/api/peers/ct1", {"title": "CT1", "host": "127.0.0.1", "port": free_port(), "rights": ["store"]})
    server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": free_port(), "application": "RIS"})
    server.put_json("/api/rules/head", {"model": REAL, "modality": "CT", "body_part": "HEAD", "send_to": ["pacs"], "hl7_to": ["ris"]})
    with open(next(path for path in pydicom_files() if path.endswith("CT_small.dcm")), "rb") as file:
        server.request("/api/import", "POST", file.read()[:3000])


def take_operation(scene, browser, out):
    server = scene.server
    stand_still(server)
    scene.scan("delivered", Head(8, bleed=BLEED_SLICE, PatientName="Doe^Judy"))
    wait_until(lambda: any(row["lastError"] for row in server.get_json("/api/deliveries?state=waiting")), 120, "a delivery that is refused")
    tab = browser.tab()
    tab.resize(*LIST)
    tab.goto(server.url("/#/operation"))
    tab.until("document.querySelectorAll('.panel').length >= 9 && document.querySelector('tr.mood.bad') && !document.body.innerText.includes('Loading')")
    tab.fill(".name input", "Dr Example")
    tab.screenshot(f"{out}/operation.png")
    tab.goto(server.url("/#/connections"))
    tab.until("document.querySelector('tr[data-key=pacs]')")
    tab.click("[aria-label='Echo pacs']")
    tab.until("document.querySelector('tr[data-key=pacs] [role=alert]')")
    tab.click("button:has-text('Add a peer')")
    tab.screenshot(f"{out}/connections.png")


def take_backups(browser, out):
    folder = tempfile.mkdtemp(prefix="hilum-scene-")
    vault, key = os.path.join(folder, "backups"), os.path.join(folder, "backup.key")
    Hilum.command(None, "backup", "key", key)
    make_package(os.path.join(folder, "models"), REAL, None)
    with Hilum(config=f"models: {{folder: {folder}/models}}\nbackup: {{folder: {vault}, key: {key}, at: '02:30'}}\n") as server:
        for _ in range(2):
            server.command("backup", "--server", server.url(""))
        tab = browser.tab()
        tab.resize(*LIST)
        tab.goto(server.url("/#/operation"))
        tab.until("document.querySelectorAll('.panel tr.mood.good').length >= 2 && !document.body.innerText.includes('Loading')")
        tab.evaluate("[...document.querySelectorAll('.panel')].find((one) => one.querySelector('h2').innerText === 'Backups').scrollIntoView({ block: 'center' })")
        tab.screenshot(f"{out}/backups.png")
    shutil.rmtree(folder)


def take_login(browser, out):
    with Hilum(config="http: {names: hilum.example}\n") as server:
        tab = browser.tab()
        tab.resize(*STUDY)
        tab.goto(server.url("/"))
        tab.until("document.querySelector('.login form')")
        tab.screenshot(f"{out}/login.png")


def ask(server, path, value):
    """As the program's own commands do."""
    with open(os.path.join(server.data, "token"), encoding="utf-8") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
    status, _, answer = server.request(path, "PUT", json.dumps(value).encode(), headers)
    assert status == 200, answer


def log_in(tab, server, name, place):
    tab.goto("about:blank")
    tab.goto(server.url(f"/#{place}"))
    tab.until("document.querySelector('.login form')")
    tab.fill("[name=name]", name)
    tab.fill("[name=password]", PASSWORD)
    tab.press("Enter")
    tab.until("document.querySelector('main h1')")


def take_accounts(scene, browser, out):
    """Accounts and labels, a labelled study, and an emergency of who lacks its label."""
    with Hilum(config="http: {names: hilum.example}\n") as server:
        ask(server, "/api/accounts/root", {"shown": "Root", "roles": ["administrator"], "password": PASSWORD})
        for label, about in (("staff", "patients who work here"), ("trial", "of the trial, for its readers")):
            ask(server, f"/api/labels/{label}", {"description": about})
        for name, shown, role, labels in (("anna", "Dr. Anna Roe", "radiologist", ["staff", "trial"]), ("eve", "Dr. Eve Poe", "radiologist", []), ("tom", "Tom Doe", "technologist", ["staff"]), ("root", "Root", "administrator", ["staff"])):
            ask(server, f"/api/accounts/{name}", {"shown": shown, "roles": [role], "labels": labels, "password": PASSWORD})
        head = Head(9, PatientName="Doe^Judith")
        server.storescu(*head.save(tempfile.mkdtemp(dir=scene.folder), head.slices[::4]), aet="CT1")
        ask(server, f"/api/studies/{head.study}/labels", {"labels": ["staff"], "version": 0})
        tab = browser.tab()
        tab.resize(*LIST)
        log_in(tab, server, "root", "/accounts")
        tab.until("document.querySelectorAll('tr[data-key]').length >= 7")
        tab.screenshot(f"{out}/accounts.png")
        tab.click(".person button")
        tab.resize(*STUDY)
        log_in(tab, server, "anna", head.study)
        tab.until("document.querySelector('.tag')")
        tab.slice_shown()
        tab.screenshot(f"{out}/labels.png")
        tab.click(".person button")
        log_in(tab, server, "eve", head.study)
        tab.until("document.querySelector('details.emergency')")
        tab.click("details.emergency summary")
        tab.fill("[name=reason]", "unconscious in the emergency room, nobody else is here")
        tab.screenshot(f"{out}/emergency.png")
        tab.click("details.emergency button")
        tab.until("document.querySelector('.emergency-banner')")
        tab.slice_shown()
        tab.screenshot(f"{out}/emergency-study.png")


def take(scene, browser, out):
    tab = browser.tab()
    tab.resize(*LIST)

    def opened(name, until):
        tab.goto(scene.server.url(f"/#{scene.studies[name]}"))
        tab.until(until)
        tab.slice_shown()

    tab.goto(scene.server.url("/"))
    tab.until(f"document.querySelectorAll('tbody tr').length === {len(scene.studies)}")
    tab.screenshot(f"{out}/list.png")
    tab.resize(*STUDY)
    opened("positive", MASKED)
    tab.screenshot(f"{out}/study.png")
    tab.fill(".name input", "Dr Example")
    tab.fill(".judge textarea", "as in the report")
    tab.click(".judge button:has-text('Accept')")
    tab.until_text(".judged", "accepted by Dr Example")
    tab.screenshot(f"{out}/judged.png")
    opened("failed", f"{MASKED} && document.querySelector('.results .failed')")
    tab.screenshot(f"{out}/failed.png")


if __name__ == "__main__":
    with Scene() as scene, Browser() as browser:
        folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "docs", "screenshots")
        take(scene, browser, folder)
        take_operation(scene, browser, folder)
        take_backups(browser, folder)
        take_login(browser, folder)
        take_accounts(scene, browser, folder)
