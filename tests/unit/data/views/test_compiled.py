"""What is compiled gives DuckDB's values; what would not is left to DuckDB, and said so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from perennial.data.views import compiled_texts
from perennial.data.views.columns_read import columns_read
from perennial.data.views.compiled import Compiled, compile_view
from perennial.definitions import Column
from perennial.definitions.files import load_definitions
from perennial.serving import program_texts
from perennial.serving.program import Program
from tests.support.view_programs import COLUMNS, ROWS, Row, assert_alike, compiled

ROOT = Path(__file__).parents[4]
PARTS = ("year", "isoyear", "quarter", "month", "week", "day", "isodow", "hour", "minute", "second", "millisecond")
STRETCHES = ("year", "quarter", "month", "day", "hour", "minute", "second", "millisecond", "microsecond")

ARITHMETIC = """a + b; a - b; a * b; a // b; a % b; -a; abs(a); x + y; x - y; x * y; x / y; x % y; -x; abs(x);
a / b; a + x;
a * 1.5; x * 1.5; a + 1; 1 - a; a * 2; m + n; m - n; m * n; m / n; m + 1; m * a; m * x; m + 1.5; n * 1.25;
-m; abs(m); w + 1; w * m; w + n; a % 7; a // 10; mod(x, 3); 1 / x; 1 / (x - x); a * 0; (a + b) * 0; a + 0; x
* 0; hour(ts) * 60 + minute(ts)"""
FUNCTIONS = """sign(a); sign(x); sign(m); ceil(x); floor(x); trunc(x); round(x); ceil(a); floor(a); round(a); trunc(a);
round(x, 2); round(x, 0); round(x, 10); sqrt(x); sqrt(a); sqrt(m); ln(x); ln(a); log(x); log2(x); log10(m);
exp(x); pow(x, y); pow(a, b); x ^ 2; x ** 0.5; sin(x); cos(x); tan(x); asin(x); acos(x); atan(x); atan2(x,
y); cbrt(x); radians(x); degrees(x); pi() * x; isnan(x); isinf(x); isfinite(x); ln(abs(x) + 1); sin(2 * pi()
* hour(ts) / 24); greatest(a, b); least(a, b); greatest(x, y); least(x, y); greatest(x, 1, a); greatest(s,
u); least(m, n); greatest(a, 1.5); greatest(p, q); least(x, NULL)"""
COMPARISONS = """a = b; a <> b; a < b; a <= b; a > b; a >= b; x = y; x <> y; x < y; x <= y; x > y; x >= y; s = u;
s < u; s >=
u; p = q; p < q; ts = te; ts < te; d < e; ts > d; d <= ts; a = x; a < x; m < n; m = n; m < a; m > 1.5; m <
x; a > 1.5; x > 1.5; s = 'abc'; ts > '2019-01-01'; d >= '2020-02-29'; d = DATE '2020-02-29'; ts < TIMESTAMP
'2020-01-01 05:00:00'; w = m; w < a; x = x; a <> a; a IS DISTINCT FROM b; x IS NOT DISTINCT FROM y; s IS
DISTINCT FROM u; p IS TRUE; p IS NOT FALSE; a BETWEEN 1 AND 10; x BETWEEN y AND 3; s BETWEEN 'a' AND 'b'; ts
BETWEEN '2019-01-01' AND te; d NOT BETWEEN d AND e; a BETWEEN -5 AND x; a IN (1, 2, b); x IN (1, 2.5, y); s
IN ('a', 'abc', u); a NOT IN (1, 2); x IN (1.0, NULL); a IN (1, NULL); a IN (1, 1.5); d IN ('2020-02-29',
'1970-01-01'); m IN (1.5, 2.25); s IN ('a', NULL); a + b > 5; -a = 5; abs(a) > 5; sqrt(x) > 1; a - b = 0"""
LOGIC = """a IS NULL; x IS NOT NULL; p AND q; p OR q; NOT p; p AND q OR a > 0; p AND ln(x) > 0; p OR sqrt(x) > 1; NOT
(x < y); CASE WHEN p THEN a ELSE b END; CASE WHEN a > 0 THEN x END; CASE WHEN p THEN 1 WHEN q THEN 2.5 ELSE
a END; CASE a WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE s END; CASE WHEN x > 0 THEN ln(x) END; if(p, a, x);
if(a = 0, NULL, x / a); CASE WHEN p THEN m ELSE n END; CASE WHEN p THEN 'x' END; CASE WHEN a > 0 AND b > 0
THEN 'both' ELSE 'no' END; coalesce(a, b, 0); coalesce(x, a); coalesce(a, 1.5); coalesce(s, u, 'none');
coalesce(p, sqrt(x) > 1); coalesce(m, n); nullif(a, 0); nullif(x, y); nullif(s, ''); nullif(a, 1.5);
nullif(p, false); nullif(a + b, 0); ifnull(a, b)"""
CASTS = """CAST(a AS DOUBLE); CAST(x AS BIGINT); TRY_CAST(x AS BIGINT); CAST(x AS INTEGER); TRY_CAST(a AS INTEGER);
CAST(a AS SMALLINT); CAST(p AS INTEGER); CAST(p AS DOUBLE); CAST(a AS BOOLEAN); CAST(x AS BOOLEAN); CAST(m
AS DOUBLE); CAST(n AS DOUBLE); CAST(w AS DOUBLE); CAST(m AS BIGINT); TRY_CAST(w AS INTEGER); CAST(w AS
BIGINT); CAST(m AS DECIMAL(6,1)); TRY_CAST(n AS DECIMAL(8,2)); CAST(a AS DECIMAL(10,2)); TRY_CAST(a AS
DECIMAL(38,10)); CAST(m AS DECIMAL(10,4)); CAST(a AS VARCHAR); CAST(x AS VARCHAR); CAST(m AS VARCHAR);
CAST(w AS VARCHAR); CAST(p AS VARCHAR); CAST(d AS VARCHAR); CAST(ts AS VARCHAR); CAST(CAST(ts AS DATE) AS
VARCHAR); CAST(ts AS DATE) = d; CAST(d AS TIMESTAMP) = ts"""
MOMENTS = "; ".join(
    (
        *(f"{part}(ts); {part}(d); date_part('{part}', ts)" for part in PARTS),
        *(f"epoch(date_trunc('{stretch}', ts)); epoch(date_trunc('{stretch}', d))" for stretch in (*STRETCHES, "week")),
        *(f"date_diff('{each}', ts, te); datediff('{each}', d, e); date_diff('{each}', ts, d)" for each in STRETCHES),
        "epoch(ts); epoch(d); dayofweek(ts); weekday(d); dayofyear(ts); extract(doy FROM d); epoch_ms(ts); dayname(ts)",
        "epoch(te - ts) / 60; te - ts > INTERVAL 1 HOUR; te - ts BETWEEN INTERVAL 1 MINUTE AND INTERVAL 120 MINUTE",
        "te - ts <= INTERVAL '1 month 3 days'; d - e; day(te - ts); epoch(ts + INTERVAL 1 MONTH); monthname(d)",
        "epoch(ts - INTERVAL 13 MONTH); epoch(d + INTERVAL 1 DAY); epoch(ts + INTERVAL '90 minutes'); epoch(d - 7)",
        "year(d - INTERVAL 5 YEAR); week(ts - INTERVAL 1 YEAR); isodow(ts) IN (6, 7); ts - INTERVAL 1 DAY > te",
        "CAST(date_trunc('month', d) AS VARCHAR); date_trunc('month', d) = DATE '2020-02-01'; d - e > 5",
    )
)
TEXTS = """lower(s); upper(s); length(s); trim(s); ltrim(s); rtrim(s); trim(s, 'ax '); ltrim(s, 'a'); left(s, 2);
right(s, 2); right(s, 0); substr(s, 1, 2); substring(s, 2); substr(s, 3, 0); replace(s, u, 'Z'); replace(s,
'a', ''); replace(s, '', 'x'); s || u; s || a; concat(s, u, a); concat(s, '-', x); starts_with(s, u);
suffix(s, u); contains(s, u); contains(s, ''); position('b' IN s); strpos(s, u); s LIKE 'a%'; s LIKE '%b%';
s LIKE '%c'; s LIKE 'abc'; s LIKE ''; s LIKE 'a%c'; s LIKE '%a%b%'; s NOT LIKE '%x%'; s ILIKE 'A%'; s NOT
ILIKE '%B%'; s ILIKE 'i%'; lower(trim(s)) = 'x'; coalesce(nullif(trim(s), ''), 'none'); x; a; m; p; s; 'x';
1.5; true"""
GROUPS = {
    "arithmetic": ARITHMETIC,
    "functions": FUNCTIONS,
    "comparisons": COMPARISONS,
    "logic": LOGIC,
    "casts": CASTS,
    "moments": MOMENTS,
    "texts": TEXTS,
}


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_a_program_gives_the_values_of_the_engine_and_fails_where_it_fails(group: str, rows: list[Row]) -> None:
    assert_alike([expression.strip() for expression in GROUPS[group].split(";")], rows)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("regexp_matches(s, 'a')", "the function regexp_matches"),
        ("hash(s)", "the function hash"),
        ("s LIKE 'a_c'", "the function ~~ of (VARCHAR, VARCHAR)"),
        ("CAST(s AS DOUBLE)", "a cast of VARCHAR to DOUBLE"),
        ("CAST(x AS DECIMAL(8,2))", "a cast of DOUBLE to DECIMAL(8,2)"),
        ("CAST(a AS FLOAT)", "a cast of BIGINT to FLOAT"),
        ("a // 0", "a division by zero"),
        ("date_diff('week', ts, te)", "the function date_diff of (VARCHAR, TIMESTAMP, TIMESTAMP)"),
        ("CAST(d + 1 AS VARCHAR)", "the text of a DATE that was computed"),
        ("substr(s, -2)", "substring with a count below 1"),
        # The engine reads it as a > 4, which does not fail for the greatest a.
        ("a + 1 > 5", "a constant compared with what may fail"),
        # Which of the two comes first is up to the engine.
        ("CASE WHEN p AND a + b > 3 THEN 1 END", "AND or OR in a CASE's condition, of what may fail"),
        ("[a, b][1]", "the function list_value"),
        ("random()", "random gives another value each time"),
    ],
)
def test_what_is_not_reproduced_is_left_to_the_engine_with_a_reason(expression: str, reason: str) -> None:
    made = compiled(expression, categorical=False)
    assert made.program is None
    assert reason in made.reason


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("WITH h AS (SELECT * FROM t) SELECT a AS r FROM h", "without WITH"),
        ("SELECT (SELECT 1) AS r FROM t", "without a subquery"),
        ("SELECT a AS r FROM t WHERE a > 0", "without WHERE"),
        ("SELECT a AS other FROM t", "the column r has no name of its own"),
        ("SELECT * EXCLUDE (a), a AS r FROM t", "* with more to it"),
    ],
)
def test_a_select_of_another_shape_is_left_to_the_engine(sql: str, reason: str) -> None:
    made = compile_view("v", sql, "t", COLUMNS, {"r": False})
    assert made.program is None
    assert reason in made.reason


def test_names_stand_for_columns_of_the_table_first_and_for_earlier_columns_of_the_select_then() -> None:
    sql = "SELECT a + 1 AS b, T.B AS kept, B * 2 AS twice, twice + 1 AS more, * FROM t"
    made = compile_view("v", sql, "t", COLUMNS, {"kept": False, "twice": False, "more": False, "x": False})
    assert made.program is not None, made.reason
    row = {**dict.fromkeys(COLUMNS), "a": 1, "b": 10, "x": 0.5}
    assert Program.read(made.program).run(row) == [10.0, 20.0, 21.0, 0.5]


def of_view(folder: Path, name: str) -> tuple[Compiled, dict[str, Column]]:
    definitions = load_definitions(folder)
    view = definitions.view(name)
    columns = definitions.dataset(view.dataset).columns
    inputs = {each: columns[each] for each in columns_read(view, columns)}
    model = next(each for each in definitions.models.values() if name in each.features)
    texts = [each for each in model.features[name] if each in columns and columns[each].type == "string"]
    wanted = {column: column in texts for column in model.features[name]}
    return compile_view(view.name, view.sql, view.dataset, inputs, wanted), inputs


@pytest.mark.parametrize(
    ("folder", "view"),
    [
        ("layers/definitions", "trip_context"),
        ("docs/examples/flats", "flat"),
        ("docs/examples/churn", "statement"),
    ],
)
def test_the_views_that_come_with_perennial_are_compiled_and_survive_json(folder: str, view: str) -> None:
    made, _ = of_view(ROOT / folder, view)
    assert made.program is not None, made.reason
    assert Program.read(json.loads(json.dumps(made.program))).view == view


def test_compiling_twice_makes_the_same_program() -> None:
    assert of_view(ROOT / "layers/definitions", "trip_context") == of_view(ROOT / "layers/definitions", "trip_context")


def test_both_sides_mean_the_same_spaces() -> None:
    assert compiled_texts.SPACES == program_texts.SPACES
