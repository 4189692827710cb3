"""The handler that most tutorials show: boto3 reads the pointer and a joblib file, pandas holds the row.

``python pandas_handler.py EVENT`` answers once and prints the answer; the variables are those that perennial reads.
"""

import io
import json
import os
import sys
from pathlib import Path

import boto3
import joblib
import pandas as pd

dynamodb = boto3.client("dynamodb")
s3 = boto3.client("s3")
model = None


def handler(event: dict, context: object) -> dict:
    """Answer with a prediction."""
    global model
    if model is None:
        pointer = dynamodb.get_item(
            TableName=os.environ["PERENNIAL_CATALOG_TABLE"],
            Key={"pk": {"S": os.environ["POINTER_PK"]}, "sk": {"S": "CHAMPION"}},
            ConsistentRead=True,
        )
        assert pointer["Item"]
        content = s3.get_object(Bucket=os.environ["PERENNIAL_ARTIFACTS_BUCKET"], Key=os.environ["JOBLIB_KEY"])
        model = joblib.load(io.BytesIO(content["Body"].read()))
    rows = pd.DataFrame(json.loads(event["body"])["instances"])
    return {"statusCode": 200, "body": json.dumps({"predictions": model.predict(rows).tolist()})}


if __name__ == "__main__":
    print(json.dumps(handler(json.loads(Path(sys.argv[1]).read_text()), None)))
