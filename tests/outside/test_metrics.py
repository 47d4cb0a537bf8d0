#!/usr/bin/python3
"""/metrics and /healthz as a monitoring system takes them: the text is read by the grammar of Prometheus' format, and what it counts is what was done to the server."""

import json
import os
import pathlib
import re
import socket
import signal
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import Hilum, pydicom_files, wait_until
from hl7_listener import Listener
from test_outbox import put_in

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)")


def parse(text):
    """{(name, frozenset of labels): value}; asserts all that the format demands, and that a family stands in one place under its HELP and TYPE."""
    assert text.endswith("\n") and "\r" not in text
    samples, families, family = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family, help_text = re.fullmatch(rf"# HELP ({NAME}) (.+)", line).groups()
            assert family not in families, f"{family} stands in two places"
            assert "\\" not in help_text
            families[family] = None
        elif line.startswith("# TYPE "):
            name, kind = re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge)", line).groups()
            assert name == family and families[family] is None
            assert (kind == "counter") == name.endswith("_total"), name
            families[family] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, f"no sample: {line!r}"
            assert match.group(1) == family and families[family], f"{line!r} stands under {family}"
            pairs = re.findall(LABEL, match.group(2) or "")
            labels = {name: re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m.group(1), m.group(1)), value) for name, value in pairs}
            assert len(labels) == len(pairs), f"a label twice: {line!r}"
            key = (family, frozenset(labels.items()))
            assert key not in samples, f"twice: {line!r}"
            samples[key] = float(match.group(len(match.groups())))
    assert all(families.values())
    return samples


class Metrics(unittest.TestCase):
    def setUp(self):
        self.server = Hilum(config="disk: {low_water_mb: 0}\n").start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))
        self.path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")

    def scrape(self):
        status, headers, body = self.server.request("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        return parse(body.decode("utf-8"))

    def value(self, name, **labels):
        return self.scrape().get((name, frozenset(labels.items())))

    def store_changed(self, name, **changes):
        dataset = pydicom.dcmread(self.path)
        for attribute, value in changes.items():
            setattr(dataset, attribute, value)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        where = os.path.join(self.server.folder, name + ".dcm")
        dataset.save_as(where)
        self.server.storescu(where)

    def restart_with(self, rows, dead=()):
        self.assertEqual(self.server.stop(), 0)
        put_in(self.server, rows)
        database = sqlite3.connect(os.path.join(self.server.data, "hilum.db"))
        for subject in dead:
            database.execute("UPDATE delivery SET state = 3 WHERE subject = ?", (subject,))
        database.commit()
        database.close()
        self.server.start()

    def test_a_server_without_worries_says_so(self):
        self.assertEqual(self.server.get_json("/healthz"), {"status": "ok", "reading": "ok", "storing": "ok", "audit": "ok", "warnings": []})
        samples = self.scrape()
        for name in ("hilum_conflicts", "hilum_studies_flagged", "hilum_quarantined", "hilum_objects_refused_total"):
            self.assertEqual(samples[(name, frozenset())], 0, name)
        self.assertEqual((samples[("hilum_storing", frozenset())], samples[("hilum_audit_written", frozenset())]), (1, 1))
        self.assertEqual(samples[("hilum_disk_low_water_bytes", frozenset())], 0)
        free = os.statvfs(self.server.data)
        self.assertLess(abs(samples[("hilum_disk_free_bytes", frozenset())] - free.f_bavail * free.f_frsize), 2 << 30)
        self.assertEqual({dict(labels)["kind"]: value for (name, labels), value in samples.items() if name == "hilum_alarms"}, dict.fromkeys(("database", "container", "digest", "audit", "stalled", "certificate", "backup", "rebuilt", "emergency"), 0))
        wait_until(lambda: [self.value("hilum_events_behind", by=by) for by in ("flow", "reading")] == [0, 0], 10, "the log is followed")

    def test_what_is_wrong_with_objects_is_counted(self):
        self.server.storescu(self.path)
        self.store_changed("second", SOPInstanceUID="1.2.3.1", PatientID="OTHER", PatientName="Other^One")
        self.store_changed("again", PixelData=bytes(len(pydicom.dcmread(self.path).PixelData)))
        self.assertGreaterEqual(self.server.request("/api/import", "POST", b"no DICOM at all" * 100)[0], 400)
        damaged = pathlib.Path(self.path).read_bytes()[:-2000]
        self.assertEqual(self.server.request("/api/import", "POST", damaged)[0], 400)
        samples = self.scrape()
        self.assertEqual(samples[("hilum_conflicts", frozenset())], 1)
        self.assertEqual(samples[("hilum_studies_flagged", frozenset())], 1)
        flags = {dict(labels)["flag"]: value for (name, labels), value in samples.items() if name == "hilum_objects_flagged"}
        self.assertEqual((flags["conflict"], flags["identity"], flags["charset"], flags["unidentified"]), (1, 1, 0, 0))
        self.assertEqual(samples[("hilum_objects_stored_total", frozenset())], 2)
        self.assertEqual(samples[("hilum_objects_beside_total", frozenset())], 1)
        self.assertEqual((samples[("hilum_objects_refused_total", frozenset())], samples[("hilum_files_passed_over_total", frozenset())]), (1, 1))
        for _ in range(2):
            self.server.storescu(self.path)
        self.server.storescu(os.path.join(self.server.folder, "again.dcm"))
        said = wait_until(lambda: (lambda lines: lines if len(lines) == 6 else None)([line for line in self.server.log().splitlines() if " sent objects: " in line]), 5, "a line for each association")
        self.assertEqual([line.split(" sent objects: ")[1].strip() for line in said], [f"{stored} stored, {same} there already, {beside} kept beside, 0 refused" for stored, same, beside in ((1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 0), (0, 1, 0))])
        self.assertEqual(samples[("hilum_quarantined", frozenset())], len([n for n in os.listdir(os.path.join(self.server.data, "quarantine")) if n.endswith(".dcm")]))
        self.assertGreaterEqual(samples[("hilum_quarantined", frozenset())], 1)
        self.store_changed("nobody", SOPInstanceUID="1.2.3.2", StudyInstanceUID="1.2.3.3", SeriesInstanceUID="1.2.3.4", PatientID="")
        self.assertEqual(self.value("hilum_objects_flagged", flag="unidentified"), 1)

    def test_objects_of_a_series_uid_that_two_studies_share_are_flagged(self):
        self.server.storescu(self.path)
        self.assertEqual(self.value("hilum_objects_flagged", flag="series"), 0)
        self.store_changed("other", SOPInstanceUID="1.2.3.1", StudyInstanceUID="1.2.3", PatientID="OTHER")
        self.assertEqual(self.value("hilum_objects_flagged", flag="series"), 2)
        flagged = self.server.get_json("/api/flagged?flag=series")
        self.assertEqual(({one["study"] for one in flagged}, {tuple(one["flags"]) for one in flagged}), ({"1.2.3", pydicom.dcmread(self.path).StudyInstanceUID}, {("series",)}))

    def test_what_is_sent_again_and_stays_set_aside_is_told_once_an_association_and_counted(self):
        told = lambda: [line for line in self.server.log().splitlines() if "objects again that are kept and not served" in line]
        self.server.storescu(self.path)
        self.store_changed("newer", PixelData=bytes(len(pydicom.dcmread(self.path).PixelData)))
        (conflict,) = self.server.get_json("/api/conflicts")
        self.assertEqual((told(), self.value("hilum_objects_set_aside_total")), ([], 0))
        self.server.put_json(f"/api/conflicts/{conflict['id']}/take", {"by": "Ann"}, "POST")
        self.server.storescu(os.path.join(self.server.folder, "newer.dcm"))
        self.assertEqual((told(), self.value("hilum_objects_set_aside_total")), ([], 0))
        self.server.storescu(self.path)
        wait_until(told, 5, "the line of the association")
        self.assertEqual(len(told()), 1)
        self.assertRegex(told()[0], rf" sent 1 objects again that are kept and not served, the first of study {conflict['study']}")
        self.assertEqual(self.value("hilum_objects_set_aside_total"), 1)
        self.assertIn("1 of those there already are kept and not served", self.server.command("import", self.path, "--server", self.server.url("")).stdout)
        self.assertEqual(self.value("hilum_objects_set_aside_total"), 2)

    def test_deliveries_are_counted_by_target_and_the_health_says_which_one_is_silent_or_refuses(self):
        listener = Listener(manners=())
        self.addCleanup(listener.stop)
        self.server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": listener.port})
        self.restart_with([("hl7", "ris", "M1"), ("hl7", "ris", "M2"), ("hl7", "gone", "M3"), ("dicom", "gone", "1.2.3"), ("hl7", "strict", "M4"), ("hl7", "strict", "M5")], dead=("M4", "M5"))
        count = lambda kind, target, state: self.value("hilum_deliveries", kind=kind, target=target, state=state)
        wait_until(lambda: count("hl7", "ris", "done") == 2, 10, "the record took both")
        wait_until(lambda: (count("hl7", "gone", "waiting"), count("dicom", "gone", "waiting")) == (1, 1), 10, "what has no target waits, once the sender has looked for it")
        self.assertEqual((count("hl7", "ris", "waiting"), count("hl7", "strict", "dead")), (0, 2))
        self.assertEqual(self.value("hilum_delivery_oldest_seconds", kind="hl7", target="ris"), 0)
        self.assertGreater(self.value("hilum_delivery_oldest_seconds", kind="hl7", target="gone"), 50 * 365 * 86400)
        health = self.server.get_json("/healthz")
        self.assertEqual(health["status"], "warnings")
        told = "\n".join(health["warnings"])
        self.assertRegex(told, "hl7 target gone: 1 deliveries wait, the oldest since 1970-01-01T00:00:00")
        self.assertRegex(told, "dicom target gone: 1 deliveries wait")
        self.assertRegex(told, "hl7 target strict: 2 given up")
        self.assertNotIn("ris", told)
        self.assertEqual(len(health["warnings"]), 3)
        self.assertRegex(told, "hl7 target gone: 1 deliveries wait, .*for a target that is not entered; enter it")
        entered = self.server.put_json("/api/hl7-targets/gone", {"host": "127.0.0.1", "port": listener.port, "application": "RIS2"})
        self.assertEqual(entered["warnings"], [f"1 deliveries wait for this name, and go to RIS2 at 127.0.0.1:{listener.port} now"])
        self.assertIn(f"hl7 target gone is entered: {entered['warnings'][0]}", self.server.log())
        wait_until(lambda: count("hl7", "gone", "done") == 1, 10, "it was delivered there")
        self.assertNotIn("warnings", self.server.put_json("/api/hl7-targets/gone", entered), "what was answered may be sent back")
        self.server.put_json("/api/hl7-targets/strict", {"host": "127.0.0.1", "port": listener.port})
        for one in self.server.get_json("/api/deliveries?state=dead"):
            self.assertEqual(self.server.request(f"/api/deliveries/{one['id']}/replay", "POST", b"{}")[0], 204)
        wait_until(lambda: count("hl7", "strict", "done") == 2, 10, "what was replayed is delivered")
        self.assertNotIn("strict", "\n".join(self.server.get_json("/healthz")["warnings"]))

    def test_the_health_names_what_an_active_rule_asks_for_and_is_not_there(self):
        warnings = lambda: self.server.get_json("/healthz")["warnings"]
        self.server.put_json("/api/rules/chest", {"modality": "CT", "model": "chest-ct", "send_to": ["pacs"], "hl7_to": ["ris"]})
        told = warnings()
        self.assertEqual(len(told), 3, told)
        self.assertRegex(told[0], "rule 'chest': model 'chest-ct' is not installed.*hilum model install.*disable the rule")
        self.assertRegex(told[1], "rule 'chest': peer 'pacs' is not entered")
        self.assertRegex(told[2], "rule 'chest': HL7 target 'ris' is not entered")
        self.server.put_json("/api/rules/chest", {"modality": "CT", "model": "chest-ct", "send_to": ["pacs"], "hl7_to": ["ris"], "enabled": False})
        self.assertEqual(warnings(), [], "nobody asks for it")

    def test_that_no_rule_is_enabled_is_told(self):
        warnings = lambda: self.server.get_json("/healthz")["warnings"]
        self.assertEqual(warnings(), [])
        (rule,) = self.server.get_json("/api/rules")
        self.server.put_json(f"/api/rules/{rule['name']}", dict(rule, enabled=False))
        self.assertRegex(warnings()[0], "no rule is enabled, so no model looks at anything: enter one by `hilum config apply`")
        self.assertEqual(self.server.request(f"/api/rules/{rule['name']}", "DELETE")[0], 204)
        self.assertRegex(warnings()[0], "no rule is enabled")
        del rule["version"]
        self.server.put_json(f"/api/rules/{rule['name']}", rule)
        self.assertEqual(warnings(), [])

    def test_who_removes_a_target_is_told_what_names_it_and_what_waits_for_it(self):
        warnings = lambda: self.server.get_json("/healthz")["warnings"]
        nobody = socket.socket()  # bound, so that no other program listens there
        self.addCleanup(nobody.close)
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        remove = lambda path: (lambda answer: (answer[0], json.loads(answer[2]) if answer[2] else None))(self.server.request(path, "DELETE"))
        self.server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": port})
        self.server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "port": port, "rights": ["target"], "plain": "accepted"})
        rule = {"modality": "CT", "model": "head-ct-hyperdense", "send_to": ["pacs"], "hl7_to": ["ris"]}
        self.server.put_json("/api/rules/head", rule)
        self.restart_with([("hl7", "ris", "M1"), ("dicom", "pacs", "1.2.3")])
        for kind, name in (("hl7", "ris"), ("dicom", "pacs")):
            wait_until(lambda: self.value("hilum_deliveries", kind=kind, target=name, state="waiting") == 1, 30, "it waits, once the sender has looked for its target")
        for path, kind, name in (("/api/hl7-targets/ris", "hl7", "ris"), ("/api/peers/pacs", "dicom", "pacs")):
            self.assertEqual(remove(path), (200, {"warnings": ["rule 'head' names it still: take it out of the rule", "1 deliveries wait for it, and go to the next target that is entered under this name"]}))
            self.assertTrue(any(text.startswith(f"{kind} target {name}: 1 deliveries wait, ") and "not entered" in text for text in warnings()), warnings())
        told = "\n".join(warnings())
        self.assertIn("rule 'head': peer 'pacs' is not entered", told)
        self.assertIn("rule 'head': HL7 target 'ris' is not entered", told)
        self.server.put_json("/api/hl7-targets/free", {"host": "127.0.0.1", "port": port})
        self.assertEqual(remove("/api/hl7-targets/free"), (204, None))

    def test_a_target_whose_name_has_quotes_is_one_label(self):
        self.restart_with([("hl7", 'r"i\\s\nx', "M1")])
        wait_until(lambda: self.value("hilum_deliveries", kind="hl7", target='r"i\\s\nx', state="waiting") == 1, 10, "it waits, once the sender has looked for its target")

    def test_a_job_is_counted_by_what_ended_it(self):
        self.server.put_json("/api/rules/any", {"modality": "CT", "model": "head-ct-hyperdense"})
        self.server.storescu(self.path)
        jobs = lambda: {dict(labels)["cause"]: (dict(labels), value) for (name, labels), value in self.scrape().items() if name == "hilum_jobs" and dict(labels)["state"] == "skipped"}
        labels, value = wait_until(jobs, 30, "the job has ended")["images"]
        self.assertEqual((value, labels["outcome"], labels["model"].split()[0]), (1, "not analysed", "head-ct-hyperdense"))
        self.assertEqual(self.value("hilum_results", model=labels["model"].split()[0], outcome="not analysed", standing="current"), 1)

    def test_a_decoder_that_dies_is_counted(self):
        path = next(p for p in pydicom_files() if os.path.basename(p) == "MR_small_RLE.dcm")
        self.server.storescu(path, options=("-xr",))
        header = pydicom.dcmread(path, stop_before_pixels=True)
        where = f"/dicom-web/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}/instances/{header.SOPInstanceUID}/frames/1"
        frame = lambda: self.server.request(where, headers={"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'})[0]
        self.assertEqual(frame(), 200)
        self.assertEqual(self.value("hilum_child_deaths_total", child="decoder"), 0)
        children = [pid for path in pathlib.Path(f"/proc/{self.server.process.pid}/task").glob("*/children") for pid in path.read_text("ascii").split()]
        decoders = {int(pid) for pid in children if b"decode" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()}
        self.assertEqual(len(decoders), 1)
        os.kill(decoders.pop(), signal.SIGKILL)
        self.assertEqual(frame(), 200)
        self.assertEqual(self.value("hilum_child_deaths_total", child="decoder"), 1)
        self.assertEqual(self.value("hilum_child_deaths_total", child="runner"), 0)


if __name__ == "__main__":
    unittest.main()
