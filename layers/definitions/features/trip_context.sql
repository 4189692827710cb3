-- kind: request
-- dataset: taxi_trips
-- description: what is known of a trip when it begins
SELECT
    trip_distance                             AS distance,
    hour(pickup_datetime)                     AS hour,
    isodow(pickup_datetime)                   AS weekday,
    coalesce(nullif(passenger_count, 0), 1)   AS passengers,  -- drivers who do not count say 0
    coalesce(rate_code_id, 1)                 AS rate_code,
    pickup_location_id                        AS pickup_zone,
    dropoff_location_id                       AS dropoff_zone
FROM taxi_trips
