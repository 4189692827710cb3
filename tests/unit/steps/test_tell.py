"""The step ``tell``: what people read when an alarm goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perennial.errors import DataError, TransientError
from perennial.fakes import FakePeople, FixedClock, fake_ports
from perennial.ports import Ports
from perennial.records import Assessment
from perennial.steps import tell
from tests.support.records import AT
from tests.support.training_runs import world

REASON_DATA = (
    '{"triggeringAlarms":[{"arn":"arn:aws:cloudwatch:us-east-1:1:alarm:test-fare-PerformanceRatio",'
    '"state":{"value":"ALARM"}},{"arn":"arn:aws:cloudwatch:us-east-1:1:alarm:test-fare-FeatureDrift"}]}'
)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(AT)


@pytest.fixture
def people() -> FakePeople:
    return FakePeople()


@pytest.fixture
def ports(clock: FixedClock, people: FakePeople) -> Ports:
    return fake_ports(world(), clock=clock, people=people)


def hear(
    ports: Ports, alarm: str = "test-fare-needs-attention", event: str = "e1", state: str = "ALARM", **more: Any
) -> tell.Told:
    """Have the step hear of an alarm, as CloudWatch's event tells it."""
    detail = {
        "alarmName": alarm,
        "state": {"value": state, "reason": "it crossed", "reasonData": more.get("reason_data", REASON_DATA)},
        "configuration": more.get("configuration", {"alarmRule": "…"}),
    }
    return tell.run(tell.Request.model_validate({"id": event, "time": AT, "detail": detail}), ports)


def assessed(sentence: str) -> Assessment:
    return Assessment(
        model="fare",
        version=3,
        at=AT,
        rows=100,
        labelled=0,
        feature_drift=None,
        drifted_feature=None,
        prediction_drift=None,
        performance=None,
        performance_ratio=None,
        sentence=sentence,
    )


def test_people_read_which_model_what_moved_what_it_means_and_what_to_do(ports: Ports, people: FakePeople) -> None:
    ports.catalog.record_assessment(assessed("distance moved; mae 2.49 instead of 1.40 (1.78x)"))
    assert hear(ports).subject == "fare needs attention"
    ((subject, text),) = people.messages
    assert subject == "fare needs attention"
    assert "Version 3: distance moved; mae 2.49 instead of 1.40 (1.78x)" in text
    assert "- FeatureDrift: the values of a feature moved" in text
    assert "- PerformanceRatio: the predictions are worse than was promised" in text
    assert "Freshness" not in text
    assert "`perennial monitor fare`" in text
    assert "deployment test" in text


def test_a_model_of_which_nothing_is_known_yet_is_told_of_all_the_same(ports: Ports, people: FakePeople) -> None:
    hear(ports, reason_data="not JSON")
    ((_, text),) = people.messages
    assert "perennial monitor fare" in text
    assert "Version" not in text


def test_another_alarm_is_told_by_its_description_and_its_reason(ports: Ports, people: FakePeople) -> None:
    hear(ports, "test-undelivered", configuration={"description": "an event could not be delivered"})
    ((subject, text),) = people.messages
    assert subject == "alarm test-undelivered"
    assert "an event could not be delivered\n\nit crossed" in text


def test_an_alarm_that_goes_off_is_not_told(ports: Ports, people: FakePeople) -> None:
    assert hear(ports, state="OK").subject == ""
    assert people.messages == []


def test_an_alarm_that_flaps_is_told_once_an_hour(ports: Ports, people: FakePeople, clock: FixedClock) -> None:
    for number in range(30):
        hear(ports, event=f"e{number}")
        clock.advance(timedelta(minutes=5))
    # 150 minutes: at 0, 60 and 120.
    assert len(people.messages) == 3


def test_ten_alarms_of_one_model_are_its_own_and_another_alarm_is_not_hushed_by_them(
    ports: Ports, people: FakePeople
) -> None:
    hear(ports)
    hear(ports, "test-tip-needs-attention", event="e2")
    assert [subject for subject, _ in people.messages] == ["fare needs attention", "tip needs attention"]


def test_a_message_that_could_not_be_sent_is_sent_when_the_call_is_repeated(ports: Ports, people: FakePeople) -> None:
    class Deaf(FakePeople):
        def tell(self, subject: str, text: str) -> None:
            raise TransientError("the topic is unwell")

    with pytest.raises(TransientError):
        hear(replace(ports, people=Deaf()))
    hear(ports, event="another, meanwhile")
    assert people.messages == []
    hear(ports)
    assert len(people.messages) == 1


def test_a_subject_is_what_a_topic_takes(ports: Ports, people: FakePeople) -> None:
    hear(ports, f"test-{'é' * 200}")
    ((subject, _),) = people.messages
    assert len(subject) == 99
    with pytest.raises(DataError):
        people.tell("é", "text")
