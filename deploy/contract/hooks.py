"""What schemathesis cannot know of itself: how to sign, what NDJSON is, and what the node already holds.

Only cases that are meant to be valid are touched; what schemathesis breaks on purpose goes out as it made it. Of the
valid ones some stay unsigned, so that refusals are seen too. The choices are drawn from a fixed seed.

`CONTRACT_URL` and `CONTRACT_ADMIN_URL` name the two listeners of the node; what was answered how often is written to
`CONTRACT_TALLY` at the end, one `METHOD PATH STATUS COUNT` a line.
"""

import atexit
import collections
import functools
import json
import os
import random
import urllib.error
import urllib.request

import blake3
import rfc8785
import schemathesis
from nacl.signing import SigningKey

TAG = b"stemedb-v1-sign:"
KEYS = [SigningKey(bytes([n] * 32)) for n in range(1, 4)]
# Questions of examples/countries, of which some are in conflict.
SUBJECTS = ["geo://country/BO", "geo://country/FR", "geo://country/AD", "geo://country/ZA"]
PREDICATES = ["capital", "population", "area_km2"]
LINES_MAX = 5

draws = random.Random(20)
stored = []
signed_here = set()
tally = collections.Counter()


def signed(body, kind):
    """The envelope of a body, signed by one to three keys, and its id; None if it has no canonical bytes."""
    keys = sorted(draws.sample(KEYS, draws.randint(1, len(KEYS))), key=lambda key: key.verify_key.encode())
    body = {name: value for name, value in body.items() if name not in ("authors", "signatures")}
    body |= {"kind": kind, "v": 1, "authors": [key.verify_key.encode().hex() for key in keys]}
    try:
        digest = blake3.blake3(rfc8785.dumps(body)).digest()
    except (rfc8785.CanonicalizationError, UnicodeError):
        return None
    signatures = [
        {"agent_id": key.verify_key.encode().hex(), "signature": key.sign(TAG + digest).signature.hex()} for key in keys
    ]
    return body | {"signatures": signatures}, digest.hex()


def claim(text):
    """The envelope of a claim that says `text`, and its id."""
    return signed(
        {
            "timestamp": draws.randrange(1 << 40),
            "subject": draws.choice(SUBJECTS),
            "predicate": draws.choice(PREDICATES),
            "object": {"type": "Text", "value": text},
            "confidence": draws.random(),
            "source_class": "community",
            "lifecycle": "proposed",
        },
        "assertion",
    )


def vote(target):
    """The envelope of a vote on a claim, and its id."""
    return signed({"timestamp": 7, "subject": SUBJECTS[0], "target": target, "weight": 0.5}, "vote")


def alias():
    """The envelope of an alias, and its id."""
    return signed({"timestamp": 7, "from": f"alias {draws.random()}", "to": draws.choice(SUBJECTS)}, "alias")


def post(url, path, body):
    """Sends JSON past schemathesis."""
    request = urllib.request.Request(
        url + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status


def store(text):
    """Stores a new claim; returns its envelope and id."""
    envelope, name = claim(text)
    post(os.environ["CONTRACT_URL"], "/v1/assert", envelope)
    return envelope, name


@functools.cache
def erased():
    """The envelope and the id of a claim that was erased."""
    envelope, name = store("to be erased")
    post(os.environ["CONTRACT_ADMIN_URL"], "/v1/admin/erase", {"id": name})
    return envelope, name


def sign_body(case, kind):
    """Signs what was generated, or sends again what is there or was erased."""
    again = draws.random()
    if again < 0.05 and kind == "assertion":
        case.body = erased()[0]
    elif again < 0.15 and stored:
        case.body = next((envelope for envelope, _ in reversed(stored) if envelope["kind"] == kind), case.body)
    elif again < 0.75 and isinstance(case.body, dict):
        made = signed(case.body, kind)
        if made:
            case.body = made[0]
            stored.append(made)
            signed_here.add(case.id)


def send_lines(case):
    """One to a few lines: claims, votes and aliases, new, old and erased, and now and then one that is none."""
    lines = []
    for _ in range(draws.randint(1, LINES_MAX)):
        made = draws.choice([claim(str(draws.random())), vote(erased()[1]), alias(), erased(), *stored[-2:], None])
        if made:
            stored.append(made)
        lines.append(json.dumps(made[0]) if made else str(case.body))
    case.body = "\n".join(lines)


def ask_what_is_there(case):
    """Names a question of the imported file instead of one that nobody asked."""
    query = dict(case.query or {})
    query.pop("prefix", None)
    if draws.random() < 0.8:
        for name in ("agent", "epoch", "as_of", "valid_at", "cursor", "source_class", "lifecycle"):
            query.pop(name, None)
    case.query = query | {"subject": draws.choice(SUBJECTS), "predicate": draws.choice(PREDICATES)}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode != schemathesis.GenerationMode.POSITIVE:
        return
    match case.operation.method.upper(), case.operation.path:
        case "POST", "/v1/assert":
            sign_body(case, "assertion")
        case "POST", "/v1/vote":
            sign_body(case, "vote")
        case "POST", "/v1/aliases":
            sign_body(case, "alias")
        case "POST", "/v1/records" if draws.random() < 0.8:
            send_lines(case)
        case "GET", "/v1/records/{id}" if draws.random() < 0.6:
            case.path_parameters = {"id": draws.choice([erased(), store("to be read")])[1]}
            case.query = {}
        case "GET", "/v1/query" | "/v1/skeptic" | "/v1/layered" if draws.random() < 0.6:
            ask_what_is_there(case)
        case "POST", "/v1/admin/erase" if draws.random() < 0.6:
            case.body = {"id": draws.choice([erased(), store(f"to be erased {draws.random()}")])[1]}


@schemathesis.hook
def after_call(context, case, response):
    tally[case.operation.method.upper(), case.operation.path, response.status_code] += 1


@schemathesis.check
def signature_conformance(ctx, response, case):
    """What was signed as the documents say may be refused for what it says, never for its signature."""
    if case.id in signed_here and response.status_code == 422:
        assert response.json()["code"] != "bad_signature", response.json()


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """Text goes out as it is; what is no text, as the one line of JSON that it is."""
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


@atexit.register
def write_tally():
    with open(os.environ["CONTRACT_TALLY"], "a", encoding="utf-8") as file:
        for (method, path, status), count in sorted(tally.items()):
            print(method, path, status, count, file=file)
