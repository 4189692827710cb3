"""The program ``perennial``: it can be interrupted from its first moment on."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130


def main() -> None:
    """Run the CLI; Ctrl-C while its modules are still being imported ends it at once, without a stack trace."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:
        # An exception raised among imports may be swallowed there; and there is nothing to clean up yet.
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED))
    from infra.cli import main as run

    signal.signal(signal.SIGINT, usual)
    run()


if __name__ == "__main__":
    main()
