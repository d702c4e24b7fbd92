//go:build !linux

package e2e_test

import (
	"errors"
	"os"
)

func openTun(string) (*os.File, error) { return nil, errors.ErrUnsupported }
