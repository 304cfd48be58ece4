"""The policy file of a node: strict defaults, a comment on each line."""

from __future__ import annotations

from pathlib import Path

from bridleway.documents import Document, read_yaml_file
from bridleway.errors import UsageError, nearest
from bridleway.model.policy import Policy
from bridleway.node.floor import rules_in

DEFAULT_TEXT = """\
# The floor of this node. A passport can only be stricter; the strictest of all touched nodes wins.
policy: 1
# preset: opensafely           # a floor by name (bridleway policy presets); rules only tighten it
rules:
  smallest_group: 10            # fewest distinct people in a released cell (and in its complement)
  complement: true              # the people of the cell's base outside it are protected too
  dominance: true               # sums: no one person may be most of a cell
  dominance_n: 2                # (n, k) rule: the n largest contributors together ...
  dominance_n_share_percent: 90 # ... may not hold more than this share of the cell
  dominance_p_percent: 10       # p % rule: nobody can estimate the largest closer than this
  homogeneity: true             # hide cells that tell that all (or none) have a sensitive value
  secondary: true               # hide further cells where margins would give a hidden one away
  together: true                # weigh all passports' questions together, and earlier answers
  hold: true                    # between data versions, cells in which a few changed stay as told
  cell_key: false               # move counts and sums by noise keyed to the people themselves
  rounding_counts: 5            # counts to the nearest multiple of this
  sum_significant_digits: 3     # sums, means and shares to this many significant digits
  rows_per_person: 10           # COUNT(*): at most so many rows of one person count in a cell
  most_cells: 5000              # a question may have at most so many cells, margins included
techniques: [local, federated, linked] # how this node will compute with others
callers: []                     # node ids whose people may ask; empty: every pinned node
budget: 200                     # different questions that one data version answers at most
worker: {seconds: 60, memory_mb: 4096} # what one piece of a question may take before it is killed
results_in_the_clear: false     # true: a passport may ask, in words, for results in the clear
"""

_KNOWN = {
    "policy", "preset", "rules", "techniques", "callers", "budget", "results_in_the_clear",
    "worker",
}  # fmt: skip
_LEAST_MEMORY_MB = 1000  # the program's own code takes most of it
_TECHNIQUES = ("local", "federated", "linked")


def read_policy(path: Path) -> Policy:
    """Read a node's policy file. Raises UsageError with file, line and remedy."""
    return policy_from(read_yaml_file(path))


def policy_from(document: Document) -> Policy:
    """Validate a policy document. Absent entries take the strict default."""
    body = document.value
    if not isinstance(body, dict) or body.get("policy") != 1:
        raise UsageError(
            "This is not a policy file.", "Start it with `policy: 1`.", where=document.name
        )
    for key in body:
        if key not in _KNOWN:
            raise UsageError(
                f"There is no policy entry '{key}'.{nearest(key, _KNOWN)}",
                "Correct or remove it.",
                where=document.where(key),
            )
    return Policy(
        rules=rules_in(document),
        techniques=_words(document, "techniques", _TECHNIQUES, _TECHNIQUES),
        callers=_words(document, "callers", (), None),
        budget=_whole(document, "budget", 200),
        results_in_the_clear=_flag(document, "results_in_the_clear"),
        worker_seconds=_limit(document, "seconds", 60, 1),
        worker_memory_mb=_limit(document, "memory_mb", 4096, _LEAST_MEMORY_MB),
    )


def _limit(document: Document, name: str, default: int, least: int) -> int:
    worker = document.value.get("worker", {})
    if not isinstance(worker, dict) or set(worker) - {"seconds", "memory_mb"}:
        raise UsageError(
            "'worker' is not what a worker may take.",
            "Write worker: {seconds: 60, memory_mb: 4096}.",
            where=document.where("worker"),
        )
    value = worker.get(name, default)
    if type(value) is not int or value < least:
        raise UsageError(
            f"'worker.{name}' is not a whole number, {least} or more.",
            f"Write {name}: {default}.",
            where=document.where("worker", name),
        )  # fmt: skip
    return value


def _words(
    document: Document, key: str, default: tuple[str, ...], known: tuple[str, ...] | None
) -> tuple[str, ...]:
    value = document.value.get(key, list(default))
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UsageError(
            f"'{key}' is not a list of words.", "Write [a, b].", where=document.where(key)
        )
    for word in value:
        if known is not None and word not in known:
            raise UsageError(
                f"'{word}' is not one of {key}.{nearest(word, known)}",
                f"Known: {', '.join(known)}.",
                where=document.where(key),
            )
    return tuple(value)


def _whole(document: Document, key: str, default: int) -> int:
    value = document.value.get(key, default)
    if type(value) is not int or value < 0:
        raise UsageError(
            f"'{key}' is not a whole number.", "Write 0 or more.", where=document.where(key)
        )
    return value


def _flag(document: Document, key: str) -> bool:
    value = document.value.get(key, False)
    if type(value) is not bool:
        raise UsageError(
            f"'{key}' is not true or false.", "Write one of them.", where=document.where(key)
        )
    return value
