package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// plane is the running control plane.
type plane struct {
	settings
	files    files
	children []*child
	// ended carries each server that ended by itself.
	ended chan ending
}

type child struct {
	name    string
	process *exec.Cmd
	gone    chan struct{}
}

type ending struct {
	name string
	err  error
}

// start brings up the servers in their order. It returns nil without an error when it was
// told to stop before everything was ready.
func (p *plane) start(told <-chan struct{}) (*announcement, error) {
	ports, err := reservePorts(0, 0, p.port)
	if err != nil {
		return nil, err
	}
	p.files, err = prepareFiles(p.dir, ports[2])
	if err != nil {
		return nil, err
	}
	late := time.After(p.deadline)
	etcd := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	server := fmt.Sprintf("https://127.0.0.1:%d", ports[2])

	if err := p.run("etcd", etcdArguments(p.dir, etcd, ports[1])); err != nil {
		return nil, err
	}
	if err := p.run("kube-apiserver", apiserverArguments(p.files, etcd, ports[2], p.settings)); err != nil {
		return nil, err
	}
	if stop, err := p.await("/readyz", server, told, late); stop || err != nil {
		return nil, err
	}
	if p.has("kube-controller-manager") {
		if err := p.run("kube-controller-manager", controllerManagerArguments(p.files, p.workloads)); err != nil {
			return nil, err
		}
		// The service account controller makes this one first: the controllers work.
		const sign = "/api/v1/namespaces/default/serviceaccounts/default"
		if stop, err := p.await(sign, server, told, late); stop || err != nil {
			return nil, err
		}
	}
	if p.workloads {
		if err := p.run("kube-scheduler", schedulerArguments(p.files)); err != nil {
			return nil, err
		}
	}
	announced := &announcement{
		Kubeconfig: p.files.kubeconfig,
		Server:     server,
		CAFile:     p.files.serverCertificate,
		Dir:        p.dir,
		Processes:  map[string]int{},
	}
	if p.audit {
		announced.AuditLog = p.files.auditLog
	}
	for _, child := range p.children {
		announced.Processes[child.name] = child.process.Process.Pid
	}
	return announced, nil
}

// path is the file that is the named server, or empty if there is none.
func (p *plane) path(name string) string {
	if p.assets != "" {
		path := filepath.Join(p.assets, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if builtIn[name] {
		return "/proc/self/exe"
	}
	return ""
}

func (p *plane) has(name string) bool { return p.path(name) != "" }

// run starts one server; its output goes to logs/<name>.log. The kernel ends it when we die.
func (p *plane) run(name string, arguments []string) error {
	path := p.path(name)
	if path == "" {
		return fmt.Errorf("%s is not in %s", name, p.assets)
	}
	log, err := os.OpenFile(p.log(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(path, arguments...)
	process.Args[0] = name // the role, see main.go, and what ps shows
	process.Stdout, process.Stderr = log, log
	process.Dir = p.dir
	process.Env = append(os.Environ(), "KUBECONFIG=")
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		return fmt.Errorf("%s does not start: %w", name, err)
	}
	started := &child{name: name, process: process, gone: make(chan struct{})}
	p.children = append(p.children, started)
	go func() {
		err := process.Wait()
		close(started.gone)
		p.ended <- ending{name, err}
	}()
	return nil
}

func (p *plane) log(name string) string { return filepath.Join(p.files.logs, name+".log") }

// await asks the API server for path until it answers 200. Its first result is true when we were
// told to stop meanwhile.
func (p *plane) await(path, server string, told <-chan struct{}, late <-chan time.Time) (bool, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := "no answer yet"
	for {
		select {
		case <-told:
			return true, nil
		case end := <-p.ended:
			return false, fmt.Errorf("%s", p.describe(end))
		case <-late:
			return false, fmt.Errorf("%s%s is not ready after %s: %s\n%s", server, path, p.deadline, last,
				p.tails())
		case <-tick.C:
			status, body := p.get(server + path)
			if status == http.StatusOK {
				return false, nil
			}
			last = strings.TrimSpace(fmt.Sprintf("%d %s", status, body))
		}
	}
}

// get asks once as the administrator; status 0 is no answer. The certificate is read each time
// because the API server writes it while it starts.
func (p *plane) get(url string) (int, string) {
	certificate, err := os.ReadFile(p.files.serverCertificate)
	if err != nil {
		return 0, err.Error()
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Authorization", "Bearer "+p.files.controllerToken)
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(http.MaxBytesReader(nil, response.Body, 4096))
	return response.StatusCode, body.String()
}

func (p *plane) describe(end ending) string {
	return fmt.Sprintf("%s ended: %v\n%s", end.name, end.err, p.tail(end.name))
}

func (p *plane) tails() string {
	var all []string
	for _, child := range p.children {
		all = append(all, p.tail(child.name))
	}
	return strings.Join(all, "\n")
}

// tail is the last lines of a server's log; a temporary directory takes the log with it.
func (p *plane) tail(name string) string {
	const lines = 15
	content, err := os.ReadFile(p.log(name))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return "last lines of " + name + " (" + strconv.Itoa(len(all)) + "):\n  " + strings.Join(all, "\n  ")
}

// stop ends every server, last started first, and removes a temporary directory. etcd alone is
// asked first, so that it closes its files.
func (p *plane) stop() {
	for i := len(p.children) - 1; i >= 0; i-- {
		child := p.children[i]
		if child.name == "etcd" && !p.temporary {
			_ = child.process.Process.Signal(syscall.SIGTERM)
			select {
			case <-child.gone:
			case <-time.After(2 * time.Second):
			}
		}
		_ = child.process.Process.Kill()
		<-child.gone
	}
	if p.temporary {
		if err := os.RemoveAll(p.dir); err != nil {
			fmt.Fprintln(os.Stderr, "controlplane up: cannot remove", p.dir+":", err)
		}
	}
}
