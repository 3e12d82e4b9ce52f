#!/usr/bin/env bash
# The HTTP API driven by its own OpenAPI document: schemathesis makes requests of it, good and bad, and checks every answer.
#   tests/api/run.sh        needs the built binary (MESH_BIN, or the one of the profile ci) and Python 3.10
set -euo pipefail
cd "$(dirname "$0")/../.."

: "${CARGO_TARGET_DIR:=$PWD/target}"
mesh="${MESH_BIN:-$CARGO_TARGET_DIR/ci/mesh}"
venv="$CARGO_TARGET_DIR/schemathesis"
version=4.32.5
# Same requests every time; the budget is for all phases of one run.
seed=20261121
seconds=${API_SECONDS:-40}

die() { printf '%s\n' "$*" >&2; exit 1; }
[ -x "$mesh" ] || die "no $mesh: build it with cargo build --profile ci -p mesh"

if [ "$("$venv/bin/st" --version 2>/dev/null)" != "st, version $version" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "schemathesis==$version"
fi

work=$(mktemp -d)
pid=
cleanup() {
  if [ -n "$pid" ]; then
    kill -INT "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT

# Thousands of creations by one person, who is nobody's neighbour.
MESH_CREATES_PER_HOUR=1000000 "$mesh" dev --http-base 0 --json --wan off --regions eu-west-1 \
  --state-dir "$work/dev" >"$work/banner" &
pid=$!
for _ in $(seq 300); do
  [ -s "$work/banner" ] && break
  kill -0 "$pid" 2>/dev/null || die "mesh dev has ended"
  sleep 0.1
done
[ -s "$work/banner" ] || die "mesh dev is not ready after 30 s"

json() { python3 -c 'import json, sys; print(eval("d" + sys.argv[1], {"d": json.load(sys.stdin)}))' "$1"; }
url=$(json '["client"].rstrip("/")' <"$work/banner")
token() { "$mesh" token --state-dir "$work/dev" "$@"; }

# run NAME TOKEN: everything the document describes, as somebody with this token.
run() {
  printf -- '-- as %s\n' "$1"
  "$venv/bin/st" --no-color --config-file tests/api/schemathesis.toml run "$url/api/v1/openapi.json" \
    --header "Authorization: Bearer $2" --checks all --seed "$seed" --max-time "$seconds" --warnings off
}

run "a person who creates meetings" "$(token --kind api --sub schemathesis)"
# Somebody else's: the first person has as many meetings as one may have by now.
made=$(curl --silent --show-error -X POST -d '{}' -H 'Content-Type: application/json' \
  -H "Authorization: Bearer $(token --kind api --sub another)" "$url/api/v1/meetings")
meeting=$(json '["meeting"]["id"]' <<<"$made") || die "no meeting: $made"
run "a participant" "$(token --meeting "$meeting")"
