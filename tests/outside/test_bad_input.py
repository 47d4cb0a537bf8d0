#!/usr/bin/python3
"""Hostile input from outside (docs/bad-input.md; each test names its lines): the answer, and after each case that the server is alive, serves others, has one audit record of the refusal, and took
no more than the object's size and 64 MiB of memory and 2 s of processor time.

With HILUM_SANITIZED=1 the program is a build with sanitizers: its memory and time say nothing then, but it must end clean. HILUM_REJECTED gives the number of rejected associations of line 60.
"""

import glob
import json
import os
import re
import resource
import select
import shutil
import socket
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
from corpus import CT, DEFLATED, EXPLICIT, IMPLICIT, VERIFICATION, Ended, Peer, context_item, data_pdus, element, pdu, pdv, request, sub_item, uid, us, user_item
from harness import Hilum, multipart, wait_until

SANITIZED = os.environ.get("HILUM_SANITIZED") == "1"
REJECTED = int(os.environ.get("HILUM_REJECTED", "5000"))
ARTIM_SECONDS = 2
MEMORY = 64 << 20
CPU_SECONDS = 2
CONFIG = f"dicom:\n  artim_seconds: {ARTIM_SECONDS}\ndisk:\n  low_water_mb: 0\n"


class Watched(Hilum):
    """A server whose memory, time, audit trail and quarantine are looked at."""

    def memory_peak(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) << 10

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def refusals(self):
        """How many refused associations, objects and files of each calling title the audit trail has (a line may stand for several)."""
        counts = {}
        for path in glob.glob(os.path.join(self.data, "audit-*.log")):
            with open(path, encoding="utf-8", errors="replace") as f:
                for line in f:
                    # Whether the time of silent ones at addresses of their own is up before they go is the machine's affair.
                    if "took too long" in line and 'NetworkAccessPointID="127.0.0.1"' not in line:
                        continue
                    if 'EventOutcomeIndicator="4"' in line and re.search('EventTypeCode csd-code="(110126|110132)"', line):
                        title = re.search('UserID="([^"]*)"', line).group(1)
                        counts[title] = counts.get(title, 0) + int(re.search(r'\[sum@32473 count="(\d+)"\]', line).group(1))
        return counts

    def quarantine(self):
        """Bytes and reason of what is there."""
        out = []
        for path in sorted(glob.glob(os.path.join(self.data, "quarantine", "*.dcm"))):
            with open(path, "rb") as f, open(path[:-4] + ".txt", encoding="utf-8") as reason:
                out.append((f.read(), reason.read()))
        return out

    def meta_texts(self):
        """The meta text of every record on disk, by SOP Instance UID (docs/store-format.md)."""
        out = {}
        for path in glob.glob(os.path.join(self.data, "lanes", "*.lane")) + glob.glob(os.path.join(self.data, "packs", "*.pack")):
            with open(path, "rb") as f:
                raw = f.read()
            for at in range(64, len(raw), 16):
                if raw[at:at + 8] == b"HILUMOB1":
                    size, meta_size = struct.unpack_from("<QI", raw, at + 16)
                    meta = json.loads(raw[at + 128 + size:at + 128 + size + meta_size])
                    out[meta["sop_instance"]] = meta
        return out

    def stored(self):
        return self.get_json("/api/status")["instances"]

    def data_set(self, study, series, instance):
        """The data set as it is given back, and what stands before it."""
        path = f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        status, headers, body = self.request(path, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
        if status != 200:
            raise AssertionError(f"GET {path} answered {status}: {body[:200]!r}")
        part = multipart(headers, body)[0][1]
        start = 132 + 12 + struct.unpack("<I", part[140:144])[0]
        return part[start:], part[:132]


class Bad(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, most), most))
        cls.server = Watched(config=CONFIG)
        cls.server.start()
        cls.cases = corpus.cases()
        cls.number, cls.due = 0, {}

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        wrong = cls.wrong_audit()
        log = cls.server.log()
        shutil.rmtree(cls.server.folder, ignore_errors=True)
        assert status == 0, f"the server ended with {status}: {log[-3000:]}"
        assert not re.search("Sanitizer|runtime error:", log), log[-6000:]
        assert not wrong, f"refusals in the audit trail, and due: {wrong}"

    @classmethod
    def wrong_audit(cls):
        """After the stop, which tells what has been summed so far: a sum of a minute is told in its first second and at its end."""
        found = cls.server.refusals()
        taken = {"CROWD58": 16}  # that on a busy machine may have been idle for too long before they are closed
        wrong = {title: (found.get(title, 0), *due) for title, due in cls.due.items() if not due[0] <= found.get(title, 0) <= due[0] + taken.get(title, 0)}
        # Past 32 in a minute the trail tells those of further titles together: none is lost, and none is told twice.
        if all(had < due for had, due, _ in wrong.values()) and sum(due - had for had, due, _ in wrong.values()) == found.get("(others)", 0):
            return {}
        return wrong

    def title(self):
        """A calling title of its own, so that the audit trail tells the cases apart."""
        Bad.number += 1
        return f"BAD{Bad.number:05d}"

    def peer(self, source=""):
        return Peer(self.server.dicom, source=source)

    def audited(self, title, count=1):
        """Says that so many refusals more are due in the audit trail, which is written within a second: all are looked at in the end."""
        due, tests = Bad.due.get(title, (0, ()))
        Bad.due[title] = due + count, tests + (self._testMethodName,)

    def unscathed(self, size=0, cpu=0.0):
        """Alive, an honest peer is served within a second, memory and time are within bounds."""
        self.assertIsNone(self.server.process.poll(), self.server.log()[-3000:])
        used = self.server.cpu_seconds() - cpu
        peak = self.server.memory_peak()
        start = time.monotonic()
        with Peer(self.server.dicom) as honest:
            self.assertEqual(honest.associate(calling="HONEST"), 2)
            self.assertEqual(honest.echo(), 0)
            self.assertTrue(honest.release())
        if SANITIZED:
            return
        self.assertLess(time.monotonic() - start, 1)
        self.assertLessEqual(peak, size + MEMORY)
        if cpu:
            self.assertLessEqual(used, CPU_SECONDS)

    # ---- data sets

    def send(self, case):
        title = self.title()
        self.server.forget_peak()
        cpu = self.server.cpu_seconds()
        with self.peer() as peer:
            self.assertEqual(peer.associate(calling=title), 2)
            status = peer.store(case.data, case.message, case.syntax)
            if status != 0:  # the association goes on, and takes a sound object
                self.assertEqual(peer.echo(), 0)
            self.assertTrue(peer.release())
        self.unscathed(len(case.data), cpu)
        return title, status

    def line(self, *lines):
        """Sends every case of the lines and judges each."""
        refused = []
        for case in self.cases:
            if case.line not in lines:
                continue
            with self.subTest(str(case)):
                before = self.server.stored()
                title, status = self.send(case)
                if case.due == corpus.STORED:
                    self.assertEqual(status, 0)
                    self.is_stored(case)
                    continue
                self.assertNotEqual(status, 0)
                self.assertEqual(self.server.stored(), before)
                refused.append(title)
                kept = [reason for data, reason in self.server.quarantine() if data == case.data]
                if case.due == corpus.QUARANTINED:
                    self.assertEqual(status, 0xC000)
                    self.assertEqual(len(kept), 1)
                    self.assertGreater(len(kept[0]), 20)
                    self.assertIn(f"\ntransfer syntax {case.syntax}\nc-store from {title} at 127.0.0.1\nSOP class {CT}\nSOP instance {case.message}\n", kept[0])
        for title in refused:
            self.audited(title)

    def is_stored(self, case):
        rows = [row for row in self.server.get_json("/dicom-web/instances?StudyInstanceUID=" + case.study) if row["00080018"]["Value"] == [case.instance]]
        self.assertEqual(len(rows), 1)
        data, preamble = self.server.data_set(case.study, case.series, case.instance)
        self.assertEqual(data, case.data)
        self.assertEqual(preamble, bytes(128) + b"DICM")
        path = f"/dicom-web/studies/{case.study}/series/{case.series}/instances/{case.instance}"
        self.assertEqual(self.server.request(path + "/metadata")[0], 200)
        if case.flags is not None:
            self.assertEqual(self.flags(case), case.flags)
        if case.decodes is False:
            status, _, body = self.server.request(path + "/frames/1")
            self.assertIn(status, range(400, 500))
            self.assertGreater(len(body), 20)  # and says why
            self.unscathed(len(case.data))
        if case.decodes:
            self.assertEqual(self.server.request(path + "/frames/1")[0], 200)

    def flags(self, case):
        """The same bytes again are the same object, and the import's answer tells its flags."""
        status, _, body = self.server.request("/api/import", "POST", corpus.part10(case.data, case.syntax, case.instance))
        self.assertEqual(status, 200, body)
        answer = json.loads(body)
        self.assertEqual(answer["outcome"], "same")
        return answer["flags"]

    def test_sequences_are_taken_64_deep_and_quarantined_beyond(self):
        """Line 1"""
        self.line(1)

    def test_a_sequence_or_item_without_its_delimiter_is_quarantined(self):
        """Line 2"""
        self.line(2)

    def test_what_is_longer_than_what_holds_it_is_quarantined(self):
        """Line 3"""
        self.line(3)

    def test_a_stray_delimiter_is_quarantined(self):
        """Line 4"""
        self.line(4)

    def test_a_private_unknown_of_undefined_length_holds_implicit_vr(self):
        """Line 5"""
        self.line(5)

    def test_a_length_that_is_nearly_undefined_is_quarantined(self):
        """Line 6"""
        self.line(6)

    def test_a_value_that_claims_gigabytes_is_quarantined_without_taking_them(self):
        """Line 7"""
        self.line(7)

    def test_odd_lengths_are_stored(self):
        """Line 8"""
        self.line(8)

    def test_any_order_of_tags_is_stored_but_one_identity_only(self):
        """Line 9"""
        self.line(9)

    def test_an_unknown_vr_in_group_2_is_quarantined(self):
        """Line 10"""
        self.line(10)

    def test_an_encoding_that_is_not_its_transfer_syntax_is_quarantined(self):
        """Line 11"""
        self.line(11)

    def test_a_wrong_group_length_is_stored(self):
        """Line 12"""
        self.line(12)

    def test_an_object_without_identity_is_refused(self):
        """Line 13"""
        self.line(13)

    def test_uids_too_long_or_with_letters_are_stored_and_flagged(self):
        """Line 14"""
        self.line(14)

    def test_impossible_sizes_are_stored_and_flagged_and_never_decoded(self):
        """Lines 15 and 16"""
        self.line(15, 16)

    def test_impossible_depths_and_tables_are_stored_and_never_decoded(self):
        """Lines 17 and 18"""
        self.line(17, 18)

    def test_impossible_numbers_of_frames_are_stored_and_never_decoded(self):
        """Line 19"""
        self.line(19)

    def test_a_decimal_string_of_10_kB_is_stored(self):
        """Line 20"""
        self.line(20)

    def test_text_in_unknown_or_broken_character_sets_is_stored(self):
        """Line 21"""
        self.line(21)

    def test_long_names_and_names_with_script_are_stored(self):
        """Line 22"""
        self.line(22)
        case = next(case for case in self.cases if case.name == "script in a PN")
        row = self.server.get_json(f"/dicom-web/studies?StudyInstanceUID={case.study}")[0]
        self.assertIn("<script>", row["00100010"]["Value"][0]["Alphabetic"])
        _, headers, _ = self.server.request(f"/dicom-web/studies?StudyInstanceUID={case.study}")
        self.assertEqual(headers["Content-Type"], "application/dicom+json")  # which no browser renders

    def test_a_deflate_bomb_is_refused(self):
        """Line 23"""
        self.line(23)

    def test_a_cut_deflate_stream_is_quarantined_and_padding_is_stored(self):
        """Line 24"""
        self.line(24)

    def test_a_preamble_that_is_a_program_is_kept_and_not_served(self):
        """Line 25"""
        for number, preamble in enumerate((b"MZ\x90\0", b"\x7fELF\2\1\1\0", b"")):
            instance = f"{corpus.ROOT}.{25000 + number}"
            data = corpus.sound(25000 + number)
            preamble = preamble.ljust(128, b"\xcc") if preamble else bytes(128)
            status, _, body = self.server.request("/api/import", "POST", corpus.part10(data, EXPLICIT, instance + ".1", preamble))
            self.assertEqual(status, 200, body)
            kept = self.server.meta_texts()[instance + ".1"].get("preamble")
            self.assertEqual(kept, preamble.hex() if any(preamble) else None)
            self.assertEqual(self.server.data_set(instance, instance + ".0", instance + ".1"), (data, bytes(128) + b"DICM"))
            self.unscathed(len(data))

    def test_files_too_short_for_a_data_set_are_refused(self):
        """Line 27"""
        before = self.server.stored()
        whole = bytes(128) + b"DICM"
        for body in (b"", whole[:131], whole, bytes(131), bytes(132)):
            status, _, answer = self.server.request("/api/import", "POST", body)
            self.assertIn(status, range(400, 500), answer)
            self.audited("http")
        self.assertEqual(self.server.stored(), before)
        self.unscathed()

    def test_no_uid_is_taken_for_a_path(self):
        """Line 62"""
        self.line(62)
        names = [name for where, folders, files in os.walk(self.server.data) for name in folders + files]
        self.assertTrue(all(re.fullmatch(r"[a-z]+[-a-z0-9.]*|[0-9]{10}\.(lane|spare|pack|dcm|txt)", name) for name in names), names)

    def test_the_command_s_uid_must_be_usable_too(self):
        """Line 62"""
        before = self.server.stored()
        for bad in ("..", "/abs", "1.2\x003", "1.2\\3", "", None):
            title = self.title()
            with self.subTest(repr(bad)), self.peer() as peer:
                self.assertEqual(peer.associate(calling=title), 2)
                self.assertNotEqual(peer.store(corpus.sound(62900), bad), 0)
            self.audited(title)
        self.assertEqual(self.server.stored(), before)
        self.unscathed()

    # ---- the upper layer

    def is_aborted(self, send, associated=False, **rest):
        """`send` writes what is wrong; the server must answer with A-ABORT, and tell the trail."""
        title = self.title() if associated else "(unknown)"
        self.server.forget_peak()
        cpu = self.server.cpu_seconds()
        with self.peer() as peer:
            if associated:
                self.assertEqual(peer.associate(calling=title, **rest), 2)
            try:
                send(peer)
            except ConnectionError:
                pass  # it was quicker
            self.assertEqual(peer.ended(), "abort")
        self.unscathed(cpu=cpu)
        self.audited(title)

    def is_rejected(self, why=None, audited_as=None, **rest):
        title = audited_as or self.title()
        with self.peer() as peer:
            self.assertEqual(peer.associate(**{"calling": title, **rest}), 3)
            if why:
                self.assertEqual(peer.reject, why)
        self.unscathed()
        self.audited(title)

    def test_pdu_lengths_that_lie_are_aborted(self):
        """Line 47"""
        for kind in (1, 4, 5, 7):
            for length in (0, 3, 0xFFFFFFFF):
                with self.subTest(kind=kind, length=length):
                    lie = pdu(kind, b"", length) + bytes(64)
                    if kind != 7:  # an abort is answered by nobody
                        self.is_aborted(lambda peer, lie=lie: peer.send(lie))
                    if kind != 1:
                        self.is_aborted(lambda peer, lie=lie: peer.send(lie), True)

    def test_values_that_do_not_fit_their_pdu_are_aborted(self):
        """Line 48"""
        for length in (0, 1, len(corpus.ECHO) + 3, 0xFFFFFFFF):
            with self.subTest(length=length):
                self.is_aborted(lambda peer, n=length: peer.send(pdu(4, pdv(1, 3, corpus.ECHO, n))), True)
        self.is_aborted(lambda peer: peer.send(pdu(4, pdv(1, 3, corpus.ECHO) + b"\0\0\0")), True)

    def test_no_limit_and_a_huge_one_are_taken_a_tiny_one_is_rejected(self):
        """Line 49"""
        for most in (0, 0xFFFFFFFF, None, 4096):
            with self.subTest(most=most), self.peer() as peer:
                self.assertEqual(peer.associate(user=user_item(most)), 2)
                self.assertEqual(peer.echo(), 0)
                self.assertTrue(peer.release())
        for most in (1, 7, 4095):
            with self.subTest(most=most):
                self.is_rejected(user=user_item(most), audited_as="(unknown)")

    def test_contexts_too_many_even_or_twice_are_rejected(self):
        """Line 50"""
        odd = [context_item(n, VERIFICATION, [IMPLICIT]) for n in range(1, 256, 2)]
        with self.peer() as peer:
            self.assertEqual(peer.associate(contexts=odd), 2)  # 128 are the most that the standard allows
            self.assertEqual(peer.echo(), 0)
        for contexts in (odd + odd[:1], odd[:2] + odd[:1], [context_item(2, VERIFICATION, [IMPLICIT])], [context_item(0, VERIFICATION, [IMPLICIT])], []):
            self.is_rejected(contexts=contexts, audited_as="(unknown)")

    def test_an_object_on_a_context_that_was_not_accepted_is_aborted(self):
        """Line 51"""
        instance, data = f"{corpus.ROOT}.51.1", corpus.sound(51)
        before = self.server.stored()
        contexts = [(1, VERIFICATION, [IMPLICIT]), (3, "1.2.840.10008.5.1.4.1.2.2.1", [EXPLICIT])]
        for context in (3, 5, 0):
            message = data_pdus(context, corpus.store_command(instance), 1) + data_pdus(context, data)
            self.is_aborted(lambda peer, m=message: peer.send(m), True, contexts=contexts)
        self.assertEqual(self.server.stored(), before)

    def test_pdu_types_that_do_not_exist_are_aborted(self):
        """Line 52; a TLS hello is of type 16H"""
        for kind in (0, 0x55, 8, 0xFF, 0x16):
            for associated in (False, True):
                with self.subTest(kind=kind, associated=associated):
                    self.is_aborted(lambda peer, k=kind: peer.send(pdu(k, b"\1\0\2\0")), associated)

    def test_titles_that_are_none_are_rejected(self):
        """Line 53"""
        for bad in ("../x", "", b"\xff" * 16, b"A\0B", b"A\\B", b"A\nB"):
            with self.subTest(repr(bad)):
                self.is_rejected((1, 1, 7), called=bad, audited_as="(unknown)")
                self.is_rejected((1, 1, 3), calling=bad, audited_as="(unknown)")
        self.is_rejected((1, 1, 7), called="SOMEONE")

    def test_user_information_that_lies_is_aborted_and_a_token_rejected(self):
        """Line 54"""
        short = struct.pack(">BBH", 0x52, 0, 400) + b"1.2"
        identity = lambda kind, first, second=b"", lie=0: sub_item(0x58, struct.pack(">BBH", kind, 1, len(first) + lie) + first + struct.pack(">H", len(second)) + second)  # noqa: E731
        for user in (sub_item(0x50, short), sub_item(0x50, sub_item(0x51, b"\0\0")), sub_item(0x50, b"\x51"), struct.pack(">BBH", 0x50, 0, 0xFFFF), user_item(extra=identity(2, b"name", b"word", 900)),
                     user_item(extra=sub_item(0x58, b"\2"))):
            self.is_aborted(lambda peer, u=user: peer.send(request(user=u)))
        for token in (b"", b"a.b.c", b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."):
            self.is_rejected((1, 1, 1), user=user_item(extra=identity(5, token)), audited_as="(unknown)")
        with self.peer() as peer:  # a name without a claim is passed over, as the standard allows
            self.assertEqual(peer.associate(user=user_item(extra=identity(1, b"name"))), 2)

    def test_data_before_a_command_and_two_commands_are_aborted(self):
        """Line 55"""
        before = self.server.stored()
        data = corpus.sound(55)
        command = data_pdus(3, corpus.store_command(f"{corpus.ROOT}.55.1"), 1)
        self.is_aborted(lambda peer: peer.send(data_pdus(3, data)), True)
        self.is_aborted(lambda peer: peer.send(command + command), True)
        self.is_aborted(lambda peer: peer.send(command + pdu(4, pdv(3, 0, data[:100])) + command), True)
        self.is_aborted(lambda peer: peer.send(command + data_pdus(5, data)), True)  # in another context
        self.assertEqual(self.server.stored(), before)

    def test_a_command_of_another_identity_than_the_data_is_refused(self):
        """Line 56"""
        before = self.server.stored()
        for instance, sop_class in ((f"{corpus.ROOT}.56.2", CT), (f"{corpus.ROOT}.56.1", "1.2.840.10008.5.1.4.1.1.4")):
            title = self.title()
            with self.peer() as peer:
                self.assertEqual(peer.associate(calling=title), 2)
                self.assertEqual(peer.store(corpus.sound(56), instance, sop_class=sop_class), 0xA900)
                self.assertTrue(peer.release())
            self.audited(title)
        self.assertEqual(self.server.stored(), before)
        self.unscathed()

    def test_silent_and_slow_peers_are_ended_by_the_artim_timer(self):
        """Line 57"""
        start = time.monotonic()
        hello = request(calling="SLOW57")
        silent, slow, after = self.peer(), self.peer(), self.peer()
        self.assertEqual(after.associate(calling="AFTER57"), 2)
        ends, at = {}, 0
        names = {silent.socket: "silent", slow.socket: "slow", after.socket: "after the request"}
        while len(ends) < 3 and time.monotonic() - start < ARTIM_SECONDS + 3:
            if slow.socket in names and at < len(hello):
                try:
                    slow.send(hello[at:at + 1])
                except ConnectionError:
                    pass
                at += 1
            for ready in select.select(list(names), [], [], 0.2)[0]:
                ends[names.pop(ready)] = time.monotonic() - start
        for peer in (silent, slow, after):
            peer.socket.close()
        self.assertEqual(set(ends), {"silent", "slow", "after the request"})
        for name, seconds in ends.items():
            self.assertGreater(seconds, ARTIM_SECONDS - 0.5, name)
            self.assertLess(seconds, ARTIM_SECONDS + 1, name)
        self.audited("AFTER57")
        self.audited("(unknown)", 2)
        self.unscathed()

    def test_a_thousand_idle_associations_leave_room_for_others(self):
        """Line 58"""
        self.server.forget_peak()
        cpu = self.server.cpu_seconds()
        peers, answers = [], {"accepted": 0, "rejected": 0, "closed": 0}
        for _ in range(1000):  # all are kept open, those that were refused too
            peer = self.peer()
            peers.append(peer)
            try:
                answers["accepted" if peer.associate(calling="CROWD58") == 2 else "rejected"] += 1
            except (Ended, ConnectionError):
                answers["closed"] += 1
        self.unscathed(1000 * 4096, cpu)
        self.assertEqual(answers["accepted"], 16, answers)
        self.assertEqual(answers["closed"], 0, answers)  # each was told why
        for peer in peers:
            peer.socket.close()
        self.audited("CROWD58", answers["rejected"])

    def test_silent_connections_make_room_for_who_says_something(self):
        silent = []
        for last in range(2, 10):  # more than there is room for, of eight addresses
            for _ in range(100):
                silent.append(socket.create_connection(("127.0.0.1", self.server.dicom), source_address=(f"127.0.0.{last}", 0)))
        for source in ("127.0.0.2", "127.0.0.99"):  # one of theirs, and another one
            began = time.monotonic()
            peer = self.peer(source)
            self.assertEqual(peer.associate(calling="ROOM58"), 2)
            peer.release()
            self.assertLess(time.monotonic() - began, 1)
        self.assertEqual(len(re.findall("closed to make room for newer ones", self.server.log())), 1)
        for connection in silent:
            connection.close()
        self.unscathed()

    def test_a_reset_inside_an_object_stores_nothing(self):
        """Line 59"""
        before = self.server.stored()
        instance, data, title = f"{corpus.ROOT}.59.1", corpus.sound(59, replace={0x7FE00010: ("OW", bytes(4 << 20))}), self.title()
        with self.peer() as peer:
            self.assertEqual(peer.associate(calling=title), 2)
            peer.send(data_pdus(3, corpus.store_command(instance), 1) + pdu(4, pdv(3, 0, data[:60000])))
            time.sleep(0.1)
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.audited(title)
        wait_until(lambda: f"object of {title}" in self.server.log(), 5, "the end of the broken association")
        self.assertEqual(self.server.stored(), before)
        self.assertEqual(self.server.get_json("/dicom-web/instances?SOPInstanceUID=" + instance), [])
        with self.peer() as peer:  # and the whole one is welcome
            self.assertEqual(peer.associate(), 2)
            self.assertEqual(peer.store(data, instance), 0)
        self.assertEqual(self.server.data_set(f"{corpus.ROOT}.59", f"{corpus.ROOT}.59.0", instance)[0], data)
        self.unscathed(len(data))

    def test_rejected_associations_leave_no_memory_behind(self):
        """Line 60"""
        def reject(count):
            hello = request(called="NOBODY", calling="REJECTED60")
            for _ in range(count):
                with self.peer() as peer:
                    peer.send(hello)
                    self.assertEqual(peer.receive()[0], 3)

        reject(500)
        self.server.forget_peak()
        before = self.server.memory_peak()
        reject(REJECTED)
        if not SANITIZED:
            self.assertLess(self.server.memory_peak() - before, 4 << 20)
        self.audited("REJECTED60", 500 + REJECTED)
        self.unscathed()


if __name__ == "__main__":
    unittest.main(warnings="ignore")
