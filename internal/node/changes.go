package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// changes makes membership the HTTP door's Changes.
type changes struct{ node *Node }

// actions are what can be staged, by name.
var actions = []membership.Action{membership.Join, membership.Leave, membership.Remove, membership.Replace, membership.Weight}

// Stage implements httpapi.Changes.
func (c changes) Stage(ctx context.Context, v httpapi.Change) error {
	i := slices.IndexFunc(actions, func(a membership.Action) bool { return a.String() == v.Action })
	if i < 0 {
		return kv.Errorf(kv.KindInvalid, "stage change", "there is no %q", v.Action)
	}
	return c.node.service.Stage(ctx, membership.Change{Action: actions[i], Node: v.Node, By: v.By, Weight: v.Weight})
}

// Clear implements httpapi.Changes.
func (c changes) Clear(ctx context.Context) ([]httpapi.ChangeView, error) {
	staged := c.node.orderViews(c.node.service.State().Orders())
	return staged, c.node.service.Clear(ctx)
}

// Plan implements httpapi.Changes. A plan that cannot be carried out is shown all
// the same, with the reason.
func (c changes) Plan(_ context.Context, lost []string) (httpapi.PlanView, error) {
	service := c.node.service
	if len(lost) > 0 {
		plan, err := service.PlanLoss(lost)
		if err != nil {
			return httpapi.PlanView{}, err
		}
		return planView(plan), nil
	}
	state := service.State()
	orders := state.Orders()
	view := httpapi.PlanView{Epoch: state.Epoch() + 1, Changes: c.node.orderViews(orders)}
	t := state.Transition()
	if t != nil {
		view.Epoch = t.Epoch + 1
	}
	if len(orders) == 0 {
		return view, nil
	}
	plan, err := service.Plan()
	if err != nil {
		view.Obstacle = err.Error()
		return view, nil
	}
	view = planView(plan)
	if t != nil {
		view.Obstacle = fmt.Sprintf("the change to epoch %d is under way", t.Epoch)
	}
	return view, nil
}

// Commit implements httpapi.Changes.
func (c changes) Commit(ctx context.Context, o httpapi.CommitOptions) (httpapi.PlanView, error) {
	plan, err := c.node.service.Commit(ctx, membership.CommitOptions{Force: o.Force, AcceptLoss: o.AcceptLoss})
	if err != nil {
		return httpapi.PlanView{}, err
	}
	return planView(plan), nil
}

// orderViews shows what is to be done, by the names of the nodes.
func (n *Node) orderViews(orders []membership.Order) []httpapi.ChangeView {
	views := make([]httpapi.ChangeView, 0, len(orders))
	for _, o := range orders {
		v := httpapi.ChangeView{Action: o.Action.String(), Node: n.nameOf(o.Node), ID: o.Node, ByID: o.By, Weight: o.Weight}
		if o.By != 0 {
			v.By = n.nameOf(o.By)
		}
		views = append(views, v)
	}
	return views
}

func planView(p *membership.Plan) httpapi.PlanView {
	view := httpapi.PlanView{
		Epoch: p.Epoch, SpanBefore: p.Moves.SpanBefore, SpanAfter: p.Moves.SpanAfter,
		Partitions: p.Next.Params().Q, Replicas: p.Next.Replicas(),
		Moves: p.Moved, Least: p.Least, Warnings: p.Warnings, Lapsed: p.Lapsed,
	}
	for _, c := range p.Changes {
		view.Changes = append(view.Changes, httpapi.ChangeView{
			Action: c.Action.String(), Node: c.Node, ID: c.ID, By: c.By, ByID: c.ByID, Weight: c.Weight,
		})
	}
	for _, l := range p.Nodes {
		view.Loads = append(view.Loads, httpapi.LoadView{
			Node: l.Name, ID: l.ID, Zone: l.Zone, Weight: l.Weight, Gained: l.Gained, Lost: l.Lost,
			TokensBefore: l.TokensBefore, TokensAfter: l.TokensAfter, Before: l.LoadBefore, After: l.LoadAfter,
		})
	}
	for _, z := range p.Moves.Zones {
		view.Zones = append(view.Zones, zoneView(z))
	}
	return view
}

func zoneView(z ring.ZonePlan) httpapi.ZoneView {
	return httpapi.ZoneView{Zone: z.Zone, Nodes: z.Nodes, Weight: z.Weight, Before: z.Before.Share, After: z.After.Share, Left: z.Lost.Left, LeftIn: z.Lost.In}
}
