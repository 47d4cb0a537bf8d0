#!/usr/bin/python3
"""What was told and holds no more is taken back: a rejected finding in PACS, record and FHIR; an accepted one comes back; a negative says what was looked at. The PACS is DCMTK's storescp, the record python3-hl7's reading of what a listener got."""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hl7
import numpy as np
import pydicom
from harness import ROOT, Hilum, free_port, wait_for_port, wait_until
from heads import BLEED_SLICE, GAP_MM, PIXEL_MM, SIZE, SLICES, Head, copy, volume
from hl7_listener import Listener
from test_api import OPENAPI, fits
from test_audit import trail

REJECTED_FOR_QUALITY = "113001"


class Pacs:
    """DCMTK's storescp, which moves what has come whole into a folder."""

    def __init__(self, folder):
        self.folder, coming, self.port = folder + "/pacs", folder + "/coming", free_port()
        os.mkdir(self.folder)
        os.mkdir(coming)
        self.process = subprocess.Popen(["storescp", "-od", coming, "+xa", "-uf", "-xcr", f"mv #p/#f {self.folder}/", "-xs", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port, process=self.process)

    def objects(self):
        """By SOP Instance UID."""
        return {ds.SOPInstanceUID: ds for ds in (pydicom.dcmread(path) for path in glob.glob(self.folder + "/*"))}

    def stop(self):
        self.process.terminate()
        self.process.wait()


def observations(message):
    """(item, sub-ID): (value, status) of a message's OBX."""
    rows = [segment for segment in message if str(segment[0]) == "OBX"]
    return {(str(row[3][0][0]), str(row[4])): (str(row[5]), str(row[11])) for row in rows}


class Results(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.pacs = Pacs(self.temporary.name)
        self.addCleanup(self.pacs.stop)
        self.listener = Listener([])
        self.server = Hilum(config="flow:\n  negative_quiet_s: 1\n").start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))
        self.server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "port": self.pacs.port, "rights": ["target"], "plain": "accepted"})
        self.server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": self.listener.port, "application": "RIS", "facility": "TEST"})
        (rule,) = self.server.get_json("/api/rules")
        self.server.put_json(f"/api/rules/{rule['name']}", dict(rule, send_to=["pacs"], hl7_to=["ris"]))

    def send(self, *options):
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", self.temporary.name, *options], capture_output=True, text=True, check=True).stdout.split()[0]
        self.server.command("send", f"127.0.0.1:{self.server.dicom}", made, "--aec", "HILUM")
        return str(pydicom.dcmread(glob.glob(made + "/*.dcm")[0], stop_before_pixels=True).StudyInstanceUID)

    def result(self, study):
        results = wait_until(lambda: self.server.get_json(f"/api/studies/{study}/results"), 60, "a result")
        fits(results, OPENAPI["paths"]["/api/studies/{study}/results"]["get"]["responses"]["200"]["content"]["application/json"]["schema"], "results")
        (result,) = results
        return result

    def messages(self, count):
        """The record's messages, oldest first, when there are as many."""
        texts = wait_until(lambda: (lambda all_texts: all_texts if len(all_texts) >= count else None)([text for texts in self.listener.accepted.values() for text in texts]), 60, f"{count} messages")
        self.assertEqual(len(texts), count)
        return [hl7.parse(text) for text in texts]

    def objects(self, *instances):
        """What the PACS has, when it has these."""
        wait_until(lambda: set(instances) <= set(self.pacs.objects()), 60, "the objects at the PACS")
        return self.pacs.objects()

    def fhir(self, path):
        status, _, body = self.server.request(f"/fhir/{path}")
        self.assertEqual(status, 200, path)
        return json.loads(body)

    def told(self, study, revision):
        """The result when what its revision says is made."""
        return wait_until(lambda: (lambda result: result if result["revision"] == revision and result["told"] and result["sr"] not in self.before else None)(self.result(study)), 60, f"revision {revision}")

    def judge(self, finding, state):
        self.server.put_json(f"/api/findings/{finding['id']}/judge", {"state": state, "by": "Ann", "comment": ""}, "POST")

    def check_note(self, objects, rejected):
        """One note rejects exactly these; dciodvfy finds no fault in anything that came."""
        notes = [ds for ds in objects.values() if ds.Modality == "KO" and {str(s.ReferencedSOPInstanceUID) for e in ds.CurrentRequestedProcedureEvidenceSequence for r in e.ReferencedSeriesSequence for s in r.ReferencedSOPSequence} == rejected]
        self.assertEqual([ds.ConceptNameCodeSequence[0].CodeValue for ds in notes], [REJECTED_FOR_QUALITY])
        for series in notes[0].CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence:
            for reference in series.ReferencedSOPSequence:
                self.assertEqual(objects[reference.ReferencedSOPInstanceUID].SeriesInstanceUID, series.SeriesInstanceUID)
                self.assertEqual(objects[reference.ReferencedSOPInstanceUID].SOPClassUID, reference.ReferencedSOPClassUID)

    def check_objects(self):
        for path in glob.glob(self.pacs.folder + "/*"):
            said = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
            self.assertEqual([line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")], [], path)
        objects = list(self.pacs.objects().values())
        self.assertEqual(len({(ds.SeriesInstanceUID, ds.SeriesNumber) for ds in objects}), len({ds.SeriesNumber for ds in objects}), "series numbers do not collide")
        for report in objects:
            for study in report.get("PredecessorDocumentsSequence", []):
                (series,) = study.ReferencedSeriesSequence
                self.assertEqual(self.pacs.objects()[series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID].SeriesInstanceUID, series.SeriesInstanceUID)

    def deliveries(self, kind):
        """Those of a kind, oldest first, when each is done; without those that a newer one overtook."""
        def done():
            rows = sorted((row for row in self.server.get_json("/api/deliveries") if row["kind"] == kind and row["state"] != "obsolete"), key=lambda row: row["id"])
            return rows if rows and all(row["state"] == "done" for row in rows) else None
        return wait_until(done, 60, "deliveries that are done")

    def test_regions_past_the_most_are_told_by_their_number(self):
        """The shipped package tells of 16; 24 balls of blood of 9 mm are there."""
        hu = volume(noise=1)
        z, y, x = np.mgrid[0:SLICES, 0:SIZE, 0:SIZE].astype(float)
        z, y, x = (z - (SLICES - 1) / 2) * GAP_MM, (y - (SIZE - 1) / 2) * PIXEL_MM, (x - (SIZE - 1) / 2) * PIXEL_MM
        for middle in [(up, back, side) for up in (-40, -14, 14, 40) for back in (-32, -5, 24) for side in (-28, 28)]:
            hu = np.where((z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < 9**2, 70, hu)
        head = Head(1, hu=hu.astype("<i2"))
        self.server.storescu(*head.save(self.temporary.name + "/many"))
        result = self.result(head.study)
        told = self.server.get_json(f"/api/studies/{head.study}/findings")
        self.assertEqual((result["outcome"], len(told)), ("positive", 16))
        self.assertIn("8 more regions are seen, smaller than those told, and neither told nor marked", result["notes"])
        (message,) = self.messages(1)
        self.assertIn("8 more regions are seen", str(message))

    def test_what_was_told_to_whom_and_by_whom_judged_is_in_the_trail_and_in_the_outbox(self):
        self.before = set()
        head = Head(3, bleed=BLEED_SLICE)
        self.server.storescu(*head.save(self.temporary.name + "/head"))
        first = self.told(head.study, 0)
        rows = wait_until(lambda: (lambda rows: rows if len(rows) == 3 and all(row["state"] == "done" for row in rows) else None)(self.server.get_json(f"/api/deliveries?study={head.study}")), 60, "SEG, SR and message are delivered")
        self.assertEqual({(row["study"], row["result"]) for row in rows}, {(head.study, first["id"])})
        self.assertTrue(all(row["created"] <= row["delivered"] for row in rows))
        self.assertEqual(self.server.get_json("/api/deliveries?study=1.2.3"), [])
        self.assertEqual(self.server.request("/api/deliveries?patient=P3")[0], 400)
        (finding,) = self.server.get_json(f"/api/studies/{head.study}/findings")
        self.judge(finding, "accepted")
        whom = {"2": head.slices[0].PatientID, "110180": head.study}
        for row in rows:
            lines = wait_until(lambda row=row: [line for line in trail(self.server) if row["subject"] in line.detail and "delivered to" in line.detail], 5, "the line of a delivery")
            self.assertEqual([(line.event, line.objects) for line in lines], [("110106", whom)])
        lines = wait_until(lambda: [line for line in trail(self.server) if finding["id"] in line.detail], 5, "the line of the judgement")
        self.assertEqual([(line.event, line.actor, line.objects) for line in lines], [("110103", "Ann", whom)])
        self.assertIn("accepted", lines[0].detail)

    def test_what_two_patients_made_is_withdrawn_and_the_record_says_that_it_knows(self):
        head = Head(1, bleed=BLEED_SLICE)
        self.server.storescu(*head.save(self.temporary.name + "/head"))
        self.messages(1)
        other = copy(head.slices[-1])
        other.SOPInstanceUID, other.PatientID, other.PatientName, other.ImagePositionPatient[2] = f"{head.series}.99", "P2", "Other^One", SLICES * GAP_MM
        self.server.storescu(*head.save(self.temporary.name + "/other", [other]))
        _, message = self.messages(2)
        self.assertEqual(observations(message)[("59776-5", "1")][1], "W")
        self.assertIn("Withdrawn: objects of two patients, P1 and P2", str(message.segment("NTE")[3]))
        deliveries = self.deliveries("hl7")
        self.assertEqual([(row["subject"], row["attempts"]) for row in deliveries], [(control, 1) for _, control in self.listener.tries])

    def test_a_rejected_finding_is_taken_back_everywhere_and_an_accepted_one_comes_back(self):
        self.before = set()
        study = self.send("--bleed-seed", "4")
        first = self.told(study, 0)
        self.before.add(first["sr"])
        (finding,) = self.server.get_json(f"/api/studies/{study}/findings")
        fits(finding, OPENAPI["components"]["schemas"]["Finding"], "finding")
        self.assertEqual((first["outcome"], first["standing"], finding["result"]), ("positive", "current", first["id"]))
        self.objects(first["sr"], first["seg"])
        (message,) = self.messages(1)
        self.assertEqual(str(message.segment("OBR")[3]), first["topic"])
        said = observations(message)
        self.assertNotIn(("111012", "1"), said, "a score that is no probability is no certainty")
        self.assertEqual(self.fhir(f"DiagnosticReport/{first['id']}")["status"], "preliminary")

        self.judge(finding, "rejected")
        second = self.told(study, 1)
        self.before.add(second["sr"])
        objects = self.objects(second["sr"])
        self.check_note(objects, {first["sr"], first["seg"]})
        self.assertEqual(objects[second["sr"]].PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID, first["sr"])
        _, message = self.messages(2)
        self.assertEqual((str(message.segment("OBR")[3]), str(message.segment("OBR")[25])), (first["topic"], "R"))
        gone = observations(message)
        self.assertEqual({key for key, (_, status) in gone.items() if status == "D"}, set(said) - {("113014", ""), ("59776-5", "1")})
        self.assertIn("A reviewer rejected all that was found", gone[("59776-5", "1")][0])
        self.assertEqual(self.fhir(f"DiagnosticReport/{first['id']}")["status"], "entered-in-error")
        self.assertEqual(self.fhir(f"Observation/{finding['id']}")["status"], "entered-in-error")

        self.judge(finding, "accepted")
        third = self.told(study, 2)
        objects = self.objects(third["sr"], third["seg"])
        self.check_note(objects, {second["sr"]})
        self.assertEqual(objects[third["seg"]].PixelData, objects[first["seg"]].PixelData)
        self.assertEqual({third["sr"], third["seg"]} & {first["sr"], first["seg"]}, set())
        message = self.messages(3)[2]
        self.assertEqual({status for key, (_, status) in observations(message).items() if key != ("113014", "")}, {"R"})
        self.assertEqual(set(observations(message)), set(said))
        self.assertEqual(self.fhir(f"DiagnosticReport/{first['id']}")["status"], "preliminary")
        self.check_objects()

    def test_a_negative_says_what_was_looked_at(self):
        self.before = set()
        study = self.send()
        result = self.told(study, 0)
        self.assertEqual((result["outcome"], result["objects"]), ("negative", 108))
        self.assertGreater(result["voxels"], 0)
        objects = self.objects(result["sr"])
        text = f"Looked at: 108 images, {result['voxels']} voxels"
        (message,) = self.messages(1)
        self.assertIn(text, observations(message)[("59776-5", "1")][0])
        report = self.fhir(f"DiagnosticReport/{result['id']}")
        self.assertEqual(report["status"], "preliminary")
        self.assertIn(text, report["conclusion"])
        self.assertIn(f"Nothing was found by {result['model']} {result['modelVersion']}", report["conclusion"])
        self.assertTrue(any(text in item.get("TextValue", "") for item in objects[result["sr"]].ContentSequence))
        self.check_objects()

    def send_head(self, head):
        self.server.command("send", f"127.0.0.1:{self.server.dicom}", *head.save(self.temporary.name + "/head"), "--aec", "HILUM")
        return head.study

    def test_a_bleed_in_a_head_that_the_field_of_view_cuts_is_told_without_a_side_everywhere(self):
        self.before, note = set(), "the head is cut by the field of view: no side is told"
        head = Head(1, bleed=BLEED_SLICE)  # to the left of the middle
        for d in head.slices:  # whose right half was not imaged
            pixels = np.frombuffer(d.PixelData, "<i2").reshape(64, 64)[:, 30:]
            d.PixelData, d.Columns = pixels.tobytes(), pixels.shape[1]
            d.ImagePositionPatient = [d.ImagePositionPatient[0] + 30 * 2.5, *d.ImagePositionPatient[1:]]
        study = self.send_head(head)
        result = self.told(study, 0)
        (finding,) = self.server.get_json(f"/api/studies/{study}/findings")
        self.assertEqual((result["outcome"], finding["side"]), ("positive", ""))
        self.assertIn(note, result["notes"])
        objects = self.objects(result["sr"], result["seg"])
        (message,) = self.messages(1)
        (observation,) = [entry["resource"] for entry in self.fhir(f"Observation?study={study}")["entry"]]
        report, segmentation = (objects[result[kind]].to_json() for kind in ("sr", "seg"))
        for told in (report, segmentation, str(message), json.dumps(observation)):
            for side in ("272741003", "7771000", "24028007", "261129000", "Left", "Right", "Midline"):
                self.assertNotRegex(told, rf"\b{side}\b")  # a whole word: a time of day may hold a code's digits
        for told in (report, str(message), self.fhir(f"DiagnosticReport/{result['id']}")["conclusion"]):
            self.assertIn(note, told)
        self.check_objects()

    def test_slices_that_hold_no_image_data_make_no_negative(self):
        head = Head(2)
        for d in head.slices[17:28]:
            d.PixelData = np.full((64, 64), -2000, "<i2").tobytes()
            d.add_new(0x00280120, "SS", -2000)
        result = self.result(self.send_head(head))
        self.assertEqual((result["outcome"], result["objects"]), ("not analysed", SLICES - 11))
        self.assertIn("Instances 18, 19, 20 and 8 more hold no image data", result["reason"])
        self.assertIn("11 images hold no image data", result["notes"])
        report = self.fhir(f"DiagnosticReport/{result['id']}")
        self.assertEqual(report["status"], "cancelled")
        self.assertEqual(list(self.listener.accepted.values()), [])

    def ask(self, study):
        """The models again, by hand; what came of it."""
        asked = self.server.put_json(f"/api/studies/{study}/ask", {"by": "Dr. Who"}, "POST")
        fits(asked, OPENAPI["paths"]["/api/studies/{study}/ask"]["post"]["responses"]["200"]["content"]["application/json"]["schema"], "asked")
        return {name: count for name, count in asked.items() if count}

    def asked_in_trail(self, study):
        return [(line.detail, line.success) for line in trail(self.server) if line.detail.startswith("models asked again") and study in line.objects.values()]

    def test_a_rule_that_came_later_is_asked_by_hand_for_a_study_that_was_there(self):
        rules = self.server.get_json("/api/rules")
        for rule in rules:
            self.server.request(f"/api/rules/{rule['name']}", "DELETE")
        head = Head(3, bleed=BLEED_SLICE)
        study = self.send_head(head)
        wait_until(lambda: [item for item in self.server.get_json("/api/worklist") if not item["arriving"]], 30, "a whole study")
        self.assertEqual(self.ask(study), {"series": 1, "unasked": 1})
        for rule in rules:
            self.server.put_json(f"/api/rules/{rule['name']}", {name: value for name, value in rule.items() if name != "version"})
        self.assertEqual(self.server.get_json(f"/api/studies/{study}/results"), [])
        self.assertEqual(self.ask(study), {"series": 1, "jobs": 1})
        result = self.result(study)
        self.assertEqual(result["outcome"], "positive")
        self.messages(1)
        self.assertEqual(self.ask(study), {"series": 1, "answered": 1})
        self.assertEqual(self.result(study), result)
        self.messages(1)
        for path, body in ((f"{study}.1", {"by": "Dr. Who"}), (study, {}), (study, {"by": "Dr. Who", "all": True})):
            status, _, _ = self.server.request(f"/api/studies/{path}/ask", "POST", json.dumps(body).encode())
            self.assertEqual(status, 400 if path == study else 404)
        self.assertEqual(self.asked_in_trail(study)[:2], [("models asked again: 1 series, 0 jobs", True), ("models asked again: 1 series, 1 jobs", True)])

    def test_what_no_model_looked_at_is_no_report_and_what_could_not_be_analysed_is_cancelled(self):
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", self.temporary.name], capture_output=True, text=True, check=True).stdout.split()[0]
        few = sorted(glob.glob(made + "/*.dcm"))[:3]  # too few slices for the model
        study = str(pydicom.dcmread(few[0], stop_before_pixels=True).StudyInstanceUID)
        self.server.storescu(*few)
        result = self.result(study)
        self.assertEqual(result["outcome"], "not analysed")
        report = self.fhir(f"DiagnosticReport/{result['id']}")
        self.assertEqual(report["status"], "cancelled")
        self.assertIn(result["reason"], report["conclusion"])
        for rule in self.server.get_json("/api/rules"):
            self.assertEqual(self.server.request(f"/api/rules/{rule['name']}", "DELETE")[0], 204)
        other = pydicom.dcmread(few[0])
        other.StudyInstanceUID += ".1"
        other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID + ".1"
        other.save_as(self.temporary.name + "/other.dcm")
        self.server.storescu(self.temporary.name + "/other.dcm")
        bundle = self.fhir(f"DiagnosticReport?study={other.StudyInstanceUID}")
        self.assertEqual(bundle["total"], 0)
        self.assertEqual(self.listener.accepted, {}, "nobody asked to hear of what was not analysed")


if __name__ == "__main__":
    unittest.main()
