#!/usr/bin/python3
"""Frames over DICOMweb, whatever the transfer syntax and however the object contradicts itself: as DCMTK, GDCM and pydicom have them. And volumes whose slices come in nine of them: to the command
and to a job of the server they are the volume that the native slices make."""

import glob
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
import numpy as np
import pydicom
from harness import ROOT, Hilum, multipart, wait_until
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import decode_data_sequence, encapsulate
from pydicom.uid import generate_uid

IMPLICIT, EXPLICIT, DEFLATED, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
RLE, J2K_LOSSLESS, HTJ2K, DEFLATED_FRAMES = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.8.1"
GE = "1.2.840.113619.5.2"
UNKNOWN_TO_PYDICOM = {HTJ2K: J2K_LOSSLESS, DEFLATED_FRAMES: J2K_LOSSLESS, GE: IMPLICIT}  # and what is written like them
BYTES = 'multipart/related; type="application/octet-stream"'
PACKAGE = os.path.join(ROOT, "models", "head-ct-hyperdense")


def base(syntax, rows, columns, bits, samples=1, photometric="MONOCHROME2", frames=1, stored=None, signed=0):
    """A data set with UIDs and an Image Pixel module."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = corpus.CT
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = "PIXELS", "Pixels^Test", "OT"
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.SamplesPerPixel = rows, columns, bits, samples
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = photometric, signed
    if samples > 1:
        dataset.PlanarConfiguration = 0
    if frames != 1:
        dataset.NumberOfFrames = frames
    dataset.BitsStored = stored or bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.is_little_endian, dataset.is_implicit_VR = syntax != BIG, syntax in (IMPLICIT, GE)
    return dataset


def with_pixels(dataset, pixels, vr="OW"):
    dataset.add_new(0x7FE00010, vr, pixels)
    if dataset.file_meta.TransferSyntaxUID not in (IMPLICIT, EXPLICIT, DEFLATED, BIG, GE):
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


def pattern(size):
    """Bytes of which no two within reach are the same."""
    return bytes(1 + i * 7 % 251 for i in range(size))


def ramp(rows, columns, least, most, kind="<u2"):
    return np.linspace(least, most, rows * columns).round().astype(kind).reshape(rows, columns)


def words_swapped(data):
    return np.frombuffer(data, "<u2").byteswap().tobytes()


def code_streams(dataset):
    """The fragments without the offset table."""
    return decode_data_sequence(dataset.PixelData)


def packed(bits):
    return np.packbits(np.asarray(bits, np.uint8).ravel(), bitorder="little").tobytes()


class Pixels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="pixels-")
        cls.folder = cls.temporary.name
        cls.server = Hilum(data=os.path.join(cls.folder, "data"), config=f"models:\n  folder: {os.path.dirname(PACKAGE)}\n").start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        cls.temporary.cleanup()

    # ---- there and back

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self, dataset, name="object.dcm"):
        """pydicom 2.3 writes no transfer syntax that it does not know: such a one is put in afterwards."""
        syntax = dataset.file_meta.TransferSyntaxUID
        dataset.file_meta.TransferSyntaxUID = UNKNOWN_TO_PYDICOM.get(syntax, syntax)
        dataset.save_as(self.path(name), write_like_original=False)
        if dataset.file_meta.TransferSyntaxUID != syntax:
            dataset.file_meta.TransferSyntaxUID = syntax
            with open(self.path(name), "rb") as f:
                raw = f.read()
            data = raw[144 + struct.unpack_from("<I", raw, 140)[0] :]  # behind the group length, which is the first element
            with open(self.path(name), "wb") as f:
                f.write(corpus.part10(data, syntax, dataset.SOPInstanceUID))
        return self.path(name)

    def tool(self, *arguments):
        """The last argument is the file that is made, which is read."""
        subprocess.run(arguments, check=True, capture_output=True)
        return pydicom.dcmread(arguments[-1])

    def gdcm(self, dataset, *options):
        return self.tool("gdcmconv", *options, self.save(dataset, "from.dcm"), self.path("to.dcm"))

    def dcmtk(self, program, dataset, *options):
        return self.tool(program, *options, self.save(dataset, "from.dcm"), self.path("to.dcm"))

    def ask(self, dataset, number, accept=BYTES):
        where = f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}/frames/{number}"
        return self.server.request(where, headers={"Accept": accept})

    def store(self, dataset):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        with open(self.save(dataset), "rb") as f:
            status, _, body = self.server.request("/api/import", "POST", f.read())
        self.assertEqual(status, 200, body)

    def frames(self, dataset, accept=BYTES):
        self.store(dataset)
        found = []
        for number in range(1, int(dataset.get("NumberOfFrames", 1) or 1) + 1):
            status, headers, body = self.ask(dataset, number, accept)
            self.assertEqual(status, 200, body)
            found.append(multipart(headers, body)[0][1])
        return found

    def refusal(self, dataset, number=1):
        self.store(dataset)
        status, _, body = self.ask(dataset, number)
        self.assertEqual(status, 400, body)
        return body.decode()

    # ---- native

    def test_a_frame_has_no_byte_that_is_not_the_objects(self):
        """Two samples a pixel are there; a buffer for three must not show what else the program holds."""
        for syntax in (DEFLATED, EXPLICIT):
            dataset = with_pixels(base(syntax, 16, 16, 8, 3, "YBR_FULL_422"), pattern(512))
            self.assertEqual(self.frames(dataset), [pattern(512)])

    def test_the_length_tells_how_many_samples_colors_have(self):
        for photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
            for syntax in (EXPLICIT, DEFLATED, BIG, IMPLICIT):
                for frame in (512, 768):
                    pixels = pattern(3 * frame)
                    dataset = with_pixels(base(syntax, 16, 16, 8, 3, photometric, 3), words_swapped(pixels) if syntax == BIG else pixels)
                    self.assertEqual(self.frames(dataset), [pixels[i : i + frame] for i in range(0, 3 * frame, frame)], (photometric, syntax, frame))
        dataset = with_pixels(base(EXPLICIT, 16, 16, 8, 3, "YBR_FULL_422", 3), pattern(2000))
        self.assertIn("3 subsampled frames have 1536, frames with all samples 2304", self.refusal(dataset))

    def test_big_endian_words_are_turned_as_the_whole_value_has_them(self):
        pixels = pattern(82)
        little = base(EXPLICIT, 3, 3, 8, 3, "RGB", 3)
        big = self.dcmtk("dcmconv", with_pixels(little, pixels), "+tb")
        self.assertEqual(big.file_meta.TransferSyntaxUID, BIG)
        self.assertEqual(big.PixelData, words_swapped(pixels))
        self.assertEqual(self.frames(big), [pixels[i : i + 27] for i in (0, 27, 54)])

    def test_pixels_alone_are_big_endian_in_the_private_syntax_of_ge(self):
        pixels = pattern(82)
        dataset = with_pixels(base(GE, 3, 3, 8, 3, "RGB", 3), words_swapped(pixels))
        self.assertEqual(self.frames(dataset), [pixels[i : i + 27] for i in (0, 27, 54)])
        words = ramp(5, 6, 0, 40000)
        dataset = with_pixels(base(GE, 5, 6, 16), words_swapped(words.tobytes()))
        self.assertEqual(self.gdcm(dataset, "--raw").PixelData, words.tobytes())
        self.assertEqual(self.frames(dataset), [words.tobytes()])

    def test_frames_of_bits_begin_anywhere(self):
        bits = np.array([[(i * 5 + k * k) % 3 == 0 for k in range(15)] for i in range(6)], np.uint8)
        value = packed(bits)
        value += b"\0" * (len(value) % 2)
        wanted = [packed(frame) for frame in bits]
        dataset = with_pixels(base(EXPLICIT, 3, 5, 1, frames=6), value)
        self.assertTrue((dataset.pixel_array.reshape(6, 15) == bits).all())  # pydicom reads them so
        self.assertEqual(self.frames(dataset), wanted)
        self.assertEqual(self.frames(self.dcmtk("dcmconv", dataset, "+tb")), wanted)
        self.assertEqual(self.frames(with_pixels(base(DEFLATED, 3, 5, 1, frames=6), value)), wanted)

    def test_no_frames_are_one(self):
        dataset = with_pixels(base(EXPLICIT, 4, 4, 8), pattern(16))
        dataset.NumberOfFrames = "0"
        self.assertEqual(self.frames(dataset), [pattern(16)])

    # ---- fragments

    def lossless_frames(self):
        """Three frames, and their code streams as GDCM compresses them; every frame decodes to itself only."""
        pixels = np.stack([ramp(20, 30, 0, 4000, "<u2") + 13 * i for i in range(3)]).astype("<u2")
        dataset = with_pixels(base(EXPLICIT, 20, 30, 16, frames=3), pixels.tobytes())
        compressed = self.gdcm(dataset, "--j2k")
        self.assertEqual(self.gdcm(compressed, "--raw").PixelData, pixels.tobytes())
        return compressed, code_streams(compressed), [frame.tobytes() for frame in pixels]

    def test_frames_are_found_in_fragments_unlike_them(self):
        compressed, streams, wanted = self.lossless_frames()
        even = [stream + b"\0" * (len(stream) % 2) for stream in streams]
        cut = [part for stream in even for part in (stream[:100], stream[100:])]
        tables = {"none": b"", "wrong": struct.pack("<3I", 0, 4, 8), "short": struct.pack("<I", 0), "past the end": struct.pack("<3I", 0, 1 << 20, 1 << 21)}

        def value(pieces, table=b""):
            return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(piece)) + piece for piece in (table, *pieces))

        for name, table in tables.items():
            for pieces in (even, cut, [*even, b""], [*cut, b"", b""]):
                compressed.PixelData = value(pieces, table)
                self.assertEqual(self.frames(compressed), wanted, (name, len(pieces)))
                compressed.PixelData = value(pieces, table)
                as_stored = self.frames(compressed, BYTES + "; transfer-syntax=*")
                self.assertEqual([frame[: len(stream)] for frame, stream in zip(as_stored, streams)], streams, (name, len(pieces)))
        compressed.PixelData = value([cut[0], cut[1] + cut[2], cut[3], cut[4], cut[5]])  # the second frame begins in a fragment's middle
        self.assertIn("3 frames in 5 fragments, of which 2 begin a frame", self.refusal(compressed))

    def test_the_extended_offset_table_is_read(self):
        compressed, streams, wanted = self.lossless_frames()
        even = [stream + b"\0" * (len(stream) % 2) for stream in streams]
        cut = [part for stream in even for part in (stream[:2], stream[2:])]  # nothing but a table tells where these begin
        offsets, at = [], 0
        for stream in even:
            offsets.append(at)
            at += len(stream) + 16
        compressed.PixelData = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(piece)) + piece for piece in (b"", *cut))
        self.assertIn("of which 0 begin a frame", self.refusal(compressed))
        compressed.ExtendedOffsetTable = struct.pack("<3Q", *offsets)
        compressed.ExtendedOffsetTableLengths = struct.pack("<3Q", *map(len, streams))
        self.assertEqual(self.frames(compressed), wanted)

    # ---- code streams that are not what the data set says

    def htj2k(self, pixels, bits):
        """A code stream that says `bits` unsigned bits, by OpenJPH."""
        picture, stream = self.path("picture.pgm"), self.path("picture.j2c")
        with open(picture, "wb") as f:
            f.write(f"P5\n{pixels.shape[1]} {pixels.shape[0]}\n{(1 << bits) - 1}\n".encode() + pixels.astype(">u2" if bits > 8 else "u1").tobytes())
        subprocess.run(["ojph_compress", "-i", picture, "-o", stream, "-reversible", "true"], check=True, capture_output=True)
        with open(stream, "rb") as f:
            data = f.read()
        self.assertEqual(data[42], bits - 1)
        return encapsulate([data + b"\0" * (len(data) % 2)])

    def test_jpeg_2000_has_fewer_bits_than_are_stored(self):
        for coded, stored in ((14, 16), (8, 12), (15, 16)):
            pixels = ramp(40, 50, 0, (1 << coded) - 1)
            dataset = with_pixels(base(HTJ2K, 40, 50, 16, stored=stored), self.htj2k(pixels, coded))
            self.assertEqual(self.frames(dataset), [pixels.tobytes()], (coded, stored))
        dataset = with_pixels(base(HTJ2K, 40, 50, 16, signed=1), self.htj2k(ramp(40, 50, 0, 16383), 14))
        self.assertIn("it may be negative or not", self.refusal(dataset))

    def test_jpeg_2000_has_more_bits_than_are_stored(self):
        pixels = ramp(40, 50, 0, 4095)
        dataset = self.gdcm(with_pixels(base(EXPLICIT, 40, 50, 16, stored=12), pixels.tobytes()), "--j2k")
        self.assertEqual(code_streams(dataset)[0][42], 15)
        self.assertEqual(self.frames(dataset), [pixels.tobytes()])

    def test_jpeg_2000_keeps_overlays_in_the_bits_above(self):
        pixels = ramp(40, 50, 0, 4095)
        pixels[::3] |= 0x9000
        compressed = self.gdcm(with_pixels(base(EXPLICIT, 40, 50, 16), pixels.tobytes()), "--j2k")
        compressed.BitsStored, compressed.HighBit = 12, 11
        compressed.add_new(0x60000100, "US", 16)
        compressed.add_new(0x60000102, "US", 12)
        self.assertEqual(self.frames(compressed), [pixels.tobytes()])
        self.assertEqual(self.gdcm(compressed, "--raw").PixelData, pixels.tobytes())

    def test_lossy_jpeg_2000_is_held_to_the_bits_stored(self):
        pixels = np.where(np.arange(64 * 64).reshape(64, 64) // 5 % 2, 4095, 1000).astype("<u2")
        dataset = with_pixels(base(EXPLICIT, 64, 64, 16), pixels.tobytes())
        compressed = self.gdcm(dataset, "--lossy", "--j2k", "-r", "30")
        theirs = np.frombuffer(self.gdcm(compressed, "--raw").PixelData, "<u2")
        self.assertGreater(theirs.max(), 4095)
        compressed.BitsStored, compressed.HighBit = 12, 11
        ours = np.frombuffer(self.frames(compressed)[0], "<u2")
        self.assertTrue((ours == np.minimum(theirs, 4095)).all())

    def test_jpeg_2000_has_the_data_sets_sign(self):
        pixels = ramp(40, 50, -2048, 2047, "<i2")
        twelve = with_pixels(base(HTJ2K, 40, 50, 16, stored=12, signed=1), self.htj2k(pixels & 4095, 12))
        self.assertEqual(self.frames(twelve), [pixels.tobytes()])
        sixteen = self.gdcm(with_pixels(base(EXPLICIT, 40, 50, 16), pixels.tobytes()), "--j2k")
        sixteen.PixelRepresentation = 1
        self.assertEqual(self.frames(sixteen), [pixels.tobytes()])

    def test_jpeg_ls_has_a_zero_before_its_end(self):
        pixels = ramp(40, 50, 0, 4095)
        compressed = self.dcmtk("dcmcjpls", with_pixels(base(EXPLICIT, 40, 50, 16, stored=12), pixels.tobytes()))
        (stream,) = code_streams(compressed)
        end = stream.rindex(b"\xff\xd9")
        for padded in (stream[:end] + b"\0\xff\xd9", stream[:end] + b"\0\xff\xd9\0"):
            compressed.PixelData = encapsulate([padded])
            self.assertEqual(self.frames(compressed), [pixels.tobytes()])
            self.assertEqual(self.dcmtk("dcmdjpls", compressed).PixelData, pixels.tobytes())

    def test_rle_has_a_sample_too_many(self):
        pixels = ramp(5, 7, 0, 255, "u1")
        packbits = bytes([35]) + pixels.tobytes() + b"\x77"  # 36 of 35
        stream = struct.pack("<16I", 1, 64, *[0] * 14) + packbits
        compressed = base(RLE, 5, 7, 8)
        with_pixels(compressed, encapsulate([stream + b"\0" * (len(stream) % 2)]))
        self.assertEqual(self.frames(compressed), [pixels.tobytes()])
        self.assertEqual(self.dcmtk("dcmdrle", compressed).PixelData[:35], pixels.tobytes())

    def test_12_bit_colors_in_jpeg(self):
        y, x = np.mgrid[0:40, 0:50]
        pixels = np.stack([2048 + 1900 * np.sin(x / 9), 2048 + 1900 * np.cos(y / 7), 80 * x], -1).astype("<u2")
        dataset = with_pixels(base(EXPLICIT, 40, 50, 16, 3, "RGB", stored=12), pixels.tobytes())
        compressed = self.dcmtk("dcmcjpeg", dataset, "+ee", "+cr", "+q", "90")
        theirs = np.frombuffer(self.dcmtk("dcmdjpeg", compressed).PixelData, "<u2").astype(int)
        ours = np.frombuffer(self.frames(compressed)[0], "<u2").astype(int)
        self.assertLessEqual(abs(ours - theirs).max(), 1)

    def test_bits_are_compressed_in_four_ways(self):
        bits = np.array([[(x * y) % 5 < 2 for x in range(13)] for y in range(11)], np.uint8)
        wanted = packed(bits)
        dataset = with_pixels(base(EXPLICIT, 11, 13, 8, stored=1), bits.tobytes() + b"\0")
        j2k = code_streams(self.gdcm(dataset, "--j2k"))[0]
        header = struct.pack("<16I", 1, 64, *[0] * 14)
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        deflated = compressor.compress(wanted) + compressor.flush()
        pieces = [bits.tobytes()[i : i + 100] for i in range(0, 143, 100)]
        unpacked_rle = header + b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)
        for syntax, stream in ((J2K_LOSSLESS, j2k), (RLE, header + bytes([len(wanted) - 1]) + wanted), (RLE, unpacked_rle), (DEFLATED_FRAMES, deflated)):
            compressed = with_pixels(base(syntax, 11, 13, 1), encapsulate([stream + b"\0" * (len(stream) % 2)]))
            self.assertEqual(self.frames(compressed), [wanted], syntax)

    # ---- volumes

    def test_a_volume_is_the_same_in_every_transfer_syntax(self):
        """Nine of them in one series; the command and the server's job find what they find in the native slices."""
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", self.folder, "--bleed-seed", "3"], capture_output=True, text=True, check=True).stdout.split()
        native = sorted(glob.glob(os.path.join(made[0], "*.dcm")))
        mixed = self.path("mixed")
        os.makedirs(mixed)
        ways = [("dcmconv", "+te"), ("dcmconv", "+ti"), ("dcmconv", "+tb"), ("dcmconv", "+td"), ("dcmcrle",), ("dcmcjpeg", "+e1"), ("dcmcjpeg", "+el"), ("dcmcjpls",), ("gdcmconv", "--j2k")]
        for i, path in enumerate(native):
            subprocess.run([*ways[i % len(ways)], path, os.path.join(mixed, os.path.basename(path))], check=True, capture_output=True)
        copies = sorted(glob.glob(os.path.join(mixed, "*.dcm")))
        self.assertEqual(len({str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID) for path in copies}), 9)
        results = [self.found(self.server.command("model", "run", "--json", PACKAGE, *paths).stdout) for paths in (native, copies)]
        self.assertEqual(len(results[0]), 1)
        self.assertEqual(*results)
        self.server.command("import", "--server", self.server.url(""), mixed)
        study = pydicom.dcmread(native[0], stop_before_pixels=True).StudyInstanceUID
        jobs = wait_until(lambda: [job for job in self.server.get_json(f"/api/jobs?study={study}") if job["state"] not in ("queued", "running")], 60, "the job's end")
        self.assertEqual([(job["state"], job["outcome"]) for job in jobs], [("done", "positive")], jobs)
        (finding,) = self.server.get_json(f"/api/studies/{study}/findings")
        self.assertAlmostEqual(finding["volumeMl"], results[0][0]["volumeMl"], 3)

    def found(self, text):
        return json.loads(text)["volumes"][0]["findings"]


if __name__ == "__main__":
    unittest.main(warnings="ignore")
