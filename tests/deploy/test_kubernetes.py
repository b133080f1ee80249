"""The manifests: what Kubernetes asks of them, that they fit together, and a first start as they make it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.forwarder import Forwarder
from tests.cli.processes import finished
from tests.deploy.files import DEPLOY, MANIFESTS, SECRETS, containers, environment, stop_seconds
from tests.deploy.image import OTHER_USER, Image
from tests.deploy.test_image import ANY_PORT, http
from tests.make import alert

FOLDER = DEPLOY / "kubernetes"
KUSTOMIZATION = MANIFESTS["kustomization.yaml"]
DEPLOYMENT, JOB = MANIFESTS["deployment.yaml"], MANIFESTS["migrate-job.yaml"]
PODS = {"deployment": DEPLOYMENT["spec"]["template"], "job": JOB["spec"]["template"]}
[API], [MIGRATE] = containers(DEPLOYMENT), containers(JOB)
KEY = f"im_{'0' * 32}_{'k' * 43}"


def secrets(folder: Path, **values: str) -> Path:
    """Write the files of the Secret."""
    folder.mkdir()
    for name, text in {"auth_secret": "0123456789abcdef" * 2, "admin_key": KEY, **values}.items():
        (folder / name).write_text(f"{text}\n")
    return folder


# --- a first start --------------------------------------------------------------------------------------------------------


@pytest.fixture
def postgresql(empty_database_url: str) -> Iterator[str]:
    """An empty database by TCP: another user may not reach the socket of the one that pip brought."""
    way = Forwarder(empty_database_url)
    yield way.url
    way.cut()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_the_job_makes_the_schema_and_two_replicas_share_the_work(image: Image, postgresql: str) -> None:
    folder = secrets(image.volume / "secrets", database_url=postgresql)
    replica = environment(API, folder) | ANY_PORT
    refused = image.finished(*image.words["CMD"], **replica)
    assert (refused.returncode, "run `incident-manager db upgrade`" in refused.stderr) == (1, True), refused.stderr
    migrated = image.finished(*MIGRATE["args"], **environment(MIGRATE, folder))
    assert migrated.returncode == 0, migrated.stderr
    with ExitStack() as stack:
        servers = [stack.enter_context(image.started(**replica)) for _ in range(DEPLOYMENT["spec"]["replicas"])]
        clients = [stack.enter_context(http(server.wait_until_serving(), KEY)) for server in servers]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert [client.get(API[probe]["httpGet"]["path"]).status_code for client in clients] == [200, 200]
        assert [client.post("/v1/alerts", json=alert()).json()["occurrences"] for client in clients] == [1, 2]
        assert [server.stop() for server in servers] == [0, 0]
    assert [path.name for path in image.volume.iterdir()] == ["secrets"]  # nothing that a restart would lose


@pytest.mark.parametrize("name", SECRETS)
def test_no_process_starts_on_a_placeholder(name: str, tmp_path: Path) -> None:
    example = MANIFESTS["secret.example.yaml"]["stringData"]
    here = {"database_url": f"sqlite:///{tmp_path}/incidents.db"}
    folder = secrets(tmp_path / "secrets", **(here | {name: example[name]}))
    given = {each["name"]: str(folder / Path(each["value"]).name) for each in API["env"]}
    settings = {setting.removeprefix("INCIDENT_MANAGER_").lower(): value for setting, value in given.items()}
    refused = finished(tmp_path, "serve", "--port", "0", **settings)
    [line] = refused.stderr.splitlines()[-1:]
    assert (refused.returncode, str(folder / name) in line or name.replace("_", ".", 1) in line) == (1, True), line


# --- what Kubernetes asks -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kubectl_puts_them_together_in_their_namespace() -> None:
    made = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=True).stdout
    found = list(yaml.safe_load_all(made))
    assert {each["kind"] for each in found} == {MANIFESTS[name]["kind"] for name in KUSTOMIZATION["resources"]}
    places = {each["metadata"].get("namespace") for each in found if each["kind"] != "Namespace"}
    assert places == {KUSTOMIZATION["namespace"]}
    images = {
        container["image"] for each in found if each["kind"] in {"Job", "Deployment"} for container in containers(each)
    }
    assert images == {f"incident-manager:{KUSTOMIZATION['images'][0]['newTag']}"}


@pytest.mark.parametrize("name", [name for name in MANIFESTS if name != "kustomization.yaml"])
def test_a_manifest_is_of_its_kinds_published_schema(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    validate.validate(dict(MANIFESTS[name]), desired_version="1.30", strict=True)


def test_the_kustomization_takes_every_manifest_but_the_example() -> None:
    assert set(KUSTOMIZATION["resources"]) == set(MANIFESTS) - {"kustomization.yaml", "secret.example.yaml"}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_keeps_to_the_restricted_standard(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == OTHER_USER
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec) == set()
    assert {kind for volume in spec["volumes"] for kind in volume} <= {"name", "secret", "emptyDir"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
        for bounds in container["resources"].values():
            assert {"cpu", "memory"} <= set(bounds)


def test_the_namespace_holds_everybody_to_it() -> None:
    labels = MANIFESTS["namespace.yaml"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert MANIFESTS["namespace.yaml"]["metadata"]["name"] == KUSTOMIZATION["namespace"]


# --- how they fit together ------------------------------------------------------------------------------------------------


def selectors() -> Iterator[tuple[str, dict[str, str]]]:
    yield "deployment", DEPLOYMENT["spec"]["selector"]["matchLabels"]
    yield "service", MANIFESTS["service.yaml"]["spec"]["selector"]
    yield "budget", MANIFESTS["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"]
    for spread in PODS["deployment"]["spec"]["topologySpreadConstraints"]:
        yield spread["topologyKey"], spread["labelSelector"]["matchLabels"]


@pytest.mark.parametrize("selector", [labels for _, labels in selectors()], ids=[name for name, _ in selectors()])
def test_what_selects_the_replicas_selects_them_and_not_the_job(selector: dict[str, str]) -> None:
    selected = {name for name, pod in PODS.items() if selector.items() <= pod["metadata"]["labels"].items()}
    assert selected == {"deployment"}


def test_the_network_policy_is_for_both() -> None:
    spec = MANIFESTS["networkpolicy.yaml"]["spec"]
    for pod in PODS.values():
        assert spec["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    [port] = API["ports"]
    assert [each["port"] for rule in spec["ingress"] for each in rule["ports"]] == [port["containerPort"]]
    assert {each["port"] for rule in spec["egress"] for each in rule["ports"]} == {53, 5432}


def test_each_pod_reads_only_what_it_needs_of_the_secret() -> None:
    example = set(MANIFESTS["secret.example.yaml"]["stringData"])
    assert {Path(each["value"]).name for each in API["env"]} == example == set(SECRETS)
    [volume] = JOB["spec"]["template"]["spec"]["volumes"]
    [item] = volume["secret"]["items"]
    assert [Path(each["value"]).name for each in MIGRATE["env"]] == [item["key"]] == ["database_url"]


def test_the_replicas_leave_the_schema_to_the_job() -> None:
    assert MANIFESTS["configmap.yaml"]["data"]["INCIDENT_MANAGER_DATABASE__MIGRATE"] == "false"
    assert MIGRATE["args"] == ["db", "upgrade"]


def test_an_update_takes_no_replica_away_before_another_is_there() -> None:
    assert DEPLOYMENT["spec"]["replicas"] >= 2
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert MANIFESTS["poddisruptionbudget.yaml"]["spec"]["maxUnavailable"] < DEPLOYMENT["spec"]["replicas"]


def test_a_replica_is_given_time_to_stop() -> None:
    pause = API["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert PODS["deployment"]["spec"]["terminationGracePeriodSeconds"] > pause + stop_seconds()


def test_a_databases_trouble_restarts_nobody() -> None:
    assert API["livenessProbe"]["httpGet"]["path"] == API["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert API["readinessProbe"]["httpGet"]["path"] == "/health/ready"
