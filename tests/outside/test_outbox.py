#!/usr/bin/python3
"""The outbox: targets that hang delay no others and no stop; what becomes of deliveries whose target is removed, entered again or may not get anything; dead letters and their replay."""

import glob
import os
import pathlib
import re
import socket
import sqlite3
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pydicom
from harness import Hilum, Orthanc, pydicom_files, wait_until
from hl7_listener import Listener

MESSAGE = "MSH|^~\\&|HILUM||RIS||20260101120000||ORU^R01^ORU_R01|{0}|P|2.5.1\rPID|1||P1\r"


def hanging():
    """Connections to it are made, and never answered."""
    return socket.create_server(("127.0.0.1", 0), backlog=64)


def put_in(server, rows):
    """Deliveries into the outbox of a server that does not run: (kind, target, subject)."""
    database = sqlite3.connect(os.path.join(server.data, "hilum.db"))
    for kind, target, subject in rows:
        payload = MESSAGE.format(subject) if kind == "hl7" else ""
        database.execute("INSERT INTO delivery (key, target, kind, subject, payload, state, created_ns, next_ns) VALUES (?, ?, ?, ?, ?, 0, 0, 0)",
                         (f"{target} {subject}", target, kind, subject, payload))
        database.execute("INSERT INTO delivery_target (kind, target, added) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET added = added + 1", (kind, target))
    database.commit()
    database.close()


class Warner:
    """A PACS that takes one object in one association and answers a C-STORE with `status` and a comment (PS3.4 table B.2-1, PS3.7 table 9.3-2)."""

    def __init__(self, status, comment):
        self.status, self.comment = status, comment
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def pdu(self, kind, body):
        self.stream.write(struct.pack(">BBI", kind, 0, len(body)) + body)
        self.stream.flush()

    def accept(self, body):
        proposed, at = [], 68
        while at < len(body):  # PS3.8 table 9-11
            kind, length = struct.unpack(">BxH", body[at:at + 4])
            item = body[at + 4:at + 4 + length]
            if kind == 0x20:
                abstract = struct.unpack(">H", item[6:8])[0]
                proposed.append((item[0], item[8 + abstract:]))
            at += 4 + length
        item = lambda kind, value: struct.pack(">BxH", kind, len(value)) + value
        user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4")
        self.pdu(2, body[:68] + item(0x10, b"1.2.840.10008.3.1.1.1") + b"".join(item(0x21, bytes([number, 0, 0, 0]) + syntax[:4 + struct.unpack(">H", syntax[2:4])[0]]) for number, syntax in proposed) + item(0x50, user))

    def answer(self, context):
        element = lambda tag, value: struct.pack("<HHI", 0, tag, len(value)) + value
        us = lambda tag, value: element(tag, struct.pack("<H", value))
        rest = us(0x0100, 0x8001) + us(0x0120, self.message) + us(0x0800, 0x0101) + us(0x0900, self.status) + element(0x0902, self.comment.encode().ljust(len(self.comment) + len(self.comment) % 2))
        command = element(0, struct.pack("<I", len(rest))) + rest
        self.pdu(4, struct.pack(">IBB", len(command) + 2, context, 3) + command)

    def receive(self):
        kind, length = struct.unpack(">BxI", self.stream.read(6))
        return kind, self.stream.read(length)

    def serve(self):
        connection, _ = self.listening.accept()
        with self.listening, connection, connection.makefile("rwb") as self.stream:
            self.accept(self.receive()[1])
            while True:
                kind, body = self.receive()
                if kind == 5:
                    self.pdu(6, bytes(4))
                    return
                while body:
                    size, context, control = struct.unpack(">IBB", body[:6])
                    if control & 1:
                        self.message = struct.unpack("<H", body[6:].split(struct.pack("<HHI", 0, 0x0110, 2))[1][:2])[0]
                    elif control & 2:
                        self.answer(context)
                    body = body[4 + size:]


class Outbox(unittest.TestCase):
    def restart_with(self, server, rows):
        self.assertEqual(server.stop(), 0)
        put_in(server, rows)
        server.start()

    def target(self, server, name, port):
        server.put_json(f"/api/hl7-targets/{name}", {"host": "127.0.0.1", "port": port})

    def peer(self, server, name, port, rights=("target",)):
        server.put_json(f"/api/peers/{name}", {"title": name.upper(), "host": "127.0.0.1", "port": port, "rights": list(rights), "plain": "accepted"})

    def trail(self, server):
        return "".join(pathlib.Path(path).read_text("utf-8") for path in glob.glob(os.path.join(server.data, "audit-*.log")))

    def deliveries(self, server, state):
        return {(d["target"], d["subject"]): d for d in server.get_json(f"/api/deliveries?state={state}")}

    def test_three_targets_that_hang_delay_no_fourth_and_no_stop(self):
        deaf = [hanging() for _ in range(6)]
        listener = Listener(manners=())
        path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        instance = pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
        with Hilum() as server, Orthanc() as orthanc:
            server.storescu(path)
            for i in range(3):
                self.target(server, f"h{i}", deaf[i].getsockname()[1])
                self.peer(server, f"p{i}", deaf[3 + i].getsockname()[1])
            self.target(server, "ris", listener.port)
            self.peer(server, "pacs", orthanc.dicom)
            self.restart_with(server, [("hl7", f"h{i}", f"M{i}") for i in range(3)] + [("dicom", f"p{i}", instance) for i in range(3)]
                              + [("hl7", "ris", f"R{i}") for i in range(20)] + [("dicom", "pacs", instance)])
            began = time.monotonic()
            wait_until(lambda: len(listener.accepted) == 20, 8, "the fourth HL7 target has all")
            wait_until(lambda: orthanc.get_json("/instances"), 8, "the fourth DICOM target has its object")
            self.assertLess(time.monotonic() - began, 8)
            wait_until(lambda: len(self.deliveries(server, "sending")) == 6, 5, "what was taken is noted as done")
            began = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertLess(time.monotonic() - began, 3)
            # A stop is no failure of the target's.
            server.start()
            wait_until(lambda: len(self.deliveries(server, "sending")) == 6, 5, "they are tried again at once")
            self.assertEqual(len(self.deliveries(server, "done")), 21)
            self.assertEqual(len(re.findall("<EventOutcomeDescription>hl7 R[0-9]+ delivered to ris<|<EventOutcomeDescription>dicom [0-9.]+ delivered to pacs<", self.trail(server))), 21)
        self.assertEqual(sorted(len(messages) for messages in listener.accepted.values()), [1] * 20)
        listener.stop()
        for one in deaf:
            one.close()

    def test_a_delivery_waits_for_a_target_that_is_removed_and_goes_when_it_is_back(self):
        listener = Listener(manners=())
        with Hilum() as server:
            self.restart_with(server, [("hl7", "ris", "W1"), ("dicom", "pacs", "1.2.3")])
            for target, subject, says in (("ris", "W1", "there is no HL7 target 'ris'"), ("pacs", "1.2.3", "pacs")):
                wait_until(lambda: says in self.deliveries(server, "waiting").get((target, subject), {}).get("lastError", ""), 5, f"{target} says why it waits")
            self.target(server, "ris", listener.port)
            wait_until(lambda: "W1" in listener.accepted, 10, "the message arrives")
            self.peer(server, "pacs", listener.port, rights=("store",))
            wait_until(lambda: "no right 'target'" in self.deliveries(server, "waiting").get(("pacs", "1.2.3"), {}).get("lastError", ""), 20, "the missing right is said")
            # An object that is not there counts as a refusal: in the end a person sees it among the dead letters.
            self.peer(server, "pacs", listener.port)
            database = sqlite3.connect(os.path.join(server.data, "hilum.db"), timeout=10)
            database.execute("UPDATE delivery SET next_ns = 0, refusals = 9 WHERE state = 0")
            database.execute("UPDATE delivery_target SET next_ns = 0")
            database.commit()
            database.close()
            dead = wait_until(lambda: self.deliveries(server, "dead"), 5, "a dead letter")
            self.assertIn("1.2.3", dead[("pacs", "1.2.3")]["lastError"])
        listener.stop()

    def test_what_a_target_takes_with_a_warning_is_done_and_says_so(self):
        path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        instance = pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
        warned = {"coercing": (0xB000, "PatientID coerced to X9", "B000H (coercion of data elements): PatientID coerced to X9"), "discarding": (0xB006, "", "B006H (elements discarded)"),
                  "doubting": (0xB007, "", "B007H (the data set does not match the SOP class)"), "content": (0, "", "")}
        with Hilum() as server:
            server.storescu(path)
            for name, (status, comment, _) in warned.items():
                self.peer(server, name, Warner(status, comment).port)
            self.restart_with(server, [("dicom", name, instance) for name in warned])
            done = wait_until(lambda: (lambda rows: rows if len(rows) == len(warned) else None)(self.deliveries(server, "done")), 10, "all took it")
            for name, (_, _, says) in warned.items():
                error = done[(name, instance)]["lastError"]
                self.assertTrue(error.endswith(says) if says else error == "", error)
            self.assertIn(f"dicom {instance} to coercing: the peer took it, and warns with B000H", server.log())
            self.assertIn("hilum_deliveries_warned_total 3", server.request("/metrics")[2].decode().splitlines())

    def test_refusals_end_as_a_dead_letter_that_a_person_replays(self):
        listener = Listener(manners=["AR"] * 10)
        with Hilum() as server:
            self.target(server, "ris", listener.port)
            self.restart_with(server, [("hl7", "ris", "D1")])
            database = sqlite3.connect(os.path.join(server.data, "hilum.db"), timeout=10)
            end = time.monotonic() + 30
            while not self.deliveries(server, "dead") and time.monotonic() < end:  # without the waits between its tries
                database.execute("UPDATE delivery SET next_ns = 0 WHERE state = 0")
                database.commit()
                time.sleep(0.2)
            database.close()
            dead = self.deliveries(server, "dead")[("ris", "D1")]
            self.assertIn("AR", dead["lastError"])
            self.assertIn("hl7 target ris: 1 given up", "\n".join(server.get_json("/healthz")["warnings"]))
            self.assertEqual(server.request(f"/api/deliveries/{dead['id']}/replay", "POST", b"{}")[0], 204)
            wait_until(lambda: "D1" in listener.accepted, 5, "the replayed message arrives")
            wait_until(lambda: self.deliveries(server, "done"), 5, "it is done")
            self.assertEqual(server.request(f"/api/deliveries/{dead['id']}/replay", "POST", b"{}")[0], 409)
            for unfit in ("0", "-1", "x", "99999999999999999999"):
                self.assertEqual(server.request(f"/api/deliveries/{unfit}/replay", "POST", b"{}")[0], 404)
        self.assertEqual(len(listener.accepted["D1"]), 1)
        listener.stop()


if __name__ == "__main__":
    unittest.main()
