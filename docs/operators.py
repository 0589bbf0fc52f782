"""Write docs/operators.md, every operator and how exactly its reads are known, and
rfgraph/ops/families.py, which family has it.

Everything is computed: operators and their versions from the schemas of ONNX and onnxruntime, what
is known from `rfgraph.ops.registered`, which imports every family that there is.

Usage: pip install -e ".[test]" && python docs/operators.py
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnxruntime
from onnx import defs
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from rfgraph.ops import Rule, lookup_rule, registered

PAGE = Path(__file__).with_name("operators.md")
TABLE = PAGE.parents[1] / "rfgraph" / "ops" / "families.py"

EXACT, CONSERVATIVE, UNKNOWN = "exact", "conservative", "not known"
STATUSES = (EXACT, CONSERVATIVE, UNKNOWN)

# Domains whose schemas onnxruntime has and ONNX has not.
_RUNTIME = ("com.microsoft", "com.ms.internal.nhwc", "com.microsoft.nchwc")

# What onnxruntime specifies in ONNX's own domain, and emits.
_EMITTED = ("SimplifiedLayerNormalization",)


@dataclass
class Entry:
    """An operator.

    Attributes
    ----------
    domain, name : str
        The operator.
    specified : list of int
        Operator-set versions at which its specification changed.
    bodies : set of int
        Those of them at which ONNX defines it by other operators.
    deprecated : int
        The version since which it should no longer be used; 0 if it may.
    rules : list of Rule
        What is registered.
    """

    domain: str
    name: str
    specified: list[int] = field(default_factory=list)
    bodies: set[int] = field(default_factory=set)
    deprecated: int = 0
    rules: list[Rule] = field(default_factory=list)

    @property
    def status(self) -> str:
        """One of `STATUSES`: that of the newest version that is no mere deprecation."""
        known = [v for v in self._versions() if v != self.deprecated]
        return self._at(known[-1] if known else self._versions()[-1])[0]

    def _versions(self) -> list[int]:
        """The versions at which something changes, as far as models have them."""
        found = {*self.specified, *(rule.since for rule in self.rules)}
        # Definitions that operator set 7 has replaced are not read.
        oldest = 7 if not self.domain else 1
        first = max((v for v in found if v <= oldest), default=oldest)
        return sorted(v for v in found if v >= first)

    def _at(self, version: int) -> tuple[str, str]:
        """The status at an operator-set version, and a remark."""
        rule = lookup_rule(self.domain, self.name, version)
        if rule is not None and rule.conservative:
            return CONSERVATIVE, rule.conservative
        if rule is not None:
            return EXACT, f"computed: {rule.computed}" if rule.computed else ""
        if max((v for v in self.specified if v <= version), default=0) in self.bodies:
            return EXACT, "by its ONNX body"
        return UNKNOWN, ""

    @property
    def remark(self) -> str:
        """The remark of the newest version, and what differs before."""
        versions = [v for v in self._versions() if v != self.deprecated] or self._versions()
        newest = self._at(versions[-1])
        remarks = [newest[1]] if newest[1] else []
        later, until = newest, versions[-1]
        for version in reversed(versions[:-1]):
            here = self._at(version)
            if here != later:
                text = ", ".join(part for part in here if part)
                remarks.append(f"before version {until} {text}")
            later, until = here, version
        if self.deprecated:
            remarks.append(f"deprecated since {self.deprecated}")
        return "; ".join(remarks)


def entries() -> list[Entry]:
    """Every operator that has a schema or is registered, by domain and name."""
    found: dict[tuple[str, str], Entry] = {}

    def entry(domain: str, name: str) -> Entry:
        return found.setdefault((domain, name), Entry(domain, name))

    for schema in defs.get_all_schemas_with_history():
        known = entry(schema.domain, schema.name)
        known.specified.append(schema.since_version)
        if schema.has_function or schema.has_context_dependent_function:
            known.bodies.add(schema.since_version)
        if schema.deprecated:
            known.deprecated = max(known.deprecated, schema.since_version)
    for schema in runtime.get_all_operator_schema():
        if schema.domain in _RUNTIME or (not schema.domain and schema.name in _EMITTED):
            entry(schema.domain, schema.name).specified.append(schema.since_version)
    for (domain, name), rules in registered().items():
        if all(rule.own for rule in rules):
            entry(domain, name).rules = rules
    for known in found.values():
        known.specified = sorted(set(known.specified))
    return [found[key] for key in sorted(found)]


def page() -> str:
    """The text of the page."""
    known = entries()
    return "\n".join(_lines(known)) + "\n"


def made_of() -> str:
    """What the page is made from: it is of other versions another one."""
    return f"onnx {onnx.__version__} and onnxruntime {onnxruntime.__version__}"


def _lines(known: list[Entry]) -> Iterator[str]:
    domains = sorted({e.domain for e in known})
    yield "# Operators"
    yield ""
    yield f"Made by `python docs/operators.py` from {made_of()}; not written by hand."
    yield ""
    yield "- *exact*: the bounds of every unit are what an experiment shows, borders included."
    yield "  *computed* says what is assumed where an input that steers the reads (indices, a"
    yield "  shape) is computed from the data; a note of the result then says so. *By its ONNX"
    yield "  body*: the operator is replaced by the operators that ONNX defines it by."
    yield "- *conservative*: never too small, but larger than what is read, for the reason given."
    yield "- *not known*: every output is assumed to read all of every input, with a note; an error"
    yield "  with `strict`. [Custom operators](custom-operators.md) tells how to change that."
    yield ""
    yield "| domain | " + " | ".join(STATUSES) + " |"
    yield "|---|" + "---:|" * len(STATUSES)
    for domain in domains:
        counts = [
            sum(e.status == status for e in known if e.domain == domain) for status in STATUSES
        ]
        yield f"| `{domain or 'ai.onnx'}` | " + " | ".join(map(str, counts)) + " |"
    for domain in domains:
        yield ""
        yield f"## {domain or 'ai.onnx'}"
        yield ""
        yield "| operator | specified since | known since | reads | |"
        yield "|---|---|---|---|---|"
        for e in known:
            if e.domain == domain:
                specified = ", ".join(map(str, e.specified))
                rules = ", ".join(str(rule.since) for rule in e.rules)
                yield f"| {e.name} | {specified} | {rules} | {e.status} | {e.remark} |"


_BEGIN = '''\
"""Which family has the transfers of which operators: it is imported when one is looked up.

Made by `python docs/operators.py` from what the families register; not written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping

# By family, a module of this package, and domain.
FAMILIES: Mapping[str, Mapping[str, str]] = {
'''


def table() -> str:
    """The text of the table of families."""
    homes: dict[str, dict[str, set[str]]] = {}
    for (domain, name), rules in registered().items():
        for rule in rules:
            if rule.own:
                family = rule.module.removeprefix("rfgraph.ops.")
                homes.setdefault(family, {}).setdefault(domain, set()).add(name)
    lines = []
    for family, domains in sorted(homes.items()):
        lines.append(f'    "{family}": {{')
        for domain, names in sorted(domains.items()):
            lines.append(f'        "{domain}": """')
            lines += textwrap.wrap(
                " ".join(sorted(names)), 100, initial_indent=" " * 12, subsequent_indent=" " * 12
            )
            lines.append('        """,')
        lines.append("    },")
    return _BEGIN + "\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    TABLE.write_text(table(), encoding="utf-8")
