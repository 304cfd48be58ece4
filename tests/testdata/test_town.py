"""The made-up town: the same for the same seed, any size, facts that hang together."""

from __future__ import annotations

from collections import Counter

import duckdb
import numpy as np
import pytest

from bridleway.errors import UsageError
from bridleway.sources.identifiers import nhs_number, postcode
from bridleway.testdata.names import AREAS
from bridleway.testdata.town import Town, make_town

EXTRACTS = ("housing", "health", "work")


@pytest.fixture(scope="module")
def town() -> Town:
    """The demo's town."""
    return make_town(60_000, 11)


@pytest.fixture(scope="module")
def engine(town: Town) -> duckdb.DuckDBPyConnection:
    """The town's tables side by side, for plain SQL."""
    made = duckdb.connect()
    for name in ("truth", "housing", "health", "visits", "work"):
        made.register(name, getattr(town, name))
    return made


def _ask(engine: duckdb.DuckDBPyConnection, text: str) -> list[float]:
    return [row[-1] for row in engine.execute(text).fetchall()]


def _same(left: Town, right: Town) -> bool:
    tables = ("truth", *EXTRACTS, "visits")
    return all(getattr(left, name).equals(getattr(right, name)) for name in tables)


def test_the_seed_decides_everything() -> None:
    """Same size and seed, same town; another seed, another town."""
    assert _same(make_town(500, 4), make_town(500, 4))
    assert not _same(make_town(500, 4), make_town(500, 5))


@pytest.mark.parametrize("people", [1, 2, 10, 999])
def test_any_size(people: int) -> None:
    """Even one person makes a town, with extracts of the same columns."""
    small = make_town(people, 7)
    assert small.truth.num_rows == people
    full = make_town(50, 7)
    for name in (*EXTRACTS, "visits"):
        assert getattr(small, name).schema == getattr(full, name).schema
        assert name == "visits" or getattr(small, name).num_rows <= people


@pytest.mark.parametrize(
    ("people", "seed", "duplicates"), [(0, 1, 0.0), (20_000_001, 1, 0.0), (5, -1, 0.0), (5, 1, 1.5)]
)
def test_impossible_towns_are_usage_errors(people: int, seed: int, duplicates: float) -> None:
    """What cannot be made is said in a sentence."""
    with pytest.raises(UsageError):
        make_town(people, seed, duplicates)


def test_identifiers_of_the_truth_are_valid_and_distinct(town: Town) -> None:
    """Nobody shares a number, and every postcode has the shape of one."""
    for name in ("nhs_number", "nino"):
        assert len(town.truth[name].unique()) == 60_000
    assert nhs_number.many(town.truth["nhs_number"].combine_chunks())[1].all()
    assert postcode.many(town.truth["postcode"].combine_chunks())[1].all()


def test_a_household_has_one_home(engine: duckdb.DuckDBPyConnection) -> None:
    """People of a household share address, area and tenure, and no other household has them."""
    unlike = _ask(
        engine,
        "SELECT count(*) FROM (SELECT household FROM truth GROUP BY household "
        "HAVING count(DISTINCT (uprn, address, postcode, area, ward, tenure, bedrooms, rent)) > 1)",
    )
    homes = _ask(
        engine, "SELECT count(DISTINCT household) - count(DISTINCT (address, postcode)) FROM truth"
    )
    assert unlike == [0] and homes == [0]


def test_areas_and_wards_are_the_public_lists(town: Town) -> None:
    """Twelve areas, four dozen wards, each of them lived in."""
    assert len(town.areas) == 12 and len(town.wards) == 48
    assert set(town.truth["area"].to_pylist()) == set(town.areas) == set(AREAS)
    assert set(town.truth["ward"].to_pylist()) == set(town.wards)


def test_facts_hang_together(engine: duckdb.DuckDBPyConnection) -> None:
    """Poor areas rent more; the old are disabled more often; the disabled earn less."""
    rent = _ask(
        engine,
        "SELECT avg((tenure = 'rent')::int) FROM truth WHERE area IN ('Castle Hill', 'Docklands') "
        "GROUP BY area ORDER BY area",
    )
    old = _ask(
        engine,
        "SELECT avg(disabled::int) FROM truth GROUP BY date_of_birth < '1956-01-01' "
        "ORDER BY date_of_birth < '1956-01-01'",
    )
    pay = _ask(
        engine,
        "SELECT avg(monthly_income) FROM truth WHERE date_of_birth < '2008-01-01' "
        "GROUP BY disabled ORDER BY disabled",
    )
    low = _ask(
        engine,
        "SELECT avg(low_income::int) FROM truth WHERE area IN ('Castle Hill', 'Docklands') "
        "GROUP BY area ORDER BY area",
    )
    assert rent[1] > rent[0] + 0.1
    assert old[1] > old[0] + 0.1
    assert pay[0] > pay[1] * 1.1
    assert low[1] > low[0] + 0.1


def test_rooms_are_not_told_by_the_ward(engine: duckdb.DuckDBPyConnection) -> None:
    """Columns that have nothing to do with each other vary freely."""
    assert min(_ask(engine, "SELECT count(DISTINCT bedrooms) FROM truth GROUP BY ward")) == 4


def test_rent_is_paid_by_those_who_rent(engine: duckdb.DuckDBPyConnection) -> None:
    """Owners have no rent; tenants have one, more for more rooms."""
    assert _ask(
        engine, "SELECT count(*) FROM truth WHERE (rent IS NULL) = (tenure IN ('rent', 'social'))"
    ) == [0]
    by_rooms = _ask(
        engine,
        "SELECT avg(rent) FROM truth WHERE tenure = 'rent' GROUP BY bedrooms ORDER BY bedrooms",
    )
    assert by_rooms == sorted(by_rooms)


@pytest.mark.parametrize("name", EXTRACTS)
def test_an_extract_has_one_row_per_person(town: Town, name: str) -> None:
    """After normalisation no number stands there twice, and each is one of the town's."""
    held = [
        nhs_number.one(number) for number in getattr(town, name)["nhs_number"].to_pylist() if number
    ]
    valid = [number.decode() for number in held if number]
    assert len(set(valid)) == len(valid)
    assert set(valid) <= set(town.truth["nhs_number"].to_pylist())
    bad = sum(town.mistyped[name][kind] for kind in ("missing", "wrong", "swapped", "short"))
    assert getattr(town, name).num_rows - len(valid) == bad


def test_each_organisation_knows_its_own_part(town: Town) -> None:
    """Nobody knows everybody, and the employment service knows no children."""
    shares = {name: getattr(town, name).num_rows / 60_000 for name in EXTRACTS}
    assert shares["housing"] == pytest.approx(0.97, abs=0.01)
    assert shares["health"] == pytest.approx(0.95, abs=0.01)
    assert 0.6 < shares["work"] < 0.9
    assert town.housing["uprn"].null_count > 0 and town.work["nino"].null_count > 0


def test_rows_say_what_the_truth_says(engine: duckdb.DuckDBPyConnection) -> None:
    """An extract's row is about the person whose number it holds."""
    unlike = _ask(
        engine,
        "SELECT count(*) FROM truth t JOIN health h USING (nhs_number) JOIN work w USING (nhs_number) "
        "WHERE t.disabled <> h.disabled OR t.date_of_birth <> h.date_of_birth "
        "OR t.monthly_income <> w.monthly_income OR t.last_name <> w.last_name",
    )
    assert unlike == [0]


def test_visits_are_none_to_many_per_person(town: Town) -> None:
    """The one table where a person has several rows."""
    often = Counter(Counter(town.visits["nhs_number"].drop_null().to_pylist()).values())
    assert max(often) > 3
    assert len(town.visits["nhs_number"].unique()) < town.health.num_rows


def test_duplicates_come_only_when_asked_for() -> None:
    """Asked for, people stand there twice under one number in two writings; the rest is as before."""
    plain, doubled = make_town(3_000, 5), make_town(3_000, 5, duplicates=0.05)
    assert plain.truth.equals(doubled.truth) and plain.visits.equals(doubled.visits)
    for name in EXTRACTS:
        before = Counter(getattr(plain, name)["nhs_number"].to_pylist())
        after = Counter(getattr(doubled, name)["nhs_number"].to_pylist())
        more = after - before
        assert not before - after
        assert 0.03 < more.total() / before.total() < 0.07
        people = Counter(nhs_number.one(number) for number in after.elements() if number)
        del people[b""]
        assert sum(1 for times in people.values() if times == 2) == more.total()
        assert max(people.values()) == 2


def test_names_are_of_many_origins(town: Town) -> None:
    """Names with accents are common enough to be met in every test."""
    names = town.truth["first_name"].to_pylist()
    assert 0.05 < np.mean([not name.isascii() for name in names]) < 0.5
    assert len(set(names)) > 80


def test_the_demos_question_shows_figures_and_withholding(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    """Most areas can be told, one or two are too small: both can be seen in the demo."""
    cells = engine.execute(
        "SELECT area, count(*) FILTER (tenure = 'rent' AND disabled AND low_income), count(*) "
        "FROM housing JOIN health USING (nhs_number) JOIN work USING (nhs_number) GROUP BY area"
    ).fetchall()
    assert len(cells) == 12
    small = [area for area, cell, base in cells if cell < 10 or base - cell < 10]
    assert 1 <= len(small) <= 2
