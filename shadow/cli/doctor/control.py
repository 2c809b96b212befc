"""Business Unit: command line | Status: current.

The control's own resources against the contract: tables, queue, bus. With the reference control they come with the stack.

How large recent plans are, and so which way they would travel to the candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from io import BytesIO
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from zipfile import BadZipFile, ZipFile

import boto3

from shadow.aws import clients
from shadow.aws.table import from_item
from shadow.cli.doctor import Account, Finding, bad, judged, ok, warn
from shadow.compare.policy import Policy
from shadow.contracts.errors import InvalidPlan, ShadowError
from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.words import count
from shadow.intake.payload import StoredObject, candidate_input
from shadow.lanes.lane_file import LaneFile

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef


VISIBILITY_SECONDS = 900
_SECONDS, _MOST_BYTES = 10.0, 20_000_000
_LAYER_STEP = "docs/lanes.md, step 6"
_UNDERWAY = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
TABLES = ("ExecutionRunsTableName", "RebalancePlanTableName", "TradeLedgerTableName")
_KEYS = {"PK": "HASH", "SK": "RANGE"}
_DEPLOYED_LATER = "will be made by the deployment"


def tables(account: Account) -> Iterator[Finding]:
    """Check key schema, expiry and index of the control's three tables."""
    yield from _table(account, "ExecutionRunsTableName", "execution-runs", index=False, ttl=True)
    yield from _table(account, "RebalancePlanTableName", "rebalance-plans", index=True, ttl=False)
    yield from _table(account, "TradeLedgerTableName", "trade-ledger", index=True, ttl=False)


def _table(account: Account, parameter: str, what: str, *, index: bool, ttl: bool) -> Iterator[Finding]:
    name, check = account.control_name(parameter, what), f"table {what}"
    client = clients.dynamodb()
    try:
        table = client.describe_table(TableName=name)["Table"]
    except client.exceptions.ResourceNotFoundException:
        yield _absent(account, check, name, parameter)
        return
    wanted: dict[str, tuple[object, object]] = {
        "status": ("ACTIVE", table.get("TableStatus")),
        "keys": (_KEYS, {entry["AttributeName"]: str(entry["KeyType"]) for entry in table.get("KeySchema", [])}),
        "key types": ({"S"}, _key_types(table)),
    }
    if index:
        wanted["index"] = (True, any(entry.get("IndexName") == "GSI1" for entry in table.get("GlobalSecondaryIndexes", [])))
    yield judged(check, name, wanted, "give the parameter the name of the contract's table (legacy contract, sections 4 and 5)")
    if ttl:
        yield _expiry(name)


def _key_types(table: TableDescriptionTypeDef) -> set[str]:
    return {str(entry["AttributeType"]) for entry in table.get("AttributeDefinitions", []) if entry["AttributeName"] in _KEYS}


def _expiry(name: str) -> Finding:
    setting = clients.dynamodb().describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if setting.get("TimeToLiveStatus") in ("ENABLED", "ENABLING") and setting.get("AttributeName") == "TTL":
        return ok("expiry of run items", "by the attribute TTL")
    found = f"{setting.get('TimeToLiveStatus', 'unknown')}, attribute {setting.get('AttributeName', 'none')}"
    return warn("expiry of run items", found, "by contract items expire by TTL after 24 hours")


def queue(account: Account) -> Iterator[Finding]:
    """Check the FIFO attributes that both lanes' identity relies on."""
    client = clients.sqs()
    url = account.parameter("ExecutionQueueUrl")
    try:
        url = url or client.get_queue_url(QueueName=account.of_stage("execution.fifo"))["QueueUrl"]
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    except client.exceptions.QueueDoesNotExist:
        yield _absent(account, "queue", url or account.of_stage("execution.fifo"), "ExecutionQueueUrl")
        return
    wanted: dict[str, tuple[object, object]] = {
        "FifoQueue": ("true", attributes.get("FifoQueue")),
        "ContentBasedDeduplication": ("false", attributes.get("ContentBasedDeduplication", "false")),
        "DeduplicationScope": ("messageGroup", attributes.get("DeduplicationScope")),
        "FifoThroughputLimit": ("perMessageGroupId", attributes.get("FifoThroughputLimit")),
    }
    yield judged("queue", url, wanted, "name the contract's queue (legacy contract, section 3)")
    visible = int(attributes.get("VisibilityTimeout", "0"))
    if visible < VISIBILITY_SECONDS:
        yield warn(
            "queue visibility",
            f"{visible} s",
            f"{VISIBILITY_SECONDS} s by contract: below 600 s trades run twice",
        )
    underway = sum(int(value) for name, value in attributes.items() if name in _UNDERWAY)
    if underway:
        yield warn("queue content", f"{underway} messages wait or are handled", "not the moment to cut over or to roll back")
    if "RedrivePolicy" not in attributes:
        yield warn("queue dead letters", "no redrive policy", "what always fails comes back for 4 days; give it its DLQ")
    arn = account.parameter("ExecutionQueueArn")
    if arn and arn != attributes.get("QueueArn"):
        yield bad(
            "queue ARN",
            f"ExecutionQueueArn: expected {attributes.get('QueueArn')}, was {arn}",
            "name one queue in both parameters",
        )


def bus(account: Account) -> Iterator[Finding]:
    """Check that the control's event bus is there: without it effects are unknown, and no pair can match."""
    name = account.control_name("EventBusName", "events")
    client = clients.events()
    try:
        client.describe_event_bus(Name=name)
    except client.exceptions.ResourceNotFoundException:
        yield _absent(account, "event bus", name, "EventBusName")
        return
    yield ok("event bus", name)


class Keys(Protocol):
    """KMS, as far as it is asked."""

    def describe_key(self, *, KeyId: str) -> Mapping[str, Mapping[str, object]]:  # noqa: N803 - as boto3 has it
        """Give a key's metadata."""


def customer_keys(account: Account) -> Iterator[Finding]:
    """Check that CustomerKeyArns names every customer's key under which something is that the stack's roles read."""
    named = account.parameter("CustomerKeyArns").split(",")
    kms: Keys = boto3.client("kms", config=clients.DEFAULT_LIMITS.config())
    under = [
        f"{what} is under {described['Arn']}"
        for what, key in (*_keys_of_tables(account), *_keys_of_secrets(account))
        for described in [kms.describe_key(KeyId=key)["KeyMetadata"]]
        if described.get("KeyManager") == "CUSTOMER" and described["Arn"] not in named
    ]
    if under:
        yield bad("customer keys", "; ".join(under), "name the key in CustomerKeyArns: without it the stack's roles cannot read")
    else:
        yield ok("customer keys", "none that CustomerKeyArns does not name")


def _keys_of_tables(account: Account) -> Iterator[tuple[str, str]]:
    client = clients.dynamodb()
    for name in (account.parameter(parameter) for parameter in TABLES):
        try:
            table = client.describe_table(TableName=name)["Table"] if name else {}
        except client.exceptions.ResourceNotFoundException:
            continue
        key = table.get("SSEDescription", {}).get("KMSMasterKeyArn")
        if key:
            yield f"table {name}", key


def _keys_of_secrets(account: Account) -> Iterator[tuple[str, str]]:
    client = clients.secretsmanager()
    for name in (account.parameter(parameter) for parameter in ("BrokerSecretId", "ControlBrokerSecretId")):
        try:
            key = client.describe_secret(SecretId=name).get("KmsKeyId") if name else None
        except client.exceptions.ResourceNotFoundException:
            continue
        if key:
            yield f"secret {name}", key


def files(account: Account) -> Iterator[Finding]:
    """Check that each file which functions are to read is in the layer and can be read: else they fail at every call."""
    named = {name: file for name in ("LaneFile", "PolicyFile", "ReadinessFile") if (file := account.parameter(name))}
    arn = account.parameter("FilesLayerArn")
    if named and not arn:
        found = f"{', '.join(named)} without FilesLayerArn: no function has a file but from a layer"
        yield bad("files", found, f"publish them as a layer, and give its ARN as FilesLayerArn ({_LAYER_STEP})")
    if not named or not arn:
        return
    layer, _, version = arn.rpartition(":")
    client = clients.lambda_()
    try:
        content = client.get_layer_version(LayerName=layer, VersionNumber=int(version))["Content"]
        texts = _texts_of(fetched(str(content.get("Location"))))
    except client.exceptions.ResourceNotFoundException:
        yield bad("files", f"{arn} does not exist", f"publish the layer, and give the ARN of its version ({_LAYER_STEP})")
        return
    except (OSError, BadZipFile) as error:
        yield warn(
            "files", f"{arn} cannot be looked into: {error}", f"see that its folder python has {', '.join(named.values())}"
        )
        return
    for parameter, name in named.items():
        if "/" not in name:
            yield _file(parameter, name, texts)


def _file(parameter: str, name: str, texts: Mapping[str, str]) -> Finding:
    """Tell whether one file is in the layer and is what it should be."""
    text = texts.get(f"python/{name}")
    if text is None:
        found = f"{parameter}: expected {name} in the layer's folder python, was {', '.join(texts) or 'nothing'}"
        return bad("files", found, f"zip it in a folder python, or correct {parameter} ({_LAYER_STEP})")
    try:
        if parameter == "LaneFile":
            lane = LaneFile.read(text, name)
            return ok("files", f"{name}: lane {lane.name} {lane.digest[:16]}")
        if parameter == "PolicyFile":
            Policy.read(text, name)
    except ShadowError as error:
        return bad("files", str(error), f"mend it, and publish another version of the layer ({_LAYER_STEP})")
    return ok("files", f"{name} is in the layer")


def fetched(address: str) -> bytes:
    """Fetch what a service has put behind an address of its own. Raises OSError."""
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname:
        raise OSError("its address is not https")
    connection = HTTPSConnection(parts.hostname, parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        if answer.status != HTTPStatus.OK:
            raise OSError(f"it is answered with status {answer.status}")
        return answer.read(_MOST_BYTES)
    except HTTPException as error:
        raise OSError(type(error).__name__) from None
    finally:
        connection.close()


def _texts_of(content: bytes) -> dict[str, str]:
    """Read a layer's files of text, by name. Raises BadZipFile."""
    with ZipFile(BytesIO(content)) as archive:
        names = [each.filename for each in archive.infolist() if not each.is_dir() and each.file_size < _MOST_BYTES]
        return {name: archive.read(name).decode("utf-8-sig", "replace") for name in names}


def workflow(account: Account) -> Iterator[Finding]:
    """Check that a workflow that exists already is there, and of a type whose executions can be read afterwards."""
    arn = account.parameter("ExistingStateMachineArn")
    if not arn:
        return
    client = clients.stepfunctions()
    try:
        found = client.describe_state_machine(stateMachineArn=arn)
    except (client.exceptions.StateMachineDoesNotExist, client.exceptions.InvalidArn):
        yield bad("existing workflow", f"{arn} does not exist", "correct ExistingStateMachineArn, the region or the account")
        return
    wanted: dict[str, tuple[object, object]] = {"type": ("STANDARD", found["type"]), "status": ("ACTIVE", found.get("status"))}
    yield judged("existing workflow", arn, wanted, "an EXPRESS workflow keeps no history to read: name one of type STANDARD")


def _absent(account: Account, check: str, name: str, parameter: str) -> Finding:
    if not account.existing_control and not account.deployed:
        return ok(check, f"{name} {_DEPLOYED_LATER}")
    return bad(check, f"{name} does not exist", f"correct {parameter}, the region or the account")


MAX_PLANS = 50
QUEUE_LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """One plan: how many trades, how many bytes it would send, and whether it needs a claim check."""

    plan_id: str
    trades: int
    size: int
    claimed: bool


def payload_sizes(account: Account) -> Iterator[Finding]:
    """Build the candidate's input of up to `MAX_PLANS` stored plans and measure it."""
    name = account.control_name("RebalancePlanTableName", "rebalance-plans")
    client = clients.dynamodb()
    try:
        items = client.scan(TableName=name, Limit=MAX_PLANS)["Items"]
    except client.exceptions.ResourceNotFoundException:
        if account.existing_control:
            yield warn("plan sizes", f"{name} does not exist", "see the table's own check")
        else:
            yield ok("plan sizes", "no plans yet: the table will be made by the deployment")
        return
    sizes, faults = _measure([from_item(item) for item in items])
    for fault in faults:
        yield bad("plan contract", fault, "the portfolio side emits what the contract does not have: both lanes would refuse it")
    if not sizes:
        yield warn("plan sizes", "no stored plans to measure", "publish one, then ask again")
        return
    largest = max(sizes, key=lambda entry: entry.size)
    claimed = sum(entry.claimed for entry in sizes)
    lead = f"{count(len(sizes), 'plan')}, the largest {largest.size:,} bytes ({count(largest.trades, 'trade')})"
    found = f"{lead}; {claimed} by claim check"
    if largest.size > QUEUE_LIMIT_BYTES:
        yield warn("plan sizes", found, "above 1 MB events and queues refuse a plan: it must be handed over by reference")
    else:
        yield ok("plan sizes", found)


def _measure(items: list[dict[str, object]]) -> tuple[list[Size], list[str]]:
    sizes, faults = [], []
    for item in items:
        text = item.get("plan_data")
        if not isinstance(text, str):
            continue
        try:
            plan = RebalancePlan.read_json(text)
        except InvalidPlan as invalid:
            faults.append(f"{_name(item)}: {'; '.join(str(fault) for fault in invalid.faults[:3])}")
            continue
        store = _Weighed()
        document = candidate_input(plan, run_id_of(plan.plan_id), {}, store)
        sizes.append(Size(plan.plan_id, len(plan.tradable_items), store.size or len(document.encode()), store.size > 0))
    return sizes, faults


class _Weighed:
    """Stands for the store of large plans, and keeps how many bytes one would take."""

    size = 0

    def put(self, key: str, body: bytes) -> StoredObject:
        """Weigh a body."""
        self.size = len(body)
        return StoredObject("", key)

    def get(self, key: str) -> bytes:
        """Give nothing: nothing was stored."""
        raise KeyError(key)


def _name(item: Mapping[str, object]) -> str:
    return str(item.get("PK", "plan")).removeprefix("PLAN#")
