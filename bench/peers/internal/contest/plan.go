// Package contest puts stores under the same load in turn, round by round, and
// compares what they did in each round: on a machine whose speed changes from one
// minute to the next, only neighbours in time can be compared.
package contest

import (
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/bench"

	"github.com/ringtaildb/ringtail/bench/peers/internal/store"
)

// Contest is one load that several stores are put under.
type Contest struct {
	// ID names it in flags and in the JSON.
	ID       string
	Title    string
	Workload bench.Workload
	Rows     []Row
}

// Row is one store in a contest.
type Row struct {
	// Label is what the row is called, Acked what an acknowledgement says there.
	Label, Acked string
	Store        string
	View         store.View
	// Ours tells that the others are compared with it.
	Ours bool
}

const (
	ackBufferedOurs  = "two nodes have it in memory; on disk within 1 s"
	ackDurableOurs   = "two nodes have synced it"
	ackRedis         = "the master and a replica have it in memory; on disk within 1 s"
	ackRedisDurable  = "the master and a replica have synced it"
	ackNATS          = "two servers have it in the page cache; on disk within 2 min"
	ackNATSDurable   = "two servers have synced it"
	ackEtcd          = "two members have synced it"
	getQuorum        = "two of three nodes were asked, the newest is answered: sees every put acknowledged before"
	getOne           = "one node was asked: may be stale"
	getMaster        = "the master alone was asked; after a failover may miss puts"
	getDirect        = "any replica: may be stale"
	getLinearizable  = "a majority was asked who leads: sees every put acknowledged before"
	getSerializable  = "one member was asked: may be stale"
	engineWithoutLog = "memory"
)

// Plan returns the contests of Ringtail with those engines and the others: redis,
// nats, etcd. With variants there are other ways to use Redis among them.
func Plan(engines []string, others map[string]bool, variants bool) []Contest {
	buffered, durable := puts(engines, others)
	got := gets(engines, others)
	if variants && others["redis"] {
		buffered, durable, got = withVariants(buffered, true), withVariants(durable, true), withVariants(got, false)
	}
	return []Contest{
		{ID: "put-buffered", Title: "Puts, buffered", Workload: bench.WorkloadW, Rows: buffered},
		{ID: "put-durable", Title: "Puts, durable", Workload: bench.WorkloadW, Rows: durable},
		{ID: "get", Title: "Gets", Workload: bench.WorkloadC, Rows: got},
		{ID: "a-buffered", Title: "Half gets, half puts, buffered", Workload: bench.WorkloadA, Rows: buffered},
		{ID: "a-durable", Title: "Half gets, half puts, durable", Workload: bench.WorkloadA, Rows: durable},
	}
}

func puts(engines []string, others map[string]bool) (buffered, durable []Row) {
	for _, e := range engines {
		r := Row{Label: "Ringtail, " + e, Store: "ringtail-" + e, Ours: true}
		r.View, r.Acked = store.Buffered, ackBufferedOurs
		if e == engineWithoutLog {
			r.Acked = "two nodes have it in memory; never on disk"
		}
		buffered = append(buffered, r)
		if e != engineWithoutLog {
			r.View, r.Acked = store.Durable, ackDurableOurs
			durable = append(durable, r)
		}
	}
	if others["redis"] {
		buffered = append(buffered, Row{Label: "Redis, WAIT 1", Acked: ackRedis, Store: "redis-buffered", View: store.Plain})
		durable = append(durable, Row{Label: "Redis, WAIT 1, fsync always", Acked: ackRedisDurable, Store: "redis-durable", View: store.Plain})
	}
	if others["nats"] {
		buffered = append(buffered, Row{Label: "NATS JetStream KV", Acked: ackNATS, Store: "nats-buffered", View: store.Plain})
		durable = append(durable, Row{Label: "NATS JetStream KV, sync always", Acked: ackNATSDurable, Store: "nats-durable", View: store.Plain})
	}
	if others["etcd"] {
		durable = append(durable, Row{Label: "etcd", Acked: ackEtcd, Store: "etcd", View: store.Linearizable})
	}
	return buffered, durable
}

func gets(engines []string, others map[string]bool) []Row {
	var rows []Row
	for _, e := range engines {
		rows = append(rows,
			Row{Label: "Ringtail, " + e + ", r=2", Acked: getQuorum, Store: "ringtail-" + e, View: store.Buffered, Ours: true},
			Row{Label: "Ringtail, " + e + ", r=1", Acked: getOne, Store: "ringtail-" + e, View: store.One, Ours: true})
	}
	if others["redis"] {
		rows = append(rows, Row{Label: "Redis, master", Acked: getMaster, Store: "redis-buffered", View: store.Plain})
	}
	if others["nats"] {
		rows = append(rows, Row{Label: "NATS JetStream KV, direct", Acked: getDirect, Store: "nats-buffered", View: store.Plain})
	}
	if others["etcd"] {
		rows = append(rows,
			Row{Label: "etcd, linearizable", Acked: getLinearizable, Store: "etcd", View: store.Linearizable},
			Row{Label: "etcd, serializable", Acked: getSerializable, Store: "etcd", View: store.Serializable})
	}
	return rows
}

// withVariants adds, to the row of Redis, those of other ways to use it. Gathered
// puts are none where there are no puts.
func withVariants(rows []Row, puts bool) []Row {
	out := slices.Clone(rows)
	for _, r := range rows {
		if strings.HasPrefix(r.Store, "redis") {
			pooled, gathered := r, r
			pooled.View, pooled.Label = store.Pooled, r.Label+", go-redis"
			gathered.View, gathered.Label = store.Gathered, r.Label+", gathered puts"
			if out = append(out, pooled); puts {
				out = append(out, gathered)
			}
		}
	}
	return out
}

// rotated returns rows from the by-th on, and then the ones before: so none is
// always first, or always after the same.
func rotated(rows []Row, by int) []int {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = (i + by) % len(rows)
	}
	return order
}
