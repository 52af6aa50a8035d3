"""A device that calls the gateway, for the end-to-end tests: its client is generated.

Every request and every message is of the client that openapi-python-client generates from
docs/api/gateway.yaml; this file only decides which comes next, from the region to the first data. The
device takes every setting and every kind of data that it is asked for, asks for each service that it has to
ask for, sends one event of each kind once a service is on, and keeps nothing longer than its process lives.

Writes one line of JSON for each answer: {"answer": NAME, ...}; a refusal ends it with that answer, and
nothing else does. Never writes a token or a secret. Started by the GeneratedClient fixture; never use it for
anything real.
"""

import argparse
import importlib
import json
import os
import ssl
import sys
import time
from datetime import datetime, timezone

import httpx

# Time of the longest answer: the gateway holds a request as long as it is asked to.
TIMEOUT = httpx.Timeout(60)
# Preference for a request that is held (RFC 7240).
WAIT = "wait=1"


def tell(answer, **members):
    print(json.dumps({"answer": answer} | members), flush=True)


class Device:
    """A device: its identity, and the client of a generated package."""

    def __init__(self, package, options):
        self.package = package
        self.options = options
        self.models = self.module("models")
        # Tags of the twin and of the list of services that it has read.
        self.seen = self.listed = self.module("types").UNSET
        # Names of the kinds of data that it is asked for, and the batch that is not taken yet.
        self.kinds, self.batch, self.has_sent = [], None, False

    def module(self, name):
        return importlib.import_module(f"{self.package}.{name}")

    def client(self, token=None):
        """An answer that the document does not have is an error, and so is a foreign certificate."""
        options = {
            "base_url": self.options.gateway,
            "verify_ssl": ssl.create_default_context(cafile=self.options.ca),
            "timeout": TIMEOUT,
            "raise_on_unexpected_status": True,
        }
        generated = self.module("client")
        if token is None:
            return generated.Client(**options)
        return generated.AuthenticatedClient(token=token, **options)

    def ask(self, operation, expected, *arguments, **members):
        """The answer of an operation, of one of these classes; None stands for one without a body."""
        answer = self.module(f"api.{operation}").sync_detailed(*arguments, **members)
        if not isinstance(answer.parsed, expected):
            sys.exit(f"{operation}: {answer.status_code}: {answer.parsed}")
        return answer

    def find_region(self):
        place = {"country": "BR", "client": self.client()}
        region = self.ask("region.get_region", self.models.Region, **place).parsed
        tell("region", region=region.region, url=region.url)

    def register(self, token):
        """Registers with the consent of its owner, as often as it is told to wait."""
        models = self.models
        registration = models.Registration(
            serial_number=self.options.serial_number,
            product_name=self.options.product,
            ship_destination="BR",
            time_zone="America/Sao_Paulo",
            languages=["pt-BR"],
            area=models.RegistrationArea(country="BR"),
            consent=models.Consent(
                by=models.ConsentBy.PANEL,
                at=datetime.now(timezone.utc),
                text_version="2027-01",
            ),
        )
        while True:
            expected = (models.Registered, models.Pending)
            members = {"client": self.client(token), "body": registration}
            answer = self.ask("registration.register", expected, **members).parsed
            if isinstance(answer, models.Registered):
                tell("registered", device=answer.device, namespace=answer.namespace)
                return answer
            tell("pending", registration=answer.registration_id)
            # A test has no time for the interval that the answer names.
            time.sleep(min(answer.interval, 1))

    def follow_twin(self, registered, client):
        """Reads the twin, unless it is still the one that it has read, and reports that it is in effect.

        If it has moved on meanwhile, the next round reads it again.
        """
        members = {"client": client, "if_none_match": self.seen, "prefer": WAIT}
        expected = (self.models.Twin, type(None))
        answer = self.ask("device.get_twin", expected, registered.printer_id, **members)
        if answer.parsed is None:
            return
        twin, self.seen = answer.parsed, answer.headers["ETag"]
        wanted = twin.desired.settings.additional_properties
        kinds = twin.desired.data_types
        self.kinds = [kind.name for kind in kinds]
        tell(
            "twin",
            version=twin.version,
            names=sorted(wanted),
            delta=twin.delta.settings,
            kinds=[kind.to_dict() for kind in kinds],
            begins=twin.delta.data_types.add,
        )
        settings = self.models.ReportedPatchSettingsType0()
        for name, setting in wanted.items():
            settings[name] = self.in_effect(setting)
        sends = [self.models.ReportedDataTypesItem(name=it.name, period=it.period) for it in kinds]
        messages = self.models.ReportedPatchMessagesType0()
        for message in twin.desired.messages:
            state = self.models.ReportedMessageState.SHOWN
            shown = self.models.ReportedMessage(state=state, text=message.short)
            messages[message.id] = shown
        patch = self.models.ReportedPatch(
            desired_version=twin.version,
            settings=settings,
            data_types=sends,
            messages=messages,
        )
        members = {"client": client, "body": patch, "if_match": self.seen}
        expected = (type(None), self.models.PreconditionFailed)
        answer = self.ask("device.report_twin", expected, registered.printer_id, **members)
        if answer.parsed is None:
            tell("reported", version=twin.version, settings=settings.to_dict())

    def in_effect(self, setting):
        """The report of a setting that is in effect; of a secret it has no value."""
        by = self.models.SettingBy.SERVER
        if isinstance(setting, self.models.DesiredSettingType0) and not setting.secret:
            return self.models.ReportedSettingType0(value=setting.value, by=by)
        return self.models.ReportedSettingType1(secret=True, by=by)

    def list_services(self, registered, client):
        """Reads the list of services, unless it is still the one that it has read, and asks for those that
        wait for it."""
        members = {"client": client, "if_none_match": self.listed}
        expected = (self.models.Services, type(None))
        answer = self.ask("device.list_services", expected, registered.printer_id, **members)
        if answer.parsed is not None:
            self.listed = answer.headers["ETag"]
            services = answer.parsed.services
            tell("services", states={it.service_id: it.state.value for it in services})
            for service in services:
                waits = service.activation.value == "ByDevice" and service.state.value == "Inactive"
                if waits and not service.missing:
                    self.activate(service, registered, client)
            if self.kinds and any(it.state.value == "Active" for it in services):
                self.batch = self.batch or [self.event(*it) for it in enumerate(self.kinds)]

    def event(self, number, kind):
        return self.models.Event(
            specversion="1.0",
            id=f"0-{number}",
            type_=f"dev.entente.{kind}",
            time=datetime.now(timezone.utc),
            subject="black-toner",
            sequence=f"{number:0>7}",
            data={"partNumber": "TN-500K", "level": 18},
        )

    def tell_error(self, registered, client):
        """Says that the toner is empty."""
        data = self.models.ErrorData(
            state=self.models.ErrorDataState.RAISED,
            reason="toner-empty",
            order_requested=True,
            impressions=48213,
        )
        event = self.event("e", "error")
        event.data = data.to_dict()
        members = {"client": client, "body": [event]}
        expected = self.models.EventsTaken
        answer = self.ask("device.post_events", expected, registered.printer_id, **members).parsed
        tell("error", **answer.to_dict())

    def send_data(self, registered, client):
        """Sends the batch, as it is, until it is taken."""
        if self.batch is None or self.has_sent:
            return
        members = {"client": client, "body": self.batch}
        later = (self.models.ProviderUnavailable, self.models.TooManyRequests)
        expected = (self.models.EventsTaken, *later)
        answer = self.ask("device.post_events", expected, registered.printer_id, **members).parsed
        if not isinstance(answer, later):
            self.has_sent = True
            tell("events", ids=[it.id for it in self.batch], **answer.to_dict())

    def activate(self, service, registered, client):
        """Asks for a service, as often as its answer is still to come."""
        word = self.models.ActivationWord(active=True, by=self.models.ActivationWordBy.PANEL)
        while True:
            members = {"client": client, "body": word, "prefer": WAIT}
            expected = (self.models.ActivationState, self.models.ActivationPending)
            ids = (registered.printer_id, service.application_id)
            answer = self.ask("device.put_activation", expected, *ids, **members).parsed
            tell("activation", service=service.service_id, **answer.to_dict())
            if isinstance(answer, self.models.ActivationState):
                return
            # What it is turned on for may be asked of the device first.
            self.follow_twin(registered, client)


def main():
    parser = argparse.ArgumentParser(description="A device whose client is generated.")
    parser.add_argument("--package", required=True, help="folder of the generated package")
    parser.add_argument("--gateway", required=True, help="URL of the gateway")
    parser.add_argument("--ca", required=True, help="file with its certificate")
    parser.add_argument("--serial-number", required=True)
    parser.add_argument("--product", required=True)
    options = parser.parse_args()
    folder, package = os.path.split(options.package)
    sys.path.insert(0, folder)
    device = Device(package, options)
    device.find_region()
    registered = device.register(os.environ["ENROLLMENT_TOKEN"])
    client = device.client(registered.credential.token)
    device.tell_error(registered, client)
    while True:
        device.follow_twin(registered, client)
        device.list_services(registered, client)
        device.send_data(registered, client)


main()
