from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from local.cloud.adaptations import summary
from local.cloud.build import Artefact, Artefacts
from local.cloud.cfn_yaml import read_template
from local.cloud.errors import TemplateFailed
from local.cloud.template import PreparedTemplate, prepare_template

NOTHING_BUILT = Artefacts({}, {})


class Bucket:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def __call__(self, key: str, content: bytes) -> str:
        self.objects[key] = content
        return f"s3://bucket/{key}"


def _prepare(folder: Path, text: str, artefacts: Artefacts = NOTHING_BUILT) -> tuple[PreparedTemplate, Bucket]:
    path = folder / "template.yaml"
    path.write_text(text)
    bucket = Bucket()
    return prepare_template(path, artefacts, bucket), bucket


def test_short_forms_become_long_ones_and_dates_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(
        "Conditions: {Both: !And [!Condition A, !Not [!Equals [!Ref B, '']]]}\n"
        "Resources:\n  X: {Version: 2012-10-17, A: !GetAtt Q.Arn.B, S: !Sub '${Q}/x', T: !Sub ['${v}', {v: !Ref Q}]}\n"
    )
    assert read_template(path) == {
        "Conditions": {
            "Both": {"Fn::And": [{"Condition": "A"}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "B"}, ""]}]}]},
        },
        "Resources": {
            "X": {
                "Version": "2012-10-17",
                "A": {"Fn::GetAtt": ["Q", "Arn.B"]},
                "S": {"Fn::Sub": "${Q}/x"},
                "T": {"Fn::Sub": ["${v}", {"v": {"Ref": "Q"}}]},
            }
        },
    }


@pytest.mark.parametrize(("text", "message"), [("Resources: [", "no valid YAML"), ("a: 1", "with Resources")])
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TemplateFailed, match=message):
        _prepare(tmp_path, text)


def test_built_artefacts_take_the_place_of_their_uris_and_nothing_else_changes(tmp_path: Path) -> None:
    (tmp_path / "built.zip").write_bytes(b"built")
    (tmp_path / "machine.json").write_text("{}")
    built = Artefact("any", tmp_path / "built.zip", 5)
    artefacts = Artefacts({"shared": built}, {"prepare_trades": built})
    text = """
Resources:
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: build/layers/shared.zip, LayerName: l}}
  Function: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/prepare_trades/, Handler: h.h}}
  Machine: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: machine.json}}
  Elsewhere: {Type: AWS::Serverless::Function, Properties: {CodeUri: s3://there/it.zip, Handler: h.h}}
"""
    prepared, bucket = _prepare(tmp_path, text, artefacts)
    resources = json.loads(prepared.body)["Resources"]
    uris = [
        resources["Layer"]["Properties"].pop("ContentUri"),
        resources["Function"]["Properties"].pop("CodeUri"),
        resources["Machine"]["Properties"].pop("DefinitionUri"),
    ]
    assert [bucket.objects[uri.removeprefix("s3://bucket/")] for uri in uris] == [b"built", b"built", b"{}"]
    assert resources["Elsewhere"]["Properties"]["CodeUri"] == "s3://there/it.zip"
    assert resources["Layer"] == {"Type": "AWS::Serverless::LayerVersion", "Properties": {"LayerName": "l"}}
    assert prepared.adaptations == ()


def test_a_folder_that_was_not_built_is_packed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text("x = 1")
    _, bucket = _prepare(tmp_path, "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: code/}}}")
    with zipfile.ZipFile(io.BytesIO(next(iter(bucket.objects.values())))) as archive:
        assert archive.read("app.py") == b"x = 1"


def test_a_path_to_nothing_names_the_resource_and_the_path(tmp_path: Path) -> None:
    with pytest.raises(TemplateFailed, match=r"F: expected .* at 'nowhere/', found nothing"):
        _prepare(tmp_path, "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: nowhere/}}}")


REMOVED = """
Globals: {Function: {Tracing: Active}}
Resources:
  Rate: {Type: AWS::CloudWatch::Alarm, Properties: {Metrics: []}}
  Plain: {Type: AWS::CloudWatch::Alarm, Properties: {MetricName: m}}
  Table: {Type: AWS::DynamoDB::Table, Properties: {SSESpecification: {SSEEnabled: true}}}
  Other: {Type: AWS::DynamoDB::Table, Properties: {SSESpecification: {SSEEnabled: true}}}
Outputs:
  Rate: {Value: !GetAtt Rate.Arn}
  Said: {Value: !Sub "${Rate.Arn}/x"}
  Plain: {Value: !Ref Plain}
"""


def test_what_the_emulator_cannot_hold_is_taken_out_with_its_outputs_and_said(tmp_path: Path) -> None:
    prepared, _ = _prepare(tmp_path, REMOVED)
    body = json.loads(prepared.body)
    assert set(body["Resources"]) == {"Plain", "Table", "Other"}
    assert set(body["Outputs"]) == {"Plain"}
    assert {(each.logical_id, each.removed) for each in prepared.adaptations} == {
        ("Rate", True),
        ("Table", False),
        ("Other", False),
        ("Globals", False),
    }
    assert summary(prepared.adaptations) == (
        "AWS::CloudWatch::Alarm removed: the emulator evaluates no metric expressions (Rate)",
        "Tracing without effect: no trace is kept (Globals)",
        "SSESpecification without effect: nothing is encrypted at rest (Table, Other)",
    )


@pytest.mark.parametrize("needs", ["DependsOn: Rate", "DependsOn: [Rate]", "Properties: {A: !Ref Rate}"])
def test_something_kept_that_needs_something_removed_is_refused(tmp_path: Path, needs: str) -> None:
    text = f"Resources:\n  Rate: {{Type: AWS::CloudWatch::Alarm, Properties: {{Metrics: []}}}}\n  Kept: {{Type: T, {needs}}}\n"
    with pytest.raises(TemplateFailed, match="Kept needs Rate"):
        _prepare(tmp_path, text)
