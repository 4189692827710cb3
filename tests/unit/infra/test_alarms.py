"""Whether an alarm is in alarm, by the tables of the CloudWatch user guide."""

from __future__ import annotations

import pytest

from infra.local.alarms import verdict

# "Configuring how CloudWatch alarms treat missing data": datapoints (X breaches, - is missing), and the state by
# treatment. "Retain" is a state of its own here: the one the alarm was in.
ALL_OF_THREE = [
    ("0-X-X", "OK", "OK", "OK", "OK"),
    ("0----", "OK", "OK", "OK", "OK"),
    ("-----", "INSUFFICIENT_DATA", "Retain", "ALARM", "OK"),
    ("0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("--X--", "ALARM", "Retain", "ALARM", "OK"),
]
TWO_OF_THREE = [
    ("0-X-X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("00X0X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0-X--", "OK", "OK", "ALARM", "OK"),
    ("----0", "OK", "OK", "ALARM", "OK"),
    ("---X-", "ALARM", "Retain", "ALARM", "OK"),
]
CASES = [
    (points, needed, treatment, state)
    for needed, table in ((3, ALL_OF_THREE), (2, TWO_OF_THREE))
    for points, *states in table
    for treatment, state in zip(("missing", "ignore", "breaching", "notBreaching"), states, strict=True)
]


@pytest.mark.parametrize(("points", "needed", "treatment", "state"), CASES)
def test_an_alarm_treats_missing_data_as_cloudwatch_documents(
    points: str, needed: int, treatment: str, state: str
) -> None:
    breaching = [point == "X" for point in points if point != "-"][-3:]
    assert verdict(breaching, periods=3, needed=needed, missing=treatment, current="Retain") == state
