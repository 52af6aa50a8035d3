//go:build supervisor

// With the build tag `supervisor` this file is only `up`, and etcd and kube-apiserver come from a
// directory of envtest binaries (KUBEBUILDER_ASSETS). It builds in seconds.
package main

import (
	"fmt"
	"os"
)

// builtIn is empty: every server is a file of its own.
var builtIn = map[string]bool{}

func main() {
	if len(os.Args) < 2 || os.Args[1] != "up" {
		fmt.Fprintln(os.Stderr, "usage: controlplane up … (built as the supervisor alone)")
		os.Exit(2)
	}
	os.Exit(up(os.Args[2:]))
}
