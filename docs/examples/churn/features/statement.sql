-- kind: request
-- dataset: statements
-- description: the statement itself
SELECT
    plan,
    payment,
    months,
    calls,
    fee,
    fee / (months + 1) AS fee_per_month,
    isodow(billed_at) AS weekday,
FROM statements
