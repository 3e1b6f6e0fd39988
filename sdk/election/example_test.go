package election_test

import (
	"context"
	"fmt"
	"log"

	"github.com/musterhq/muster/sdk/election"
	"github.com/musterhq/muster/sdk/sdktest"
)

func ExampleRun() {
	client, end := sdktest.Connect()
	defer end()
	err := election.Run(context.Background(), election.Config{
		Client: client, Namespace: "default", Name: "example", Identity: "one",
	}, func(context.Context) error {
		fmt.Println("this one leads") // until the context ends
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: this one leads
}
