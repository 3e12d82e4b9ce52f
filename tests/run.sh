#!/usr/bin/env bash
# Every check there is, in the order that builds everything once. `make test` runs this, and so does CI.
#   tests/run.sh            all
#   tests/run.sh lint       formatting, clippy, dependencies
set -euo pipefail
cd "$(dirname "$0")/.."

: "${CARGO_TARGET_DIR:=$PWD/target}"
export CARGO_TARGET_DIR
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
export MESH_BIN="$CARGO_TARGET_DIR/ci/mesh"
began=$SECONDS
closing=()

say() { printf '\n== %s  (%d s)\n' "$*" $((SECONDS - began)); }
die() { printf '%s\n' "$*" >&2; exit 1; }

# --- what has to be there ------------------------------------------------------------------------------------------

missing=()
lacks() { ! command -v "$1" >/dev/null 2>&1; }
# need COMMAND PACKAGE: installs the Debian package as root, else notes what is missing.
need() {
  lacks "$1" || return 0
  if [ "$(id -u)" = 0 ] && ! lacks apt-get; then
    if [ -z "${apt_updated:-}" ]; then
      apt-get update -qq || true
      apt_updated=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null || true
  fi
  lacks "$1" && missing+=("$1 (Debian: apt-get install $2)")
  return 0
}

prepare() {
  say "tools"
  lacks cargo && missing+=("cargo with rustfmt and clippy: the Rust toolchain")
  need npm npm
  need node nodejs
  if lacks chromium && [ -z "${CHROMIUM:-}" ]; then need chromium chromium; fi
  need systemd-analyze systemd
  need turnserver coturn
  need python3 python3
  if ! lacks python3 && ! python3 -c 'import ensurepip' 2>/dev/null; then missing+=("python3 with venv (Debian: apt-get install python3-venv)"); fi
  need curl curl
  if ! lacks node && ! node -e "const [a, b] = process.versions.node.split(\".\"); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)"; then
    missing+=("node 20.19 or newer: this is $(node --version)")
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    printf 'missing: %s\n' "${missing[@]}" >&2
    die "Install what is missing, or run this as root on Debian, and start again."
  fi
}

# --- the checks ----------------------------------------------------------------------------------------------------

lint() {
  say "formatting"
  cargo fmt --all --check
  say "clippy"
  cargo clippy --profile ci --workspace --all-targets --locked -- -D warnings
  if cargo deny --version >/dev/null 2>&1; then
    say "dependencies"
    cargo deny --all-features check
  else
    echo "cargo-deny is not here: licences and advisories are not checked (cargo install --locked cargo-deny)"
  fi
}

web() {
  say "web: types, page, unit tests"
  (
    cd web
    npm ci --no-progress
    npm run build
    npm run check
    npm test
  )
}

# The types of the client are made from the edge's: tests write them anew, and nothing may change.
types() { find web/sdk/src/generated -name '*.ts' -print0 | sort -z | xargs -0 sha256sum; }

rust() {
  local before
  before=$(types)
  say "build"
  cargo build --profile ci --workspace --bins --tests --locked
  say "Rust tests"
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --cargo-profile ci --workspace --locked --no-fail-fast
  else
    cargo test --profile ci --workspace --locked --exclude mesh-tests --lib --bins --tests --no-fail-fast
    # Whole meshes of processes: one at a time.
    cargo test --profile ci --locked -p mesh-tests --no-fail-fast -- --test-threads=1
  fi
  say "documentation tests"
  cargo test --profile ci --workspace --locked --doc
  [ "$before" = "$(types)" ] || die "web/sdk/src/generated was stale: it is new now, commit it"
}

api() {
  say "HTTP API, by its OpenAPI document"
  tests/api/run.sh
}

browser() {
  say "browser tests"
  (
    cd tests/browser
    npm ci --no-progress
    # Real browsers in real time on a machine that pauses: a file that fails is run once more, and that is said.
    local file
    for file in selftest/*.test.mjs e2e/*.test.mjs; do
      echo "-- $file"
      node --test --test-concurrency=1 "$file" || {
        echo "-- $file failed: once more, alone"
        node --test --test-concurrency=1 "$file"
      }
    done
  )
}

# Runs one part and keeps how long it took.
part() {
  local at=$SECONDS
  "$1"
  closing+=("$(printf '%-8s %4d s' "$1" $((SECONDS - at)))")
}

case "${1:-all}" in
  lint) lint ;;
  all)
    part prepare
    # The page first: the binary embeds it.
    part web
    part lint
    part rust
    part api
    part browser
    say "all checks passed"
    printf '  %s\n' "${closing[@]}"
    ;;
  *) die "usage: tests/run.sh [all|lint]" ;;
esac
