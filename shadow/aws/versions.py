"""Business Unit: AWS adapters | Status: current.

Published versions of the workflow, and the alias that says which of them is in production. A version is the whole workflow only
where its definition names a published version of each function that it calls.

The records of published versions and of promotions, in the evidence bucket: one object each, named by time and content, and
never changed.

The record of a version that was published, and of one move of the production alias, which is written before the alias moves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import StringConstraints

from shadow.aws.clients import code_of, unavailable
from shadow.aws.objects import S3Objects
from shadow.contracts.errors import ConfigurationError, EvidenceCorrupt
from shadow.contracts.model import Frozen, Moment, canonical

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import RoutingConfigurationListItemTypeDef


PRODUCTION = "production"
"""The alias that names the version in production."""
_FUNCTION = re.compile(r"arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:([A-Za-z0-9_-]+)(?::([A-Za-z0-9_$-]+))?")
_ABSENT = frozenset({"StateMachineDoesNotExist", "ResourceNotFound", "ResourceNotFoundException"})
_WHOLE = 100
_MOST = 1_000
"""A machine has at most so many versions, and one answer holds them all."""
MODE_VARIABLE = "EXECUTION_MODE"


class UnknownVersion(ConfigurationError):
    """The state machine has no such published version."""


class SplitAlias(ConfigurationError):
    """The alias sends runs to several versions: nobody could say which one is in production."""


class NotWhole(ConfigurationError):
    """A version that calls functions without a version of theirs: what it does changes with every deployment."""


class ChangedMeanwhile(ConfigurationError):
    """Something else changed what is deployed, or what is in production, while this was going on."""


class NotPutBack(ConfigurationError):
    """A version was published, and the deployed definition could not be put back: it names published functions now."""


class WrongMode(ConfigurationError):
    """Functions of a version do not have the mode that is needed."""


class AlarmMissing(ConfigurationError):
    """The alarm that is to watch a deployment does not exist; Step Functions and CodeDeploy take a misspelt one for quiet."""


class AlarmRings(ConfigurationError):
    """The alarm that is to watch a deployment rings already."""


@dataclass(frozen=True, slots=True)
class Version:
    """One published version, and the versions of functions that its definition names, by function (None: it names none).

    `created` is when it was published: no run before that was a run of it.
    """

    arn: str
    functions: dict[str, str | None]
    created: datetime

    @property
    def number(self) -> str:
        """Give its number."""
        return self.arn.rpartition(":")[2]

    @property
    def name(self) -> str:
        """Name it as evidence does, `machine:number`."""
        return self.arn.split(":stateMachine:", 1)[-1]


class Versions:
    """The versions and the production alias of one state machine."""

    def __init__(self, client: SFNClient, machine: str) -> None:
        """Look at the state machine whose unqualified ARN is `machine`."""
        self._client = client
        self.machine = machine
        self.alias = f"{machine}:{PRODUCTION}"

    def find(self, name: str) -> Version:
        """Find a version by its number or ARN. Raises `UnknownVersion`."""
        arn = f"{self.machine}:{name}" if name.isascii() and name.isdigit() else name
        if not re.fullmatch(rf"{re.escape(self.machine)}:[1-9][0-9]*", arn):
            raise UnknownVersion(f"version {name}: expected a number, or the ARN of a version of {self.machine}")
        try:
            answer = self._client.describe_state_machine(stateMachineArn=arn)
        except ClientError as error:
            if code_of(error) in _ABSENT:
                raise UnknownVersion(f"No published version {name} of {self.machine}") from None
            raise
        return Version(arn, dict(functions_in(answer["definition"])), answer["creationDate"])

    def all(self) -> list[str]:
        """Give the ARNs of the published versions, the newest first."""
        answer = self._client.list_state_machine_versions(stateMachineArn=self.machine, maxResults=_MOST)
        found = [entry["stateMachineVersionArn"] for entry in answer["stateMachineVersions"]]
        return sorted(found, key=lambda arn: -int(arn.rpartition(":")[2]))

    def publish(self, functions: LambdaClient, description: str) -> tuple[Version, bool]:
        """Publish what is deployed: each function that it calls, and the definition with their numbers behind their names.

        Where the newest version is the same, that is given, and False. At no moment does the deployed definition do anything else
        than before. Raises `NotWhole`, `ChangedMeanwhile` and `NotPutBack`.
        """
        stands = self._definition(self.machine)
        deployed = named_by_version(stands, {})
        names = [name for name, _ in functions_in(deployed)]
        if not names:
            raise NotWhole(f"{self.machine} calls no function: there is nothing to publish with it")
        numbers = {name: functions.publish_version(FunctionName=name)["Version"] for name in names}
        pinned = named_by_version(deployed, numbers)
        arn = next(iter(self.all()), None)
        is_new = arn is None or self._definition(arn) != pinned
        if self._definition(self.machine) != stands:
            raise ChangedMeanwhile(f"{self.machine}: expected nobody to deploy it while a version is published. Publish again")
        if arn is None or is_new:
            arn = self._client.update_state_machine(
                stateMachineArn=self.machine, definition=pinned, publish=True, versionDescription=description
            )["stateMachineVersionArn"]
        if is_new or stands != deployed:
            self._put_back(deployed, arn)
        return self.find(arn), is_new

    def _put_back(self, deployed: str, arn: str) -> None:
        try:
            self._client.update_state_machine(stateMachineArn=self.machine, definition=deployed)
        except (ClientError, BotoCoreError) as error:
            raise NotPutBack(
                f"{arn} is published, and {self.machine} calls its functions by version until `shadow version publish` or a "
                f"deployment puts its definition back: {error}"
            ) from error

    def _definition(self, arn: str) -> str:
        return self._client.describe_state_machine(stateMachineArn=arn)["definition"]

    def in_production(self) -> str | None:
        """Give the ARN of the version that the alias names; None while there is no alias. Raises `SplitAlias`."""
        try:
            answer = self._client.describe_state_machine_alias(stateMachineAliasArn=self.alias)
        except ClientError as error:
            if code_of(error) in _ABSENT:
                return None
            raise
        routes = answer.get("routingConfiguration", [])
        if len(routes) != 1 or routes[0].get("weight") != _WHOLE:
            named = ", ".join(f"{route.get('weight')} % {route.get('stateMachineVersionArn')}" for route in routes)
            raise SplitAlias(
                f"{self.alias}: expected one version with all runs, was {named or 'none'}. Who split it by hand gives it one "
                "version by hand too: aws stepfunctions update-state-machine-alias"
            )
        return routes[0]["stateMachineVersionArn"]

    def point(self, arn: str, description: str) -> None:
        """Let the alias name the version `arn`, for all runs that start from now on; make it where there is none."""
        routing: list[RoutingConfigurationListItemTypeDef] = [{"stateMachineVersionArn": arn, "weight": _WHOLE}]
        if self.in_production() is None:
            self._client.create_state_machine_alias(name=PRODUCTION, description=description, routingConfiguration=routing)
        else:
            self._client.update_state_machine_alias(
                stateMachineAliasArn=self.alias, description=description, routingConfiguration=routing
            )


def functions_in(definition: str) -> Iterator[tuple[str, str | None]]:
    """Give each function that a definition calls, and the version that it names of it."""
    for name, version in sorted(set(_FUNCTION.findall(json.dumps(json.loads(definition))))):
        yield name, version if version.isdigit() else None


def named_by_version(definition: str, numbers: Mapping[str, str]) -> str:
    """Write the version's number behind the name of each function that a definition calls, and none that `numbers` has not."""

    def named(found: re.Match[str]) -> str:
        arn, number = found[0].removesuffix(f":{found[2]}") if found[2] else found[0], numbers.get(found[1])
        if number is None:
            return arn if (found[2] or "").isdigit() else found[0]
        return f"{arn}:{number}"

    return _FUNCTION.sub(named, definition)


def refuse_unless_whole(version: Version, client: LambdaClient) -> None:
    """Raise `NotWhole` unless every function that a version calls is named by a version of it that is still there."""
    loose = sorted(name for name, number in version.functions.items() if number is None)
    loose += sorted(
        f"{name}:{number}" for name, number in version.functions.items() if number and not _mode(client, name, number)
    )
    if loose or not version.functions:
        what = f"without a published version: {', '.join(loose)}" if loose else "none at all"
        raise NotWhole(f"version {version.name} calls functions that cannot be pinned: {what}")


def _mode(client: LambdaClient, name: str, number: str | None) -> str | None:
    """Give the execution mode of a function as published, `none` where it has none; None where there is no such function."""
    try:
        answer = client.get_function_configuration(FunctionName=name, Qualifier=number or "$LATEST")
    except ClientError as error:
        if code_of(error) in _ABSENT:
            return None
        raise
    return answer.get("Environment", {}).get("Variables", {}).get(MODE_VARIABLE) or "none"


def refuse_other_modes(version: Version, client: LambdaClient, wanted: str) -> None:
    """Raise `WrongMode` unless every function of a version, as published, has the execution mode `wanted`."""
    modes = {f"{name}:{number or '$LATEST'}": _mode(client, name, number) for name, number in version.functions.items()}
    wrong = [f"{name} has {mode or 'gone'}" for name, mode in modes.items() if mode != wanted]
    if wrong:
        raise WrongMode(f"version {version.name}: expected {MODE_VARIABLE} {wanted}, {', '.join(wrong)}")


def refuse_without_alarm(client: CloudWatchClient, name: str) -> None:
    """Raise `AlarmMissing` unless the alarm exists, and `AlarmRings` where it rings now."""
    answer = client.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    states = [alarm["StateValue"] for alarm in (*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ()))]
    if not states:
        there = client.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        names = [alarm["AlarmName"] for alarm in (*there.get("MetricAlarms", ()), *there.get("CompositeAlarms", ()))]
        close = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"; there are {', '.join(close)}" if close else ""
        raise AlarmMissing(f"No alarm {name} in this account and region{hint}")
    if "ALARM" in states:
        raise AlarmRings(f"alarm {name}: expected it to be quiet before a promotion, rings")


Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
"""What a person wrote: a name or a sentence, and not nothing."""
PUBLISH, PROMOTE, ROLLBACK = "publish", "promote", "rollback"
PROMOTIONS = "promotions/"


class Promotion(Frozen):
    """Who published a version, or moved production from which version to which, when and why.

    `kind` is publish, promote or rollback. `readiness` is the statement's word at the time, `override` says that it was not READY
    and a named person promoted all the same. `alarm` was there and quiet. `before` None: there was no alias.
    """

    kind: str
    at: Moment
    machine: str
    before: str | None
    after: str
    by: Said
    reason: Said
    readiness: str
    override: bool = False
    alarm: str | None = None

    @property
    def moves(self) -> bool:
        """Whether it records a move of the alias."""
        return self.kind != PUBLISH


class PromotionLog:
    """The promotions of one stack, in order."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        """Keep records in `bucket`."""
        self._client = client
        self._bucket = bucket
        self._objects = S3Objects(client, bucket)

    def keep(self, promotion: Promotion) -> str:
        """Store a record and give its key. Raises `EvidenceUnavailable`."""
        body = canonical(promotion.to_wire()).encode()
        key = f"{PROMOTIONS}{promotion.at:%Y%m%dT%H%M%S.%fZ}-{sha256(body).hexdigest()[:16]}.json"
        self._objects.put_if_absent(key, body, "application/json")
        return key

    def keys(self) -> frozenset[str]:
        """List the records. Raises `EvidenceUnavailable`."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=PROMOTIONS)
            return frozenset(entry["Key"] for page in pages for entry in page.get("Contents", []))
        except (ClientError, BotoCoreError) as error:
            raise unavailable(f"s3 list {PROMOTIONS}", error) from error

    def all(self) -> list[Promotion]:
        """Read every record, the oldest first. Raises `EvidenceUnavailable`, `EvidenceCorrupt`, `InvalidPayload`."""
        found = []
        for key in sorted(self.keys()):
            body = self._objects.get(key)
            if body is None or not key.endswith(f"-{sha256(body).hexdigest()[:16]}.json"):
                raise EvidenceCorrupt(f"{key}: expected the record that its name tells the digest of, was another")
            found.append(Promotion.parse_json(body))
        return found
