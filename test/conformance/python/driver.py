"""Drives sentry-sdk: python driver.py. Writes what was sent as JSON."""

import io
import json
import logging
import os
import sys
import threading
from datetime import datetime, timezone

import sentry_sdk
from sentry_sdk.transport import HttpTransport

RELEASE = f"sentry-python@{sentry_sdk.VERSION}"

TEXTS = {
    "unicode": "Grüße, 世界, 👩‍👩‍👧‍👦 \U0010ffff \u202eright to left",
    "control signs": "bell \a escape \x1b[31m tab\t line\n return\r delete \x7f",
    "NUL": "before\x00after",
    "lone surrogates": "high \ud83d low \ude00 both swapped \ude00\ud83d end \ud800",
    "quotes": "'; drop table events; -- \" \\ \\u0000 %s $1 <script>",
    "JSON": '{"message": "inner", "event_id": "00000000000000000000000000000000"}',
}

events = {}  # as they left, by id
kinds = set()
reported = []


class Recorder(HttpTransport):
    """Keeps the events in the envelopes that leave."""

    def capture_envelope(self, envelope):
        for item in envelope.items:
            kinds.add(item.type)
            if item.type in ("event", "feedback"):
                event = json.loads(item.payload.get_bytes())
                events[event["event_id"]] = event
        super().capture_envelope(envelope)


def report(name, event_id, want, top=""):
    reported.append({"name": name, "event_id": event_id or "", "want": want, "top": top})


def find(name, value, want, top=""):
    """Reports an event that the SDK captured by itself, by the message of its exception or its own."""
    found = []
    for event in events.values():
        chain = (event.get("exception") or {}).get("values") or [{}]
        if value in (chain[-1].get("value"), (event.get("logentry") or {}).get("message")):
            found.append(event)
    if len(found) != 1:
        raise RuntimeError(f"{name}: {len(found)} events say {value}")
    report(name, found[0]["event_id"], want, top)


def function_that_fails(message):
    order = {"number": 7, "lines": ["a", "b"]}  # a local variable, which the SDK sends
    if order:
        raise ValueError(message)


def caught(message, cause=None):
    try:
        try:
            function_that_fails(message)
        except ValueError as error:
            if cause:
                raise KeyError(cause) from error
            raise
    except Exception as error:  # whatever it is, it is captured
        return error


def capture():
    """Runs every scenario, each in a scope of its own."""
    new_scope, message, exception = sentry_sdk.new_scope, sentry_sdk.capture_message, sentry_sdk.capture_exception
    with new_scope():
        report("a message", message("nothing special"), {"message": "nothing special", "level": "info"})
        report("a warning", message("careful", level="warning"), {"message": "careful", "level": "warning"})
        report("an error", exception(caught("not a number")),
               {"level": "error", "exception_type": "ValueError", "exception_value": "not a number"}, "function_that_fails")
        report("an error with a cause", exception(caught("the disk is full", cause="cannot save")), {
            "exception": [{"type": "ValueError", "value": "the disk is full"}, {"type": "KeyError", "value": "'cannot save'"}]}, "caught")
        report("errors together", exception(ExceptionGroup("both failed", [caught("one of two"), RuntimeError("two of two")])),
               {"level": "error", "exception_type": "ExceptionGroup"})
    with new_scope() as scope:
        scope.set_tags({"shop": "north", "count": 3, "ready": True, "empty": ""})
        scope.set_user({"id": 17, "email": "ada@example.org", "username": "ada", "ip_address": "192.0.2.7", "plan": "gold"})
        scope.set_context("cart", {"total": 12.5, "items": [1, 2, 3], "nested": {"a": True}})
        scope.set_extra("order", {"id": 7, "lines": ["a", "b"]})
        scope.fingerprint = ["{{ default }}", "cart"]
        scope.set_transaction_name("POST /orders")
        scope.set_level("fatal")
        at = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
        scope.add_breadcrumb(category="ui", message="opened the cart", level="info", timestamp=at)
        scope.add_breadcrumb(type="http", category="http", message="asked for prices", data={"status_code": 500})
        report("with a full scope", exception(caught("with a scope")), {
            "level": "fatal", "user_id": "17", "tags": {"shop": "north", "empty": ""}, "transaction": "POST /orders",
            "user_info": {"email": "ada@example.org", "username": "ada", "ip_address": "192.0.2.7", "plan": "gold"},
            "contexts": {"cart": {"total": 12.5, "items": [1, 2, 3], "nested": {"a": True}}},
            "extra": {"order": {"id": 7, "lines": ["a", "b"]}},
            "breadcrumbs": [{"message": "opened the cart"}, {"message": "asked for prices"}],
            "client_fingerprint": ["{{ default }}", "cart"]}, "function_that_fails")
    with new_scope() as scope:
        for i in range(130):
            scope.add_breadcrumb(message=f"step {i}")
        report("more breadcrumbs than are kept", message("after many steps"), {"message": "after many steps"})
    with new_scope() as scope:
        scope.add_attachment(bytes=b'{"type":"event"}\n\x00\xff\xfe\n\n', filename="odd.bin")
        scope.add_attachment(bytes=b"", filename="empty.txt")
        report("with attachments", message("see the attachments"), {"message": "see the attachments"})
    for name, text in TEXTS.items():
        with new_scope() as scope:
            scope.set_tag("text", text)
            scope.set_extra("text", text)
            scope.add_breadcrumb(message=text, data={"text": text})
            plain = text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            report(name, message(text), {"message": plain, "tags": {"text": plain}, "extra": {"text": plain}})
    with sentry_sdk.start_transaction(name="GET /orders", op="http.server"):
        report("within a transaction", exception(caught("while it was open")), {"exception_value": "while it was open"})
    with new_scope():
        for i in range(30):
            report("one of many", message(f"number {i}"), {"message": f"number {i}"})


def capture_by_itself():
    """Lets the SDK's integrations find errors."""
    logging.getLogger("orders").error("order %s of %s is lost", 7, "Ada")
    find("an error that was logged", "order %s of %s is lost", {"message": "order 7 of Ada is lost", "logger": "orders", "level": "error"})
    try:
        function_that_fails("logged")
    except ValueError:
        logging.getLogger("orders").exception("it failed")
    find("an exception that was logged", "logged", {"exception_type": "ValueError", "message": "it failed"}, "function_that_fails")
    thread = threading.Thread(target=function_that_fails, args=("in a thread",))
    thread.start()
    thread.join()
    find("an exception of a thread", "in a thread", {"exception_type": "ValueError"}, "function_that_fails")


def main():
    sentry_sdk.init(
        dsn=os.environ["MESHER_DSN"], release=RELEASE, environment="conformance", server_name="test.example",
        transport=Recorder, max_breadcrumbs=130, traces_sample_rate=1.0, attach_stacktrace=True, send_default_pii=True, max_value_length=100_000,
    )
    said, sys.stderr = sys.stderr, io.StringIO()  # Python tells of the thread's exception, too
    capture()
    capture_by_itself()
    sentry_sdk.get_client().close(timeout=30)
    sys.stderr = said
    for event_id, event in events.items():
        if all(r["event_id"] != event_id for r in reported):
            raise RuntimeError(f"nobody reported {event_id}: {json.dumps(event)[:2000]}")
    out = [{**r, "event": events.get(r["event_id"])} for r in reported]
    json.dump({"release": RELEASE, "events": out, "kinds": sorted(kinds)}, sys.stdout)


main()
