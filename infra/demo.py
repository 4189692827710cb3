"""The whole loop on real data: it uploads files, calls the API and waits; what happens, the system does by itself."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape

from infra.bringup import bring_up
from infra.chart import draw_months
from infra.deployment import Deployment, stack_name
from infra.display import Display, describe_run, table
from infra.local.cloud import LocalCloud
from infra.operations import predict_rows, send_labels
from infra.trips import Trip, read_trips
from infra.uploads import upload_file
from infra.waiting import CLOCK_SLACK, find_run, follow_run, wait_until
from perennial.definitions.files import load_definitions
from perennial.errors import ConflictError, PerennialError
from perennial.records import Assessment, Run

REPOSITORY = Path(__file__).resolve().parent.parent
DEFINITIONS = REPOSITORY / "layers" / "definitions"
UPLOADS = REPOSITORY / "events" / "uploads" / "taxi_trips"
DATASET, MODEL = "taxi_trips", "taxi_fare"
HISTORY = ("2018-07", "2018-08", "2018-09", "2018-10", "2018-11", "2018-12")
SERVED = ("2019-01", "2019-02", "2019-03", "2019-04")
PATIENCE_SECONDS = 120.0
NEXT = tuple(
    f"uv run perennial {command}" for command in ("models taxi_fare", "runs --kind train", "logs monitor", "down")
)


@dataclass
class Month:
    """What one month of serving came to."""

    month: str
    trips: int
    versions: dict[str, int]
    """Version to the number of answers that it gave."""
    mae_served: float
    """Mean absolute error of the answers, dollars."""
    mae_frozen: float
    """Mean absolute error that the first version has on the same trips, dollars."""
    drift: Assessment
    """The monitor's last finding on the version that served."""
    happened: list[str] = field(default_factory=list)


def run_demo(display: Display, picture: Path) -> None:
    """Deploy to the local cloud, play ten months and show what became of them.

    Raises
    ------
    ConflictError
        A local cloud with somebody's work runs in this folder.
    PerennialError
        The system did not do what it should; the message says what was awaited.
    """
    begun = time.monotonic()
    cloud = LocalCloud()
    marker = cloud.state / "demo"
    if cloud.status() is not None and not marker.exists():
        raise ConflictError("a local cloud runs in this folder already; stop it with `perennial down`, then repeat")
    cloud.stop()
    cloud.start()
    marker.touch()
    stage = _Play(bring_up("local", stack_name("local"), DEFINITIONS, display), display)
    stage.learn()
    months = [stage.serve(month) for month in SERVED]
    trainings = stage.trainings()
    draw_months(months, stage.threshold, picture)
    seconds = time.monotonic() - begun
    content = {
        "months": [_month_json(month) for month in months],
        "training_runs": trainings,
        "versions": [v.model_dump(mode="json", exclude={"training_set"}) for v in stage.catalog.versions(MODEL)],
        "seconds": round(seconds, 1),
        "picture": str(picture.resolve()),
        "next": list(NEXT),
    }
    display.result(content, _summary(months))
    if not display.as_json:
        display.say(
            f"\n{seconds:.0f} s in all. The picture of it: {picture}. The local cloud goes on running; look around:"
        )
        display.say("".join(f"\n  {command}" for command in NEXT))


class _Play:
    """One run of the demo against a deployment."""

    def __init__(self, deployment: Deployment, display: Display) -> None:
        self.deployment = deployment
        self.display = display
        self.catalog = deployment.ports.catalog
        definitions = load_definitions(DEFINITIONS)
        self.model, self.dataset = definitions.model(MODEL), definitions.dataset(DATASET)
        self.threshold = self.model.monitor.performance_ratio

    def learn(self) -> None:
        """Upload the history, a file a month, and wait for the first champion."""
        since = self._say("[bold]2018: the months are uploaded one by one[/]")
        for month in HISTORY:
            self._upload(month)
        first = self._training(since, "data", "the first training run")
        if self.catalog.champion(MODEL) is None:
            raise PerennialError(f"the first training run made no champion; see `perennial runs {first.run_id}`")

    def serve(self, month: str) -> Month:
        """Let a month happen: trips ask for a price, the month's file arrives, what was paid is fed back."""
        champion = self.catalog.champion(MODEL)
        since = self._say(f"[bold]{month}: version {champion.version if champion else '–'} serves[/]")
        trips = read_trips(UPLOADS / f"yellow_{month}.csv.gz", self.dataset, self.model)
        instances = [trip.instance for trip in trips]
        with self.display.working(f"{len(trips):,} trips ask for their price"):
            answers = predict_rows(self.deployment, MODEL, instances)
            versions = Counter(str(answer["version"]) for answer in answers)
            frozen = answers if set(versions) == {"1"} else predict_rows(self.deployment, MODEL, instances, version=1)
        self._upload(month)
        paired = zip(answers, trips, strict=True)
        with self.display.working("what they paid is fed back"):
            labels = [{"prediction_id": answer["prediction_id"], "label": trip.paid} for answer, trip in paired]
            send_labels(self.deployment, MODEL, labels[:-1])
            # The last one alone: when the monitor has seen a label of this moment, it has seen them all.
            fed = datetime.now(UTC)
            send_labels(self.deployment, MODEL, labels[-1:])
            drift = self._assessment(int(versions.most_common(1)[0][0]), fed)
        result = Month(month, len(trips), dict(versions), _mae(answers, trips), _mae(frozen, trips), drift)
        self.display.say(f"    {len(trips):,} trips served, error $ {result.mae_served:.2f}; {_drift(result)}")
        result.happened = self._reaction(since) or ["quiet"]
        return result

    def trainings(self) -> list[dict[str, Any]]:
        """Return the training runs that were admitted, oldest first: what caused each and what came of it."""
        runs = [run for run in self.catalog.runs(200, "train", MODEL) if run.status != "refused"]
        return [
            {"run_id": run.run_id, "cause": run.trigger.model_dump(mode="json"), "status": run.status, **run.outputs}
            for run in reversed(runs)
        ]

    def _say(self, text: str) -> datetime:
        self.display.say(text)
        return datetime.now(UTC) - CLOCK_SLACK

    def _upload(self, month: str) -> None:
        path = UPLOADS / f"yellow_{month}.csv.gz"
        with self.display.working(f"uploading {path.name}"):
            _, run = upload_file(self.deployment, DATASET, path, PATIENCE_SECONDS, lambda run, step: None)
        assert run is not None
        if run.status != "succeeded":
            raise PerennialError(f"{path.name} was not ingested: {run.error}")
        self.display.say(f"    uploaded {path.name}: {escape(describe_run(run))}")

    def _assessment(self, version: int, fed: datetime) -> Assessment:
        """Wait until the monitor has seen all that was fed back to a version; return its last word on it."""

        def seen() -> Assessment | None:
            found = [a for a in self.catalog.assessments(MODEL, 100) if a.version == version]
            complete = next((a for a in found if a.labelled_until and a.labelled_until >= fed), None)
            champion = self.catalog.champion(MODEL)
            # Once another version serves, the monitor looks at that one, and its last word is the last.
            replaced = champion is not None and champion.version != version
            return complete or (found[0] if found and replaced else None)

        return wait_until(seen, PATIENCE_SECONDS, "the monitor's look at the fed-back labels")

    def _reaction(self, since: datetime) -> list[str]:
        """Follow what an alarm that fired since then has started."""
        alarms = [alarm for alarm in self._alarms() if alarm["StateUpdatedTimestamp"] >= since]
        if not alarms:
            return []
        happened = [f"alarm {alarm['MetricName']}" for alarm in alarms]
        for alarm in alarms:
            self.display.say(f"    [red]alarm[/] {alarm['AlarmName']}: {escape(alarm['StateReason'])}")
        run = self._training(since, "alarm", "the training run that the alarm starts")
        return [*happened, f"retrained: {describe_run(run)}"]

    def _alarms(self) -> list[dict[str, Any]]:
        pages = self.deployment.client("cloudwatch").get_paginator("describe_alarms").paginate(StateValue="ALARM")
        alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
        mine = {"Name": "Model", "Value": MODEL}
        return [alarm for alarm in alarms if mine in alarm.get("Dimensions", [])]

    def _training(self, since: datetime, kind: str, what: str) -> Run:
        """Wait for a training run of that cause and for the deployment that follows it."""

        def admitted(run: Run) -> bool:
            return run.trigger.kind == kind and run.status != "refused"

        found = wait_until(lambda: find_run(self.catalog, "train", MODEL, since, admitted), PATIENCE_SECONDS, what)
        self.display.say(f"    training starts by itself, because of {found.trigger.kind}: {found.trigger.source}")
        run = follow_run(self.catalog, found.run_id, PATIENCE_SECONDS, self.display.step)
        if run.status == "succeeded" and run.outputs.get("passed"):
            deploy = wait_until(
                lambda: find_run(self.catalog, "deploy", MODEL, since, lambda d: d.trigger.source == run.run_id),
                PATIENCE_SECONDS,
                "the deployment of the new version",
            )
            follow_run(self.catalog, deploy.run_id, PATIENCE_SECONDS, self.display.step)
        self.display.say(f"    training ended: {escape(describe_run(run))}")
        return run


def _mae(answers: list[dict[str, Any]], trips: list[Trip]) -> float:
    errors = (abs(float(answer["value"]) - trip.paid) for answer, trip in zip(answers, trips, strict=True))
    return sum(errors) / len(trips)


def _drift(month: Month) -> str:
    ratio = month.drift.performance_ratio
    return "the monitor has no figure" if ratio is None else f"the monitor sees {ratio:.2f} × the held-out error"


def _month_json(month: Month) -> dict[str, Any]:
    return {
        "month": month.month,
        "trips": month.trips,
        "versions": month.versions,
        "mae_frozen": round(month.mae_frozen, 4),
        "mae_served": round(month.mae_served, 4),
        "drift": month.drift.model_dump(mode="json"),
        "happened": month.happened,
    }


def _summary(months: list[Month]) -> Any:
    rows = [
        (
            m.month,
            ", ".join(sorted(m.versions)),
            m.trips,
            f"$ {m.mae_frozen:.2f}",
            f"$ {m.mae_served:.2f}",
            f"{m.drift.performance_ratio:.2f}" if m.drift.performance_ratio else "–",
            "; ".join(m.happened),
        )
        for m in months
    ]
    columns = [
        "month",
        "version",
        "trips",
        "error of version 1",
        "error of what served",
        "× held-out",
        "what happened",
    ]
    return table("What a taxi trip costs: mean error in dollars", columns, rows)
