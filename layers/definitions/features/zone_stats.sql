-- kind: stored
-- dataset: taxi_trips
-- entity: pickup_location_id
-- feature_time: feature_time
-- window: 366 days
-- ttl: 92 days
-- description: how trips from a pickup zone went in the last twelve months; a month counts once it is over
WITH monthly AS (
    SELECT
        pickup_location_id,
        date_trunc('month', pickup_datetime) AS month,
        count(*) AS trips,
        sum(trip_distance) AS miles,
        sum(epoch(dropoff_datetime - pickup_datetime) / 60) AS minutes
    FROM taxi_trips
    GROUP BY ALL
)
-- Whole numbers, because finer ones would tell the zones and the months apart more than the traffic.
SELECT
    pickup_location_id,
    month + INTERVAL 1 MONTH AS feature_time,
    round(sum(miles) OVER recent / sum(trips) OVER recent) AS mean_distance,
    round(sum(minutes) OVER recent / sum(trips) OVER recent) AS mean_minutes,
    round(60 * sum(miles) OVER recent / sum(minutes) OVER recent) AS mean_speed
FROM monthly
WINDOW recent AS (
    PARTITION BY pickup_location_id ORDER BY month RANGE BETWEEN INTERVAL 11 MONTHS PRECEDING AND CURRENT ROW
)
