// Command gitops-engine does once to a cluster what Argo CD does for an Application: it syncs a
// directory of manifests, or tells what differs; or it runs the scripts of argocd-cm on objects. The
// engine is that of Argo CD; around it is only what the application controller adds
// (controller/sync.go and controller/state.go of argo-cd v3.5.1): the tracking annotation, the options
// of a sync, the scripts of argocd-cm.
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

const usage = `gitops-engine sync|diff|health|act: does once what Argo CD does for an application

  sync    applies the manifests wave by wave, prunes what the application no longer has, and waits
          for each wave to be healthy, but not for the last one
  diff    compares the manifests with the cluster in each of the three ways of Argo CD
  health  prints the health of each object of the JSON array on standard input
  act     does an action to the JSON object on standard input, and prints what it is then

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
	// settings is a file with the ConfigMap argocd-cm; without it, no custom resource has a health.
	settings string
	// action is the name of one.
	action          string
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
		return errors.New("the first argument is missing; allowed are sync, diff, health and act")
	}
	asked, err := parse(arguments)
	if err != nil {
		return err
	}
	of, err := readScripts(asked.settings)
	if err != nil {
		return err
	}
	var answer any
	switch arguments[0] {
	case "health":
		answer, err = of.healthOfEach(os.Stdin)
	case "act":
		answer, err = of.act(asked.action, os.Stdin)
	case "sync":
		answer, err = onCluster(asked, of, (*application).sync)
	case "diff":
		answer, err = onCluster(asked, of, (*application).differences)
	default:
		err = fmt.Errorf("the first argument is %q; allowed are sync, diff, health and act", arguments[0])
	}
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}

// onCluster does something for an application on its cluster.
func onCluster[T any](asked request, of scripts, do func(*application) (T, error)) (answer T, err error) {
	needed := map[string]string{
		"kubeconfig": asked.kubeconfig, "application": asked.application,
		"namespace": asked.namespace, "manifests": asked.manifests,
	}
	for name, value := range needed {
		if value == "" {
			return answer, fmt.Errorf("the flag --%s is missing", name)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", asked.kubeconfig)
	if err != nil {
		return answer, err
	}
	config.QPS, config.Burst = 50, 100
	cluster, err := open(config, asked, of, klog.Background())
	if err != nil {
		return answer, err
	}
	defer cluster.close()
	return do(cluster)
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
	flags.StringVar(&asked.settings, "settings", "", "`file` with the ConfigMap argocd-cm")
	flags.StringVar(&asked.action, "action", "", "`name` of the action to do")
	flags.BoolVar(&asked.serverSideApply, "server-side-apply", false, "apply as with ServerSideApply=true")
	flags.DurationVar(&asked.timeout, "timeout", time.Minute, "`time` after which an unfinished sync is printed as it is")
	klog.InitFlags(flags)
	return asked, flags.Parse(arguments[1:])
}

func kubectl(log logr.Logger) *kube.KubectlCmd {
	return &kube.KubectlCmd{Log: log, Tracer: tracing.NopTracer{}}
}
