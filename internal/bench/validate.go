package bench

import (
	"slices"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

func invalid(format string, args ...any) error {
	return kv.Errorf(kv.KindInvalid, "check bench", format, args...)
}

// Validate returns an error of KindInvalid that names the first field out of its
// range. What R, W, DW and Timeout may be, the client tells.
func (c Config) Validate() error {
	for _, check := range []func(Config) error{Config.checkDoor, Config.checkLoad, Config.checkLoop, Config.checkParts} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) checkDoor() error {
	switch {
	case len(c.Addrs) == 0:
		return invalid("no address of a node is given")
	case c.Routing != RoutingClient && c.Routing != RoutingServer:
		return invalid("routing %q is neither client nor server", c.Routing)
	case c.Door != DoorNative && c.Door != DoorRESP && c.Door != DoorHTTP:
		return invalid("door %q is none of native, resp, http", c.Door)
	case c.Door == DoorRESP && !c.plain():
		return invalid("through the door resp operations are of bucket %s and have no options; the nodes route them", kv.BucketRedis)
	case c.Door == DoorHTTP && c.Routing != RoutingServer:
		return invalid("through the door http the nodes route operations")
	case c.Conns < 1 || c.Conns > client.MaxConns:
		return invalid("%d connections to each node are not within 1 to %d", c.Conns, client.MaxConns)
	}
	return kv.CheckBucket(c.Bucket)
}

func (c Config) checkLoad() error {
	_, known := mixes[c.Workload]
	switch {
	case !known:
		return invalid("workload %q is none of a, b, c, d, f, w", c.Workload)
	case c.Keys < 1 || c.Keys > MaxKeys:
		return invalid("%d keys are not within 1 to %d", c.Keys, MaxKeys)
	case !slices.Contains([]Distribution{Uniform, Zipfian, Latest, Hotspot}, c.Distribution):
		return invalid("distribution %q is none of uniform, zipfian, latest, hotspot", c.Distribution)
	case c.Distribution == Hotspot && (c.HotKeys < 1 || c.HotKeys > c.Keys):
		return invalid("%d hot keys are not within 1 to the %d keys", c.HotKeys, c.Keys)
	case c.Distribution == Hotspot && !(c.HotShare >= 0 && c.HotShare <= 1):
		return invalid("a share of the hot keys of %g is not within 0 to 1", c.HotShare)
	}
	if err := c.sizes().check(); err != nil {
		return invalid("%w", err)
	}
	return nil
}

func (c Config) checkLoop() error {
	switch {
	case c.Concurrency < 1 || c.Concurrency > MaxConcurrency:
		return invalid("%d callers are not within 1 to %d", c.Concurrency, MaxConcurrency)
	case c.Rate != 0 && !(c.Rate > 0 && c.Rate <= MaxRate):
		return invalid("a rate of %g operations a second is not above 0 and at most %d", c.Rate, MaxRate)
	case c.open() && c.Arrivals != Even && c.Arrivals != Poisson:
		return invalid("arrivals %q are neither even nor poisson", c.Arrivals)
	case c.Ramp < 0 || c.Ramp > MaxDuration:
		return invalid("a ramp of %v is not within 0 to %v", c.Ramp, MaxDuration)
	case c.Ramp > 0 && !c.open():
		return invalid("a ramp has no meaning without a rate")
	case c.WarmUp < 0 || c.WarmUp > MaxDuration:
		return invalid("a warm-up of %v is not within 0 to %v", c.WarmUp, MaxDuration)
	case c.Duration <= 0 || c.Duration > MaxDuration:
		return invalid("a duration of %v is not within 0 to %v", c.Duration, MaxDuration)
	case c.Interval != 0 && c.Interval < MinInterval:
		return invalid("intervals of %v are shorter than %v", c.Interval, MinInterval)
	case c.Interval != 0 && c.Duration/c.Interval > MaxIntervals:
		return invalid("%v has more than %d intervals of %v", c.Duration, MaxIntervals, c.Interval)
	}
	return nil
}

func (c Config) checkParts() error {
	switch {
	case c.Processes < 0 || c.Processes > MaxProcesses:
		return invalid("%d processes are not within 1 to %d", c.Processes, MaxProcesses)
	case c.Process < 0 || c.Process >= c.processes():
		return invalid("process %d is not within 0 to %d", c.Process, c.processes()-1)
	case c.Concurrency < c.processes() || c.Keys < c.processes():
		return invalid("%d processes need as many callers and keys at least", c.processes())
	case len(c.Delays) == 0:
		return nil
	case len(c.Delays) > MaxDelays:
		return invalid("%d delays are more than %d", len(c.Delays), MaxDelays)
	case !slices.IsSorted(c.Delays) || c.Delays[0] < 0 || c.Delays[len(c.Delays)-1] > MaxDelay:
		return invalid("the delays are not in order and within 0 to %v", MaxDelay)
	case c.Probers < 1 || c.Probers > MaxProbers:
		return invalid("%d probers are not within 1 to %d", c.Probers, MaxProbers)
	case c.Door == DoorRESP:
		return invalid("through the door resp nobody can get at r=1: staleness is measured through native or http")
	}
	return nil
}
