# Two commands are all a fresh Debian or Ubuntu machine with a Rust toolchain needs: `make demo`
# and `make test`. They install what is missing (scripts/bootstrap.sh), build and run.
#
# Everything is built in the release profile, tests included, because RocksDB takes far longer to
# compile than all the rest: one profile compiles it once. The build cache lies outside the clone,
# so that a fresh clone finds it; `target` is a link to it, for plain `cargo build --release`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

CACHE := $(abspath $(or $(USAGE_RATER_CACHE),$(HOME)/.cache/usage-rater))
export CARGO_TARGET_DIR ?= $(CACHE)/target
BIN := $(CARGO_TARGET_DIR)/release/usage-rater

# CI builds exactly what Cargo.lock says; a developer may have just changed a Cargo.toml.
LOCKED := $(if $(CI),--locked)

DENY_VERSION := 0.20.2
DENY := $(CACHE)/tools/bin/cargo-deny

.PHONY: help demo build test soak bench fuzz mutants fmt fmt-check clippy deny doc check kafka kafka-fetch moto-fetch bootstrap

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | \
		while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

demo: build ## Build, then rate and bill an example month
	@"$(BIN)" demo

build: bootstrap ## Build the binary, target/release/usage-rater
	cargo build --release $(LOCKED)

test: bootstrap kafka-fetch moto-fetch ## Run every test, doctests and the recomputation's self-test included
	cargo test --release --workspace $(LOCKED)
	python3 tests/recompute/selftest.py

# Fewer, to try it: make soak KILLS=8 SEEDS=1..301
KILLS ?= 100
SEEDS ?= 1..100001

soak: bootstrap kafka-fetch ## Kill instances on a real broker a hundred times, and simulate 100,000 seeds
	KILLS=$(KILLS) SIMULATION_SEEDS=$(SEEDS) CI=true \
		cargo test --release --test it $(LOCKED) -- --nocapture kafka::killed kafka::turmoil simulation

bench: bootstrap ## Measure; the numbers are printed, none is asserted
	cargo bench --workspace $(LOCKED)

fmt: ## Format the code
	cargo fmt --all

fmt-check: ## Fail if the code is not formatted
	cargo fmt --all --check

clippy: bootstrap ## Lint, warnings being errors
	cargo clippy --release --workspace --all-targets $(LOCKED) -- -D warnings

deny: bootstrap ## Check licences, sources and bans of the dependencies
	@[ "$$("$(DENY)" --version 2>&1)" = "cargo-deny $(DENY_VERSION)" ] || \
		env -u CARGO_TARGET_DIR cargo install --locked cargo-deny@$(DENY_VERSION) --root "$(CACHE)/tools"
	"$(DENY)" $(LOCKED) check bans licenses sources

# The compiler's instrumentation is not stable, but it is the same in the pinned toolchain. The
# versions of dependencies are those of the program; what takes longer than 25 seconds is a finding.
FUZZ_SECONDS ?= 60
FUZZ_VERSION := 0.13.2
FUZZER := $(CACHE)/tools/bin/cargo-fuzz
FUZZ := env RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$(CACHE)/fuzz" "$(FUZZER)"

fuzz: bootstrap ## Feed hostile bytes to every reader, a minute each
	@[ "$$("$(FUZZER)" --version 2>&1)" = "cargo-fuzz $(FUZZ_VERSION)" ] || \
		env -u CARGO_TARGET_DIR cargo install --locked cargo-fuzz@$(FUZZ_VERSION) --root "$(CACHE)/tools"
	@cp Cargo.lock fuzz/Cargo.lock
	@mkdir -p fuzz/corpus/record fuzz/corpus/catalog fuzz/corpus/orders
	@split -l 1 examples/first/usage.ndjson fuzz/corpus/record/first-
	@for seed in examples/first/catalog.json tests/it/histories/catalog.json \
		tests/it/cli/faults/kinds.json rating/src/catalog/schema/full.json; do \
		cp $$seed fuzz/corpus/catalog/$$(echo $$seed | tr / -) || exit 1; \
	done
	@for seed in examples/first/orders.json tests/it/cli/faults/orders.json; do \
		cp $$seed fuzz/corpus/orders/$$(echo $$seed | tr / -) || exit 1; \
	done
	@for target in record catalog orders; do \
		$(FUZZ) run --sanitizer none --release $$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=25 || exit 1; \
	done

# The code that counts money, broken in one place at a time: a test of its crate must fail. What is
# not optimised compiles and links in the least time, and `rating` needs no RocksDB.
MUTANTS ?= $(addprefix rating/src/,aggregation.rs at_zero.rs calendar.rs catalog/calendars.rs charge.rs \
	decimal.rs money.rs owed.rs period.rs position.rs position/*.rs price.rs price/*.rs quantity.rs rate.rs \
	rounding.rs rows.rs scope.rs share.rs total.rs unit.rs)
MUTANTS_VERSION := 27.1.0
MUTATOR := $(CACHE)/tools/bin/cargo-mutants

mutants: bootstrap ## Break the code that counts money, and see tests fail; MUTANTS="…" names other files
	@[ "$$("$(MUTATOR)" --version 2>&1)" = "cargo-mutants $(MUTANTS_VERSION)" ] || \
		env -u CARGO_TARGET_DIR cargo install --locked cargo-mutants@$(MUTANTS_VERSION) --root "$(CACHE)/tools"
	env CARGO_TARGET_DIR="$(CACHE)/mutants/target" CARGO_PROFILE_DEV_DEBUG=false PROPTEST_CASES=100 \
		"$(MUTATOR)" mutants --package rating $(foreach file,$(MUTANTS),--file '$(file)') \
		--output "$(CACHE)/mutants" --jobs 1 --timeout 300 $(MUTANTS_ARGS) -- --lib -- \
		--skip suggestions_end --skip the_schema_says

doc: bootstrap ## Build the API documentation, warnings being errors
	RUSTDOCFLAGS=-Dwarnings cargo doc --release --no-deps --workspace $(LOCKED)

check: ## Do what CI does
	@.ci/run

kafka: kafka-fetch ## Run a Kafka broker on this machine until Ctrl-C, to try `run` against
	@scripts/kafka.sh run

# Without a broker the tests that need one say so and pass; CI must have it.
kafka-fetch:
	@scripts/bootstrap.sh kafka
	@scripts/kafka.sh fetch || [ -z "$(CI)" ]

# As with the broker.
moto-fetch:
	@scripts/bootstrap.sh moto
	@scripts/moto.sh fetch || [ -z "$(CI)" ]

bootstrap: ## Install the tools that are missing; silent when none is
	@scripts/bootstrap.sh
	@if [ -L target ] || [ ! -e target ]; then ln -sfn "$(CARGO_TARGET_DIR)" target; fi
	@mkdir -p "$(CARGO_TARGET_DIR)"
	@ls "$(CARGO_TARGET_DIR)"/release/build/librocksdb-sys-*/output >/dev/null 2>&1 || \
		echo "The first build compiles RocksDB: 10 to 35 minutes on 2 cores, once."
