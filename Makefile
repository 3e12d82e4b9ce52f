# What people and CI run. `make demo` is the one to begin with.

CARGO ?= cargo
NPM ?= npm
TARGET := $(or $(CARGO_TARGET_DIR),target)
PAGE := web/client/dist/index.html
PAGE_SOURCES := $(shell find web/client/src web/client/public web/client/index.html web/sdk/src -type f 2>/dev/null) \
	web/package-lock.json web/client/package.json web/sdk/package.json

.PHONY: demo web build test bench fmt lint docs

# A whole mesh on this machine: three regions, their distances emulated, links to join printed. ARGS="--http-base 9080" and so on.
demo: build
	@$(TARGET)/release/mesh dev $(ARGS)

# The client page, embedded into the binary by the next build.
web: $(PAGE)

$(PAGE): $(PAGE_SOURCES)
	@command -v node >/dev/null || { echo "make: node is missing: install Node.js 20.19 or newer (https://nodejs.org)" >&2; exit 1; }
	@command -v $(NPM) >/dev/null || { echo "make: npm is missing: install it with Node.js (https://nodejs.org)" >&2; exit 1; }
	cd web && $(NPM) ci --no-audit --no-fund && $(NPM) run build
	@touch $@

build: web
	@command -v $(CARGO) >/dev/null || { echo "make: cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }
	$(CARGO) build --release -p mesh

# Everything CI runs: formatting, clippy, Rust, page and browser tests. Installs what it needs when it may, else says what is missing.
test:
	@tests/run.sh

# What forwarding costs beside the least it could; needs an idle machine. docs/benchmarks.md says how to read it.
bench:
	$(CARGO) bench -p mesh-tests --bench fanout

fmt:
	$(CARGO) fmt --all

# With cargo-deny, where it is installed: licences and advisories.
lint:
	@tests/run.sh lint

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
