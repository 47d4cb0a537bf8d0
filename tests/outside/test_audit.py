#!/usr/bin/python3
"""Every route leaves the line in the audit trail that it should: each one of the table in src/service/routes.c is asked here, and what PS3.15 A.5 calls it is written down here a second time."""

import glob
import hmac
import http.client
import json
import os
import re
import shutil
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
import pydicom
from harness import ROOT, Hilum, free_port, pydicom_files, wait_until

STUDY = "/dicom-web/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
QUERY, TRANSFERRED, IMPORT, ACCESSED, EXPORT, ALERT, USED = "110112", "110104", "110107", "110103", "110106", "110113", "110101"
# The event of an answer; None: nothing of a patient is told and nothing is changed.
EXPECTED = {
    ("GET", "/healthz"): None, ("GET", "/metrics"): None, ("GET", "/api/status"): None, ("GET", "/api/peers"): None, ("GET", "/api/rules"): None,
    ("GET", "/api/hl7-targets"): None, ("GET", "/api/models"): None, ("GET", "/api/audit/unknown"): None, ("GET", "/"): None, ("GET", "/assets/{path...}"): None,
    ("GET", "/dicom-web/studies"): QUERY, ("GET", "/dicom-web/series"): QUERY, ("GET", "/dicom-web/instances"): QUERY,
    ("GET", STUDY + "/series"): QUERY, ("GET", STUDY + "/instances"): QUERY, ("GET", SERIES + "/instances"): QUERY,
    ("GET", STUDY): TRANSFERRED, ("GET", STUDY + "/metadata"): TRANSFERRED, ("GET", SERIES): TRANSFERRED, ("GET", SERIES + "/metadata"): TRANSFERRED,
    ("GET", INSTANCE): TRANSFERRED, ("GET", INSTANCE + "/metadata"): TRANSFERRED, ("GET", INSTANCE + "/frames/{frames}"): TRANSFERRED, ("GET", INSTANCE + "/bulkdata/{path...}"): TRANSFERRED,
    ("PUT", "/api/peers/{name}"): ALERT, ("DELETE", "/api/peers/{name}"): ALERT, ("POST", "/api/peers/{name}/echo"): ALERT,
    ("PUT", "/api/rules/{name}"): ALERT, ("DELETE", "/api/rules/{name}"): ALERT, ("PUT", "/api/hl7-targets/{name}"): ALERT, ("DELETE", "/api/hl7-targets/{name}"): ALERT,
    ("GET", "/api/connections"): None, ("POST", "/api/connections/{kind}/{name}/check"): ALERT,
    ("GET", "/api/labels"): None, ("PUT", "/api/labels/{name}"): ALERT, ("DELETE", "/api/labels/{name}"): ALERT, ("GET", "/api/studies/{study}/labels"): QUERY, ("PUT", "/api/studies/{study}/labels"): ACCESSED,
    ("GET", "/api/conflicts"): QUERY, ("POST", "/api/conflicts/{id}/keep"): ACCESSED, ("POST", "/api/conflicts/{id}/take"): ACCESSED,
    ("GET", "/api/studies/{study}/flags"): QUERY, ("GET", "/api/flagged"): QUERY, ("GET", "/api/worklist"): QUERY, ("GET", "/api/worklist/{study}/read"): QUERY,
    ("POST", "/api/worklist/{study}/read"): ACCESSED, ("POST", "/api/worklist/{study}/unread"): ACCESSED,
    ("GET", "/api/studies/{study}/findings"): QUERY, ("GET", "/api/studies/{study}/results"): QUERY, ("POST", "/api/findings/{id}/judge"): ACCESSED, ("POST", "/api/studies/{study}/ask"): ACCESSED,
    ("GET", "/api/jobs"): QUERY, ("GET", "/api/deliveries"): QUERY, ("POST", "/api/deliveries/{id}/replay"): EXPORT, ("GET", "/api/events"): QUERY, ("WS", "/api/events"): QUERY,
    ("GET", "/api/login"): None, ("POST", "/api/login/first"): None, ("GET", "/api/session"): None, ("POST", "/api/session"): None, ("DELETE", "/api/session"): None, ("POST", "/api/session/break-glass"): ALERT,
    ("GET", "/api/session/provider"): None, ("GET", "/api/session/provider/callback"): None,
    ("GET", "/api/accounts"): None, ("PUT", "/api/accounts/{name}"): ALERT, ("DELETE", "/api/accounts/{name}"): ALERT, ("PUT", "/api/accounts/{name}/password"): ALERT,
    ("GET", "/api/provider"): None, ("PUT", "/api/provider"): ALERT, ("DELETE", "/api/provider"): ALERT,
    ("GET", "/api/sessions"): None, ("DELETE", "/api/sessions/{id}"): ALERT, ("GET", "/api/tokens"): None, ("POST", "/api/tokens"): ALERT, ("DELETE", "/api/tokens/{name}"): ALERT,
    ("GET", "/api/session/provider"): None, ("GET", "/api/session/provider/callback"): None, ("GET", "/api/backups"): None, ("POST", "/api/backups"): ALERT,
    ("GET", "/api/quarantine"): QUERY, ("DELETE", "/api/quarantine/{number}"): ALERT, ("POST", "/api/rules/try"): QUERY,
    ("POST", "/api/deliveries/replay"): EXPORT, ("POST", "/api/deliveries/give-up"): EXPORT, ("POST", "/api/deliveries/{id}/give-up"): EXPORT,
    ("POST", "/api/models/rescan"): ALERT, ("POST", "/api/audit/acknowledge"): ALERT, ("GET", "/api/audit"): USED, ("GET", "/fhir/{type}"): QUERY, ("GET", "/fhir/{type}/{id}"): QUERY, ("POST", "/api/import"): IMPORT,
}
PEER = {"title": "AUDITED", "host": "127.0.0.1", "port": 1, "rights": ["target"], "plain": "accepted"}
BODIES = {
    ("POST", "/api/rules/try"): {"model": "m"}, ("POST", "/api/deliveries/replay"): {"kind": "hl7", "target": "t"}, ("POST", "/api/deliveries/give-up"): {"kind": "hl7", "target": "t", "by": "Dr Read", "reason": "gone"},
    ("PUT", "/api/peers/{name}"): PEER, ("PUT", "/api/rules/{name}"): {"model": "m"}, ("PUT", "/api/hl7-targets/{name}"): {"host": "127.0.0.1", "port": 1},
    ("POST", "/api/worklist/{study}/read"): {"by": "Dr Read", "version": 0}, ("POST", "/api/worklist/{study}/unread"): {"by": "Dr Read", "version": 0}, ("POST", "/api/findings/{id}/judge"): {"state": "accepted", "by": "Dr Read"},
    ("PUT", "/api/labels/{name}"): {}, ("PUT", "/api/studies/{study}/labels"): {"labels": [], "version": 0},
    ("POST", "/api/studies/{study}/ask"): {"by": "Dr Read"}, ("POST", "/api/conflicts/{id}/keep"): {"by": "Dr Read"}, ("POST", "/api/conflicts/{id}/take"): {"by": "Dr Read"},
}


def table():
    """The rows of src/service/routes.c: (method, path)."""
    with open(os.path.join(ROOT, "src", "service", "routes.c"), encoding="utf-8") as f:
        text = f.read()
    names = {"STUDY": STUDY, "SERIES": SERIES, "INSTANCE": INSTANCE}
    rows = []
    for method, path in re.findall(r'^    \{"([A-Z]+)",\s*((?:[A-Z]+ ?)?(?:"[^"]*")?),', text, re.M):
        rows.append((method, "".join(names.get(part, part.strip('"')) for part in re.findall(r'[A-Z]+(?= |$)|"[^"]*"', path))))
    return rows


class Line:
    """One line of the trail, read by an XML parser."""

    def __init__(self, text):
        message = xml.etree.ElementTree.fromstring(text[text.index("<AuditMessage>"):])
        event = message.find("EventIdentification")
        self.event = event.find("EventID").get("csd-code")
        self.type = event.find("EventTypeCode").get("csd-code") if event.find("EventTypeCode") is not None else None
        self.success = event.get("EventOutcomeIndicator") == "0"
        self.detail = event.findtext("EventOutcomeDescription") or ""
        self.actor = message.find("ActiveParticipant").get("UserID")
        self.objects = {p.find("ParticipantObjectIDTypeCode").get("csd-code"): p.get("ParticipantObjectID") for p in message.iter("ParticipantObjectIdentification")}


def trail(server):
    lines = []
    for path in sorted(glob.glob(os.path.join(server.data, "audit-*.log"))):
        with open(path, encoding="utf-8") as f:
            lines += [Line(line) for line in f.read().splitlines(keepends=True) if line.endswith("\n")]
    return lines


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Hilum(config="disk: {low_water_mb: 0}\n").start()
        cls.path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        cls.server.storescu(cls.path)
        cls.object = pydicom.dcmread(cls.path, stop_before_pixels=True)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def ask(self, method, path, body=None):
        """The status. The answer is not read: that of /api/events has no end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http, timeout=20, source_address=("127.0.0.2", 0) if method == "WS" else None)  # apart from the sum of GET's
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} if method == "WS" else {}
        connection.request("GET" if upgrade else method, path, body if isinstance(body, bytes) else json.dumps(body) if body is not None else None, upgrade)
        status = connection.getresponse().status
        connection.close()
        return status

    def told(self, act, mark):
        """What the trail has more of `mark` after act(), and what that returned; waits until it is written, within a second or two. Of another time may be there what is left of a sum when its minute ends."""
        before = len(trail(self.server))
        result = act()
        of_it = lambda: [line for line in trail(self.server)[before:] if mark in line.detail or mark in line.objects.values()]
        wait_until(of_it, 5, f"a line of {mark} in the audit trail")
        return of_it(), result

    def fill(self, path, number):
        """The path with names of its own, so that no sum of an earlier request takes it in."""
        values = {"study": f"1.2.3.{number}", "series": "1.2.4", "instance": "1.2.5", "frames": "1", "path...": f"none{number}", "kind": "peer", "name": f"audited{number}", "id": f"{90000 + number}", "number": f"{90000 + number}", "type": "ImagingStudy"}
        return re.sub(r"\{([^}]*)\}", lambda m: values[m.group(1)], path)

    def test_the_table_here_has_every_route_of_the_server(self):
        rows = table()
        self.assertEqual(len(rows), len(set(rows)))
        self.assertEqual(set(rows), set(EXPECTED))

    def test_every_route_leaves_its_line_whatever_it_answers(self):
        for number, (route, event) in enumerate((route, event) for route, event in EXPECTED.items() if event):
            with self.subTest(route=route):
                where = self.fill(route[1], number)
                body = pydicom_bytes(self.path) if route[1] == "/api/import" else BODIES.get(route, {} if route[0] == "POST" else None)
                mark = f"1.2.3.{number}" if "{study}" in route[1] else f"audited{number}" if "{name}" in route[1] else self.object.SOPInstanceUID if route[1] == "/api/import" else f"{90000 + number}" if "/findings/" in where else "models looked for" if "rescan" in where else where
                lines, status = self.told(lambda where=where, body=body, route=route: self.ask(route[0], where, body), mark)
                self.assertEqual({line.event for line in lines}, {event}, where)
                self.assertEqual(lines[0].success, status < 400, where)
                if event == QUERY:
                    self.assertIn(where, lines[0].detail)
                if "{study}" in where:
                    self.assertEqual(lines[0].objects["110180"], f"1.2.3.{number}", where)

    def test_what_tells_nothing_of_a_patient_leaves_none(self):
        silent = [self.fill(path, 1) for (method, path), event in EXPECTED.items() if not event]
        for where in silent:
            self.ask("GET", where)
        self.told(lambda: self.ask("GET", "/dicom-web/studies/1.2.9/series"), "1.2.9")  # after whatever they left
        self.assertEqual([line.detail for line in trail(self.server) if line.detail in ["GET " + where for where in silent]], [])

    def test_a_read_of_a_study_names_it_its_patient_and_what_was_asked(self):
        study = self.object.StudyInstanceUID
        for where in (f"/dicom-web/studies/{study}/series", f"/api/jobs?study={study}", f"/fhir/ImagingStudy?study={study}", f"/api/conflicts?study={study}", f"/dicom-web/studies/{study}/instances", f"/api/studies/{study}/findings"):
            lines, status = self.told(lambda where=where: self.ask("GET", where), "GET " + where.partition("?")[0])
            self.assertEqual((status, lines[0].objects), (200, {"2": self.object.PatientID, "110180": study}), where)

    def test_who_judges_is_the_actor_and_an_import_names_its_patient(self):
        study = self.object.StudyInstanceUID
        (item,) = self.server.get_json(f"/api/worklist?study={study}")
        lines, status = self.told(lambda: self.ask("POST", f"/api/worklist/{study}/read", {"by": "Dr Who", "version": item["version"]}), "marked read")
        self.assertEqual((status, lines[0].actor, lines[0].detail, lines[0].objects), (204, "Dr Who", "marked read", {"2": self.object.PatientID, "110180": study}))
        lines, status = self.told(lambda: self.ask("POST", "/api/import", pydicom_bytes(self.path)), self.object.SOPInstanceUID)
        self.assertEqual((status, lines[0].event, lines[0].objects), (200, IMPORT, {"2": self.object.PatientID, "110180": study}))
        lines, status = self.told(lambda: self.ask("POST", "/api/import", b"no DICOM"), "DICOM")
        self.assertEqual((status >= 400, lines[0].event, lines[0].type, lines[0].success), (True, ALERT, "110132", False))

    def test_a_change_is_told_from_what_to_what(self):
        for where, first, second, said in (("/api/rules/valued", {"model": "m"}, {"model": "m", "priority": 4}, "priority: 0 -> 4"),
                                           ("/api/hl7-targets/valued", {"host": "127.0.0.1", "port": 1}, {"host": "127.0.0.1", "port": 2}, "port: 1 -> 2")):
            kept = self.server.put_json(where, first)
            lines, _ = self.told(lambda where=where, kept=kept, second=second: self.ask("PUT", where, dict({k: v for k, v in kept.items() if k not in ("version", "warnings", "name")}, **second)), said)
            self.assertIn("version 2", lines[0].detail)
            self.assertIn("valued", lines[0].detail)

    def test_packages_that_come_and_go_are_told_by_name_version_and_digest(self):
        folder = tempfile.mkdtemp(prefix="hilum-test-")
        self.addCleanup(shutil.rmtree, folder)
        with Hilum(config=f"models: {{folder: {folder}}}\n") as server:
            lines = lambda: [line for line in trail(server) if line.detail.startswith("models looked for again")]
            server.command("model", "install", os.path.join(ROOT, "models", "head-ct-hyperdense"), "--server", server.url(""))
            (model,) = server.get_json("/api/models")
            named = f"head-ct-hyperdense {model['version']}, digest {model['digest']}"
            (line,) = wait_until(lines, 5, "the line of the installation")
            self.assertEqual((line.event, line.type, line.success, line.detail), (ALERT, "110131", True, f"models looked for again; now there: {named}"))
            shutil.rmtree(os.path.join(folder, "head-ct-hyperdense"))
            server.put_json("/api/models/rescan", {}, "POST")
            wait_until(lambda: len(lines()) == 2, 5, "the line of what is gone")
            self.assertEqual(lines()[1].detail, f"models looked for again; gone: {named}")

    def test_a_refused_change_and_an_echo_are_told_too(self):
        lines, status = self.told(lambda: self.ask("PUT", "/api/peers/half", {"title": "HALF"}), "half")
        self.assertEqual((status, lines[0].type, lines[0].success), (400, "110131", False))
        self.ask("PUT", "/api/peers/echoed", dict(PEER, port=free_port()))
        lines, status = self.told(lambda: self.ask("POST", "/api/peers/echoed/echo", {}), "POST /api/peers/echoed/echo")
        self.assertEqual((status >= 400, lines[0].type, lines[0].success), (True, "110126", False))
        self.ask("PUT", "/api/peers/self", dict(PEER, title="HILUM", port=self.server.dicom))
        lines, status = self.told(lambda: self.ask("POST", "/api/peers/self/echo", {}), "POST /api/peers/self/echo")
        self.assertEqual((status, lines[0].type, lines[0].success), (200, "110126", True))

    def test_a_peer_without_the_right_to_store_stores_nothing_by_any_context_and_that_is_told(self):
        self.ask("PUT", "/api/peers/finder", dict(PEER, title="FINDER", rights=["find"]))
        before = self.server.get_json("/api/status")["instances"]
        lines, sent = self.told(lambda: self.server.storescu(self.path, aet="FINDER", check=False), "may not store objects")
        self.assertNotEqual(sent.returncode, 0)
        self.assertEqual([(line.event, line.type, line.success, line.actor) for line in lines], [(ALERT, "110132", False, "FINDER")])
        self.assertIn("peer FINDER at 127.0.0.1 may not store objects; that takes", lines[0].detail)
        instance = f"{corpus.ROOT}.990.1"
        verification = corpus.sound(990, implicit=True, replace={0x00080016: ("UI", corpus.uid(corpus.VERIFICATION))})
        with corpus.Peer(self.server.dicom) as peer:
            self.assertEqual(peer.associate(calling="FINDER"), 2)
            self.assertEqual(peer.echo(), 0)
            peer.send(corpus.data_pdus(1, corpus.store_command(instance, 2, corpus.VERIFICATION), 1) + corpus.data_pdus(1, verification))
            self.assertEqual(peer.answer(), 0x0211)  # what was agreed on for C-ECHO is no leave to store
            self.assertEqual(peer.echo(), 0)
            self.assertTrue(peer.release())
        self.assertEqual(self.server.get_json("/api/status")["instances"], before)

    def test_a_reviewer_finds_what_was_done_to_a_patient_and_that_is_told_once(self):
        self.told(lambda: self.ask("GET", f"/dicom-web/studies/{self.object.StudyInstanceUID}/metadata"), "metadata")
        asked = f"/api/audit?patient={self.object.PatientID}&limit=1"
        wait_until(lambda: self.server.get_json(asked)["lines"], 5, "a line of the patient")
        found, answer, answers = [], {"more": True, "before": ""}, 0
        while answer["more"]:
            answer = self.server.get_json(f"{asked}&before={answer['before']}")
            found, answers = found + answer["lines"], answers + 1
        self.assertGreater(answers, 1)
        self.assertTrue(all(line["patient"] == self.object.PatientID for line in found))
        stored = [line for line in found if line["code"] == TRANSFERRED and line["action"] == "C"]
        self.assertEqual((stored[-1]["actor"], stored[-1]["address"], stored[-1]["study"], stored[-1]["outcome"]), ("STORESCU", "127.0.0.1", self.object.StudyInstanceUID, "success"))
        used = lambda: [line for line in trail(self.server) if line.event == USED and line.detail == f"GET /api/audit patient={self.object.PatientID}"]
        wait_until(used, 5, "that the trail was looked through")
        self.assertLessEqual(len(used()), 3)  # the minute may end meanwhile
        shown = self.server.command("audit", "show", self.server.data, "--patient", self.object.PatientID, "--event", "DICOM Instances Transferred").stdout
        self.assertIn(f"\tSTORESCU\t127.0.0.1\t{self.object.PatientID}\t{self.object.StudyInstanceUID}\t", shown)
        asked_of_server = self.server.command("audit", "show", "--server", self.server.url(""), "--patient", self.object.PatientID, "--event", "DICOM Instances Transferred").stdout
        self.assertEqual(asked_of_server, shown)
        for wrong in ("from=yesterday", "limit=0", "limit=1001", "before=x", "until=2026-02-30"):
            self.assertEqual(self.ask("GET", f"/api/audit?{wrong}"), 400, wrong)

    def test_the_chain_is_hmac_of_the_line_before_and_the_line_by_the_key_in_the_data_folder(self):
        with open(os.path.join(self.server.data, "audit-key"), encoding="ascii") as f:
            word, form, key, first = f.read().split()
        self.assertEqual((word, form, first), ("hilum-audit-key", "1", "1"))
        with open(os.path.join(self.server.data, "audit-00000001.log"), "rb") as f:
            lines = f.read().split(b"\n")[:-1]
        value = bytes(32)
        for line in lines:
            before, digits, behind = re.match(rb'(.*? value=")([0-9a-f]{64})(".*)$', line).groups()
            value = hmac.new(bytes.fromhex(key), value + before + behind, "sha256").digest()
            self.assertEqual(value.hex().encode(), digits)
        without = self.server.command("audit", "check", self.server.data, "--key", "/nowhere/key").stdout
        self.assertIn("lines were made with a key that is not here", without)
        self.assertNotIn("a key that is not here", self.server.command("audit", "check", self.server.data).stdout)

    def test_polls_of_a_minute_are_one_line_and_one_of_their_number(self):
        before = len([line for line in trail(self.server) if line.detail == "GET /api/worklist"])
        for _ in range(60):
            self.ask("GET", "/api/worklist")
        self.told(lambda: self.ask("GET", "/dicom-web/studies/1.2.10/series"), "1.2.10")
        self.assertLessEqual(len([line for line in trail(self.server) if line.detail == "GET /api/worklist"]), before + 3)  # the minute may end meanwhile


def pydicom_bytes(path):
    with open(path, "rb") as f:
        return f.read()


if __name__ == "__main__":
    unittest.main()
