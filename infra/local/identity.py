"""Who calls, as in AWS: the administrator's signature is checked like everybody's, and the transport counts as secure.

The emulator lets its root key, ``test`` and any account number pass with whatever signature: every program on the
machine would be the administrator, and a stale record could not be told from a running instance. And it sees plain
HTTP, so that a bucket or queue that refuses insecure transport, as it should, would refuse everybody.
"""

from __future__ import annotations

import contextvars
from typing import Any

_checking: contextvars.ContextVar[bool] = contextvars.ContextVar("checking", default=False)


def patch() -> None:
    """Check signatures made with a root key, and call the loopback interface secure: it does not leave the machine."""
    from ministack import app
    from ministack.core import iam_evaluator

    is_root, pin, origin = iam_evaluator._is_root_key, app.pin_signed_request, app.pin_request_origin

    def pin_signed_request(*arguments: Any, **options: Any) -> None:
        # While it is decided whether the signature is checked, no key is exempt; afterwards root is root.
        token = _checking.set(True)
        try:
            pin(*arguments, **options)
        finally:
            _checking.reset(token)

    iam_evaluator._is_root_key = lambda key: is_root(key) and not (key and _checking.get())
    app.pin_signed_request = pin_signed_request
    app.pin_request_origin = lambda address, secure: origin(address, True)
