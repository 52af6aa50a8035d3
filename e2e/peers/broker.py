"""An Open Service Broker 2.17 broker on openbrokerapi, for the end-to-end tests.

The OSB surface under /v2 (status codes, error bodies, header checks) is openbrokerapi's, not ours;
this file only keeps the instances. Beside it, outside /v2 and without authentication, lies
/control: what the next answers do (mode, faults), what was asked (ledger), what is there
(instances). Started by the OpenBroker fixture; never use it for anything real.
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
SYNCHRONOUS = {"kind": "sync", "polls": 0, "outcome": "succeeded", "ignored_parameters": []}


def identifier(*names):
    """Catalogue ids must be unique and stable over restarts (OSB section Catalog Management)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "urn:example:broker:" + ":".join(names)))


def catalogue():
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
    begun: {id, kind, polls, outcome, change}. Everything is guarded by one lock, because the
    server answers each request on its own thread.
    """

    def __init__(self, state_file):
        self.lock = threading.RLock()
        self.mode = dict(SYNCHRONOUS)
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
        return catalogue()

    def asynchronous(self, allowed):
        if self.mode["kind"] != "async":
            return False
        if not allowed:
            raise errors.ErrAsyncRequired()
        return True

    def begin(self, instance, kind, change):
        instance["operation"] = {
            "id": f"{kind}-{uuid.uuid4()}",
            "kind": kind,
            "polls": self.mode["polls"],
            "outcome": self.mode["outcome"],
            "change": change,
        }
        return instance["operation"]["id"]

    def effective(self, parameters):
        """What a lying broker really stores of the parameters it accepts."""
        return {
            name: value
            for name, value in (parameters or {}).items()
            if name not in self.mode["ignored_parameters"]
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
            if operation["polls"] is None or operation["polls"] > 0:
                if operation["polls"]:
                    operation["polls"] -= 1
                self.keep()
                return LastOperation(OperationState.IN_PROGRESS, "working on it")
            return self.finish(instance_id, instance, operation)

    def finish(self, instance_id, instance, operation):
        succeeded = operation["outcome"] == "succeeded"
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
        return LastOperation(OperationState.FAILED, "could not be done")

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


class Control:
    """Faults and ledger, around every request under /v2."""

    def __init__(self):
        self.lock = threading.Lock()
        self.faults, self.ledger = [], []

    def take(self, method, path):
        """The first fault that matches; it is used up after its number of times."""
        with self.lock:
            for fault in self.faults:
                if fault.get("method") in (None, method) and fault.get("path", "") in path:
                    fault["times"] -= 1
                    if fault["times"] == 0:
                        self.faults.remove(fault)
                    return fault
        return None

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
        request.fault = self.take(request.method, request.path)
        if request.fault and request.fault["kind"] == "slow":
            time.sleep(request.fault["milliseconds"] / 1000)
        if request.fault and request.fault["kind"] == "answer":
            return self.answer(request.fault)
        return None

    @staticmethod
    def answer(fault):
        body = {"description": "as ordered by the test"}
        if fault.get("error"):
            body["error"] = fault["error"]
        answer = Response(json.dumps(body), fault["status"], content_type="application/json")
        if fault.get("retry_after") is not None:
            answer.headers["Retry-After"] = str(fault["retry_after"])
        return answer

    def after(self, answer):
        entry = getattr(request, "entry", None)
        if entry is None:
            return answer
        fault = getattr(request, "fault", None)
        with self.lock:
            entry["status"] = answer.status_code
            entry["lost"] = bool(fault and fault["kind"] == "lose-response")
        if entry["lost"]:
            # Zero linger makes the close a reset: the caller never learns the outcome.
            connection = request.environ["werkzeug.socket"]
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.shutdown(socket.SHUT_RDWR)
        return answer


def add_control_routes(application, broker, control):
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
        with broker.lock:
            broker.mode = dict(SYNCHRONOUS) | request.get_json()
        return "", 204

    @application.post("/control/faults")
    def fault():
        with control.lock:
            control.faults.append({"times": 1} | request.get_json())
        return "", 204

    @application.delete("/control/faults")
    def no_faults():
        with control.lock:
            control.faults.clear()
        return "", 204


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--state", help="file that keeps the instances over a restart")
    arguments = arguments.parse_args()
    logging.basicConfig(level=logging.WARNING)

    # The password comes by the environment so that no process list shows it.
    username, password = os.environ.get("BROKER_USERNAME"), os.environ.get("BROKER_PASSWORD")
    credentials = BrokerCredentials(username, password or "") if username else None

    broker, control = Broker(arguments.state), Control()
    application = Flask(__name__)
    application.before_request(control.before)
    application.after_request(control.after)
    blueprint = get_blueprint(broker, credentials, logging.getLogger("openbrokerapi"))
    application.register_blueprint(blueprint)
    add_control_routes(application, broker, control)
    application.run("127.0.0.1", arguments.port, threaded=True)


if __name__ == "__main__":
    main()
