// Loads every program of every object through cilium/ebpf, one at a time, and prints the tag that the kernel gives it:
// "object TAB program TAB tag", with "-" for the tag of what cannot be loaded, and why. The first argument is the BTF of the
// kernel, since the release that Debian ships cannot read that of a new one.
package main

import (
	"bytes"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

func main() {
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	kernel, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	for _, path := range os.Args[2:] {
		spec, err := ebpf.LoadCollectionSpec(path)
		if err != nil {
			report(path, "-", "-", err)
			continue
		}
		var names []string
		for name := range spec.Programs {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			tag, err := load(spec, name, kernel)
			report(path, name, tag, err)
		}
	}
}

func load(spec *ebpf.CollectionSpec, name string, kernel *btf.Spec) (string, error) {
	alone := spec.Copy()
	for other := range alone.Programs {
		if other != name {
			delete(alone.Programs, other)
		}
	}
	for _, each := range alone.Maps {
		each.Contents = nil
		each.Pinning = ebpf.PinNone
		if each.MaxEntries == 0 && each.Type != ebpf.PerfEventArray {
			each.MaxEntries = 1
		}
		if each.ValueSize == 0 && each.Type == ebpf.StackTrace {
			each.ValueSize = 127 * 8
		}
	}
	if program := alone.Programs[name]; program.Type == ebpf.UnspecifiedProgram {
		program.Type = ebpf.SocketFilter
	}
	options := ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{KernelTypes: kernel}}
	collection, err := ebpf.NewCollectionWithOptions(alone, options)
	if err != nil {
		return "-", err
	}
	defer collection.Close()
	info, err := collection.Programs[name].Info()
	if err != nil {
		return "-", err
	}
	return info.Tag, nil
}

func report(path, name, tag string, err error) {
	reason := ""
	if err != nil {
		reason = strings.ReplaceAll(strings.ReplaceAll(err.Error(), "\n", " "), "\t", " ")
	}
	fmt.Printf("%s\t%s\t%s\t%s\n", path, name, tag, reason)
}
