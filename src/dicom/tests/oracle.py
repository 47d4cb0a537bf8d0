#!/usr/bin/python3
"""Compares the DICOM JSON of `test_dicom json FILE` with pydicom's, element by element, over pydicom's own test files.

Usage: oracle.py TEST_DICOM [-v]

Exit status 0 when every difference is explained by expected() and every refusal by REFUSED. pydicom is Debian's
(2.3); the files are those it installs.
"""

import base64
import json
import math
import os
import subprocess
import sys
import warnings

import pydicom
import pydicom.data
import pydicom.filewriter

warnings.simplefilter("ignore")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

NO_DICOM = (".txt", ".py", ".pyc", ".json", ".dump", ".gz", "README")
SPACES = " \0"
KEEP_LEADING = {"LT", "ST", "UT", "UC", "UR"}


# Files that break PS3.5 or PS3.10, which pydicom reads leniently.
REFUSED = {
    "MR_truncated.dcm": "is cut off",
    "rtplan_truncated.dcm": "is cut off",
    "SC_rgb_jpeg.dcm": "has no VR",  # JPEG baseline, but the data set is in implicit VR
    "DICOMDIR-nooffset": "more than what encloses it",  # an item longer than its sequence
    "no_meta.dcm": "no DICOM",  # a stray byte before the data set: pydicom reads nonsense
}


def expected(path, mine, theirs):
    """Why the standard is with us in a difference; None when it is not known to be."""
    if isinstance(theirs, ValueError) and mine["vr"] == "IS":
        return "an IS that is no number is given as text (PS3.18 F.2.3); pydicom gives up"
    if mine is None or theirs is None or isinstance(theirs, Exception):
        return None
    if mine["vr"] == "UN" and int(path.split(".")[-1][:4], 16) % 2 == 1:
        return "a private element in implicit VR has no known VR (PS3.5 6.2.2); pydicom has a list of vendors' tags"
    if mine["vr"] == "OW" == theirs["vr"]:
        a, b = (base64.b64decode(side["InlineBinary"]) for side in (mine, theirs))
        if a[0::2] == b[1::2] and a[1::2] == b[0::2]:
            return "inline words are little-endian (PS3.18 F.2.7); pydicom leaves them big-endian"
    return None


def files():
    root = os.path.dirname(pydicom.data.__file__)
    for folder in ("test_files", "charset_files"):
        for path, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if not name.endswith(NO_DICOM):
                    yield os.path.join(path, name)


def ours(program, path):
    """(json, message)"""
    run = subprocess.run([program, "json", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if run.returncode < 0:
        sys.exit("%s: ended by signal %d" % (path, -run.returncode))
    return (json.loads(run.stdout), None) if run.returncode == 0 else (None, run.stderr.decode().strip())


def elements(dataset):
    """Each element of pydicom's as (key, JSON or the exception with which pydicom fails)."""
    for tag in sorted(dataset.keys()):
        if tag.element == 0 or tag == 0xFFFCFFFC:
            continue
        try:
            element = dataset[tag]
            if not element.VR == "SQ":
                pydicom.filewriter.correct_ambiguous_vr_element(element, dataset, True)
            if element.VR == "SQ":
                yield "%08X" % tag, {"vr": "SQ", "items": [dict(elements(item)) for item in element.value]}
            elif tag == 0x7FE00010 and element.is_undefined_length:
                yield "%08X" % tag, {"vr": element.VR}
            else:
                yield "%08X" % tag, element.to_json_dict(None, 1 << 40)
        except Exception as fault:  # whatever pydicom raises is its answer
            yield "%08X" % tag, fault


def same_value(vr, mine, theirs):
    if isinstance(theirs, (int, float)) and not isinstance(mine, str) and mine is not None:
        return mine == theirs or (math.isnan(mine) and math.isnan(theirs))
    if isinstance(mine, str) and isinstance(theirs, str):
        strip = str.rstrip if vr in KEEP_LEADING else str.strip
        return strip(mine, SPACES) == strip(theirs, SPACES)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return {k: v.strip(SPACES) for k, v in mine.items() if v.strip(SPACES)} == \
               {k: v.strip(SPACES) for k, v in theirs.items() if v.strip(SPACES)}
    # An empty value among several
    return (mine is None and theirs in ("", {}, {"Alphabetic": ""})) or mine == theirs


class Result:
    def __init__(self):
        self.same = 0
        self.differences = []  # (file, path, mine, theirs)


def compare_element(result, name, path, mine, theirs):
    if isinstance(theirs, Exception) or mine is None or mine["vr"] != theirs["vr"]:
        result.differences.append((name, path, mine, theirs))
    elif mine["vr"] == "SQ":
        compare_items(result, name, path, mine, theirs)
    elif "InlineBinary" in theirs or "InlineBinary" in mine:
        binary = [base64.b64decode(side.get("InlineBinary") or "") for side in (mine, theirs)]
        count(result, binary[0] == binary[1], name, path, mine, theirs)
    else:
        a, b = mine.get("Value", []), theirs.get("Value", [])
        b = [] if b in ([""], [None]) else b
        same = len(a) == len(b) and all(same_value(mine["vr"], x, y) for x, y in zip(a, b))
        count(result, same, name, path, mine, theirs)


def count(result, same, name, path, mine, theirs):
    if same:
        result.same += 1
    else:
        result.differences.append((name, path, mine, theirs))


def compare_items(result, name, path, mine, theirs):
    items = mine.get("Value", [])
    count(result, len(items) == len(theirs["items"]), name, path, mine, theirs)
    for i, (a, b) in enumerate(zip(items, theirs["items"])):
        compare_dataset(result, name, "%s[%d]." % (path, i), a, b)


def compare_dataset(result, name, prefix, mine, theirs):
    for key in sorted(set(mine) | set(theirs)):
        if key not in theirs:
            result.differences.append((name, prefix + key, mine[key], None))
        else:
            compare_element(result, name, prefix + key, mine.get(key), theirs[key])


def main():
    program, verbose = sys.argv[1], "-v" in sys.argv
    result, refused, read = Result(), [], 0
    for path in files():
        name = os.path.basename(path)
        mine, message = ours(program, path)
        if mine is None:
            refused.append((name, message))
            continue
        read += 1
        compare_dataset(result, name, "", mine, dict(elements(pydicom.dcmread(path, force=True))))
    wrong = 0
    for name, message in refused:
        explained = REFUSED.get(name, "?") in message
        wrong += not explained
        if verbose or not explained:
            print("refused: %s" % message)
    for name, path, ours_, theirs in result.differences:
        reason = expected(path, ours_, theirs)
        wrong += reason is None
        if verbose or reason is None:
            print("differs: %s %s: %s\n    ours    %.300s\n    pydicom %.300r" %
                  (name, path, reason or "?", json.dumps(ours_), theirs))
    print("%d files, %d more refused; %d elements equal, %d differ; %d unexplained" %
          (read, len(refused), result.same, len(result.differences), wrong))
    sys.exit(wrong > 0 or read < 160 or result.same < 13000)


if __name__ == "__main__":
    main()
