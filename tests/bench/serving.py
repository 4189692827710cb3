"""Serving against what users know: ``python -m tests.bench.serving [--rivals NAMES] [--seconds S]``.

The same model (histogram gradient boosting, 100 trees) is asked for 1, 100 and 1,000 rows: by our handler, with its
request view, checks, log line and JSON; and by ``mlflow models serve``, BentoML, and FastAPI with scikit-learn and with
onnxruntime, which get the finished features. Ours is timed as Lambda calls it, and behind a plain HTTP server of
Python's own, as the others are asked over HTTP. Then what a million predictions cost at AWS's list prices
(`perennial.prices`).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sklearn

from perennial import keys
from perennial.definitions.files import Definitions
from perennial.fakes import fake_ports
from perennial.prices import Call, JobSize, always_on
from perennial.steps import log_predictions
from tests.bench.cold_start import ROOT, Recorded, World, make_world, record
from tests.bench.rivals import FOLDER, RIVALS, Rival, mebibytes_of
from tests.bench.rivals import serving as started
from tests.support.artifacts import MODEL, a_trip
from tests.support.aws_server import environ, serving

SIZES = (1, 100, 1000)
MEBIBYTES = 1769
"""What the app gives ``predict``."""
DELIVERED = 500
"""Rows that CloudWatch Logs is taken to deliver at once, at least a call's own."""
SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
import functions.predict

class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        event = {"resource": "/models/{model}/predict", "pathParameters": {"model": MODEL}, "body": body}
        answer = functions.predict.handler(event, None)
        content = answer["body"].encode()
        self.send_response(answer["statusCode"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass

MODEL = sys.argv[1]
server = HTTPServer(("127.0.0.1", 0), Front)
print("PORT", server.server_port, flush=True)
server.serve_forever()
"""
HANDLER = """
import io, json, sys, time
import functions.predict

seconds, paths = float(sys.argv[1]), sys.argv[2:]
out = sys.stdout
for path in paths:
    with open(path) as file:
        event = json.load(file)
    times = []
    sys.stdout = open("/dev/null", "w")  # where the log's lines go
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 30:
        begin = time.perf_counter()
        answer = functions.predict.handler(event, None)
        times.append(time.perf_counter() - begin)
        assert answer["statusCode"] == 200, answer
    sys.stdout = log = io.StringIO()
    for _ in range(max(1, DELIVERED // len(json.loads(event["body"])["instances"]))):
        functions.predict.handler(event, None)
    sys.stdout = out
    lines = [line for line in log.getvalue().splitlines() if line.startswith('{"prediction_log"')]
    print("TIMES", json.dumps([sorted(times[5:]), lines]), flush=True)
"""


@dataclass(frozen=True)
class Timing:
    """How long calls of one size took, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Return the percentiles of durations."""
        ordered = sorted(seconds)
        return cls(1000 * ordered[len(ordered) // 2], 1000 * ordered[int(0.99 * (len(ordered) - 1))])


@dataclass(frozen=True)
class Contender:
    """What one way to serve came to."""

    name: str
    timings: Mapping[int, Timing]
    mebibytes: float | None = None
    lines: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Of ours: what calls of each size, `DELIVERED` rows of them or one call, printed for the prediction log."""

    def line(self, one_row: float) -> str:
        """Return its line, with how many times ``one_row`` (milliseconds) its single row takes."""
        parts = [f"{self.timings[n].p50:.3f} / {self.timings[n].p99:.3f}" for n in SIZES]
        rows = 1000 * SIZES[-1] / self.timings[SIZES[-1]].p50
        memory = "" if self.mebibytes is None else f"; {self.mebibytes:.0f} MiB"
        return (
            f"{self.name}: ms p50 / p99 of {', '.join(map(str, SIZES))} rows: {', '.join(parts)}; "
            f"{rows:,.0f} rows/s{memory}; one row takes {self.timings[1].p50 / one_row:.1f} × ours in the handler"
        )


def instances(rows: int) -> list[dict[str, Any]]:
    """Return trips that bring the stored feature, as the rivals' rows do."""
    return [a_trip(trip_distance=1 + number % 50 / 10, zone_stats__mean_speed=20.0) for number in range(rows)]


def features(rows: int) -> list[list[float]]:
    """Return the same trips as the rivals get them."""
    return [[1 + number % 50 / 10, 12.0, 1.0, 20.0] for number in range(rows)]


@contextmanager
def deployed(world: World) -> Iterator[dict[str, str]]:
    """Serve what the handler reads; yield the variables of its process."""
    variables = record(world)
    with serving(Recorded) as url:
        path = os.pathsep.join((str(ROOT), str(ROOT / "layers" / "core" / "python")))
        yield {
            "PATH": os.environ["PATH"], "PYTHONPATH": path, **environ(url), "AWS_DEFAULT_REGION": "us-east-1",
            **variables,
        }  # fmt: skip


def in_the_handler(variables: Mapping[str, str], folder: Path, seconds: float, stored: bool = False) -> Contender:
    """Time calls of the handler in a process of its own."""
    paths = []
    for size in SIZES:
        rows = instances(size)
        if stored:
            rows = [{name: value for name, value in row.items() if "__" not in name} for row in rows]
        event = {
            "resource": "/models/{model}/predict", "pathParameters": {"model": MODEL},
            "body": json.dumps({"instances": rows}),
        }  # fmt: skip
        paths.append(folder / f"event-{size}.json")
        paths[-1].write_text(json.dumps(event))
    done = subprocess.run(
        [sys.executable, "-c", f"DELIVERED = {DELIVERED}\n{HANDLER}", str(seconds), *map(str, paths)],
        env=dict(variables), check=True, capture_output=True, text=True,
    )  # fmt: skip
    told = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("TIMES")]
    name = "perennial, handler" + (", stored feature looked up" if stored else "")
    timings = {size: Timing.of(times) for size, (times, _) in zip(SIZES, told, strict=True)}
    return Contender(name, timings, lines={size: lines for size, (_, lines) in zip(SIZES, told, strict=True)})


def behind_http(variables: Mapping[str, str], seconds: float) -> Contender:
    """Time calls of the handler behind a plain HTTP server."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, MODEL], env=dict(variables), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)

            def ask(rows: int) -> Callable[[], None]:
                body = json.dumps({"instances": instances(rows)}).encode()
                return lambda: _post(connection, "/", body)

            timings = {size: Timing.of(timed(ask(size), seconds)) for size in SIZES}
            return Contender("perennial, behind a plain HTTP server", timings, mebibytes_of(process.pid))
        finally:
            process.kill()
            drain.kill()
            drain.wait()


def rival(which: Rival, model: Path, seconds: float) -> Contender:
    """Time calls of another server."""
    with started(which, model, features(1), sklearn.__version__) as server:
        connection = server.connect()
        timings = {}
        for size in SIZES:
            body = server.body(features(size))
            timings[size] = Timing.of(timed(lambda body=body: server.ask(connection, body), seconds))
        print(f"{which.name}: first answer {server.seconds_to_first_answer:.1f} s after its start", flush=True)
        return Contender(which.name, timings, server.mebibytes())


def timed(call: Callable[[], Any], seconds: float) -> list[float]:
    """Return how long calls took, one after another, for some time and thirty at least; the first five do not count."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 30:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times[5:]


def _post(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, content


def models(world: World, folder: Path, wanted: Sequence[Rival]) -> dict[str, Path]:
    """Write the model as the rivals read it."""
    found = {"joblib": folder / "model.joblib", "onnx": folder / "model.onnx", "mlflow": folder / "mlflow"}
    found["joblib"].write_bytes(world.estimator)
    found["onnx"].write_bytes(world.graph)
    if any(each.model == "mlflow" for each in wanted):
        packages = ["--with", "mlflow", "--with", f"scikit-learn=={sklearn.__version__}"]
        subprocess.run(
            ["uv", "run", "--no-project", "--quiet", *packages, "python", str(FOLDER / "mlflow_model.py"),
             str(found["joblib"]), str(found["mlflow"])],
            check=True, cwd=folder, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return found


def collecting(world: World, lines: Sequence[str]) -> tuple[float, int, int]:
    """Put what was printed into the log; return the seconds of a processor, the rows and the objects."""
    ports = fake_ports(Definitions({}, {}, {}))
    ports.artifacts.put(keys.artifact(MODEL, 1, "manifest.json"), world.manifest.model_dump_json().encode())
    begin = time.process_time()
    found = log_predictions.run(log_predictions.Request(lines=list(lines)), ports)
    assert found.unreadable == 0, found
    return time.process_time() - begin, found.rows, len(found.parts)


def costs(world: World, handler: Contender) -> str:
    """Return what a million predictions cost."""
    parts = []
    collecting(world, handler.lines[1])  # imports what writes Parquet
    for size in SIZES:
        seconds, rows, objects = collecting(world, handler.lines[size])
        calls = rows / size
        call = Call(
            rows=size,
            seconds=handler.timings[size].p50 / 1000,
            mebibytes=MEBIBYTES,
            items=size,
            logged_bytes=int(sum(len(line) + 1 for line in handler.lines[size]) / calls),
            collecting_seconds=seconds / calls,
            parts=objects / calls,
        )
        parts.append(f"{size} rows a call ${call.dollars_per_million():.2f}")
    server = always_on(JobSize(vcpus=1, gibibytes=2))
    return (
        f"a million predictions cost, by {', '.join(parts)}; nothing while nobody asks. "
        f"A container of 1 vCPU and 2 GiB that is never off costs ${server:.2f} a month"
    )


def main(names: Sequence[str], seconds: float) -> None:
    """Print each contender's figures and the ratios."""
    wanted = [each for each in RIVALS if not names or each.name in names] if list(names) != ["none"] else []
    world = make_world()
    with tempfile.TemporaryDirectory() as made, deployed(world) as variables:
        folder = Path(made)
        handler = in_the_handler(variables, folder, seconds)
        one_row = handler.timings[1].p50
        print(handler.line(one_row), flush=True)
        print(in_the_handler(variables, folder, seconds, stored=True).line(one_row), flush=True)
        print(behind_http(variables, seconds).line(one_row), flush=True)
        files = models(world, folder, wanted)
        for each in wanted:
            print(rival(each, files[each.model], seconds).line(one_row), flush=True)
        print(costs(world, handler))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rivals", nargs="*", default=[], help="names, or none; all by default")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each size is asked for")
    given = parser.parse_args()
    main(given.rivals, given.seconds)
