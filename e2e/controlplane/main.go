//go:build !supervisor

// Command controlplane is a whole Kubernetes control plane in one file: it acts as etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler or kubectl by its first argument (or by
// the name it is called by), and `up` supervises the servers of them. It decides nothing about the project under
// test. It must never serve a cluster that holds anything of value: etcd runs without fsync.
// Tests, benches and the demo call it through e2e/src/control_plane.rs.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// builtIn are the servers this file can act as itself.
var builtIn = map[string]bool{
	"etcd": true, "kube-apiserver": true, "kube-controller-manager": true, "kube-scheduler": true,
}

// roles maps a name to what this file does under it; each reads os.Args with that name as Args[0].
var roles = map[string]func(){
	"etcd":           func() { etcdmain.Main(os.Args) },
	"kube-apiserver": func() { os.Exit(cli.Run(apiserver.NewAPIServerCommand())) },
	"kube-controller-manager": func() {
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	},
	"kube-scheduler": func() { os.Exit(cli.Run(scheduler.NewSchedulerCommand())) },
	"kubectl": func() {
		if err := cli.RunNoErrOutput(kubectlcmd.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	},
	"up": func() { os.Exit(up(os.Args[1:])) },
}

func main() {
	if act, ok := roles[filepath.Base(os.Args[0])]; ok {
		act()
		return
	}
	if len(os.Args) > 1 {
		if act, ok := roles[os.Args[1]]; ok {
			os.Args = os.Args[1:]
			act()
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: controlplane up|etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl [flags]; each shows its flags with --help")
	os.Exit(2)
}
