"""What Schemathesis cannot know of the REST interface: requests with real objects, and what must not be deleted meanwhile.

The environment says for whom it runs: MALIKNODE_API_ROLE is `tenant` or `operator`, MALIKNODE_API_SETUP names a file that
server/tests/web/api_tools/schemathesis.rs wrote, MALIKNODE_API_SEEN one that gets the operations that answered with 2xx.
An operation that the test then misses gets a row in `EXAMPLES`.
"""

import base64
import email
import hashlib
import hmac
import itertools
import json
import os
import re
import struct
import time
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import requests
import schemathesis

SETUP = json.load(open(os.environ["MALIKNODE_API_SETUP"]))
TENANT = os.environ["MALIKNODE_API_ROLE"] == "tenant"
NUMBERS = itertools.count()
PASSWORD = "a good long pass phrase"
# The tokens of the run, which it must not delete: mnt_ID_SECRET.
OWN_TOKENS = {SETUP[name].split("_")[1] for name in ("alice", "mallory", "operator")}
# Whose mail the SMTP server of the run defers, and the file of all mails that it took.
DEFERRED = "deferred@example.org"
MAILS = os.path.join(os.path.dirname(os.environ["MALIKNODE_API_SETUP"]), "mails")
# Stands in a body for a code of an authenticator app, which is valid for seconds.
CODE_OF = "code of "


def call(method, path, token=None, **more):
    """Sends a request that prepares another one, and returns the body of its answer."""
    headers = {"Host": SETUP["host"]}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    for _ in range(70):
        answer = requests.request(method, SETUP["url"] + path, headers=headers, timeout=20, **more)
        if answer.status_code != 429:
            break
        # Made-up sign-ins slow this address down, for a minute of the server's.
        time.sleep(1)
    if not answer.ok:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


def fresh(word):
    """Returns a name that nothing has yet."""
    return f"{word}-{'o' if not TENANT else 't'}{next(NUMBERS)}"


def token():
    """Returns the token of the run."""
    return SETUP["alice" if TENANT else "operator"]


def new_tenant():
    """Signs a tenant up. Returns its name and an access token."""
    name = fresh("gone")
    call("POST", "/v1/tenants", json={"name": name, "password": PASSWORD, "plan": "home"})
    body = {"grant": "password", "name": name, "password": PASSWORD}
    return name, call("POST", "/v1/auth/token", json=body)["tokens"]["access_token"]


def server_time():
    """Returns the server's time in seconds, which is ahead of this machine's."""
    body = {"grant": "api_token", "token": SETUP["alice"]}
    expires = call("POST", "/v1/auth/token", json=body)["tokens"]["expires_at"]
    return datetime.fromisoformat(expires.replace("Z", "+00:00")).timestamp() - 15 * 60


def totp(secret):
    """Returns the code of an authenticator app now (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(server_time()) // 30), hashlib.sha1)
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def session(**more):
    """Returns the parts of a request in a new tenant's session."""
    return {"headers": bearer(new_tenant()[1]), **more}


def with_totp():
    name, access = new_tenant()
    return access, call("POST", "/v1/account/totp", access)["secret"]


def removable_totp():
    access, secret = with_totp()
    call("PUT", "/v1/account/totp", access, json={"code": totp(secret)})
    return {"headers": bearer(access)}


def confirmable_totp():
    access, secret = with_totp()
    return {"headers": bearer(access), "body": {"code": CODE_OF + secret}}


def recovery():
    name, access = new_tenant()
    code = call("POST", "/v1/account/recovery-codes", access)["codes"][0]
    return {"body": {"name": name, "code": code, "new_password": PASSWORD + " too"}}


def reset():
    row = tenant()
    link = call("POST", f"/v1/operator/tenants/{row['id']}/reset-link", SETUP["operator"], json={})
    return {"body": {"token": link["token"], "new_password": PASSWORD + " too"}}


def another_session():
    name, access = new_tenant()
    call("POST", "/v1/auth/token", json={"grant": "password", "name": name, "password": PASSWORD})
    sessions = call("GET", "/v1/account/sessions", access)["items"]
    other = next(s for s in sessions if not s["current"])
    return {"headers": bearer(access), "path_parameters": {"id": other["id"]}}


def device_of_session():
    access = new_tenant()[1]
    made = call("POST", "/v1/devices", access, json={"label": "phone"})
    return {"headers": bearer(access), "path_parameters": {"id": made["id"]}}


def mail_link(address):
    """Returns the token of the link in the newest mail to an address, which may be on its way."""
    for _ in range(100):
        mails = [json.loads(line) for line in open(MAILS) if line.endswith("\n")]
        texts = [mail["text"] for mail in mails if mail["to"] == [address]]
        if texts:
            message = email.message_from_string(texts[-1])
            parts = [part for part in message.walk() if part.get_content_type() == "text/plain"]
            text = parts[0].get_payload(decode=True).decode()
            return re.search(r"token=([\w.-]+)", text)[1]
        time.sleep(0.1)
    raise RuntimeError(f"no mail to {address}")


def with_mail(address):
    """Gives a new tenant an address. Returns its name and an access token."""
    name, access = new_tenant()
    call("PUT", "/v1/account/mail", access, json={"mail": address})
    return name, access


def of_mail(**more):
    return {"headers": bearer(with_mail(f"{fresh('m')}@example.org")[1]), **more}


def opened_mail_link():
    address = f"{fresh('m')}@example.org"
    with_mail(address)
    return {"body": {"token": mail_link(address)}}


def waiting_mail():
    with_mail(DEFERRED)
    mails = call("GET", "/v1/operator/mail", token())["items"]
    return by_id(next(m for m in mails if m["recipient"] == DEFERRED))


# The base point of P-256, which is as good a public key as any: with the attestation `none` it is not asked to sign.
POINT = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
         0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


def passkey_answer(options):
    """Returns what a browser answers with a new passkey (WebAuthn Level 3, section 6.1)."""
    def text(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    key = fresh("passkey").encode()
    host = options["rp"]["id"]
    origin = f"http://{host}:{SETUP['host'].split(':')[1]}"
    client = {"type": "webauthn.create", "challenge": options["challenge"], "origin": origin, "crossOrigin": False}
    x, y = (number.to_bytes(32, "big") for number in POINT)
    public = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y
    data = hashlib.sha256(host.encode()).digest() + b"\x45" + bytes(4) + bytes(16) + struct.pack(">H", len(key)) + key + public
    response = {"clientDataJSON": text(json.dumps(client).encode()), "authenticatorData": text(data)}
    return {"id": text(key), "rawId": text(key), "type": "public-key", "response": response}


def new_passkey():
    access = new_tenant()[1]
    options = call("POST", "/v1/account/passkeys/begin", access)["public_key"]
    return {"headers": bearer(access), "body": {"name": "laptop", "answer": passkey_answer(options)}}


def passkey():
    made = new_passkey()
    access = made["headers"]["Authorization"].removeprefix("Bearer ")
    call("POST", "/v1/account/passkeys", access, json=made["body"])
    items = call("GET", "/v1/account/passkeys", access)["items"]
    return {"headers": made["headers"], "path_parameters": {"id": items[0]["id"]}}


def operator_link():
    """Invites an operator. Returns the name and the token of the link."""
    name = fresh("op")
    made = call("POST", "/v1/operator/operators", SETUP["operator"], json={"name": name, "role": "support"})
    return name, parse_qs(urlsplit(made["link"]).query)["token"][0]


def new_operator():
    name, link = operator_link()
    call("POST", "/v1/auth/operator-link", json={"token": link, "name": name, "new_password": PASSWORD})
    return {"path_parameters": {"name": name}}


def accepted_link():
    name, link = operator_link()
    return {"body": {"token": link, "name": name, "new_password": PASSWORD}}


def reserved():
    name = fresh("kept")
    call("POST", "/v1/operator/reserved-names", token(), json={"names": [name]})
    return {"path_parameters": {"name": name}}


def invitation():
    made = call("POST", "/v1/operator/invitations", token(), json={})
    return {"id": made["items"][0]["id"]}


def bearer(access):
    return {"Authorization": f"Bearer {access}"}


def api_token():
    access = new_tenant()[1]
    made = call("POST", "/v1/tokens", access, json={"name": "script", "access": "read", "days": 7})
    return {"headers": bearer(access), "path_parameters": {"id": made["id"]}}


def tenant():
    """Returns a new tenant's row, as operators see it."""
    name, _ = new_tenant()
    cursor = ""
    while True:
        page = call("GET", f"/v1/operator/tenants?limit=200{cursor}", SETUP["operator"])
        for row in page["items"]:
            if row["name"] == name:
                return row
        cursor = f"&cursor={page['next']}"


def node(name):
    nodes = call("GET", "/v1/operator/nodes", token())["items"]
    return next(n for n in nodes if n["name"] == name)


def plan_terms(**changed):
    return {"id": fresh("plan"), "name": fresh("Plan"), "devices": 7, "at_limit": "slow", "slow_bps": 1_000_000,
            "month_day": 1, "visible": False, **changed}


def plan():
    """Returns the terms of a new plan."""
    terms = plan_terms()
    call("POST", "/v1/operator/plans", token(), json=terms)
    return terms


def moving():
    row = tenant()
    call("POST", f"/v1/operator/tenants/{row['id']}/move", token(), json={"to": node("worker-1")["id"], "without_data": True})
    return row


def by_name(row):
    return {"path_parameters": {"id": row["id"]}, "query": {"name": row["name"]}}


def by_id(row):
    return {"path_parameters": {"id": row["id"]}}


def of_plan(terms, **more):
    return {"path_parameters": {"id": terms["id"]}, **more}


def deleted_account():
    name, access = new_tenant()
    return {"query": {"name": name}, "headers": bearer(access)}


def login(**body):
    name, _ = new_tenant()
    # Wrong passwords slow this address down, for a minute of the server's.
    time.sleep(3)
    return {"body": {**body, ("username" if not body else "name"): name, "password": PASSWORD}}


# What a request of an operation is made of that is answered with 2xx. Each is called once in a run.
EXAMPLES = {
    "issue_token": lambda: login(grant="password"),
    "published_login": login,
    "sign_up": lambda: {"body": {"name": fresh("new"), "password": PASSWORD, "plan": "home"}},
    "check_name": lambda: {"path_parameters": {"name": fresh("free")}},
    "sign_out": lambda: {"headers": bearer(new_tenant()[1])},
    "change_account": lambda: {"body": {"time_zone": "Europe/Berlin"}},
    "delete_account": deleted_account,
    "add_device": lambda: session(body={"label": "phone", "mesh": True}),
    "get_device": device_of_session,
    "change_device": lambda: {**device_of_session(), "body": {"policy": "strict"}},
    "delete_device": device_of_session,
    "get_device_config": device_of_session,
    "get_device_qr": device_of_session,
    "make_device_keys": device_of_session,
    "get_device_traffic": device_of_session,
    "create_token": lambda: session(body={"name": "script", "access": "read", "days": 7}),
    "delete_token": api_token,
    "accept_operator_link": accepted_link,
    "begin_totp": session,
    "change_password": lambda: session(body={"password": PASSWORD, "new_password": PASSWORD + " too"}),
    "confirm_totp": confirmable_totp,
    "end_other_sessions": session,
    "end_session": another_session,
    "get_security": session,
    "list_activity": session,
    "list_sessions": session,
    "make_recovery_codes": session,
    "prove_presence": lambda: session(body={"password": PASSWORD}),
    "recover": recovery,
    "remove_totp": removable_totp,
    "reset_password": reset,
    "operator_change_operator": lambda: {**new_operator(), "body": {"role": "read_only"}},
    "begin_passkey": session,
    "add_passkey": new_passkey,
    "rename_passkey": lambda: {**passkey(), "body": {"name": "old laptop"}},
    "remove_passkey": passkey,
    "get_mail_address": of_mail,
    "set_mail_address": lambda: session(body={"mail": f"{fresh('m')}@example.org"}),
    "set_mail_warnings": lambda: of_mail(body={"quota_warnings": True}),
    "remove_mail_address": of_mail,
    "verify_mail": opened_mail_link,
    "forgot_password": lambda: {"body": {"name": new_tenant()[0]}},
    "operator_check_endpoint_names": lambda: {},
    "operator_retry_mail": waiting_mail,
    "operator_discard_mail": waiting_mail,
    "operator_test_mail": lambda: {"body": {"mail": "ada@example.org"}},
    "operator_create_invitations": lambda: {"body": {"count": 2}},
    "operator_create_tenant": lambda: {"body": {"name": fresh("made"), "password": PASSWORD, "plan": "home"}},
    "operator_invite_operator": lambda: {"body": {"name": fresh("op"), "role": "support"}},
    "operator_release_name": reserved,
    "operator_remove_operator": new_operator,
    "operator_reserve_names": lambda: {"body": {"names": [fresh("kept")]}},
    "operator_reset_link": lambda: {**by_id(tenant()), "body": {}},
    "operator_reset_operator": lambda: {**new_operator(), "body": {}},
    "operator_revoke_invitation": lambda: by_id(invitation()),
    "operator_set_sign_up": lambda: {"body": {"mode": "open"}},
    "operator_get_tenant": lambda: by_id(tenant()),
    "operator_change_tenant": lambda: {**by_id(tenant()), "body": {"plan": "studio", "suspended": True}},
    "operator_delete_tenant": lambda: by_name(tenant()),
    "operator_move_tenant": lambda: {**by_id(tenant()), "body": {"to": node("worker-1")["id"], "without_data": True}},
    "operator_cancel_move": lambda: by_id(moving()),
    "operator_create_plan": lambda: {"body": plan_terms()},
    "operator_get_plan": lambda: of_plan(plan()),
    "operator_change_plan": lambda: (lambda p: of_plan(p, body={**p, "name": fresh("Other")}, headers={"If-Match": "*"}))(plan()),
    "operator_delete_plan": lambda: of_plan(plan()),
    "operator_preview_plan": lambda: (lambda p: of_plan(p, body=p))(plan()),
    "operator_get_node": lambda: by_id(node("worker-1")),
    "operator_change_node": lambda: {**by_id(node("worker-1")), "body": {"host": "other.example"}},
    "operator_drain_node": lambda: {**by_id(node("worker-2")), "body": {"without_data": True}},
    "operator_revoke_node": lambda: by_id(node("worker-3")),
    "operator_lose_node": lambda: by_id(node("worker-3")),
    "operator_remove_node": lambda: by_name(node("worker-4")),
    "operator_create_join_token": lambda: {"body": {}},
}
SEEN = {}


def operation_id(operation):
    return operation.definition.raw["operationId"]


@schemathesis.hook
def before_add_examples(ctx, examples):
    made = EXAMPLES.get(operation_id(ctx.operation))
    if made:
        parts = {"headers": {}, **made()}
        if ctx.operation.definition.raw.get("security"):
            parts["headers"] = {**bearer(token()), **parts["headers"]}
        case = ctx.operation.Case(**parts)
        # The token is a valid one, and not made up.
        case._has_explicit_auth = "Authorization" in parts["headers"]
        examples.insert(0, case)


# What must stay as it is until the end: the tenants, the tokens, the operator and the node of the run. Each function changes a
# request that would end it.
def keep_accounts(case):
    if (case.query or {}).get("name") in ("alice", "mallory"):
        case.query["name"] = "alice-and-no-other"


def keep_tokens(case):
    if case.path_parameters.get("id") in OWN_TOKENS:
        case.path_parameters["id"] = "0123456789abcdef"


def keep_operator(case):
    if case.path_parameters.get("name") == "admin":
        case.path_parameters["name"] = "admin-and-no-other"


def keep_node(case):
    if str(case.path_parameters.get("id")) == "1":
        case.path_parameters["id"] = 999_999


def keep_open(case):
    if str(case.path_parameters.get("id")) == "1" and isinstance(case.body, dict) and case.body.get("open") is False:
        case.body["open"] = True


def keep_plan(case):
    if case.path_parameters.get("id") in ("home", "studio") and isinstance(case.body, dict) and case.body.get("visible") is False:
        case.body["visible"] = True


def keep_sign_up(case):
    if isinstance(case.body, dict) and case.body.get("mode") in ("closed", "invite"):
        case.body["mode"] = "open"


def fill_code(case):
    if isinstance(case.body, dict) and str(case.body.get("code")).startswith(CODE_OF):
        case.body["code"] = totp(case.body["code"].removeprefix(CODE_OF))


BEFORE = {
    "delete_account": keep_accounts,
    "delete_token": keep_tokens,
    "operator_change_operator": keep_operator,
    "operator_remove_operator": keep_operator,
    "operator_reset_operator": keep_operator,
    "operator_change_node": keep_open,
    "operator_drain_node": keep_node,
    "operator_change_plan": keep_plan,
    "operator_set_sign_up": keep_sign_up,
    "confirm_totp": fill_code,
}


@schemathesis.hook
def before_call(ctx, case, kwargs):
    # With a key that was sent before, a request creates nothing, and what it created then may be gone.
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if isinstance(key, str) and 0 < len(key) < 200:
        case.headers["Idempotency-Key"] = f"{key}{next(NUMBERS)}"
    before = BEFORE.get(operation_id(case.operation))
    if before:
        before(case)


@schemathesis.hook
def filter_failure(ctx, failure, case, response):
    # Who is invited is listed, and no operator before the link is used.
    if "not found" in failure.title and '"operator-unknown"' in response.text:
        return False
    # What no schema can tell: a cursor is what the page before said, and a date is one of the calendar.
    is_exempt = any(f'"{code}"' in response.text for code in ("cursor_invalid", "audit-time-malformed"))
    return not ("Schema-valid" in failure.title and response.status_code == 400 and is_exempt)


@schemathesis.hook
def after_call(ctx, case, response):
    statuses = SEEN.setdefault(operation_id(case.operation), {})
    status = str(response.status_code)
    statuses[status] = statuses.get(status, 0) + 1
    if statuses[status] == 1:
        with open(os.environ["MALIKNODE_API_SEEN"], "w") as seen:
            json.dump(SEEN, seen)
