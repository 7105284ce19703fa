#!/usr/bin/env bash
# Holds a running node to its OpenAPI documents with schemathesis: deploy/contract/run.sh [EXAMPLES], 40 an operation by
# default, which takes about a minute. Exits 1 on a 5xx, an undocumented status, media type or header, a body of
# another shape, a panic, or a success that was never seen.
#
# Wants cargo and python3 with pip; what it installs and builds stays in target/. A node that is built already can be
# named with STEMEDB, another place for the Python packages with CONTRACT_VENV.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly EXAMPLES="${1:-40}"
readonly SEED=1
readonly VENV="${CONTRACT_VENV:-target/contract-venv}"
# Each check is a promise of the documents. Left out:
#   positive_data_acceptance: a body of the right shape is refused all the same if its signature is wrong, its times are
#     in the wrong order, or a text holds a control character; JSON Schema cannot say that.
#   negative_data_rejection: a parameter that schemathesis breaks by leaving it empty or doubling it may be well-formed.
#   unsupported_method, missing_required_header, ignored_auth and the like: about things these documents do not promise.
readonly CHECKS=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,signature_conformance
# A run that never saw these would prove little.
readonly SEEN="
POST /v1/assert 201
POST /v1/assert 200
POST /v1/assert 410
POST /v1/assert 422
POST /v1/vote 201
POST /v1/aliases 201
POST /v1/records 200
GET /v1/records/{id} 200
GET /v1/records/{id} 410
GET /v1/records 200
GET /v1/query 200
GET /v1/skeptic 200
GET /v1/layered 200
POST /v1/admin/erase 200
POST /v1/admin/compact 200
GET /v1/admin/status 200
GET /v1/admin/cluster 200
GET /v1/admin/nodes 200"

fail() { echo "deploy/contract/run.sh: $*" >&2; exit 1; }
[[ "$EXAMPLES" =~ ^[1-9][0-9]*$ ]] || fail "EXAMPLES is a whole number from 1, not '$EXAMPLES'"
command -v python3 >/dev/null || fail "no python3"

if [[ -z "${STEMEDB:-}" ]]; then
    cargo build --locked -p node --bin stemedb
    STEMEDB="${CARGO_TARGET_DIR:-target}/debug/stemedb"
fi
[[ -x "$VENV/bin/python" ]] || python3 -m venv "$VENV"
"$VENV/bin/pip" install --quiet --disable-pip-version-check -r deploy/contract/requirements.txt

work=$(mktemp -d)
node=""
finish() {
    [[ -z "$node" ]] || kill -KILL "$node" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

"$STEMEDB" serve --data-dir "$work/data" --bind-addr 127.0.0.1:0 --admin-addr 127.0.0.1:0 >"$work/out" 2>"$work/err" &
node=$!
listener() { sed -n "s/^ *$1  *\(http[^ ]*\).*/\1/p" "$work/out"; }
for _ in $(seq 100); do
    [[ -z "$(listener admin)" ]] || break
    kill -0 "$node" 2>/dev/null || fail "the node does not start: $(tail -5 "$work/err")"
    sleep 0.1
done
CONTRACT_URL=$(listener clients) CONTRACT_ADMIN_URL=$(listener admin)
[[ -n "$CONTRACT_URL" && -n "$CONTRACT_ADMIN_URL" ]] || fail "the node does not say where it listens: $(cat "$work/out")"
"$STEMEDB" import examples/countries/countries.ndjson.gz --sources examples/countries/sources.toml \
    --key-dir "$work/keys" --url "$CONTRACT_URL" 2>&1 | tail -1

export CONTRACT_URL CONTRACT_ADMIN_URL CONTRACT_TALLY="$work/tally"
schemathesis="$(cd "$VENV/bin" && pwd)/schemathesis" # it is run in $work, since it leaves a folder where it is run
export PYTHONPATH="$PWD/deploy/contract" PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=hooks
failed=0
for url in "$CONTRACT_URL" "$CONTRACT_ADMIN_URL"; do
    (cd "$work" && "$schemathesis" run "$url/v1/openapi.json" --url "$url" --phases examples,coverage,fuzzing,stateful \
        --checks "$CHECKS" --max-examples "$EXAMPLES" --seed "$SEED" --generation-database none \
        --suppress-health-check all --continue-on-failure --no-color) || failed=1
done

kill -TERM "$node"
wait "$node" || { echo "the node ended with $?" >&2; failed=1; }
node=""
if grep -i panick "$work/err" >&2; then failed=1; fi
sort "$work/tally"
while read -r wanted; do
    if [[ -n "$wanted" ]] && ! grep -qF "$wanted " "$work/tally"; then
        echo "never seen: $wanted" >&2
        failed=1
    fi
done <<<"$SEEN"
exit "$failed"
