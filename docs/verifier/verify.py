"""A second verifier for bandpact, written from protocol.md and bandpact.cddl alone; it reads their tables at run time.

    verify.py admission|artifact|credential|bundle|inclusion|consistency|checkpoint|cosignature FILE.json
    verify.py bundle FILE.bundle --network NAME --anchor HEX
    verify.py mutate artifact.json --count N --seed S [--out FILE]
"""
import argparse, base64, cbor2, contextlib, hashlib, json, math, operator, pathlib, random, re, sys, types
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HERE, DAY, Box = pathlib.Path(__file__).resolve().parent, 86400 * 10**9, types.SimpleNamespace
sys.path.append(str(HERE)); import market  # leases that changed hands, decisions of a group, wholes
ACTIONS = {"admission": "issue", "revocation": "issue", "rule": "rule", "schema": "rule", "ruling": "rule",
    "declaration": "offer", "coordination": "coordinate", "counter": "offer request", "dispute": "grant request coordinate audit",
    **dict.fromkeys("envelope gate verdict evidence checkpoint cosignature ballot outcome".split(), "observe"),
    **dict.fromkeys("grant confirm abort renew suspend resume preempt compensation consent answer".split(),
    "grant request"), "members": "rule", "fallback": "grant", "proposal": "offer grant", "tally": "offer grant",
    **dict.fromkeys("intent request accept relinquish usage handover vacated reveal bid".split(), "request")}
DIRECTIVES = {"rule", "schema", "admission", "revocation", "ruling", "members"}
ANY_ROAD = DIRECTIVES | {"rotation"}  # these need not come over their author's own transport key
OF_OLD = set("renew suspend resume relinquish preempt compensation fallback usage dispute".split())  # judged whoever is in force
LATE = set("confirm abort suspend preempt compensation relinquish".split())  # may be older than the rule allows
RESPONSES = ["record only", "consider", "obey after check", "obey"]
FINEST_NS, FINEST_MM = {1: 100, 2: 1000, 3: 10000}, {1: 500, 2: 1}  # what a source is believed at best
CDDL, PAGE = (HERE.parent / "bandpact.cddl").read_text(), (HERE.parent / "protocol.md").read_text()
# the maps of the grammar: name -> {key: (field, optional, type)}; a type is the text of the grammar
GRAMMAR = {name: {int(key): (field or "body", bool(optional), kind) for optional, key, kind, field in
    re.findall(r"^  (\? )?(-?\d+) => (.*?),(?: ; (\w+).*)?$", inside, re.M)} for name, inside in
    re.findall(r"^([a-z-]+) = \{\n(.*?)^\}", CDDL, re.M | re.S)}
# what the meaning table allows: (type, field) -> (low, high)
BOUNDS = {(re.sub(r"(?<!^)([A-Z])", r"-\1", kind).lower(), field): (int(low), int(high)) for low, high, fields in
    re.findall(r"^\| (-?\d+) to (-?\d+) \| (.*) \|$", PAGE, re.M) for kind, field in re.findall(r"`?(\w+)`?\.(\w+)",
    fields)}
TYPES = {name.removesuffix("-payload") for name in GRAMMAR if name.endswith("-payload")}
ORDER = {"band": ("low_hz", "high_hz"), "window": ("start_ns", "end_ns"), "class-terms": ("price_low", "price_high"),
    "declaration": ("tier_low", "tier_high"), "axis": ("low", "high"), "quantity": ("low", "value", "high")}
class Refused(Exception): """Why something is refused: a reason of the page, and the clause where it failed."""
def need(*pairs):  # Refuse for the first 'REASON clause' that stands behind a condition that does not hold
    for holds, why in zip(pairs[::2], pairs[1::2]):
        if not holds: raise Refused(*why.split(" ", 1))
def needs(prefix, **holds):  # Refuse unless each of the conditions holds; their names end the clause
    for name, each in holds.items(): need(each, prefix + name.replace("_", "."))
def renamed(reason, clause, check, *args):
    """What a check returns; its refusals get another clause, and another reason where one is given."""
    try: return check(*args)
    except Refused as refusal: raise Refused(reason or refusal.args[0], clause) from None
sha = lambda *parts: hashlib.sha256(b"".join(parts)).digest()  # the name of everything here
aad = lambda network, *parts: b"".join((b"bandpact/1/", network.encode(), *parts))  # what is signed begins with it
# ---- CBOR in its one form
class Scan:  # A reader of the only CBOR that is allowed: shortest, ascending, nothing twice, no floats, tags or nulls
    def __init__(self, data, at=0):
        self.data, self.at = data, at
    def take(self, count):  # The next bytes, all of them or none
        need(self.at + count <= len(self.data), "MALFORMED cbor.truncated"); self.at += count
        return self.data[self.at - count:self.at]
    def head(self):  # Major type and argument of the next item, in the shortest form there is
        major, low = divmod(self.take(1)[0], 32)
        need(major < 6, "FORBIDDEN_TYPE cbor.type", low not in (28, 29, 30), "MALFORMED cbor.reserved", low != 31,
            "NONCANONICAL cbor.indefinite")
        number = low if low < 24 else int.from_bytes(self.take(1 << (low - 24)), "big")
        need(low < 24 or number >= (24, 1 << 8, 1 << 16, 1 << 32)[low - 24], "NONCANONICAL cbor.length")
        return major, number
    def item(self, depth=1, negative=False):
        """The next value. Map keys are unsigned integers, or negative ones inside a COSE_Key."""
        major, number = self.head()
        if major < 2: return -1 - number if major else number
        if major == 2: return self.take(number)
        if major == 3:
            try: return self.take(number).decode()
            except UnicodeDecodeError: raise Refused("MALFORMED", "cbor.utf8") from None
        need(depth <= 8, "TOO_LARGE cbor.depth")
        if major == 4: return [self.item(depth + 1, negative) for _ in range(number)]
        found, last = {}, b""
        for _ in range(number):
            start, (sort, key) = self.at, self.head()
            need(sort == 0 or negative and sort == 1, "FORBIDDEN_TYPE cbor.key"); raw = self.data[start:self.at]
            need(raw != last, "MALFORMED cbor.duplicate", raw > last, "NONCANONICAL cbor.order")
            last, found[-1 - key if sort else key] = raw, self.item(depth + 1, negative)
        return found
def decode(data, negative=False, clause="cbor.trailing"):  # One value that fills the bytes
    scan = Scan(data); value = scan.item(negative=negative); need(scan.at == len(data), "MALFORMED " + clause)
    return value
# ---- the form and the meaning of values
def shaped(value, kind, path):
    """The value in the form of the grammar, maps as objects with the names of their fields; MALFORMED otherwise."""
    why = "MALFORMED schema." + path
    if kind in GRAMMAR:
        need(isinstance(value, dict) and set(value) <= set(GRAMMAR[kind]), why); made = Box(_kind=kind, _raw=value)
        for key, (field, optional, inner) in GRAMMAR[kind].items():
            need(optional or key in value, f"{why}.{field}")
            setattr(made, field, shaped(value[key], inner, f"{path}.{field}") if key in value else None)
        need(kind != "attestation" or made.earliest_ns <= made.latest_ns, why)
        circle = [made.lat_e7, made.lon_e7, made.radius_mm] if kind == "area" else []
        need(kind != "area" or (circle == [None] * 3 if made.outline else None not in circle), why); return made
    if kind[0] == "{": return value  # the key of a credential, looked at in claims_of
    many = re.match(r"\[(\d+)\*(\d+) (.*)\]$", kind)
    if many:
        need(isinstance(value, list) and int(many[1]) <= len(value) <= int(many[2]), why)
        return [shaped(each, many[3], path) for each in value]
    numbers, sort = [int(n) for n in re.findall(r"-?\d+", kind)], {"b": bytes, "t": str}.get(kind[0], int)
    need(type(value) is sort, why)
    need(numbers[0] <= (value if sort is int else len(value.encode() if sort is str else value)) <= numbers[-1], why)
    return value
def bounded(value, kind, path):
    """What a map's values can mean by the page's table, and its fields to one another; TERMS otherwise."""
    for field, inner in list(vars(value).items()):
        for each in inner if isinstance(inner, list) else [inner]:
            low, high = BOUNDS.get((kind, field), (None, None))
            need(low is None or each is None or low <= each <= high, f"TERMS {path}.{field}")
            if isinstance(each, Box): bounded(each, each._kind, f"{path}.{field}")
    got = [getattr(value, name) for name in ORDER.get(kind, ())]
    need(None in got or got == sorted(got) and (kind != "band" or got[0] < got[1]), "TERMS " + path)
def meaningful(record):  # What the values of a record can mean, asked right behind its signature
    body, kind, seen, path = record.body, record.type, record.attestation, "meaning." + record.type
    bounded(body, kind, path)
    window = getattr(body, "effective", None) or (body.window if kind == "admission" else None)
    need(seen.time_source <= 4 and seen.position_source <= 3, "TERMS meaning.attestation", not window or window.start_ns
        < window.end_ns <= window.start_ns + 7320 * DAY, f"TERMS {path}.window", kind != "revocation" or
        body.fresh_until_ns <= seen.latest_ns + 7320 * DAY, f"TERMS {path}.fresh_until_ns")
    if hasattr(body, "cell") and kind != "grant":
        start, end = body.cell.window.start_ns, body.cell.window.end_ns
        need(start < end <= start + 366 * DAY and start <= seen.latest_ns + 366 * DAY, f"TERMS {path}.cell.window")
    if kind == "envelope":
        last, shares = seen.latest_ns + 31 * DAY, [each.occupancy_ppm for each in body.channels if each.occupancy_ppm]
        needs("TERMS meaning.envelope.", level_ppm=1 <= body.level_ppm <= 999999 + (body.kind == "unit"),
            observed=body.observed.end_ns - body.observed.start_ns <= 31 * DAY, valid_until_ns=body.observed.end_ns <=
            body.valid_until_ns <= last, channels=all(0 <= share.low and share.high <= 10**6 for share in shares))
# ---- COSE, headers, signatures
P25519 = 2**255 - 19
LOW_ORDER = {0, 1, P25519 - 1, 2707385501144840649318225287225658788936804267575313519463743609750303402022,
             55188659117513257062467267217118295137698188065244968500265048394206261417927}  # their y
def good_key(key):  # True for a canonical encoding of a point of the curve that is not of low order
    y = int.from_bytes(key, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(1 + 121665 * pow(121666, -1, P25519) * -y * y, -1, P25519) % P25519
    return y < P25519 and y not in LOW_ORDER and pow(square, P25519 // 2, P25519) == 1
def signed(key, signature, message):  # True when the Ed25519 signature over the message is the key's
    try: Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature: return False
    return True
def claims_of(value):  # The CWT claims of a credential with its key; HEADER otherwise
    claims = renamed("HEADER", "credential.claims", shaped, value, "claims", "claims")
    key = claims.cnf.get(1) if isinstance(claims.cnf, dict) and len(claims.cnf) == 1 else None
    claims.key = key.get(-2) if isinstance(key, dict) else None
    need(type(claims.key) is bytes and len(claims.key) == 32 and key == {1: 1, -1: 6, -2: claims.key},
        "HEADER credential.cnf")
    need(good_key(claims.key), "KEY credential.key"); return claims
def parse(data, network, kinds=TYPES, clause="record.typ"):
    """A record in form: COSE_Sign1, header, frame, body and network. Its signature is asked later."""
    need(len(data) <= 65536, "TOO_LARGE cose.size", data[:2] == b"\xd2\x84", "MALFORMED cose.structure")
    scan, parts = Scan(data, 2), []
    for name, major in (("protected", 2), ("unprotected", 5), ("payload", 2), ("signature", 2)):
        first = data[scan.at:scan.at + 2]
        need(first and first[0] >> 5 == major, "MALFORMED cose." + name, major == 2 or first != b"\xa1\x01",
            "ALG cose.unprotected", major == 2 or first[0] == 0xa0, "HEADER cose.unprotected")
        parts.append(renamed(None, "cose." + name, scan.item))
    need(scan.at == len(data), "MALFORMED cose.trailing", len(parts[3]) == 64, "MALFORMED cose.signature")
    header = decode(parts[0], negative=True); need(isinstance(header, dict), "MALFORMED cose.protected")
    kind = str(header.get(16)).removeprefix("bandpact/")
    need(2 not in header, "CRIT cose.crit", header.get(1) == -8, "ALG cose.alg", set(header) <= {1, 4, 15, 16},
        "HEADER cose.label", type(header.get(4)) is bytes and len(header[4]) == 16, "KEY cose.kid", header.get(16) ==
        "bandpact/" + kind and kind in TYPES, "TYPE record.typ", kind in kinds, "TYPE " + clause)
    payload = decode(parts[2])
    need(isinstance(payload, dict) and 6 in payload, "MALFORMED record.payload", (15 in header) == (kind ==
        "credential"), "HEADER record.claims")
    claims = claims_of(header[15]) if kind == "credential" else None; frame = shaped(payload, kind + "-payload", kind)
    need(frame.seq >= 1 and (frame.author or kind == "credential"), "MALFORMED record.frame", frame.network == network,
        "DOMAIN record.network")
    frame.body.eirp = getattr(frame.body, "eirp_mdbm", getattr(frame.body, "max_eirp_mdbm", None))
    to_sign = cbor2.dumps(["Signature1", parts[0], aad(network), parts[2]])
    return Box(name=sha(data), data=data, kid=header[4], type=kind, claims=claims, to_sign=to_sign, signature=parts[3],
        network=network, author=frame.author, attestation=frame.attestation, body=frame.body, seq=frame.seq)
def verify_signature(record, key, clause="integrity.3"):
    """kid is the key's, the signature holds, and the values can be meant. A rotation by another key is ROTATION."""
    turn = record.type == "rotation"
    need(record.kid == sha(key)[:16], ("ROTATION " if turn else "KEY ") + clause, signed(key, record.signature,
        record.to_sign), "ROTATION integrity.3" if turn else "SIGNATURE cose.signature")
    meaningful(record)
def take(data, network, kinds, people, clause="record.typ"):
    """A record of these types, well signed by one of these people."""
    record = parse(data, network, kinds, clause); need(record.author in people, "UNKNOWN_AUTHOR integrity.2")
    verify_signature(record, people[record.author].claims.key); return record
# ---- places on WGS-84, all lengths in millimetres
MAJOR, SQUARE, EDGE = 6378137000.0, 0.00669437999014, 20.0  # half axis, squared eccentricity, undecided margin
def space(point):  # A point (degrees x 1e7) in space, with its directions of east and north
    lat, lon = (math.radians(each / 1e7) for each in point)
    up = (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))
    normal = MAJOR / math.sqrt(1 - SQUARE * up[2] ** 2)
    return ((normal * up[0], normal * up[1], normal * (1 - SQUARE) * up[2]), (-math.sin(lon), math.cos(lon), 0.0),
        (-up[2] * math.cos(lon), -up[2] * math.sin(lon), math.cos(lat)))
def inverse(one, two):
    """Distance and direction (east, north, length one): the chord, bent by the ellipsoid's curvature that way."""
    (start, east, north), (end, *_) = space(one), space(two); chord = [b - a for a, b in zip(start, end)]
    x, y = (sum(a * b for a, b in zip(chord, each)) for each in (east, north))
    level, part = math.hypot(x, y) or 1.0, 1 - SQUARE * math.sin(math.radians((one[0] + two[0]) / 2e7)) ** 2
    x, y = x / level, y / level
    bend = x * x * math.sqrt(part) / MAJOR + y * y * part**1.5 / MAJOR / (1 - SQUARE) or 1 / MAJOR
    return 2 / bend * math.asin(min(1.0, math.hypot(*chord) / 2 * bend)), x, y
def flat_sides(origin, corners):
    """The sides of an outline on the gnomonic map around an origin, where geodesics are straight (20 mm in 100 km)."""
    radius = MAJOR * math.sqrt(1 - SQUARE) / (1 - SQUARE * math.sin(math.radians(origin[0] / 1e7)) ** 2)
    ways = [inverse(origin, (each.lat_e7, each.lon_e7)) for each in corners]
    ring = [tuple(radius * math.tan(min(length / radius, 1.5)) * way for way in (x, y)) for length, x, y in ways]
    return list(zip(ring, ring[1:] + ring[:1]))
def disc(point, radius, area):
    """1 when a disc is wholly inside an area, -1 when wholly outside, 0 when that is undecided."""
    if not area.outline:
        length = inverse(point, (area.lat_e7, area.lon_e7))[0]
        room, slop = area.radius_mm - length, 0.01 + 4e-24 * length**3  # how wrong the distance may be
        return 1 if radius <= room + min(slop, 1.0) else -1 if radius < -room - slop else 0
    inside, nearest = False, math.inf
    for (x1, y1), (x2, y2) in flat_sides(point, area.outline):
        inside ^= (y1 > 0) != (y2 > 0) and x1 - y1 * (x2 - x1) / (y2 - y1) > 0
        square = (x2 - x1) ** 2 + (y2 - y1) ** 2 or 1.0
        part = min(1.0, max(0.0, -(x1 * (x2 - x1) + y1 * (y2 - y1)) / square))
        nearest = min(nearest, math.hypot(x1 + part * (x2 - x1), y1 + part * (y2 - y1)))
    return 0 if nearest < radius + EDGE else 1 if inside else -1
def within(inner, outer):
    """True when one area surely lies inside another; two outlines that differ are never decided here."""
    points = [(each.lat_e7, each.lon_e7) for each in inner.outline or [inner]]
    return bool(inner.outline and inner._raw == outer._raw) or not (inner.outline and outer.outline) and all(disc(each,
        inner.radius_mm or 0, outer) == 1 for each in points)
# true when two areas may share a place; undecided counts, so an outline always does
overlap = lambda one, two: one.outline or two.outline or disc((one.lat_e7, one.lon_e7), one.radius_mm, two) != -1
in_bands = lambda band, bands: any(b.low_hz <= band.low_hz and band.high_hz <= b.high_hz for b in bands)  # inside one
def inside(scope, bands, areas, classes, tier, eirps, clause, reasons=("TIER", "POWER")):
    """Everything asked for lies inside a scope: SCOPE, or TIER or POWER, otherwise."""
    need(all(in_bands(each, scope.bands) for each in bands), f"SCOPE {clause}.band", all(within(each, scope.area) for
        each in areas), f"SCOPE {clause}.area", set(classes) <= set(scope.classes), f"SCOPE {clause}.class", tier >=
        scope.tier, f"{reasons[0]} {clause}.tier", all(each <= scope.max_eirp_mdbm for each in eirps),
        f"{reasons[1]} {clause}.eirp")
# ---- credentials
def check_credential(data, network, anchors, known):
    """A credential that is good by its issuer among those known, or an anchor; with its chain, root first."""
    record = parse(data, network, ["credential"])
    claims, scope, issuer = record.claims, record.body.scope, known.get(record.author)
    need(record.author or record.name in anchors, "UNKNOWN_AUTHOR credential.anchor", issuer or not record.author,
        "UNKNOWN_AUTHOR credential.issuer")
    verify_signature(record, (issuer or record).claims.key, "cose.kid")
    record.chain = (issuer.chain if issuer else []) + [record]
    if issuer:
        above, scope.eirp, levels = issuer.body.scope, scope.max_eirp_mdbm, [each.body.level for each in issuer.chain]
        need(claims.iss == issuer.claims.sub, "SCOPE credential.iss", "issue" in above.actions,
            "SCOPE credential.issue", issuer.claims.nbf <= claims.nbf and claims.exp <= issuer.claims.exp,
            "SCOPE scope.time")
        inside(above, scope.bands, [scope.area], scope.classes, scope.tier, [scope.eirp], "scope", ["SCOPE"] * 2)
        needs("SCOPE scope.", actions=set(scope.actions) <= set(above.actions), depth=scope.depth < above.depth,
            level=record.body.level == levels[-1] or record.body.level not in levels)
    return record
def check_all(chain, network, anchors, linked=False):
    """Credentials in order, by name, and the last of them; in a chain each is issued by the one right before it."""
    known, last = {}, None
    for data in chain:
        last = check_credential(data, network, anchors, known); known = {**({} if linked else known), last.name: last}
    return known, last
# ---- the clauses of admission
def check_level(record, author, rule):
    """capability 7: the level admits the type, its response acts on it, and no level outgrows the one that gave it."""
    levels = [next((e for e in rule.levels if e.name == c.body.level), None) for c in author.chain]
    rank = [RESPONSES.index(each.response) if each and each.response in RESPONSES else -1 for each in levels]
    need(levels[-1] and record.type in levels[-1].admits, "SCOPE capability.7", rank[-1] >= (2 if record.type in
        DIRECTIVES else 1), "SCOPE capability.7.response")
    for i in range(1, len(levels)):
        need(-1 < rank[i] <= rank[i - 1] and levels[i].weight_ppm <= levels[i - 1].weight_ppm, "SCOPE capability.7")
    return rank[-1]
def check_place(record, area, clause):  # The whole disc of the attested position is inside an area
    seen = record.attestation
    found = disc((seen.lat_e7, seen.lon_e7), max(seen.radius_mm, FINEST_MM.get(seen.position_source, 0)), area)
    need(found != -1, "SPATIAL_OUTSIDE " + clause, found == 1, "SPATIAL_UNDECIDED " + clause)
def check_scope(record, author):  # capability 8: everything that a record asks for is inside its author's scope
    scope, body, kind = author.body.scope, record.body, record.type
    bands, areas = ([body.cell.band], [body.cell.area]) if hasattr(body, "cell") else ([], [])
    classes = [body.commodity] if hasattr(body, "commodity") else body.classes if kind == "admission" else []
    eirps = [] if kind == "envelope" or body.eirp is None else [body.eirp]
    if kind == "rule":
        bands, areas, classes = body.bands, [body.area], [each.name for each in body.classes]
        eirps = [each.max_eirp_mdbm for each in body.classes]
    if kind == "envelope": bands = [each.band for each in body.channels if body.kind != "unit"]
    inside(scope, bands, areas, classes, getattr(body, "tier", getattr(body, "tier_low", 255)), eirps, "capability.8")
    if kind == "envelope":
        heard, clear = body.sensitivity_mdbm, {e.clear_above_mdbm for e in body.channels} - {None}
        need(not clear or heard is not None and heard <= min(clear), "CONFIDENCE confidence.8.sensitivity")
    need(kind != "grant" or "grant" in scope.actions or body.handover is not None, "SCOPE capability.8.grant")
    if kind in ("accept", "envelope"): check_place(record, scope.area, "capability.8.place")
def check_confidence(record, author, rule):
    """confidence 9: time and place come from sources that the rule accepts, within its bounds."""
    seen, desk = record.attestation, record.type in ANY_ROAD and author.body.transport_key is None and rule.desk
    terms, radius = desk or rule, max(seen.radius_mm, FINEST_MM.get(seen.position_source, 0))
    half = max(-(-(seen.latest_ns - seen.earliest_ns) // 2), FINEST_NS.get(seen.time_source, 0))
    needs("TIME_UNTRUSTED confidence.9.", source=seen.time_source in terms.time_sources, bound=half <=
        terms.time_bound_ns_max)
    needs("POSITION_UNTRUSTED confidence.9.", place=seen.position_source in terms.position_sources, radius=radius <=
        terms.position_radius_mm_max)
def check_span(earliest, latest, low, high, clause):
    """An interval lies in [low, high): EXPIRED, NOT_YET or TIME_UNDECIDED otherwise."""
    need(earliest < high, "EXPIRED " + clause, latest >= low, "NOT_YET " + clause, low <= earliest and latest < high,
        "TIME_UNDECIDED " + clause)
def check_signing(record, author, rule):  # It was signed inside the credential's life and the rule's window
    span, claims = (record.attestation.earliest_ns, record.attestation.latest_ns), author.claims
    check_span(*span, claims.nbf * 10**9, claims.exp * 10**9, "credential.validity")
    check_span(*span, rule.effective.start_ns, rule.effective.end_ns, "disposition.11")
def class_of(rule, name, clause):  # The terms of a class by its name
    found = [each for each in rule.classes if each.name == name] or [None]
    need(found[0], "TERMS " + clause); return found[0]
def check_status(author, case, known, must=False):
    """Neither the author nor anyone above is revoked, by fresh lists wherever a credential has an index."""
    for each in author.chain[1:]:
        line, index, lists = {each.author}, each.body.status_index, []
        need(not must or index is not None, "SCOPE capability.7.response")
        for old, new in case["successions"] * len(case["successions"]):
            line |= {old, new} if {old, new} & line else set()
        for record in [parse(data, each.network, ["revocation"]) for data in case["status_lists"] if index is not None]:
            if record.author in line and record.author in known:
                verify_signature(record, known[record.author].claims.key); lists.append(record.body)
        newest = max(lists, key=lambda body: body.version, default=None)
        need(newest or index is None, "STATUS_UNKNOWN status.list", not any(index // 8 < len(body.bits) and
            body.bits[index // 8] >> index % 8 & 1 for body in lists), "REVOKED status.revoked", not lists or index // 8
            < len(newest.bits), "STATUS_UNKNOWN status.index", not lists or case["now"]["latest_ns"] <
            newest.fresh_until_ns, "STATUS_UNKNOWN status.stale")
def check_admission(case):  # Whether a node takes a record: every clause of the page's table, in its order
    network, data, span = case["network"], case["input"], tuple(case.get("now", {}).values())[:2]
    record = parse(data, network, TYPES if "now" in case else ["credential"])
    known = check_all(case["credentials"], network, case["anchors"])[0]
    if record.type == "credential": return check_credential(data, network, case["anchors"], known)
    in_force, author = parse(case["rule"]["record"], network, ["rule"]), known.get(record.author)
    rule, kind, body, seen = in_force.body, record.type, record.body, record.attestation
    need(author, "UNKNOWN_AUTHOR integrity.2"); verify_signature(record, author.claims.key)
    if kind == "rotation":
        new = parse(body.successor, network)
        keeps = operator.attrgetter("claims.sub", "body.device", "body.transport_key")
        message = aad(network, b"/rotation", author.name, new.name)
        need(new.claims and signed(new.claims.key, body.proof, message) and keeps(new) == keeps(author),
            "ROTATION integrity.3")
    own_road, wanted = case["over"] and case["over"] == author.body.transport_key, set(ACTIONS.get(kind, "").split())
    need(kind in ANY_ROAD or own_road, "TRANSPORT_BINDING integrity.4", not wanted or wanted &
        set(author.body.scope.actions), "SCOPE capability.6")
    if check_level(record, author, rule) == 2 and kind in DIRECTIVES: check_status(author, case, known, must=True)
    check_scope(record, author); check_confidence(record, author, rule); check_signing(record, author, rule)
    named, old = getattr(body, "rule", None), span[0] - seen.latest_ns > rule.record_age_ns_max and kind not in LATE
    need(named in (None, in_force.name) or kind in ("dispute", "ruling"), "RULE_UNKNOWN disposition.11")
    offer = kind in ("declaration", "intent", "counter")
    terms = class_of(rule, body.commodity, "disposition.13.class") if offer else None
    need(not terms or terms.price_low <= body.price <= terms.price_high, "PRICE disposition.13.price", kind != "counter"
        or 1 <= body.round <= (terms.rounds_max or 0), "ROUNDS disposition.13.rounds", kind != "envelope" or
        body.valid_until_ns <= seen.latest_ns + (rule.validity_ns_max or 31 * DAY), "TERMS disposition.13.validity")
    if kind in ("request", "intent"): check_place(record, body.cell.area, "disposition.place")
    if kind not in OF_OLD:
        need(case["now"]["trusted"], "TIME_UNTRUSTED credential.validity")
        check_span(*span, author.claims.nbf * 10**9, author.claims.exp * 10**9, "credential.validity")
        check_status(author, case, known); succeeded = author.name in [old for old, _ in case["successions"]]
        need(not succeeded or kind in ("confirm", "abort", "rotation"), "ROTATION capability.5")
    need(seen.earliest_ns <= span[1], "NOT_YET confidence.10", kind != "envelope" or span[1] < body.valid_until_ns,
        "STALE confidence.10.valid", not old, "STALE confidence.10", not case["seen"], "REPLAY disposition.12",
        case["other_with_its_number"] in (None, record.name), "EQUIVOCATION disposition.12.seq")
# ---- logs: RFC 9162 trees, C2SP checkpoints and witnesses
B64 = r"((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)"
def fold(seed, path, index, inner, right_only=False):
    """A hash carried up a path; below `inner` the bits of the index say on which side the path's hash stands."""
    for level, each in enumerate(path):
        if level >= inner or index >> level & 1: seed = sha(b"\x01", each, seed)
        elif not right_only: seed = sha(b"\x01", seed, each)
    return seed
def root_of(leaves):  # The root over leaf hashes
    if len(leaves) < 2: return leaves[0] if leaves else sha()
    half = 1 << (len(leaves) - 1).bit_length() - 1; return sha(b"\x01", root_of(leaves[:half]), root_of(leaves[half:]))
def check_inclusion(leaf, index, size, path, root):  # A leaf hash is at an index of a tree of that size and root
    inner = (index ^ (size - 1)).bit_length()
    needs("PROOF merkle.", hash=all(len(each) == 32 for each in (leaf, root, *path)), index=index < size, length=size <
        1 or len(path) == inner + (index >> inner).bit_count())
    need(fold(leaf, path, index, inner) == root, "ENTRY_MISMATCH merkle.root")
def check_consistency(old, new, old_root, new_root, path):  # A tree of the new size begins with the tree of the old one
    need(0 < old <= new, "PROOF merkle.size"); shift, same = (old & -old).bit_length() - 1, old == new
    inner, seeded = ((old - 1) ^ (new - 1)).bit_length() - shift, old != 1 << shift
    length = 0 if same else seeded + inner + ((old - 1) >> shift + inner).bit_count()
    need(len(path) == length, "PROOF merkle.length", not same or old_root == new_root, "FORK merkle.same_size")
    seed, rest, mask = path[0] if seeded and path else old_root, path[seeded:], (old - 1) >> shift
    need(same or fold(seed, rest, mask, inner, True) == old_root and fold(seed, rest, mask, inner) == new_root,
        "FORK merkle.consistency")
def read_note(note):  # A checkpoint's text, origin, size, root, and its signature lines as (name, bytes)
    text, _, rest = note.partition("\n\n")
    found = re.fullmatch(r"([^\n]+)\n(0|[1-9]\d{0,18})\n" + B64, text)
    lines = [re.fullmatch(r"— ([^\s+]+) " + B64, line) for line in rest[:-1].split("\n")]
    coded = [found[3] if found else "", *(line[2] if line else "" for line in lines)]
    root, *signs = (b * (base64.b64encode(b) == t.encode()) for t, b in zip(coded, map(base64.b64decode, coded)))
    need(len(root) == 32 and len(rest) > 1 and rest[-1] == "\n", "MALFORMED checkpoint.form")
    return text + "\n", found[1], int(found[2]), root, [(m[1] if m else "", b) for m, b in zip(lines, signs)]
mark = lambda name, sort, key: sha(name.encode(), b"\n", bytes([sort]), key)[:4]  # a line's begin: 1 log, 4 witness
origin_of = lambda network, key: f"bandpact/{network}/{sha(key)[:16].hex()}"  # the name of a node's log
def check_checkpoint(note, key, origin=None):
    """A checkpoint is signed in its first line by the key of the log that it is of: size, root, other lines."""
    text, name, size, root, ((first, line), *lines) = read_note(note)
    need(first == name == (origin or name) and line[:4] == mark(name, 1, key), "KEY checkpoint.key", signed(key,
        line[4:], text.encode()), "SIGNATURE checkpoint.signature")
    return size, root, lines
def check_cosignature(note, name, key):  # A witness has cosigned a checkpoint (cosignature/v1)
    text, *_, lines = read_note(note)
    found = [line for who, line in lines if who == name and line[:4] == mark(name, 4, key) and len(line) == 76]
    need(found, "UNWITNESSED cosignature.line")
    message = f"cosignature/v1\ntime {int.from_bytes(found[0][4:12], 'big')}\n{text}"
    need(signed(key, found[0][12:], message.encode()), "SIGNATURE cosignature.signature")
# ---- artifacts
def check_grant_terms(grant, rule, terms, holder, user):  # The GRANT against its class, the rule and both credentials
    body, seen, cell = grant.body, grant.attestation, grant.body.cell
    start, end, lows = cell.window.start_ns, cell.window.end_ns, cell.band.low_hz % terms.raster_hz
    lives = [e.claims.nbf * 10**9 <= start and end <= e.claims.exp * 10**9 for e in (holder, user)]
    needs("TERMS terms.", raster=not lows and not cell.band.high_hz % terms.raster_hz, window=0 < end - start <=
        terms.max_window_ns and not start % terms.time_unit_ns and not end % terms.time_unit_ns)
    needs("SCOPE terms.rule.", band=in_bands(cell.band, rule.bands), area=within(cell.area, rule.area))
    inside(user.body.scope, [cell.band], [cell.area], [body.commodity], body.tier, [body.eirp], "terms.user")
    need(body.eirp <= terms.max_eirp_mdbm, "POWER terms.eirp", terms.price_low <= body.price <= terms.price_high,
        "PRICE terms.price", body.accept_by_ns <= seen.latest_ns + terms.accept_ns, "TERMS terms.accept_by",
        body.accept_by_ns <= body.confirm_by_ns <= body.accept_by_ns + terms.confirm_ns, "TERMS terms.confirm_by", 0 <
        body.lease_ns <= terms.lease_ns, "LEASE terms.lease", lives[0], "SCOPE terms.holder.life", lives[1],
        "SCOPE terms.user.life", terms.max_ahead_ns is None or start <= seen.earliest_ns + terms.max_ahead_ns,
        "TERMS request.ahead")
def narrower(below, above):  # The cell and class of a record are no wider than those of the record that it comes from
    one, two = getattr(below, "cell", None), getattr(above, "cell", None)
    return not one or not two or (in_bands(one.band, [two.band]) and within(one.area, two.area) and below.commodity ==
        above.commodity and two.window.start_ns <= one.window.start_ns and one.window.end_ns <= two.window.end_ns)
def check_recognition(nodes, at, deal, depth=1):  # A node of a class's recognition tree holds for a deal
    need(at < len(nodes) and depth <= 3 and all(part > at for part in nodes[at].parts or ()), "RULE_UNKNOWN tree")
    here, record, names, failed = nodes[at], deal.grant, [], []
    if here.kind == "handshake":
        answer = sha(b"bandpact/1/answer", record.body.challenge, record.name)
        need(deal.accept.body.answer == answer, "CHALLENGE recognition.handshake")
    elif here.kind == "content":
        request = deal.derivation.get(record.body.request)
        need(request and request.type == "request", "PROOF recognition.content")
        for field in here.fields or ():
            get = operator.attrgetter("cell." * (field in ("band", "area", "window")) + field)
            one, two = (getattr(get(each.body), "_raw", get(each.body)) for each in (record, request))
            need(one == two, "TERMS recognition.content")
    elif here.kind == "derivation":
        for kind in here.fields or ():
            names.append(getattr(record.body, kind, None))
            above = deal.rule if names[-1] == deal.rule.name else deal.derivation.get(names[-1])
            owner = {"request": deal.user.name, "rule": deal.rule.author}.get(kind, deal.holder.name)
            need(above and above.type == kind, "PROOF recognition.derivation")
            need(above.author == owner, "BINDING recognition.derivation", narrower(record.body, above.body),
                "SCOPE recognition.derivation")
            record = record if kind == "rule" else above
        need(deal.accept.body.derived_from == names, "PROOF recognition.derivation")
    else:
        need(here.kind in ("all", "any") and here.parts, "RULE_UNKNOWN recognition.kind")
        for part in here.parts:
            try: check_recognition(nodes, part, deal, depth + 1)
            except Refused as refusal: failed.append(refusal)
        if failed and (here.kind == "all" or len(failed) == len(here.parts)): raise failed[0]
def check_envelopes(deal, found):
    """The composite that the GRANT names is the holder's, and its parts are here. It is not made again."""
    whole = found.get(deal.grant.body.composite)
    need(whole and whole.body.kind == "composite" and whole.author == deal.holder.name, "ENVELOPE grant.composite")
    parts = [found.get(name) for name in whole.body.parts or ()]
    authors, unit = [each and each.author for each in parts], whole.body.parts and whole.body.parts[0]
    need(authors == [deal.user.name] + [deal.holder.name] * (len(parts) - 1) and unit == deal.accept.body.envelope and
        deal.grant.body.accept_by_ns <= whole.body.valid_until_ns, "ENVELOPE grant.parts")
def check_proof(proof, deal, network, anchors):
    """The CONFIRM is in the holder's log under a signed head, with the witnesses that the rule asks for."""
    leaf, confirm, key = shaped(decode(proof.leaf), "leaf", "leaf"), deal.confirm, deal.holder.claims.key
    need((leaf.record, leaf.subject, leaf.admitted, leaf.origin) == (confirm.data, confirm.name, 1, 0),
        "ENTRY_MISMATCH artifact.leaf")
    size, root, lines = check_checkpoint(proof.checkpoint, key, origin_of(network, key))
    check_inclusion(sha(b"\x00", proof.leaf), proof.index, size, proof.path, root)
    names, counted = {each.key: each.name for each in deal.rule.body.stock_witnesses or ()}, set()
    for who in [check_all(each.credentials, network, anchors, True)[1] for each in proof.witnesses or ()]:
        need(who.claims.key != key and "observe" in who.body.scope.actions, "UNWITNESSED artifact.witness")
        names[who.claims.key] = origin_of(network, who.claims.key)
        check_cosignature(proof.checkpoint, names[who.claims.key], who.claims.key)
    for name, line in lines:
        witness = next((k for k, n in names.items() if n == name and mark(n, 4, k) == line[:4]), key)
        need(witness != key, "UNWITNESSED artifact.lines"); check_cosignature(proof.checkpoint, name, witness)
        counted.add(witness)
    need(len(counted) >= deal.rule.body.witness_quorum, "UNWITNESSED artifact.quorum")
def bound(deal):  # TERMS unless GRANT, ACCEPT and CONFIRM are of one settlement: id, names and fence
    grant, accept, confirm = deal.grant, deal.accept, deal.confirm
    sid = sha(cbor2.dumps([grant.author, accept.author, grant.body.nonce, grant.body.cell._raw]))
    need((sid, sid, sid) == (grant.body.sid, accept.body.sid, confirm.body.sid) and grant.body.user == accept.author and
        accept.body.grant == confirm.body.grant == grant.name and confirm.body.accept == accept.name and
        confirm.body.fence == grant.body.fence and confirm.author == grant.author, "TERMS artifact.sid")
    return grant.body
def check_artifact(case, links=0):
    """A settlement that anyone can verify: who may, what for, by which rule, and that it is logged; what it allows."""
    need(links <= 3, "DEPTH artifact.depth"); network, anchors = case["network"], case["anchors"]
    made = shaped(decode(case["input"]), "artifact", "artifact")
    holder, user, ruler = (check_all(chain, network, anchors, True)[1] for chain in (made.holder_chain, made.user_chain,
        made.rule_chain))
    known, deal = {each.name: each for each in (holder, user)}, Box(holder=holder, user=user, ruler=ruler)
    deal.rule = take(made.rule, network, ["rule"], {ruler.name: ruler})
    for kind in ("grant", "accept", "confirm"): setattr(deal, kind, take(getattr(made, kind), network, [kind], known))
    grant, accept, confirm, rule, body = deal.grant, deal.accept, deal.confirm, deal.rule.body, deal.grant.body
    needs("BINDING artifact.", grant=grant.author == holder.name, accept=accept.author == user.name,
        confirm=confirm.author == holder.name)
    for record, author in ((deal.rule, ruler), (grant, holder), (accept, user), (confirm, holder)):
        need(set(ACTIONS[record.type].split()) & set(author.body.scope.actions), "SCOPE capability.6")
        check_level(record, author, rule); check_scope(record, author)
        check_confidence(record, author, rule); check_signing(record, author, rule)
    bound(deal); need(body.rule == deal.rule.name, "RULE_UNKNOWN artifact.rule")
    terms = class_of(rule, body.commodity, "terms.class"); check_grant_terms(grant, rule, terms, holder, user)
    check_place(accept, body.cell.area, "accept.place"); done, window = confirm.attestation.latest_ns, body.cell.window
    until = min(window.end_ns, max(window.start_ns, done) + body.lease_ns)
    need(confirm.body.transmit_until_ns <= until, "LEASE artifact.lease")
    deal.derivation = {each.name: each for each in [take(e, network, TYPES, known) for e in made.derivation or ()]}
    found = [take(each, network, ["envelope"], known, "artifact.envelopes") for each in made.envelopes or ()]
    check_recognition(terms.recognition or [Box(kind="handshake", parts=None, fields=None)], 0, deal)
    more = Box(**globals()); shared = market.check_coordination(more, made.coordination, deal, network, anchors)
    waits = shared or made.handed or body.whole is not None
    need((accept.attestation.latest_ns if waits else done) < body.accept_by_ns and done < body.confirm_by_ns,
        "TIMEOUT artifact.time")
    if terms.envelope_required or body.composite: check_envelopes(deal, {each.name: each for each in found})
    check_proof(made.proof, deal, network, anchors); market.check_whole(more, deal, made, network, anchors)
    market.check_decided(more, deal, terms, made, network, anchors)
    depth = market.check_handed(more, deal, terms, made, network, anchors, links)
    return Box(sid=body.sid, confirm=confirm.name, holder=holder, user=user, rule=rule, cell=body.cell, tier=body.tier,
        commodity=body.commodity, eirp=body.eirp, until=confirm.body.transmit_until_ns, fence=body.fence, number=0,
        lease_ns=body.lease_ns, depth=depth)
# ---- bundles and the command line
def check_bundle(case):  # The faults of a bundle's logs and records, and the settlements in it
    network, known, records, good, faults, settled = case["network"], {}, {}, {}, [], []
    raw = decode(case["input"], clause="bundle.trailing")
    bundle = renamed(None, "bundle.form", shaped, raw, "bundle", "bundle")
    need(bundle.network == network, "DOMAIN bundle.network")
    @contextlib.contextmanager
    def noting(what):
        try: yield
        except Refused as refusal: faults.append(f"{what}: {' '.join(refusal.args)}")
    for log, entry in [(log, entry) for log in bundle.logs for entry in log.entries]:
        with noting(log.origin):
            leaf = shaped(decode(entry), "leaf", "leaf")
            if leaf.admitted and leaf.record:
                record = records[leaf.subject] = parse(leaf.record, network)
                need(record.name == leaf.subject, "ENTRY_MISMATCH leaf.subject")
                if record.claims: known[record.name] = check_credential(leaf.record, network, case["anchors"], known)
    keys = {origin_of(network, each.claims.key): each.claims.key for each in known.values()}
    for log in bundle.logs:
        with noting(log.origin):
            need(log.origin in keys, "KEY bundle.origin"); leaves = [sha(b"\x00", entry) for entry in log.entries]
            head = check_checkpoint(log.checkpoint, keys[log.origin], log.origin)
            need(head[:2] == (len(leaves), root_of(leaves)), "FORK bundle.root")
    for record in records.values():
        with noting(record.type + " " + record.name.hex()):
            if not record.claims: good[record.name] = take(record.data, network, TYPES, known)
    for confirm in [each for each in good.values() if each.type == "confirm"]:
        deal = Box(grant=good.get(confirm.body.grant), accept=good.get(confirm.body.accept), confirm=confirm)
        if deal.grant and deal.accept and (deal.grant.type, deal.accept.type) == ("grant", "accept"):
            with noting("settlement " + confirm.body.sid.hex()): settled += [bound(deal)]
    return faults, settled
KINDS = {"admission": (check_admission, ""), "credential": (check_admission, ""), "artifact": (check_artifact, ""),
    "bundle": (check_bundle, ""), "inclusion": (check_inclusion, "leaf index size path root"), "consistency":
    (check_consistency, "old new old_root new_root path"), "checkpoint": (check_checkpoint, "note public"),
    "cosignature": (check_cosignature, "note witness public")}
def unhex(value):  # A case with its hex texts as bytes
    if isinstance(value, dict): return {k: v if k in "note network witness" else unhex(v) for k, v in value.items()}
    if isinstance(value, list): return [unhex(each) for each in value]
    return bytes.fromhex(value) if isinstance(value, str) and re.fullmatch("([0-9a-f]{2})*", value) else value
def judge(kind, case):  # The verdict on a case: 'accepted', 'does not hold', or a reason with its clause
    check, names = KINDS[kind]
    try: found = check(*(unhex(case)[name] for name in names.split()) if names else (unhex(case),))
    except Refused as refusal: return dict(zip(("reason", "clause"), refusal.args))
    return "does not hold" if kind == "bundle" and found[0] else "accepted"
def compare(kind, cases):  # Judge every vector of a file, and count where both agree
    reason, good, same = lambda each: each if isinstance(each, str) else each["reason"], 0, 0
    for case in cases:
        theirs, own = case["verdict"], judge(kind, case)
        good, same = good + (reason(theirs) == reason(own)), same + (theirs == own)
        if reason(theirs) != reason(own): print(f"{case['name']}: expected {theirs}, own {own}")
    print(f"{kind}: {good} agree, {len(cases) - good} differ; {same} agree in the clause as well")
    return good != len(cases)
def mutate(cases, count, seed, out):  # Flip one bit in accepted artifacts, and count how many are still accepted
    chance, good, made = random.Random(seed), [each for each in cases if each["verdict"] == "accepted"], []
    for _ in range(count):
        case = chance.choice(good); data, bit = bytes.fromhex(case["input"]), chance.randrange(len(case["input"]) * 4)
        data = int.to_bytes(int.from_bytes(data, "big") ^ 1 << bit, len(data), "big")
        made.append({**case, "input": data.hex(), "verdict": judge("artifact", {**case, "input": data.hex()})})
    accepted = sum(each["verdict"] == "accepted" for each in made); print(f"{accepted} of {count} mutants accepted")
    if out: out.write_text(json.dumps(made))
    return accepted
def main():  # Judge vectors, a bundle, or mutants; 0 when everything holds
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*KINDS, "mutate"])
    sorts = (pathlib.Path, pathlib.Path, str, bytes.fromhex, int, int)
    for name, sort in zip("file --out --network --anchor --count --seed".split(), sorts):
        parser.add_argument(name, type=sort)
    args = parser.parse_args()
    cases = None if args.what == "bundle" and args.network else json.loads(args.file.read_text())
    if args.what == "mutate": return bool(mutate(cases, args.count or 1000, args.seed, args.out))
    if cases is not None: return compare(args.what, cases)
    try: faults, settled = check_bundle(dict(input=args.file.read_bytes(), network=args.network, anchors=[args.anchor]))
    except Refused as refusal: faults, settled = [" ".join(refusal.args)], []
    for body in settled:
        band, window = body.cell.band, body.cell.window
        print("settlement", body.sid.hex(), "band", band.low_hz, band.high_hz, "Hz, window", window.start_ns,
            window.end_ns, "ns, EIRP", body.eirp, "mdBm")
    print("\n".join(faults) or "everything holds"); return bool(faults)
if __name__ == "__main__": sys.exit(main())
