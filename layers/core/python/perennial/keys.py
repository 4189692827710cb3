"""Every S3 key and every DynamoDB key, and nothing else."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Context, Decimal
from urllib.parse import quote

from perennial.utc import naive_utc

# --- S3, artifacts bucket -------------------------------------------------------------------------


def snapshot_part(dataset: str, snapshot_id: str, sha256: str) -> str:
    """Parquet of some of a snapshot's rows, addressed by its content."""
    return f"snapshots/{dataset}/{snapshot_id}/{sha256}.parquet"


def snapshot_files(dataset: str, snapshot_id: str = "") -> str:
    """Prefix of a snapshot's parts and manifests; with no id, of all that a dataset has."""
    return f"snapshots/{dataset}/{snapshot_id}/" if snapshot_id else f"snapshots/{dataset}/"


def snapshot_manifest(dataset: str, snapshot_id: str, sha256: str) -> str:
    """JSON of what a snapshot consists of, addressed by its content: it names the upload, and two may share rows."""
    return f"snapshots/{dataset}/{snapshot_id}/{sha256}.json"


def quarantine(dataset: str, snapshot_id: str) -> str:
    """JSON Lines of a file's rejected rows."""
    return f"quarantine/{dataset}/{snapshot_id}.jsonl"


def ingest_report(dataset: str, snapshot_id: str, suffix: str = "json") -> str:
    """JSON (or ``html``) of what ingesting a file found."""
    return f"reports/ingest/{dataset}/{snapshot_id}.{suffix}"


def view_part(view: str, version: str, sha256: str) -> str:
    """Parquet of a stored view for one bucket and period, addressed by its content."""
    return f"features/{view}/{version}/{sha256}.parquet"


def view_manifest(view: str, version: str, sha256: str) -> str:
    """JSON of what a stored view's table consists of, addressed by its content."""
    return f"features/{view}/{version}/{sha256}.json"


def training_set(model: str, sha256: str, part: str) -> str:
    """Parquet of one part (``train`` or ``holdout``) of a training set, addressed by its content."""
    return f"training-sets/{model}/{part}-{sha256}.parquet"


def training_inputs(model: str, sha256: str) -> str:
    """JSON of what a training set was made from, addressed by its content; it holds no rows, so it outlives them."""
    return f"training-inputs/{model}/{sha256}.json"


def definitions(sha256: str) -> str:
    """JSON of a model's definitions, and of all that they depend on, as they were; addressed by its content."""
    return f"definitions/{sha256}.json"


def candidate(model: str, run_id: str, name: str, file: str) -> str:
    """A file that training one candidate made."""
    return f"candidates/{model}/{run_id}/{name}/{file}"


def submission(model: str, submission_id: str, file: str) -> str:
    """A file of a model that was trained elsewhere: ``model.onnx``, or ``candidate.json``, whose SHA-256 is the id."""
    return f"submissions/{model}/{submission_id}/{file}"


def experiment_file(model: str, run_id: str, sha256: str, name: str) -> str:
    """A file that an experiment logged, addressed by its content."""
    return f"experiments/{model}/{run_id}/artifacts/{sha256}/{name}"


def experiment_points(model: str, run_id: str, chunk: int) -> str:
    """JSON Lines of an experiment's metrics: its first, second, … part."""
    return f"experiments/{model}/{run_id}/metrics/{chunk:06d}.jsonl"


def search_round(model: str, run_id: str, number: int) -> str:
    """JSON of a round of a run's search: its plan, and what the rounds before it found."""
    return f"trials/{model}/{run_id}/round-{number:05d}.json"


def trial(model: str, run_id: str, candidate: str, number: int, rung: int, fold: int | None = None) -> str:
    """JSON of what came of a trial on a rung, or of one fold of it."""
    part = "" if fold is None else f"-fold-{fold}"
    return f"trials/{model}/{run_id}/{candidate}/{number:05d}-{rung}{part}.json"


def evaluation_report(model: str, run_id: str, suffix: str = "json") -> str:
    """JSON (or ``html``) of an evaluation."""
    return f"reports/evaluation/{model}/{run_id}.{suffix}"


def delivery_report(model: str, run_id: str, suffix: str = "json") -> str:
    """JSON (or ``html``) of how a version did beside the champion."""
    return f"reports/delivery/{model}/{run_id}.{suffix}"


def monitoring_report(model: str, version: int, at: datetime, suffix: str = "json") -> str:
    """JSON (or ``html``) of what the monitor found about a version at a moment."""
    return f"reports/monitoring/{model}/{version}/{at.astimezone(UTC):%Y-%m-%dT%H-%M-%S-%f}.{suffix}"


def rebuild_report(model: str, run_id: str) -> str:
    """JSON of how a version that was made again compares with the one that was registered."""
    return f"reports/rebuild/{model}/{run_id}.json"


def artifact(model: str, version: int, file: str) -> str:
    """A file of a registered version: ``model.onnx``, ``manifest.json``, ``card.json`` or ``card.html``."""
    return f"models/{model}/{version}/{file}"


def predictions(model: str, version: int) -> str:
    """Prefix of a version's prediction log."""
    return f"predictions/model={model}/version={version}/"


def prediction_window(model: str, version: int, request_id: str, at: datetime) -> str:
    """Prefix of the parts of the log that may hold a request; ``at`` is the request's time.

    The first seven characters of a request id tell its time to 32.8 seconds.
    """
    return f"{predictions(model, version)}date={at.astimezone(UTC):%Y-%m-%d}/{request_id[:7]}-"


def prediction_part(model: str, version: int, request_id: str, at: datetime, rows: int, sha256: str) -> str:
    """Parquet of a version's predictions in one window, addressed by its content; it says how many rows it has."""
    return f"{prediction_window(model, version, request_id, at)}{rows}-{sha256[:32]}.parquet"


def labels(model: str, version: int, request_id: str, content: str, at: datetime) -> str:
    """JSON Lines of labels for one request's predictions, addressed by content; ``at`` is the request's time."""
    return f"labels/model={model}/version={version}/date={at.astimezone(UTC):%Y-%m-%d}/{request_id}-{content}.jsonl"


def labels_prefix(model: str, version: int) -> str:
    """Prefix of all labels of a version's predictions."""
    return f"labels/model={model}/version={version}/"


def bulk_input(model: str, sha256: str, name: str) -> str:
    """A file whose rows are to be predicted, addressed by its content; the name is the file's own."""
    return f"bulk/{model}/inputs/{sha256}/{name}"


def bulk_plan(model: str, bulk_id: str) -> str:
    """JSON of what a bulk prediction reads and by what, whose SHA-256 begins with the id."""
    return f"bulk/{model}/{bulk_id}/plan.json"


def bulk_chunk(model: str, bulk_id: str, file: int, chunk: int | None = None) -> str:
    """JSON of what came of a chunk of the first, second, … file (from 0); with no chunk, of the file's end."""
    part = "end" if chunk is None else f"{chunk:06d}"
    return f"bulk/{model}/{bulk_id}/chunks/{file:05d}-{part}.json"


def bulk_chunks(model: str, bulk_id: str) -> str:
    """Prefix of all that is known of chunks and files' ends."""
    return f"bulk/{model}/{bulk_id}/chunks/"


def bulk_part(model: str, bulk_id: str, sha256: str, suffix: str) -> str:
    """Predictions of a chunk (``parquet``) or its rejected rows (``jsonl``), addressed by their content."""
    return f"bulk/{model}/{bulk_id}/parts/{sha256}.{suffix}"


def bulk_result(model: str, bulk_id: str) -> str:
    """JSON of what a bulk prediction came to: its parts in the order of the rows, counts and hashes."""
    return f"bulk/{model}/{bulk_id}/result.json"


def bulk_request(run_id: str) -> str:
    """JSON of the files that a run is asked to predict."""
    return f"requests/batch_predict/{run_id}.json"


PREDICT = "predict"
"""Folder of the raw bucket whose objects, ``predict/<model>/<file>``, are predicted; no dataset has this name."""


def forget_request(run_id: str) -> str:
    """JSON of what a run is asked to forget; it is deleted when that is done."""
    return f"requests/forget/{run_id}.json"


# --- DynamoDB, catalog table: pk, sk; indexes ``by_time`` on gsi1pk, gsi1sk; ``by_subject`` on gsi2pk, gsi2sk ---

BY_TIME = "by_time"
"""The index that lists runs in the order of their start."""
BY_SUBJECT = "by_subject"
"""The index that lists the runs of one kind about one dataset or model, in the order of their start."""
INDEXES = {BY_TIME: ("gsi1pk", "gsi1sk"), BY_SUBJECT: ("gsi2pk", "gsi2sk")}
"""Index to its partition and sort key."""


def moment(at: datetime) -> str:
    """A moment as text that sorts in time order; one without a zone is taken as UTC, like a dataset's event times."""
    return f"{naive_utc(at).isoformat(timespec='microseconds')}Z"  # strftime would write the year 999 with three digits


def run(run_id: str) -> tuple[str, str]:
    """A run."""
    return f"RUN#{run_id}", "RUN"


def step(run_id: str, name: str = "") -> tuple[str, str]:
    """A step of a run; with no name, the prefix of all its steps."""
    return f"RUN#{run_id}", f"STEP#{name}"


def all_runs() -> str:
    """Index partition of all runs."""
    return "RUNS"


def runs_about(kind: str, subject: str) -> str:
    """Index partition of the runs of one kind about one dataset or model."""
    return f"RUNS#{kind}#{subject}"


def remembered(subject: str, step: str, key: str = "") -> tuple[str, str]:
    """What a step made from the inputs of a key; with no key, what it made last."""
    return f"MADE#{subject}", f"KEY#{step}#{key}" if key else f"LATEST#{step}"


def dataset(name: str) -> tuple[str, str]:
    """A dataset's counter: its revision, and how often anything of it was moved."""
    return f"DATASET#{name}", "DATASET"


def dataset_snapshot(name: str, snapshot_id: str = "") -> tuple[str, str]:
    """A snapshot; with no id, the prefix of all of them."""
    return f"DATASET#{name}", f"SNAPSHOT#{snapshot_id}"


def dataset_source(name: str, source: str = "") -> tuple[str, str]:
    """The pointer from a source object to its live snapshot; with no source, the prefix of all of them."""
    if len(source.encode()) > _LONGEST_SOURCE:
        source = f"sha256:{hashlib.sha256(source.encode()).hexdigest()}"
    return f"DATASET#{name}", f"SOURCE#{source}"


_LONGEST_SOURCE = 1000
"""Bytes; DynamoDB's sort keys have 1024 at most, and so may have the key of an uploaded object alone."""


def dataset_replacements(name: str, shard: str = "") -> tuple[str, str]:
    """What stands in for a dataset's snapshots whose ids begin with ``shard``; with none, the prefix of all."""
    return f"DATASET#{name}", f"REPLACEMENTS#{shard}"


def erasure(name: str, erasure_id: str = "") -> tuple[str, str]:
    """Rows of a dataset that were forgotten; with no id, the prefix of all such records."""
    return f"DATASET#{name}", f"ERASURE#{erasure_id}"


def view_version(name: str, version: str) -> tuple[str, str]:
    """The published table of a stored view's version."""
    return f"VIEW#{name}", f"VERSION#{version}"


def all_models() -> tuple[str, str]:
    """The list of models; the sort key is the prefix of their names."""
    return "MODELS", "MODEL#"


def model_counter(name: str) -> tuple[str, str]:
    """A model's version counter."""
    return f"MODEL#{name}", "COUNTER"


def model_run(name: str, run_id: str) -> tuple[str, str]:
    """The version number that a run was given."""
    return f"MODEL#{name}", f"RUN#{run_id}"


def model_version(name: str, version: int | None = None) -> tuple[str, str]:
    """A version; with no number, the prefix of all of them."""
    return f"MODEL#{name}", "VERSION#" if version is None else f"VERSION#{version:08d}"


def champion(name: str) -> tuple[str, str]:
    """The champion pointer."""
    return f"MODEL#{name}", "CHAMPION"


def audit(name: str, move: int | None = None) -> tuple[str, str]:
    """The first, second, … change of a model's registry; with no number, the prefix of all of them."""
    return f"MODEL#{name}", "AUDIT#" if move is None else f"AUDIT#{move:08d}"


def approval(name: str, version: int | None = None) -> tuple[str, str]:
    """What became of a version that waits, or waited, for a person; with no number, the prefix of all of them."""
    return f"MODEL#{name}", "APPROVAL#" if version is None else f"APPROVAL#{version:08d}"


def approval_token(name: str, version: int) -> tuple[str, str]:
    """The secret by which the execution that waits is told: in a partition of its own, which few may read."""
    return f"TOKEN#{name}", f"APPROVAL#{version:08d}"


def alias(name: str, alias: str = "") -> tuple[str, str]:
    """A name for a version; with no name, the prefix of all of them."""
    return f"MODEL#{name}", f"ALIAS#{alias}"


def suspension(name: str) -> tuple[str, str]:
    """Why a model is trained only when a person asks for it."""
    return f"MODEL#{name}", "SUSPENSION"


def assessment(name: str, at: datetime | None = None) -> tuple[str, str]:
    """A finding of the monitor; with no time, the prefix of all of them."""
    return f"MODEL#{name}", "ASSESSMENT#" if at is None else f"ASSESSMENT#{moment(at)}"


def experiment(model: str, run_id: str = "") -> tuple[str, str]:
    """What an experiment has logged; with no id, the prefix of all of a model.

    A partition of their own: who may log experiments need not be allowed to write where the champion stands.
    """
    return f"EXPERIMENTS#{model}", f"EXPERIMENT#{run_id}"


def claim(name: str) -> tuple[str, str]:
    """A lock."""
    return f"CLAIM#{name}", "CLAIM"


# --- DynamoDB, online table: pk ------------------------------------------------------------------------


def online(view: str, version: str, entity: tuple[object, ...]) -> str:
    """The online row of one entity; its parts are quoted, so that no two entities share a key ("%": a missing part).

    Parts that SQL holds equal make the same key: 0.0 and -0.0, 1.5 and 1.50 of a decimal, a moment in two zones. Texts
    are equal only if they are so code point by code point, as in SQL. A long key is cut to its SHA-256.
    """
    key = "#".join("%" if part is None else quote(_canonical(part), safe="") for part in entity)
    if len(key) > _LONGEST_ENTITY:
        key = f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"  # no quoted part holds a colon
    return f"{view}#{version[:16]}#{key}"


_LONGEST_ENTITY = 1024
"""DynamoDB's partition keys have 2048 bytes at most."""


def _canonical(part: object) -> str:
    if isinstance(part, float):
        return repr(part + 0.0)  # -0.0 + 0.0 is 0.0
    if isinstance(part, Decimal):
        return format(part.normalize(_EXACT), "f") if part else "0"
    if isinstance(part, datetime):
        return moment(part)
    return str(part)


_EXACT = Context(prec=80)
