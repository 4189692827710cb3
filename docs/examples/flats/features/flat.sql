-- kind: request
-- dataset: flats
-- description: the flat itself
SELECT
    area,
    rooms,
    area / rooms AS area_per_room,
    balcony,
FROM flats
