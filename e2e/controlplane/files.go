package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// files are the paths below --dir. What exists is kept, so that a control plane that is started
// again accepts the tokens it issued before.
type files struct {
	certificates, logs                         string
	serverCertificate                          string
	tokens                                     string
	serviceAccountKey, serviceAccountPublicKey string
	auditPolicy, auditLog                      string
	kubeconfig, controllerKubeconfig           string
	schedulerConfiguration                     string
	controllerToken                            string
}

// auditPolicy counts requests: who did what to which object, never with what content.
// The API server's own requests and its health checks are left out.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver"]
- level: None
  nonResourceURLs: ["/readyz*", "/livez*", "/healthz*"]
- level: Metadata
`

func prepareFiles(dir string, port int) (files, error) {
	at := func(name ...string) string { return filepath.Join(append([]string{dir}, name...)...) }
	f := files{
		certificates:            at("certificates"),
		logs:                    at("logs"),
		serverCertificate:       at("certificates", "apiserver.crt"),
		tokens:                  at("tokens.csv"),
		serviceAccountKey:       at("service-account.key"),
		serviceAccountPublicKey: at("service-account.pub"),
		auditPolicy:             at("audit-policy.yaml"),
		auditLog:                at("audit.log"),
		kubeconfig:              at("admin.kubeconfig"),
		controllerKubeconfig:    at("controller-manager.kubeconfig"),
		schedulerConfiguration:  at("scheduler.yaml"),
	}
	for _, made := range []string{f.certificates, f.logs} {
		if err := os.MkdirAll(made, 0o700); err != nil {
			return f, err
		}
	}
	if err := f.writeServiceAccountKeys(); err != nil {
		return f, err
	}
	adminToken, err := keptSecret(at("admin.token"))
	if err != nil {
		return f, err
	}
	f.controllerToken, err = keptSecret(at("controller-manager.token"))
	if err != nil {
		return f, err
	}
	const controllers = "system:kube-controller-manager"
	contents := map[string]string{
		f.tokens: adminToken + ",admin,admin,system:masters\n" +
			f.controllerToken + "," + controllers + ",controllers,system:masters\n",
		f.auditPolicy:            auditPolicy,
		f.kubeconfig:             kubeconfig("admin", adminToken, f.serverCertificate, port),
		f.controllerKubeconfig:   kubeconfig(controllers, f.controllerToken, f.serverCertificate, port),
		f.schedulerConfiguration: schedulerConfiguration(f.controllerKubeconfig),
	}
	for path, content := range contents {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return f, err
		}
	}
	return f, nil
}

func kubeconfig(user, token, certificate string, port int) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: control-plane
  cluster: {server: "https://127.0.0.1:%d", certificate-authority: %q}
users:
- name: %q
  user: {token: %q}
contexts:
- name: control-plane
  context: {cluster: control-plane, user: %q}
current-context: control-plane
`, port, certificate, user, token, user)
}

// schedulerConfiguration spreads pods as they ask for it themselves: the scheduler's own wish to
// spread all of them would hide that one of them asks for nothing.
func schedulerConfiguration(kubeconfig string) string {
	return fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: %q}
leaderElection: {leaderElect: false}
profiles:
- pluginConfig:
  - {name: PodTopologySpread, args: {defaultingType: List}}
`, kubeconfig)
}

// keptSecret reads the secret at path, or writes a new random one there.
func keptSecret(path string) (string, error) {
	if kept, err := os.ReadFile(path); err == nil {
		return string(kept), nil
	}
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	secret := hex.EncodeToString(random)
	return secret, os.WriteFile(path, []byte(secret), 0o600)
}

func (f files) writeServiceAccountKeys() error {
	if _, err := os.Stat(f.serviceAccountPublicKey); err == nil {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	private := pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := os.WriteFile(f.serviceAccountKey, pem.EncodeToMemory(&private), 0o600); err != nil {
		return err
	}
	block := pem.Block{Type: "PUBLIC KEY", Bytes: public}
	return os.WriteFile(f.serviceAccountPublicKey, pem.EncodeToMemory(&block), 0o600)
}
