#!/usr/bin/python3
"""A day of a hundred mixed studies against a plain model of what each person should see at its end: the reading list, the record (HL7) and the PACS.

The studies are SYNTHETIC heads (heads.py), each sent in one of the ways that real days have: late, doubled, of two patients, tilted, with a localizer, another part of the body, two phases, corrected, rejected, echoed; and
the targets come and go. What everybody should see is written beside each way in a word or two, and does not know how the program works. n is 100, of one maker and one model: it proves the flow, not the model."""

import io
import os
import random
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import heads
import hl7
import pydicom
from harness import Hilum, Orthanc, wait_until
from hl7_listener import Listener

QUIET_S = 5  # of a study, until its negative is told
PIECES_S = 3  # between pieces: longer than a series takes to be whole, shorter than QUIET_S
SEED = int(os.environ.get("SEED", "1"))
NUMBERS = iter(range(1001, 2000))
POSITIVE, NEGATIVE, NOTHING = "positive", "negative", "nothing"


class Study:
    """What is sent, in parts, and what is right at the end of the day."""

    def __init__(self, way, bleed=None, says=None, **tags):
        self.way, self.number = way, next(NUMBERS)
        self.head = heads.Head(self.number, bleed=bleed, **tags)
        self.parts = [self.head.slices]  # each is an association of its own, some time after the one before
        self.says = says or (POSITIVE if bleed is not None else NEGATIVE)  # to the record and to the PACS
        self.urgency = "stat" if self.says == POSITIVE else "routine"
        self.on_list, self.flagged, self.reason, self.patients = True, False, None, 1
        self.afterwards = []  # what is done once the model has looked, step by step

    @property
    def uid(self):
        return self.head.study


# ---- the ways


def plain(bleed):
    return Study("plain", bleed)


def late(bleed):
    """The first 36 slices alone show nothing, and are enough for a negative, which is told; hours later the rest comes."""
    study = Study("late", bleed)
    study.parts = [study.head.slices[:36], study.head.slices[36:]]
    return study


def in_pieces(bleed):
    """The same in three associations a few seconds apart: each is looked at, and what is negative in part is never told."""
    study = Study("in pieces", bleed)
    study.parts = [study.head.slices[:36], study.head.slices[36:40], study.head.slices[40:]]
    return study


def sent_twice(bleed):
    study = Study("sent twice", bleed)
    study.parts = [study.head.slices, study.head.slices]
    return study


def doubled(bleed):
    """Each slice a second time under another UID."""
    study = Study("doubled", bleed)
    for slice_ in list(study.head.slices):
        again = heads.copy(slice_)
        again.SOPInstanceUID += ".2"
        study.head.slices.append(again)
    return study


def two_patients(bleed):
    """A wrong pick of the worklist: three slices are another patient's."""
    study = Study("two patients", bleed, says=NOTHING)
    for slice_ in study.head.slices[:3]:
        slice_.PatientID, slice_.PatientName = f"X{study.number}", f"Other^X{study.number}"
    study.flagged, study.patients, study.reason = True, 2, "patients"
    return study


def tilted(bleed):
    """The stack as a whole turned in the scanner by ten degrees: no shear."""
    study = Study("tilted", bleed)
    c, s = 0.984807753, 0.173648178
    for slice_ in study.head.slices:
        x, y, z = map(float, slice_.ImagePositionPatient)
        slice_.ImagePositionPatient = [x, round(y * c - z * s, 6), round(y * s + z * c, 6)]
        slice_.ImageOrientationPatient = [1, 0, 0, 0, c, s]
    return study


def rounded(bleed):
    """Positions to a tenth of a millimetre, orientation with jitter."""
    study = Study("rounded", bleed)
    for k, slice_ in enumerate(study.head.slices):
        slice_.ImagePositionPatient = [round(float(v) + 0.04 * (-1) ** k, 1) for v in slice_.ImagePositionPatient]
        slice_.ImageOrientationPatient = [1, 0.0008 * (-1) ** k, 0, 0, 1, 0]
    return study


def localizer(bleed):
    study = Study("localizer", bleed)
    for i in (1, 2):
        scout = heads.copy(study.head.slices[0])
        scout.SOPInstanceUID, scout.ImageType, scout.InstanceNumber = f"{study.head.series}.9{i}", ["ORIGINAL", "PRIMARY", "LOCALIZER"], i
        scout.ImageOrientationPatient, scout.ImagePositionPatient = [[0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]][i - 1], [0, 0, 100]
        study.head.slices.insert(0, scout)
    return study


def no_numbers(bleed):
    study = Study("no instance numbers", bleed)
    for k, slice_ in enumerate(study.head.slices):
        if study.number % 2:
            del slice_.InstanceNumber
        else:
            slice_.InstanceNumber = 1
    random.Random(study.number).shuffle(study.head.slices)
    return study


def other_part(bleed):
    part, description = [("CHEST", "ahead of schedule"), ("HIP", "femoral head"), ("ABDOMEN", "pancreas head")][next(NUMBERS) % 3]
    study = Study("another part of the body", bleed, says=NOTHING, BodyPartExamined=part, SeriesDescription=description, StudyDescription="CT")
    return study


def by_words(bleed):
    words = ["CCT nativ", "Schaedel", "Schädel nativ", "crâne sans injection", "Kopf"][next(NUMBERS) % 5]
    study = Study("told by words", bleed, SeriesDescription=words, StudyDescription="", SpecificCharacterSet="ISO_IR 192")
    for slice_ in study.head.slices:
        del slice_.BodyPartExamined
    return study


def other_name(bleed):
    return Study("BRAIN or SKULL", bleed, BodyPartExamined=["BRAIN", "SKULL"][next(NUMBERS) % 2])


def contrast(bleed):
    study = Study("contrast given", bleed, says=NOTHING, ContrastBolusAgent="Iomeprol", ContrastBolusRoute="IV")
    study.reason = "contrast"
    return study


def no_contrast(bleed):
    return Study("contrast: none", bleed, ContrastBolusAgent=["NONE", "NO", "N/A", "W/O", "UNKNOWN"][next(NUMBERS) % 5])


def two_phases(bleed):
    """Two volumes at the same places; one of them shows the bleed."""
    study = Study("two phases", bleed)
    second = heads.Head(study.number, series=1)
    for k, slice_ in enumerate(second.slices):
        slice_.SOPInstanceUID += ".2"
        slice_.TemporalPositionIdentifier, slice_.NumberOfTemporalPositions = 2, 2
        study.head.slices[k].TemporalPositionIdentifier, study.head.slices[k].NumberOfTemporalPositions = 1, 2
    study.head.slices += second.slices
    return study


def gap(bleed):
    study = Study("a slice is missing", bleed, says=NOTHING)
    del study.head.slices[12]
    study.reason = "gap"
    return study


def short(bleed):
    """Nothing is found in a part of the head, which is no negative."""
    study = Study("a part of the head", None, says=NOTHING)
    study.head.slices = study.head.slices[:17]
    study.parts = [study.head.slices]
    return study


def rejected(bleed):
    study = Study("rejected", heads.BLEED_SLICE, says=NOTHING)
    study.afterwards = [lambda day: day.judge(study, "rejected")]
    return study


def rejected_and_accepted(bleed):
    study = Study("rejected, then accepted", heads.BLEED_SLICE)
    study.afterwards = [lambda day: day.judge(study, "rejected"), lambda day: day.judge(study, "accepted")]
    return study


def read(bleed):
    """Read, and then a key object of the reader's and our own objects echoed by the PACS: it stays read."""
    study = Study("read", bleed)
    study.on_list = False

    def afterwards(day):
        day.server.mark_read(study.uid)
        day.send([heads.key_object(study.head)])
        day.echo(study)

    study.afterwards = [afterwards]
    return study


def demographics(bleed):
    """The PACS corrects the name and sends all again under the same UIDs: the first stay, and are listed as conflicts."""
    study = Study("demographics corrected", bleed)

    def afterwards(day):
        corrected = [heads.copy(slice_) for slice_ in study.head.slices]
        for slice_ in corrected:
            slice_.OtherPatientIDs = "OLD"
        day.send(corrected)

    study.afterwards = [afterwards]
    return study


def other_pixels(study, bleed):
    """Of the same head, under the same UIDs."""
    return heads.Head(study.number, bleed=heads.BLEED_SLICE if bleed is None else None).slices


def pixels_corrected(bleed):
    """All comes again with other pixels, and a person takes the newer ones: what the model says of them is what is said."""
    study = Study("pixels corrected", bleed, says=NEGATIVE if bleed is not None else POSITIVE)
    study.afterwards = [lambda day: day.send(other_pixels(study, bleed)), lambda day: day.decide(study, "take")]
    return study


def pixels_undecided(bleed):
    """The same, and nobody has decided: what nobody looked at takes a negative back, and no positive."""
    study = Study("other pixels, undecided", bleed, says=NOTHING if bleed is None else POSITIVE)
    study.flagged, study.reason = True, None if bleed is not None else "came again"
    study.afterwards = [lambda day: day.send(other_pixels(study, bleed))]
    return study


# How often; with a bleed in every other one.
WAYS = ((plain, 14), (late, 6), (in_pieces, 4), (sent_twice, 4), (doubled, 5), (two_patients, 5), (tilted, 4), (rounded, 4), (localizer, 5), (no_numbers, 4), (other_part, 6), (by_words, 5), (other_name, 4), (contrast, 4),
        (no_contrast, 5), (two_phases, 4), (gap, 2), (short, 2), (rejected, 2), (rejected_and_accepted, 2), (read, 2), (demographics, 1),
        (pixels_corrected, 4), (pixels_undecided, 2))


def make_day():
    studies = []
    for way, count in WAYS:
        for i in range(count):
            bleed = (None if i % 2 else 44 if way in (late, in_pieces) else heads.BLEED_SLICE)
            studies.append(way(bleed))
    random.Random(SEED).shuffle(studies)
    return studies


# ---- what people see


def of_record(messages):
    """What a RIS holds after all messages in the order they came, by accession number: each observation as it was said last, and no more when it was taken back."""
    held = {}
    for text in messages:
        message = hl7.parse(text)
        request = message.segment("OBR")
        observations = held.setdefault((str(request[18]), str(request[3])), {})
        for segment in message.segments("OBX"):
            key = (str(segment[3][0][0] if isinstance(segment[3][0], list) else segment[3]).split("^")[0], str(segment[4]))
            if str(segment[11]) in ("D", "W"):
                observations.pop(key, None)
            else:
                observations[key] = str(segment[5])
    says = {}
    for (accession, _), observations in held.items():
        if any(item.startswith("121071") for item, _ in observations):
            word = POSITIVE
        elif any("othing was found" in value for value in observations.values()):
            word = NEGATIVE
        else:
            word = NOTHING
        if says.get(accession, NOTHING) != POSITIVE:
            says[accession] = word if word != NOTHING else says.get(accession, NOTHING)
    return says


def report_says(dataset):
    text = str(dataset)
    return POSITIVE if "Measurement Group" in text and "Intracranial hemorrhage" in text and "Referenced Segment" in text else NEGATIVE if "Not detected" in text else NOTHING


def of_pacs(pacs):
    """What a PACS shows: the reports that no rejection note rejects and no later report takes the place of, by study."""
    reports, gone = {}, set()
    for name in pacs.get_json("/instances"):
        tags = pacs.get_json(f"/instances/{name}/simplified-tags")
        if tags.get("Modality") not in ("SR", "KO") or tags.get("Manufacturer") != "Hilum":
            continue
        dataset = pydicom.dcmread(io.BytesIO(pacs.get(f"/instances/{name}/file")))
        if dataset.Modality == "KO":
            for study in dataset.CurrentRequestedProcedureEvidenceSequence:
                gone |= {item.ReferencedSOPInstanceUID for series in study.ReferencedSeriesSequence for item in series.ReferencedSOPSequence}
        else:
            reports[dataset.SOPInstanceUID] = dataset
            for study in dataset.get("PredecessorDocumentsSequence", []):
                gone |= {item.ReferencedSOPInstanceUID for series in study.ReferencedSeriesSequence for item in series.ReferencedSOPSequence}
    says = {}
    for uid, dataset in reports.items():
        if uid not in gone and says.get(dataset.StudyInstanceUID) != POSITIVE:
            says[dataset.StudyInstanceUID] = report_says(dataset)
    return says


class Day:
    def __init__(self, server, pacs, ris, folder):
        self.server, self.pacs, self.ris, self.folder = server, pacs, ris, folder
        self.sent = 0

    def send(self, slices):
        self.sent += 1
        folder = os.path.join(self.folder, f"{self.sent}")
        for i, one in enumerate(slices):
            one.file_meta.MediaStorageSOPInstanceUID, one.file_meta.MediaStorageSOPClassUID = one.SOPInstanceUID, one.SOPClassUID
        os.makedirs(folder)
        for i, one in enumerate(slices):
            one.save_as(os.path.join(folder, f"{i:04d}"))
        self.server.storescu("+sd", folder, aet="CT1")
        shutil.rmtree(folder)

    def judge(self, study, state):
        for finding in self.server.get_json(f"/api/studies/{study.uid}/findings"):
            self.server.put_json(f"/api/findings/{finding['id']}/judge", {"state": state, "by": "Reader"}, "POST")

    def decide(self, study, word):
        for conflict in self.server.get_json(f"/api/conflicts?study={study.uid}"):
            self.server.put_json(f"/api/conflicts/{conflict['id']}/{word}", {"by": "Reader"}, "POST")

    def echo(self, study):
        """The PACS sends what it has of the study back."""
        folder = tempfile.mkdtemp(dir=self.folder)
        for name in self.pacs.get_json("/instances"):
            if self.pacs.get_json(f"/instances/{name}/simplified-tags")["StudyInstanceUID"] == study.uid:
                with open(os.path.join(folder, name), "wb") as f:
                    f.write(self.pacs.get(f"/instances/{name}/file"))
        if os.listdir(folder):
            self.server.storescu("+sd", folder, aet="ORTHANC", options=["-xi", "-R"])

    def settle(self, seconds=60):
        """Until nothing happens any more: no job, no negative that waits, no delivery under way."""
        def quiet():
            if any(job["state"] in ("queued", "running") for job in self.server.get_json("/api/jobs")):
                return False
            if self.server.get_json("/api/deliveries?state=waiting") or self.server.get_json("/api/deliveries?state=sending"):
                return False
            metrics = self.server.request("/metrics")[2].decode()
            last = [line for line in metrics.splitlines() if line.startswith("hilum_event_last ")]
            if last != self.last:
                self.last, self.since = last, time.monotonic()
            return time.monotonic() - self.since > QUIET_S + 2.5  # association's quiet time, and the negative's
        self.last, self.since = None, time.monotonic()
        wait_until(quiet, seconds, "a quiet server", step=0.2)


class TheDay(unittest.TestCase):
    def test_everybody_sees_what_is_right_at_the_end_of_the_day(self):
        studies = make_day()
        self.assertEqual(len(studies), 100)
        ris = Listener(manners=["silent", "AE", "late", "AE", "AR"])
        folder = tempfile.mkdtemp(prefix="hilum-day-")
        self.addCleanup(shutil.rmtree, folder)
        self.addCleanup(ris.stop)
        with Hilum(config=f"flow:\n  negative_quiet_s: {QUIET_S}\n") as server, Orthanc() as pacs:
            day = Day(server, pacs, ris, folder)
            server.put_json("/api/peers/pacs", {"title": pacs.title, "host": "127.0.0.1", "port": pacs.dicom, "rights": ["target", "store"], "plain": "accepted"})
            server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": ris.port, "application": "RIS", "facility": "TEST"})
            rule = {key: value for key, value in server.get_json("/api/rules")[0].items() if key != "version"}
            server.put_json(f"/api/rules/{rule['name']}", dict(rule, send_to=["pacs"], hl7_to=["ris"]))
            # The parts of all studies, those of one study in their order, mixed; the PACS is away in the middle of it.
            parts = [(study, i) for study in studies if study.way != "in pieces" for i in range(len(study.parts))]
            parts.sort(key=lambda part: (part[1], 0))
            for n, (study, i) in enumerate(parts):
                if n == 30:
                    pacs.stop()
                if n == 60:
                    pacs.start()
                    server.put_json("/api/peers/pacs", {"title": pacs.title, "host": "127.0.0.1", "port": pacs.dicom, "rights": ["target", "store"], "plain": "accepted"})
                if i == 1 and parts[n - 1][1] == 0:
                    day.settle(90)  # the first parts have been looked at, and something was said of them
                day.send(study.parts[i])
            pieces = [study for study in studies if study.way == "in pieces"]
            for i in range(3):
                for study in pieces:
                    day.send(study.parts[i])
                time.sleep(PIECES_S)
            day.settle(90)
            for step in range(max(len(study.afterwards) for study in studies)):
                for study in studies:
                    for action in study.afterwards[step : step + 1]:
                        action(day)
                day.settle(90)
            self.compare(day, studies)

    def compare(self, day, studies):
        listed = {item["study"]: item for item in day.server.get_json("/api/worklist")}
        record = of_record([text for texts in day.ris.in_order for text in [texts]])
        shown = of_pacs(day.pacs)
        wrong = []
        for study in studies:
            item = listed.get(study.uid)
            jobs = day.server.get_json(f"/api/jobs?study={study.uid}")
            seen = {
                "on the list": item is not None,
                "urgency": item["urgency"] if item else study.urgency,
                "flagged": bool(item and item.get("flags")),
                "record": record.get(f"A{study.number}", NOTHING),
                "PACS": shown.get(study.uid, NOTHING),
                "patients": len(day.server.get_json(f"/dicom-web/studies?StudyInstanceUID={study.uid}")),
            }
            right = {"on the list": study.on_list, "urgency": study.urgency, "flagged": study.flagged, "record": study.says, "PACS": study.says, "patients": study.patients}
            for what, value in right.items():
                if seen[what] != value:
                    wrong.append(f"{study.way}, {study.says}: {what} is {seen[what]}, {value} is right; jobs: {[(job['state'], job['outcome'], job['reason']) for job in jobs]}")
            if study.reason and not any(study.reason in job["reason"] for job in jobs):
                wrong.append(f"{study.way}: no job says '{study.reason}': {[job['reason'] for job in jobs]}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        # Nobody was ever told that a study shows nothing which showed something as a whole.
        for study in studies:
            if study.way == "in pieces" and study.says == POSITIVE:
                said = [text for text in day.ris.in_order if f"|A{study.number}|" in text and "othing was found" in text]
                self.assertEqual(said, [], study.way)


if __name__ == "__main__":
    unittest.main()
