.DEFAULT_GOAL := help
SHELL := /bin/bash
FUZZTIME ?= 10s
PACKAGES ?= ./...
USES_DATABASE := {{range $$t := .TestImports}}{{if eq $$t "github.com/mesherhq/mesher/shared/pgtest"}}{{$$.ImportPath}} {{end}}{{end}}\
	{{range $$t := .XTestImports}}{{if eq $$t "github.com/mesherhq/mesher/shared/pgtest"}}{{$$.ImportPath}} {{end}}{{end}}
LINT := .cache/bin/golangci-lint-$(shell go env GOVERSION)

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  \033[36m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## run the whole platform on this machine
	@go build -o .cache/bin/mesher ./cmd/mesher && exec env MESHER_STOP_WITH_PARENT=1 .cache/bin/mesher dev

.PHONY: test
test: ## run every test, in random order
	go test -shuffle=on -timeout=10m ./...
	cd test/conformance && go test -count=1 -shuffle=on -timeout=10m ./...

.PHONY: test-pooler
test-pooler: ## run every test of the database through PgBouncer
	@test/pooler/install
	PGTEST_POOLER=1 go test -shuffle=on -timeout=10m $$(go list -f '$(USES_DATABASE)' $(PACKAGES))

.PHONY: conformance
conformance: ## drive real SDKs against the platform: Go, Node.js (>= 20.19), Python, Chromium
	@test/conformance/install .cache/conformance/python
	cd test/conformance && CONFORMANCE_PYTHON="$(CURDIR)/.cache/conformance/python/bin/python" \
		go test -tags=conformance -count=1 -shuffle=on -timeout=10m ./...

.PHONY: race
race: ## run every test under the race detector
	go test -race -shuffle=on -timeout=15m ./...

.PHONY: cover
cover: ## measure test coverage, report in coverage/
	@mkdir -p coverage
	go test -coverpkg=./... -coverprofile=coverage/cover.out -timeout=15m ./...
	@go tool cover -html=coverage/cover.out -o coverage/index.html
	@go tool cover -func=coverage/cover.out | tail -1

.PHONY: fuzz
fuzz: ## fuzz each fuzz target for FUZZTIME (10s)
	@grep -roE '^func Fuzz[[:alnum:]_]*' --include='*_test.go' cmd functions shared | sed 's/:func / /' | \
	while read -r file name; do \
		echo "== $$name ($$(dirname "$$file"))"; \
		go test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) "./$$(dirname "$$file")" </dev/null || exit 1; \
	done

.PHONY: bench
bench: ## measure the whole path against the physical limit of the database
	go run ./cmd/mesher bench

.PHONY: benchmarks
benchmarks: ## run the Go benchmarks of the hot paths
	go test -run='^$$' -bench=. -benchmem ./functions/... ./shared/...

.PHONY: lint
lint: $(LINT) ## check format, vet and lint
	@out=$$(gofmt -l .) && { [ -z "$$out" ] || { echo "not formatted, run make fmt:"; echo "$$out"; exit 1; }; }
	go vet ./...
	$(LINT) run
	cd test/conformance && $(CURDIR)/$(LINT) run --build-tags=conformance

.PHONY: fmt
fmt: $(LINT) ## format the code
	$(LINT) fmt

$(LINT): tools/go.mod tools/go.sum
	@echo "building golangci-lint, once, takes a minute or two"
	@mkdir -p $(@D)
	@cd tools && go build -buildvcs=false -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: readme
readme: ## rewrite from the code: the README's tables, the costs, what Terraform goes by
	go test -count=1 -run='^(TestReadme|TestCosts|TestTerraform_Contract)' . -update

.PHONY: package
package: ## make the archive that Terraform deploys, dist/mesher.zip, of the commit
	go run ./cmd/package

.PHONY: deployable
deployable: ## replay what the cloud build does to the archive, start each function
	go run ./cmd/deployable

.PHONY: terraform-check
terraform-check: ## check the Terraform configuration: format, validity, plans against a mocked provider
	@terraform/check

.PHONY: ci
ci: ## what continuous integration runs: lint, test, deployable, terraform-check
	.ci/run
