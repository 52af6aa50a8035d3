package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// reservePorts binds a loopback port for each wanted number (0 takes a free one) and keeps it
// bound until we end. The servers bind the same ports with SO_REUSEPORT; as our sockets never
// listen, every connection reaches the server, and nobody else gets the port between our choice
// and the server's bind.
func reservePorts(wanted ...int) ([]int, error) {
	ports := make([]int, 0, len(wanted))
	for _, port := range wanted {
		reserved, err := reservePort(port)
		if err != nil {
			return nil, fmt.Errorf("cannot reserve port %d on 127.0.0.1: %w", port, err)
		}
		ports = append(ports, reserved)
	}
	return ports, nil
}

func reservePort(port int) (int, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(socket, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	bound, err := unix.Getsockname(socket)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	address, ok := bound.(*unix.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("bound to %T", bound)
	}
	return address.Port, nil
}
