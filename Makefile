# Everything sets itself up: npm packages, Docker Engine (on Debian, as root) and base images.

SHELL := /bin/bash
.ONESHELL:
# bash takes a standard input that is a socket for a login from afar, and reads bashrc then.
.SHELLFLAGS := --norc -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

SPEC ?=
PREFIX ?= /usr/local/openresty
DESTDIR ?=
TEST ?= integration/*.test.ts

say = @printf '\n== %s\n' "$(1)"
docker_run = docker run --rm -v "$$PWD":/switchboard:ro -w /switchboard
sources := $(shell find lua-src -name '*.ts' 2>/dev/null)
page := $(wildcard dashboard/*)

.PHONY: help build lint gates spec integration guard bench soak test dist install run image pictures clean engine

help: ## show this list
	@echo "make <what>:"
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-12s %s\n", $$1, $$2 }'

node_modules/.package-lock.json: package.json package-lock.json
	$(call say,npm packages)
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or later" >&2; exit 1; }
	@node -e 'process.exit(Number(+process.versions.node.split(".")[0] < 20))' || { echo "Node.js 20 or later is needed; this is $$(node --version)" >&2; exit 1; }
	npm ci --no-fund --no-audit --loglevel=error
	touch $@

lib/resty/switchboard/init.lua: node_modules/.package-lock.json tstl.json $(sources)
	$(call say,build: lua-src to lib)
	@rm -rf lib
	npx tstl -p tstl.json
	@test -s $@ || { echo "the compiler wrote nothing: see its warnings above" >&2; exit 1; }

nginx/admin/ui/index.html: node_modules/.package-lock.json $(page)
	$(call say,build: dashboard to nginx/admin/ui)
	@rm -rf nginx/admin/ui
	npx tsc -p dashboard/tsconfig.json
	cp dashboard/style.css dashboard/icon.svg nginx/admin/ui/
	cp dashboard/index.html $@

build: lib/resty/switchboard/init.lua nginx/admin/ui/index.html ## compile the TypeScript to lib/ and the dashboard

engine:
	@.ci/docker-engine

lint: node_modules/.package-lock.json ## types, eslint, prettier
	$(call say,lint)
	npx tsc --noEmit -p tstl.json
	npx tsc -p tsconfig.json
	npx tsc --noEmit -p dashboard/tsconfig.json
	npx eslint --max-warnings=0 .
	npx prettier --check --log-level=warn .
	npx tsx tools/version.ts
	npx tsx bench/tables.ts --check

gates: build engine ## lualib, stray globals, import directions, in the compiled Lua
	$(call say,gates)
	@tools=$$(nginx/image/base-image tools)
	$(docker_run) "$$tools" sh -c 'for f in $$(find lib -name "*.lua"); do echo "FILE $$f"; luajit -bl "$$f"; done' >lib/bytecode.txt
	@npx tsx tools/gates.ts lib/bytecode.txt

spec: build engine ## busted, inside nginx; SPEC=spec/route/host_spec.lua for one
	$(call say,specs)
	@tools=$$(nginx/image/base-image tools)
	$(docker_run) "$$tools" spec/run $(SPEC)

integration: image ## a real OpenResty, Redis and backends; TEST=integration/spread.test.ts for one
	$(call say,integration tests)
	@nginx/image/base-image openresty >/dev/null
	@nginx/image/base-image tools >/dev/null
	TESTCONTAINERS_RYUK_DISABLED=true node --import tsx --test --test-concurrency=2 --test-reporter=spec $(TEST)

guard: build engine ## instructions and shared-dict bytes a request may cost; UPDATE=1 takes what is measured
	$(call say,guard)
	@UPDATE=$(UPDATE) npx tsx bench/guard.ts

bench: build engine ## what everything costs, some 45 minutes; QUICK=1 for a look of three: see bench/README.md
	$(call say,bench)
	@QUICK=$(QUICK) npx tsx bench/run.ts

soak: build engine ## ten minutes of everything that goes wrong; MINUTES=60 for longer; the report is bench/soak.md
	$(call say,soak)
	@nginx/image/base-image openresty >/dev/null
	@nginx/image/base-image tools >/dev/null
	TESTCONTAINERS_RYUK_DISABLED=true npx tsx bench/soak.ts

test: lint build gates spec guard integration ## all of the above
	$(call say,all passed)

# A tarball has lib/ but no sources, and needs no Node to be installed.
ifneq ($(wildcard lua-src),)
compiled := build
endif

dist: build ## dist/switchboard-<version>.tar.gz: compiled Lua and conf parts
	@version=$$(node -p 'require("./package.json").version')
	name=switchboard-$$version
	rm -rf dist && mkdir -p dist/$$name/lib/resty
	cp -r lib/resty/switchboard dist/$$name/lib/resty/
	cp -r --no-dereference nginx dist/$$name/conf && rm -rf dist/$$name/conf/image
	cp README.md CHANGELOG.md LICENSE Makefile dist/$$name/
	tar -C dist --owner=0 --group=0 -czf dist/$$name.tar.gz $$name
	rm -rf dist/$$name
	echo "wrote dist/$$name.tar.gz"

install: $(compiled) ## into an OpenResty: PREFIX=/usr/local/openresty
	@root='$(DESTDIR)$(PREFIX)'
	conf=conf; [[ -d conf ]] || conf=nginx
	[[ -n '$(DESTDIR)' || -d "$$root/nginx/conf" ]] || { echo "$$root is no OpenResty (it has no nginx/conf): make install PREFIX=<where yours is>" >&2; exit 1; }
	lua=$$root/site/lualib/resty/switchboard
	rm -rf "$$lua" && mkdir -p "$$lua" "$$root/nginx/conf/switchboard"
	cp -r lib/resty/switchboard/. "$$lua/"
	cp "$$conf"/*.conf "$$root/nginx/conf/switchboard/"
	cp -r "$$conf/admin" "$$root/nginx/conf/switchboard/"
	echo "installed into $$root: add 'include switchboard/http.conf;' to http {} and 'include switchboard/proxy.conf;' to a location"

image: build engine ## the image `switchboard`
	$(call say,image)
	@base=$$(nginx/image/base-image openresty)
	# The classic builder needs no plugin, and says so at length: its words count only when it fails.
	log=$$(DOCKER_BUILDKIT=0 docker build --quiet --build-arg "BASE=$$base" -t switchboard -f nginx/image/Dockerfile . 2>&1) || { echo "$$log" >&2; exit 1; }
	@echo "made the image switchboard"

run: image ## Redis, the router and three sample apps; stays up until Ctrl-C
	@exec npx tsx tools/run.ts

pictures: build engine ## the pictures of the dashboard in docs/, by a real router and Chromium
	$(call say,pictures)
	@TESTCONTAINERS_RYUK_DISABLED=true npx tsx tools/screenshots.ts

clean: ## what was built here; images stay
	rm -rf lib dist nginx/admin/ui node_modules soak-logs
