"""What verify.py asks of an artifact beyond its own pair: co-signers, a lease that changed hands, a group, a whole.

Written from protocol.md and bandpact.cddl alone. `v` are the names of verify.py: its readers, checks and `need`.
"""
import cbor2

LEASES, PRICES = ("renew", "suspend", "resume"), ("first price", "second price")
def people_of(v, chain, network, anchors):  # Everybody in a credential chain, by name, and the last of them
    last = v.check_all(chain, network, anchors, True)[1]
    return {each.name: each for each in last.chain}, last
def parties(deal):  # Everybody in the chains of holder, user and rule, by name
    return {each.name: each for who in (deal.holder, deal.user, deal.ruler) for each in who.chain}
def entitled(v, record, author, rule):  # Clauses 6 to 8 of admission
    wanted = set(v.ACTIONS[record.type].split())
    v.need(wanted & set(author.body.scope.actions), "SCOPE capability.6")
    v.check_level(record, author, rule); v.check_scope(record, author)
    about = record.type == "proposal" and (record.body.auction or record.body.approval)
    if about:
        v.inside(author.body.scope, [about.cell.band], [about.cell.area], [about.commodity], 255, [], "capability.8")
def said(v, data, kind, author, people, network, rule):
    """A record of that type by that author, entitled, and signed in its life: what each record of a pair must be."""
    record = v.take(data, network, v.TYPES, people)
    v.need(record.type == kind, "TYPE artifact." + kind, record.author == author.name, "BINDING artifact." + kind)
    entitled(v, record, author, rule); v.check_confidence(record, author, rule); v.check_signing(record, author, rule)
    return record
# ---- a lease that changed hands
def extended(v, permit, data, network):
    """The lease of a settlement after the newest RENEW or RESUME that is shown; after a SUSPEND it reaches no further."""
    who = {permit.holder.name: permit.holder}
    record = v.take(data, network, v.TYPES, who); body, window = record.body, permit.cell.window
    v.need(record.type in LEASES, "TYPE lease.typ", body.sid == permit.sid, f"TERMS {record.type}.sid", body.confirm ==
        permit.confirm, f"TERMS {record.type}.confirm", body.fence > permit.fence and body.number > permit.number,
        f"FENCE {record.type}.fence")
    entitled(v, record, permit.holder, permit.rule); v.check_confidence(record, permit.holder, permit.rule)
    v.check_signing(record, permit.holder, permit.rule)
    if record.type == "suspend": return permit.until
    limit = min(window.end_ns, max(record.attestation.latest_ns, window.start_ns) + permit.lease_ns)
    v.need(body.transmit_until_ns <= limit, f"LEASE {record.type}.until"); return body.transmit_until_ns
def no_wider(v, part, whole, transfer):  # One lease against another it comes from, on every axis
    one, two = part.cell, whole.cell
    v.need(v.in_bands(one.band, [two.band]), "SCOPE handing.band", v.within(one.area, two.area), "SCOPE handing.area",
        two.window.start_ns <= one.window.start_ns and one.window.end_ns <= two.window.end_ns, "SCOPE handing.window",
        part.eirp <= whole.eirp, "POWER handing.eirp", part.tier >= whole.tier, "TIER handing.tier")
    all_of = lambda lease: (lease.cell.band._raw, lease.cell.area._raw, lease.cell.window.end_ns, lease.eirp)
    v.need(not transfer or all_of(part) == all_of(whole), "TERMS handing.whole")
def check_handed(v, deal, terms, made, network, anchors, links):
    """The lease that a GRANT hands on: its own artifact verifies, and it changed hands as the rule says. Its depth."""
    grant, confirm, holder, rule = deal.grant, deal.confirm, deal.holder, deal.rule.body
    given, shown = grant.body, made.handed
    if shown is None:
        v.need(given.handover is None, "PROOF artifact.handed"); return 0
    inner = v.parse(shown.handover, network, v.TYPES); v.need(inner.type == "handover", "TYPE handing.typ")
    above = v.check_artifact(dict(network=network, anchors=anchors, input=inner.body.artifact), links + 1)
    people = {each.name: each for each in (above.user, above.holder, holder)}
    handover = said(v, shown.handover, "handover", holder, people, network, rule); body = handover.body
    v.need(body.rule == deal.rule.name, "RULE_UNKNOWN disposition.11"); own = v.class_of(rule, body.commodity, "disposition.13.class")
    v.need(own.handing and body.kind in own.handing.kinds, "TERMS disposition.13.handing", own.price_low <= body.price <=
        own.price_high, "PRICE disposition.13.price")
    vacated = said(v, shown.vacated, "vacated", holder, people, network, rule)
    consent = shown.consent and said(v, shown.consent, "consent", above.holder, people, network, rule)
    until = extended(v, above, vacated.body.lease, network) if vacated.body.lease else above.until
    hand, then = terms.handing, v.class_of(above.rule, above.commodity, "handing.class").handing
    v.need(given.handover == handover.name, "TERMS handing.handover", given.user == body.to, "BINDING handing.to",
        (body.sid, body.confirm) == (above.sid, above.confirm), "TERMS handing.sid", handover.author == above.user.name,
        "BINDING handing.author", hand and body.kind in hand.kinds, "TERMS handing.kind")
    v.need(above.depth + 1 <= hand.depth, "DEPTH handing.depth", body.to != above.user.name, "BINDING handing.to",
        body.commodity == above.commodity, "SCOPE handing.class")
    no_wider(v, body, above, body.kind == "transfer")
    v.need(given.commodity == above.commodity, "SCOPE handing.class"); no_wider(v, given, body, body.kind == "transfer")
    v.need(consent or then and not then.consent and not hand.consent, "CONSENT handing.consent", not consent or (consent.body.sid,
        consent.body.handover) == (above.sid, handover.name), "CONSENT handing.consent")
    word = vacated.body
    v.need((word.handover, word.sid) == (handover.name, above.sid), "PROOF handing.vacated", vacated.seq < confirm.seq,
        "OUT_OF_ORDER handing.silent", word.silent_latest_ns <= confirm.attestation.latest_ns,
        "OUT_OF_ORDER handing.silent", confirm.body.transmit_until_ns <= until, "LEASE handing.lease")
    return above.depth + 1
# ---- who co-signs, and one settlement over several classes
def check_coordination(v, found, deal, network, anchors):
    """Every shard that the cell touches has its co-signatures; nobody counts twice, and the holder never."""
    cell, names, signs = deal.grant.body.cell, (deal.grant.body.sid, deal.grant.name, deal.accept.name), []
    for each in found or ():
        author = v.check_all(each.chain, network, anchors, True)[1]
        body = v.take(each.record, network, ["coordination"], {author.name: author}).body
        v.need((body.sid, body.grant, body.accept) == names and body.until_ns >= cell.window.end_ns, "QUORUM record")
        signs.append((author, body.shards))
    shards = [each for each in deal.rule.body.coordination or () if (not each.area or v.overlap(each.area, cell.area)) and
        (not each.band or each.band.low_hz < cell.band.high_hz and cell.band.low_hz < each.band.high_hz)]
    for shard in shards:
        keys = {who.claims.key for who, said in signs if shard.name in said and (who.name in shard.authorities if
            shard.mode == 0 else "grant" in who.body.scope.actions)}
        v.need(len(keys - {deal.holder.claims.key}) >= shard.need, "QUORUM coordination." + shard.name)
    return bool(shards)
def check_part(v, part, name):  # What GRANT, ACCEPT and CONFIRM of a part are held to, with nothing that lies beside them
    rule, grant, done, body = part.rule.body, part.grant, part.confirm.attestation.latest_ns, v.bound(part)
    for record, author in ((grant, part.holder), (part.accept, part.user), (part.confirm, part.holder)):
        entitled(v, record, author, rule); v.check_confidence(record, author, rule); v.check_signing(record, author, rule)
    terms = v.class_of(rule, body.commodity, "shown.class"); until = min(body.cell.window.end_ns,
        max(body.cell.window.start_ns, done) + body.lease_ns)
    v.check_grant_terms(grant, rule, terms, part.holder, part.user); v.check_place(part.accept, body.cell.area, "accept")
    v.need(body.handover is None, "SCOPE shown", body.rule == name, "RULE_UNKNOWN shown", done < body.confirm_by_ns and part
        .accept.attestation.latest_ns < body.accept_by_ns, "TIMEOUT shown", part.confirm.body.transmit_until_ns <= until, "LEASE")
def check_whole(v, deal, made, network, anchors):
    """Every other part of a whole is confirmed for the same user, by a holder that may grant it."""
    body, places = deal.grant.body, {deal.grant.body.place}
    if body.whole is None: return
    for at, one in enumerate(made.companions or ()):
        here = f"artifact.companions[{at}]"
        chain, holder = v.renamed(None, here, people_of, v, one.chain, network, anchors); people = {**parties(deal), **chain}
        grant, accept, confirm = (v.renamed(None, here, v.take, each, network, v.TYPES, people) for each in (one.grant,
            one.accept, one.confirm))
        v.need((grant.type, accept.type, confirm.type) == ("grant", "accept", "confirm") and (grant.body.whole,
            grant.body.parts, grant.body.user) == (body.whole, body.parts, body.user), "INCOMPLETE " + here)
        v.need(accept.body.grant == confirm.body.grant == grant.name and confirm.body.accept == accept.name and
            accept.author == body.user and grant.author == confirm.author == holder.name, "PROOF " + here)
        v.renamed(None, here, check_part, v, v.Box(rule=deal.rule, grant=grant, accept=accept, confirm=confirm,
            holder=holder, user=deal.user), deal.rule.name); places.add(grant.body.place)
    v.need(places == set(range(body.parts or 0)), "INCOMPLETE artifact.whole")
# ---- decisions of a group
def certified(v, name, members, deal, found, people, network):
    """An outcome that a GRANT names, its proposal and list, and who voted for it: enough members of the rule's list."""
    def get(name, kind):
        record = found.get(name); v.need(record and record.type == kind, "PROOF decided." + kind); return record
    outcome = get(name, "outcome"); asked = get(outcome.body.proposal, "proposal")
    listed = get(asked.body.membership, "members"); group, what, seen = listed.body, asked.body, asked.attestation
    seat = lambda who: [each.claims.sub for each in who.chain]
    above = seat(people[listed.author]); v.need(above == seat(deal.ruler)[:len(above)], "SCOPE membership.author")
    v.need(group.name == members == what.members, "QUORUM decided.members", asked.author == deal.holder.name,
        "BINDING decided.proposal", what.epoch == group.epoch, "EPOCH decided.epoch", seen.earliest_ns <
        group.effective.end_ns, "EPOCH decided.effective")
    v.check_span(seen.earliest_ns, seen.latest_ns, group.effective.start_ns, group.effective.end_ns, "decided.effective")
    required = (len(group.members) + group.faulty) // 2 + 1
    ballot = v.sha(cbor2.dumps({1: network, 2: group.epoch, 3: [each.key for each in group.members], 4: required}))
    paper = v.shaped(v.decode(outcome.body.certificate), "certificate", "quorum"); choice, voted = outcome.body.choice, set()
    v.need({paper.epoch, *(each.epoch for each in paper.votes)} == {group.epoch}, "EPOCH quorum.2", paper.membership ==
        ballot, "EPOCH quorum.2.members", paper.subject == choice, "ENTRY_MISMATCH quorum.3")
    message = v.aad(network, b"/vote", ballot, group.epoch.to_bytes(8, "big"), choice)
    for vote in paper.votes:
        v.need(vote.member in [each.key for each in group.members], "QUORUM quorum.4.member", vote.member not in voted,
            "QUORUM quorum.4.once", v.signed(vote.member, vote.signature, message), "SIGNATURE quorum.5")
        voted.add(vote.member)
    v.need(len(voted) >= required, "QUORUM quorum.6")
    return outcome, asked, group, [each for each in group.members if each.key in voted], required
def check_award(v, deal, terms, found, people, network):  # What was auctioned is granted to who won it, at its price
    given, asked = deal.grant.body, found.get(deal.grant.body.request)
    v.need(asked and asked.type == "request", "PROOF decided.request")
    if given.handover is not None and asked.body.declaration == given.handover: return
    offer = found.get(asked.body.declaration); v.need(offer, "PROOF decided.declaration")
    if given.award is None:
        v.need(offer.type != "declaration" or offer.body.price_form != "auction", "QUORUM decided.award"); return
    outcome, proposal, _, _, _ = certified(v, given.award, terms.auction.members, deal, found, people, network)
    tally, end, sold = found.get(outcome.body.tally), outcome.body, proposal.body.auction
    v.need(tally and tally.type == "tally", "PROOF decided.tally", proposal.body.function in terms.auction.functions and
        proposal.body.function in PRICES, "TERMS decided.function")
    v.need(tally.name == end.choice and tally.body.proposal == end.proposal, "ENTRY_MISMATCH decided.tally",
        (tally.body.winner, tally.body.price) == (end.winner, end.price), "PRICE decided.tally", sold and
        sold.declaration == asked.body.declaration, "TERMS decided.declaration", end.winner == given.user,
        "TERMS decided.winner")
    v.need(given.cell._raw == sold.cell._raw and given.commodity == sold.commodity, "TERMS decided.cell", given.price ==
        end.price, "PRICE decided.price")
def check_votes(v, rule, members, group, required):  # Those who approve are enough, by the rule's function
    weight = sum(each.weight for each in members)
    v.need(len(members) >= required, "QUORUM outcome.votes", rule.function != "unanimous" or len(members) ==
        len(group.members), "QUORUM outcome.unanimous", rule.function != "k of n" or len(members) >= rule.need,
        "QUORUM outcome.k of n", rule.function != "weighted" or weight >= rule.need, "QUORUM outcome.weighted")
def stands_behind(v, member, given, people):  # In a coalition a vote counts only of a holder of the cell itself
    who, cell = people.get(member.credential), given.cell
    v.need(who, "UNKNOWN_AUTHOR coalition.member"); scope = who.body.scope
    for axis, holds in (("role", member.role == "holder"), ("key", member.key == who.claims.key), ("grant", "grant" in
            scope.actions), ("band", v.in_bands(cell.band, scope.bands)), ("area", v.within(cell.area, scope.area)),
            ("class", given.commodity in scope.classes), ("life", cell.window.end_ns <= who.claims.exp * 10**9)):
        v.need(holds, "SCOPE coalition." + axis)
def check_approval(v, deal, terms, found, people, network):
    """The REQUEST was approved by those whom the rule asks, for just what is granted, in time."""
    given, rule = deal.grant.body, terms.approval or terms.coalition
    v.need(given.approval, "QUORUM decided.approval")
    outcome, asked, group, members, required = certified(v, given.approval, rule.members, deal, found, people, network)
    what, about = asked.body, asked.body.approval
    v.need((what.members, what.function, what.need) == (rule.members, rule.function, rule.need), "TERMS decided.function",
        what.subject == given.request, "TERMS decided.subject", about and (about.user, about.cell._raw, about.commodity,
        about.tier, about.eirp_mdbm, about.price) == (given.user, given.cell._raw, given.commodity, given.tier,
        given.eirp, given.price), "TERMS decided.terms", outcome.body.choice == v.sha(b"bandpact/1/approve", asked.name),
        "QUORUM decided.choice", deal.grant.attestation.earliest_ns <= what.vote_by_ns, "TIMEOUT decided.vote_by")
    if not terms.coalition: return check_votes(v, rule, members, group, required)
    v.need(deal.holder.name in [each.credential for each in group.members], "QUORUM decided.coalition")
    good, barred = [], []
    for member in sorted(members, key=lambda each: each.credential):
        try: stands_behind(v, member, given, people); good.append(member)
        except v.Refused as refusal: barred.append(refusal)
    try: check_votes(v, rule, good, group, required)
    except v.Refused as refusal: raise (barred or [refusal])[0] from None
def check_decided(v, deal, terms, made, network, anchors):
    """What the class has decided by a group was; every record shown is by an author who may say it."""
    people, found, shown = parties(deal), {}, made.decided
    for links in shown and shown.chains or ():
        people.update(people_of(v, links.credentials, network, anchors)[0])
    for data in shown and shown.records or ():
        record = v.take(data, network, v.TYPES, people); found[record.name] = record
        entitled(v, record, people[record.author], deal.rule.body)
    if terms.auction: check_award(v, deal, terms, found, people, network)
    if terms.approval or terms.coalition: check_approval(v, deal, terms, found, people, network)
