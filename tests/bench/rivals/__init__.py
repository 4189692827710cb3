"""Servers of a scikit-learn model that people know, each started in an environment of its own packages."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
LONGEST_START = 120.0
"""Seconds."""


@dataclass(frozen=True)
class Rival:
    """A server: what it is called, what it needs, how it is started, and how it is asked."""

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    """With ``{port}`` and ``{model}`` in it."""
    path: str
    key: str
    """Of the rows in the body."""
    model: str
    """Which file of the model it reads: ``joblib``, ``onnx`` or ``mlflow``."""


RIVALS = (
    Rival(
        "mlflow models serve", ("mlflow",),
        ("mlflow", "models", "serve", "-m", "{model}", "-p", "{port}", "--env-manager", "local"),
        "/invocations", "inputs", "mlflow",
    ),
    Rival(
        "BentoML", ("bentoml",), ("bentoml", "serve", "bentoml_service:Fares", "-p", "{port}"),
        "/predict", "instances", "joblib",
    ),
    Rival(
        "FastAPI + scikit-learn", ("fastapi", "uvicorn"), ("uvicorn", "fastapi_sklearn:app", "--port", "{port}"),
        "/predict", "instances", "joblib",
    ),
    Rival(
        "FastAPI + onnxruntime", ("fastapi", "uvicorn", "onnxruntime"),
        ("uvicorn", "fastapi_onnx:app", "--port", "{port}"), "/predict", "instances", "onnx",
    ),
)  # fmt: skip


@dataclass
class Server:
    """A rival that answers."""

    rival: Rival
    port: int
    pid: int
    seconds_to_first_answer: float

    def ask(self, connection: http.client.HTTPConnection, body: bytes) -> bytes:
        """Send one request over a connection that is kept, and return the answer."""
        connection.request("POST", self.rival.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{self.rival.name} answered {answer.status}: {content[:300]!r}")
        return content

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def body(self, rows: Sequence[Sequence[float]]) -> bytes:
        """Return the body that asks about rows."""
        return json.dumps({self.rival.key: [list(row) for row in rows]}).encode()

    def mebibytes(self) -> float:
        """Return the memory that its processes hold, what they share counted once for each (PSS)."""
        return mebibytes_of(self.pid)


@contextmanager
def serving(rival: Rival, model: Path, first: Sequence[Sequence[float]], scikit_learn: str) -> Iterator[Server]:
    """Start a rival, and wait until it has answered once.

    Parameters
    ----------
    model : Path
        The file or folder that it reads.
    first : rows of floats
        What it is asked first.
    scikit_learn : str
        Version that made the model, which must read it too.
    """
    port = _free_port()
    wanted = [part for package in (*rival.packages, f"scikit-learn=={scikit_learn}") for part in ("--with", package)]
    command = [part.format(port=port, model=model) for part in rival.command]
    run = ["uv", "run", "--no-project", "--quiet", *wanted]
    # What the environment needs to be made is not counted.
    subprocess.run([*run, "python", "-c", "pass"], check=True, cwd=FOLDER)
    environment = {**os.environ, "MODEL": str(model), "DO_NOT_TRACK": "1", "BENTOML_DO_NOT_TRACK": "1"}
    start = time.perf_counter()
    with subprocess.Popen(
        [*run, *command], cwd=FOLDER, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            server = Server(rival, port, process.pid, 0.0)
            _first_answer(server, first, process)
            server.seconds_to_first_answer = time.perf_counter() - start
            yield server
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def mebibytes_of(pid: int) -> float:
    """Return the memory of a process and all that it started, what is shared counted once for each (PSS)."""
    return sum(_pss(each) for each in _family(pid)) / 1024


def _first_answer(server: Server, rows: Sequence[Sequence[float]], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{server.rival.name} ended with {process.returncode} before it answered")
        try:
            server.ask(server.connect(), server.body(rows))
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
        except RuntimeError:  # BentoML answers 503 until its worker is there
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{server.rival.name} did not answer within {LONGEST_START:.0f} s")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found += _family(int(each.name))
    return found


def _pss(pid: int) -> float:
    """Return a process's proportional set size in KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("Pss:"))
