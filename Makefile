# `make` lists what there is to do. Each target installs what it needs first.

VENV := .venv
PY := $(VENV)/bin/python
PACKAGES := edged devices badge_reader scale printer camera mqtt store durable kiosk bridge

.DEFAULT_GOAL := help
.PHONY: help install demo service test torture bench lint types docs lock vm check clean \
	test-debian13 test-install

help:  ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

install: $(VENV)/.installed  ## make .venv, from which .venv/bin/edged runs
demo: install  ## one station with simulated devices, broker, bridge and stand-in Odoo
	@tools/packages demo
	@$(VENV)/bin/edged demo $(DEMO)

service: install  ## make this a service: users, units, udev rules (root, in /opt/edged)
	@tools/service

test: $(VENV)/.developer  ## every test, with real parts (mosquitto, Chromium, umockdev, ptys)
	@tools/packages test
	@tools/test $(TESTS)

test-debian13:  ## every test on an empty Debian 13, whose Python is newer (root, minutes)
	@tools/debian trixie make test

test-install:  ## installing and the demo on empty Debian 12 and 13 (root, minutes)
	@tests/install/run

torture: $(VENV)/.developer  ## break the promises for an hour: 1,000 kill -9 and more
	@tools/packages test
	@PYTHONPATH=.:tests $(PY) -m faults $(TORTURE)

bench: $(VENV)/.developer  ## measure the budgets: badge, weight, memory, start, outbox
	@tools/packages test
	@$(PY) -m bench

lint: $(VENV)/.developer  ## ruff: style and format
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

types: $(VENV)/.developer  ## mypy --strict
	@$(VENV)/bin/mypy

docs: $(VENV)/.developer  ## generate the schemas in docs/ from the code
	@$(PY) -m mqtt.schemas docs/schemas

lock: $(VENV)/.developer  ## pin every dependency again, with hashes, from pyproject.toml
	@tools/lock

vm: $(VENV)/.developer  ## drivers on a real kernel's devices, in a virtual machine (root, minutes)
	@tests/vm/run

check: lint types test  ## everything that CI checks
	@tools/units

clean:  ## remove .venv and what tools left
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.installed: pyproject.toml constraints.txt tools/install
	@tools/install $(VENV)
	@touch $@

$(VENV)/.developer: $(VENV)/.installed constraints-dev.txt
	@tools/install $(VENV) dev
	@touch $@
