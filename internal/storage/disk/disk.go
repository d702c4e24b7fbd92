// Package disk is what storage engines on a disk share: the lock of their
// directory, the free space and its reserve, whether the engine still works, and
// who uses it (Dynamo, SOSP 2007, §4.1).
package disk
