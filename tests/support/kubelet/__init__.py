"""A cluster of one node without Kubernetes: rendered manifests run as local processes, as a kubelet would run them.

    objects       the manifests, and what they refer to
    environment   a container's environment variables and arguments
    volumes       the files that a pod mounts
    network       a network namespace for each pod, on one bridge
    sandbox       a container's view of the machine: its own root, user, processes and mounts
    probes        what a probe asks, and what its results mean
    container     one container: start, probes, restarts, preStop, SIGTERM, SIGKILL
    pod           the containers of one pod
    workloads     Deployments and StatefulSets: which pods there should be, also in a rolling update
    services      names and addresses of Services, which follow the pods that are ready
    api           the Kubernetes API, as far as a router's discovery of its workers needs it
    tools         helm, which renders the chart, and others
    cluster       all of these together

There are no images: a container runs the program that its `command` names from this machine's file system, read-only
if the manifest says so, and sees no other process. Missing: resource limits, NetworkPolicies, and several nodes.
"""

from .cluster import Cluster
from .image import Image
from .missing import missing
from .objects import Objects
from .pod import Pod
from .tools import NAMESPACE, RELEASE, missing_tool, rendered, tool

__all__ = [
    "NAMESPACE",
    "RELEASE",
    "Cluster",
    "Image",
    "Objects",
    "Pod",
    "missing",
    "missing_tool",
    "rendered",
    "tool",
]
