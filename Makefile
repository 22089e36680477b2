# The verbs of this repository. Each sets up what it needs.
.PHONY: setup demo test bench bench-push lint format protos lock clean

setup:
	@scripts/setup

demo:  ## the whole product on this machine, in a minute; KEEP=1 leaves it running until Ctrl-C
	@scripts/setup
	@exec .venv/bin/python -m tests.demo $(if $(KEEP),--keep)

test:  ## everything that CI runs
	@scripts/setup system
	@scripts/test

bench:  ## our content filter against Postfix with always_bcc over TLS
	@scripts/setup system
	@exec .venv/bin/python -m tests.bench.throughput

bench-push:  ## from a commit to the last of 1 000 agents, against a bare broadcast
	@scripts/setup system
	@exec .venv/bin/python -m tests.bench.push

lint: setup
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check . && .venv/bin/mypy shared manager node_agent tests && .venv/bin/lint-imports

format: setup
	@.venv/bin/ruff format -q . && .venv/bin/ruff check -q --fix .

protos: setup
	@scripts/protos

lock:  ## pin the dependencies anew
	@scripts/lock

clean:
	rm -rf .venv var
