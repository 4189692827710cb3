"""Feedback loops on the local cloud, IAM enforced: docs/retraining.md's table, row by row, and who is told."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

import pytest

from infra.deployment import Deployment
from infra.local.cloud import LocalCloud
from infra.waiting import wait_until
from perennial.definitions import SIGNALS, SignalName
from perennial.records import Run
from perennial.steps.admission import NOTHING_NEW
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

MODEL, DATASET = "fare", "rides"
RIDES = """event_time = "began"
[columns]
began = { type = "timestamp" }
miles = { type = "double", min = 0 }
price = { type = "double" }
"""
VIEW = "-- kind: request\n-- dataset: rides\nSELECT miles FROM rides\n"
# After the first nothing passes the gate, so that each further training is in vain.
FARE = """dataset = "rides"
target = "price"
[features]
ride = ["miles"]
[split]
holdout = "5 days"
backtests = 0
[[candidates]]
name = "ridge"
algorithm = "ridge"
[gate]
beat_baseline = false
min_improvement = 0.9
[retrain]
min_rows = 100
cooldown = "20 seconds"
backoff_after = 3
backoff = "2 hours"
daily_budget = 20
"""
FLAPPING: SignalName = "performance"


class Loops(Shell):
    """A deployment whose alarms are raised at will."""

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment, looked at without the command line."""
        return Deployment.connect("local", state=self.folder / ".perennial")

    @property
    def name(self) -> str:
        """The stack's name."""
        return str(self.deployment.outputs["Deployment"])

    def upload(self, number: int) -> str:
        """Put a file of rides, of which no two are alike; return the id of the training run that it asks for."""
        before = {run.run_id for run in self.trainings()}
        dice, start = random.Random(number), datetime(2019, 1, 1) + timedelta(days=8 * number)
        lines = ["began,miles,price"]
        for hour in range(192):
            miles = dice.uniform(1, 20)
            lines.append(f"{start + timedelta(hours=hour)},{miles:.3f},{3 + 2 * miles + dice.gauss(0, 0.5):.3f}")
        self.deployment.client("s3").put_object(
            Bucket=self.deployment.outputs["RawBucket"], Key=f"{DATASET}/{number}.csv", Body="\n".join(lines).encode()
        )

        def asked() -> str | None:
            new = [run for run in self.trainings() if run.run_id not in before and run.trigger.kind == "data"]
            return new[0].run_id if new else None

        return wait_until(asked, 60, f"the training that upload {number} asks for")

    def trainings(self) -> list[Run]:
        """Return the training runs, newest first."""
        return self.deployment.ports.catalog.runs(limit=200, kind="train", subject=MODEL)

    def of_alarms(self, since: set[str]) -> list[Run]:
        """Return the runs that alarms asked for and that are not among those of before, newest first."""
        return [run for run in self.trainings() if run.run_id not in since and run.trigger.kind == "alarm"]

    def known(self) -> set[str]:
        """Return the ids of all training runs so far."""
        return {run.run_id for run in self.trainings()}

    def ended(self, run_id: str) -> Run:
        """Wait for the end of a run."""
        catalog = self.deployment.ports.catalog

        def closed() -> Run | None:
            run = catalog.run(run_id)
            return run if run.status != "running" else None

        return wait_until(closed, 120, f"the end of run {run_id}")

    def set_alarm(self, signal: SignalName, state: str) -> None:
        """Set an alarm's state by hand, as a drill does; its metric has no values, so it soon goes off by itself."""
        alarm = f"{self.name}-{MODEL}-{SIGNALS[signal].metric}"
        self.deployment.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="a drill")

    def raise_alarm(self, signal: SignalName) -> None:
        """Let an alarm go on, also if it was."""
        self.set_alarm(signal, "OK")
        self.set_alarm(signal, "ALARM")

    def state(self, alarm: str) -> str:
        """Return the state of an alarm as `perennial alarms` shows it."""
        shown = {one["alarm"]: one["state"] for one in self.json("alarms", MODEL)}
        return str(shown[alarm])


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loops]:
    """Deploy one model, and let its first champion be trained."""
    folder = tmp_path_factory.mktemp("loops")
    files = {"datasets/rides.toml": RIDES, "features/ride.sql": VIEW, "models/fare.toml": FARE}
    for name, text in files.items():
        (folder / "definitions" / name).parent.mkdir(parents=True)
        (folder / "definitions" / name).write_text(text)
    loops = Loops(folder)
    try:
        loops.json("up", "--definitions", "definitions", "-c", "notify=ada@example.com")
        assert loops.ended(loops.upload(0)).status == "succeeded"
        wait_until(lambda: loops.deployment.ports.catalog.champion(MODEL), 60, "the first champion")
        yield loops
    finally:
        LocalCloud(folder / ".perennial").stop()


def subscribed(loops: Loops) -> str:
    """Let a queue hear what people hear; return its address."""
    sqs, sns = loops.deployment.client("sqs"), loops.deployment.client("sns")
    queue = str(sqs.create_queue(QueueName="people")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = {"Service": "sns.amazonaws.com"}
    allowed = {"Effect": "Allow", "Principal": sender, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=loops.deployment.outputs["TopicArn"], Protocol="sqs", Endpoint=arn)
    return queue


def heard(loops: Loops, queue: str) -> list[dict[str, Any]]:
    """Return what the queue has heard since the last time."""
    found = loops.deployment.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        loops.deployment.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in found]


def test_people_are_told_once_while_the_model_needs_attention_on_and_off(loops: Loops) -> None:
    queue, attention = subscribed(loops), f"{loops.name}-{MODEL}-needs-attention"
    addresses = loops.deployment.client("sns").list_subscriptions_by_topic(
        TopicArn=loops.deployment.outputs["TopicArn"]
    )
    assert "ada@example.com" in {each["Endpoint"] for each in addresses["Subscriptions"]}
    cloudwatch = loops.deployment.client("cloudwatch")

    def attention_is(state: str) -> bool | None:
        found = cloudwatch.describe_alarms(AlarmNames=[attention], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        return found[0]["StateValue"] == state or None

    # By its metric, so that it stays on for a while; no training is asked for by it.
    about = [{"Name": "Deployment", "Value": loops.name}, {"Name": "Model", "Value": MODEL}]
    datum = {"MetricName": "DataQuality", "Value": 1.5, "Dimensions": about}
    cloudwatch.put_metric_data(Namespace="Perennial", MetricData=[datum])
    wait_until(lambda: attention_is("ALARM"), 15, "attention")
    assert loops.state(attention) == "ALARM"
    (message,) = wait_until(lambda: heard(loops, queue) or None, 30, "the message")
    assert message["Subject"] == f"{MODEL} needs attention"
    assert (
        "- DataQuality: requests bring missing values, unknown categories or values out of range." in message["Message"]
    )
    assert f"`perennial monitor {MODEL}`" in message["Message"]
    loops.set_alarm("quality", "OK")
    wait_until(lambda: attention_is("ALARM"), 15, "attention again")  # its metric is still above the limit
    time.sleep(2)
    assert heard(loops, queue) == [], "within the hour nothing more is said"
    assert loops.of_alarms(set()) == [], "of this signal no training is asked for"


def test_of_ten_alarms_at_once_and_while_it_trains_one_trains_and_nine_are_recorded(loops: Loops) -> None:
    first = loops.upload(1)
    assert "new data alone starts no run" in str(loops.ended(first).error)
    time.sleep(max(0.0, 21 - _seconds_since(loops.trainings()[-1])))  # the cooldown is not what is tried here
    before = loops.known()
    signals = [name for name, signal in SIGNALS.items() if signal.trains]
    ten = [*signals, *signals]
    with ThreadPoolExecutor(len(signals)) as pool:
        list(pool.map(loops.raise_alarm, signals))
    for signal in ten[len(signals) :]:
        loops.raise_alarm(signal)  # by now the training runs
    runs = wait_until(lambda: found if len(found := loops.of_alarms(before)) >= 10 else None, 60, "ten runs")
    admitted = [run for run in runs if run.status != "refused"]
    refused = [run for run in runs if run.status == "refused" and f"run {admitted[0].run_id}" in str(run.error)]
    assert (len(admitted), len(refused)) == (1, 9)
    assert all(f"is training model {MODEL}" in str(run.error) for run in refused)
    assert loops.ended(admitted[0].run_id).status == "succeeded"
    assert loops.deployment.ports.catalog.run(admitted[0].run_id).outputs["passed"] is False, "in vain"


def test_the_next_upload_is_admitted_in_the_place_of_an_alarm_that_was_refused(loops: Loops) -> None:
    before = loops.known()
    loops.raise_alarm(FLAPPING)
    alarm = wait_until(lambda: next(iter(loops.of_alarms(before)), None), 30, "the alarm's run")
    assert NOTHING_NEW in str(loops.ended(alarm.run_id).error)
    time.sleep(max(0.0, 21 - _seconds_since(_latest_admitted(loops))))
    assert loops.ended(loops.upload(2)).status == "succeeded"


def test_an_alarm_that_flaps_in_the_cooldown_trains_once_when_it_is_over(loops: Loops) -> None:
    assert "new data alone starts no run" in str(loops.ended(loops.upload(3)).error)
    before = loops.known()
    for _ in range(3):
        loops.raise_alarm(FLAPPING)
        time.sleep(0.5)
    runs = wait_until(lambda: found if len(found := loops.of_alarms(before)) >= 3 else None, 30, "three runs")
    latest = _latest_admitted(loops)
    if _seconds_since(latest) > 20:
        pytest.fail("this machine took longer than the cooldown: the runs were admitted at once")
    again = wait_until(
        lambda: next((run for run in loops.of_alarms(before) if run.trigger.retry_of), None), 60, "what asks again"
    )
    first = loops.deployment.ports.catalog.run(again.trigger.retry_of)
    assert first.status == "refused"
    assert "cooldown" in str(first.error)
    assert (again.started_at - latest.started_at) >= timedelta(seconds=20)
    assert loops.ended(again.run_id).status == "succeeded"
    others = [run for run in runs if run.run_id not in (again.run_id, first.run_id)]
    assert others
    assert all(run.status == "refused" for run in others)
    assert len([run for run in loops.of_alarms(before) if run.trigger.retry_of]) == 1


def test_after_three_useless_trainings_the_next_waits(loops: Loops) -> None:
    assert "new data alone starts no run" in str(loops.ended(loops.upload(4)).error)
    time.sleep(max(0.0, 21 - _seconds_since(_latest_admitted(loops))))
    before = loops.known()
    loops.raise_alarm(FLAPPING)
    run = loops.ended(wait_until(lambda: next(iter(loops.of_alarms(before)), None), 30, "the run").run_id)
    assert run.status == "refused"
    assert "3 runs in a row improved nothing (retrain.backoff_after is 3)" in str(run.error)
    wait = datetime.fromisoformat(str(run.outputs["ask_again_at"])) - _latest_admitted(loops).started_at
    assert wait == timedelta(hours=2)


def test_a_suspended_model_is_not_trained_by_an_alarm(loops: Loops) -> None:
    loops.json("suspend", MODEL, "--reason", "prices are being repaired")
    before = loops.known()
    loops.raise_alarm(FLAPPING)
    run = loops.ended(wait_until(lambda: next(iter(loops.of_alarms(before)), None), 30, "the run").run_id)
    assert run.status == "refused"
    assert "prices are being repaired" in str(run.error)


def test_never_two_trainings_ran_at_once(loops: Loops) -> None:
    trained = sorted((run for run in loops.trainings() if run.status == "succeeded"), key=lambda run: run.started_at)
    assert len(trained) == 4
    for one, following in pairwise(trained):
        assert one.ended_at is not None
        assert one.ended_at <= following.started_at


def test_a_file_that_is_refused_is_told_to_people(loops: Loops) -> None:
    queue = loops.deployment.client("sqs").get_queue_url(QueueName="people")["QueueUrl"]
    heard(loops, queue)
    bucket = loops.deployment.outputs["RawBucket"]
    loops.deployment.client("s3").put_object(Bucket=bucket, Key=f"{DATASET}/bad.csv", Body=b"began\n2019-01-01\n")
    alarm = f"{loops.name}-{DATASET}-uploads-failed"

    def told() -> dict[str, Any] | None:
        return next((one for one in heard(loops, queue) if one["Subject"] == f"alarm {alarm}"), None)

    assert f"{DATASET}: an upload was refused" in wait_until(told, 60, "the message about the file")["Message"]


def _latest_admitted(loops: Loops) -> Run:
    return next(run for run in loops.trainings() if run.status in ("running", "succeeded"))


def _seconds_since(run: Run) -> float:
    return (datetime.now(UTC) - run.started_at).total_seconds()
