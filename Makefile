# The targets that .ci/run runs, one by one; `make check` is all of them.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   = go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
FUZZTIME   ?= 3000x
SEEDS      ?= 2000
BENCHTIME  ?= 1s

.PHONY: build test race fuzz sim e2e e2e-pebble clients bench benchstat peers peers-test lint check

build:
	go build -o bin/ringtail ./cmd/ringtail

test:
	go test ./...

race:
	go test -race -timeout 30m ./...

# Every fuzz target in turn, for FUZZTIME each: a number of inputs, so that slow
# and fast machines try the same.
fuzz:
	@set -e; for file in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
	    echo "$$(dirname $$file) $$target"; \
	    go test ./$$(dirname $$file) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME); \
	  done; done

# Whole clusters in virtual time, SEEDS of them, and the broken variants that the
# checkers must notice (docs/simulation.md); then random histories of one key
# through every fault that loses local state. A night's worth: make sim SEEDS=200000
sim:
	go test ./internal/sim -count=1 -timeout 12h -seeds $(SEEDS)
	go test ./internal/replica -run RandomHistories -count=1 -seeds $(SEEDS)

# Real processes, killed, paused, cut off, with damaged and full disks
# (docs/testing.md); with the tests that take minutes.
e2e:
	RINGTAIL_E2E=full go test ./test/e2e -count=1 -timeout 75m

# What of it depends on the engine most, on the other engine.
e2e-pebble:
	RINGTAIL_ENGINE=pebble RINGTAIL_E2E=full go test ./test/e2e -count=1 -timeout 30m -run 'Damaged|FullDisk|KillAll|Buffered|Replace|History'

# The clients that people use, each with its defaults, against real clusters
# (docs/testing.md). They need node and npm, python3 with redis-py, redis-cli and
# redis-benchmark.
clients:
	test/clients/run

bench:
	go test ./... -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME)

# The microbenchmarks of what every request passes, in docs/benchmarks.txt, and of
# what that was made of beside it; then how they differ from those kept before.
HOT = ./internal/wire ./internal/vclock ./internal/object ./internal/quorum ./internal/merkle ./internal/transport ./internal/storage/...
benchstat:
	go test $(HOT) -p 1 -run '^$$' -bench '^Benchmark(Hot|Call|Engine)$$' -benchmem -benchtime 300ms -count 6 > docs/benchmarks.new
	$(BENCHSTAT) docs/benchmarks.new > docs/benchmarks.txt
	@$(BENCHSTAT) docs/benchmarks.raw docs/benchmarks.new || true
	@mv docs/benchmarks.new docs/benchmarks.raw

# Ringtail and other stores under the same load, in turn (docs/peers.md): some ten
# minutes, best while nothing else runs. It needs redis-server.
# make peers PEERS='-rounds 5 -doc ../../docs/peers.md'
peers:
	cd bench/peers && go run . $(PEERS)

# What of it can be tested by itself, in seconds.
peers-test:
	cd bench/peers && go test ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -d $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	cd test/clients/go && go vet ./...
	cd bench/peers && go vet ./...
	go run $(STATICCHECK) ./...

check:
	.ci/run
