# Every command a person needs. `make up` and `make test` do their own set-up.
PYTHON ?= python3
REGION ?= eu-west-3
ONCE ?=
BIN := .venv/bin
NODE_CLI := node_modules/aws-cdk/bin/cdk
WORKERS ?= 2

.PHONY: bench peers simulate fuzz faults install up test check lint types imports synth dashboards sbom audit lock apt clean

install: .venv/.installed node_modules/.installed .build/.layer ## set-up only

.venv/.installed: requirements-uv.txt requirements-dev.txt pyproject.toml
	@echo "[install] Python packages (a minute the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed (make install PYTHON=python3.11)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements-dev.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

node_modules/.installed: package.json package-lock.json
	@echo "[install] CDK command line (npm)"
	@npm ci --silent --ignore-scripts
	@touch $@

.build/.layer: .venv/.installed requirements-function.txt
	@echo "[install] Lambda layer (arm64 wheels)"
	@$(BIN)/python -c "from infra.aws.packaging import dependencies; dependencies()"
	@touch $@

up: install ## start everything on this machine and run the demo; ONCE=1 ends after the table
	@$(BIN)/pfi up $(if $(ONCE),--once)

check: lint types imports synth ## everything that needs no test run

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

synth: install ## synthesise the hospital's stack, offline once set up
	@$(BIN)/python -m infra.local.node $(NODE_CLI) synth --quiet -c target=aws -c region=$(REGION)

# Two runs: unit tests have sockets off, and a laptop that another test started needs its own.
test: install apt ## all tests, on real parts
	$(BIN)/pytest -n $(WORKERS) tests/unit tests/docs tests/simulation tests/fuzz
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup tests/infra tests/contracts tests/journeys

simulate: install ## the journey under faults: SEEDS=n runs, from seed FIRST; REPORT=1 writes reliability.md
	$(BIN)/python -m tests.simulation $(if $(REPORT),report,$(or $(FIRST),1000) $(or $(SEEDS),500)) $(WORKERS)

fuzz: install ## hostile input against every reader: TIME seconds each, or only TARGET=name
	@$(BIN)/python -m tests.fuzz.run run $(or $(TIME),120) $(TARGET)

faults: install ## faults on real parts, on this machine, then the account: SEED decides the mixture
	@$(BIN)/pfi faults --seed $(or $(SEED),1)

bench: install ## time and memory beside other implementations; FULL=1 measures everything and keeps the table
	@$(BIN)/pfi bench $(if $(FULL),--full --write,--quick)

apt: ## Debian packages that the tests need (tests/apt-packages.txt)
	@missing=""; for p in $$(cat tests/apt-packages.txt); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then echo "[apt]$$missing"; apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "[apt] not installed (run as root: apt-get install$$missing)"; fi; \
	fi

peers: .build/peers/.installed ## what `make bench` compares the product with, apart from it; MessageFoundry is AGPL

.build/peers/.installed: .venv/.installed $(wildcard tests/performance/peers/*.txt tests/performance/peers/*.json)
	@echo "[peers] Python packages, then npm's"
	@mkdir -p .build/peers
	@cp tests/performance/peers/package.json tests/performance/peers/package-lock.json tests/performance/peers/.npmrc .build/peers/
	@$(BIN)/uv venv -q --clear --python $(BIN)/python .build/peers/venv
	@$(BIN)/uv pip sync -q --python .build/peers/venv/bin/python --require-hashes tests/performance/peers/requirements.txt
	@cd .build/peers && npm ci --silent --ignore-scripts
	@touch $@

dashboards: install ## the pictures of both dashboards in the documentation, from a run of the demonstration
	@$(BIN)/python -m infra.local.preview

sbom: install ## bill of materials of the functions and of the development, CycloneDX, in .build/sbom
	@$(BIN)/python -m infra.local.supply_chain sbom

audit: install ## known weaknesses of what the locks name; ends badly when it cannot tell
	@$(BIN)/python -m infra.local.supply_chain audit

lock: ## write the three locks again, with hashes and without index addresses
	$(BIN)/uv pip compile pyproject.toml --extra speed --group laptop --group infra --group dev --group docs --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -q -o requirements-dev.txt
	$(BIN)/uv pip compile pyproject.toml --extra speed --python-version 3.13 --python-platform aarch64-manylinux_2_28 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -q -o requirements-function.txt
	echo "$$($(BIN)/uv --version | awk '{print "uv==" $$2}')" | $(BIN)/uv pip compile - --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -q -o requirements-uv.txt
	$(BIN)/uv pip compile tests/performance/peers/requirements.in --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -q -o tests/performance/peers/requirements.txt

clean: ## remove what was installed, built or started here
	rm -rf .venv node_modules .build .local cdk.out
