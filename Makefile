# The targets that .ci/run runs, one by one; `make check` is all of them.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME   ?= 5s
BENCHTIME  ?= 1s

.PHONY: build test race fuzz sim e2e smoke bench lint check

build:
	go build -o bin/ringtail ./cmd/ringtail

test:
	go test ./...

race:
	go test -race ./...

# Every fuzz target in turn, for FUZZTIME each.
fuzz:
	@set -e; for file in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
	    echo "$$(dirname $$file) $$target"; \
	    go test ./$$(dirname $$file) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME); \
	  done; done

# Whole histories of a key through every fault that loses local state, and whole
# rounds of requests in every order: more seeds than `go test` plays.
sim:
	RINGTAIL_SEEDS=2000 go test ./internal/replica ./internal/object ./internal/coordinator -run 'History|Histories|Executions' -count=1

# Real processes, killed and paused; with the tests that take a minute.
e2e:
	RINGTAIL_E2E=full go test ./test/e2e -count=1 -timeout 20m

# The README's first command, until it prints ready.
smoke:
	go run ./test/smoke

bench:
	go test ./... -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME)

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -d $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

check:
	.ci/run
