"""A stand-in for ``docker``, given to the CDK CLI as ``CDK_DOCKER``.

It knows ``build``, ``inspect``, ``tag``, ``push`` and ``login``. An image is built into a directory of the local
cloud's state, from which Batch jobs run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from infra.local.dockerfile import DockerfileError, build
from infra.local.images import Store


def _build(store: Store, options: argparse.Namespace) -> None:
    context = Path(options.context)
    text = (Path(options.file) if options.file else context / "Dockerfile").read_text()
    store.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.directory, prefix=".build-") as work:
        image = build(
            text,
            context=context,
            work=Path(work),
            arguments=dict(argument.partition("=")[::2] for argument in options.build_arg),
            target=options.target,
        )
        for line in image.skipped:
            print(f"not executed locally: {line}", file=sys.stderr)
        store.add(image, options.tag)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="docker", description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("build")
    one.add_argument("--tag", "-t", required=True)
    one.add_argument("--file", "-f")
    one.add_argument("--target")
    one.add_argument("--build-arg", action="append", default=[])
    for ignored in ("--platform", "--network", "--output", "--cache-from", "--cache-to", "--secret", "--ssh"):
        one.add_argument(ignored, action="append")
    one.add_argument("--no-cache", action="store_true")
    one.add_argument("--build-context", action="append")
    one.add_argument("context")
    verbs.add_parser("inspect").add_argument("tag")
    verbs.add_parser("push").add_argument("tag")
    tag = verbs.add_parser("tag")
    tag.add_argument("source")
    tag.add_argument("target")
    verbs.add_parser("login")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Do one docker command; 1 when it cannot be done, as docker answers."""
    options, _ = _parser().parse_known_args(arguments)
    store = Store(options.store)
    try:
        if options.verb == "build":
            _build(store, options)
        elif options.verb == "tag":
            store.tag(options.source, options.target)
        elif options.verb in ("inspect", "push"):  # pushed to where it is: jobs read this very store
            store.image(options.tag)
    except (DockerfileError, LookupError, OSError) as error:
        print(f"docker {options.verb}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
