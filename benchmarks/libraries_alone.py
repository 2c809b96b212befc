"""Business Unit: benchmarks | Status: current.

What every function imports whatever it does: boto3, pydantic with one model, Powertools' logger and metrics.
"""

import aws_lambda_powertools
import aws_lambda_powertools.metrics
import boto3
import pydantic


class Model(pydantic.BaseModel):
    """The first model of a process, which is what makes pydantic load all of itself."""

    name: str


NEEDED = (aws_lambda_powertools, boto3)
