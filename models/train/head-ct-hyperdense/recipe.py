#!/usr/bin/python3
"""Writes models/head-ct-hyperdense/model.onnx, and the digests in its manifest; with --check, compares instead (exit 1 on a difference).

    models/train/head-ct-hyperdense/recipe.py [--check] [PACKAGE_DIR]

Nothing here is trained: every number below is chosen, and card.md says how. The graph, with D slices, H rows and W columns:

    hu         float32 [1,1,D,H,W]  HU minus the brain's median
    mask       float32 [1,1,D,H,W]  1 in the brain, 0 elsewhere
    spacing_mm float32 [3]          between slices, rows, columns
 -> excess     float32 [1,1,D,H,W]  HU above the median, smoothed within the mask; not below 0
 -> score      float32 [1,1,D,H,W]  0 to 1: how well the excess fits blood

Smoothing is a Gaussian of SIGMA_MM in three one-dimensional convolutions, whose weights the graph itself works out from the
spacing, divided by the same smoothing of the mask: what lies outside the brain has no say. The blood band is a trapezoid: 0 up to 3 HU of
excess, 1 from 15 HU to 80 HU, 0 from 100 HU on; .5 at 9 and at 90 HU. Fresh blood is 20 to 70 HU above brain; calcium is far above.
"""

import hashlib
import json
import os
import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

SIGMA_MM = 1.5
RADIUS = 9  # kernels have 2 * RADIUS + 1 weights: 3 sigma at spacings down to .5 mm, the least that is left after the binning
RISE_HU = (3.0, 15.0)
FALL_HU = (80.0, 100.0)
OPSET = 13
IR_VERSION = 7


class Graph:
    """Nodes and constants by name."""

    def __init__(self):
        self.nodes = []
        self.constants = []

    def constant(self, name, value, dtype=np.float32):
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def add_kernels(g):
    """kernel_0 to kernel_2, of the shapes that convolve along slices, rows and columns; each sums up to 1."""
    g.constant("offsets", np.arange(-RADIUS, RADIUS + 1))
    g.constant("minus_half_by_variance", -0.5 / SIGMA_MM**2)
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = 2 * RADIUS + 1
        g.constant(f"axis_{axis}", [axis], np.int64)
        g.constant(f"shape_{axis}", shape, np.int64)
        g.node("Gather", ["spacing_mm", f"axis_{axis}"], f"step_{axis}", axis=0)
        g.node("Mul", ["offsets", f"step_{axis}"], f"place_{axis}")
        g.node("Mul", [f"place_{axis}", f"place_{axis}"], f"squared_{axis}")
        g.node("Mul", [f"squared_{axis}", "minus_half_by_variance"], f"exponent_{axis}")
        g.node("Softmax", [f"exponent_{axis}"], f"weights_{axis}", axis=0)
        g.node("Reshape", [f"weights_{axis}", f"shape_{axis}"], f"kernel_{axis}")


def add_smoothing(g, source):
    for axis in range(3):
        pads = [0] * 6
        pads[axis] = pads[axis + 3] = RADIUS
        shape = [1, 1, 1]
        shape[axis] = 2 * RADIUS + 1
        g.node("Conv", [source, f"kernel_{axis}"], f"{source}_{axis}", pads=pads, kernel_shape=shape)
        source = f"{source}_{axis}"
    return source


def add_ramp(g, name, start, end):
    """0 at `start`, 1 at `end`, straight between."""
    g.constant(f"{name}_start", start)
    g.constant(f"{name}_slope", 1 / (end - start))
    g.node("Sub", ["excess", f"{name}_start"], f"{name}_above")
    g.node("Mul", [f"{name}_above", f"{name}_slope"], f"{name}_line")
    return g.node("Clip", [f"{name}_line", "zero", "one"], name)


def make_model():
    g = Graph()
    g.constant("zero", 0.0)
    g.constant("one", 1.0)
    g.constant("tiny", 1e-3)
    add_kernels(g)
    g.node("Mul", ["hu", "mask"], "inside")
    smoothed = add_smoothing(g, "inside")
    share = add_smoothing(g, "mask")
    g.node("Max", [share, "tiny"], "share")
    g.node("Div", [smoothed, "share"], "level")
    g.node("Mul", ["level", "mask"], "level_inside")
    g.node("Relu", ["level_inside"], "excess")
    g.node("Mul", [add_ramp(g, "rise", *RISE_HU), add_ramp(g, "fall", FALL_HU[1], FALL_HU[0])], "score")

    volume = [1, 1, "slices", "rows", "columns"]

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        g.nodes,
        "head-ct-hyperdense",
        [value("hu", volume), value("mask", volume), value("spacing_mm", [3])],
        [value("score", volume), value("excess", volume)],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="hilum")
    model.ir_version = IR_VERSION
    checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    here = os.path.dirname(os.path.abspath(__file__))
    package = arguments[0] if arguments else os.path.join(here, "..", "..", "head-ct-hyperdense")
    model_path = os.path.join(package, "model.onnx")
    manifest_path = os.path.join(package, "manifest.json")
    model = make_model()
    if "--check" not in sys.argv:
        with open(model_path, "wb") as file:
            file.write(model)
    with open(manifest_path, encoding="utf-8") as file:
        manifest = json.load(file)
    digests = {}
    for name in sorted(manifest["files"]):
        with open(os.path.join(package, name), "rb") as file:
            digests[name] = digest(file.read())
    if "--check" in sys.argv:
        with open(model_path, "rb") as file:
            same = file.read() == model
        print("model.onnx: %s" % ("the recipe's, bit for bit" if same else "NOT what the recipe makes"))
        print("manifest.json: %s" % ("digests fit" if digests == manifest["files"] else "digests DO NOT fit"))
        sys.exit(0 if same and digests == manifest["files"] else 1)
    manifest["files"] = digests
    with open(manifest_path, "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main()
