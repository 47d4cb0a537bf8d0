#!/usr/bin/python3
"""The conformance statement: the page in docs is what the program prints, and the wire does what it says, by DCMTK."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import HILUM, ROOT, Hilum, pydicom_files

CT, VERIFICATION, FIND = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.1.1"


def printed():
    return subprocess.run([HILUM, "conformance"], capture_output=True, text=True, timeout=60, check=True).stdout


def table(statement, heading):
    """The rows of the first table below a heading, as lists of cells."""
    lines = statement.split(heading + "\n", 1)[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def negotiate(server, contexts):
    """What DCMTK gets of (abstract syntax, transfer syntax) pairs, one context each: "Accepted", or the reason."""
    syntaxes = sorted({transfer for _, transfer in contexts})
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as f:
        f.write("[[TransferSyntaxes]]\n" + "".join(f"[T{i}]\nTransferSyntax1 = {uid}\n" for i, uid in enumerate(syntaxes)))
        f.write("[[PresentationContexts]]\n[ALL]\n" + "".join(f"PresentationContext{i} = {abstract}\\T{syntaxes.index(transfer)}\n" for i, (abstract, transfer) in enumerate(contexts, 1)))
        f.write("[[Profiles]]\n[P]\nPresentationContexts = ALL\n")
        f.flush()
        path = next(path for path in pydicom_files() if os.path.basename(path) == "CT_small.dcm")
        said = server.storescu(path, options=("-d", "-xf", f.name, "P"), check=False)
        text = said.stdout + said.stderr
    answer = text.split("BEGIN A-ASSOCIATE-AC", 1)[1].split("END A-ASSOCIATE-AC", 1)[0]
    return re.findall(r"Context ID: +\d+ \((.*)\)", answer)


class Conformance(unittest.TestCase):
    def test_the_page_in_docs_is_what_the_program_prints(self):
        with open(os.path.join(ROOT, "docs", "conformance.md"), encoding="utf-8") as f:
            self.assertEqual(printed(), f.read(), "write it again with: hilum conformance > docs/conformance.md")

    def test_dcmtk_is_given_each_transfer_syntax_that_is_listed_and_no_service_that_is_not(self):
        rows = table(printed(), "### 2.2 Transfer syntaxes accepted, as SCP")
        self.assertGreater(len(rows), 50)
        with Hilum() as server:
            asked = [(CT, uid, store) for _, uid, _, store, _ in rows]
            asked += [(VERIFICATION, uid, echo) for _, uid, echo, _, _ in rows]
            asked += [(FIND, "1.2.840.10008.1.2", "no"), (CT, "1.2.3.4", "yes")]  # one that is not listed is kept as it came
            self.assertTrue(any(said == "no" for _, _, said in asked) and len(asked) <= 128)
            answers = negotiate(server, [(abstract, transfer) for abstract, transfer, _ in asked])
            self.assertEqual(len(answers), len(asked))
            for (abstract, transfer, said), answer in zip(asked, answers):
                self.assertEqual(answer == "Accepted", said == "yes", f"{abstract} in {transfer}: {answer}")
            self.assertEqual(answers[-2], "Abstract Syntax Not Supported")

    def test_dcmtk_is_given_each_storage_class_that_is_listed(self):
        classes = [uid for _, uid in table(printed(), "### 2.4 Storage SOP classes accepted, as SCP")]
        self.assertGreater(len(classes), 100)
        explicit = "1.2.840.10008.1.2.1"
        with Hilum() as server:
            for first in range(0, len(classes), 120):
                part = classes[first : first + 120]
                answers = negotiate(server, [(uid, explicit) for uid in part] + [(CT, explicit)])
                self.assertEqual(set(answers), {"Accepted"}, part)

    def test_the_query_keys_and_resources_that_are_listed_are_those_that_are_answered(self):
        statement = printed()
        with Hilum() as server:
            for keyword, _, level, matching in table(statement, "QIDO-RS gives each of these, and matches by them at its level and below (at most 32 in a request):\n".rstrip()):
                path = {"study": "studies", "series": "series", "instance": "instances"}[level]
                value = "19990101" if "Date" in keyword else "1200" if "Time" in keyword and keyword != "TimezoneOffsetFromUTC" else "1"
                status, _, body = server.request(f"/dicom-web/{path}?{keyword}={value}")
                self.assertEqual(status, 400 if matching == "returned only" else 200, (keyword, body))
            for method, resource, _ in table(statement, "## 3 DICOMweb"):
                status, _, _ = server.request(re.sub(r"\{path\.\.\.\}|\{\w+\}", "1", resource.strip("`")), method)
                self.assertIn(status, (200, 400, 404), resource)


if __name__ == "__main__":
    unittest.main()
