"""A C-STORE client that writes down what was acknowledged, and when: what a modality may forget from that moment on."""

import hashlib
import json
import os
import random
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "outside"))
from corpus import ROOT, Peer, data_pdus, sound, store_command, uid, us  # noqa: E402

PDU_MAX = 16384  # what every peer takes
CONTEXT = 3  # that of CT images in explicit VR little endian, among those that corpus.Peer asks for


class Answers:
    """One line of JSON for each thing that the server has said; the time is taken after its answer came."""

    def __init__(self, path):
        self.file, self.lock = open(path, "a", encoding="utf-8"), threading.Lock()

    def add(self, what, **values):
        line = json.dumps({"ns": time.monotonic_ns(), "what": what, **values})
        with self.lock:
            self.file.write(line + "\n")
            self.file.flush()


def read_answers(path, before_ns):
    with open(path, encoding="utf-8") as f:
        return [answer for answer in map(json.loads, f) if answer["ns"] < before_ns]


def data_set_of(part10):
    """The bytes behind the meta information."""
    return part10[144 + struct.unpack_from("<I", part10, 140)[0]:]


class Images:
    """CT images of 18 to 51 kB, each of other bytes, in series of their own studies."""

    def __init__(self):
        self.lock, self.serial = threading.Lock(), 3 * 10**6

    def number(self):
        with self.lock:
            self.serial += 1
            return self.serial

    def make(self, study, series):
        """(SOP Instance UID, data set)"""
        number = self.number()
        chance = random.Random(number)
        side = chance.choice((96, 128, 160))
        data = sound(number, replace={0x0020000D: ("UI", uid(study)), 0x0020000E: ("UI", uid(series)), 0x00280010: ("US", us(side)), 0x00280011: ("US", us(side)),
                                      0x7FE00010: ("OW", chance.randbytes(2 * side * side))})
        return f"{ROOT}.{number}.1", data


class Sender(Peer):
    """One association; every answer to an object is written down. Before it nothing was promised."""

    def __init__(self, port, title, answers):
        super().__init__(port, timeout=60)
        self.answers = answers
        if self.associate(calling=title) != 2:
            raise RuntimeError("the association was refused")

    def put(self, study, series, instance, data):
        self.messages += 1
        self.send(data_pdus(CONTEXT, store_command(instance, self.messages), 1) + data_pdus(CONTEXT, data, most=PDU_MAX - 6))
        status = self.answer()
        self.answers.add("refused" if status else "stored", study=study, series=series, instance=instance, digest=hashlib.sha256(data).hexdigest(), status=f"{status:04X}")
