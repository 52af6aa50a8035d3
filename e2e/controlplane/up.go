package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// settings are the flags of `up`.
type settings struct {
	dir              string        // where data, certificates and logs live
	temporary        bool          // dir is ours and goes when we stop
	port             int           // of kube-apiserver; 0 takes a free one
	audit            bool          // write an audit log
	workloads        bool          // run what makes pods of a Deployment and binds them to nodes
	admissionPlugins string        // to enable beside those that are on by default, by comma
	assets           string        // envtest binaries; empty acts as them itself
	deadline         time.Duration // until everything must be ready
}

// announcement is the one line `up` prints once everything is ready.
type announcement struct {
	Kubeconfig string `json:"kubeconfig"`
	Server     string `json:"server"`
	// AuditLog is absent when `up` runs without --audit.
	AuditLog string `json:"auditLog,omitempty"`
	CAFile   string `json:"caFile"`
	Dir      string `json:"dir"`
	// Processes are the ids of the servers by name.
	Processes map[string]int `json:"processes"`
}

// up starts the servers, announces them and lives until its standard input ends or a signal comes.
// Its result is the exit status: 0 when it was told to stop, 1 when a server failed.
func up(args []string) int {
	// PR_SET_PDEATHSIG follows the thread that started a child, so that thread must stay.
	runtime.LockOSThread()
	chosen, err := parseSettings(args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		fmt.Fprintln(os.Stderr, "controlplane up:", err)
		return 2
	}
	told := toldToStop()
	plane := &plane{settings: chosen, ended: make(chan ending, 4)}
	defer plane.stop()
	announced, err := plane.start(told)
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane up:", err)
		return 1
	}
	if announced == nil { // told to stop before it was ready
		return 0
	}
	if err := json.NewEncoder(os.Stdout).Encode(announced); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane up: cannot announce:", err)
		return 1
	}
	select {
	case <-told:
		return 0
	case end := <-plane.ended:
		fmt.Fprintln(os.Stderr, "controlplane up:", plane.describe(end))
		return 1
	}
}

func parseSettings(args []string) (settings, error) {
	var chosen settings
	flags := flag.NewFlagSet("controlplane up", flag.ContinueOnError)
	flags.StringVar(&chosen.dir, "dir", "", "directory for data, certificates and logs; kept, so that a later `up` with it continues (default: a temporary one)")
	flags.IntVar(&chosen.port, "port", 0, "port of kube-apiserver on 127.0.0.1 (default: a free one)")
	flags.BoolVar(&chosen.audit, "audit", false, "write an audit log, level Metadata")
	flags.BoolVar(&chosen.workloads, "workloads", false, "run a scheduler, and the controllers of Deployments, budgets of disruption and nodes")
	flags.StringVar(&chosen.admissionPlugins, "admission-plugins", "", "admission plugins to enable beside those that are on by default, separated by commas")
	flags.StringVar(&chosen.assets, "assets", "", "directory with etcd and kube-apiserver (KUBEBUILDER_ASSETS) to run instead of the built-in ones")
	flags.DurationVar(&chosen.deadline, "deadline", time.Minute, "time until everything must be ready")
	if err := flags.Parse(args); err != nil {
		return chosen, err
	}
	if flags.NArg() > 0 {
		return chosen, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if chosen.assets == "" && len(builtIn) == 0 {
		return chosen, errors.New("this build has no servers of its own: pass --assets (KUBEBUILDER_ASSETS)")
	}
	if chosen.dir == "" {
		made, err := os.MkdirTemp("", "controlplane-")
		chosen.dir, chosen.temporary = made, true
		return chosen, err
	}
	absolute, err := filepath.Abs(chosen.dir)
	if err != nil {
		return chosen, err
	}
	chosen.dir = absolute
	return chosen, os.MkdirAll(chosen.dir, 0o700)
}

// toldToStop closes its channel when standard input ends or a signal asks us to stop. The parent
// holds the other end of standard input: when it dies, however it dies, this ends too.
func toldToStop() <-chan struct{} {
	told := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	input := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(input)
	}()
	go func() {
		select {
		case <-signals:
		case <-input:
		}
		close(told)
	}()
	return told
}
