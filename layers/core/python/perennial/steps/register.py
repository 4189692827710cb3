"""Register the judged candidate as the model's next version, with all that serving and monitoring need."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel

from perennial import keys
from perennial.definitions import Model
from perennial.errors import NotFoundError
from perennial.manifest import Manifest, RequestView, feature_column
from perennial.ports import Ports
from perennial.records import ModelVersion, Run, TrainingSet, Verdict
from perennial.reporting.page import page
from perennial.serving.scorer import FLAT_FILE
from perennial.steps.admit import claim_name
from perennial.steps.candidate_files import GRAPH_FILE
from perennial.steps.intact import write_once
from perennial.steps.masking import kept_of
from perennial.steps.recording import recorded
from perennial.steps.signature import signature
from perennial.steps.verified import (
    read_candidate,
    read_evaluation,
    read_training_set,
    read_verdict,
    same_definition,
)
from perennial.training.gate import refusal
from perennial.training.model_card import card_sections, card_title, model_card
from perennial.training.report import CandidateReport


class Request(BaseModel):
    """Which run's best candidate."""

    run_id: str
    model: str


class Registered(BaseModel):
    """The version that a run led to."""

    run_id: str
    model: str
    version: int
    passed: bool
    """Whether the gate let it through, so that it may be deployed."""
    approval_seconds: int
    """How long it then waits for a person to approve it; 0 if nobody needs to."""


def run(request: Request, ports: Ports) -> Registered:
    """Give the run's best candidate the next version number, publish it, close the run and release the model's lock.

    A candidate that the gate refused is registered too, as ``refused`` with the reason, and never deployed. Run
    again, or killed anywhere, this leaves one version: the number belongs to the run, the manifest holds nothing that
    differs between tries, and a published version's files are not written again.

    Raises
    ------
    DataError
        The candidate's files are not those that were recorded, or other files stand where the version's belong.
    ConflictError
        The model's definition was changed while the run was under way.
    """
    with recorded(ports, request.run_id, "register") as output:
        train_run = ports.catalog.run(request.run_id)
        number = ports.catalog.allocate_version(request.model, request.run_id)
        try:
            version = ports.catalog.version(request.model, number)
        except NotFoundError:
            version = _publish(request, number, ports)
        registered = Registered(
            run_id=request.run_id,
            model=request.model,
            version=number,
            passed=version.verdict.passed,
            approval_seconds=_approval_seconds(ports.definitions.model(request.model)),
        )
        output.update(registered.model_dump(mode="json"))
    outputs = {
        "version": number,
        "passed": registered.passed,
        "candidate": version.verdict.candidate,
        "metrics": version.metrics,
        "manifest_sha256": version.manifest_sha256,
    }
    ports.catalog.finish_run(request.run_id, "succeeded", ports.clock.now(), outputs=outputs)
    ports.catalog.release(claim_name(train_run.subject), request.run_id)
    return registered


def _approval_seconds(model: Model) -> int:
    return int(model.approval_timeout.total_seconds()) if model.approval == "manual" else 0


def _publish(request: Request, number: int, ports: Ports) -> ModelVersion:
    """Write the artifact, the manifest and the model card, then make the version visible."""
    train_run = same_definition(ports, request.model, request.run_id)
    verdict = read_verdict(ports, request.run_id)
    training_set = read_training_set(ports, request.run_id)
    report, files = read_candidate(ports, request.model, request.run_id, verdict.candidate, training_set)
    manifest = _manifest(ports, train_run, number, verdict, training_set, report)
    content = manifest.model_dump_json(indent=2).encode()
    manifest_key = keys.artifact(request.model, number, "manifest.json")
    for name, body in files.named.items():
        kind = "application/json" if name.endswith(".json") else "application/octet-stream"
        write_once(ports.artifacts, keys.artifact(request.model, number, name), body, kind)
    write_once(ports.artifacts, manifest_key, content, "application/json")
    card_key = _write_card(ports, manifest, report, training_set, verdict)
    ports.catalog.publish_version(
        ModelVersion(
            model=request.model,
            version=number,
            stage="candidate" if verdict.passed else "refused",
            reason=refusal(verdict.ratings),
            manifest_key=manifest_key,
            manifest_sha256=hashlib.sha256(content).hexdigest(),
            metrics=verdict.metrics,
            verdict=verdict,
            training_set=training_set,
            run_id=request.run_id,
            trigger=train_run.trigger,
            created_at=ports.clock.now(),
            card_key=card_key,
        )
    )
    return ports.catalog.version(request.model, number)


def _write_card(
    ports: Ports, manifest: Manifest, report: CandidateReport, training_set: TrainingSet, verdict: Verdict
) -> str:
    """Write the model card and its page; return the card's key."""
    model = ports.definitions.model(manifest.model)
    card = model_card(model, manifest, report, training_set, read_evaluation(ports, verdict))
    key, html = (keys.artifact(manifest.model, manifest.version, f"card.{suffix}") for suffix in ("json", "html"))
    ports.artifacts.put(key, card.model_dump_json(indent=2).encode(), "application/json")
    ports.artifacts.put(html, page(card_title(card), card_sections(card)).encode(), "text/html; charset=utf-8")
    return key


def _request(view: RequestView | None, training_set: TrainingSet) -> RequestView | None:
    """Return the request view with the program that gave the same values when the training set was made."""
    if view is None or training_set.request is None:
        return view
    return view.model_copy(update={"program": training_set.request.program})


def _manifest(
    ports: Ports, train_run: Run, number: int, verdict: Verdict, training_set: TrainingSet, report: CandidateReport
) -> Manifest:
    """Say what the version is, from what the run recorded alone: each try makes the same bytes."""
    model = ports.definitions.model(train_run.subject)
    sources = signature(ports.definitions, model.name)
    return Manifest(
        model=model.name,
        version=number,
        task=model.task,
        target=model.target,
        metric=model.metric,
        algorithm=report.algorithm,
        candidate=report.candidate,
        parameters=report.parameters,
        seed=report.seed,
        features=report.features,
        categories=training_set.categories,
        classes=training_set.classes,
        request=_request(sources.request, training_set),
        stored=sources.stored,
        inputs=sources.inputs,
        ignored=sources.ignored,
        event_time=sources.event_time,
        null=sources.null,
        log=kept_of(ports.definitions, model.name),
        required=tuple(feature_column(*name.split(".", 1)) for name in model.required),
        onnx_input=report.onnx_input,
        onnx_output=report.onnx_output,
        files={GRAPH_FILE: report.onnx_sha256} | ({FLAT_FILE: report.flat_sha256} if report.flat_sha256 else {}),
        metrics=verdict.metrics,
        parity_error=report.parity_error,
        baseline=report.baseline,
        prediction_baseline=report.prediction_baseline,
        baseline_sha256=report.baseline_sha256,
        definition_hash=train_run.definition_hash,
        code_version=train_run.code_version,
        run_id=train_run.run_id,
        training_set_id=training_set.training_set_id,
        snapshots=training_set.snapshots,
        split_at=training_set.split_at,
        libraries=report.libraries,
        experiment=report.experiment,
        created_at=train_run.started_at,  # the run's, not this try's
    )
