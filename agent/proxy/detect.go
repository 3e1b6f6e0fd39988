package proxy

import (
	"errors"
	"fmt"
	"os/exec"

	"github.com/vishvananda/netlink"
)

// The modes of a proxy, and the mode that chooses between them.
const (
	ModeAuto     = "auto"
	ModeIPVS     = "ipvs"
	ModeNFTables = "nftables"
)

// Detect resolves a mode: "auto" (or "") takes ipvs where the kernel has it and
// nftables elsewhere; "ipvs" is an error where the kernel has it not.
func Detect(mode string) (string, error) {
	switch mode {
	case ModeNFTables:
		return ModeNFTables, nil
	case ModeIPVS:
		if err := ipvsAvailable(); err != nil {
			return "", fmt.Errorf("proxy mode ipvs: %w; use nftables, or load the modules ip_vs and ip_vs_rr", err)
		}
		return ModeIPVS, nil
	case ModeAuto, "":
		if ipvsAvailable() == nil {
			return ModeIPVS, nil
		}
		return ModeNFTables, nil
	default:
		return "", fmt.Errorf("proxy mode %q: must be auto, ipvs or nftables", mode)
	}
}

// ipvsAvailable asks the kernel, after it asked modprobe for the modules: a
// kernel that has IPVS as a module shows it only once it is loaded.
func ipvsAvailable() error {
	if hasIPVS() {
		return nil
	}
	for _, module := range []string{"ip_vs", "ip_vs_rr"} {
		if err := exec.Command("modprobe", module).Run(); err != nil {
			return errors.New("the kernel has no IPVS")
		}
	}
	if !hasIPVS() {
		return errors.New("the kernel has no IPVS")
	}
	return nil
}

func hasIPVS() bool {
	_, err := netlink.GenlFamilyGet("IPVS")
	return err == nil
}
