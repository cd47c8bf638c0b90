"""The page docs/measured-rules.md: what was measured on the faulty networks."""

from __future__ import annotations

from pathlib import Path

from corpus.faulty.measuring import CORPUS, Measured, Told, measure, without_rules

PAGE = Path(__file__).parents[3] / "docs" / "measured-rules.md"

HEAD = """# Rules, measured

How cnnlint does on networks whose faults somebody found: {networks} from questions, issues and papers, each with its
address, with what its author, an answer or the paper says is wrong, and with a repaired twin
([networks.toml](../tests/corpus/faulty/networks.toml)). This page is written by
`python -m tests.corpus.faulty --write`; a test says when it is stale.

A network stands for its fault: what the fault does not depend on, such as widths, is smaller where that makes it cheap,
and the entry says so. PyTorch's networks are measured as Keras files, since no other file says what they were trained
with; of their ONNX files only what they show is asked. Faults of data, labels or of how long somebody trained are in no
file: they are left out, or not counted ({unseen}). The networks were collected while the rules were written and knowing
what they look for, so these figures say how rules do on what they are for, and not what share of all faults is found.

**Recall** is the share of the networks that a rule should find something in, by their source, in which it does.
**Precision** is of warnings and errors, over all networks and twins: the share that the source names, or that was
looked at and judged right; rules that are a matter of opinion are left out. What no rule finds is at the end.
"""


def page(told: tuple[Told, ...]) -> str:
    """Return the page."""
    measured = measure(told)
    unseen = [network for network in CORPUS.network if network.unseen]
    missed = [each.network for each in told if each.network.codes and not each.found and not each.network.unseen]
    parts = [
        HEAD.format(networks=len(CORPUS.network), unseen=f"{len(unseen)} of them"),
        table(measured),
        "",
        "## What is not found",
        "",
        *(f"- {_cited(network.name, network.url)}: {network.missed or 'no reason is known.'}" for network in missed),
        *(
            f"- {_cited(network.name, network.url)}: no rule says it yet ({', '.join(network.rules)})."
            for network in CORPUS.network
            if network.name in without_rules()
        ),
        *(f"- {_cited(network.name, network.url)}, not counted: {network.unseen}" for network in unseen),
        "",
        "## Warnings that are judged wrong",
        "",
        *(f"- {each.rule} in {', '.join(each.networks)}: {each.why}" for each in CORPUS.judged if not each.right),
        "",
    ]
    return "\n".join(parts)


def table(measured: tuple[Measured, ...]) -> str:
    """Return recall and precision by rule, and in all, as a table in Markdown."""
    networks, found = sum(each.networks for each in measured), sum(each.found for each in measured)
    missing = len(without_rules())
    told, right = sum(each.told for each in measured), sum(each.right for each in measured)
    lacking = f"with {missing} that no rule is there for" if missing else ""
    total = f"| all | {lacking} | {_share(found, networks + missing)} | {_share(right, told)} |"
    return "\n".join(
        [
            "| Rule | | Recall | Precision |",
            "| --- | --- | --: | --: |",
            *(
                f"| [{each.code}](rules/{each.code}.md) | {each.name} | {_share(each.found, each.networks)}"
                f" | {_share(each.right, each.told)} |"
                for each in measured
            ),
            total,
        ]
    )


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "-"


def _cited(name: str, url: str) -> str:
    return f"[{name}]({url})"
