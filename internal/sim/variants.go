package sim

import (
	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/replica"
)

// Broken is a Variant, the scenarios in which the checkers are to notice, and
// the promises that it breaks there.
type Broken struct {
	Variant
	Scenarios []string
}

// Variants are the broken builds that the checkers must notice.
var Variants = []Broken{
	{Variant{Name: "acknowledges before the log", Replica: replica.OmitLog}, []string{"crashes"}},
	{Variant{Name: "counts W once too often", Coordinator: coordinator.OmitLastAck}, []string{"crashes", "partitions"}},
	{Variant{Name: "last writer wins in disguise", Coordinator: coordinator.OmitSiblings}, []string{"calm", "network"}},
	{Variant{Name: "stand-ins count as owners", Coordinator: coordinator.OmitStrict}, []string{"partitions", "cuts"}},
	{Variant{Name: "merges set a record's actor", Replica: replica.OmitOwnByWrites}, []string{"moves", "damage"}},
	{Variant{Name: "actors outlive their process", Replica: replica.OmitNewBoots}, []string{"buffered", "crashes"}},
	{Variant{Name: "actors outlive their disk", KeepIDs: true}, []string{"wipes", "restores"}},
	{Variant{Name: "one actor for all records", Replica: replica.OmitOwnActors}, []string{"calm", "partitions"}},
	{Variant{Name: "tombstones are dropped at once", Replica: replica.OmitFloor}, []string{"deletes"}},
	{Variant{Name: "half of the leaves are in no tree", Replica: replica.OmitLeaf}, []string{"cuts", "network"}},
	{Variant{Name: "branches that are never compared", AntiEntropy: antientropy.OmitBranch}, []string{"cuts", "network"}},
	{Variant{Name: "exchanges overwrite", AntiEntropy: antientropy.OmitMerge}, []string{"cuts", "network"}},
}
