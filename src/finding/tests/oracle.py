#!/usr/bin/python3
"""Judges what the room makes, with pydicom and python3-hl7, and makes one of its inputs.

    oracle.py oblique OUT_DIR                  five slices of 37 x 29, tilted, with names in Latin-1, JIS and three groups
    oracle.py seg FILE SOURCE_DIR LABELS       geometry, references and voxels against the source images and the label map
    oracle.py again FILE FILE                  the second is the first under other UIDs, all else the same
    oracle.py sr FILE SOURCE_DIR [SEG_FILE]    the tree of TID 1500; with the SEG it refers to, or without findings
    oracle.py standing FILE SEGMENT...         only these segments' findings; what it takes the place of is printed
    oracle.py rejection FILE TITLE UID...      a key object note that rejects these instances
    oracle.py values FILE NAME...              prints them as NAME=VALUE; the content's time is when it was made
    oracle.py oru FILE                         prints SEGMENT-FIELD.COMPONENT lines
"""

import glob
import os
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

LABEL = "research use only"


def check(true, what):
    if not true:
        sys.exit("not so: " + what)


def near(a, b, what, tolerance=1e-6):
    check(np.allclose(np.array(a, float), np.array(b, float), rtol=0, atol=tolerance), "%s: %s is %s" % (what, a, b))


def oblique(folder):
    os.makedirs(folder, exist_ok=True)
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    row = np.array([c, s, 0])
    column = np.array([-s * c, c * c, s])
    normal = np.cross(row, column)
    for k in range(5):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = "1.2.3.4.%d" % (k + 1)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        ds.is_little_endian, ds.is_implicit_VR = True, False
        ds.SpecificCharacterSet = ["ISO 2022 IR 100", "ISO 2022 IR 87"]
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20120914", "151208", "A\u00e4"
        ds.TimezoneOffsetFromUTC = "+0200"
        ds.Modality, ds.ReferringPhysicianName = "CT", "Gr\u00fcn^Ren\u00e9"
        ds.StudyDescription = "Sch\u00e4del"
        ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = "M\u00fcller^J\u00f6rg=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046", "17", "Spital"
        ds.PatientBirthDate, ds.PatientSex = "19501231", "M"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.3.4", "1.2.3.5"
        ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "S", "3", str(k)
        ds.PositionReferenceIndicator = ""
        ds.LossyImageCompression = "01"
        ds.LossyImageCompressionRatio, ds.LossyImageCompressionMethod = "10", "ISO_10918_1"
        ds.ImageOrientationPatient = ["%.9f" % x for x in [*row, *column]]
        ds.ImagePositionPatient = ["%.9f" % x for x in np.array([10.5, -20.25, 30]) + 2.5 * k * normal + 0.05 * k * row]
        ds.SliceThickness, ds.PixelSpacing = "2", ["0.8", "0.7"]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = 37, 29
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
        ds.PixelData = bytes(37 * 29 * 2)
        ds["PixelData"].VR = "OW"
        ds.save_as(os.path.join(folder, "%d.dcm" % k), write_like_original=False)


def read_sources(folder):
    sources = [pydicom.dcmread(path) for path in glob.glob(os.path.join(folder, "*.dcm"))]
    return {str(ds.SOPInstanceUID): ds for ds in sources}


MADE = datetime(2012, 9, 14, 15, 12, 8, 123456, tzinfo=timezone.utc)


def told_zone(text):
    return timezone(timedelta(hours=int(text[:3]), minutes=int(text[0] + text[3:]))) if text else None


# Of this machine (TZ), when its clocks showed the study's time.
def local_zone(ds):
    at = datetime.strptime(ds.StudyDate + (ds.StudyTime or "000000")[:6], "%Y%m%d%H%M%S")
    return timezone(at.replace(tzinfo=ZoneInfo(os.environ["TZ"])).utcoffset())


def instant(ds, name):
    text = ds[name + "Date"].value + ds[name + "Time"].value
    return datetime.strptime(text, "%Y%m%d%H%M%S.%f" if "." in text else "%Y%m%d%H%M%S").replace(tzinfo=told_zone(ds.TimezoneOffsetFromUTC))


# What is taken over, and when it was made, as UTC.
def values(path, *names):
    ds = pydicom.dcmread(path)
    check(instant(ds, "Content") == instant(ds, "Series") == MADE, "the content's time is its instant in the zone")
    print(" ".join("%s=%s" % (name, ds[name].value) for name in names))


def check_taken_over(ds, source):
    for name in ("StudyInstanceUID StudyDate StudyTime AccessionNumber ReferringPhysicianName PatientName PatientID"
                 " IssuerOfPatientID PatientBirthDate PatientSex StudyDescription StudyID").split():
        check(str(ds.get(name, "")) == str(source.get(name, "")), "%s: %s is %s" % (name, ds.get(name), source.get(name)))
    check(ds.SpecificCharacterSet == "ISO_IR 192", "UTF-8")
    check(LABEL in ds.SeriesDescription, "the label is in the series description")
    check(ds.SeriesInstanceUID != source.SeriesInstanceUID, "a series of its own")
    zone = told_zone(source.get("TimezoneOffsetFromUTC")) or local_zone(source)
    check(told_zone(ds.TimezoneOffsetFromUTC) == zone, "the zone " + ds.TimezoneOffsetFromUTC)
    check(instant(ds, "Content") == instant(ds, "Series") == MADE, "the content's time is its instant in the zone")


def seg(path, folder, labels_path):
    sources = read_sources(folder)
    ds = pydicom.dcmread(path)
    any_source = next(iter(sources.values()))
    check_taken_over(ds, any_source)
    check(LABEL in ds.ContentDescription, "the label is in the content description")
    check(ds.FrameOfReferenceUID == any_source.FrameOfReferenceUID, "one frame of reference")
    check((ds.Rows, ds.Columns) == (any_source.Rows, any_source.Columns), "the size")
    check(ds.LossyImageCompression == any_source.get("LossyImageCompression", "00"), "lossy as the source")
    shared = ds.SharedFunctionalGroupsSequence[0]
    near(shared.PlaneOrientationSequence[0].ImageOrientationPatient, any_source.ImageOrientationPatient, "orientation")
    near(shared.PixelMeasuresSequence[0].PixelSpacing, any_source.PixelSpacing, "pixel spacing")
    near(shared.PixelMeasuresSequence[0].SliceThickness, any_source.SliceThickness, "thickness")
    referenced = ds.ReferencedSeriesSequence[0]
    check(referenced.SeriesInstanceUID == any_source.SeriesInstanceUID, "the referenced series")
    order = [str(item.ReferencedSOPInstanceUID) for item in referenced.ReferencedInstanceSequence]
    volume = np.fromfile(labels_path, "<u2").reshape(len(order), ds.Rows, ds.Columns)
    # pydicom 2.3 takes frames apart at any bit.
    frames = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    again = np.zeros_like(volume)
    orientation = np.array(any_source.ImageOrientationPatient, float)
    normal = np.cross(orientation[:3], orientation[3:])
    before = None
    for frame, groups in zip(frames, ds.PerFrameFunctionalGroupsSequence):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        source = sources[str(image.ReferencedSOPInstanceUID)]
        check(image.ReferencedSOPClassUID == source.SOPClassUID, "the source's class")
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        near(position, source.ImagePositionPatient, "position", 1e-6)
        check(frame.any(), "no frame is empty")
        again[order.index(str(source.SOPInstanceUID))][frame > 0] = number
        index = list(groups.FrameContentSequence[0].DimensionIndexValues)
        here = (number, float(np.dot(normal, np.array(position, float))))
        check(index[0] == number, "the dimension index of the segment")
        check(before is None or (before[0] < here and before[1] < index), "frames and indices rise together")
        before = here, index
    check(len(frames) == len(ds.PerFrameFunctionalGroupsSequence) == ds.NumberOfFrames, "the number of frames")
    check((again == volume).all(), "the voxels")
    places = sorted(float(np.dot(normal, np.array(s.ImagePositionPatient, float))) for s in sources.values())
    near(np.diff(places), [shared.PixelMeasuresSequence[0].SpacingBetweenSlices] * (len(places) - 1), "the spacing between slices", 1e-5)
    for i, segment in enumerate(ds.SegmentSequence):
        check(segment.SegmentNumber == i + 1, "segments count from 1")
        check(segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "1386000", "what it is")
        check(segment.SegmentAlgorithmName == "head-ct-hyperdense", "which algorithm")
        check(segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.0.0", "which version")
        check(len(segment.RecommendedDisplayCIELabValue) == 3 and segment.TrackingUID, "colour and tracking")
    pixels = len(ds.PixelData)
    check(pixels == (len(frames) * ds.Rows * ds.Columns + 7) // 8 + (pixels_pad(ds, frames)), "bits follow each other")


def pixels_pad(ds, frames):
    return (len(frames) * ds.Rows * ds.Columns + 7) // 8 % 2


def again(path, other_path):
    before, after = pydicom.dcmread(path), pydicom.dcmread(other_path)
    renewed = "SOPInstanceUID SeriesInstanceUID SeriesNumber SeriesTime ContentTime".split()
    for name in renewed:
        check(before[name].value != after[name].value, "another " + name)
        del before[name], after[name]
    for name in "SeriesDate ContentDate".split():
        del before[name], after[name]
    check(before.PixelData == after.PixelData, "the same pixels")
    check(before == after, "all else is the same")


def meaning(item):
    return item.ConceptNameCodeSequence[0].CodeValue if "ConceptNameCodeSequence" in item else ""


def find(item, code):
    return [child for child in item.get("ContentSequence", []) if meaning(child) == code]


def one(item, code):
    found = find(item, code)
    check(len(found) == 1, "one content item %s" % code)
    return found[0]


def check_group(group, number, seg_ds, source):
    segment = seg_ds.SegmentSequence[number - 1]
    check(one(group, "112039").TextValue == segment.TrackingID, "tracking identifier as in the segment")
    check(one(group, "112040").UID == segment.TrackingUID, "tracking UID as in the segment")
    check(one(group, "121071").ConceptCodeSequence[0].CodeValue == "1386000", "the finding")
    site = one(group, "363698007")
    check(site.ConceptCodeSequence[0].CodeValue == "12738006", "the site")
    region = segment.AnatomicRegionSequence[0]
    sides = [child.ConceptCodeSequence[0].CodeValue for child in find(site, "272741003")]
    check(sides == [c.CodeValue for c in region.get("AnatomicRegionModifierSequence", [])], "the side")
    reference = one(group, "121191").ReferencedSOPSequence[0]
    check(reference.ReferencedSOPInstanceUID == seg_ds.SOPInstanceUID, "the referenced segmentation")
    check(reference.ReferencedSegmentNumber == number, "the referenced segment")
    check(one(group, "121232").UID == source.SeriesInstanceUID, "the source series")
    volume = one(group, "118565006").MeasuredValueSequence[0]
    check(volume.MeasurementUnitsCodeSequence[0].CodeValue == "mL", "millilitres")
    shared = seg_ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    voxel = float(shared.PixelSpacing[0]) * float(shared.PixelSpacing[1]) * float(shared.SpacingBetweenSlices) / 1000
    numbers = [f.SegmentIdentificationSequence[0].ReferencedSegmentNumber for f in seg_ds.PerFrameFunctionalGroupsSequence]
    voxels = seg_ds.pixel_array.reshape(len(numbers), -1)[np.array(numbers) == number].sum()
    near(volume.NumericValue, voxels * voxel, "volume", 6e-4)
    score = one(group, "111012").MeasuredValueSequence[0]
    near(score.NumericValue, {1: 91, 2: 50}[number], "certainty")
    check(LABEL in one(group, "121106").TextValue, "the label")


def sr(path, folder, seg_path=None):
    sources = read_sources(folder)
    ds = pydicom.dcmread(path)
    source = next(iter(sources.values()))
    check_taken_over(ds, source)
    check(meaning(ds) == "126000" and ds.ContentTemplateSequence[0].TemplateIdentifier == "1500", "TID 1500")
    check(one(ds, "121005").ConceptCodeSequence[0].CodeValue == "121007", "a device observes")
    one(ds, "121058")
    looked_at(ds)
    library = one(one(ds, "111028"), "126200")
    used = [str(c.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for c in library.ContentSequence if c.ValueType == "IMAGE"]
    evidence = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    check(used == [str(r.ReferencedSOPInstanceUID) for r in evidence[0].ReferencedSOPSequence], "library and evidence")
    groups = find(one(ds, "126010"), "125007")
    if seg_path:
        seg_ds = pydicom.dcmread(seg_path)
        check(len(groups) == len(seg_ds.SegmentSequence), "a group for each segment")
        check(evidence[1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == seg_ds.SOPInstanceUID, "the SEG as evidence")
        check(evidence[1].SeriesInstanceUID == seg_ds.SeriesInstanceUID, "the SEG's series as evidence")
        for i, group in enumerate(groups):
            check_group(group, i + 1, seg_ds, source)
    else:
        check(len(groups) == 1 and len(evidence) == 1, "one group that says that nothing was found")
        text = one(groups[0], "121106").TextValue
        check("Nothing was found" in text and LABEL in text, "and it says so")
        check("260415000" in [c.ConceptCodeSequence[0].CodeValue for c in groups[0].ContentSequence if c.ValueType == "CODE"],
              "and codes it")


def looked_at(ds):
    text = one(ds, "121106").TextValue
    check(text.startswith("Looked at: ") and " images" in text and " voxels" in text, "the document says what was looked at")


def standing(path, *segments):
    ds = pydicom.dcmread(path)
    looked_at(ds)
    groups = find(one(ds, "126010"), "125007")
    got = [str(one(group, "121191").ReferencedSOPSequence[0].ReferencedSegmentNumber) for group in groups if find(group, "121191")]
    check(got == list(segments), "the groups are of %s" % got)
    check(not any(find(group, "111012") for group in groups), "no certainty of a model that is not calibrated")
    for study in ds.get("PredecessorDocumentsSequence", []):
        check(study.StudyInstanceUID == ds.StudyInstanceUID, "the predecessor's study")
        (series,) = study.ReferencedSeriesSequence
        (document,) = series.ReferencedSOPSequence
        check(document.ReferencedSOPClassUID == ds.SOPClassUID, "the predecessor's class")
        print("predecessor", document.ReferencedSOPInstanceUID, series.SeriesInstanceUID)
    print("series", ds.SeriesInstanceUID, ds.SeriesNumber)


def rejection(path, title, *instances):
    ds = pydicom.dcmread(path)
    check(ds.Modality == "KO" and meaning(ds) == title, "a key object document with title " + title)
    check(ds.ContentTemplateSequence[0].TemplateIdentifier == "2010", "TID 2010")
    named = [str(c.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for c in ds.ContentSequence if c.ValueType in ("IMAGE", "COMPOSITE")]
    check(named == list(instances), "it names what it rejects: %s" % named)
    (evidence,) = ds.CurrentRequestedProcedureEvidenceSequence
    check(evidence.StudyInstanceUID == ds.StudyInstanceUID, "of its study")
    check([str(r.ReferencedSOPInstanceUID) for s in evidence.ReferencedSeriesSequence for r in s.ReferencedSOPSequence] == named, "and so does its evidence")
    check(LABEL in ds.SeriesDescription and "does not hold any more" in one(ds, "113012").TextValue, "it says why")
    check(one(ds, "121005").ConceptCodeSequence[0].CodeValue == "121007", "a device says it")


def oru(path):
    import hl7
    with open(path, encoding="utf-8", newline="") as file:
        message = hl7.parse(file.read())
    for segment in message:
        for f, field in enumerate(segment):
            if f == 0 or (str(segment[0]) == "MSH" and f < 3):
                continue
            print("%s-%d %s" % (segment[0], f, field))


if __name__ == "__main__":
    {"oblique": oblique, "seg": seg, "again": again, "sr": sr, "standing": standing, "rejection": rejection, "values": values, "oru": oru}[sys.argv[1]](*sys.argv[2:])
