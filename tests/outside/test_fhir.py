#!/usr/bin/python3
"""FHIR as a client meets it: every reference leads to a resource, every link can be followed, refusals are OperationOutcomes, and /fhir/metadata tells what can be asked."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import ROOT, Hilum, wait_until


def references(value):
    """All relative references in a resource."""
    if isinstance(value, dict):
        if "reference" in value:
            yield value["reference"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from references(part)


class Fhir(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Hilum().start()
        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder, "--bleed-seed", "4"], capture_output=True, text=True, check=True).stdout.split()[0]
            cls.server.command("send", f"127.0.0.1:{cls.server.dicom}", made, "--aec", "HILUM")
            cls.study = str(pydicom.dcmread(os.path.join(made, "slice-001.dcm"), stop_before_pixels=True).StudyInstanceUID)
        wait_until(lambda: [job for job in cls.server.get_json(f"/api/jobs?study={cls.study}") if job["state"] == "done"], 30, "the analysis")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def get(self, path, status=200):
        got, headers, body = self.server.request(path)
        self.assertEqual(got, status, (path, body[:200]))
        self.assertTrue(headers["Content-Type"].startswith("application/fhir+json"), (path, headers["Content-Type"]))
        return json.loads(body)

    def test_every_reference_from_the_report_on_leads_somewhere(self):
        todo, seen = [f"DiagnosticReport/{result['id']}" for result in self.server.get_json(f"/api/studies/{self.study}/results")], set()
        self.assertEqual(len(todo), 1)
        while todo:
            reference = todo.pop()
            if reference in seen:
                continue
            seen.add(reference)
            resource = self.get(f"/fhir/{reference}")
            self.assertEqual(f"{resource['resourceType']}/{resource['id']}", reference)
            todo += references(resource)
        self.assertEqual({reference.split("/")[0] for reference in seen}, {"DiagnosticReport", "ImagingStudy", "Observation", "Patient", "Device"})

    def test_links_and_full_urls_can_be_followed(self):
        for kind in ("DiagnosticReport", "Observation", "ImagingStudy", "Patient", "Device"):
            bundle = self.get(f"/fhir/{kind}?study={self.study}")
            self.assertEqual(bundle["total"], 1, kind)
            root = self.server.url("")
            (link,) = bundle["link"]
            self.assertEqual(self.get(link["url"].removeprefix(root)), bundle)
            for entry in bundle["entry"]:
                self.assertEqual(self.get(entry["fullUrl"].removeprefix(root)), entry["resource"])

    def test_refusals_are_operation_outcomes(self):
        for path, status in (("/fhir/Patient/1.2.3", 404), ("/fhir/Device/1.2.3", 404), ("/fhir/Observation/x", 404), (f"/fhir/Nonsense?study={self.study}", 404), ("/fhir/DiagnosticReport", 400)):
            outcome = self.get(path, status)
            self.assertEqual(outcome["resourceType"], "OperationOutcome", path)
            self.assertTrue(outcome["issue"][0]["diagnostics"], path)

    def test_metadata_names_what_can_be_asked(self):
        statement = self.get("/fhir/metadata")
        self.assertEqual((statement["resourceType"], statement["fhirVersion"]), ("CapabilityStatement", "4.0.1"))
        for resource in statement["rest"][0]["resource"]:
            self.assertEqual({i["code"] for i in resource["interaction"]}, {"read", "search-type"})
            for parameter in resource["searchParam"]:
                self.get(f"/fhir/{resource['type']}?{parameter['name']}={self.study}")

    def test_it_is_read_only(self):
        for method in ("POST", "PUT", "DELETE"):
            self.assertEqual(self.server.request(f"/fhir/DiagnosticReport/{self.study}", method, b"{}")[0], 405)


if __name__ == "__main__":
    unittest.main()
