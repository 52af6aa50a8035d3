"""The inbox of a provider for CloudEvents, for the end-to-end tests.

The SDK of the CNCF (PyPI: cloudevents) judges each event: it reads its JSON format (JSONFormat of
cloudevents.core: the time, the data) and validates it by its model of version 1.0 (the required
attributes, their types, names of extensions, a time with a zone). It has no batch mode yet
(cloudevents/sdk-python#130), so this file cuts a batch into the texts of its events and judges what
is left: the media type, that the batch is an array, and that an event has itself what the SDK would
fill in (id, specversion).

What is taken is a line of events.jsonl, flushed to the disk before the answer; a double is a second
line. Each request is a line of requests.jsonl. A restart appends to both. Beside the inbox, under
/control and without authentication, are the faults of the next requests, in the JSON of the
simulators; FAULTS names those that it can have. Started by the CloudEventsInbox fixture; never use
it for anything real.
"""

import argparse
import json
import os
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

BATCH = "application/cloudevents-batch+json"
# Attributes that the SDK makes up where they are absent.
MADE_UP = ("id", "specversion")
# The names are those of FaultKind in e2e/simulators/src/fault.rs. Reject refuses a request with an
# event of one of these ids; NotEffective answers success and keeps nothing.
FAULTS = {"HttpStatus", "NotEffective", "Reject", "ResetAfterCommit", "Slow", "Unauthorized"}


class Refused(Exception):
    """A request that is no batch of CloudEvents, with its faults in words."""

    def __init__(self, status, *faults):
        super().__init__(*faults)
        self.status, self.faults = status, faults


def texts_of(batch):
    """The texts of the events of a batch, as they came: numbers change if they are read."""
    decoder, texts, rest = json.JSONDecoder(), [], batch[1:-1].strip()
    while rest:
        _, end = decoder.raw_decode(rest)
        texts.append(rest[:end])
        rest = rest[end:].strip().removeprefix(",").strip()
    return texts


def judge(text):
    """The attributes of an event by the SDK, and the faults that were found."""
    try:
        event = json.loads(text)
        if not isinstance(event, dict):
            return None, ["an event is no object"]
        faults = [f"the event has no {name}" for name in MADE_UP if name not in event]
        judged = JSONFormat().read(CloudEvent, text)
        # Extensions of the protocol are strings (CloudEvents 1.0.2, JSON format, section 2.2).
        extensions = {name: judged.get_extension(name) for name in ("applicationid", "sequence")}
        for name, value in extensions.items():
            if name in event and not isinstance(value, str):
                faults.append(f"{name} is no string")
        attributes = {
            "id": judged.get_id(),
            "source": judged.get_source(),
            "type": judged.get_type(),
            "subject": judged.get_subject(),
        }
        return attributes | extensions, faults
    except Exception as error:  # The SDK raises errors of several kinds, all of them verdicts.
        return None, [f"{type(error).__name__}: {error}"]


def read_batch(content_type, body):
    """The events of a request, each with its text; raises Refused."""
    if (content_type or "").split(";")[0].strip().lower() != BATCH:
        raise Refused(415, f"the media type is {content_type}")
    try:
        batch = body.decode().strip()
        if not isinstance(json.loads(batch), list):
            raise Refused(400, "the batch is no array")
    except ValueError as error:
        raise Refused(400, f"the body is no JSON: {error}") from error
    judged = [(text, *judge(text)) for text in texts_of(batch)]
    faults = [fault for _, _, faults in judged for fault in faults]
    if faults:
        raise Refused(400, *faults)
    return [event | {"text": text} for text, event, _ in judged]


class Inbox:
    """The two files, and the faults of the next requests. Guarded by one lock: each request has a
    thread of its own."""

    def __init__(self, directory):
        self.lock = threading.Lock()
        self.faults, self.number = [], 0
        self.events = os.path.join(directory, "events.jsonl")
        self.requests = os.path.join(directory, "requests.jsonl")
        if os.path.exists(self.requests):
            with open(self.requests, encoding="utf-8") as file:
                self.number = sum(1 for _ in file)

    def meet(self, ids):
        """The faults that a request meets, by name; those with a limit are counted down."""

        def concerns(fault):
            wanted = fault.get("attributes") if fault["type"] == "Reject" else None
            return not wanted or any(name in ids for name in wanted)

        with self.lock:
            found = [fault for fault in self.faults if concerns(fault)]
            for fault in found:
                if fault.get("requests") is not None:
                    fault["requests"] -= 1
            self.faults = [fault for fault in self.faults if fault.get("requests") != 0]
        return {fault["type"]: fault for fault in found}

    def keep(self, request, events):
        """Appends a request, and the events of it that are taken."""
        with self.lock:
            self.number += 1
            request = {"request": self.number} | request
            events = [{"request": self.number} | event for event in events]
            append(self.events, events)
            append(self.requests, [request])


def append(path, lines):
    """Appends lines, which are on the disk when this returns."""
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def refusal(met):
    """The status and the headers of a fault that keeps a request from being read; None for none."""
    if fault := met.get("HttpStatus"):
        seconds = fault.get("retryAfterSeconds")
        return fault["status"], {} if seconds is None else {"Retry-After": str(seconds)}
    if "Unauthorized" in met:
        return 401, {}
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    inbox = None

    def log_message(self, *_):
        """Nothing of a request is in the output."""

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.answer(204 if self.path == "/control" else 404)

    def do_PUT(self):
        fault = json.loads(self.body())
        if self.path != "/control/faults" or fault.get("type") not in FAULTS:
            return self.answer(400)
        with self.inbox.lock:
            others = [it for it in self.inbox.faults if it["type"] != fault["type"]]
            self.inbox.faults = others + [fault]
        return self.answer(204)

    def do_DELETE(self):
        with self.inbox.lock:
            self.inbox.faults.clear()
        self.answer(204)

    def do_POST(self):
        body = self.body()
        faults, events = [], []
        try:
            events = read_batch(self.headers.get("Content-Type"), body)
            status = 202
        except Refused as refused:
            status, faults = refused.status, list(refused.faults)
        ids = [event["id"] for event in events]
        met = self.inbox.meet(ids)
        refused, headers = refusal(met) or (None, {})
        if refused is None and "Reject" in met:
            refused = 400
        status = refused or status
        is_taken = status == 202 and "NotEffective" not in met
        is_cut = is_taken and "ResetAfterCommit" in met
        request = {
            "path": self.path,
            "ids": ids,
            "status": status,
            "login": "Authorization" in self.headers,
            "cut": is_cut,
            "faults": faults,
        }
        self.inbox.keep(request, events if is_taken else [])
        if fault := met.get("Slow"):
            time.sleep(fault["milliseconds"] / 1000)
        if is_cut:
            # Zero linger makes the close a reset: the sender never learns the outcome.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        return self.answer(status, headers)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--directory", required=True, help="folder of the two files")
    arguments = arguments.parse_args()
    Handler.inbox = Inbox(arguments.directory)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
