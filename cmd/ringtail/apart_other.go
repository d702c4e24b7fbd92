//go:build !linux

package main

// onFirst does nothing here.
func onFirst() (undo func()) { return func() {} }

// setApart does nothing here.
func setApart() (undo func()) { return func() {} }
