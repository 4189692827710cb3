"""Which views can be computed for some of their entities alone."""

from __future__ import annotations

import pytest

from perennial.data.views.locality import is_entity_local
from perennial.definitions import FeatureView
from perennial.definitions.files import Definitions


def view(sql: str, entity: tuple[str, ...] = ("zone",)) -> FeatureView:
    return FeatureView(
        name="past", kind="stored", dataset="rides", reads=("prices",), entity=entity, feature_time="t", sql=sql
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT zone, began AS t, miles FROM rides",
        "FROM rides",
        "SELECT Zone, max(began) AS t FROM rides GROUP BY zone",
        "SELECT zone, day(began) AS d, max(began) AS t FROM rides GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1",
        "SELECT zone, began AS t, count(*) AS n FROM rides GROUP BY ALL",
        "SELECT DISTINCT zone, began AS t FROM rides WHERE miles > 1",
        "SELECT zone, began AS t, sum(miles) OVER w AS s FROM rides WINDOW w AS (PARTITION BY zone ORDER BY began)",
        "WITH d AS (SELECT zone, began AS t, count(*) AS n FROM rides GROUP BY ALL) SELECT zone, t, n FROM d",
        "SELECT zone, began AS t FROM rides QUALIFY row_number() OVER (PARTITION BY zone, began ORDER BY miles) = 1",
        "SELECT DISTINCT ON (zone) zone, began AS t FROM rides ORDER BY began",
        "SELECT r.zone, r.began AS t, max(p.price) AS p FROM rides r LEFT JOIN prices p ON p.since < r.began "
        "GROUP BY ALL",
        "SELECT r.zone, r.began AS t, p.price FROM rides r ASOF LEFT JOIN prices p ON r.zone = p.zone AND "
        "r.began >= p.since",
        "SELECT zone, began AS t, price FROM rides JOIN prices USING (zone)",
        "SELECT a.zone, a.began AS t, b.miles FROM rides a JOIN rides b ON a.zone = b.zone AND b.began < a.began",
        "SELECT zone, a.began AS t, b.miles FROM rides a JOIN rides b USING (zone)",
        "SELECT s.zone, s.t FROM (SELECT zone, max(began) AS t FROM rides GROUP BY zone) s",
    ],
)
def test_a_view_of_each_entity_s_own_rows_is_local(sql: str) -> None:
    assert is_entity_local(view(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT zone, began AS t, rank() OVER (ORDER BY miles) AS r FROM rides",
        "SELECT zone, began AS t, sum(miles) OVER () AS s FROM rides",
        "SELECT zone, began AS t, sum(miles) OVER (PARTITION BY kind) AS s FROM rides",
        "SELECT any_value(zone) AS zone, max(began) AS t FROM rides GROUP BY kind",
        "SELECT zone + 1 AS zone, began AS t FROM rides",
        "SELECT kind AS zone, began AS t FROM rides",
        "SELECT zone, began AS t FROM rides LIMIT 5",
        "SELECT zone, began AS t FROM rides USING SAMPLE 10%",
        "SELECT zone, began AS t, (SELECT avg(miles) FROM rides) AS m FROM rides",
        "SELECT zone, began AS t FROM rides WHERE miles > (SELECT avg(miles) FROM rides)",
        "SELECT zone, began AS t FROM rides WHERE zone IN (SELECT zone FROM rides)",
        "SELECT zone, began AS t FROM rides UNION ALL SELECT zone, began FROM rides",
        "SELECT a.zone, a.began AS t, b.miles FROM rides a JOIN rides b ON b.began < a.began",
        "SELECT a.zone, a.began AS t, b.miles FROM rides a JOIN rides b ON a.zone > b.zone",
        "SELECT a.zone, a.began AS t FROM rides a JOIN rides b ON a.kind = b.kind OR a.zone = b.zone",
        "SELECT p.zone, p.since AS t, count(r.miles) AS n FROM prices p LEFT JOIN rides r ON r.zone = p.zone "
        "GROUP BY ALL",
        "SELECT p.zone, p.since AS t FROM prices p JOIN rides r ON r.zone = p.zone",
        "SELECT r.zone, r.began AS t FROM rides r RIGHT JOIN prices p ON r.zone = p.zone",
        "SELECT r.zone, r.began AS t FROM rides r FULL JOIN prices p ON r.zone = p.zone",
        "WITH m AS (SELECT avg(miles) AS m FROM rides) SELECT zone, began AS t, m FROM rides, m",
        "SELECT DISTINCT ON (kind) zone, began AS t FROM rides",
        "SELECT zone, t FROM (SELECT DISTINCT began AS t FROM rides) JOIN (SELECT DISTINCT zone FROM rides) ON true",
        "SELECT zone, began AS t, unnest([1, 2]) AS u FROM rides",
        "SELECT zone, began AS t FROM rides GROUP BY GROUPING SETS ((zone, began), (began))",
        # Where no partner is found b.zone is null, for rows of every zone.
        "SELECT a.zone, a.began AS t, count(*) OVER (PARTITION BY b.zone) AS n FROM rides a LEFT JOIN rides b "
        "ON a.zone = b.zone AND b.began < a.began",
        "SELECT DISTINCT ON (b.zone) a.zone, a.began AS t FROM rides a LEFT JOIN rides b USING (zone, kind) "
        "ORDER BY a.began",
        "SELECT a.zone, a.began AS t, count(*) OVER (PARTITION BY b.zone) AS n FROM rides a ASOF LEFT JOIN rides b "
        "ON a.zone = b.zone AND a.began > b.began",
        # A schema names the dataset itself, whatever WITH has made of its name.
        "WITH a AS (SELECT * FROM rides), rides AS (SELECT * FROM prices), m AS (SELECT avg(miles) AS m FROM "
        "main.rides) SELECT a.zone, a.began AS t, m FROM a, m",
        # Fields of structs that are named like tables and columns.
        "SELECT s.*, began AS t FROM (SELECT {'zone': day(began)} AS s, zone, began FROM rides) q",
        "SELECT s.zone, d.began AS t, count(*) OVER (PARTITION BY d.s.zone) AS n FROM rides s JOIN (SELECT zone, "
        "began, {'zone': day(began)} AS s FROM rides) d ON s.zone = d.zone",
        "SELECT zone, began AS t FROM (SELECT COLUMNS(c -> c = 'zone') % 3, zone, began FROM rides)",
    ],
)
def test_a_view_that_may_look_at_other_entities_is_not(sql: str) -> None:
    assert not is_entity_local(view(sql))


def test_all_of_an_entity_s_columns_count() -> None:
    two = ("zone", "kind")
    assert is_entity_local(view("SELECT zone, kind, max(began) AS t FROM rides GROUP BY ALL", two))
    assert not is_entity_local(
        view("SELECT zone, kind, began AS t, sum(miles) OVER (PARTITION BY zone) AS s FROM rides", two)
    )
    assert not is_entity_local(view("SELECT a.zone, a.kind, a.began AS t FROM rides a JOIN rides b USING (zone)", two))


def test_the_view_that_ships_is_local(definitions: Definitions) -> None:
    assert is_entity_local(definitions.view("zone_stats"))
