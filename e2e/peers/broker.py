"""An Open Service Broker 2.17 broker on openbrokerapi, for the end-to-end tests.

The OSB surface under /v2 (status codes, error bodies, header checks) is openbrokerapi's, not ours;
this file only keeps the instances. Beside it, outside /v2 and without authentication, lies
/control: what the next answers do (mode, faults), what was asked (ledger), what is there
(instances). Modes, faults and names of operations are those of the simulators, in the same JSON;
FAULTS names the ones that this broker can have. Started by the OpenBroker fixture; never use it for
anything real.
"""

import argparse
import hashlib
import json
import logging
import os
import socket
import struct
import threading
import time
import uuid
from datetime import datetime, timezone

from flask import Flask, Response, jsonify, request
from openbrokerapi import errors
from openbrokerapi.api import BrokerCredentials, get_blueprint
from openbrokerapi.catalog import ServicePlan
from openbrokerapi.service_broker import (
    DeprovisionServiceSpec,
    GetInstanceDetailsSpec,
    LastOperation,
    OperationState,
    ProvisionedServiceSpec,
    ProvisionState,
    Service,
    ServiceBroker,
    UpdateServiceSpec,
)

OFFERINGS = {"data-backup": ["standard", "premium"], "parts-life": ["basic"]}
# The names are those of FaultKind in e2e/simulators/src/fault.rs.
FAULTS = {
    "AsyncFails",
    "AsyncNeverEnds",
    "Busy",
    "HttpStatus",
    "NotEffective",
    "Reject",
    "ResetAfterCommit",
    "Slow",
    "Unauthorized",
}
WRITES = {"PUT": "provision", "PATCH": "update", "DELETE": "deprovision"}
AT_ONCE = {"polls": 0, "milliseconds": 0}


def identifier(*names):
    """Catalog ids must be unique and stable over restarts (OSB section Catalog Management)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "urn:example:broker:" + ":".join(names)))


def catalog():
    return [
        Service(
            id=identifier(offering),
            name=offering,
            description=f"{offering} for devices",
            bindable=False,
            plan_updateable=True,
            instances_retrievable=True,
            plans=[
                ServicePlan(id=identifier(offering, plan), name=plan, description=plan, free=True)
                for plan in plans
            ],
        )
        for offering, plans in OFFERINGS.items()
    ]


class Broker(ServiceBroker):
    """Instances by id: {service_id, plan_id, parameters, state, operation}.

    state is "creating", "active" or "failed"; operation is the asynchronous one that was last
    begun: {id, kind, polls, not_before, never_ends, failure, change}. Everything is guarded by one lock, because the
    server answers each request on its own thread.
    """

    def __init__(self, state_file):
        self.lock = threading.RLock()
        self.pace = None
        self.state_file = state_file
        self.instances, self.gone = {}, []
        if state_file and os.path.exists(state_file):
            with open(state_file, encoding="utf-8") as file:
                kept = json.load(file)
            self.instances, self.gone = kept["instances"], kept["gone"]

    def keep(self):
        """A restart finds what was committed; the rename makes a kill in between harmless."""
        if self.state_file:
            with open(self.state_file + ".new", "w", encoding="utf-8") as file:
                json.dump({"instances": self.instances, "gone": self.gone}, file)
            os.replace(self.state_file + ".new", self.state_file)

    def catalog(self):
        return catalog()

    def set_mode(self, mode):
        """Sync, or Async with the number of polls and the least duration of an operation."""
        with self.lock:
            self.pace = None if mode == "Sync" else dict(mode["Async"])

    def release(self):
        """Operations that were never to end do end."""
        with self.lock:
            for instance in self.instances.values():
                if instance["operation"] is not None:
                    instance["operation"]["never_ends"] = False
            self.keep()

    def asynchronous(self, allowed):
        if self.pace is None:
            return allowed and bool(met("AsyncNeverEnds") or met("AsyncFails"))
        if not allowed:
            raise errors.ErrAsyncRequired()
        return True

    def begin(self, instance, kind, change):
        pace = self.pace or AT_ONCE
        instance["operation"] = {
            "id": f"{kind}-{uuid.uuid4()}",
            "kind": kind,
            "polls": pace["polls"],
            "not_before": time.time() + pace["milliseconds"] / 1000,
            "never_ends": met("AsyncNeverEnds") is not None,
            "failure": (met("AsyncFails") or {}).get("description"),
            "change": change,
        }
        return instance["operation"]["id"]

    @staticmethod
    def effective(parameters):
        """What the broker stores of the parameters it accepts."""
        fault = met("NotEffective")
        return {
            name: value
            for name, value in (parameters or {}).items()
            if fault is None or name not in (fault.get("attributes") or parameters)
        }

    def provision(self, instance_id, details, async_allowed, **_):
        with self.lock:
            wanted = {"service_id": details.service_id, "plan_id": details.plan_id}
            existing = self.instances.get(instance_id)
            if existing is not None:
                same = all(existing[key] == value for key, value in wanted.items())
                if not same or existing["requested"] != (details.parameters or {}):
                    raise errors.ErrInstanceAlreadyExists()
                if existing["state"] == "creating":
                    operation = existing["operation"]["id"]
                    return ProvisionedServiceSpec(ProvisionState.IS_ASYNC, operation=operation)
                if existing["state"] == "failed":
                    raise errors.ErrInstanceAlreadyExists()
                return ProvisionedServiceSpec(ProvisionState.IDENTICAL_ALREADY_EXISTS)
            asynchronous = self.asynchronous(async_allowed)
            instance = wanted | {
                "requested": details.parameters or {},
                "parameters": self.effective(details.parameters),
                "state": "creating" if asynchronous else "active",
                "operation": None,
            }
            self.instances[instance_id] = instance
            operation = self.begin(instance, "provision", {}) if asynchronous else None
            self.keep()
            state = ProvisionState.IS_ASYNC if asynchronous else ProvisionState.SUCCESSFUL_CREATED
            return ProvisionedServiceSpec(state, operation=operation)

    def update(self, instance_id, details, async_allowed, **_):
        with self.lock:
            instance = self.instances.get(instance_id)
            if instance is None or instance["state"] == "failed":
                raise errors.ErrBadRequest("no such service instance")
            self.refuse_when_busy(instance)
            asynchronous = self.asynchronous(async_allowed)
            change = {
                "plan_id": details.plan_id or instance["plan_id"],
                "requested": instance["requested"] | (details.parameters or {}),
                "parameters": instance["parameters"] | self.effective(details.parameters),
            }
            operation = None
            if asynchronous:
                operation = self.begin(instance, "update", change)
            else:
                instance.update(change)
            self.keep()
            return UpdateServiceSpec(asynchronous, operation)

    def deprovision(self, instance_id, details, async_allowed, **_):
        with self.lock:
            instance = self.instances.get(instance_id)
            if instance is None:
                raise errors.ErrInstanceDoesNotExist()
            if instance["state"] != "failed":
                self.refuse_when_busy(instance)
            asynchronous = self.asynchronous(async_allowed)
            operation = self.begin(instance, "deprovision", {}) if asynchronous else None
            if not asynchronous:
                self.remove(instance_id)
            self.keep()
            return DeprovisionServiceSpec(asynchronous, operation)

    def last_operation(self, instance_id, operation_data, service_id, plan_id, **_):
        with self.lock:
            instance = self.instances.get(instance_id)
            if instance is None:
                if instance_id in self.gone:
                    raise errors.ErrInstanceDoesNotExist()
                raise errors.ErrBadRequest("no such service instance")
            operation = instance["operation"]
            if operation is None:
                return LastOperation(OperationState.SUCCEEDED)
            if operation_data is not None and operation_data != operation["id"]:
                raise errors.ErrBadRequest("no such operation")
            under_way = operation["never_ends"] or time.time() < operation["not_before"]
            if under_way or operation["polls"] > 0:
                operation["polls"] = max(0, operation["polls"] - 1)
                self.keep()
                return LastOperation(OperationState.IN_PROGRESS, "working on it")
            return self.finish(instance_id, instance, operation)

    def finish(self, instance_id, instance, operation):
        succeeded = operation["failure"] is None
        if operation["kind"] == "deprovision" and succeeded:
            self.remove(instance_id)
            self.keep()
            raise errors.ErrInstanceDoesNotExist()
        if operation["kind"] == "provision":
            instance["state"] = "active" if succeeded else "failed"
        elif succeeded:
            instance.update(operation["change"])
        operation["done"] = True
        self.keep()
        if succeeded:
            return LastOperation(OperationState.SUCCEEDED, "done")
        return LastOperation(OperationState.FAILED, operation["failure"])

    def get_instance(self, instance_id, **_):
        with self.lock:
            instance = self.instances.get(instance_id)
            # OSB: 404 while provisioning is in progress or has failed, 422 while updating.
            if instance is None or instance["state"] != "active":
                raise errors.ErrInstanceDoesNotExist()
            self.refuse_when_busy(instance)
            return GetInstanceDetailsSpec(
                service_id=instance["service_id"],
                plan_id=instance["plan_id"],
                parameters=instance["parameters"],
            )

    @staticmethod
    def refuse_when_busy(instance):
        operation = instance["operation"]
        if operation is not None and not operation.get("done"):
            raise errors.ErrConcurrentInstanceAccess()

    def remove(self, instance_id):
        del self.instances[instance_id]
        self.gone.append(instance_id)


def met(name):
    """The fault of that name which the request under way meets."""
    return request.met.get(name)


def operation_of(method, path):
    """What a request asks for, in the words of the simulators."""
    if path.endswith("/catalog"):
        return "catalog"
    if path.endswith("/last_operation"):
        return "last_operation"
    return WRITES.get(method, "fetch")


def is_met(fault, operation, names):
    """Whether a request meets the fault: see FaultKind::concerns of the simulators."""
    if fault.get("operation") not in (None, operation):
        return False
    write = operation in WRITES.values()
    match fault["type"]:
        case "NotEffective" | "Reject":
            wanted = fault.get("attributes")
            return write and (not wanted or any(name in names for name in wanted))
        case "ResetAfterCommit":
            return write or fault.get("operation") is not None
        case "AsyncNeverEnds" | "AsyncFails":
            return write
    return True


class Control:
    """Faults and ledger, around every request under /v2."""

    def __init__(self):
        self.lock = threading.Lock()
        self.faults, self.ledger = [], []

    def set_fault(self, fault):
        """Adds a fault; one of the same type and operation is replaced."""
        key = (fault["type"], fault.get("operation"))
        with self.lock:
            self.faults = [f for f in self.faults if (f["type"], f.get("operation")) != key]
            self.faults.append(fault)

    def meet(self, operation, names):
        """The faults that this request meets, by name; those with a limit are counted down."""
        with self.lock:
            found = [fault for fault in self.faults if is_met(fault, operation, names)]
            for fault in found:
                if fault.get("requests") is not None:
                    fault["requests"] -= 1
            self.faults = [fault for fault in self.faults if fault.get("requests") != 0]
        return {fault["type"]: fault for fault in found}

    def before(self):
        if not request.path.startswith("/v2"):
            return None
        request.entry = {
            "method": request.method,
            "path": request.path,
            "query": request.query_string.decode("ascii", "replace"),
            "body_sha256": hashlib.sha256(request.get_data()).hexdigest(),
            "at": datetime.now(timezone.utc).isoformat(),
            "status": None,
        }
        with self.lock:
            request.entry["sequence"] = len(self.ledger) + 1
            self.ledger.append(request.entry)
        body = request.get_json(silent=True)
        names = (body.get("parameters") or {}) if isinstance(body, dict) else {}
        request.met = self.meet(operation_of(request.method, request.path), names)
        return self.refusal()

    @staticmethod
    def refusal():
        """The answer of a fault that keeps a request from being carried out."""
        status, error, headers = None, None, {}
        if fault := met("HttpStatus"):
            status = fault["status"]
            if fault.get("retryAfterSeconds") is not None:
                headers["Retry-After"] = str(fault["retryAfterSeconds"])
        elif met("Unauthorized"):
            status = 401
        elif met("Busy"):
            status, error = 422, "ConcurrencyError"
        elif met("Reject"):
            status = 400
        if status is None:
            return None
        body = {"description": "as ordered by the test"} | ({"error": error} if error else {})
        return Response(json.dumps(body), status, headers, content_type="application/json")

    def after(self, answer):
        entry = getattr(request, "entry", None)
        if entry is None:
            return answer
        if fault := met("Slow"):
            time.sleep(fault["milliseconds"] / 1000)
        with self.lock:
            entry["status"] = answer.status_code
            entry["lost"] = met("ResetAfterCommit") is not None
        if entry["lost"]:
            # Zero linger makes the close a reset: the caller never learns the outcome.
            connection = request.environ["werkzeug.socket"]
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.shutdown(socket.SHUT_RDWR)
        return answer


def add_control_routes(application, broker, control):
    @application.get("/control")
    def is_ready():
        return "", 204

    @application.get("/control/ledger")
    def ledger():
        with control.lock:
            return jsonify(control.ledger)

    @application.get("/control/instances")
    def instances():
        with broker.lock:
            return jsonify(broker.instances)

    @application.put("/control/mode")
    def mode():
        broker.set_mode(request.get_json())
        return "", 204

    @application.put("/control/faults")
    def fault():
        wanted = request.get_json()
        if wanted.get("type") not in FAULTS:
            return jsonify(error=f"openbrokerapi cannot have the fault {wanted.get('type')}"), 400
        control.set_fault(wanted)
        return "", 204

    @application.delete("/control/faults")
    def no_faults():
        with control.lock:
            control.faults.clear()
        broker.release()
        return "", 204


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--directory", help="directory that keeps the instances over a restart")
    arguments = arguments.parse_args()
    logging.basicConfig(level=logging.WARNING)

    # The password comes by the environment so that no process list shows it.
    username, password = os.environ.get("BROKER_USERNAME"), os.environ.get("BROKER_PASSWORD")
    credentials = BrokerCredentials(username, password or "") if username else None

    kept = arguments.directory and os.path.join(arguments.directory, "instances.json")
    broker, control = Broker(kept), Control()
    application = Flask(__name__)
    application.before_request(control.before)
    application.after_request(control.after)
    blueprint = get_blueprint(broker, credentials, logging.getLogger("openbrokerapi"))
    application.register_blueprint(blueprint)
    add_control_routes(application, broker, control)
    application.run("127.0.0.1", arguments.port, threaded=True)


if __name__ == "__main__":
    main()
