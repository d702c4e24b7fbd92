//go:build !unix

package experiment

import "errors"

// Pause is not possible here.
func (n Node) Pause() error { return errors.ErrUnsupported }

// Resume is not possible here.
func (n Node) Resume() error { return errors.ErrUnsupported }
