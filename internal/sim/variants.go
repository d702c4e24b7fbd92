package sim

import (
	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/handoff"
	"github.com/ringtaildb/ringtail/internal/replica"
)

// Broken is a Variant, and the scenarios in which the checkers are to notice.
type Broken struct {
	Variant
	Scenarios []string
}

// Variants are the broken builds that the checkers must notice.
var Variants = []Broken{
	{Variant{Name: "acknowledges before the log", Replica: replica.OmitLog}, []string{"crashes"}},
	{Variant{Name: "counts W once too often", Coordinator: coordinator.OmitLastAck}, []string{"pairs", "crashes"}},
	{Variant{Name: "last writer wins in disguise", Coordinator: coordinator.OmitSiblings}, []string{"calm", "network"}},
	{Variant{Name: "read repair overwrites", Coordinator: coordinator.OmitRepairMerge}, []string{"network", "partitions"}},
	{Variant{Name: "stand-ins count as owners", Coordinator: coordinator.OmitStrict}, []string{"partitions", "cuts"}},
	{Variant{Name: "hints are not sent", Coordinator: coordinator.OmitHints}, []string{"pairs"}},
	{Variant{Name: "gets know no floors", Coordinator: coordinator.OmitFloors}, []string{"sweep-newcomer"}},
	{Variant{Name: "hints are dropped when sent", Handoff: handoff.OmitAck}, []string{"handover"}},
	{Variant{Name: "changed hints are dropped", Handoff: handoff.OmitVersion}, []string{"pairs"}},
	{Variant{Name: "acknowledgements of an earlier boot are believed", Handoff: handoff.OmitBoot}, []string{"handover"}},
	{Variant{Name: "hints are acknowledged before the log", Handoff: handoff.OmitDurable}, []string{"pairs", "handover"}},
	{Variant{Name: "merges set a record's actor", Replica: replica.OmitOwnByWrites}, []string{"moves", "damage"}},
	{Variant{Name: "actors outlive their process", Replica: replica.OmitNewBoots}, []string{"buffered", "crashes"}},
	{Variant{Name: "actors outlive their disk", KeepIDs: true}, []string{"wipes", "restores"}},
	{Variant{Name: "one actor for all records", Replica: replica.OmitOwnActors}, []string{"calm", "partitions"}},
	{Variant{Name: "tombstones are dropped at once", Replica: replica.OmitFloor}, []string{"deletes"}},
	{Variant{Name: "a dropped copy keeps its floor", Replica: replica.OmitFloorReset}, []string{"sweep-return"}},
	{Variant{Name: "floors before data", Replica: replica.OmitDataBeforeFloor, NoSync: true}, []string{"sweep-power"}},
	{Variant{Name: "half of the leaves are in no tree", Replica: replica.OmitLeaf}, []string{"cuts", "network"}},
	{Variant{Name: "branches that are never compared", AntiEntropy: antientropy.OmitBranch}, []string{"cuts", "network"}},
	{Variant{Name: "exchanges overwrite", AntiEntropy: antientropy.OmitMerge}, []string{"cuts", "network"}},
	{Variant{Name: "sweeps without the drain", AntiEntropy: antientropy.OmitReports}, []string{"sweep-hints"}},
	{Variant{Name: "sweeps without the exchange", AntiEntropy: antientropy.OmitExchange}, []string{"sweep-alone"}},
	{Variant{Name: "sweeps that only collect", AntiEntropy: antientropy.OmitReturn}, []string{"sweep-alone"}},
	{Variant{Name: "sweeps through restarts", AntiEntropy: antientropy.OmitBoots}, []string{"sweep-restart"}},
	{Variant{Name: "sweeps through changes of the ring", AntiEntropy: antientropy.OmitEpochs}, []string{"sweep-move"}},
	{Variant{Name: "damaged copies pass for whole ones", AntiEntropy: antientropy.OmitDamage}, []string{"refill-cut"}},
	{Variant{Name: "fills from owners that are not sealed", AntiEntropy: antientropy.OmitSealed}, []string{"step-sealed"}},
	{Variant{Name: "fills from one owner", AntiEntropy: antientropy.OmitSources}, []string{"step-sources"}},
	{Variant{Name: "fills are told before the log", AntiEntropy: antientropy.OmitFillLog}, []string{"step-fill-log"}},
	{Variant{Name: "steps do not wait for each other", AntiEntropy: antientropy.OmitWait}, []string{"step-wait"}},
	{Variant{Name: "former copies are dropped at once", AntiEntropy: antientropy.OmitFormer}, []string{"step-former"}},
	{Variant{Name: "puts without the owners before", Coordinator: coordinator.OmitJointOld}, []string{"step-joint-old"}},
	{Variant{Name: "puts without the owners after", Coordinator: coordinator.OmitJointNew}, []string{"step-joint-new"}},
	{Variant{Name: "gets keep answers over a change", Coordinator: coordinator.OmitRestart}, []string{"step-restart"}},
	{Variant{Name: "sealed copies take old puts", Replica: replica.OmitSeal}, []string{"step-seal"}},
	{Variant{Name: "old gets are answered", Replica: replica.OmitStage2}, []string{"step-stage2"}},
	{Variant{Name: "stages are forgotten", Replica: replica.OmitStageLog}, []string{"step-stage-log"}},
	{Variant{Name: "votes are forgotten", ForgetVotes: true}, []string{"vote-forgotten"}},
	{Variant{Name: "values expire by any clock", Coordinator: coordinator.OmitTrust}, []string{"ttl"}},
	{Variant{Name: "what has expired is shown", Coordinator: coordinator.OmitHide}, []string{"ttl"}},
	{Variant{Name: "one clock says what is past", AntiEntropy: antientropy.OmitMark}, []string{"ttl"}},
	{Variant{Name: "what has expired is dropped at once", Replica: replica.OmitExpiryFloor}, []string{"ttl"}},
	{Variant{Name: "left-overs are dropped with their floor", AntiEntropy: antientropy.OmitTakeover}, []string{"sweep-succession"}},
}
