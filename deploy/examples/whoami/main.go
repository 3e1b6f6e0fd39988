// Command whoami answers every request with the name of the host it runs on; in
// a pod, that is the pod's name.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	hostname, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "I'm %s\n", hostname)
	})
	server := &http.Server{Addr: ":8000", Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Printf("listening on %s", server.Addr)
	log.Fatal(server.ListenAndServe())
}
