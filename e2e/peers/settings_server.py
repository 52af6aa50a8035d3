"""A settings distribution server for the end-to-end tests, as docs/api/settings.yaml has it, with the
devices behind it.

Devices are played under /control, without authentication: a device is made, and comes when the test
says so, or with each change if it reports AtOnce. What is wanted and what a device has are two
things here; a report copies the second only. Each change is on the disk (state.json) before it is
answered, and each request is a line of requests.jsonl, so that a kill loses nothing of either.
Faults of the next requests have the JSON of the simulators; FAULTS names those that it can have.
Started by the SettingsServer fixture; never use it for anything real.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import socket
import struct
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

# The names are those of FaultKind in e2e/simulators/src/fault.rs. Reject refuses the value of a
# setting that it names by its path; NotEffective answers success and keeps nothing.
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
POINTER = re.compile(r"^/settings(/([A-Za-z0-9._-]|~[01])+)+$")
TAG = re.compile(r'^"[!#-\[\]-~]*"$')
KEY = re.compile(r"^[0-9a-f]{32}$")


class Problem(Exception):
    """A refusal."""

    def __init__(self, status, reason, detail, errors=(), headers=None):
        super().__init__(detail)
        self.status, self.headers = status, headers or {}
        self.body = {"type": "about:blank", "title": detail, "status": status, "reason": reason}
        if errors:
            self.body["errors"] = [{"pointer": at, "detail": allowed} for at, allowed in errors]


def wrong_method(allowed):
    detail = "There is no such method here"
    return Problem(405, "MethodNotAllowed", detail, headers={"Allow": allowed})


def tree(values):
    """Values by their pointers, as the nested document that these point into."""
    root = {}
    for path, value in values.items():
        place = root
        *inner, last = [name.replace("~1", "/").replace("~0", "~") for name in path.split("/")[2:]]
        for name in inner:
            place = place.setdefault(name, {})
        place[last] = value
    return root


def is_value(value):
    if isinstance(value, list):
        is_word = all(isinstance(word, str) and len(word) <= 63 for word in value)
        return is_word and len(value) <= 64 and len(set(value)) == len(value)
    return isinstance(value, int) or isinstance(value, str) and len(value) <= 1023


class State:
    """Devices, operations and faults. Guarded by one lock: each request has a thread of its own."""

    def __init__(self, directory):
        self.lock = threading.RLock()
        self.file = os.path.join(directory, "state.json")
        self.log = os.path.join(directory, "requests.jsonl")
        self.devices, self.faults, self.delay = {}, [], None
        # No version is ever used twice, whatever is restored.
        self.epoch = uuid.uuid4().hex[:8]
        if os.path.exists(self.file):
            with open(self.file, encoding="utf-8") as file:
                self.devices = json.load(file)
        self.number = 0
        if os.path.exists(self.log):
            with open(self.log, encoding="utf-8") as file:
                self.number = sum(1 for _ in file)

    def save(self):
        with open(self.file + ".new", "w", encoding="utf-8") as file:
            json.dump(self.devices, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.file + ".new", self.file)

    def note(self, line):
        with self.lock, open(self.log, "a", encoding="utf-8") as file:
            self.number += 1
            file.write(json.dumps({"request": self.number} | line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def meet(self, is_write, path):
        """The faults that a request meets, by name; those with a limit are counted down."""

        def concerns(fault):
            if fault.get("operation") not in (None, "write" if is_write else "read"):
                return False
            named = fault.get("attributes") or None
            changes = {"AsyncFails", "AsyncNeverEnds", "Busy", "NotEffective", "Reject",
                       "ResetAfterCommit"}
            if fault["type"] in changes and not is_write:
                return False
            return named is None or path in named

        with self.lock:
            found = [fault for fault in self.faults if concerns(fault)]
            for fault in found:
                if fault.get("requests") is not None:
                    fault["requests"] -= 1
            self.faults = [fault for fault in self.faults if fault.get("requests") != 0]
        return {fault["type"]: fault for fault in found}

    def device(self, serial_number):
        device = self.devices.get(serial_number)
        if device is None:
            raise Problem(404, "UnknownDevice", "No device has this serial number")
        self.settle(device)
        return device

    def want(self, device, path, value):
        device["number"] += 1
        device["version"] = f"{self.epoch}-{device['number']}"
        device["wanted"][path] = value
        device["operations"] = [
            it for it in device["operations"] if it["state"] == "Running" or it["path"] != path
        ]
        if device["reports"] == "AtOnce":
            self.report(device, {}, [])

    def settle(self, device):
        """Ends the operations whose time has come."""
        for operation in list(device["operations"]):
            if operation["state"] == "Running" and operation["ends"] <= time.time():
                if operation["fails"] is None:
                    device["operations"].remove(operation)
                    self.want(device, operation["path"], operation["value"])
                    device["ended"].append(operation["id"])
                else:
                    operation["state"] = "Failed"
                self.save()

    def report(self, device, instead, refused):
        """The device comes: it takes what is wanted, and says what it has."""
        if device["seen"] != device["version"]:
            device["has"].update(device["wanted"])
        device["has"].update(instead)
        for it in refused:
            device["has"][it["path"]] = device["before"].get(it["path"])
        device["before"] = dict(device["has"])
        device["seen"] = device["version"]
        device["reported"] = {
            "version": device["version"],
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "serialNumber": device["itself"],
            "productName": device["productName"],
            "firmware": "4.2.0",
            "settings": tree(device["has"]),
        }
        if device["uuid"]:
            device["reported"]["uuid"] = device["uuid"]
        if refused:
            device["reported"]["refused"] = refused

    def document(self, serial_number):
        device = self.device(serial_number)
        document = {"serialNumber": serial_number}
        if device["number"]:
            document["desired"] = {
                "version": device["version"],
                "settings": tree(device["wanted"]),
            }
        if device["operations"]:
            document["operations"] = [shown(it) for it in device["operations"]]
        if device["reported"]:
            document["reported"] = device["reported"]
        return document


def shown(operation):
    told = {name: operation[name] for name in ("id", "state", "path", "value")}
    if operation["state"] == "Failed":
        told["problem"] = problem_of(operation)
    return told


def problem_of(operation):
    return {
        "type": "about:blank",
        "title": "The value was not taken",
        "status": 422,
        "reason": "InvalidValue",
        "detail": operation["fails"],
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None
    credentials = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=None, headers=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None:
            kind = "problem+json" if status >= 400 else "json"
            self.send_header("Content-Type", f"application/{kind}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def cut(self):
        # Zero linger makes the close a reset: the sender never learns the outcome.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def handle_any(self):
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        body = self.body()
        if parts[0] == "control":
            return self.control(parts[1:], body)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        line = {
            "method": self.command,
            "path": url.path,
            "setting": self.query.get("path"),
            "ifMatch": self.headers.get("If-Match"),
            "key": self.headers.get("Idempotency-Key"),
            "login": "Authorization" in self.headers,
            "changed": False,
            "cut": False,
        }
        met = self.state.meet(self.command == "PUT", line["setting"])
        if fault := met.get("Slow"):
            time.sleep(fault["milliseconds"] / 1000)
        try:
            status, document, headers = self.serve(parts, body, met, line)
        except Problem as problem:
            status, document, headers = problem.status, problem.body, problem.headers
        line["status"] = status
        line["cut"] = bool(line["changed"] and "ResetAfterCommit" in met)
        self.state.note(line)
        if line["cut"]:
            return self.cut()
        return self.answer(status, document, headers)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_TRACE = do_OPTIONS = handle_any
    do_HEAD = do_QUERY = handle_any

    def serve(self, parts, body, met, line):
        if fault := met.get("HttpStatus"):
            after = fault.get("retryAfterSeconds")
            headers = {} if after is None else {"Retry-After": str(after)}
            raise Problem(fault["status"], "Scripted", "Scripted", headers=headers)
        if "Unauthorized" in met or not self.lets_in():
            headers = {"WWW-Authenticate": 'Basic realm="settings"'}
            raise Problem(401, "Unauthorized", "Log in", headers=headers)
        with self.state.lock:
            match (self.command, parts):
                case ("GET", ["v1", "devices", serial_number]):
                    document = self.state.document(serial_number)
                    text = json.dumps(document, sort_keys=True)
                    tag = hashlib.sha256(text.encode()).hexdigest()[:16]
                    return 200, document, {"ETag": f'"{tag}"'}
                case ("PUT", ["v1", "devices", serial_number, "desired"]):
                    return self.put(serial_number, body, met, line)
                case ("GET", ["v1", "operations", operation]):
                    return self.operation(operation)
                case (_, ["v1", "devices", _] | ["v1", "operations", _]):
                    raise wrong_method("GET")
                case (_, ["v1", "devices", _, "desired"]):
                    raise wrong_method("PUT")
                case _:
                    raise Problem(404, "NotFound", "There is no such path")

    def lets_in(self):
        if self.credentials is None:
            return True
        expected = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        return self.headers.get("Authorization") == expected

    def put(self, serial_number, body, met, line):
        device = self.state.device(serial_number)
        path, key = self.query.get("path", ""), self.headers.get("Idempotency-Key", "")
        named = self.headers.get("If-Match")
        is_tag = named is None or TAG.match(named)
        if not (len(path) <= 253 and POINTER.match(path) and KEY.match(key) and is_tag):
            detail = "path, Idempotency-Key and If-Match must be as documented"
            raise Problem(400, "InvalidRequest", detail)
        try:
            wanted = json.loads(body)
        except ValueError as error:
            raise Problem(400, "InvalidRequest", "The body is no JSON") from error
        if not isinstance(wanted, dict) or list(wanted) != ["value"] or not is_value(wanted["value"]):
            errors = [("/value", "must be a text, a whole number, a truth value or words")]
            raise Problem(422, "InvalidValue", "Invalid value", errors)
        if path not in device["has"]:
            raise Problem(404, "UnknownSetting", "Unknown setting")
        if path in device["readOnly"]:
            raise Problem(422, "ReadOnly", "It cannot be set", [("/value", "nothing is taken")])
        if "Reject" in met:
            errors = [("/value", "must be another value")]
            raise Problem(422, "InvalidValue", "Invalid value", errors)
        if named is None:
            raise Problem(428, "VersionMissing", "If-Match is missing")
        if key in device["answers"]:
            return device["answers"][key]
        if "Busy" in met:
            raise Problem(409, "InFlight", "Under way", headers={"Retry-After": "1"})
        if named != f'"{device["version"]}"':
            raise Problem(412, "VersionChanged", "Another version is there")
        if "NotEffective" in met:
            return 204, None, {}
        line["changed"] = True
        answer = self.change(device, path, wanted["value"], met)
        device["answers"][key] = answer
        self.state.save()
        return answer

    def change(self, device, path, value, met):
        delays = {"AsyncFails", "AsyncNeverEnds"} & set(met)
        if self.state.delay is None and not delays:
            self.state.want(device, path, value)
            return 204, None, {"ETag": f'"{device["version"]}"'}
        operation = {
            "id": uuid.uuid4().hex[:12],
            "state": "Running",
            "path": path,
            "value": value,
            "ends": time.time() + (self.state.delay or 0),
            "fails": met["AsyncFails"]["description"] if "AsyncFails" in met else None,
        }
        if "AsyncNeverEnds" in met:
            operation["ends"] = float(2**40)
        device["operations"].append(operation)
        headers = {"Location": f"/v1/operations/{operation['id']}", "Retry-After": "0"}
        return 202, {"id": operation["id"], "state": "Running"}, headers

    def operation(self, wanted):
        for device in self.state.devices.values():
            self.state.settle(device)
            if wanted in device["ended"]:
                return 200, {"id": wanted, "state": "Succeeded"}, {}
            for operation in device["operations"]:
                if operation["id"] == wanted:
                    status = {"id": wanted, "state": operation["state"]}
                    if operation["state"] == "Failed":
                        status["problem"] = problem_of(operation)
                    return 200, status, {"Retry-After": "1"}
        raise Problem(404, "NotFound", "There is no such operation")

    def control(self, parts, body):
        sent = json.loads(body) if body else {}
        with self.state.lock:
            match (self.command, parts):
                case ("GET", []):
                    return self.answer(200, {})
                case ("PUT", ["faults"]):
                    if sent["type"] not in FAULTS:
                        return self.answer(400, {"detail": f"no fault {sent['type']} here"})
                    kept = [it for it in self.state.faults if it["type"] != sent["type"]]
                    self.state.faults = [*kept, sent]
                case ("DELETE", ["faults"]):
                    self.state.faults = []
                case ("PUT", ["delay"]):
                    self.state.delay = sent["seconds"]
                case ("PUT", ["devices", serial_number]):
                    device = {
                        "productName": sent["productName"],
                        "itself": sent.get("serialNumber", serial_number),
                        "uuid": sent.get("uuid"),
                        "reports": sent.get("reports", "WhenTold"),
                        "readOnly": sent.get("readOnly", []),
                        "has": sent["settings"],
                        "before": dict(sent["settings"]),
                        "wanted": {},
                        "number": 0,
                        "version": "0",
                        "seen": "0",
                        "operations": [],
                        "ended": [],
                        "answers": {},
                        "reported": None,
                    }
                    if sent.get("silent") is not True:
                        self.state.report(device, {}, [])
                    self.state.devices[serial_number] = device
                case ("POST", ["devices", serial_number, "report"]):
                    device = self.state.device(serial_number)
                    refused = sent.get("refused", [])
                    self.state.report(device, sent.get("instead", {}), refused)
                case ("POST", ["devices", serial_number, "want"]):
                    device = self.state.device(serial_number)
                    self.state.want(device, sent["path"], sent["value"])
                case ("GET", ["devices", serial_number]):
                    return self.answer(200, self.state.device(serial_number))
                case _:
                    return self.answer(404, {"detail": "no such control"})
            self.state.save()
        return self.answer(204)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--directory", required=True, help="folder of its files")
    arguments = arguments.parse_args()
    Handler.state = State(arguments.directory)
    Handler.credentials = os.environ.get("SETTINGS_SERVER_LOGIN")
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
