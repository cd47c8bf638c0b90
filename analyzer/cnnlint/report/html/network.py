"""What the script of the report draws of a network: every number beside the text that all reports show for it."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.engine.drawing import Drawing, Node, family
from cnnlint.graph.quantity import brief, count, size
from cnnlint.report.html.document import data
from cnnlint.report.printable import printable
from cnnlint.report.view import axes, extents, field
from cnnlint.results import ModelReport

Told = tuple[int | None, str]
"""A number, to draw and sort by, and how it reads."""


def network(drawing: Drawing, model: ModelReport, index: int) -> str:
    """Return the element that holds the network of the model with this `index` in the report."""
    at = {printable(node.row.name): number for number, node in enumerate(drawing.nodes)}
    marks = dict[int, list[int]]()
    for number, finding in enumerate(model.findings):
        for name in dict.fromkeys(finding.layers):
            if name in at:
                marks.setdefault(at[name], []).append(number)
    value = {
        "per": model.per,
        "image": drawing.image,
        "imageText": None if drawing.image is None else extents(drawing.image),
        "repeats": [(repeat.start, repeat.period, repeat.times, repeat.places) for repeat in drawing.repeats],
        "findings": [
            {"id": f"m{index}f{number}", "code": finding.code, "severity": finding.severity, "text": finding.message}
            for number, finding in enumerate(model.findings)
        ],
        "layers": [_layer(node, marks.get(number, [])) for number, node in enumerate(drawing.nodes)],
        "totals": {"parameters": model.parameters, "macs": model.macs, "peak": model.peak_activation_bytes},
    }
    return data(f"network-{index}", value)


def _layer(node: Node, marks: list[int]) -> dict[str, object]:
    """Return a layer; fields without a value are left out."""
    row = node.row
    told: dict[str, object] = {
        "name": printable(row.name),
        "kind": row.kind,
        "family": family(row.kind),
        "label": printable(node.label),
        "op": printable(node.op),
        "after": node.after,
        "shape": extents(row.output_shape),
        "inputs": [extents(shape) for shape in node.input_shapes],
        "parameters": _told(row.parameters, count),
        "macs": _told(row.macs, brief),
        "macsExact": count(row.macs),
        "memory": _told(row.activation_bytes, size),
        "alive": _told(row.alive_bytes, size),
        "field": (None if row.receptive_field is None else max(row.receptive_field), field(row.receptive_field)),
        "formula": printable(row.formula or ""),
        "words": printable(row.formula_words or ""),
        "macFormula": printable(row.mac_formula or ""),
        "outputs": list(zip(axes(len(row.output_formulas)), map(printable, row.output_formulas), strict=True)),
        "shared": printable(row.shared_with or ""),
        "merged": [printable(part) for part in node.merged],
        "findings": marks,
    }
    return {key: value for key, value in told.items() if value not in ("", (), [])}


def _told(number: int | None, form: Callable[[float | None], str]) -> Told:
    return number, form(number)
