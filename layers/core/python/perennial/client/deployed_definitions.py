"""The definitions that a deployment runs, read back from what was deployed."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from perennial.definitions.files import PACKAGE, Definitions, find_definitions, load_definitions
from perennial.errors import TransientError


def deployed_definitions(s3: Any, location: str) -> Definitions:
    """Return the definitions in the asset of a deployment's definitions layer.

    Parameters
    ----------
    s3 : boto3 client
        Reads the asset.
    location : str
        ``s3://bucket/key`` of the asset, a zip with the folder ``python/perennial_definitions``: the stack's output
        ``Definitions``.

    Raises
    ------
    TransientError
        S3 does not give the asset.
    DefinitionError
        The asset holds no definitions.
    """
    bucket, _, key = location.removeprefix("s3://").partition("/")
    try:
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise TransientError(
            f"the deployed definitions in {location} cannot be read: {str(error).rstrip('.')}; "
            "allow s3:GetObject there, or name the folder that was deployed"
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)  # which takes leading slashes and `..` out of names
        return load_definitions(find_definitions(Path(folder) / "python" / PACKAGE))
