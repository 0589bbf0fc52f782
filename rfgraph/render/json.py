"""JSON for programs. The schema is described in docs/json.md; its version counts changes."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from math import isfinite, isinf
from typing import TYPE_CHECKING, Any

from rfgraph.render.text import coordinate

if TYPE_CHECKING:
    from rfgraph.analysis.analysis import Analysis
    from rfgraph.analysis.objects import Fit
    from rfgraph.engine.closed_form import AxisField, Field, Number
    from rfgraph.engine.why import Explanation, Hop
    from rfgraph.measure.discrepancy import Occlusion, UnitField
    from rfgraph.measure.spread import Effective, Growth
    from rfgraph.render.documents import (
        Fits,
        LayerTable,
        Reasons,
        Seen,
        Streaming,
        Tiling,
        Units,
    )
    from rfgraph.tiling import AxisPlan, Verification
    from rfgraph.validation.report import Validation

VERSION = 2


def table(document: LayerTable) -> str:
    """The document of `rfgraph show`."""
    analysis, densities, modules = document.analysis, document.densities, document.modules
    return _dump(
        {
            **_head(analysis),
            "values": [
                {
                    "name": row.name,
                    "operator": row.operator,
                    "node": row.node,
                    "shape": row.shape,
                    "output": row.is_output,
                    "fields": {
                        name: {"local": field(seen.local), "full": field(seen.full)}
                        for name, seen in row.fields.items()
                    },
                    **({} if densities is None else {"density": densities[k]}),
                    **(
                        {} if modules is None else {"module": ".".join(modules.get(row.tensor, ()))}
                    ),
                }
                for k, row in enumerate(document.rows)
            ],
        }
    )


def units(document: Units) -> str:
    """The document of `rfgraph unit`."""
    return _dump({**_head(document.analysis), "units": list(map(_seen, document.found))})


def _seen(found: Seen) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "tensor": found.tensor,
        "operator": found.operator,
        "unit": [coordinate(at) if isinstance(at, slice) else at for at in found.unit],
        "boxes": found.boxes,
    }
    if found.supports:
        given = {i: s for i, s in found.supports.items() if s is not None}
        seen["count"] = {i: support.count for i, support in given.items()}
        seen["density"] = {i: support.density for i, support in given.items()}
    return seen


def why(document: Reasons) -> str:
    """The document of `rfgraph why`."""
    found = document.found.items()
    return _dump(
        {
            **_head(document.analysis),
            "tensor": document.tensor,
            "unit": document.unit,
            "local": document.local,
            "explanations": {name: list(map(_explanation, all)) for name, all in found},
        }
    )


def validation(found: Validation) -> str:
    """The document of `rfgraph validate`."""
    return _dump(
        {
            **_head(found.analysis),
            "method": found.method,
            "runtime": found.runtime,
            "seed": found.seed,
            "ok": found.ok,
            "passes": found.passes,
            "planned": found.planned,
            "naive": found.naive,
            "probes": found.probes,
            "coverage": [asdict(part) for part in found.coverage],
            "seconds": round(found.seconds, 3),
            "interrupted": found.interrupted,
            "tested": [
                {"value": value, "input": name, "units": found.units[value], **asdict(tally)}
                for (value, name), tally in found.tallies.items()
            ],
            "contradictions": found.contradictions,
            "violations": [asdict(violation) for violation in found.violations],
            "untested": found.untested,
            "remarks": found.notes,
        }
    )


def effective(document: Growth) -> str:
    """The document of `rfgraph effective`."""
    return _dump(
        {
            "version": VERSION,
            "model": document.layers[0].file,
            "effective": [_effective(layer) for layer in document.layers],
        }
    )


def _effective(found: Effective) -> dict[str, Any]:
    from rfgraph.measure.spread import SHARES, TWO_SIGMA

    def known(value: float) -> float | None:
        return value if isfinite(value) else None

    return {
        "value": found.tensor,
        "operator": found.operator,
        "input": found.input,
        "shape": found.shape,
        "units": [[at.start, at.stop, at.step] for at in found.units],
        "axes": found.axes,
        "theoretical": [found.theoretical[axis] for axis in found.axes],
        "shares": [found.share(share)._asdict() for share in (*SHARES, TWO_SIGMA)],
        "ratio": found.ratio,
        "width": found.width,
        "luo": found.luo,
        "error": known(found.relative_error),
        "first": found.first,
        "step": found.step,
        "centre": found.centre,
        "map": found.map.tolist(),
        "errors": [known(value) for value in found.error.ravel().tolist()],
        "passes": found.passes,
        "images": found.images,
        "noise": found.is_noise,
        "replacement": found.is_replacement,
        "complete": found.complete,
        "interrupted": found.interrupted,
        "seconds": round(found.seconds, 3),
        "seed": found.seed,
        "change": found.change,
        "remarks": found.notes,
    }


def occlusion(found: Occlusion) -> str:
    """The document of `rfgraph occlude`."""
    return _dump(
        {
            **_head(found.analysis),
            "value": found.tensor,
            "input": found.input,
            "axes": found.axes,
            "images": {
                "source": found.images.source,
                "noise": found.images.is_noise,
                "number": len(found.images),
                "looked": found.looked,
            },
            "occluder": {"size": found.size, "stride": found.stride, "fill": found.fill},
            "seed": found.seed,
            "passes": found.passes,
            "naive": found.naive,
            "seconds": round(found.seconds, 3),
            "complete": found.complete,
            "interrupted": found.interrupted,
            "units": list(map(_unit_field, found.found)),
            "remarks": found.notes,
        }
    )


def _unit_field(unit: UnitField) -> dict[str, Any]:
    return {
        "units": [coordinate(at) if isinstance(at, slice) else at for at in unit.region],
        "side": unit.side,
        "theoretical": [_number(size) for size in unit.theoretical],
        "can_see": unit.can_see,
        "ratio": unit.ratio,
        "level": unit.level,
        "images": [
            {
                "number": found.image,
                "name": found.name,
                "unit": found.unit,
                "value": found.value,
                "box": found.box,
                "side": side,
            }
            for found, side in zip(unit.images, unit.sides, strict=True)
        ],
    }


def tiling(document: Tiling) -> str:
    """The document of `rfgraph tile`."""
    plan, error = document.plan, document.obstacle
    found: dict[str, Any] = {"exact": plan is not None and plan.is_exact}
    if error is not None:
        found["obstacle"] = {"node": error.node, "reason": error.reason, "remedy": error.remedy}
    left_out = error.global_reads if error is not None else plan.left_out if plan else ()
    found["global"] = [{"node": each.node, "reason": each.reason} for each in left_out]
    if plan is not None:
        found["tiled"] = plan.outputs
        found["whole"] = plan.whole
        found["waste"] = float(plan.waste)
        found["memory"] = plan.memory
        found["equality"] = {
            "level": plan.equality.level,
            "options": plan.equality.options,
            "causes": [cause._asdict() for cause in plan.equality.causes],
        }
        found["axes"] = list(map(_tiled_axis, plan.axes))
    if document.stored is not None:
        found["stored"] = document.stored._asdict()
    if document.verified is not None:
        found["verified"] = _verified(document.verified)
    return _dump({**_head(document.analysis), **found})


def _verified(found: Verification) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "shapes": found.shapes,
        "tolerance": found.tolerance,
        "axes": [
            {
                "tiles": along.tiles,
                "difference": _finite(along.difference),
                "less_before": _finite(along.less_before),
                "less_after": _finite(along.less_after),
                "unaligned": _finite(along.unaligned),
            }
            for along in found.axes
        ],
        "costs": [{"node": node, "difference": cost} for node, cost in found.costs.items()],
    }


def _finite(found: float | None) -> float | str | None:
    """What JSON has no number for is named."""
    return "missing" if found is not None and isinf(found) else found


def fits(document: Fits) -> str:
    """The document of `rfgraph fit`."""
    return _dump({**_head(document.analysis), "fits": list(map(_fit, document.found))})


def _fit(found: Fit) -> dict[str, Any]:
    return {
        "output": found.output,
        "input": found.input,
        "share": None if found.share is None else _number(found.share),
        "global": found.is_global,
        "axes": [
            {
                "axis": axis.axis,
                "object": axis.size,
                "share": None if axis.share is None else _number(axis.share),
                "margin": axis.margin,
                "widest": axis.widest,
                "stride": _number(axis.stride),
                "smallest": _number(axis.smallest),
                "largest": _number(axis.largest),
            }
            for axis in found.axes
        ],
    }


def streaming(document: Streaming) -> str:
    """The document of `rfgraph stream`."""
    plan, error = document.plan, document.obstacle
    found: dict[str, Any] = {"streamable": plan is not None}
    if error is not None:
        found["obstacle"] = {"node": error.node, "reason": error.reason, "remedy": error.remedy}
    if plan is not None:
        found["causal"] = plan.is_causal
        found["streams"] = [{"input": name, "axis": k} for name, k in plan.inputs]
        found["whole"] = plan.whole
        found["states"] = [{"input": given, "output": made} for given, made in plan.states]
        found["name"] = plan.name or None
        found["fixed"] = plan.is_fixed
        found["rate"] = plan.rate
        for key in ("hop", "back", "ahead", "latency", "context"):
            samples = getattr(plan, key)
            has_end = samples is not None and isfinite(samples)
            found[key] = samples if has_end else None
            found[f"{key}_ms"] = plan.ms(samples) if has_end and plan.rate else None
        found["timings"] = {
            output: {
                "axis": timing.axis,
                "stride": _number(timing.stride),
                "back": _number(timing.back),
                "ahead": timing.ahead,
                "latency": timing.latency,
                "first": timing.first,
                "valid": timing.valid,
                "path": [asdict(each) for each in timing.path],
            }
            for output, timing in plan.outputs.items()
        }
    if document.converted is not None:
        found["converted"] = document.converted.described
    return _dump({**_head(document.analysis), **found})


def _tiled_axis(axis: AxisPlan) -> dict[str, Any]:
    return {
        "inputs": [{"input": name, "axis": k} for name, k in axis.inputs],
        "name": axis.name or None,
        "fixed": axis.is_fixed,
        "tile": axis.fitted(axis.tile),
        "core": axis.core(),
        "margin": axis.margin,
        "before": axis.before,
        "after": axis.after,
        "alignment": axis.alignment,
        "unaligned": axis.unaligned,
        "sizes": axis.sizes,
        "smallest": axis.smallest,
        "waste": float(axis.waste()),
        "outputs": {
            name: {
                "axis": follows.axis,
                "scale": _number(follows.scale),
                "offset": _number(follows.offset),
                "centre": _number(follows.centre),
                "before": follows.before,
                "after": follows.after,
            }
            for name, follows in axis.outputs.items()
        },
    }


def _explanation(found: Explanation) -> dict[str, Any]:
    return {
        "axis": found.axis,
        "size": found.size,
        "bounds": found.lower[0].bounds,
        "whole": found.whole and found.whole.tensor,
        "lower": list(map(_hop, found.lower)),
        "upper": list(map(_hop, found.upper)),
    }


def _hop(hop: Hop) -> dict[str, Any]:
    return {
        "tensor": hop.tensor,
        "operator": hop.node.op_type if hop.node else "input",
        "node": hop.node.name if hop.node else hop.tensor,
        "unit": hop.unit,
        "bounds": hop.bounds,
        "added": hop.added,
    }


def field(value: Field) -> list[dict[str, Any]]:
    """A closed form: one object an axis; sizes without end and what has no value are null."""
    return [_axis(axis) for axis in value]


def _axis(axis: AxisField) -> dict[str, Any]:
    out: dict[str, Any] = {
        "size": _number(axis.size),
        "smallest": _number(axis.smallest),
        "stride": _number(axis.stride),
        "start": _number(axis.start),
        "centre": _number(axis.centre),
        "back": _number(axis.back),
        "ahead": _number(axis.ahead),
        "past": axis.is_past,
        "future": axis.is_future,
        "global": axis.is_global,
        "irregular": axis.irregular,
    }
    if len(axis.phases) > 1:
        out["phases"] = [[_number(first), _number(last)] for first, last in axis.phases]
    if axis.branches:
        out["branches"] = [_axis(branch) for branch in axis.branches]
    return out


def _number(value: Number) -> int | str | None:
    """An integer, a fraction as ``"1/2"``, or null."""
    if isinstance(value, Fraction):
        return str(value)
    return int(value) if isfinite(value) else None


def _head(analysis: Analysis) -> dict[str, Any]:
    return {
        "version": VERSION,
        "model": analysis.file,
        "inputs": {name: analysis.shape(name) for name in analysis.inputs},
        "outputs": analysis.outputs,
        "notes": [
            {"node": n.node, "operator": n.operator, "reason": n.reason}
            for n in (*analysis.notes, *analysis.unequal)
        ],
    }


def _dump(document: dict[str, Any]) -> str:
    """JSON in ASCII: what a terminal's encoding lacks, or what steers it, would be escaped in
    another way than JSON's.
    """
    return json.dumps(document, indent=1)
