-- kind: stored
-- dataset: flats
-- entity: district
-- feature_time: feature_time
-- window: 28 days
-- ttl: 60 days
-- description: rent per square metre in a district over 28 days, known on the day after
SELECT DISTINCT
    district,
    date_trunc('day', signed_at) + INTERVAL 1 DAY AS feature_time,
    avg(rent / area) OVER (
        PARTITION BY district
        ORDER BY date_trunc('day', signed_at)
        RANGE BETWEEN INTERVAL 27 DAYS PRECEDING AND CURRENT ROW
    ) AS rent_per_area
FROM flats
