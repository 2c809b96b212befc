"""Business Unit: local cloud | Status: current.

The whole system up on this machine: environment, artefacts, emulator, broker simulator, and the deployed template. Used by the
`shadow` command, the demonstration and the end-to-end tests alike.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from local.broker_simulator.client import SimulatorClient
from local.checkout import checkout
from local.cloud.access import CloudAccess
from local.cloud.build import Artefacts, build_artefacts
from local.cloud.deploy import Deployment, deploy
from local.cloud.emulator import RunningEmulator, running_emulator, start_emulator, stop_emulator
from local.cloud.emulator_side.strangers import TOKEN_VARIABLE
from local.cloud.environment import ensure_environment
from local.cloud.errors import LocalCloudError
from local.cloud.locking import locked
from local.cloud.progress import Progress, silent
from local.scenarios import variants
from shadow.contracts.vocabulary import Role

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

CHECKOUT = checkout()
_BROKER = f"{__package__}.broker_simulator"
STAGE = "dev"
WAIT_SCALE = 0.05
BROKER_FILE = "broker.json"
FAULTS_FILE = "planted-faults.json"
CANDIDATE_FAULTS_FILE = "planted-candidate-faults.json"
CREDENTIALS = {
    Role.CONTROL: {"key": "control-key", "secret": "control-secret"},
    Role.CANDIDATE: {"key": "candidate-key", "secret": "candidate-secret"},
}
BROKER = "{broker}"
"""Stands for the broker simulator's address in a parameter's value."""
_BROKER_SECONDS = 10.0
FAST = {
    "ControlLane": "reference",
    "Stage": STAGE,
    "PublishBoundMs": "1000",
    "WalkStepSeconds": "0.2",
    "WalkMarketSeconds": "1",
    "WalkPollSeconds": "0.05",
    "SellAttemptPauseSeconds": "0.05",
    "BrokerRequestsPerMinute": "100000",
    "ReportSender": "shadow@example.com",
    "ReportRecipients": "desk@example.com",
}
"""Parameters of a stack on one machine: seconds become fractions. A publication may be held up for a second: on a busy machine a
plan that was not copied in 50 ms would be let go, as it is to be."""


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A running local cloud with the template deployed, and the broker simulator beside it."""

    emulator: RunningEmulator
    broker_url: str
    broker_pid: int
    deployment: Deployment
    folder: Path
    artefacts: Artefacts
    parameters: Mapping[str, str]

    @property
    def access(self) -> CloudAccess:
        """Give the clients of the emulator."""
        return self.emulator.access

    @property
    def broker(self) -> SimulatorClient:
        """Give the steering wheel of the broker simulator."""
        return SimulatorClient(self.broker_url, self.emulator.token)

    def output(self, key: str) -> str:
        """Give one output of the deployed stack."""
        return self.deployment.outputs[key]

    def functions(self) -> LambdaClient:
        """Give a Lambda client."""
        return self.access.session.client("lambda", endpoint_url=self.emulator.endpoint, config=self.access.config)

    def tables(self) -> DynamoDBClient:
        """Give a DynamoDB client."""
        return self.access.session.client("dynamodb", endpoint_url=self.emulator.endpoint, config=self.access.config)

    def secrets(self) -> SecretsManagerClient:
        """Give a Secrets Manager client."""
        return self.access.session.client("secretsmanager", endpoint_url=self.emulator.endpoint, config=self.access.config)

    def plant(self, faults: Sequence[Mapping[str, str]]) -> None:
        """Plant faults in the reference lane; they strike from the next plan and record on."""
        _write(self.folder / FAULTS_FILE, faults)

    def plant_in_candidate(self, faults: Sequence[Mapping[str, str]]) -> None:
        """Plant faults in the candidate's functions, which were brought up plantable; they strike from the next call on."""
        _write(self.folder / CANDIDATE_FAULTS_FILE, faults)


def bring_up(
    folder: Path,
    *,
    stay: bool = False,
    plantable: bool = False,
    enforce_iam: bool = False,
    parameters: Mapping[str, str] | None = None,
    seed: int = 0,
    version: Path = CHECKOUT,
    progress: Progress = silent,
) -> LocalStack:
    """Start everything below `folder` and deploy `template.yaml`. Raises LocalCloudError with what went wrong.

    The reference lane's functions are wrapped so that faults can be planted in them, with `plantable` the candidate's as well;
    all others are exactly what is deployed to AWS. With `enforce_iam` every function is held to its own role.
    `version` is the checkout whose template, workflow and functions are deployed; this one's harness works it.
    """
    with _alone(folder):
        environment = ensure_environment(CHECKOUT, progress)
        artefacts = build_artefacts(version, CHECKOUT / "build" / "artefacts", progress=progress)
        artefacts = variants.plantable(artefacts, variants.LEGACY, folder / FAULTS_FILE, folder / "variants")
        if plantable:
            artefacts = variants.plantable(artefacts, variants.CANDIDATE, folder / CANDIDATE_FAULTS_FILE, folder / "variants")
        emulator = start_emulator(
            environment, folder, stay=stay, wait_scale=WAIT_SCALE, enforce_iam=enforce_iam, progress=progress
        )
        try:
            broker_pid, broker_url = _start_broker(folder.absolute(), seed, emulator.token)
            endpoints = dict.fromkeys(("BrokerEndpoint", "BrokerDataEndpoint", "ControlBrokerEndpoint"), broker_url)
            chosen = {**FAST, **endpoints, **_named(parameters or {}, broker_url)}
            template, stack_name = version / "template.yaml", f"shadow-{STAGE}"
            deployment = deploy(emulator.access, template, artefacts, stack=stack_name, parameters=chosen, progress=progress)
            stack = LocalStack(emulator, broker_url, broker_pid, deployment, folder.absolute(), artefacts, chosen)
            _note(stack)
            _fill_secrets(stack)
            stack.plant([])
            stack.plant_in_candidate([])
        except BaseException:
            take_down(folder)
            raise
    return stack


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else bring anything up below `folder` meanwhile. Raises LocalCloudError where somebody does."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(locked(folder / "up.lock", wait=False))
        except BlockingIOError:
            raise LocalCloudError(f"a local cloud is being started below {folder} already: wait until it is up") from None
        yield


def redeploy(stack: LocalStack, changes: Mapping[str, str], progress: Progress = silent) -> LocalStack:
    """Deploy the template again with some parameters changed, as an operator does, and give the stack as it is then.

    Raises StackFailed where the template's rules refuse the change; nothing has changed then.
    """
    chosen = {**stack.parameters, **_named(changes, stack.broker_url)}
    deployment = deploy(
        stack.access, CHECKOUT / "template.yaml", stack.artefacts, stack=f"shadow-{STAGE}", parameters=chosen, progress=progress
    )
    return replace(stack, deployment=deployment, parameters=chosen)


def _named(parameters: Mapping[str, str], broker_url: str) -> dict[str, str]:
    return {name: value.replace(BROKER, broker_url) for name, value in parameters.items()}


def take_down(folder: Path) -> bool:
    """End what `bring_up` left running below `folder`, by process id. Says whether anything ran."""
    running = running_emulator(folder)
    note = folder / BROKER_FILE
    if note.is_file():
        _end_broker(int(json.loads(note.read_text(encoding="utf-8"))["pid"]))
        note.unlink(missing_ok=True)
    if running is not None:
        stop_emulator(running)
    return running is not None


@contextmanager
def local_stack(
    folder: Path,
    *,
    plantable: bool = False,
    enforce_iam: bool = False,
    parameters: Mapping[str, str] | None = None,
    seed: int = 0,
    version: Path = CHECKOUT,
    progress: Progress = silent,
) -> Iterator[LocalStack]:
    """Have everything up for the length of a block."""
    stack = bring_up(
        folder,
        plantable=plantable,
        enforce_iam=enforce_iam,
        parameters=parameters,
        seed=seed,
        version=version,
        progress=progress,
    )
    try:
        yield stack
    finally:
        take_down(folder)


def _write(path: Path, faults: Sequence[Mapping[str, str]]) -> None:
    """Replace a file of faults in one step: a function may be reading it."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(list(faults)), encoding="utf-8")
    partial.replace(path)


def _start_broker(folder: Path, seed: int, token: str) -> tuple[int, str]:
    """Start the simulator as a process of its own and wait until it says its port."""
    port_file = folder / "broker.port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", _BROKER, "--port-file", str(port_file), "--seed", str(seed)]
    environment = {**os.environ, TOKEN_VARIABLE: token}
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=CHECKOUT,
            env=environment,
            start_new_session=True,
        )
    (folder / BROKER_FILE).write_text(json.dumps({"pid": process.pid}), encoding="utf-8")  # from now on take_down finds it
    ends = time.monotonic() + _BROKER_SECONDS
    while time.monotonic() < ends:
        if port_file.is_file():
            url = f"http://127.0.0.1:{port_file.read_text(encoding='utf-8').strip()}"
            return process.pid, url
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise LocalCloudError(f"the broker simulator did not start; see {folder / 'broker.log'}")


def _end_broker(pid: int) -> None:
    """Ask the simulator that we started to end; it may have ended by itself."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes() if Path("/proc").is_dir() else _BROKER.encode()
        if _BROKER.encode() in command:
            os.kill(pid, signal.SIGTERM)
    except (ProcessLookupError, FileNotFoundError):
        return


def _note(stack: LocalStack) -> None:
    """Leave a note of the broker beside the emulator's own, for `shadow up` to print and `down` to find."""
    note = {"pid": stack.broker_pid, "url": stack.broker_url, "outputs": dict(stack.deployment.outputs)}
    (stack.folder / BROKER_FILE).write_text(json.dumps(note, indent=2), encoding="utf-8")


def _fill_secrets(stack: LocalStack) -> None:
    """Give both lanes the credentials of their own simulated account, and the simulator the same ones."""
    for role, name in ((Role.CANDIDATE, "candidate-broker"), (Role.CONTROL, "control-broker")):
        stack.broker.set_identity(role, **CREDENTIALS[role])
        stack.secrets().put_secret_value(SecretId=f"alchemiser/{STAGE}/{name}", SecretString=json.dumps(CREDENTIALS[role]))
