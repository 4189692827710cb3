"""Run the emulator with the parts it lacks: ``python -m infra.local.launcher --state DIR``.

Each gap of the emulator is closed by one module of this package, in the emulator's own process.
The deployed application never knows: it is the same text in AWS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

ACCOUNT = "000000000000"
HOST = "127.0.0.1"
REGION = "us-east-1"
RECORD = "endpoint.json"
"""What ``perennial.client.deployment`` reads: not imported from there, for the emulator needs none of the library."""


def environment(state: Path, port: int, access_key: str, secret_key: str) -> dict[str, str]:
    """Return the emulator's whole environment.

    Functions and jobs inherit it, so nothing of the user's shell but what a process needs to run is
    let through: no profile, no credentials, no settings.
    """
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SYSTEMROOT", "LD_LIBRARY_PATH")
        if name in os.environ
    }
    return kept | {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "BIND_HOST": HOST,
        "DOCKER_HOST": f"unix://{state / 'no-docker.sock'}",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(state / "s3"),
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state / "emulator"),
        "TMPDIR": str(state / "tmp"),
    }


def listen() -> socket.socket:
    """Bind a free port on the loopback interface; bound before it is announced, so nobody can take it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, 0))
    listener.listen(512)
    return listener


def patch(state: Path) -> None:
    """Close the emulator's gaps, one module each."""
    from infra.local import (
        alarms,
        batch,
        callbacks,
        callers,
        composites,
        conditions,
        events,
        functions,
        identity,
        machines,
        metric_filters,
        ranges,
        registry,
        subscriptions,
        uploads,
    )

    identity.patch()
    conditions.patch()
    functions.patch()
    subscriptions.patch()
    metric_filters.patch()
    events.patch()
    machines.patch()
    callbacks.patch()
    callers.patch()
    uploads.patch()
    ranges.patch()
    alarms.patch()
    composites.patch()
    batch.patch(state)
    registry.patch(state)


async def serve(state: Path, listener: socket.socket, record: Mapping[str, object], until_stdin_ends: bool) -> None:
    """Serve until the process is told to stop, then end every job and function."""
    from hypercorn.asyncio import serve as hypercorn
    from hypercorn.config import Config
    from ministack.app import app

    from infra.local import batch, functions

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    config.loglevel = "WARNING"
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)

    def stop_at_the_end() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(stopped.set)

    if until_stdin_ends:
        threading.Thread(target=stop_at_the_end, daemon=True).start()
    # Written whole or not at all: whoever starts the cloud polls for this file.
    draft = state / f"{RECORD}.new"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(record))
    draft.replace(state / RECORD)
    await hypercorn(app, config, shutdown_trigger=stopped.wait)
    batch.stop()
    functions.stop()
    if until_stdin_ends:
        shutil.rmtree(state, ignore_errors=True)
    # The loop and the interpreter would wait for the threads of executions that go nowhere now.
    os._exit(0)


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments, patch the emulator and serve it."""
    parser = argparse.ArgumentParser(description="Run the local cloud in the foreground.")
    parser.add_argument("--state", type=Path, required=True, help="directory of this instance's files")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with whoever holds the other end")
    given = parser.parse_args(arguments)
    state = given.state.resolve()
    (state / "tmp").mkdir(parents=True, exist_ok=True)
    listener = listen()
    port = listener.getsockname()[1]
    access_key, secret_key = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    # The emulator reads its settings from the environment when it is imported.
    os.environ.clear()
    os.environ.update(environment(state, port, access_key, secret_key))
    patch(state)
    record = {
        "url": f"http://{HOST}:{port}",
        "pid": os.getpid(),
        "account": ACCOUNT,
        "region": REGION,
        "access_key": access_key,
        "secret_key": secret_key,
    }
    asyncio.run(serve(state, listener, record, given.until_stdin_ends))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
