"""Identity: nobody has a token of the API but the router, which may look at pods."""

from collections.abc import Iterator

from tests.deploy.manifest import Manifest, Workload, at
from tests.deploy.rules.arguments import flags_of


def only_a_router_that_discovers_has_a_token(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        discovers = workload.component == "router" and "--service-discovery" in flags_of(workload.main)
        if workload.pod.get("automountServiceAccountToken") is not discovers:
            yield f"{workload}: its token is {'not ' if discovers else ''}mounted"
    for account in manifest.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {account['metadata']['name']} mounts its token into every pod"


def pods_have_an_account_of_the_release(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        name = workload.pod.get("serviceAccountName", "default")
        if manifest.named("ServiceAccount", name) is None:
            yield f"{workload} runs as {name}, which is not of this release"


def roles_permit_a_look_at_pods(manifest: Manifest) -> Iterator[str]:
    for role in manifest.of("Role", "ClusterRole"):
        allowed = {
            (group, resource, verb)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        if role["kind"] == "ClusterRole" or allowed != {("", "pods", verb) for verb in ("get", "list", "watch")}:
            yield f"{role['kind']} {role['metadata']['name']} permits {sorted(allowed)}"


def roles_are_bound_to_the_router_alone(manifest: Manifest) -> Iterator[str]:
    """Only accounts that nobody but the router runs as have a role."""
    for binding in manifest.of("RoleBinding", "ClusterRoleBinding"):
        name = f"{binding['kind']} {binding['metadata']['name']}"
        if manifest.named(binding["roleRef"]["kind"], binding["roleRef"]["name"]) is None:
            yield f"{name}: there is no such role"
        for subject in binding["subjects"]:
            users = {one.component for one in _users(manifest, subject["name"])}
            if subject["kind"] != "ServiceAccount" or users != {"router"}:
                yield f"{name} gives its role to {subject['kind']} {subject['name']}, who is {sorted(users)}"
    for router in manifest.component("router"):
        subjects = {
            at(binding, "subjects.0.name") for binding in manifest.of("RoleBinding") if at(binding, "subjects.0.name")
        }
        if "--service-discovery" in flags_of(router.main) and router.pod.get("serviceAccountName") not in subjects:
            yield f"{router} may not look at pods"


def _users(manifest: Manifest, account: str) -> list[Workload]:
    return [one for one in manifest.workloads if one.pod.get("serviceAccountName") == account]
