package main

import (
	"fmt"
	"path/filepath"
)

// The settings of the servers: the smallest control plane on which an operator meets the real rules
// (schemas, CEL, RBAC, admission policies, garbage collection). What needs nodes is there with
// --workloads alone.

func etcdArguments(dir, client string, peerPort int) []string {
	peer := fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	return []string{
		"--name=default",
		"--data-dir=" + filepath.Join(dir, "etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--socket-reuse-port", // we hold the port, see ports.go
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

func apiserverArguments(files files, etcd string, port int, chosen settings) []string {
	arguments := []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--permit-port-sharing", // we hold the port, see ports.go
		"--cert-dir=" + files.certificates,
		// Without these two a machine without a default route cannot start it.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/24",
		"--authorization-mode=RBAC",
		"--token-auth-file=" + files.tokens,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=" + files.serviceAccountKey,
		"--service-account-key-file=" + files.serviceAccountPublicKey,
		// It would refuse pods until a token volume exists; no pod runs here.
		"--disable-admission-plugins=ServiceAccount",
		"--profiling=false",
	}
	// The defaults of Kubernetes, unless a test asks for what some distributions add.
	if chosen.admissionPlugins != "" {
		arguments = append(arguments, "--enable-admission-plugins="+chosen.admissionPlugins)
	}
	if chosen.audit {
		arguments = append(arguments,
			"--audit-policy-file="+files.auditPolicy,
			"--audit-log-path="+files.auditLog,
			"--audit-log-format=json",
			"--audit-log-mode=blocking",
			"--audit-log-maxsize=2048", // MiB; a bench must not lose its first half to rotation
		)
	}
	return arguments
}

func controllerManagerArguments(files files, workloads bool) []string {
	controllers := "garbage-collector-controller,namespace-controller," +
		"serviceaccount-controller,clusterrole-aggregation-controller"
	if workloads {
		controllers += ",deployment-controller,replicaset-controller,disruption-controller," +
			"endpointslice-controller,node-lifecycle-controller"
	}
	return []string{
		"--kubeconfig=" + files.controllerKubeconfig,
		"--controllers=" + controllers,
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--profiling=false",
	}
}

// Its port is closed, and its settings are those of files.schedulerConfiguration.
func schedulerArguments(files files) []string {
	return []string{"--config=" + files.schedulerConfiguration, "--secure-port=0"}
}
