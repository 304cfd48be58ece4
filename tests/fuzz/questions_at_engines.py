"""Generated questions against a real engine: none makes an engine error that a caller could see.

Questions are made from the grammar, over columns of every type, with constants of the wrong type,
beyond bounds and on every edge; some are then damaged or spiced with hostile SQL. Whatever parses
and checks is planned, run at DuckDB over nasty rows, counted and cleared by the product's own
code. The outcome is an answer, or an error that names what is wrong with the question; an engine's
error, a Fault, or any other exception is a failure. One seed replays each.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from bridleway.errors import BridlewayError, Gap, Refused, UsageError
from bridleway.model.policy import Rules
from bridleway.node.meeting import clear_combined, combined_of
from bridleway.node.protect import Marks, frame_of
from bridleway.node.rehearsal import rehearsal_grant
from bridleway.questions.plan import plan
from bridleway.sources.run import run
from bridleway.techniques.frames import to_ipc
from tests.attacks.lab import Lab, column

RULES = Rules(smallest_group=1, rounding_counts=1, together=False, hold=False)
COLUMNS = (
    column("cat", "text", domain=("a", "b", "it's", "%x_", "é", None)),
    column("word", "text", "quasi-identifier"),
    column("flag", "boolean", "sensitive", domain=(True, False)),
    column("num", "integer", bounds=(Decimal(-100), Decimal(100))),
    column("big", "integer"),
    column("level", "integer", domain=(1, 2, 3)),
    column("money", "decimal", scale=2, bounds=(Decimal("-10.50"), Decimal(5000))),
    column("loose", "decimal", "sensitive", scale=6),
    column("day", "date", "quasi-identifier"),
    column("due", "date", domain=("2020-01-01", "2024-02-29")),
)
NAMES = [c.name for c in COLUMNS]
TEXTS = ["a", "b", "it's", "%x_", "é", "e\u0301", "", " ", "1e3", "0x10", "１２", "NaN", "null",
         "true", "0000-00-00", "\\", "'", "--", "a" * 150, "0", "-0"]  # fmt: skip
NUMBERS = ["0", "1", "-1", "2.50", "0.000001", "99999999", "-99999999", "123456789012", "3.14159",
           "00012", "0.10", "100", "-10.50", "5000", "999999999999.999999"]  # fmt: skip
DAYS = ["DATE '2020-01-01'", "DATE '2024-02-29'", "DATE '1900-01-01'", "DATE '9999-12-31'",
        "DATE '0001-01-01'", "DATE '1970-01-01'"]  # fmt: skip
HOSTILE = ["; DROP TABLE people", "-- x", "/* x */", "query('select 1')", "read_csv('/etc/passwd')",
           "UNION SELECT 1", "error(word)", "getenv('HOME')", "arg_max(word, num)", "rowid",
           "OVER ()", "LIMIT 0", "HAVING 1=1", "num / 0", "num % 0", "'a' || word", "\x00",
           "\u202e", "CAST(word AS INT)", "(SELECT 1)", "1 = 1", "now()", "random()", "$1", "?"]  # fmt: skip


def _rows() -> list[dict[str, Any]]:
    chance = random.Random(3)
    pick = chance.choice
    return [
        {
            "cat": pick(["a", "b", "it's", "%x_", "é", "zzz", None]),
            "word": pick([*TEXTS, None]),
            "flag": pick([True, False, None]),
            "num": pick([-100, 0, 1, 7, 100, 5_000, -(2**62), 2**62, None]),
            "big": pick([0, 1, -(2**63), 2**63 - 1, None]),
            "level": pick([1, 2, 3, 4, None]),
            "money": pick([Decimal("-10.50"), Decimal("0.005"), Decimal("99999.999999"), None]),
            "loose": pick([Decimal("0.000001"), Decimal("-999999999999.999999"), None]),
            "day": pick([date(1, 1, 1), date(2020, 2, 29), date(9999, 12, 31), None]),
            "due": pick([date(2020, 1, 1), date(2024, 2, 29), date(2021, 1, 1), None]),
        }
        for _ in range(40)
    ]


class Maker:
    """Makes questions from one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def constant(self) -> str:
        """Return a constant of any type."""
        kind = self.chance.randrange(5)
        if kind == 0:
            return "'" + self.chance.choice(TEXTS).replace("'", "''") + "'"
        if kind < 3:
            return self.chance.choice(NUMBERS)
        return self.chance.choice(DAYS) if kind == 3 else self.chance.choice(["TRUE", "FALSE"])

    def fitting(self, name: str) -> str:
        """Return a constant that mostly fits a column."""
        if self.chance.random() < 0.12:
            return self.constant()
        if name in ("cat", "word"):
            return "'" + self.chance.choice(TEXTS).replace("'", "''") + "'"
        if name == "flag":
            return self.chance.choice(["TRUE", "FALSE"])
        return self.chance.choice(DAYS if name in ("day", "due") else NUMBERS)

    def scalar(self, depth: int = 0) -> str:
        """Return a number."""
        kind = self.chance.randrange(7) if depth < 3 else 0
        if kind < 3:
            return self.chance.choice(["num", "money", "big", "loose", "level"])
        if kind == 3:
            return self.chance.choice(NUMBERS)
        if kind < 6:
            op = self.chance.choice("+-*")
            return f"({self.scalar(depth + 1)} {op} {self.scalar(depth + 1)})"
        return (
            f"CASE WHEN {self.predicate(depth + 2)} THEN {self.scalar(depth + 1)}"
            + (f" ELSE {self.scalar(depth + 1)}" if self.chance.random() < 0.6 else "")
            + " END"
        )

    def predicate(self, depth: int = 0) -> str:
        """Return a condition."""
        kind = self.chance.randrange(10) if depth < 4 else self.chance.randrange(5)
        name = self.chance.choice(NAMES)
        op = self.chance.choice(["=", "<>", "<", "<=", ">", ">="])
        if kind < 2:
            return f"{name} {op} {self.fitting(name)}"
        if kind == 2:
            listed = ", ".join(self.fitting(name) for _ in range(self.chance.randint(1, 4)))
            return f"{name} {self.chance.choice(['', 'NOT '])}IN ({listed})"
        if kind == 3:
            return f"{name} IS {self.chance.choice(['', 'NOT '])}NULL"
        if kind == 4:
            pattern = "".join(self.chance.choices(["%", "_", "a", "it''s", "é", "x"], k=3))
            return f"{self.chance.choice(['cat', 'word', name])} LIKE '{pattern}'"
        if kind == 5:
            return f"{name} BETWEEN {self.fitting(name)} AND {self.fitting(name)}"
        if kind == 6:
            return f"{self.scalar(2)} {op} {self.scalar(2)}"
        if kind == 7:
            return f"NOT ({self.predicate(depth + 1)})"
        joined = self.chance.choice([" AND ", " OR "])
        parts = (self.predicate(depth + 1) for _ in range(self.chance.randint(2, 3)))
        return "(" + joined.join(parts) + ")"

    def question(self) -> str:
        """Return a whole question."""
        chance = self.chance
        groups = []
        for name in chance.sample(
            ["cat", "flag", "level", "due", "word", "num"], chance.randint(0, 2)
        ):
            groups.append((name, name))
        if chance.random() < 0.2:
            case = f"CASE WHEN {self.predicate(2)} THEN 'x' WHEN {self.predicate(3)} THEN 'y' END"
            groups.append((f"{case} AS band", "band"))
        measures = ["COUNT(DISTINCT person) AS n"] if chance.random() < 0.8 else ["COUNT(*) AS n"]
        for number in range(chance.randint(0, 2)):
            function = chance.choice(["SUM", "AVG", "VAR_SAMP", "STDDEV_POP", "PROPORTION"])
            inside = self.predicate(2) if function == "PROPORTION" else self.scalar()
            measures.append(f"{function}({inside}) AS m{number}")
        text = "SELECT " + ", ".join([*(g for g, _ in groups), *measures]) + " FROM people"
        if chance.random() < 0.7:
            text += f" WHERE {self.predicate()}"
        if groups:
            names = ", ".join(name for _, name in groups)
            form = chance.choice(["{}", "{}", "ROLLUP ({})", "CUBE ({})"])
            text += " GROUP BY " + form.format(names)
        if chance.random() < 0.2:
            text += f" ORDER BY {chance.choice(['n', '1', 'm0'])} DESC"
        if chance.random() < 0.1:
            text += f" LIMIT {chance.randint(1, 9)}"
        return self.damaged(text) if chance.random() < 0.25 else text

    def damaged(self, text: str) -> str:
        """Return a text with hostile words in it, or with some of it missing or doubled."""
        words = text.split(" ")
        at = self.chance.randrange(len(words))
        kind = self.chance.randrange(4)
        if kind == 0:
            words[at] = self.chance.choice(HOSTILE)
        elif kind == 1:
            words.insert(at, self.chance.choice(HOSTILE))
        elif kind == 2:
            del words[at]
        else:
            words.insert(at, words[self.chance.randrange(len(words))])
        return " ".join(words)


class Engine:
    """Runs a question to its end."""

    def __init__(self) -> None:
        self.lab = Lab(COLUMNS, _rows(), RULES)

    def outcome(self, text: str) -> str:
        """Return what became of a question: 'answered', an error's class, or 'FAILED ...'."""
        try:
            question = self.lab.parse(text)
            facts = self.lab.facts
            one = facts["people"] if isinstance(facts, dict) else facts
            grant = rehearsal_grant(question, {"people": [one]}, "local", RULES)
            share = replace(grant.shares[0], versions={one.source_id: "1"})
            grant = replace(grant, shares=(share,))
            made = plan(grant)
        except (UsageError, Refused, Gap) as error:
            return type(error).__name__ if _plain(error) else f"FAILED words: {error}"
        except Exception as error:
            return f"FAILED {type(error).__name__} before the engine: {str(error)[:80]}"
        try:
            task = made.tasks[0]
            marks = Marks(bytes(32), bytes(32))
            rows = run(self.lab.source, one, task)  # type: ignore[arg-type]
            frame, _ = frame_of(rows, task, lambda _: bytes(32), marks)
            parts = {(one.node, "people"): to_ipc(frame)}
            combined, _ = combined_of(grant, made, parts)
            clear_combined(combined, grant, made.recipe, ())
        except Refused as error:
            return "Refused late" if _plain(error) else f"FAILED words: {error}"
        except Exception as error:
            return f"FAILED {type(error).__name__} at the engine: {str(error)[:80]}"
        return "answered"


def _plain(error: BridlewayError) -> bool:
    told = f"{error.sentence} {error.remedy}"
    return len(told) < 2_000 and not any(ord(c) < 32 for c in told) and "duckdb" not in told.lower()


def look(first: int, count: int) -> dict[str, Any]:
    """Try the questions of `count` seeds from `first` on."""
    engine = Engine()
    seen: Counter[str] = Counter()
    failures = []
    for seed in range(first, first + count):
        told = engine.outcome(Maker(seed).question())
        if told.startswith("FAILED"):
            failures.append({"seed": seed, "told": told})
            told = "FAILED"
        seen[told] += 1
    return {"seen": dict(seen), "failures": failures}


def main() -> None:
    """Run from the command line, on all cores; print the report as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    told = parser.parse_args()
    started = time.perf_counter()
    size = 2_000
    starts = [(told.seed + i, min(size, told.count - i)) for i in range(0, told.count, size)]
    seen: Counter[str] = Counter()
    failures: list[Any] = []
    with multiprocessing.get_context("spawn").Pool() as pool:
        for made in pool.starmap(look, starts, chunksize=1):
            seen.update(made["seen"])
            failures += made["failures"]
    report = {
        "count": sum(seen.values()),
        "failures": len(failures),
        "first": failures[:10],
        "outcomes": dict(seen),
        "per_second": round(told.count / (time.perf_counter() - started)),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
