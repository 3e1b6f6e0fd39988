module github.com/musterhq/muster/integration

go 1.26.8

replace github.com/musterhq/muster => ../

require (
	github.com/musterhq/muster v0.0.0
	github.com/musterhq/muster/proto v0.0.0
	github.com/musterhq/muster/sdk v0.0.0
)

require (
	go.uber.org/goleak v1.3.0 // indirect
	k8s.io/cli-runtime v0.37.2 // indirect
	k8s.io/client-go v0.37.2 // indirect
	k8s.io/component-base v0.37.2 // indirect
	k8s.io/kubectl v0.37.2 // indirect
)

replace github.com/musterhq/muster/proto => ../proto

replace github.com/musterhq/muster/sdk => ../sdk
