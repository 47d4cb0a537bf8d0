"""Small head CTs for tests: a SYNTHETIC head (an ellipsoid of bone around brain with a little noise, and at will a ball of blood in it) that the real model tells apart, as pydicom data sets that a test may change before it
sends them. 52 slices of 64 x 64 at 3 x 2.5 x 2.5 mm: a model's run takes a tenth of a second."""

import os

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SLICES, SIZE, GAP_MM, PIXEL_MM = 52, 64, 3.0, 2.5
BLEED_SLICE = 22  # the middle of the bleed, which reaches 4 slices up and down


def volume(bleed=None, slices=SLICES, gap_mm=GAP_MM, noise=0):
    """HU as [slice][row][column]; `bleed` is the slice of its middle, None for none."""
    z, y, x = np.mgrid[0:slices, 0:SIZE, 0:SIZE].astype(float)
    grain = (z * 7 + y * 13 + x * 29 + noise).astype(int) % 7 - 3
    z, y, x = (z - (slices - 1) / 2) * gap_mm, (y - (SIZE - 1) / 2) * PIXEL_MM, (x - (SIZE - 1) / 2) * PIXEL_MM
    radius = (x / 62) ** 2 + (y / 72) ** 2 + (z / 86) ** 2
    hu = np.where(radius >= 1, -1000, np.where(radius >= 0.7744, 1000, 35 + grain))
    if bleed is not None:
        up = z - (bleed - (slices - 1) / 2) * gap_mm
        hu = np.where((x - 20) ** 2 + (y + 5) ** 2 + up**2 < 13.5**2, 70, hu)
    return hu.astype("<i2")


class Head:
    """One series, slice by slice. What is changed in `slices` before `save` is what is sent."""

    def __init__(self, number, bleed=None, root="1.2.826.0.1.3680043.9.7777", series=1, hu=None, gap_mm=GAP_MM, **tags):
        self.study = f"{root}.{number}"
        self.series = f"{self.study}.{series}"
        hu = volume(bleed, gap_mm=gap_mm, noise=number) if hu is None else hu
        self.slices = [self.slice(k, hu[k], gap_mm, number, tags) for k in range(len(hu))]

    def slice(self, k, pixels, gap_mm, number, tags):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
        d = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        d.is_little_endian, d.is_implicit_VR = True, False
        d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, f"{self.series}.{k + 1}"
        d.StudyDate, d.StudyTime, d.AccessionNumber, d.Modality = "20261128", f"{number // 60 % 24:02d}{number % 60:02d}00", f"A{number}", "CT"
        d.Manufacturer, d.StudyDescription, d.SeriesDescription = "Synthetic", "CT head", "1 head"
        d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = f"Day^P{number}", f"P{number}", "19600101", "O"
        d.BodyPartExamined, d.SliceThickness = "HEAD", gap_mm
        d.StudyInstanceUID, d.SeriesInstanceUID, d.StudyID, d.SeriesNumber, d.InstanceNumber = self.study, self.series, "1", 1, k + 1
        d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        d.ImagePositionPatient = [-(SIZE - 1) / 2 * PIXEL_MM, -(SIZE - 1) / 2 * PIXEL_MM, k * gap_mm]
        d.ImageOrientationPatient, d.FrameOfReferenceUID = [1, 0, 0, 0, 1, 0], f"{self.study}.9"
        d.SamplesPerPixel, d.PhotometricInterpretation, d.Rows, d.Columns = 1, "MONOCHROME2", *pixels.shape
        d.PixelSpacing, d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = [PIXEL_MM, PIXEL_MM], 16, 16, 15, 1
        d.RescaleIntercept, d.RescaleSlope, d.RescaleType = 0, 1, "HU"
        d.PixelData = pixels.tobytes()
        for name, value in tags.items():
            setattr(d, name, value)
        return d

    def save(self, folder, slices=None):
        """Writes the slices, or those given, and returns the paths."""
        os.makedirs(folder, exist_ok=True)
        paths = []
        for i, d in enumerate(self.slices if slices is None else slices):
            d.file_meta.MediaStorageSOPInstanceUID, d.file_meta.MediaStorageSOPClassUID = d.SOPInstanceUID, d.SOPClassUID
            paths.append(os.path.join(folder, f"{len(os.listdir(folder)):04d}-{i:04d}.dcm"))
            d.save_as(paths[-1])
        return paths


def copy(dataset):
    """Of one slice, to be changed without changing the other."""
    import copy as python_copy

    return python_copy.deepcopy(dataset)


def key_object(head, document="113000"):
    """A Key Object Selection Document on the head's first slice, as a reader's workstation makes it."""
    first = head.slices[0]
    d = copy(first)
    for name in ("PixelData", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing",
                 "RescaleIntercept", "RescaleSlope", "RescaleType", "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "ImageType", "SliceThickness"):
        if name in d:
            delattr(d, name)
    d.SOPClassUID, d.Modality = "1.2.840.10008.5.1.4.1.1.88.59", "KO"
    d.SeriesInstanceUID, d.SOPInstanceUID, d.SeriesNumber = f"{head.study}.77", f"{head.study}.77.1", 77
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = document, "DCM", "Of Interest"
    d.ConceptNameCodeSequence, d.ValueType, d.ContinuityOfContent = [title], "CONTAINER", "SEPARATE"
    return d
