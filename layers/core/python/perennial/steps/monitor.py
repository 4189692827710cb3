"""Look at what the champions lately predicted: whether the world moved, and whether they are as good as promised."""

from __future__ import annotations

from pydantic import BaseModel

from perennial.errors import PerennialError
from perennial.monitoring.published import METRICS
from perennial.ports import Metric, Ports
from perennial.records import Assessment, Champion
from perennial.steps.log_window import LogReader
from perennial.steps.looking import look
from perennial.steps.monitoring_report import report_is_due, write_monitoring_report

__all__ = ["METRICS", "Findings", "Request", "run"]

_REPORTED = ("report_key", "reported_at", "report_of_attention")
"""What a look without a report takes over from the one before it."""


class Request(BaseModel):
    """What to look at."""

    model: str | None = None
    """None means every model that has a champion; then how predictions come and what the log lost is told, too."""


class Findings(BaseModel):
    """What was found."""

    assessed: dict[str, Assessment]
    """By model; a model without a champion, or without a definition any more, is not among them."""


def run(request: Request, ports: Ports, reader: LogReader | None = None) -> Findings:
    """Assess champions, publish the figures there are as metrics, and record an assessment of each champion.

    A champion that cannot be assessed keeps none of the others from it.

    Parameters
    ----------
    reader : LogReader or None
        What is kept between calls; None keeps nothing.

    Raises
    ------
    NotFoundError
        The model that is named is not known.
    PerennialError
        What the first champion that could not be assessed met with.
    """
    reader = reader or LogReader(ports.artifacts)
    defined = ports.definitions.models
    names = ports.catalog.models() if request.model is None else [request.model]
    assessed: dict[str, Assessment] = {}
    faults: list[PerennialError] = []
    for name in names:
        champion = ports.catalog.champion(name)
        if champion is None and name == request.model:
            ports.definitions.model(name)  # raises if there never was such a model
        if champion is not None and name in defined:  # one whose definition was taken away is not watched any more
            try:
                assessed[name] = _assess(ports, champion, reader, hourly=request.model is None)
            except PerennialError as error:
                faults.append(error)
    reader.forget_unused()
    if faults:
        raise faults[0]
    return Findings(assessed=assessed)


def _assess(ports: Ports, champion: Champion, reader: LogReader, *, hourly: bool) -> Assessment:
    """Look, write a report if one is due, publish and record."""
    seen = look(ports, champion, reader, hourly=hourly)
    found = seen.assessment
    before = next(iter(ports.catalog.assessments(champion.model, 1)), None)
    if report_is_due(before, found):
        key = write_monitoring_report(ports, seen, reader)
        update = {"report_key": key, "reported_at": found.at, "report_of_attention": found.attention}
    else:
        same = before is not None and before.version == found.version
        update = before.model_dump(include=set(_REPORTED)) if same and before is not None else {}
    assessment = found.model_copy(update=update)
    _publish(ports, assessment)
    return assessment


def _publish(ports: Ports, assessment: Assessment) -> None:
    """Publish the figures there are, and only then record them: whoever sees the record may count on the metrics."""
    deployment = {"Deployment": ports.deployment}
    figures = {**assessment.figures, **({} if assessment.lost is None else {"lost": float(assessment.lost)})}
    of_model = {**deployment, "Model": assessment.model}
    metrics = [Metric(name, figures[signal], of_model) for name, signal in METRICS.items() if signal in figures]
    if assessment.lost is not None:  # of all models, for one alarm
        metrics.append(Metric("PredictionsLost", assessment.lost, deployment))
    if metrics:
        ports.metrics.put(metrics, assessment.at)
    ports.catalog.record_assessment(assessment)
