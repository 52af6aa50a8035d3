// Command gitops-engine does once to a cluster what Argo CD does for an Application: it syncs a
// directory of manifests, or tells what differs. The engine is that of Argo CD; around it is only
// what the application controller adds (controller/sync.go and controller/state.go of argo-cd
// v3.5.1): the tracking annotation, the options of a sync, the health scripts of argocd-cm.
// It decides nothing about the objects. End-to-end tests call it and read the JSON that it prints.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
)

const usage = `gitops-engine sync|diff: syncs manifests to a cluster as Argo CD does, or tells what differs

  sync  applies the manifests wave by wave, prunes what the application no longer has, and waits
        for each wave to be healthy, but not for the last one
  diff  compares the manifests with the cluster in each of the three ways of Argo CD

`

// request is what the command line asks for.
type request struct {
	kubeconfig string
	// application is the name by which the objects are tracked.
	application string
	// namespace is that of objects that name none, and the only one that is looked at.
	namespace string
	// manifests is a directory of YAML files.
	manifests string
	// health is a file with the ConfigMap argocd-cm; without it, no custom resource has a health.
	health          string
	serverSideApply bool
	timeout         time.Duration
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gitops-engine:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("the first argument is missing; allowed are sync and diff")
	}
	asked, err := parse(arguments)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", asked.kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 50, 100
	log := klog.Background()
	cluster, err := open(config, asked, log)
	if err != nil {
		return err
	}
	defer cluster.close()
	answer, err := cluster.act(arguments[0])
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}

func parse(arguments []string) (request, error) {
	var asked request
	flags := flag.NewFlagSet("gitops-engine "+arguments[0], flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&asked.kubeconfig, "kubeconfig", "", "`file` with the way to the cluster")
	flags.StringVar(&asked.application, "application", "", "`name` by which the objects are tracked")
	flags.StringVar(&asked.namespace, "namespace", "", "`name` of the namespace")
	flags.StringVar(&asked.manifests, "manifests", "", "`directory` of YAML files")
	flags.StringVar(&asked.health, "health", "", "`file` with the ConfigMap argocd-cm")
	flags.BoolVar(&asked.serverSideApply, "server-side-apply", false, "apply as with ServerSideApply=true")
	flags.DurationVar(&asked.timeout, "timeout", time.Minute, "`time` after which an unfinished sync is printed as it is")
	klog.InitFlags(flags)
	if err := flags.Parse(arguments[1:]); err != nil {
		return request{}, err
	}
	needed := map[string]string{
		"kubeconfig": asked.kubeconfig, "application": asked.application,
		"namespace": asked.namespace, "manifests": asked.manifests,
	}
	for name, value := range needed {
		if value == "" {
			return request{}, fmt.Errorf("the flag --%s is missing", name)
		}
	}
	return asked, nil
}

func kubectl(log logr.Logger) *kube.KubectlCmd {
	return &kube.KubectlCmd{Log: log, Tracer: tracing.NopTracer{}}
}
