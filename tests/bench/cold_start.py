"""A first answer against what users know: ``python tests/bench/cold_start.py [RUNS]`` prints medians and their ratio.

The same model (histogram gradient boosting, 100 trees) answers the same request twice over: from our handler, and from
one of pandas, scikit-learn, joblib and boto3. Each run is a new process that reads the pointer and the online features
from DynamoDB and the model from S3, over sockets of this machine, signed; the time goes from the start of the process
to its answer. The stages of ours are told beside it, as is what a call costs once the process is warm.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np

from perennial import keys
from perennial.data.views.compiled import compile_view
from perennial.definitions import Candidate
from perennial.manifest import Manifest
from perennial.records import Champion
from perennial.settings import Settings
from perennial.training.candidates import fit
from perennial.training.export import export
from perennial.training.flat import flat
from perennial.training.rows import Rows
from tests.support.artifacts import INPUTS, MODEL, SQL, VIEW_VERSION, a_manifest, a_trip
from tests.support.aws_server import environ, serving
from tests.support.records import AT

ROOT = Path(__file__).parents[2]
RUNS = 15
OURS = """
import time; started = time.perf_counter()
import json, sys
import functions.predict
imported = time.perf_counter()
event = json.loads(sys.argv[1])
response = functions.predict.handler(event, None)
print("ANSWER", response["statusCode"], response["body"], flush=True)
answered = time.perf_counter()
times = []
for _ in range(300):
    begin = time.perf_counter()
    functions.predict.handler(event, None)
    times.append(time.perf_counter() - begin)
heavy = [name for name in ("boto3", "pydantic", "numpy", "onnxruntime", "duckdb", "logging") if name in sys.modules]
print("STAGES", json.dumps([imported - started, answered - imported, sorted(times)[150], heavy]), flush=True)
"""
RIVAL = """
import io, json, os, sys
import boto3, joblib, pandas as pd

event = json.loads(sys.argv[1])
dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")

def handler(event, context):
    rows = json.loads(event["body"])["instances"]
    key = {"pk": {"S": "MODEL#taxi_fare"}, "sk": {"S": "CHAMPION"}}
    found = dynamodb.get_item(TableName=os.environ["PERENNIAL_CATALOG_TABLE"], Key=key, ConsistentRead=True)
    pointer = json.loads(found["Item"]["body"]["S"])
    body = s3.get_object(Bucket=os.environ["PERENNIAL_ARTIFACTS_BUCKET"], Key="model.joblib")["Body"].read()
    model = joblib.load(io.BytesIO(body))
    trips = pd.DataFrame(rows)
    asked = {"Keys": [{"pk": {"S": os.environ["BENCH_ONLINE_KEY"]}}]}
    table = os.environ["PERENNIAL_ONLINE_TABLE"]
    online = dynamodb.batch_get_item(RequestItems={table: asked})["Responses"][table]
    speed = json.loads(online[0]["v.mean_speed"]["S"])
    features = pd.DataFrame({
        "distance": trips["trip_distance"],
        "hour": pd.to_datetime(trips["pickup_datetime"]).dt.hour.astype(float),
        "passengers": trips["passenger_count"].fillna(1).astype(float),
        "speed": speed,
    })
    predictions = model.predict(features.to_numpy()).tolist()
    print(json.dumps({"inputs": rows, "features": features.to_dict("records"), "values": predictions}))
    answer = {"version": pointer["version"], "predictions": [{"value": value} for value in predictions]}
    return {"statusCode": 200, "body": json.dumps(answer)}

response = handler(event, None)
print("ANSWER", response["statusCode"], response["body"], flush=True)
"""


class Recorded(BaseHTTPRequestHandler):
    """S3 and DynamoDB as far as two handlers ask them: what is served stands ready in memory."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    objects: ClassVar[dict[str, bytes]]
    items: ClassVar[dict[str, dict[str, Any]]]

    def do_GET(self) -> None:
        self._send(self.objects[self.path.partition("?")[0]])

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-Amz-Target"].endswith(".GetItem"):
            self._send(json.dumps({"Item": self.items[asked["Key"]["pk"]["S"]]}).encode())
            return
        ((table, request),) = asked["RequestItems"].items()
        found = [self.items[key["pk"]["S"]] for key in request["Keys"]]
        self._send(json.dumps({"Responses": {table: found}, "UnprocessedKeys": {}}).encode())

    def _send(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class World:
    """What both contenders find."""

    manifest: Manifest
    model: bytes
    estimator: bytes
    graph: bytes
    """The same as ONNX."""


def make_world() -> World:
    """Return a version that is served from a flat file and a program, and its estimator for joblib."""
    rng = np.random.default_rng(0)
    features = np.column_stack(
        [
            rng.uniform(0.1, 60, 20_000),
            rng.integers(0, 24, 20_000),
            rng.integers(1, 7, 20_000),
            rng.normal(20, 5, 20_000),
        ]
    )
    target = 3 + 2 * features[:, 0] + np.sin(features[:, 1]) + features[:, 3] / 10 + rng.normal(0, 1, 20_000)
    candidate = Candidate(name="trees", algorithm="hist_gradient_boosting", parameters={"max_iter": 100})
    fitted = fit(candidate, Rows(np.zeros(len(target), dtype="datetime64[us]"), features, target), 0)
    content = flat(fitted, features)
    assert content is not None
    compiled = compile_view(
        "trip_context", SQL, "taxi_trips", INPUTS, dict.fromkeys(("distance", "hour", "passengers"), False)
    )
    assert compiled.program is not None, compiled.reason
    view = a_manifest().request
    assert view is not None
    files = {"model.flat": hashlib.sha256(content).hexdigest(), "model.onnx": "0" * 64}
    manifest = a_manifest(request=view.model_copy(update={"program": compiled.program}), files=files)
    buffer = io.BytesIO()
    joblib.dump(fitted.estimator, buffer)
    return World(manifest, content, buffer.getvalue(), export(fitted))


def record(world: World) -> dict[str, str]:
    """Let the server know the world; return the variables by which a handler finds it there."""
    content = world.manifest.model_dump_json().encode()
    manifest_key = keys.artifact(MODEL, 1, "manifest.json")
    pointer = Champion(
        model=MODEL,
        version=1,
        manifest_key=manifest_key,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        by="bench",
        promoted_at=AT,
    )
    online = keys.online("zone_stats", VIEW_VERSION, (42,))
    feature_time = {"S": keys.moment(AT.replace(month=2, day=1))}
    Recorded.objects = {
        f"/artifacts/{manifest_key}": content,
        f"/artifacts/{keys.artifact(MODEL, 1, 'model.flat')}": world.model,
        "/artifacts/model.joblib": world.estimator,
    }
    Recorded.items = {
        keys.champion(MODEL)[0]: {"body": {"S": pointer.model_dump_json()}},
        online: {"pk": {"S": online}, "feature_time": feature_time, "v.mean_speed": {"S": "20.0"}},
    }
    settings = Settings(
        deployment="bench",
        raw_bucket="raw",
        artifacts_bucket="artifacts",
        catalog_table="catalog",
        online_table="online",
        pointer_ttl_seconds=3600,
    )
    return {**settings.to_env(), "BENCH_ONLINE_KEY": online}


def run(program: str, event: str, variables: Mapping[str, str]) -> tuple[float, dict[str, Any], list[Any] | None]:
    """Start a process; return the seconds to its answer, the answer, and the stages that it tells."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program, event], env=dict(variables), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        answer = next(line for line in process.stdout if line.startswith("ANSWER 200"))
        took = time.perf_counter() - start
        stages = next((json.loads(line[7:]) for line in process.stdout if line.startswith("STAGES")), None)
    return took, json.loads(answer[len("ANSWER 200 ") :]), stages


def main(runs: int) -> None:
    """Print what the two contenders take."""
    event = json.dumps(
        {
            "resource": "/models/{model}/predict",
            "pathParameters": {"model": MODEL},
            "body": json.dumps({"instances": [a_trip()]}),
        }
    )
    variables = record(make_world())
    with serving(Recorded) as url, tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join((str(ROOT), str(ROOT / "layers" / "core" / "python")))
        base = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": folder}
        variables = {**base, **environ(url), "AWS_DEFAULT_REGION": "us-east-1", **variables}
        programs = {"ours": OURS, "rival": RIVAL}
        found: dict[str, list[float]] = {name: [] for name in programs}
        stages = []
        answers = {name: run(program, event, variables)[1] for name, program in programs.items()}  # compiles everything
        for _ in range(runs):
            for name, program in programs.items():
                took, _answer, told = run(program, event, variables)
                found[name].append(took)
                stages += [told] if told else []
    values = [answer["predictions"][0]["value"] for answer in answers.values()]
    assert values[0] == values[1], f"the contenders disagree: {values}"
    ours, rival = (1000 * statistics.median(found[name]) for name in programs)
    imports, first, warm = (1000 * statistics.median(stage[part] for stage in stages) for part in range(3))
    print(f"first answer of a new process, median of {runs}:")
    print(f"ours {ours:.0f} ms, pandas + scikit-learn + boto3 {rival:.0f} ms; ours / rival = {ours / rival:.3f}")
    print(f"ours: interpreter {ours - imports - first:.0f} ms, imports {imports:.0f} ms, first call {first:.0f} ms")
    print(f"ours, warm, one row, with its online read over HTTP: {warm:.3f} ms; heavy packages loaded: {stages[0][3]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
