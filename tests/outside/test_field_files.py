#!/usr/bin/python3
"""What real senders write that no standard allows, and other readers read: the server takes it, reads it as they do, and gives it back bit for bit; text that cannot be read is flagged.

Every file is made here, of the kinds that are met in the field (docs/bad-input.md, lines 4, 9 to 11 and 21). pydicom, DCMTK and GDCM judge what is in them.
"""

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import pydicom

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
from corpus import EXPLICIT, Peer, element, even, sound, uid
from harness import Hilum, free_port, multipart

GE, PAPYRUS = "1.2.840.113619.5.2", "1.2.840.10008.1.20"
CHARSET_FLAG = 2
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# Names in bytes, and as they are to be read: by whose convention, the character set that is said (None: none), the bytes, the name.
NAMES = (
    ("", "ISO IR 192", "Müller^Jörg".encode(), "Müller^Jörg"),
    ("", "UTF-8", "Müller^Jörg".encode(), "Müller^Jörg"),
    ("", "ISO_IR_100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    ("", "ISO-2022-IR-100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    ("", "GB2312", "王^小东".encode("gb2312"), "王^小东"),
    ("", "ISO 2022 GBK", "王^小東".encode("gbk"), "王^小東"),
    ("", None, "王^小東".encode(), "王^小東"),
    ("", "ISO_IR 6", "Müller^Jörg".encode(), "Müller^Jörg"),
    ("", "ISO_IR 100", "Müller^Jörg".encode(), "Müller^Jörg"),
    ("", "ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎".encode("shift_jis"), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
    ("", "\\ISO 2022 IR 149", "Hong=洪^吉洞".encode("euc_kr"), "Hong=洪^吉洞"),
    ("LATIN", None, "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    ("LATIN", None, "Müller^Jörg".encode(), "Müller^Jörg"),
    ("CHINA", None, "王^小东".encode("gb18030"), "王^小东"),
    ("CHINA", "ISO_IR 6", "莫^言".encode("gb18030"), "莫^言"),
    ("CHINA", "ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
    ("", None, "Müller^Jörg".encode("latin-1"), None),
    ("LATIN", "ISO_IR 192", "Müller".encode("latin-1"), None),
    ("CHINA", None, b"\xff\xff", None),
    ("", "ISO_IR 100", b"Bad \x93quotes\x94", None),
)


def named(number, charset, name, **rest):
    said = {} if charset is None else {0x00080005: ("CS", even(charset))}
    return sound(number, replace={**said, 0x00100010: ("PN", even(name))}, **rest)


def path_of(number):
    return f"/dicom-web/studies/{corpus.ROOT}.{number}/series/{corpus.ROOT}.{number}.0/instances/{corpus.ROOT}.{number}.1"


class FieldFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Hilum(config="disk:\n  low_water_mb: 0\n").start()
        for name, charset in (("LATIN", "ISO_IR 100"), ("CHINA", "GB18030")):
            cls.server.command("peer", "add", name.lower(), "--title", name, "--address", "127.0.0.1:104", "--charset", charset, "--no-echo", "--server", cls.server.url(""))
        for i, (sender, charset, name, _) in enumerate(NAMES):
            cls.store(sender or "OTHER", named(70000 + i, charset, name), f"{corpus.ROOT}.{70000 + i}.1")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    @classmethod
    def store(cls, title, data, instance):
        with Peer(cls.server.dicom) as peer:
            assert peer.associate(calling=title) == 2
            assert peer.store(data, instance) == 0
            peer.release()

    def metadata(self, number):
        return self.server.get_json(path_of(number) + "/metadata")[0]

    def name_of(self, attributes):
        groups = attributes["00100010"]["Value"][0]
        return "=".join(groups.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")

    def charset_flags(self):
        return {row["instance"] for row in self.server.get_json("/api/flagged?flag=charset")}

    def imported(self, body):
        status, _, answer = self.server.request("/api/import", "POST", body)
        self.assertEqual(status, 200, answer)
        return json.loads(answer)

    def stored_bytes(self, number):
        status, headers, body = self.server.request(path_of(number), headers={"Accept": DICOM})
        self.assertEqual(status, 200)
        return multipart(headers, body)[0][1]

    # ---- text

    def test_names_are_read_and_found_as_they_are_meant(self):
        for i, (sender, charset, raw, name) in enumerate(NAMES):
            with self.subTest(sender=sender, charset=charset, raw=raw):
                self.assertTrue(self.stored_bytes(70000 + i).endswith(named(70000 + i, charset, raw)))  # whatever was read in them
                if name is None:
                    continue
                self.assertEqual(self.name_of(self.metadata(70000 + i)), name)
                rows = self.server.get_json(f"/dicom-web/studies?StudyInstanceUID={corpus.ROOT}.{70000 + i}")
                self.assertEqual(self.name_of(rows[0]), name)

    def test_what_cannot_be_read_is_flagged_and_nothing_else(self):
        flagged = self.charset_flags()
        for i, (sender, charset, raw, name) in enumerate(NAMES):
            with self.subTest(sender=sender, charset=charset, raw=raw):
                self.assertEqual(f"{corpus.ROOT}.{70000 + i}.1" in flagged, name is None)
                self.assertEqual("\ufffd" in json.dumps(self.metadata(70000 + i), ensure_ascii=False), name is None)

    def test_unreadable_text_in_a_sequence_is_flagged(self):
        deep = element(0x00400275, "SQ", corpus.item(element(0x00321064, "SQ", corpus.item(element(0x00080104, "LO", even("Schädel".encode("latin-1")))))))
        answer = self.imported(corpus.part10(corpus.inserted(70900, deep), EXPLICIT, f"{corpus.ROOT}.70900.1"))
        self.assertEqual(answer["flags"], CHARSET_FLAG)
        self.assertIn("\ufffd", json.dumps(self.metadata(70900), ensure_ascii=False))

    def test_a_default_for_all_and_one_of_an_import_are_kept_with_the_object(self):
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data")
            latin, chinese = "Müller".encode("latin-1"), "王^小东".encode("gb18030")
            with Hilum(data=data, config='dicom:\n  charset: "ISO_IR 100"\ndisk:\n  low_water_mb: 0\n') as server:
                for number, name, query in ((70910, latin, ""), (70911, chinese, "?charset=GB18030")):
                    status, _, answer = server.request("/api/import" + query, "POST", corpus.part10(named(number, None, name), EXPLICIT, f"{corpus.ROOT}.{number}.1"))
                    self.assertEqual((status, json.loads(answer).get("flags")), (200, 0))
                status, _, answer = server.request("/api/import?charset=x", "POST", corpus.part10(sound(70912), EXPLICIT, f"{corpus.ROOT}.70912.1"))
                self.assertEqual(status, 400, answer)
            with Hilum(data=data, config="disk:\n  low_water_mb: 0\n") as server:  # which knows of no default any more
                self.assertEqual([self.name_of(server.get_json(path_of(n) + "/metadata")[0]) for n in (70910, 70911)], ["Müller", "王^小东"])

    def test_a_default_that_is_none_is_refused_at_the_start(self):
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "hilum.yaml")
            with open(config, "w", encoding="utf-8") as f:
                f.write("dicom:\n  charset: ISO_IR 999\n")
            run = Hilum.command(self.server, "serve", "--config", config, "--data", os.path.join(folder, "data"), "--http", f"127.0.0.1:{free_port()}", check=False)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn("ISO_IR 999", run.stderr)

    # ---- data sets

    def oracles(self, path):
        """The Patient ID as pydicom, DCMTK and GDCM read it."""
        dump = subprocess.run(["dcmdump", "-q", "+P", "0010,0020", path], capture_output=True, text=True, check=True).stdout
        gdcm = subprocess.run(["gdcmdump", path], capture_output=True, text=True, check=True).stdout
        return [str(pydicom.dcmread(path).PatientID), dump.partition("[")[2].partition("]")[0].strip(), next(line for line in gdcm.splitlines() if line.startswith("(0010,0020)")).partition("[")[2].partition("]")[0].strip()]

    def taken(self, number, file):
        """Imports the file, which the other readers read, too; its data set comes back as it is."""
        with tempfile.NamedTemporaryFile(suffix=".dcm") as f:
            f.write(file)
            f.flush()
            self.assertEqual(self.oracles(f.name), [f"BAD{number}"] * 3)
        self.assertEqual(self.imported(file)["outcome"], "stored")
        attributes = self.metadata(number)
        self.assertEqual(attributes["00100020"]["Value"], [f"BAD{number}"])
        return attributes

    def test_meta_information_in_implicit_vr_is_read(self):
        data, instance = sound(71000), f"{corpus.ROOT}.71000.1"
        meta = b"".join(element(tag, "UI", value, implicit=True) for tag, value in ((0x00020001, b"\0\1"), (0x00020002, uid(corpus.CT)), (0x00020003, uid(instance)), (0x00020010, uid(EXPLICIT))))
        for number, length in ((71000, element(0x00020000, "UL", struct.pack("<I", len(meta)), implicit=True)), (71001, b"")):
            data = sound(number)
            self.taken(number, bytes(128) + b"DICM" + length + meta + data)
            self.assertTrue(self.stored_bytes(number).endswith(data))
            self.assertEqual(pydicom.dcmread(io.BytesIO(self.stored_bytes(number))).file_meta.TransferSyntaxUID, EXPLICIT)

    def decoded(self, file):
        """The pixels in explicit little endian, as DCMTK gives them."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = os.path.join(folder, "in.dcm"), os.path.join(folder, "out.dcm")
            with open(source, "wb") as f:
                f.write(file)
            subprocess.run(["dcmconv", "+te", source, target], check=True, capture_output=True)
            return pydicom.dcmread(target).PixelData

    def test_pixels_of_ge_s_transfer_syntax_are_big_endian_and_papyrus_ones_not(self):
        for number, syntax in ((71010, GE), (71011, PAPYRUS)):
            with self.subTest(syntax):
                file = corpus.part10(sound(number, implicit=True), syntax, f"{corpus.ROOT}.{number}.1")
                self.assertEqual(self.taken(number, file)["00280010"]["Value"], [16])
                status, headers, body = self.server.request(path_of(number) + "/frames/1")
                self.assertEqual(status, 200)
                self.assertEqual(multipart(headers, body)[0][1], self.decoded(file))
                self.assertEqual(pydicom.dcmread(io.BytesIO(self.stored_bytes(number))).file_meta.TransferSyntaxUID, syntax)

    def test_a_delimiter_too_many_an_identifier_twice_and_a_vr_that_is_none_are_read(self):
        cases = [case for case in corpus.cases() if case.due == corpus.STORED and case.line in (4, 9, 11)]
        self.assertGreater(len(cases), 12)
        for case in cases:
            with self.subTest(str(case)):
                with tempfile.NamedTemporaryFile(suffix=".dcm") as f:
                    f.write(corpus.part10(case.data, case.syntax, case.instance))
                    f.flush()
                    dump = subprocess.run(["dcmdump", "-q", f.name], capture_output=True, text=True)
                    self.assertEqual(dump.returncode, 0, dump.stderr)
                    tree = json.loads(self.server.command("json", f.name).stdout)
                    self.assertEqual(tree["0020000D"]["Value"], [case.study])
                    if "Rows" in case.name or "VR" in case.name:
                        self.assertEqual(tree["00280010"]["Value"], [16])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
