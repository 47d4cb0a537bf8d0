#!/usr/bin/python3
"""The outbox: targets that hang delay no others and no stop; what becomes of deliveries whose target is removed, entered again or may not get anything; dead letters and their replay."""

import glob
import os
import pathlib
import re
import socket
import sqlite3
import sys
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
        database.execute("INSERT INTO delivery_target (kind, target) VALUES (?, ?) ON CONFLICT DO NOTHING", (kind, target))
    database.commit()
    database.close()


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
