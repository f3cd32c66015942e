"""The description of /api/v1 (OpenAPI 3.1): what each read carries, and the one change there is."""

from importlib.metadata import version
from typing import Any

from agent.history.store import LENGTHS

NODE = {
    "name": "node",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "maxLength": 64},
    "description": "Which node, where the page serves several; the first, if not said.",
}
_NS = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
FROM = {
    "name": "from_ns",
    "in": "query",
    "required": True,
    "schema": _NS,
    "description": "UTC, ns since the Unix epoch.",
}
TO = {"name": "to_ns", "in": "query", "required": True, "schema": _NS, "description": "Up to and without this instant."}
STEP = {
    "name": "step",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "enum": list(LENGTHS)},
    "description": "Resolution; the finest that gives at most 1500 rows, if not said.",
}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_OBJECT = {"type": "object"}
_OBJECTS = {"type": "array", "items": _OBJECT}
_MAYBE = {"type": ["object", "null"]}
_STATE = {"type": "string", "enum": ["LOCKED", "ARMED", "OPEN", "LATCHED", "UNKNOWN"]}
_SILENCE = {
    "type": "object",
    "required": ["state", "silent", "reason", "clause", "measured", "required", "meaning", "mend", "before"],
    "properties": {
        "state": _STATE,
        "silent": {"type": ["boolean", "null"], "description": "null: nobody can tell; treat as ON"},
        **{name: {"type": "string"} for name in ("reason", "clause", "measured", "required", "meaning", "mend")},
        "before": {"type": "string", "description": "what the last settlement came to, where the gate lacks one"},
    },
}
_STATUS = {
    "type": "object",
    "required": ["ready", "problems", "gate", "status", "base_stations"],
    "properties": {
        "ready": {"type": "boolean"},
        "problems": {"type": "object", "additionalProperties": {"type": "string"}},
        "gate": {"type": ["object", "null"]},
        "status": {"type": ["object", "null"]},
        "base_stations": {"type": ["object", "null"], "description": "as /cbsds"},
    },
}
_HISTORY = {
    "type": "object",
    "required": ["from_ns", "to_ns", "resolution", "rows"],
    "properties": {
        "from_ns": {"type": "integer"},
        "to_ns": {"type": "integer"},
        "resolution": {"type": "string", "enum": list(LENGTHS)},
        "rows": {"type": "array", "items": _OBJECT},
    },
}
_STOPPED = {
    "type": "object",
    "required": ["node", "warden", "rf", "why", "nodes"],
    "properties": {
        "node": {"type": "string"},
        "warden": _OBJECT,
        "rf": {"type": "string", "enum": ["off", "on", "unknown"]},
        "why": {"type": "string"},
        "nodes": {"type": "array"},
    },
}


def _json(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refusals(*codes: int) -> dict[str, Any]:
    said = {400: "A parameter is missing or not what it must be", 401: "No token, or not the right one",
            403: "Asked for by another page", 404: "No such node", 415: "Not JSON", 413: "Too large",
            421: "Not this page's name", 503: "Nothing is known of now, or too much is asked at once"}  # fmt: skip
    return {str(code): _json(_ERROR, said[code]) for code in codes}


def _read(what: str, schema: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    codes = (400, 404, 421, 503, *((413,) if FROM in parameters else ()))
    return {
        "get": {
            "summary": what,
            "parameters": [NODE, *parameters],
            "responses": {"200": _json(schema, what), **_refusals(*codes)},
        }
    }


def document(origin: str) -> dict[str, Any]:
    """Return the whole description for a page at an origin."""
    spectra = _read("Max hold of each stretch, binary", {}, FROM, TO, STEP)
    spectra["get"]["responses"]["200"] = {
        "description": "See docs/page.md: a head, then for each row its start (i64 ns) and one byte a bin",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
    stream = _read("Server-sent events: state, gate, event, beat", _OBJECT)
    stream["get"]["responses"]["200"] = {
        "description": "state: as /live; gate: at once; event: as the event log has it; beat: twice a second",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
    stop = {
        "post": {
            "summary": "Emergency stop: mute the radio, latch its gate, and read back on a fresh connection",
            "security": [{"token": []}],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {"node": {"type": "string", "maxLength": 64}},
                            "additionalProperties": False,
                        }
                    }
                },
            },
            "responses": {"200": _json(_STOPPED, "What reads back"), **_refusals(400, 401, 403, 404, 413, 415, 421)},
        }
    }
    nodes = {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "bandpact", "version": version("bandpact"), "license": {"name": "Apache-2.0"}},
        "servers": [{"url": origin}],
        "paths": {
            "/api/v1/nodes": {
                "get": {
                    "summary": "The nodes this page serves",
                    "responses": {"200": _json(nodes, "Their names"), **_refusals(421)},
                }
            },
            "/api/v1/status": _read("What `bandpact status --json` prints", _STATUS),
            "/api/v1/clock": _read("What `bandpact clock watch --json` prints, once", _OBJECT),
            "/api/v1/auctions": _read("Auctions, as `bandpact auction show --json` has them", _OBJECTS),
            "/api/v1/approvals": _read("REQUESTs that a group has to approve before their GRANT", _OBJECTS),
            "/api/v1/handovers": _read("Leases that change hands: given and received", _OBJECTS),
            "/api/v1/disputes": _read("Disputes, as `bandpact dispute show --json` has them", _OBJECTS),
            "/api/v1/jurisdictions": _read("The jurisdictions of the rule in force", _OBJECTS),
            "/api/v1/cbsds": _read("What `bandpact cbsd status --json` prints; null: none below this node", _MAYBE),
            "/api/v1/silence": _read("Why the radio is silent now, and the mend", _SILENCE),
            "/api/v1/reasons": {
                "get": {
                    "summary": "Each reason of the gate: what it means, and the mend",
                    "responses": {"200": _json(_OBJECT, "Reason to [meaning, mend]"), **_refusals(421)},
                }
            },
            "/api/v1/live": _read("All that the page shows, at once", _OBJECT),
            "/api/v1/history": _read("What `bandpact history show --json` prints", _HISTORY, FROM, TO, STEP),
            "/api/v1/lanes": _read("What the time lanes are drawn from, short", {"type": "array"}, FROM, TO, STEP),
            "/api/v1/spectra": spectra,
            "/api/v1/events": _read("What happened, offers and settlements among it", {"type": "array"}, FROM, TO),
            "/api/v1/stream": stream,
            "/api/v1/stop": stop,
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }
