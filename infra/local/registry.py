"""ECR as in AWS: an image that was not pushed is not found.

The emulator answers DescribeImages for an unknown tag with an empty list, which the CDK CLI takes for "published":
it would never build. Here a tag is found when its image is in the store that ``docker push`` fills.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from infra.local.images import Store


def patch(state: Path) -> None:
    """Answer DescribeImages from the image store under ``state``."""
    from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
    from ministack.services import ecr

    describe, store = ecr._describe_images, Store(state / "images")

    def describe_images(request: dict[str, Any]) -> Any:
        answer = describe(request)
        wanted = request.get("imageIds") or []
        if answer[0] != 200 or not wanted or json.loads(answer[2])["imageDetails"]:
            return answer
        repository, account = request["repositoryName"], get_account_id()
        details = []
        for tag in (wish.get("imageTag", "") for wish in wanted):
            try:
                store.image(f"{account}.dkr.ecr.{get_region()}.amazonaws.com/{repository}:{tag}")
            except LookupError:
                message = (
                    f"The image with imageId {{imageTag:'{tag}'}} does not exist within the repository '{repository}'"
                )
                return error_response_json("ImageNotFoundException", message, 400)
            digest = f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}"
            details.append(
                {"registryId": account, "repositoryName": repository, "imageDigest": digest, "imageTags": [tag]}
            )
        return json_response({"imageDetails": details})

    ecr._describe_images = describe_images
