-- kind: stored
-- dataset: rides
-- reads: weather
-- entity: district
-- feature_time: known_at
-- window: 2 days
-- description: a district's rides of a day and the rain at their beginnings, known when the day is over (UTC)
SELECT
    rides.district,
    date_trunc('day', rides.began) + INTERVAL 1 DAY AS known_at,
    count(*) AS rides_begun,
    avg(weather.rain) AS mean_rain,
FROM rides
ASOF LEFT JOIN weather
    ON rides.district = weather.district AND rides.began >= weather.measured_at
GROUP BY ALL
