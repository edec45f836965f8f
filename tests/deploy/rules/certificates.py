"""Certificates: issued for the names that clients use, into the Secret that the server reads."""

from collections.abc import Iterator

from tests.deploy.manifest import NAMESPACE, Manifest, at, title


def certificates_are_read_by_the_server(manifest: Manifest) -> Iterator[str]:
    for certificate in manifest.of("Certificate"):
        secret = certificate["spec"]["secretName"]
        for workload in manifest.component("forefill"):
            if secret not in {at(volume, "secret.secretName") for volume in workload.pod["volumes"]}:
                yield f"{title(certificate)}: {workload} does not read Secret {secret}"


def certificates_name_all_services(manifest: Manifest) -> Iterator[str]:
    """Every Service that leads to forefill, as clients in the cluster write it."""
    for certificate in manifest.of("Certificate"):
        for service in manifest.of("Service"):
            name = f"{service['metadata']['name']}.{NAMESPACE}.svc"
            leads_to = {one.component for one in manifest.picked_by(service["spec"]["selector"])}
            if leads_to == {"forefill"} and name not in certificate["spec"]["dnsNames"]:
                yield f"{title(certificate)} does not name {name}"


def gateways_check_a_name_that_the_certificate_has(manifest: Manifest) -> Iterator[str]:
    """What a gateway expects of forefill's certificate is in it, and it expects it of a Service that is there."""
    for policy in manifest.of("BackendTLSPolicy"):
        for target in policy["spec"]["targetRefs"]:
            if manifest.named(target["kind"], target["name"]) is None:
                yield f"{title(policy)}: there is no {target['kind']} {target['name']}"
        for certificate in manifest.of("Certificate"):
            if policy["spec"]["validation"]["hostname"] not in certificate["spec"]["dnsNames"]:
                yield f"{title(policy)}: {title(certificate)} has no name {policy['spec']['validation']['hostname']}"
