"""Evidence is kept once, under the digest of its bytes, without secrets; what comes back is what went in."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.errors import EvidenceCorrupt
from shadow.contracts.model import canonical
from shadow.lanes.redaction import REDACTED, SECRET_FIELDS, Redactor, fingerprint
from shadow.settlement.composition import CleanRecorder
from shadow.settlement.documents import EvidenceStore, comparison_key
from tests.fakes.evidence import FakeObjects, Fuse, World

DAY = date(2024, 3, 15)


def store_over(world: World, redactor: Redactor | None = None) -> EvidenceStore:
    return EvidenceStore(FakeObjects(world, Fuse()), redactor or Redactor())


def kept(store: EvidenceStore, value: object) -> EvidenceRef:
    writer = store.writer()
    writer.add("item", value)
    return store.keep(DAY, "run", "control", writer)


def test_the_same_records_make_the_same_object() -> None:
    world = World()
    one = kept(store_over(world), {"b": Decimal("1.50"), "a": [1]})
    two = kept(store_over(world), {"a": [1], "b": Decimal("1.50")})

    assert one == two
    assert one.key == f"evidence/day=2024-03-15/run/control-{one.sha256}.jsonl.gz"
    assert list(world.objects) == [one.key]
    assert gzip.decompress(world.objects[one.key]) == b'{"record":"item","value":{"a":[1],"b":"1.50"}}\n'
    assert list(store_over(world).read(one)) == [("item", {"a": [1], "b": "1.50"})]


def test_what_was_tampered_with_is_refused() -> None:
    world = World()
    ref = kept(store_over(world), {})
    world.objects[ref.key] = gzip.compress(b'{"record":"item","value":1}')
    with pytest.raises(EvidenceCorrupt, match="expected sha256"):
        list(store_over(world).read(ref))
    whole = world.objects[ref.key]
    for damaged, kind in ((whole[:-9], "EOFError"), (b"no gzip", "BadGzipFile"), (whole[:10] + b"\xff" * 20, "error")):
        world.objects[ref.key] = damaged
        with pytest.raises(EvidenceCorrupt, match=f"expected records in gzip, was {kind}"):
            list(store_over(world).read(ref))
    world.objects.clear()
    with pytest.raises(EvidenceCorrupt, match="was nothing"):
        list(store_over(world).read(ref))


RECORD = b'{"record":"item","value":{"price":"100"}}\n'
ADDED = b'{"record":"item","value":{"price":"1"}}\n'


@pytest.mark.parametrize(
    "text", [RECORD.replace(b"100", b"999"), RECORD + ADDED, ADDED + RECORD, b"", RECORD[:-1], RECORD + b"\n"]
)
def test_no_record_is_given_of_a_document_that_was_changed_anywhere(text: bytes) -> None:
    world = World()
    ref = kept(store_over(world), {"price": "100"})
    world.objects[ref.key] = gzip.compress(text)
    given: list[object] = []
    with pytest.raises(EvidenceCorrupt, match=ref.key):
        given.extend(store_over(world).read(ref))
    assert given == []


def test_no_more_is_unpacked_than_the_ledger_says_there_is() -> None:
    world = World()
    ref = kept(store_over(world), {"price": "100"})
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packer.compress(bytes(1 << 20)) for _ in range(64)] + [packer.flush()])
    world.objects[ref.key] = bomb
    tracemalloc.start()
    with pytest.raises(EvidenceCorrupt, match="expected"):
        store_over(world).read(ref)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_secrets_leave_nested_items_headers_and_texts_and_nothing_else_does() -> None:
    world = World()
    redactor = Redactor(frozenset({fingerprint("PKCANARY12345")}))
    item = {
        "PK": {"S": "RUN#1"},
        "account_number": {"S": "PA3CANARY"},
        "ApiKey": {"S": "CANARY"},
        "n": {"account_id": {"N": "77"}},
        "execution_data": {"M": {"shares": {"N": "5"}, "note": {"S": "filled"}}},
        "error_message": {"S": 'refused: {"account_id":"CANARY'},
        "headers": {"L": [{"M": {"x": {"S": "y"}}}]},
        "trace": "HTTPError(headers={'APCA-API-KEY-ID': 'CANARY', 'Accept': 'json'}) Authorization: Bearer CANARY.CANARY\nbye",
        "list": [{"name": "APCA-API-SECRET-KEY", "value": "CANARY"}, ["Authorization", "CANARY"]],
        "said": "the key PKCANARY12345 and xPKCANARY12345=",
        "nested": json.dumps({"a": json.dumps({"apiKey": {"S": "CANARY"}, "kept": "1.50"})}),
    }
    ref = kept(store_over(world, redactor), item)
    ((_, value),) = store_over(world).read(ref)
    text = json.dumps(value)
    assert "CANARY" not in text.replace("xPKCANARY12345", "")
    assert isinstance(value, dict)
    assert value["execution_data"] == item["execution_data"]
    assert value["error_message"] == {"S": f'refused: {{"account_id":"{REDACTED}'}
    assert value["trace"].endswith("'Accept': 'json'}) Authorization: Bearer [redacted]\nbye")
    assert json.loads(json.loads(value["nested"])["a"]) == {"apiKey": {"S": REDACTED}, "kept": "1.50"}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Account Number: PA3CANARY, ACTIVE", f"Account Number: {REDACTED}, ACTIVE"),
        ("{apiKey => PA3CANARY}", f"{{apiKey => {REDACTED}}}"),
        ("GET https://PA3:CANARY@paper-api.alpaca.markets/v2", f"GET https://{REDACTED}@paper-api.alpaca.markets/v2"),
        ("account_id PA3CANARY is blocked", f"account_id {REDACTED} is blocked"),
        ("Account: PA3CANARY. Try later", f"Account: {REDACTED}. Try later"),
        ("account PA3CANARY", f"account {REDACTED}"),
        ("acct #123456789 (margin)", f"acct #{REDACTED} (margin)"),
        ("GET /v2/accounts/904837e3-3b76-47ec-b432-046db621571b/orders", f"GET /v2/accounts/{REDACTED}/orders"),
        ("account with number `PA3CANARY`", f"account with number `{REDACTED}`"),
        ("['account', 'PA3CANARY']", f"['account', '{REDACTED}']"),
        ("account \u2013 PA3CANARY", f"account \u2013 {REDACTED}"),
        ("?account_id%3DPA3CANARY&x=1", f"?account_id%3D{REDACTED}&x=1"),
        (f"token {'a1B2' * 300} expired", f"token {REDACTED} expired"),
        ("forbidden for key PKCANARY12345678", f"forbidden for key {REDACTED}"),
        ("api_key is PKCANARY1", f"api_key is {REDACTED}"),
        ("Bearer eyJhbGci1.eyJ6.x-2 expired", f"Bearer {REDACTED} expired"),
        ("Credentials(key='CANARY', url='https://a')", f"Credentials(key='{REDACTED}', url='https://a')"),
        ("Credentials(key=CANARY, value=None)", f"Credentials(key={REDACTED}, value=None)"),
        ("Credentials('CANARY', 'CANARY')", f"Credentials('{REDACTED}', '{REDACTED}')"),
        ("<Credentials key='CANARY' paper=True>", f"<Credentials key='{REDACTED}' paper=True>"),
        ("Client(api_key=SecretStr('CANARY'), raw=1)", f"Client(api_key={REDACTED}, raw=1)"),
        ("{'api_key': {'S': 'CANARY'}, 'n': 1}", f"{{'api_key': {REDACTED}, 'n': 1}}"),
        ("Client(api_key=SecretStr('CANARY", f"Client(api_key={REDACTED}"),
        ('password="it\'s CANARY" next', f'password="{REDACTED}" next'),
        ('{"account":"PA3CANARY","note":"account PA3CANARY"}', f'{{"account":"{REDACTED}","note":"account {REDACTED}"}}'),
    ],
)
def test_a_secret_leaves_a_text_however_people_write_its_name(text: str, clean: str) -> None:
    assert Redactor().clean(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "secret key: expected a text; a@b",
        "account is restricted from trading",
        "the account 2026-11-29T10:00:00Z was closed",
        "account 100000 USD short; account 1000000 USD; account 1234.56 USD over",
        "account order-1, paper12 and in account 5 shares",
        "sort key TRADE#1234567890, primary key='PLAN#1', KeyError: 'price'",
        "idempotency key 0f3a7710c1b24d08aa11",
        "AuthenticationError('status 401001: bad')",
        "token: expected (foo), api_key=None, secret={} and token step-2",
        '{"account":{"cash":"1.50"},"key":"evidence/day=2026-11-24/a.json"}',
    ],
)
def test_what_only_stands_near_a_secret_s_name_stays_in_a_text(text: str) -> None:
    assert Redactor().clean(text) == text


def test_a_field_that_may_hold_anything_of_an_account_loses_its_number_only() -> None:
    item = {"account": {"S": "PA3CANARY"}, "acct": 123456789, "inner": {"account": {"cash": "1.50"}}, "Account": "paper"}
    assert Redactor().clean(item) == item | {"account": REDACTED, "acct": REDACTED} | {"account": {"S": REDACTED}}


def test_log_lines_hold_no_secret() -> None:
    lines: list[tuple[str, dict[str, str]]] = []

    class Lines:
        def emit(self, values: object) -> None:
            raise AssertionError(values)

        def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
            assert problem
            lines.append((message, dict(fields)))

    CleanRecorder(Lines(), Redactor()).log("m", {"plan_id": "p", "reason": "account PA3CANARY is blocked"}, problem=True)
    assert lines == [("m", {"plan_id": "p", "reason": f"account {REDACTED} is blocked"})]


_HARMLESS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="abcxyz0189 :={}[]\"'\\,.é\n\t", max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)


@given(_HARMLESS, st.sampled_from(SECRET_FIELDS), st.integers(0, 3), st.sampled_from([None, 1]))
def test_everything_that_is_no_secret_survives_to_the_byte(value: object, name: str, depth: int, indent: int | None) -> None:
    redactor = Redactor(frozenset({fingerprint("PKCANARY12345")}))
    whole: object = {"before": value, name: {"S": "PA3CANARY"}, "after": value}
    clean: object = {"before": value, name: {"S": REDACTED}, "after": value}
    for _ in range(depth):
        whole, clean = ({"inner": json.dumps(each, indent=indent), "tail": value} for each in (whole, clean))
    assert canonical(redactor.clean(whole)) == canonical(clean)
    assert redactor.clean(clean) == clean


def test_comparisons_are_keyed_by_day_run_and_content() -> None:
    world = World()
    key, digest = store_over(world).keep_comparison(DAY, "run", b"{}")
    assert key == comparison_key(DAY, "run", digest) == f"comparisons/day=2024-03-15/run-{digest[:16]}.json"


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("name", SECRET_FIELDS)
def test_a_secret_field_never_enters_at_any_depth_of_quoting(name: str, depth: int) -> None:
    value: object = {"keep": "this", name: 'PA3"CANARY\\7', "also": "that"}
    for _ in range(depth):
        value = {"inner": json.dumps(value), "tail": "end"}
    cleaned = Redactor().clean_text(canonical(value))

    assert "CANARY" not in cleaned
    inner: object = json.loads(cleaned)
    for _ in range(depth):
        assert isinstance(inner, dict)
        assert inner["tail"] == "end"
        inner = json.loads(inner["inner"])
    assert inner == {"keep": "this", name: REDACTED, "also": "that"}


def test_a_known_value_never_enters_whatever_its_field_is_called() -> None:
    redactor = Redactor(frozenset({fingerprint("PA3CANARY777")}))
    cleaned = redactor.clean_text(canonical({"message": "account PA3CANARY777 was refused", "other": "PA3CANARY778"}))
    assert json.loads(cleaned) == {"message": f"account {REDACTED} was refused", "other": "PA3CANARY778"}


def test_numbers_and_nulls_in_secret_fields_keep_the_document_valid() -> None:
    cleaned = Redactor().clean_text(canonical({"account_number": 123456789, "token": None, "secret": ""}))
    assert json.loads(cleaned) == {"account_number": REDACTED, "token": None, "secret": ""}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10) | st.sampled_from(SECRET_FIELDS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON, st.integers(0, 2))
def test_cleaning_keeps_json_valid_and_what_is_no_secret(value: object, depth: int) -> None:
    for _ in range(depth):
        value = {"inner": json.dumps(value)}
    cleaned = json.loads(Redactor().clean_text(canonical(value)))
    assert _without_secrets(cleaned, depth) == _without_secrets(json.loads(canonical(value)), depth)


def _without_secrets(value: object, depth: int) -> object:
    if depth and isinstance(value, dict) and isinstance(value.get("inner"), str):
        return _without_secrets(json.loads(value["inner"]), depth - 1)
    if isinstance(value, list):
        return [_without_secrets(inner, 0) for inner in value]
    if isinstance(value, dict):
        return {name: _without_secrets(inner, 0) for name, inner in value.items() if name not in SECRET_FIELDS}
    return value
