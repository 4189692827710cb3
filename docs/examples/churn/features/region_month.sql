-- kind: stored
-- dataset: statements
-- entity: region
-- feature_time: feature_time
-- window: 60 days
-- ttl: 60 days
-- description: how many left a region within 28 days, known a month after their statements, and how that is to be taken
WITH rates AS (
    SELECT DISTINCT
        region,
        date_trunc('day', billed_at) + INTERVAL 30 DAYS AS feature_time,
        avg(cancelled::INTEGER) OVER (
            PARTITION BY region
            ORDER BY date_trunc('day', billed_at)
            RANGE BETWEEN INTERVAL 27 DAYS PRECEDING AND CURRENT ROW
        ) AS rate
    FROM statements
)
SELECT
    region,
    feature_time,
    rate,
    CASE WHEN rate < 0.2 THEN 'calm' WHEN rate < 0.35 THEN 'usual' ELSE 'restless' END AS mood,
FROM rates
