#!/usr/bin/python3
"""What many readers at once make the server hold in memory: pydicom makes a small RLE object whose frame is huge (PS3.5 Annex G), bare sockets ask for it and read nothing."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Hilum, wait_until

SIDE = 16000
BUDGET_MB = 300  # room for one such frame at a time
BESIDES_MB = 128
READERS = 8
UIDS = {"study": "1.2.3.4.1", "series": "1.2.3.4.2", "instance": "1.2.3.4.3"}
FRAME = "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/1".format(**UIDS)


def huge_frame(path):
    """16000 x 16000 pixels of 8 bits, the first of each 128 is 7 and the rest 0: each run is two packets."""
    stream = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + b"\x00\x07\x82\x00" * (SIDE * SIDE // 128)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = UIDS["instance"]
    meta.TransferSyntaxUID = pydicom.uid.RLELossless
    data = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    data.is_little_endian, data.is_implicit_VR = True, False
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, UIDS["instance"]
    data.StudyInstanceUID, data.SeriesInstanceUID = UIDS["study"], UIDS["series"]
    data.PatientID, data.PatientName, data.Modality = "HUGE1", "Huge^Frame", "OT"
    data.Rows = data.Columns = SIDE
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = encapsulate([stream])
    data["PixelData"].is_undefined_length = True
    data.save_as(path, write_like_original=False)
    return os.path.getsize(path)


def pss_mb(process):
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M).group(1)) / 1024


class Memory(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hilum-memory-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = Hilum(config=f"memory: {{peers_mb: {BUDGET_MB}}}\n")
        self.server.start()
        self.addCleanup(self.server.stop)
        path = os.path.join(self.folder, "huge.dcm")
        self.assertLess(huge_frame(path), 9 << 20)
        subprocess.run([self.server.program, "import", "--server", self.server.url(""), path], check=True, capture_output=True)

    def ask(self):
        """A connection that has asked for the decoded frame and reads nothing."""
        connection = socket.create_connection(("127.0.0.1", self.server.http))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.addCleanup(connection.close)
        connection.sendall(f"GET {FRAME} HTTP/1.1\r\nHost: localhost\r\nAccept: application/octet-stream\r\n\r\n".encode())
        return connection

    def test_readers_of_huge_frames_that_read_nothing_hold_no_frame_each(self):
        connections = [self.ask() for _ in range(READERS)]
        peak, answered = 0.0, set()

        def look():
            nonlocal peak
            peak = max(peak, pss_mb(self.server.process))
            for connection in connections:
                connection.setblocking(False)
                try:
                    if connection not in answered and connection.recv(12, socket.MSG_PEEK):
                        answered.add(connection)
                except BlockingIOError:
                    pass
            return len(answered) == READERS

        wait_until(look, 60, "all were answered")
        print(f"{len(answered)} answered, peak {peak:.0f} MiB", end=" ", flush=True)
        self.assertLess(peak, BESIDES_MB + BUDGET_MB)
        heads = [connection.recv(12) for connection in connections]
        self.assertIn(b"HTTP/1.1 200", heads)
        self.assertLessEqual(set(heads), {b"HTTP/1.1 200", b"HTTP/1.1 503"})
        self.assertEqual(self.metric("hilum_memory_peers_limit_bytes"), BUDGET_MB << 20)
        wait_until(lambda: self.metric("hilum_memory_peers_bytes") < 1 << 20, 10, "all is given back")
        self.assertEqual(self.server.request("/healthz")[0], 200)
        body = self.frame()
        self.assertEqual(len(body), SIDE * SIDE)
        self.assertEqual(body, (b"\x07" + bytes(127)) * (SIDE * SIDE // 128))

    def frame(self):
        return self.server.request(FRAME, headers={"Accept": "application/octet-stream"})[2]

    def metric(self, name):
        text = self.server.request("/metrics")[2].decode()
        return int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
