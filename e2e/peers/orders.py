"""An order server as docs/api/orders.yaml describes it, for the end-to-end tests.

"Same key, same order" is not this file's: asgi-idempotency-header (PyPI) stands before it, a
middleware of others that answers a second request with a key as it answered the first one, and 409
while that one is at work. It keeps keys in memory, so a server that was started again has none of
them, and its orders all the same.

Each order that is made is a line of orders.jsonl, flushed to the disk before the answer; a double is a
second line. Beside the API, under /control and without authentication, are the faults of the next
requests that write, in the JSON of the simulators, and the states of orders. With --without-keys the
middleware is left out, with --without-search orders cannot be found. Started by the OrderServer
fixture; never use it for anything real.
"""

import argparse
import asyncio
import json
import os
from datetime import datetime, timezone

import uvicorn
from idempotency_header_middleware import IdempotencyHeaderMiddleware
from idempotency_header_middleware.backends import MemoryBackend
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

# The names are those of FaultKind in e2e/simulators/src/fault.rs.
FAULTS = {"HttpStatus", "ResetAfterCommit", "Slow"}
OPEN = ("Accepted", "Shipped")


def problem(status, reason, detail):
    body = {"type": "about:blank", "title": reason, "status": status, "reason": reason, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


class Shop:
    """The orders, on the disk and in memory, and the faults of the next requests."""

    def __init__(self, directory, searches):
        self.path = os.path.join(directory, "orders.jsonl")
        self.searches = searches
        self.faults = []
        self.orders = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                for line in file:
                    order = json.loads(line)
                    self.orders[order["orderId"]] = order

    def make(self, body):
        order = {
            "orderId": f"PO-{88123 + len(self.orders)}",
            "state": "Accepted",
            "reference": body["reference"],
            "device": body["device"],
            "lines": body["lines"],
            "placed": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "expected": "2027-05-14",
        }
        self.orders[order["orderId"]] = order
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(order) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return order

    def meet(self):
        """The faults that a request meets, by name; those with a limit are counted down."""
        found = {fault["type"]: fault for fault in self.faults}
        for fault in self.faults:
            if fault.get("requests") is not None:
                fault["requests"] -= 1
        self.faults = [fault for fault in self.faults if fault.get("requests") != 0]
        return found

    async def place(self, request):
        body = await request.json()
        if any(line["partNumber"].startswith("UNKNOWN") for line in body["lines"]):
            return problem(422, "UnknownPartNumber", "the part number is not in the catalogue")
        order = self.make(body)
        return JSONResponse(order, 201, {"Location": f"/v1/orders/{order['orderId']}"})

    async def find(self, request):
        if not self.searches:
            return problem(404, "NotFound", "this server has no search")
        wanted = request.query_params
        orders = list(self.orders.values())
        if "reference" in wanted:
            orders = [it for it in orders if it["reference"] == wanted["reference"]]
        if "device" in wanted:
            orders = [it for it in orders if it["device"]["serialNumber"] == wanted["device"]]
        if wanted.get("open") == "true":
            orders = [it for it in orders if it["state"] in OPEN]
        return JSONResponse({"orders": orders})

    async def read(self, request):
        order = self.orders.get(request.path_params["id"])
        return JSONResponse(order) if order else problem(404, "NotFound", "there is no such order")

    async def cancel(self, request):
        order = self.orders.get(request.path_params["id"])
        if order is None:
            return problem(404, "NotFound", "there is no such order")
        if order["state"] != "Accepted":
            return problem(409, "TooLate", f"the order is {order['state']}")
        order["state"] = "Cancelled"
        return Response(status_code=202)

    async def control(self, request):
        """Answers that it is ready, takes a fault or ends all, sets members of an order."""
        if request.method == "PUT" and "id" in request.path_params:
            self.orders[request.path_params["id"]].update(await request.json())
        elif request.method == "PUT":
            fault = await request.json()
            if fault.get("type") not in FAULTS:
                return Response(status_code=400)
            self.faults = [it for it in self.faults if it["type"] != fault["type"]] + [fault]
        elif request.method == "DELETE":
            self.faults.clear()
        return Response(status_code=204)


class Faults:
    """Has the requests that write meet the faults, before the middleware looks at them."""

    def __init__(self, app, shop):
        self.app, self.shop = app, shop

    async def __call__(self, scope, receive, send):
        writes = scope["type"] == "http" and scope["method"] == "POST"
        met = self.shop.meet() if writes else {}
        if fault := met.get("Slow"):
            await asyncio.sleep(fault["milliseconds"] / 1000)
        if fault := met.get("HttpStatus"):
            seconds = fault.get("retryAfterSeconds")
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            return await Response(status_code=fault["status"], headers=headers)(scope, receive, send)
        if "ResetAfterCommit" not in met:
            return await self.app(scope, receive, send)

        async def swallow(_):
            """The sender never learns the outcome."""

        await self.app(scope, receive, swallow)
        # An answer that ends before it is whole, after which the connection is closed.
        head = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": 201, "headers": head})
        raise ConnectionAbortedError("on purpose")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--directory", required=True, help="folder of orders.jsonl")
    arguments.add_argument("--without-keys", action="store_true")
    arguments.add_argument("--without-search", action="store_true")
    arguments = arguments.parse_args()
    shop = Shop(arguments.directory, not arguments.without_search)
    app = Starlette(
        routes=[
            Route("/v1/orders", shop.place, methods=["POST"]),
            Route("/v1/orders", shop.find, methods=["GET"]),
            Route("/v1/orders/{id}", shop.read, methods=["GET"]),
            Route("/v1/orders/{id}/cancellation", shop.cancel, methods=["POST"]),
            Route("/control", shop.control, methods=["GET"]),
            Route("/control/faults", shop.control, methods=["PUT", "DELETE"]),
            Route("/control/orders/{id}", shop.control, methods=["PUT"]),
        ]
    )
    if not arguments.without_keys:
        app = IdempotencyHeaderMiddleware(app, backend=MemoryBackend())
    app = Faults(app, shop)
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
