"""Models whose reports are looked at, beside those of `models/`."""

from __future__ import annotations

import numpy as np
import onnx

from tests.graphs import model

# Names that would do something, were they taken for markup, for a key or for a place to fill in.
HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    '"><svg onload="window.hacked = 1">',
    "__proto__",
    "constructor/__proto__/toString",
    "<!--scripts-->",
    "${window.hacked = 1}",
    "\u202egnp.exe\u2028\x00\x1b[31m",
)


def language_model(
    tokens: int = 24, heads: int = 2, width: int = 8, layers: int = 2
) -> onnx.ModelProto:
    """Token numbers to logits by causal attention, layer by layer, as GPT-2 does it."""
    rng = np.random.default_rng(3)
    draw = lambda *shape: rng.uniform(-1, 1, shape).astype(np.float32)  # noqa: E731
    held: dict[str, np.ndarray] = {
        "wte": draw(50, width),
        "wpe": draw(tokens, width),
        "one": np.ones(width, np.float32),
        "causal": np.triu(np.full((tokens, tokens), -np.inf, np.float32), 1),
        "apart": np.array([1, tokens, heads, width // heads]),
        "joined": np.array([1, tokens, width]),
    }
    lines = ["e = Gather (wte, ids)", "h0 = Add (e, wpe)"]
    for k in range(layers):
        held |= {f"qkv{k}": draw(width, 3 * width), f"out{k}": draw(width, width)}
        held |= {f"up{k}": draw(width, 2 * width), f"down{k}": draw(2 * width, width)}
        lines += [
            f"n{k} = LayerNormalization <axis = -1> (h{k}, one, one)",
            f"a{k} = MatMul (n{k}, qkv{k})",
            f"q{k}, k{k}, v{k} = Split <axis = 2> (a{k})",
            *(f"{part}r{k} = Reshape ({part}{k}, apart)" for part in "qkv"),
            f"qt{k} = Transpose <perm = [0, 2, 1, 3]> (qr{k})",
            f"kt{k} = Transpose <perm = [0, 2, 3, 1]> (kr{k})",
            f"vt{k} = Transpose <perm = [0, 2, 1, 3]> (vr{k})",
            f"s{k} = MatMul (qt{k}, kt{k})",
            f"m{k} = Add (s{k}, causal)",
            f"p{k} = Softmax <axis = -1> (m{k})",
            f"o{k} = MatMul (p{k}, vt{k})",
            f"ot{k} = Transpose <perm = [0, 2, 1, 3]> (o{k})",
            f"c{k} = Reshape (ot{k}, joined)",
            f"w{k} = MatMul (c{k}, out{k})",
            f"r{k} = Add (h{k}, w{k})",
            f"nn{k} = LayerNormalization <axis = -1> (r{k}, one, one)",
            f"u{k} = MatMul (nn{k}, up{k})",
            f"g{k} = Relu (u{k})",
            f"d{k} = MatMul (g{k}, down{k})",
            f"h{k + 1} = Add (r{k}, d{k})",
        ]
    lines += ["wt = Transpose <perm = [1, 0]> (wte)", f"logits = MatMul (h{layers}, wt)"]
    return model("\n".join(lines), f"int64[1,{tokens}] ids", "logits", opset=17, initializers=held)


def hostile() -> onnx.ModelProto:
    """A chain whose values and nodes have `HOSTILE` names."""
    nodes, last = [], "x"
    for k, name in enumerate(HOSTILE):
        scope = HOSTILE[(k + 1) % len(HOSTILE)]
        nodes.append(onnx.helper.make_node("Relu", [last], [name], name=f"{scope}/{name}"))
        last = name
    made = model("y = Relu (x)")
    del made.graph.node[:]
    made.graph.node.extend([*nodes, onnx.helper.make_node("Relu", [last], ["y"])])
    made.graph.name = HOSTILE[0]
    return made


def chain(nodes: int, length: int = 4096) -> onnx.ModelProto:
    """Convolutions along time, one after the other, in no scope."""
    made = model(
        "y = Relu (x)", f"float[1,1,{length}] x", initializers={"w": np.ones((1, 1, 3), np.float32)}
    )
    del made.graph.node[:]
    last = "x"
    for k in range(nodes):
        out = "y" if k == nodes - 1 else f"v{k}"
        if k % 2:
            node = onnx.helper.make_node("Relu", [last], [out], name=f"relu_{k}")
        else:
            node = onnx.helper.make_node("Conv", [last, "w"], [out], name=f"conv_{k}", pads=[1, 1])
        made.graph.node.append(node)
        last = out
    return made
