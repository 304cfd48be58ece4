"""Generated expressions on generated resources answer as npm fhirpath does; data cannot raise."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.fhir.paths.compiled import Expression, Test, compile_expression, compile_test
from bridleway.fhir.paths.grammar import parse
from tests.fhir.node_tools import npm_fhirpath
from tests.fhir.paths.expressions import EXPRESSIONS
from tests.fhir.paths.references import ERROR, ours, same, theirs
from tests.fhir.paths.resources import PATIENT

QUIET = settings(
    deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip

_texts = st.sampled_from(["a", "b", "aa", "Ab", "1", "2.5", "true", "a b"])
_dates = st.sampled_from(["2014", "2014-01", "2014-01-25", "2015-06-30", "1999-12"])
_numbers = st.one_of(st.integers(-20, 20), st.sampled_from([0.5, 1.0, 2.25, -3.75, 10.1]))


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _lists(of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, min_size=1, max_size=3)


RESOURCES = st.builds(
    lambda found: {"resourceType": "Patient", **found},
    _some(
        active=st.booleans(),
        gender=_texts,
        birthDate=_dates,
        multipleBirthInteger=st.integers(0, 3),
        name=_lists(_some(use=_texts, family=_texts, given=_lists(_texts))),
        telecom=_lists(_some(system=_texts, value=_texts, rank=st.integers(1, 4))),
        extension=_lists(
            st.one_of(
                st.fixed_dictionaries({"url": _texts, "valueDecimal": _numbers}),
                st.fixed_dictionaries({"url": _texts, "valueString": _texts}),
                st.fixed_dictionaries({"url": _texts, "valueDate": _dates}),
                st.fixed_dictionaries({"url": _texts, "valueBoolean": st.booleans()}),
            )
        ),
    ),
)


def _written(value: Any) -> str:
    return f"({value})" if value < 0 else str(value)


_text_paths = st.sampled_from(
    ["gender", "name.family", "name.given", "name[0].given.first()", "telecom.value",
     "telecom.where(system = 'a').value", "extension.value.ofType(string)", "extension.url",
     "name.where(use = 'a' or family = 'b').family", "telecom[1].system"]
)  # fmt: skip
_number_paths = st.sampled_from(
    ["multipleBirth.ofType(integer)", "telecom.rank", "telecom.rank.first()", "name.count()",
     "extension.value.ofType(decimal)", "telecom.where(rank > 1).rank", "telecom[0].rank"]
)  # fmt: skip
_date_paths = st.sampled_from(["birthDate", "extension.value.ofType(date)"])
_boolean_paths = st.sampled_from(
    ["active", "name.exists()", "telecom.empty()", "extension.value.ofType(boolean)",
     "(name.given contains 'a')", "telecom.all(rank > 1)", "telecom.exists(rank = 2)"]
)  # fmt: skip
_text_changes = st.sampled_from(
    [".upper()", ".lower()", ".substring(1)", ".substring(0, 1)", ".replace('a', 'xy')",
     ".replaceMatches('[a-b]+', '<$0>'.substring(0, 1))", ".toString()", ".first()", ".last()", ".distinct()", ".trim()"]
)  # fmt: skip


@st.composite
def _expression(draw: st.DrawFn, kind: str, depth: int) -> str:
    """Draw an expression of a kind: text, number, date, boolean or list."""

    def inner(of: str) -> str:
        return draw(_expression(of, depth - 1))

    paths = {
        "text": _text_paths,
        "number": _number_paths,
        "date": _date_paths,
        "boolean": _boolean_paths,
    }
    literals = {
        "text": _texts.map(lambda text: f"'{text}'"),
        "number": _numbers.map(_written),
        "date": _dates.map(lambda text: f"@{text}"),
        "boolean": st.sampled_from(["true", "false", "{}"]),
    }
    if kind == "list":
        kind = draw(st.sampled_from(["text", "number", "boolean"]))
        form = draw(
            st.sampled_from(
                [
                    "{0} | {1}",
                    "({0}).union({1})",
                    "({0}).combine({1})",
                    "({0} | {1}).skip(1)",
                    "({0} | {1}).take(1)",
                    "({0}).intersect({1})",
                    "({0}).exclude({1})",
                    "({0}).distinct()",
                ]
            )
        )
        return form.format(inner(kind) if depth else draw(paths[kind]), draw(paths[kind]))
    if depth <= 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.one_of(paths[kind], literals[kind]))
    if kind == "text":
        form = draw(st.sampled_from(["change", "+", "&", "iif", "toString"]))
        if form == "change":
            return f"({inner('text')}){draw(_text_changes)}"
        if form == "iif":
            return f"iif({inner('boolean')}, {inner('text')}, {inner('text')})"
        if form == "toString":
            # A decimal's last zeros are written by some engines only.
            return f"(({inner('number')}) div 1).toString()"
        return f"({inner('text')} {form} {inner('text')})"
    if kind == "number":
        form = draw(
            st.sampled_from(
                [
                    "+",
                    "-",
                    "*",
                    "/",
                    "div",
                    "mod",
                    ".count()",
                    ".length()",
                    ".abs()",
                    ".indexOf('a')",
                    "0 -",
                ]
            )
        )
        if form in (".length()", ".indexOf('a')"):
            return f"({inner('text')}){form}"
        if form == ".count()":
            return f"({inner('list')}).count()"
        if form == ".abs()":
            return f"({inner('number')}).abs()"
        return (
            f"(0 - ({inner('number')}))"
            if form == "0 -"
            else f"({inner('number')} {form} {inner('number')})"
        )
    if kind == "date":
        return f"iif({inner('boolean')}, {inner('date')}, {inner('date')})"
    form = draw(
        st.sampled_from(
            ["compare", "compare", "logic", "logic", "not", "text", "in", "exists", "list", "is"]
        )
    )
    if form == "compare":
        operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~", "!~"]))
        of = draw(st.sampled_from(["text", "number", "date"]))
        return f"({inner(of)} {operator} {inner(of)})"
    if form == "logic":
        return f"({inner('boolean')} {draw(st.sampled_from(['and', 'or', 'xor', 'implies']))} {inner('boolean')})"
    if form == "not":
        return f"({inner('boolean')}).not()"
    if form == "text":
        test = draw(st.sampled_from(["startsWith", "endsWith", "contains"]))
        return f"({inner('text')}).{test}({inner('text')})"
    if form == "in":
        of = draw(st.sampled_from(["text", "number"]))
        return f"({inner(of)} in ({draw(paths[of])} | {inner(of)}))"
    if form == "is":
        return f"({draw(paths['text'])} is {draw(st.sampled_from(['string', 'code', 'uri', 'System.String']))})"
    if form == "list":
        return f"({inner('list')}){draw(st.sampled_from(['.empty()', '.exists()', '.isDistinct()', '.count() > 1']))}"
    return f"telecom.{draw(st.sampled_from(['exists', 'all']))}(rank {draw(st.sampled_from(['<', '=', '>=']))} {draw(literals['number'])})"


EXPRESSION = st.sampled_from(["text", "number", "date", "boolean", "list"]).flatmap(
    lambda kind: _expression(kind, 3)
)


def test_generated_expressions_answer_as_the_references() -> None:
    """On each, npm fhirpath agrees with us, or fhirpathpy does."""
    resources: list[Any] = []
    tasks: list[tuple[int, str]] = []

    @settings(QUIET, max_examples=400)
    @given(RESOURCES, EXPRESSION)
    def draw(resource: Any, expression: str) -> None:
        resources.append(resource)
        tasks.append((len(resources) - 1, expression))

    draw()
    agree = 0
    for (place, expression), told in zip(tasks, npm_fhirpath(resources, tasks), strict=True):
        mine, npm = ours(expression, resources[place]), told.get("values", ERROR)
        if same(mine, npm):
            agree += 1
            continue
        python = theirs(expression, resources[place])
        assert same(mine, python), (expression, resources[place], mine, npm, python)
    assert agree >= 0.98 * len(tasks)


_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), _texts, _dates,
    st.just(10**400), st.just("9" * 2_000),
)  # fmt: skip
_keys = st.sampled_from(
    ["resourceType", "name", "given", "_given", "value", "valueQuantity", "valueString", "system", "extension",
     "url", "birthDate", "_birthDate", "telecom", "rank", "gender", "contained", "code", "coding", "component"]
)  # fmt: skip
WILD = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4)
)
_ALL = [(text, kind) for kind, texts in EXPRESSIONS.items() for text in texts]


@settings(QUIET, max_examples=200)
@given(WILD, WILD, st.lists(st.sampled_from(_ALL), min_size=10, max_size=20))
def test_no_data_raises(node: Any, resource: Any, expressions: list[tuple[str, str]]) -> None:
    """Whatever the data is, expressions give lists of JSON and tests give booleans."""
    for text, kind in expressions:
        for value in _expressions(text, kind)[0](node, resource):
            assert value is None or isinstance(value, str | int | float | bool | dict | list)
        assert isinstance(_expressions(text, kind)[1](node, resource), bool)


@cache
def _expressions(text: str, kind: str) -> tuple[Expression, Test]:
    tree = parse(text)
    return compile_expression(tree, kind), compile_test(tree, kind)


@settings(QUIET, max_examples=300)
@given(st.sampled_from(_ALL), st.data())
def test_broken_text_is_refused_or_read(expression: tuple[str, str], data: st.DataObject) -> None:
    """An expression with a piece cut out or put in is read, or refused with a UsageError."""
    text, kind = expression
    place = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(
        st.sampled_from(
            ["", "(", ")", "'", ".", "@", "$this", " is ", "[", "\x00", "`", "{", "%", "é"]
        )
    )
    try:
        run = compile_expression(parse(text[:place] + put + text[place + cut :]), kind)
    except UsageError as error:
        assert error.where.startswith("column ") and error.sentence
    else:
        run(PATIENT, PATIENT)


def test_deep_and_wide_data_end() -> None:
    """Data nested ten thousand deep, and expressions that multiply, end without an answer."""
    deep: Any = {"resourceType": "Patient"}
    for _ in range(10_000):
        deep = {"resourceType": "Bundle", "entry": [{"resource": deep}]}
    test = compile_test(parse("descendants().where($this = %resource).exists()"), "Bundle")
    assert test(deep, deep) is False
    wide = {"resourceType": "Patient", "name": [{"given": ["x"] * 50}] * 200}
    text = "descendants().select(%resource.descendants().select(%resource.descendants()))"
    assert compile_expression(parse(text), "Patient")(wide, wide) == []
    doubled = (
        "name.family" + ".replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" * 20
    )
    assert compile_expression(parse(doubled), "Patient")({"name": [{"family": "a"}]}, {}) == []
    assert (
        compile_expression(parse("name.family * 2"), "Patient")(
            {"name": [{"family": 10**9_000}]}, {}
        )
        == []
    )
