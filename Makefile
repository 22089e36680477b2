# The verbs of this repository. Each sets up what it needs.
.PHONY: help setup demo check test test-elsewhere bench bench-push bench-manager bench-audit bench-compare model history-check mutants format protos reference lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1|\2/p' Makefile | sort -t "|" -k 1,1 | \
		while IFS='|' read -r target text; do printf 'make %-14s %s\n' "$$target" "$$text"; done

setup:  ## the Python environment in .venv, and an etcd
	@scripts/setup

demo:  ## the whole product on this machine, in a minute; KEEP=1 leaves it running until Ctrl-C
	@scripts/setup
	@exec .venv/bin/python -m tests.demo $(if $(KEEP),--keep)

check:  ## format, lint, types, contracts, generated files, quick tests: in seconds
	@scripts/setup python
	@exec scripts/check --quick

test:  ## everything that CI runs: the same checks, and every test
	@scripts/setup system
	@exec scripts/check

test-elsewhere:  ## every test, once each under other signals, umasks, locale, time zone, limits, load
	@scripts/setup system
	@exec .venv/bin/python -m tests.elsewhere

bench:  ## our content filter against Postfix with always_bcc over TLS
	@scripts/setup system
	@exec .venv/bin/python -m tests.bench.throughput

bench-push:  ## from a commit to the last of 1 000 agents, against a bare broadcast
	@scripts/setup system
	@exec .venv/bin/python -m tests.bench.push

bench-manager:  ## a manager of 100, 1 000 and 10 000 machines: plans, commits, push, memory, status
	@scripts/setup system
	@exec .venv/bin/python -m tests.bench.manager

bench-audit:  ## what the audit log costs 8 clients that commit to 4 clusters at once
	@scripts/setup system
	@exec .venv/bin/python -m tests.bench.audit

bench-compare:  ## what a change costs, against BASE=FOLDER, a set-up checkout of another revision
	@scripts/setup system
	@exec .venv/bin/python -m tests.bench.compare $(BASE)

model:  ## 2 000 random operations on a running manager, compared with plain dictionaries
	@scripts/setup system
	@exec .venv/bin/python -m tests.stage.model_walk

history-check:  ## 8 clients commit while 2 managers and 3 members of etcd are killed, 200 times
	@scripts/setup system
	@exec .venv/bin/python -m tests.stage.history_check

mutants:  ## plant faults in copies of the source, and count those that the suite notices
	@scripts/setup system
	@exec .venv/bin/python -m tests.mutants

format:  ## format the code, and fix what the linter can
	@scripts/setup python
	@.venv/bin/ruff format -q . && .venv/bin/ruff check -q --fix .

protos:  ## generate shared/tdc/v1 from proto/
	@scripts/setup python
	@scripts/protos

reference:  ## write docs/settings.md and docs/requirements.md from their tables
	@scripts/setup python
	@.venv/bin/python scripts/reference
	@.venv/bin/python -m tests.tree.requirements

lock:  ## pin the newest version of every dependency, with hashes
	@scripts/lock

clean:  ## remove the environment, and what the demo left
	rm -rf .venv var
