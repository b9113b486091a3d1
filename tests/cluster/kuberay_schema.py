"""What a RayCluster may contain, as JSON Schema: the fields of KubeRay's `ray.io/v1`, and of the pods in it.

The names and types are facts from KubeRay's API reference (ray-project.github.io/kuberay/reference/api,
releases 1.5 and 1.6) and from Kubernetes' own of core/v1 (kubernetes.io/docs/reference/kubernetes-api). Parts
of a pod that deploy/kuberay.yaml has no use for are not described further than by their name.
"""

from typing import Any

Schema = dict[str, Any]

ANY: Schema = {}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
QUANTITY: Schema = {"type": ["string", "integer"], "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"}
QUANTITIES: Schema = {"type": "object", "additionalProperties": QUANTITY}


def fields(known: Schema, required: tuple[str, ...] = (), others: str = "") -> Schema:
    """An object with these fields, and `others` (words) that may have any content; nothing else."""
    properties = dict.fromkeys(others.split(), ANY) | known
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def several(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


RESOURCES = fields({"requests": QUANTITIES, "limits": QUANTITIES}, others="claims")
CONTAINER = fields(
    {
        "name": TEXT,
        "image": TEXT,
        "env": several(fields({"name": TEXT, "value": TEXT}, ("name",), "valueFrom")),
        "resources": RESOURCES,
        "volumeMounts": several(
            fields(
                {"name": TEXT, "mountPath": TEXT, "subPath": TEXT, "readOnly": FLAG},
                ("name", "mountPath"),
                "subPathExpr mountPropagation recursiveReadOnly",
            )
        ),
    },
    ("name",),
    "args command envFrom imagePullPolicy lifecycle livenessProbe ports readinessProbe resizePolicy "
    "restartPolicy securityContext startupProbe stdin stdinOnce terminationMessagePath "
    "terminationMessagePolicy tty volumeDevices workingDir",
)
POD = fields(
    {
        "containers": several(CONTAINER, least=1),
        "nodeSelector": TEXTS,
        "securityContext": fields(
            {"runAsNonRoot": FLAG, "runAsUser": COUNT, "runAsGroup": COUNT, "fsGroup": COUNT},
            others="appArmorProfile fsGroupChangePolicy seLinuxOptions seccompProfile supplementalGroups "
            "supplementalGroupsPolicy sysctls windowsOptions",
        ),
        "volumes": several(
            fields(
                {"name": TEXT, "persistentVolumeClaim": fields({"claimName": TEXT, "readOnly": FLAG})},
                ("name",),
                "configMap csi downwardAPI emptyDir ephemeral hostPath nfs projected secret",
            )
        ),
    },
    ("containers",),
    "activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks "
    "hostAliases hostIPC hostNetwork hostPID hostUsers hostname imagePullSecrets initContainers nodeName os "
    "overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims restartPolicy "
    "runtimeClassName schedulerName schedulingGates serviceAccount serviceAccountName "
    "setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds "
    "tolerations topologySpreadConstraints",
)
GROUP = {
    "rayStartParams": TEXTS,
    "template": fields({"spec": POD}, ("spec",), "metadata"),
    "labels": TEXTS,
    "resources": TEXTS,
}
HEAD = fields(
    GROUP | {"serviceType": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}, "enableIngress": FLAG},
    ("template",),
    "headService",
)
WORKERS = fields(
    GROUP
    | {"groupName": TEXT, "replicas": COUNT, "minReplicas": COUNT, "maxReplicas": COUNT, "numOfHosts": COUNT}
    | {"suspend": FLAG, "idleTimeoutSeconds": COUNT},
    ("groupName", "template"),
    "scaleStrategy",
)
AUTOSCALER = fields(
    {
        "idleTimeoutSeconds": COUNT,
        "upscalingMode": {"enum": ["Default", "Aggressive", "Conservative"]},
        "version": {"enum": ["v1", "v2"]},
        "resources": RESOURCES,
    },
    others="env envFrom image imagePullPolicy securityContext volumeMounts",
)
RAY_CLUSTER = fields(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayCluster"},
        "metadata": fields(
            {"name": {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}},
            ("name",),
            "namespace labels annotations",
        ),
        "spec": fields(
            {
                "authOptions": fields({"mode": {"enum": ["token", "disabled"]}}),
                "autoscalerOptions": AUTOSCALER,
                "enableInTreeAutoscaling": FLAG,
                "headGroupSpec": HEAD,
                "rayVersion": TEXT,
                "suspend": FLAG,
                "workerGroupSpecs": several(WORKERS),
            },
            ("headGroupSpec",),
            "gcsFaultToleranceOptions headServiceAnnotations managedBy",
        ),
    },
    ("apiVersion", "kind", "metadata", "spec"),
)
