#!/usr/bin/python3
"""What numpy, scipy and pydicom make of what the tests ask; volumes are raw files, [slices][rows][columns].

    oracle.py series FOLDER GEOMETRY HU              text: slices rows columns spacing*3 origin*3 row*3 column*3 normal*3; int16
    oracle.py distance MASK S R C SP SP SP OUT       float32, inside the mask to the nearest voxel outside
    oracle.py components MASK S R C OUT              int32 labels, 26-connected
    oracle.py brain OUT                              uint8, the brain as tools/head-ct finds it, rows from front to back
"""

import glob
import importlib.machinery
import importlib.util
import sys

import numpy as np
import pydicom
from scipy import ndimage


def series(folder, geometry, hu):
    slices = [pydicom.dcmread(path) for path in glob.glob(folder + "/*.dcm")]
    row, column = (np.array(slices[0].ImageOrientationPatient[i : i + 3], float) for i in (0, 3))
    normal = np.cross(row, column)
    slices.sort(key=lambda ds: np.dot(normal, ds.ImagePositionPatient))
    first, second = (np.array(ds.ImagePositionPatient, float) for ds in slices[:2])
    numbers = [len(slices), slices[0].Rows, slices[0].Columns, np.linalg.norm(second - first)]
    numbers += [*map(float, slices[0].PixelSpacing), *first, *row, *column, *normal]
    with open(geometry, "w", encoding="ascii") as file:
        file.write(" ".join("%.10g" % number for number in numbers))
    pixels = [ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices]
    np.array(pixels).astype("<i2").tofile(hu)


def distance(mask, *rest):
    shape, spacing, out = tuple(map(int, rest[:3])), tuple(map(float, rest[3:6])), rest[6]
    inside = np.fromfile(mask, np.uint8).reshape(shape)
    ndimage.distance_transform_edt(inside, spacing).astype("<f4").tofile(out)


def components(mask, *rest):
    shape, out = tuple(map(int, rest[:3])), rest[3]
    labels, _ = ndimage.label(np.fromfile(mask, np.uint8).reshape(shape), np.ones((3, 3, 3)))
    labels.astype("<i4").tofile(out)


def brain(out):
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("head_ct", "tools/head-ct")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("head_ct", loader))
    loader.exec_module(module)
    head = module.Head(module.SOURCE)
    module.find_brain(head.hu, head.spacing).astype(np.uint8).tofile(out)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
