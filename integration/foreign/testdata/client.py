"""A client of the gRPC door in Python, by what protoc makes of the protos."""

import sys

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2

from k8s.io.api.core.v1 import generated_pb2 as core
from k8s.io.apimachinery.pkg.apis.meta.v1 import generated_pb2 as meta
from muster.api.v1 import object_pb2 as api
from muster.api.v1 import object_pb2_grpc

CONFIG_MAP = "k8s.io.api.core.v1.ConfigMap"
PREFIX = "type.googleapis.com/"
SECONDS = 20


def pack(obj):
    return any_pb2.Any(type_url=PREFIX + obj.DESCRIPTOR.full_name, value=obj.SerializeToString())


def unpack(packed, message):
    assert packed.type_url == PREFIX + message.DESCRIPTOR.full_name, packed.type_url
    out = message()
    out.ParseFromString(packed.value)
    return out


def config_map(name, **data):
    obj = core.ConfigMap(data=data)
    obj.metadata.namespace = "default"
    obj.metadata.name = name
    return obj


def key(name):
    return api.ObjectKey(type=CONFIG_MAP, namespace="default", name=name)


def refusal(call, *args):
    """Returns the Kubernetes status of a call that must fail, and the other details."""
    try:
        call(*args, timeout=SECONDS)
    except grpc.RpcError as e:
        trailer = dict(e.trailing_metadata())["grpc-status-details-bin"]
        details = status_pb2.Status.FromString(trailer).details
        return e.code(), unpack(details[0], meta.Status), details[1:]
    raise AssertionError("the call was not refused")


def next_event(watch):
    while True:
        for event in next(watch).events:
            yield event


def main(address, ca, cert, private_key):
    read = lambda path: open(path, "rb").read()
    tls = grpc.ssl_channel_credentials(read(ca), read(private_key), read(cert))
    objects = object_pb2_grpc.ObjectServiceStub(grpc.secure_channel(address, tls))

    namespaces = objects.List(api.ListRequest(type="k8s.io.api.core.v1.Namespace"), timeout=SECONDS)
    names = [unpack(o, core.Namespace).metadata.name for o in namespaces.objects]
    assert "default" in names and "kube-system" in names, names

    watch = objects.Watch(
        api.WatchRequest(type=CONFIG_MAP, namespace="default", label_selector="app=snake", send_initial_events=True),
        timeout=SECONDS,
    )
    events = next_event(watch)
    assert next(events).initial_events_end

    obj = config_map("python", legs="0")
    obj.metadata.labels["app"] = "snake"
    created = unpack(objects.Create(api.CreateRequest(object=pack(obj)), timeout=SECONDS).object, core.ConfigMap)
    assert created.metadata.uid and created.metadata.resourceVersion and created.data["legs"] == "0"
    created.data["legs"] = "none"
    updated = unpack(objects.Update(api.UpdateRequest(object=pack(created)), timeout=SECONDS).object, core.ConfigMap)
    assert updated.metadata.resourceVersion != created.metadata.resourceVersion
    got = unpack(objects.Get(api.GetRequest(key=key("python")), timeout=SECONDS).object, core.ConfigMap)
    assert got == updated, got

    # What was read first is no longer what is there.
    code, status, _ = refusal(objects.Update, api.UpdateRequest(object=pack(created)))
    assert code == grpc.StatusCode.ABORTED and status.reason == "Conflict" and status.code == 409, status

    # All or nothing, and who refused.
    operations = [
        api.Operation(create=api.CreateRequest(object=pack(config_map("cobra")))),
        api.Operation(create=api.CreateRequest(object=pack(config_map("python")))),
    ]
    code, status, others = refusal(objects.Transact, api.TransactRequest(operations=operations))
    assert code == grpc.StatusCode.ALREADY_EXISTS and status.message.startswith("operation 1: "), status
    refused = api.OperationRefused()
    assert others[0].Unpack(refused) and refused.index == 1, others
    code, status, _ = refusal(objects.Get, api.GetRequest(key=key("cobra")))
    assert code == grpc.StatusCode.NOT_FOUND and status.details.kind == "configmaps", status

    gone = objects.Delete(api.DeleteRequest(key=key("python")), timeout=SECONDS)
    assert gone.gone
    seen = [next(events) for _ in range(3)]
    assert [e.type for e in seen] == [api.EVENT_TYPE_ADDED, api.EVENT_TYPE_MODIFIED, api.EVENT_TYPE_DELETED], seen
    assert unpack(seen[2].object, core.ConfigMap).data["legs"] == "none"
    watch.cancel()
    print("all is well")


if __name__ == "__main__":
    main(*sys.argv[1:])
