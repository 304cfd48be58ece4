"""Who is in which class of an extract: what later extracts of the same people are held to.

Whoever has several extracts, and knows what one person's quasi-identifiers became in each, looks
for the person where their classes meet (intersection, composition: Ganta, Kasiviswanathan and Smith
2008); whoever knows who came or went looks at the people who are in some alone (differencing). So
each meeting of classes of *all* extracts has to meet every recipe itself: two by two is not enough,
as three that are safe in pairs can meet in one person.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.extract import models
from bridleway.extract.classes import Classes, Unit
from bridleway.extract.keys import Numbers
from bridleway.extract.models import Floats
from bridleway.extract.recipe import LEAST_L, Recipe, Sensitive

Marks = NDArray[np.uint64]
_PROMISE = b"promise"


@dataclass(frozen=True)
class Promise:
    """What an extract promised of every class: k people, and what holds of sensitive columns."""

    k: int
    sensitive: tuple[Sensitive, ...] = ()

    @classmethod
    def of(cls, recipe: Recipe) -> Promise:
        """Return what a recipe promises."""
        return cls(recipe.k, recipe.sensitive)

    def to_json(self) -> str:
        """Return it as text. Orders and hierarchies are left out: they are not looked at."""
        columns = [
            {name: value for name, value in asdict(one).items() if name in _PROMISED}
            for one in self.sensitive
        ]
        return json.dumps({"k": self.k, "sensitive": columns})

    @classmethod
    def from_json(cls, text: str) -> Promise:
        """Read what `to_json` wrote."""
        told = json.loads(text)
        columns = []
        for one in told["sensitive"]:
            recursive = one.pop("recursive")
            columns.append(Sensitive(**one, recursive=recursive and (recursive[0], recursive[1])))
        return cls(told["k"], tuple(columns))


_PROMISED = frozenset({"name", "distinct", "entropy", "recursive", "t", "beta", "enhanced"})


@dataclass(frozen=True)
class Members:
    """People by class. One entry per row that left.

    marks: whose it is, keyed; classes: which class it is in; values: per sensitive column the
    code of its value in `names`; promise: what the extract promised.
    """

    marks: Marks
    classes: Numbers
    values: dict[str, Numbers]
    names: dict[str, tuple[str | None, ...]]
    promise: Promise

    def to_bytes(self) -> bytes:
        """Return it as Arrow bytes."""
        columns: dict[str, Any] = {"mark": self.marks, "class": self.classes}
        for name, codes in self.values.items():
            known = pa.array(self.names[name], pa.string())
            columns[f"v_{name}"] = pa.DictionaryArray.from_arrays(codes.astype(np.int32), known)
        table = pa.table(columns).replace_schema_metadata({_PROMISE: self.promise.to_json()})
        with io.BytesIO() as sink:
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            return sink.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Members:
        """Read what `to_bytes` wrote."""
        table = pa.ipc.open_file(pa.py_buffer(data)).read_all().combine_chunks()
        values, names = {}, {}
        for column in table.column_names[2:]:
            coded = _coded(table[column])
            values[column[2:]], names[column[2:]] = coded
        marks = np.asarray(table["mark"]).astype(np.uint64)
        promise = Promise.from_json(table.schema.metadata[_PROMISE].decode())
        return cls(marks, np.asarray(table["class"]).astype(np.int64), values, names, promise)


def members_of(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    recipe: Recipe,
    mark: Callable[[pa.ChunkedArray], Marks],
) -> Members:
    """Read the rows of `engine.members`: quasi-identifiers, sensitive columns, and the person.

    mark: people -> keyed marks, the same for the same person in every extract of a node.
    """
    table = pa.Table.from_batches(batches, schema)
    classes = np.zeros(table.num_rows, dtype=np.int64)
    for one in recipe.quasi:
        codes, known = _coded(table[one.name])
        classes = np.unique(classes * (len(known) + 1) + codes, return_inverse=True)[1]
    values, names = {}, {}
    for column in recipe.sensitive:
        values[column.name], names[column.name] = _coded(table[column.name])
    people = mark(table[table.num_columns - 1])
    return Members(people, classes, values, names, Promise.of(recipe))


def _coded(column: pa.ChunkedArray) -> tuple[Numbers, tuple[str | None, ...]]:
    plain = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
    coded = pc.dictionary_encode(plain, null_encoding="encode").combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = (
            coded.chunk(0) if coded.num_chunks else pa.array([], pa.string()).dictionary_encode()
        )
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, tuple(coded.dictionary.to_pylist())


def together_safe(new: Members, old: Sequence[Members]) -> bool:
    """Tell whether all extracts together still keep what each of them promised.

    Looked at is every set of people that somebody with all of them can tell apart: those who are
    in one class of each, or not in it at all. Each has at least the largest k of them all, and
    meets every model that any of them promised of the sensitive columns that it is seen in; a
    column of which nothing was promised has at least two values in each.
    """
    if not old:
        return True
    every = (new, *old)
    least = max(one.promise.k for one in every)
    asked = tuple(column for one in every for column in one.promise.sensitive)
    cells = _Cells(every)
    for side in cells.sides:
        if (side.classes(None, cells.number).size < least).any():
            return False
        for name in side.members.values:
            classes = side.classes(name, cells.number)
            models_ = _models(asked, name, classes, len(side.members.names[name]))
            if any(bool(model.fails(classes, ()).any()) for model in models_):
                return False
    return True


@dataclass(frozen=True)
class _Side:
    """The rows of one extract. cell: where its person stands in all; person: which it is."""

    members: Members
    cell: Numbers
    person: Numbers

    def classes(self, column: str | None, people: int) -> Classes:
        """Return the cells as classes, with the values of a column."""
        cells, owner = np.unique(self.cell, return_inverse=True)
        sizes: tuple[int, ...] = ()
        extras = [self.person]
        if column is not None:
            sizes = (len(self.members.names[column]),)
            extras.insert(0, self.members.values[column])
        counts = np.ones(len(self.cell), dtype=np.int64)
        return Classes(len(cells), owner, counts, extras, Unit(sizes, people))


class _Cells:
    """The rows of every extract, by where their person stands in all of them."""

    def __init__(self, every: Sequence[Members]) -> None:
        known, place = np.unique(np.concatenate([one.marks for one in every]), return_inverse=True)
        self.number = len(known)
        ends = np.cumsum([len(one.marks) for one in every])
        people = np.split(place, ends[:-1])
        profiles = [
            _profiles(one, person, self.number) for one, person in zip(every, people, strict=True)
        ]
        self.sides = []
        for at, (one, person) in enumerate(zip(every, people, strict=True)):
            elsewhere = np.zeros(self.number, dtype=np.int64)
            for other, profile in enumerate(profiles):
                if other != at:
                    elsewhere = np.unique(_pair(elsewhere, profile), return_inverse=True)[1]
            self.sides.append(_Side(one, _pair(one.classes, elsewhere[person]), person))


def _profiles(members: Members, person: Numbers, number: int) -> Numbers:
    """Return which classes each person stands in, as one number; 0 for none."""
    made = np.zeros(number, dtype=np.int64)
    pairs = np.unique(np.stack([person, members.classes + 1], axis=1), axis=0)
    starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
    several = np.diff(np.append(starts, len(pairs))) > 1
    made[pairs[starts, 0]] = pairs[starts, 1]
    if several.any():  # a person with rows in several classes is known by all of them
        known: dict[tuple[int, ...], int] = {}
        base = int(members.classes.max()) + 2
        ends = np.append(starts[1:], len(pairs))
        for start, end in zip(starts[several], ends[several], strict=True):
            profile = tuple(pairs[start:end, 1].tolist())
            made[pairs[start, 0]] = known.setdefault(profile, base + len(known))
    return made


def _pair(mine: Numbers, theirs: Numbers) -> Numbers:
    return np.asarray(mine * (int(theirs.max(initial=0)) + 1) + theirs)


def _models(
    asked: Sequence[Sensitive], name: str, classes: Classes, number: int
) -> list[models.Model]:
    mine = [one for one in asked if one.name == name]
    if not mine:
        return [models.DistinctL(0, LEAST_L)]
    pairs = classes.pairs(0)
    spread = np.bincount(pairs.value, pairs.weight, number)
    q = np.asarray(spread / max(spread.sum(), 1))
    return [model for one in mine for model in _models_of(one, q)]


def _models_of(one: Sensitive, q: Floats) -> list[models.Model]:
    return [
        *([models.DistinctL(0, one.distinct)] if one.distinct is not None else ()),
        *([models.EntropyL(0, one.entropy)] if one.entropy is not None else ()),
        *([models.RecursiveCL(0, *one.recursive)] if one.recursive is not None else ()),
        *([models.BetaLikeness(0, one.beta, q, one.enhanced)] if one.beta is not None else ()),
        *([models.TCloseness(0, one.t, q, "equal", None)] if one.t is not None else ()),
    ]
