#!/usr/bin/python3
"""What the model room's tests work on, made by others' tools: the head with a bleed as a raw volume, and ONNX graphs that misbehave.

    make.py head OUT     OUT.raw (int16 [slice][row][column], rising in z, y, x of the patient) and OUT.txt (size, spacing, origin, the bleed's side and mL)
    make.py graph NAME OUT
"""

import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def head(out):
    import pydicom

    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder, "--bleed-seed", "3"], capture_output=True, text=True, check=True).stdout.split()
        series = sorted((pydicom.dcmread(path) for path in glob.glob(made[0] + "/*.dcm")), key=lambda ds: float(ds.ImagePositionPatient[2]))
        with open(made[0] + ".truth.json", encoding="utf-8") as f:
            truth = json.load(f)
    assert [float(x) for x in series[0].ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
    volume = np.stack([ds.pixel_array.astype(np.int16) + np.int16(ds.RescaleIntercept) for ds in series])
    volume.astype("<i2").tofile(out + ".raw")
    gap = float(series[1].ImagePositionPatient[2]) - float(series[0].ImagePositionPatient[2])
    with open(out + ".txt", "w", encoding="utf-8") as f:
        print(*volume.shape, gap, *series[0].PixelSpacing, *series[0].ImagePositionPatient, truth["side"], truth["volume_ml"], file=f)


def graph(name, out):
    from onnx import TensorProto, helper

    f32 = TensorProto.FLOAT
    volume = ["n", "c", "d", "h", "w"]
    hu = "hv" if name == "other-input" else "hu"
    inputs = [helper.make_tensor_value_info(hu, f32, volume), helper.make_tensor_value_info("mask", f32, volume), helper.make_tensor_value_info("spacing_mm", f32, [3])]
    outputs = [helper.make_tensor_value_info(n, f32, None) for n in (("score", "more") if name == "other-output" else ("score", "excess"))]
    same = helper.make_node("Identity", [hu], ["excess"])
    initializers = []

    def loop(scan):
        body_outputs = [helper.make_tensor_value_info("go", TensorProto.BOOL, []), helper.make_tensor_value_info("after", f32, volume)]
        nodes = [helper.make_node("Identity", ["going"], ["go"]), helper.make_node("Sin", ["before"], ["after"])]
        if scan:
            nodes.append(helper.make_node("Identity", ["before"], ["kept"]))
            body_outputs.append(helper.make_tensor_value_info("kept", f32, volume))
        body = helper.make_graph(nodes, "body", [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("going", TensorProto.BOOL, []),
                                                 helper.make_tensor_value_info("before", f32, volume)], body_outputs)
        initializers.append(helper.make_tensor("most", TensorProto.INT64, [], [2**62]))
        initializers.append(helper.make_tensor("start", TensorProto.BOOL, [], [True]))
        node = helper.make_node("Loop", ["most", "start", "hu"], ["last"] + (["all"] if scan else []), body=body)
        if scan:
            return [node, helper.make_node("ReduceMax", ["all"], ["top"], keepdims=0), helper.make_node("Add", ["last", "top"], ["score"]), same]
        return [node, helper.make_node("Identity", ["last"], ["score"]), same]

    def external():
        tensor = TensorProto(data_type=f32, dims=[1], name="w", data_location=TensorProto.EXTERNAL)
        for key, value in (("location", "../../secret.bin"), ("length", "4")):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        if name == "external-in-node":
            return [helper.make_node("Constant", [], ["w"], value=tensor), helper.make_node("Mul", ["hu", "w"], ["score"]), same]
        initializers.append(tensor)
        return [helper.make_node("Mul", ["hu", "w"], ["score"]), same]

    def constant(value):
        name = "c%d" % len(initializers)
        initializers.append(helper.make_tensor(name, f32, [], [value]))
        return name

    def where_dense(low, value):
        """`value` where the input is more than `low` above the median, else 0."""
        return [helper.make_node("Greater", ["hu", constant(low)], ["dense"]), helper.make_node("Where", ["dense", constant(value), constant(0.0)], ["score"]), same]

    nodes = {
        "nan": lambda: where_dense(12.0, float("nan")),  # on the bleed, and on little else
        "infinite": lambda: where_dense(12.0, float("-inf")),
        "nan-in-excess": lambda: [helper.make_node("Sub", ["hu", "hu"], ["score"]), helper.make_node("Sqrt", ["hu"], ["excess"])],
        "nan-outside": lambda: [helper.make_node("Div", ["mask", "mask"], ["one"]), helper.make_node("Sub", ["one", constant(1.0)], ["score"]), same],
        "other-input": lambda: [helper.make_node("Identity", [hu], ["score"]), same],
        "other-output": lambda: [helper.make_node("Identity", ["hu"], ["score"]), helper.make_node("Identity", ["hu"], ["more"])],
        "nothing": lambda: [helper.make_node("Sub", ["hu", "hu"], ["score"]), same],
        "endless": lambda: loop(False),
        "hungry": lambda: loop(True),
        "small-output": lambda: [helper.make_node("ReduceMean", ["hu"], ["score"]), same],
        "unknown-operator": lambda: [helper.make_node("NoSuchOperator", ["hu"], ["score"]), same],
        "external": external,
        "external-in-node": external,
    }[name]()
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, initializers), opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with open(out, "wb") as f:
        f.write(model.SerializeToString())


if __name__ == "__main__":
    head(sys.argv[2]) if sys.argv[1] == "head" else graph(sys.argv[2], sys.argv[3])
