#!/usr/bin/python3
"""The whole way, once: a head CT from a scanner's C-STORE to a flag on the reading list and a result in PACS and record. `make demo` runs it and goes on serving until Ctrl-C; --once ends.

Real input: the human head CT of Debian's invesalius-examples, made into a valid series by tools/head-ct; and the same head with a SYNTHETIC bleed. What is asserted is asserted from outside: DCMTK, dciodvfy, pydicom, python3-hl7 and Orthanc's REST.
"""

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "outside"))
import hl7
import pydicom
from harness import Hilum, Orthanc, multipart, wait_until
from hl7_listener import Listener

BLEED_SEED = 5
STEPS = 9


class Demo:
    def __init__(self):
        self.step_number = 0
        self.times = []
        self.started = time.monotonic()

    def step(self, what):
        now = time.monotonic()
        if self.step_number:
            self.times[-1] = (self.times[-1][0], now - self.times[-1][1])
        self.step_number += 1
        self.times.append((what, now))
        filled = "#" * (self.step_number * 30 // STEPS)
        print(f"\n[{filled:<30}] {self.step_number}/{STEPS} {what}", flush=True)

    def end(self):
        self.times[-1] = (self.times[-1][0], time.monotonic() - self.times[-1][1])


def say(*words):
    print("   ", *words, flush=True)


def check(condition, what):
    if not condition:
        raise AssertionError(what)
    say(f"seen: {what}")


def show_list(server):
    items = server.get_json("/api/worklist")
    for place, item in enumerate(items, 1):
        say(f"{place}. {item['urgency']:<8} {item['patientName']:<24} {item['modality']:<12} {item['reason']}")
    return items


def get_object(server, instance):
    row = server.get_json(f"/dicom-web/instances?SOPInstanceUID={instance}")[0]
    path = "/dicom-web/studies/{}/series/{}/instances/{}".format(*(row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")))
    _, headers, body = server.request(path, headers={"Accept": 'multipart/related; type="application/dicom"'})
    return multipart(headers, body)[0][1]


def dciodvfy(raw):
    """Its complaints: errors only."""
    with tempfile.NamedTemporaryFile(suffix=".dcm") as f:
        f.write(raw)
        f.flush()
        result = subprocess.run(["dciodvfy", f.name], capture_output=True, text=True)
    return [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("Error")]


def make_heads(folder):
    subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder, "--bleed-seed", str(BLEED_SEED)], check=True, stdout=subprocess.DEVNULL)
    bleed = os.path.join(folder, f"bleed-{BLEED_SEED:04d}")
    with open(bleed + ".truth.json", encoding="utf-8") as f:
        return os.path.join(folder, "head"), bleed, json.load(f)


def files_of(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


def run(demo, server, pacs, listener, folder):
    demo.step("make the input: a real head CT, and the same head with a synthetic bleed")
    head, bleed, truth = make_heads(folder)
    say(f"108 slices each; SYNTHETIC bleed: {truth['side']}, {truth['volume_ml']:.1f} mL")

    demo.step("enter a PACS that is down, an HL7 receiver that is moody, and a rule that names both")
    server.put_json("/api/peers/pacs", {"title": pacs.title, "host": "127.0.0.1", "port": pacs.dicom, "rights": ["target"], "plain": "accepted"})
    server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": listener.port, "application": "RIS", "facility": "TEST"})
    rules = server.get_json("/api/rules")
    check(len(rules) == 1 and rules[0]["enabled"], "a fresh data folder has the model's rule, active: " + rules[0]["name"])
    rule = {key: value for key, value in rules[0].items() if key != "version"}
    server.put_json(f"/api/rules/{rule['name']}", dict(rule, send_to=["pacs"], hl7_to=["ris"]))

    demo.step("send the head with DCMTK's storescu, the one with the bleed with hilum send")
    server.storescu(*files_of(head))
    sent = server.command("send", f"127.0.0.1:{server.dicom}", bleed, "--aec", "HILUM")
    last_slice = time.monotonic()
    say(sent.stdout.strip())
    wait_until(lambda: len(server.get_json("/api/worklist")) == 2, 5, "both studies on the list")
    say("reading list before the model has looked:")
    show_list(server)

    demo.step("the series are seen to be whole, the rule makes jobs, the model runs in its sandbox")
    wait_until(lambda: [item for item in server.get_json("/api/worklist") if item["urgency"] == "stat"], 30, "the flag")
    flag = time.monotonic() - last_slice
    say(f"last slice to flag: {flag:.1f} s")
    check(flag <= 10, "the flag within 10 s")
    jobs = wait_until(lambda: (lambda all_jobs: all_jobs if len(all_jobs) == 2 and all(job["state"] == "done" for job in all_jobs) else None)(server.get_json("/api/jobs")), 30, "both jobs")
    for job in jobs:
        times = job["result"]["times_ms"]
        say(f"{job['model']}: {job['outcome']}; ms per stage: " + ", ".join(f"{name} {value:.0f}" for name, value in times.items()))
    warm = min(sum(value for name, value in job["result"]["times_ms"].items() if name not in ("graph", "start")) for job in jobs)
    check(warm <= 1000, f"all that is not ONNX Runtime's own time within 1 s ({warm:.0f} ms)")

    demo.step("reading list after")
    items = show_list(server)
    check(items[0]["study"] == truth["study"], "the study with the bleed is first")
    findings = server.get_json(f"/api/studies/{truth['study']}/findings")
    check(len(findings) == 1 and findings[0]["side"] == truth["side"], f"one finding, {truth['side']}")
    check(abs(findings[0]["volumeMl"] - truth["volume_ml"]) <= 0.25 * truth["volume_ml"], f"its volume within 25 %: {findings[0]['volumeMl']:.1f} mL")
    check("research" in findings[0]["label"], "labelled: " + findings[0]["label"])
    other = next(job for job in jobs if job["study"] != truth["study"])
    check(other["outcome"] == "negative", "nothing found in the head as it is")

    demo.step("the objects made: a segmentation and a structured report")
    seg, sr = get_object(server, findings[0]["seg"]), get_object(server, findings[0]["sr"])
    for name, raw in (("SEG", seg), ("SR", sr)):
        errors = dciodvfy(raw)
        check(not errors, f"dciodvfy finds no error in the {name}" + (": " + "; ".join(errors[:3]) if errors else ""))
    dataset, report = pydicom.dcmread(io.BytesIO(seg)), pydicom.dcmread(io.BytesIO(sr))
    for name, raw, made in (("SEG", seg, dataset), ("SR", sr, report)):
        say(f"{name} {made.SOPInstanceUID}: {made.SeriesDescription}, {len(raw)} bytes" + (f", {made.NumberOfFrames} frames" if name == "SEG" else ""))
    source = pydicom.dcmread(files_of(bleed)[0])
    shared = dataset.SharedFunctionalGroupsSequence[0]
    check(dataset.Modality == "SEG" and dataset.StudyInstanceUID == truth["study"], "pydicom reads the SEG, in the same study")
    check(list(shared.PixelMeasuresSequence[0].PixelSpacing) == list(source.PixelSpacing) and dataset.Rows == source.Rows, "its geometry is the source's")
    check(report.Modality == "SR", "pydicom reads the SR")

    demo.step("the PACS comes up: the outbox delivers")
    waiting = server.get_json("/api/deliveries?state=waiting")
    say(f"{len(waiting)} deliveries wait")
    pacs.start()
    told = wait_until(lambda: (lambda all_results: all_results if all(result["told"] for result in all_results) else None)([result for study in (truth["study"], other["study"]) for result in server.get_json(f"/api/studies/{study}/results")]), 30, "the negative is told: its study is quiet")
    wanted = {findings[0]["seg"], *(result["sr"] for result in told)}

    def arrived():
        got = [pacs.get_json(f"/instances/{name}/simplified-tags")["SOPInstanceUID"] for name in pacs.get_json("/instances")]
        return got if set(got) >= wanted else None

    got = wait_until(arrived, 90, "the objects in Orthanc", step=0.3)
    check(sorted(got) == sorted(wanted), "Orthanc lists each object exactly once")

    demo.step("the record: HL7 and FHIR")
    wait_until(lambda: len(listener.accepted) == 2, 90, "the HL7 messages", step=0.3)
    say("the receiver was", ", ".join(manner for manner, _ in listener.tries))
    check(all(len(messages) == 1 for messages in listener.accepted.values()), "it has each message once")
    message = next(text for messages in listener.accepted.values() for text in messages if truth["study"] in text and "|A" in text)
    parsed = hl7.parse(message)
    check(str(parsed.segment("MSH")[9]).startswith("ORU^R01"), "python3-hl7 reads an ORU^R01")
    for line in message.strip().split("\r"):
        say(line[:150])
    bundle = json.loads(server.request(f"/fhir/DiagnosticReport?study={truth['study']}")[2])
    report = bundle["entry"][0]["resource"]
    check(report["resourceType"] == "DiagnosticReport" and report["status"] in ("preliminary", "registered"), "FHIR DiagnosticReport, " + report["status"])

    demo.step("nothing waits")
    wait_until(lambda: not server.get_json("/api/deliveries?state=waiting") and not server.get_json("/api/deliveries?state=sending"), 30, "an empty outbox")
    demo.end()


def stop(number, _frame):
    """However it is told to end, what it started ends with it: an ordinary exit runs every `finally`. Once is enough."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise SystemExit(128 + number)


def show(demo, server, pacs, listener, folder, once):
    """The exit status."""
    served = False
    try:
        run(demo, server, pacs, listener, folder)
        print("\nTimes:")
        for what, seconds in demo.times:
            say(f"{seconds:6.1f} s  {what}")
        print(f"\nAll {STEPS} steps seen. The page: {server.url('/')}", flush=True)
        if not once:
            served = True
            print("Serving until Ctrl-C.", flush=True)
            server.process.wait()
            raise AssertionError(f"the server ended by itself, with status {server.process.returncode}")
    except SystemExit as asked:
        print("\nStopped.")
        return 0 if served else asked.code
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    demo = Demo()
    folder = tempfile.mkdtemp(prefix="hilum-demo-")
    pacs, listener = Orthanc(), Listener()
    try:
        with Hilum(data=os.path.join(folder, "data"), config="flow:\n  negative_quiet_s: 2\n") as server:
            status = show(demo, server, pacs, listener, folder, arguments.once)
    except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        status = f"\ndemo: step {demo.step_number} of {STEPS} failed: {error}"
    finally:
        pacs.__exit__()
        listener.stop()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
