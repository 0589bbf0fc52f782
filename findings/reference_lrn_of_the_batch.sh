#!/usr/bin/env bash
# onnx 1.23.2: onnx.reference's LRN normalises as many channels as the batch has samples.
#
# The good guess: every channel is divided by a power of the sum of squares of `size` channels around
# it, as the specification writes it, and as onnxruntime does but for rounding.
#
# The loop that fills the sums runs over x.shape[0], the batch, where it should run over x.shape[1].
# Of one sample, channel 0 alone has a sum; each other channel is divided by a power of `bias`, and
# sees itself alone. With as many samples as channels nothing is wrong, and with more it fails.
#
# Output: which of 6 channels move where channel 3 is changed: onnxruntime 2 to 4; the reference 3.
# Of a batch of 6 both 2 to 4; of 7 the reference raises an IndexError.
#
# Why it matters: the reference is what other runtimes are tested with, and ONNX's own cases of LRN
# have 5 samples of 5 channels. Ends with another code than 0 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import parser
from onnx.reference import ReferenceEvaluator


def moved(batch):
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> g (float[{batch}, 6, 1, 1] x) => '
        f"(float[{batch}, 6, 1, 1] y) {{ y = LRN <size = 3, alpha = 0.5> (x) }}"
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    reference = ReferenceEvaluator(model)
    x = np.random.default_rng(0).normal(size=(batch, 6, 1, 1)).astype(np.float32)
    changed = x.copy()
    changed[0, 3] += 1
    found = []
    for run in (session.run, reference.run):
        before, after = (run(None, {"x": v})[0][0].reshape(-1) for v in (x, changed))
        found.append(np.flatnonzero(np.abs(after - before) > 1e-5).tolist())
    return found


for batch, expected in ((1, [3]), (6, [2, 3, 4])):
    ours, reference = moved(batch)
    print(f"batch of {batch}: onnxruntime moves {ours}, the reference {reference}")
    assert ours == [2, 3, 4], ours
    assert reference == expected, reference
try:
    moved(7)
except IndexError as error:
    print("batch of 7: the reference:", error)
else:
    raise AssertionError("the reference takes 7 samples of 6 channels")
PYTHON
