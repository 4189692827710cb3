-- kind: stored
-- dataset: rides
-- reads: district_days
-- entity: district
-- feature_time: known_at
-- description: the same over the seven days before
SELECT
    district,
    known_at,
    sum(rides_begun) OVER week AS rides_begun,
FROM district_days
WINDOW week AS (PARTITION BY district ORDER BY known_at RANGE BETWEEN INTERVAL 6 DAYS PRECEDING AND CURRENT ROW)
