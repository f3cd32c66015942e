"""Each check of an artifact fails by itself: what two parties sign with good keys is not yet a settlement."""

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain.admission import Admitted, prove
from settlement.chain.bodies import Renew, Resume, Shard, StockWitness, Suspend
from settlement.chain.checkpoint import Head, origin_of, sign_head
from settlement.chain.credentials import Registry
from settlement.chain.leaf import RECEIVED, admitted_leaf, refused_leaf
from settlement.chain.records import digest
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.core.reasons import Reason, Refusal, RefusedError, refuse
from settlement.pair.artifact import Artifact, Links, VerifiedPermit, extend
from tests.settlement.collusion import CELL, Collusion, other_cell
from tests.settlement.world import HOLDER_ACTIONS, LOWER, NETWORK, NS, RULE, T0, USER_ACTIONS, fix

Outcome = VerifiedPermit | Refusal


def said(outcome: Outcome) -> tuple[Reason, str] | None:
    return (outcome.reason, outcome.clause) if isinstance(outcome, Refusal) else None


def test_an_untouched_one_says_what_it_allows(tmp_path: Path) -> None:
    made = Collusion(tmp_path)
    permit = made.verdict()
    assert isinstance(permit, VerifiedPermit), permit
    assert (permit.cell, permit.max_eirp_mdbm, permit.fence, permit.lease_ns) == (CELL, 20_000, 1, 3 * NS)
    assert (permit.holder.name, permit.user.name) == ("holder", "user")
    assert (permit.rule, permit.terms) == (RULE, RULE.classes[0])
    assert (permit.renewals, permit.suspended_for) == (0, None)
    assert permit.transmit_until_ns == CELL.window.start_ns + 3 * NS
    assert permit.sid == made.grant_body().sid
    assert permit.ruled.rule.hash == digest(made.rule_raw)
    assert permit.granted.latest_ns == fix(1.0).time.latest_ns


PAIRED: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "another sid in the GRANT": ({"grant": {"sid": bytes(32)}}, Reason.TERMS, "artifact.sid"),
    "another sid in the ACCEPT": ({"accept": {"sid": bytes(32)}}, Reason.TERMS, "artifact.sid"),
    "another sid in the CONFIRM": ({"confirm": {"sid": bytes(32)}}, Reason.TERMS, "artifact.sid"),
    "granted to another": ({"grant": {"user": bytes(32)}}, Reason.BINDING, "artifact.user"),
    "accepted another GRANT": ({"accept": {"grant": bytes(32)}}, Reason.TERMS, "artifact.accept_over"),
    "confirmed another GRANT": ({"confirm": {"grant": bytes(32)}}, Reason.TERMS, "artifact.confirm_over"),
    "confirmed another ACCEPT": ({"confirm": {"accept": bytes(32)}}, Reason.TERMS, "artifact.confirm_over"),
    "another fence": ({"confirm": {"fence": 2}}, Reason.FENCE, "artifact.fence"),
    "confirmed too late": ({"confirmed_at": fix(2.0)}, Reason.TIMEOUT, "artifact.accept_by"),
    "no answer": ({"accept": {"answer": bytes(32)}}, Reason.CHALLENGE, "recognition.handshake"),
    "another rule cited": ({"grant": {"rule": bytes(32)}}, Reason.RULE_UNKNOWN, "disposition.11"),
    "signed before the rule": ({"granted_at": fix(-3601)}, Reason.NOT_YET, "credential.validity"),
    "signed with a clock too wide": (
        {"confirmed_at": fix(1.2, bound_ns=2_000_000)},
        Reason.TIME_UNTRUSTED,
        "confidence.9.bound",
    ),
    "accepted from elsewhere": ({"accepted_at": replace(fix(1.1), position=replace(fix(1.1).position, lat_e7=0))},
                                Reason.SPATIAL_OUTSIDE, "capability.8.place"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRED)
def test_records_that_are_not_one_settlement(tmp_path: Path, name: str) -> None:
    changes, reason, clause = PAIRED[name]
    assert said(Collusion(tmp_path, **changes).verdict()) == (reason, clause)


def test_the_last_instant_counts_and_the_first_after_does_not(tmp_path: Path) -> None:
    until_ns = fix(1.0).time.latest_ns + NS
    for over, held in ((2, True), (1, True), (0, False), (-1, False)):
        at = fix((until_ns - T0 - over) / NS, bound_ns=0)
        made = Collusion(tmp_path / f"{over}", confirmed_at=at)
        assert isinstance(made.verdict(), VerifiedPermit) is held, over


Edit = Callable[[Collusion, Artifact], Artifact]


def proven(made: Collusion, artifact: Artifact, **changes: Any) -> Artifact:
    return replace(artifact, proof=replace(artifact.proof, **changes))


def _signed_head(made: Collusion, artifact: Artifact, name: str = "holder", origin: str | None = None) -> str:
    key = made.keys[name]
    size, root = 2, bytes(32)
    return sign_head(Head(origin=origin or origin_of(NETWORK, key.public), size=size, root=root), key)


def _other_leaf(made: Collusion, artifact: Artifact) -> Artifact:
    leaf = admitted_leaf(artifact.grant, origin=RECEIVED, now=fix(1.2).time).encoded()
    return proven(made, artifact, leaf=leaf)


def _refused_leaf(made: Collusion, artifact: Artifact) -> Artifact:
    why = refuse(Reason.TERMS, "x", "y", "z")
    return proven(made, artifact, leaf=refused_leaf(artifact.confirm, why, now=fix(1.2).time).encoded())


def _again(made: Collusion, raw: bytes, by: str) -> bytes:
    """What a record says, said by another."""
    registry = Registry(NETWORK, made.anchors)
    for chain in made.chains.values():
        registry.admit_chain(chain)
    proved = prove(raw, registry)
    assert isinstance(proved, Admitted)
    return made.signed(by, made.chains[by], proved.record.body, fix(1.2))


EDITS: dict[str, tuple[Edit, Reason, str]] = {
    "each with the other's chain": (
        lambda made, a: replace(a, holder_chain=a.user_chain, user_chain=a.holder_chain),
        Reason.BINDING, "artifact.grant"),
    "an ACCEPT by the holder": (
        lambda made, a: replace(a, accept=_again(made, a.accept, "holder")), Reason.BINDING, "artifact.accept"),
    "a CONFIRM by the user": (
        lambda made, a: replace(a, confirm=_again(made, a.confirm, "user")), Reason.BINDING, "artifact.confirm"),
    "an ACCEPT in the place of the GRANT": (
        lambda made, a: replace(a, grant=a.accept), Reason.TYPE, "artifact.grant"),
    "a GRANT in the place of the ACCEPT": (
        lambda made, a: replace(a, accept=a.grant), Reason.TYPE, "artifact.accept"),
    "a GRANT in the place of the CONFIRM": (
        lambda made, a: replace(a, confirm=a.grant), Reason.TYPE, "artifact.confirm"),
    "garbage for a GRANT": (lambda made, a: replace(a, grant=b"\x00"), Reason.MALFORMED, "cose.structure"),
    "garbage for an ACCEPT": (lambda made, a: replace(a, accept=b"\x00"), Reason.MALFORMED, "cose.structure"),
    "garbage for a CONFIRM": (lambda made, a: replace(a, confirm=b"\x00"), Reason.MALFORMED, "cose.structure"),
    "garbage for a rule": (lambda made, a: replace(a, rule=b"\x00"), Reason.MALFORMED, "cose.structure"),
    "a chain without a root": (
        lambda made, a: replace(a, holder_chain=a.holder_chain[1:]), Reason.UNKNOWN_AUTHOR, "credential.issuer"),
    "a user's chain without a root": (
        lambda made, a: replace(a, user_chain=(b"\x00",)), Reason.MALFORMED, "cose.structure"),
    "a rule by another than its chain": (
        lambda made, a: replace(a, rule_chain=a.holder_chain), Reason.TYPE, "rule.author"),
    "another entry": (_other_leaf, Reason.ENTRY_MISMATCH, "artifact.leaf"),
    "an entry that was refused": (_refused_leaf, Reason.ENTRY_MISMATCH, "artifact.leaf"),
    "no entry": (lambda made, a: proven(made, a, leaf=b"\x00"), Reason.MALFORMED, "schema.leaf"),
    "another place in the log": (lambda made, a: proven(made, a, index=1), Reason.ENTRY_MISMATCH, "merkle.root"),
    "no head": (lambda made, a: proven(made, a, checkpoint="none"), Reason.MALFORMED, "checkpoint.form"),
    "a head of another tree": (
        lambda made, a: proven(made, a, checkpoint=_signed_head(made, a)), Reason.ENTRY_MISMATCH, "merkle.root"),
    "a head by another": (
        lambda made, a: proven(made, a, checkpoint=_signed_head(made, a, "user")), Reason.KEY, "checkpoint.key"),
    "a head of another log": (
        lambda made, a: proven(made, a, checkpoint=_signed_head(made, a, origin="bandpact/x/y")),
        Reason.PROOF, "artifact.origin"),
    "a witness nobody asked for": (
        lambda made, a: proven(made, a, witnesses=(Links(credentials=a.user_chain),)),
        Reason.UNWITNESSED, "artifact.lines"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_parts_that_do_not_hold(tmp_path: Path, name: str) -> None:
    edit, reason, clause = EDITS[name]
    made = Collusion(tmp_path)
    outcome = said(made.verdict(edit(made, made.whole())))
    assert outcome is not None
    assert outcome[0] is reason, outcome
    assert outcome[1].startswith(clause), outcome


# -- (8) witnesses -----------------------------------------------------------------------------------------------------


def witnessed(folder: Path, quorum: int, names: tuple[str, ...], **changes: Any) -> Outcome:
    made = Collusion(folder, rule=replace(RULE, witness_quorum=quorum, **changes))
    chains = {name: made.credential(name, USER_ACTIONS) for name in ("witness", "third")}
    chains["holder"] = made.chains["holder"]
    whole = made.whole()
    return made.verdict(replace(whole, proof=made.proof(whole.confirm, {name: chains[name] for name in names})))


@pytest.mark.parametrize(("quorum", "names", "held"), [
    (1, ("witness",), True), (1, (), False), (2, ("witness", "third"), True), (2, ("witness",), False),
    (0, ("witness",), True), (2, ("witness", "witness"), False), (1, ("holder",), False),
])  # fmt: skip
def test_as_many_witnesses_as_the_rule_asks_for(
    tmp_path: Path, quorum: int, names: tuple[str, ...], held: bool
) -> None:
    outcome = witnessed(tmp_path, quorum, names)
    assert isinstance(outcome, VerifiedPermit) is held, outcome
    short = names != ("witness", "witness") and names != ("holder",)
    assert held or said(outcome) == (Reason.UNWITNESSED, "artifact.quorum" if short else said(outcome)[1])  # type: ignore[index]


def test_a_holder_named_as_a_witness_over_http_is_none_of_its_own_log(tmp_path: Path) -> None:
    made = Collusion(tmp_path / "one")
    outcomes = []
    for name in ("holder", "third"):
        key = made.keys[name].public
        stock = StockWitness(name=origin_of(NETWORK, key), key=key)
        again = Collusion(tmp_path / name, rule=replace(RULE, witness_quorum=1, stock_witnesses=(stock,)))
        whole = again.whole()
        note = again.proof(whole.confirm, {name: again.chains["holder"]}).checkpoint
        outcomes.append(said(again.verdict(proven(again, whole, checkpoint=note))))
    assert outcomes == [(Reason.UNWITNESSED, "artifact.lines"), None]


def test_a_witness_speaks_in_its_time_and_where_the_rule_lets_its_level(tmp_path: Path) -> None:
    made = Collusion(tmp_path / "time", rule=replace(RULE, witness_quorum=1))
    chain = made.credential("witness", USER_ACTIONS)
    whole = made.whole()
    holder = made.keys["holder"]
    base = made.proof(whole.confirm)
    root = made.proof(whole.confirm).checkpoint.split("\n")[2]
    head = Head(origin=origin_of(NETWORK, holder.public), size=2, root=base64.b64decode(root))
    for after_s, held in ((-3600, True), (-3601, False), (3599, True), (3600, False)):
        note = made.witnessed(base.checkpoint, head, "witness", time_s=T0 // NS + after_s)
        proof = replace(base, checkpoint=note, witnesses=(Links(credentials=chain),))
        outcome = made.verdict(replace(whole, proof=proof))
        assert isinstance(outcome, VerifiedPermit) is held, after_s
    note = made.witnessed(base.checkpoint, head, "witness", as_name="another")
    unnamed = made.verdict(replace(whole, proof=replace(base, checkpoint=note, witnesses=(Links(credentials=chain),))))
    assert said(unnamed) == (Reason.UNWITNESSED, "cosignature.line")
    strange = replace(
        base, checkpoint=made.witnessed(base.checkpoint, head, "witness"), witnesses=(Links(credentials=(b"\x00",)),)
    )
    assert said(made.verdict(replace(whole, proof=strange))) == (Reason.MALFORMED, "cose.structure")
    silent = tuple(replace(level, admits=tuple(t for t in level.admits if t != "cosignature")) for level in RULE.levels)
    assert said(witnessed(tmp_path / "level", 1, ("witness",), levels=silent)) == (
        Reason.UNWITNESSED, "artifact.witness")  # fmt: skip


# -- (9) co-signatures -------------------------------------------------------------------------------------------------


SHARD = Shard(name="all", mode=1, authorities=(), need=1)
OTHER_HOLDER = ("coordinate", *HOLDER_ACTIONS)


def cosigning(
    folder: Path, actions: tuple[str, ...] = OTHER_HOLDER, shard: Shard = SHARD
) -> tuple[Collusion, tuple[bytes, ...]]:
    """A pair under a rule with a shard, its holder able to co-sign as well, and the chain of one more node."""
    with pytest.MonkeyPatch.context() as patch:
        from tests.settlement import world as made_by

        usual = made_by.scope
        more = lambda a, **c: usual((*a, "coordinate") if "issue" in a else a, **c)  # noqa: E731
        patch.setattr(made_by, "scope", more)
        made = Collusion(folder, rule=replace(RULE, coordination=(shard,)))
    made.chains["holder"] = made.credential("holder", OTHER_HOLDER, tier=1)
    return made, made.credential("third", actions)


def cosigned(
    folder: Path, actions: tuple[str, ...] = OTHER_HOLDER, shard: Shard = SHARD, sign: bool = True, **changes: Any
) -> Outcome:
    made, chain = cosigning(folder, actions, shard)
    whole = made.whole()
    signed = made.cosigned("third", chain, whole.grant, whole.accept, ("all",), **changes)
    return made.verdict(replace(whole, coordination=(signed,) if sign else None))


COSIGNED: dict[str, tuple[dict[str, Any], tuple[Reason, str] | None]] = {
    "another holder": ({}, None),
    "nobody": ({"sign": False}, (Reason.QUORUM, "coordination.all")),
    "one who may not": ({"actions": USER_ACTIONS}, (Reason.SCOPE, "capability.6")),
    "no holder": ({"actions": ("coordinate", "request")}, (Reason.QUORUM, "coordination.all")),
    "for another settlement": ({"sid": bytes(32)}, (Reason.TERMS, "coordination.over")),
    "over another GRANT": ({"grant": bytes(32)}, (Reason.TERMS, "coordination.over")),
    "over another ACCEPT": ({"accept": bytes(32)}, (Reason.TERMS, "coordination.over")),
    "not for the whole window": ({"until_ns": CELL.window.end_ns - 1}, (Reason.TERMS, "coordination.until")),
    "for another shard": ({"shards": ("other",)}, (Reason.QUORUM, "coordination.all")),
    "a shard elsewhere": ({"shard": replace(SHARD, band=other_cell(band=LOWER).band), "sign": False},
                          (Reason.QUORUM, "coordination.all")),
}  # fmt: skip


@pytest.mark.parametrize("name", COSIGNED)
def test_co_signatures(tmp_path: Path, name: str) -> None:
    changes, expected = COSIGNED[name]
    assert said(cosigned(tmp_path, **changes)) == expected


def test_a_holder_does_not_co_sign_its_own_grant(tmp_path: Path) -> None:
    made, chain = cosigning(tmp_path)
    whole = made.whole()
    own = made.cosigned("holder", made.chains["holder"], whole.grant, whole.accept, ("all",))
    assert said(made.verdict(replace(whole, coordination=(own,)))) == (Reason.QUORUM, "coordination.all")
    others = made.cosigned("third", chain, whole.grant, whole.accept, ("all",))
    assert isinstance(made.verdict(replace(whole, coordination=(own, others))), VerifiedPermit)


def test_a_cosigned_confirm_has_until_confirm_by_and_its_accept_until_accept_by(tmp_path: Path) -> None:
    shard = replace(SHARD, need=0)
    for number, (accepted, confirmed, clause) in enumerate(
        ((1.9, 2.9, None), (2.0, 2.9, "artifact.accept_by"), (1.9, 3.0, "artifact.confirm_by"))
    ):
        made = Collusion(
            tmp_path / f"{number}",
            rule=replace(RULE, coordination=(shard,)),
            accepted_at=fix(accepted),
            confirmed_at=fix(confirmed),
        )
        outcome = said(made.verdict())
        assert outcome == (None if clause is None else (Reason.TIMEOUT, clause))


def test_a_co_signers_chain_and_record_must_hold(tmp_path: Path) -> None:
    made = Collusion(tmp_path, rule=replace(RULE, coordination=(SHARD,)))
    whole = made.whole()
    chain = made.credential("third", HOLDER_ACTIONS)
    signed = made.cosigned("third", chain, whole.grant, whole.accept, ("all",))
    broken = made.verdict(replace(whole, coordination=(replace(signed, chain=(b"\x00",)),)))
    assert said(broken) == (Reason.MALFORMED, "cose.structure")
    other = made.verdict(replace(whole, coordination=(replace(signed, record=whole.grant),)))
    assert said(other) == (Reason.TYPE, "artifact.coordination")


# -- (10) envelopes and what a GRANT derives from ----------------------------------------------------------------------


def test_what_lies_beside_must_prove(tmp_path: Path) -> None:
    made = Collusion(tmp_path)
    whole = made.whole()
    for part in ("derivation", "envelopes"):
        assert said(made.verdict(replace(whole, **{part: (b"\x00",)}))) == (Reason.MALFORMED, "cose.structure")
    strange = made.verdict(replace(whole, envelopes=(whole.accept,)))
    assert said(strange) == (Reason.TYPE, "artifact.envelopes")
    may_not = made.signed("user", made.chains["user"], made.grant_body(), fix(1.0))
    assert said(made.verdict(replace(whole, derivation=(may_not,)))) == (Reason.SCOPE, "capability.8.grant")
    blurred = replace(fix(1.1), position=replace(fix(1.1).position, radius_mm=10**9))
    unsure = made.signed("holder", made.chains["holder"], made.grant_body(), blurred)
    assert said(made.verdict(replace(whole, derivation=(unsure,)))) == (
        Reason.POSITION_UNTRUSTED, "confidence.9.radius")  # fmt: skip


# -- what comes after --------------------------------------------------------------------------------------------------


def after(made: Collusion, body: Any, at_s: float = 3.0, by: str = "holder") -> bytes:
    return made.signed(by, made.chains[by], body, fix(at_s))


def permitted(made: Collusion) -> VerifiedPermit:
    permit = made.verdict()
    assert isinstance(permit, VerifiedPermit)
    return permit


def extended(made: Collusion, permit: VerifiedPermit, raw: bytes) -> Outcome:
    return extend(permit, raw, network=NETWORK, anchors=made.anchors)


def test_a_renewal_a_suspension_and_a_resumption(tmp_path: Path) -> None:
    made = Collusion(tmp_path)
    permit = permitted(made)
    name, sid = permit.confirm, permit.sid
    limit_ns = fix(3.0).time.latest_ns + 3 * NS
    renew = Renew(sid=sid, confirm=name, number=1, transmit_until_ns=limit_ns, fence=2)
    longer = extended(made, permit, after(made, renew))
    assert isinstance(longer, VerifiedPermit)
    assert (longer.transmit_until_ns, longer.renewals, longer.fence, longer.suspended_for) == (limit_ns, 1, 2, None)
    held = extended(made, longer, after(made, Suspend(sid=sid, confirm=name, number=2, fence=3, reason="radar")))
    assert isinstance(held, VerifiedPermit)
    assert (held.suspended_for, held.transmit_until_ns, held.fence, held.renewals) == ("radar", limit_ns, 3, 2)
    no = extended(made, held, after(made, replace(renew, number=3, fence=4)))
    assert said(no) == (Reason.OUT_OF_ORDER, "renew.suspended")
    on = extended(made, held, after(made, Resume(sid=sid, confirm=name, number=3, transmit_until_ns=limit_ns, fence=4)))
    assert isinstance(on, VerifiedPermit)
    assert (on.suspended_for, on.transmit_until_ns, on.fence) == (None, limit_ns, 4)


LATER: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "another settlement": ({"sid": bytes(32)}, Reason.TERMS, "renew.sid"),
    "another CONFIRM": ({"confirm": bytes(32)}, Reason.TERMS, "renew.confirm"),
    "an old fence": ({"fence": 1}, Reason.FENCE, "renew.fence"),
    "an old number": ({"number": 0}, Reason.FENCE, "renew.fence"),
    "too long": ({"transmit_until_ns": fix(3.0).time.latest_ns + 3 * NS + 1}, Reason.LEASE, "renew.until"),
}


@pytest.mark.attack(42)
@pytest.mark.parametrize("name", LATER)
def test_a_renewal_that_does_not_follow(tmp_path: Path, name: str) -> None:
    changes, reason, clause = LATER[name]
    made = Collusion(tmp_path)
    permit = permitted(made)
    body = Renew(sid=permit.sid, confirm=permit.confirm, number=1, transmit_until_ns=T0 + 6 * NS, fence=2)
    assert said(extended(made, permit, after(made, replace(body, **changes)))) == (reason, clause)


def test_a_renewal_by_another_or_of_another_type(tmp_path: Path) -> None:
    made = Collusion(tmp_path)
    permit = permitted(made)
    body = Renew(sid=permit.sid, confirm=permit.confirm, number=1, transmit_until_ns=T0 + 6 * NS, fence=2)
    assert said(extended(made, permit, b"\x00")) == (Reason.MALFORMED, "cose.structure")
    assert said(extended(made, permit, made.records()[0])) == (Reason.TYPE, "lease.typ")
    by_user = after(made, body, by="user")
    outcome = said(extended(made, permit, by_user))
    assert outcome is not None
    assert outcome[0] in (Reason.UNKNOWN_AUTHOR, Reason.TYPE)
    late = after(made, body, at_s=3700)
    assert said(extended(made, permit, late)) == (Reason.EXPIRED, "credential.validity")
    past_end = replace(body, transmit_until_ns=CELL.window.end_ns + 1)
    assert said(extended(made, permit, after(made, past_end, at_s=9.5))) == (Reason.LEASE, "renew.until")


def test_an_artifact_of_another_network_or_form(tmp_path: Path) -> None:
    from settlement.pair.artifact import ARTIFACT_LIMIT, verify

    made = Collusion(tmp_path)
    assert said(verify(made.artifact(), network="other", anchors=made.anchors)) is not None
    assert said(verify(b"", network=NETWORK, anchors=made.anchors)) is not None
    assert said(verify(b"\xa0", network=NETWORK, anchors=made.anchors)) == (Reason.MALFORMED, "schema.artifact.grant")
    large = replace(made.whole(), derivation=(bytes(MAX_RECORD_BYTES),) * 3)
    assert MAX_RECORD_BYTES < len(large.encoded()) < ARTIFACT_LIMIT
    assert said(made.verdict(large)) == (Reason.MALFORMED, "cose.structure"), "no larger than an artifact may be"
    with pytest.raises(RefusedError, match="TOO_LARGE"):
        replace(large, derivation=(bytes(MAX_RECORD_BYTES),) * 9).encoded()
    assert said(verify(bytes(ARTIFACT_LIMIT + 1), network=NETWORK, anchors=made.anchors)) == (
        Reason.TOO_LARGE, "cbor.size")  # fmt: skip


@pytest.mark.parametrize(
    ("named", "part"),
    [
        ({}, None),
        ({"wish": b"w" * 16, "index": 0}, (b"w" * 16, 0)),
        ({"wish": b"w" * 16, "index": 3}, (b"w" * 16, 3)),
        ({"wish": b"w" * 16}, None),
        ({"index": 3}, None),
    ],
)
def test_a_permit_says_which_part_of_which_wish_it_is(
    tmp_path: Path, named: dict[str, Any], part: tuple[bytes, int] | None
) -> None:
    """By it the warden takes one settlement for each part of a wish."""
    permit = Collusion(tmp_path, grant=named).verdict()
    assert isinstance(permit, VerifiedPermit), permit
    assert permit.part == part


@pytest.mark.parametrize("named", [{"place": 0}, {"place": 0, "parts": 0}, {"parts": 1}, {"place": 0, "parts": 2}, {}])
def test_a_whole_of_no_number_of_parts_is_not_complete(tmp_path: Path, named: dict[str, int]) -> None:
    """A pair that colludes leaves out how many parts there are, or which one this is."""
    made = Collusion(tmp_path, grant={"whole": b"w" * 32, **named})
    assert said(made.verdict()) == (Reason.INCOMPLETE, "artifact.whole")


def test_a_whole_of_one_part_is_complete_by_itself(tmp_path: Path) -> None:
    made = Collusion(tmp_path, grant={"whole": b"w" * 32, "place": 0, "parts": 1})
    assert isinstance(made.verdict(), VerifiedPermit)
