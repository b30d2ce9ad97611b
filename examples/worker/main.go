// Command worker listens on nothing: it works at an interval, reports on standard output, complains on
// standard error, and ends when asked to. sdp takes such a program for healthy once it has stayed up.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	interval, err := time.ParseDuration(env("INTERVAL", "1s"))
	if err != nil || interval <= 0 {
		fmt.Fprintf(os.Stderr, "INTERVAL must be a positive duration such as 500ms, not %q\n", os.Getenv("INTERVAL"))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	fmt.Printf("working every %s\n", interval)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			fmt.Printf("asked to stop after %d rounds\n", round-1)
			return
		case <-tick.C:
		}
		fmt.Printf("round %d done\n", round)
		if round%5 == 0 {
			fmt.Fprintf(os.Stderr, "round %d was slow\n", round)
		}
	}
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
