"""Which signals become alarms, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from perennial.definitions import SIGNALS, Alarms, Dataset, Expected, Model, Retrain, SignalName
from perennial.definitions.alarms import attention_name, model_needing_attention, signal_alarm_name
from perennial.definitions.files import Definitions


def test_every_signal_has_words_and_a_metric_of_its_own() -> None:
    assert set(SIGNALS) == set(get_args(SignalName))
    assert len({signal.metric for signal in SIGNALS.values()}) == len(SIGNALS)


def test_a_signal_has_the_models_datapoints_and_period_unless_it_has_its_own() -> None:
    alarms = Alarms.model_validate(
        {"datapoints": "2 of 3", "period": "5 minutes", "signals": {"performance": {"datapoints": "1 of 2"}}}
    )
    assert alarms.datapoints_of("features") == (2, 3)
    assert alarms.datapoints_of("performance") == (1, 2)
    assert alarms.period_of("performance") == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"datapoints": "3 of 2"}, 'written like "2 of 3"'),
        ({"datapoints": "2/3"}, 'written like "2 of 3"'),
        ({"datapoints": "0 of 3"}, 'written like "2 of 3"'),
        ({"period": "90 seconds"}, "whole minutes"),
        ({"period": "2 days"}, "a day at most"),
        ({"datapoints": "1 of 49", "period": "30 minutes"}, "CloudWatch allows a day"),
        ({"datapoints": "1 of 8", "period": "1 day"}, "a week with periods of an hour"),
        ({"off": ["feature"]}, "input should be 'features'"),
        ({"off": ["volume"], "signals": {"volume": {"datapoints": "2 of 3"}}}, "this alarm is off"),
        ({"period": "1 hour", "every": "1 day"}, "extra inputs"),
    ],
)
def test_alarms_that_cloudwatch_would_refuse_are_refused_with_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        Alarms.model_validate(wrong)
    assert sentence.lower() in str(error.value).lower()


def test_a_week_of_hours_is_as_far_as_an_alarm_looks_back() -> None:
    alarms = Alarms.model_validate({"datapoints": "1 of 168", "period": "1 hour"})
    assert alarms.datapoints_of("quality") == (1, 168)


def test_silence_is_an_alarm_of_arrivals_alone_and_only_of_a_model_that_is_to_be_called() -> None:
    quiet, busy = Alarms(), Alarms.model_validate({"called_every": "1 hour"})
    assert not any(quiet.silence_is_an_alarm(name) for name in SIGNALS)
    assert [name for name in SIGNALS if name not in quiet.on] == ["volume", "freshness"]
    assert busy.on == tuple(SIGNALS)
    assert [name for name in SIGNALS if busy.silence_is_an_alarm(name)] == ["volume", "freshness"]


@pytest.mark.parametrize(
    ("called_every", "period"),
    # The monitor looks once an hour at least: in every two hours it has published.
    [("5 minutes", timedelta(hours=2)), ("5 hours", timedelta(hours=5)), ("9 days", timedelta(days=1))],
)
def test_where_silence_is_an_alarm_a_period_is_one_in_which_the_monitor_has_looked(
    called_every: str, period: timedelta
) -> None:
    alarms = Alarms.model_validate({"called_every": called_every})
    assert alarms.period_of("freshness") == period
    assert alarms.period_of("features") == timedelta(minutes=1)


def test_how_people_are_told_changes_nothing_about_what_is_trained_or_taken_in(definitions: Definitions) -> None:
    model, dataset = definitions.model("taxi_fare"), definitions.dataset("taxi_trips")
    told = Model.model_validate({**model.model_dump(), "alarms": {"off": ["volume"]}})
    assert told.alarms.off == ("volume",)
    assert told.fingerprint == model.fingerprint
    late = Dataset.model_validate({**dataset.model_dump(), "expected": {"every": "1 day"}})
    assert late.expected.every == timedelta(days=1)
    assert late.fingerprint == dataset.fingerprint


def with_alarms(model: Model, **changes: Any) -> Model:
    return Model.model_validate({**model.model_dump(), **changes})


def test_the_alarms_that_training_may_mend_ask_for_it_unless_the_definition_names_others(
    definitions: Definitions,
) -> None:
    model = with_alarms(definitions.model("taxi_fare"), alarms={"off": []})
    usual = ("features", "predictions", "multivariate", "performance", "estimated")
    assert model.training_alarms == usual
    assert with_alarms(model, retrain={"on_alarm": False}).training_alarms == usual  # `admit` refuses, and records it
    assert with_alarms(model, alarms={"off": ["features"]}).training_alarms == usual[1:]
    chosen = with_alarms(model, retrain={"on_alarm": ["quality", "performance"]})
    assert set(chosen.training_alarms) == {"quality", "performance"}
    assert with_alarms(model, retrain={"on_alarm": []}).training_alarms == ()


def test_training_waits_for_no_alarm_that_is_off(definitions: Definitions) -> None:
    with pytest.raises(ValidationError, match=r"names performance, which is in alarms\.off"):
        with_alarms(
            definitions.model("taxi_fare"), alarms={"off": ["performance"]}, retrain={"on_alarm": ["performance"]}
        )
    assert Retrain.model_validate({"on_alarm": ["performance"]}).on_alarm == ("performance",)


@pytest.mark.parametrize("every", ["59 minutes", "8 days"])
def test_uploads_are_expected_within_what_an_alarm_sees(every: str) -> None:
    with pytest.raises(ValidationError, match="7 days"):
        Expected.model_validate({"every": every})


def test_the_alarm_about_a_model_tells_which_one_it_is() -> None:
    assert model_needing_attention("dep", attention_name("dep", "taxi_fare")) == "taxi_fare"
    assert model_needing_attention("dep", attention_name("other", "taxi_fare")) is None
    assert model_needing_attention("dep", signal_alarm_name("dep", "taxi_fare", "features")) is None
