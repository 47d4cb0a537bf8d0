"""What the bench runs and feeds: the floor, files of CT images with fresh UIDs, DCMTK's client, wrk, and a watch on memory."""

import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "outside"))
import harness  # noqa: E402

DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
SAMPLE_SECONDS = 0.1
SETTLE_SECONDS = 15
NODELAY = dict(os.environ, TCP_NODELAY="1")
STOCK = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}


class Floor:
    """bench/floor.c: an SCP that appends, syncs and answers."""

    def __init__(self):
        self.folder, self.dicom, self.process = tempfile.mkdtemp(prefix="floor-"), harness.free_port(), None
        self.program = os.path.join(self.folder, "floor")

    def __enter__(self):
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o", self.program, os.path.join(ROOT, "bench", "floor.c"), "-lpthread"], check=True)
        self.process = subprocess.Popen([self.program, str(self.dicom), self.folder])
        harness.wait_for_port(self.dicom, process=self.process)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def append_rate(self, size, count):
        """Objects per second of the bare loop: append, fdatasync."""
        return float(subprocess.run([self.program, "append", self.folder, str(size), str(count)], capture_output=True, text=True, check=True).stdout)


# ---- files

ORG = "2.25."
PLACES = {"sop": b"1" * 34, "study": b"2" * 34, "series": b"3" * 34, "patient": b"BENCH-" + b"4" * 8, "number": b"55555"}


def template(side):
    """A CT image of side x side pixels as Part 10 bytes, with marks where fresh values go."""
    import io

    import numpy
    from pydicom.dataset import Dataset, FileMetaDataset, FileDataset

    marks = {name: value.decode() for name, value in PLACES.items()}
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", ORG + marks["sop"]
    meta.TransferSyntaxUID, meta.ImplementationClassUID = "1.2.840.10008.1.2.1", "2.25.1"
    data = FileDataset(None, Dataset(), file_meta=meta, preamble=bytes(128))
    data.is_little_endian, data.is_implicit_VR = True, False
    values = {
        "SOPClassUID": meta.MediaStorageSOPClassUID, "SOPInstanceUID": ORG + marks["sop"], "StudyInstanceUID": ORG + marks["study"], "SeriesInstanceUID": ORG + marks["series"],
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "StudyDate": "20240102", "SeriesDate": "20240102", "ContentDate": "20240102", "StudyTime": "101112", "SeriesTime": "101213",
        "ContentTime": "101214", "AccessionNumber": "A1", "Modality": "CT", "Manufacturer": "Bench", "ReferringPhysicianName": "Doe^Jane", "StationName": "CT1",
        "StudyDescription": "Abdomen with contrast", "SeriesDescription": "Axial 1 mm", "ManufacturerModelName": "Model 1", "PatientName": "Bench^Patient", "PatientID": marks["patient"],
        "PatientBirthDate": "19600101", "PatientSex": "O", "BodyPartExamined": "ABDOMEN", "SliceThickness": "1.0", "KVP": "120", "ProtocolName": "Abdomen", "ConvolutionKernel": "B30",
        "PatientPosition": "HFS", "StudyID": "1", "SeriesNumber": "2", "AcquisitionNumber": "1", "InstanceNumber": marks["number"], "ImagePositionPatient": [-250, -250, 10],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "FrameOfReferenceUID": "2.25.7", "PositionReferenceIndicator": "", "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "Rows": side, "Columns": side, "PixelSpacing": [0.97, 0.97], "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "WindowCenter": "40",
        "WindowWidth": "400", "RescaleIntercept": "0", "RescaleSlope": "1", "RescaleType": "HU",
    }
    for name, value in values.items():
        setattr(data, name, value)
    data.PixelData = numpy.random.default_rng(side).integers(-1000, 1000, (side, side), dtype=numpy.int16).tobytes()
    out = io.BytesIO()
    data.save_as(out, write_like_original=False)
    return out.getvalue()


class Images:
    """Files of one size, given fresh UIDs in place before each time they are sent."""

    serial = int(time.time()) * 10**6

    def __init__(self, folder, side, count):
        content = template(side)
        self.size, self.paths = len(content), [os.path.join(folder, f"{side}-{i:04d}.dcm") for i in range(count)]
        self.at = {name: [m.start() for m in re.finditer(mark, content)] for name, mark in PLACES.items()}
        for path in self.paths:
            with open(path, "wb") as f:
                f.write(content)

    @classmethod
    def fresh(cls):
        cls.serial += 1
        return str(10**33 + cls.serial)

    def renew(self, count=None, studies=1, patient=1):
        """New UIDs for the first `count` files, in as many studies of a series each; returns their paths, the studies one after the other, and (study, series, instance) of each."""
        paths = self.paths[:count]
        uids = []
        for i, path in enumerate(paths):
            if i % -(-len(paths) // studies) == 0:
                study, series = self.fresh(), self.fresh()
            values = {"sop": self.fresh(), "study": study, "series": series, "patient": f"BENCH-{patient:08d}", "number": f"{i + 1:05d}"}
            fd = os.open(path, os.O_WRONLY)
            for name, value in values.items():
                for at in self.at[name]:
                    os.pwrite(fd, value.encode(), at)
            os.close(fd)
            uids.append(tuple(ORG + values[name] for name in ("study", "series", "sop")))
        return paths, uids


# ---- clients

def settle(servers):
    """Waits until none of them writes, and all that was written is on the disk: what one does after its turn must not slow the next."""
    end, before = time.monotonic() + SETTLE_SECONDS, None
    while time.monotonic() < end:
        written = [re.search(r"^write_bytes: (\d+)", open(f"/proc/{server.process.pid}/io", encoding="ascii").read(), re.M).group(1) for server in servers]
        if written == before:
            break
        before = written
        time.sleep(0.5)
    os.sync()


def send(port, paths, associations=1, env=None):
    """Seconds that `storescu` needs for the files, over that many associations at once."""
    share = -(-len(paths) // associations)
    start = time.monotonic()
    clients = [subprocess.Popen(["storescu", "-aec", "HILUM", "127.0.0.1", str(port), *paths[i : i + share]], env=env or NODELAY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
               for i in range(0, len(paths), share)]
    errors = [client.communicate()[1] for client in clients]
    seconds = time.monotonic() - start
    if any(client.returncode for client in clients):
        raise RuntimeError(f"storescu failed: {b''.join(errors)[-500:]!r}")
    return seconds


def wrk(port, path, accept, seconds):
    """Requests per second over four kept connections."""
    text = subprocess.run(["wrk", "-t1", "-c4", f"-d{seconds}s", "-H", f"Accept: {accept}", f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"wrk {path}: {text}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


class Get:
    """One kept connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __call__(self, path, accept):
        """(seconds, body)"""
        start = time.monotonic()
        self.connection.request("GET", path, headers={"Accept": accept})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {path} answered {answer.status}: {body[:200]!r}")
        return time.monotonic() - start, body


def start_seconds(server):
    """From the start of the process until the health page answers and the DICOM port takes connections."""
    start = time.monotonic()
    server.launch()
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                break
        except OSError:
            time.sleep(0.002)
    harness.wait_for_port(server.dicom, process=server.process)
    return time.monotonic() - start


# ---- memory

def family(pid):
    """The process and its descendants."""
    pids = [pid]
    for parent in pids:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as f:
                    pids += map(int, f.read().split())
        except OSError:
            pass
    return pids


def pss_bytes(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1)) << 10
    except (OSError, AttributeError):
        return 0


class MemoryWatch:
    """The highest PSS of each server and its children, seen every 100 ms. The stage tells when it was."""

    def __init__(self, servers):
        self.servers, self.peak, self.stage, self.where = servers, {name: 0 for name in servers}, "", {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(SAMPLE_SECONDS):
            for name, server in self.servers.items():
                process = server.process
                total = sum(map(pss_bytes, family(process.pid))) if process and process.poll() is None else 0
                if total > self.peak[name]:
                    self.peak[name], self.where[name] = total, self.stage

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
