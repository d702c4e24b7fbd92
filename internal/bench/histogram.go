package bench

import (
	"encoding/binary"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// maxEncoded bounds an encoded histogram: some 20,000 counts.
const maxEncoded = 1 << 20

// encode returns a histogram in HdrHistogram's own form, V2 compressed, in base64;
// nothing for none.
func encode(h *hdrhistogram.Histogram) string {
	if h == nil || h.TotalCount() == 0 {
		return ""
	}
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic("bench: a histogram cannot be encoded: " + err.Error()) // in memory nothing fails
	}
	return string(b)
}

// decode is the inverse; most is how far the histogram reaches.
func decode(text string, most int64) (*hdrhistogram.Histogram, error) {
	const op = "read histogram"
	if text == "" {
		return nil, nil
	}
	if len(text) > maxEncoded {
		return nil, kv.Errorf(kv.KindTooLarge, op, "%d bytes, the limit is %d", len(text), maxEncoded)
	}
	h, err := hdrhistogram.Decode([]byte(text))
	switch {
	case err != nil:
		return nil, kv.Wrap(kv.KindCorrupt, op, err)
	case h.SignificantFigures() != digits || h.LowestTrackableValue() != finest || h.HighestTrackableValue() != most:
		return nil, kv.Errorf(kv.KindCorrupt, op, "from %d to %d ns, %d digits: not as this release writes it", h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures())
	}
	return h, nil
}

// sparse is a histogram's counts that are not 0, each as two varints: how many
// places it is behind the one before, and the count. Against HdrHistogram's own form
// it takes a thirtieth of the processor time: a timeline makes many.
type sparse []byte

// maxPlaces bounds the places of a histogram; ours have some 20,000 or fewer.
const maxPlaces = 1 << 16

func compact(h *hdrhistogram.Histogram) (s sparse) {
	if !hasAny(h) {
		return nil
	}
	last := -1
	for i, n := range h.Export().Counts {
		if n > 0 {
			s = binary.AppendUvarint(binary.AppendUvarint(s, uint64(i-last)), uint64(n))
			last = i
		}
	}
	return s
}

// histogram is the inverse; most is how far the histogram reaches. An error is of
// KindCorrupt.
func (s sparse) histogram(most int64) (*hdrhistogram.Histogram, error) {
	if len(s) == 0 {
		return nil, nil
	}
	const op = "read histogram"
	all := hdrhistogram.New(finest, most, digits).Export()
	at := -1
	for len(s) > 0 {
		step, n := binary.Uvarint(s)
		if n <= 0 || step < 1 || step > maxPlaces {
			return nil, kv.Errorf(kv.KindCorrupt, op, "a place is cut or out of range")
		}
		count, m := binary.Uvarint(s[n:])
		at += int(step)
		if m <= 0 || count > 1<<62 || at >= len(all.Counts) {
			return nil, kv.Errorf(kv.KindCorrupt, op, "a count is cut or out of range")
		}
		all.Counts[at] = int64(count)
		s = s[n+m:]
	}
	if err := all.Validate(); err != nil {
		return nil, kv.Wrap(kv.KindCorrupt, op, err)
	}
	return hdrhistogram.Import(all), nil
}
