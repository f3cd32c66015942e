"""A GRANT without the decision its rule asks for is refused by user, co-signer, warden and auditor alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.audit.verify import audit_lineage
from settlement.chain.admission import prove
from settlement.chain.codec import encode
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import GroupProof, Links, VerifiedPermit
from settlement.pair.table import UserState
from settlement.quorum.certificate import Certificate, vote
from settlement.quorum.group import membership_of
from settlement.quorum.outcome import approving
from settlement.records.auction import AuctionTally
from settlement.state.messages import decode_message
from tests.settlement.quorum.auctions import AuctionWorld
from tests.settlement.quorum.forgery import artifact_of, body_of, forged, signed, verdict
from tests.settlement.quorum.test_approval import ApprovalWorld
from tests.settlement.quorum.test_taken_over import by_subauthority, subauthority
from tests.settlement.world import LOWER, NETWORK

pytestmark = [pytest.mark.feature("S9"), pytest.mark.attack(30)]
PRICES = {"ada": 50, "bert": 70, "cara": 60}


def sold(folder: Path) -> tuple[AuctionWorld, bytes]:
    """An auction that bert won at 60, and settled."""
    folder.mkdir(exist_ok=True)
    world = AuctionWorld(folder)
    auction = world.open()
    assert world.run(auction, PRICES) == []
    sid = world.ask("bert", 4.8, 60)
    assert world.carry(4.8) == []
    return world, sid


def approved(folder: Path) -> tuple[ApprovalWorld, bytes]:
    """A settlement that its offices approved."""
    folder.mkdir(exist_ok=True)
    world = ApprovalWorld(folder)
    world.offer_all()
    sid = world.want("ada", 1.0)
    world.tick(1.1)
    world.tick(1.2)
    assert world.state("ada", sid) == UserState.SETTLED
    return world, sid


def refused(found: VerifiedPermit | Refusal, reason: Reason, clause: str) -> None:
    assert isinstance(found, Refusal), "it verifies"
    assert (found.reason, found.clause) == (reason, clause), found
    assert found.measured
    assert found.required


def without(decided: GroupProof | None, typ: str) -> GroupProof:
    """What was shown, without the records of one type."""
    assert decided is not None
    kept = tuple(raw for raw in decided.records if f"bandpact/{typ}".encode() not in raw)
    assert len(kept) < len(decided.records)
    return replace(decided, records=kept)


def test_an_auctioned_settlement_verifies_by_what_it_shows_and_by_nothing_less(tmp_path: Path) -> None:
    world, sid = sold(tmp_path)
    artifact = artifact_of(world, "bert", sid)
    assert isinstance(verdict(world, artifact), VerifiedPermit)
    refused(verdict(world, replace(artifact, decided=None)), Reason.PROOF, "decided.request")
    for typ in ("request", "declaration", "outcome", "proposal", "members", "tally"):
        shown = without(artifact.decided, typ)
        refused(verdict(world, replace(artifact, decided=shown)), Reason.PROOF, f"decided.{typ}")


@pytest.mark.parametrize(
    ("changes", "reason", "clause"),
    [
        ({"award": None}, Reason.QUORUM, "decided.award"),
        ({"price": 59}, Reason.PRICE, "decided.price"),
        ({"award": bytes(32)}, Reason.PROOF, "decided.outcome"),
    ],
)
def test_a_pair_that_settles_an_auctioned_cell_otherwise_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: Reason, clause: str
) -> None:
    world, sid = sold(tmp_path)
    parties = "holder", "bert"
    artifact = artifact_of(world, "bert", sid)
    assert isinstance(verdict(world, forged(world, artifact, 4.85, parties)), VerifiedPermit)
    refused(verdict(world, forged(world, artifact, 4.85, parties, **changes)), reason, clause)


def test_a_loser_and_the_holder_cannot_make_an_artifact_of_the_outcome(tmp_path: Path) -> None:
    """They write an OUTCOME and a TALLY for themselves; the votes are for another TALLY, and theirs are too few."""
    world, sid = sold(tmp_path)
    artifact = artifact_of(world, "bert", sid)
    party = world.members["holder"].party
    (name,) = (value for _, value in party.lineage.items("outcome"))
    outcome = party.record_of(name)
    assert outcome is not None
    mine = AuctionTally(proposal=outcome.body.proposal, bids=(), winner=world.members["bert"].hash, price=11)
    tally = signed(world, "holder", mine, 4.5)
    for choice, reason, clause in (
        (outcome.body.choice, Reason.ENTRY_MISMATCH, "decided.tally"),
        (digest(tally), Reason.QUORUM, "quorum.6"),
    ):
        certificate = outcome.body.certificate
        if choice != outcome.body.choice:
            membership = membership_of(NETWORK, world.members_list())
            votes = tuple(vote(world.members[one].key, membership, choice) for one in ("holder", "bert"))
            certificate = encode(Certificate(epoch=1, membership=membership.name, subject=choice, votes=votes))
        said = replace(outcome.body, tally=digest(tally), price=11, choice=choice, certificate=certificate)
        false = signed(world, "holder", said, 4.55)
        kept = without(without(artifact.decided, "outcome"), "tally")
        shown = replace(kept, records=(*kept.records, tally, false))
        made = forged(world, artifact, 4.85, ("holder", "bert"), price=11, award=digest(false))
        refused(verdict(world, replace(made, decided=shown)), reason, clause)


def test_a_settlement_in_a_class_with_approval_verifies_with_its_certificate_alone(tmp_path: Path) -> None:
    world, sid = approved(tmp_path)
    artifact = artifact_of(world, "ada", sid)
    assert isinstance(verdict(world, artifact), VerifiedPermit)
    refused(verdict(world, replace(artifact, decided=None)), Reason.PROOF, "decided.outcome")
    bare = replace(forged(world, artifact, 1.3, ("holder", "ada"), approval=None), decided=None)
    refused(verdict(world, bare), Reason.QUORUM, "decided.approval")
    for changes, clause in (
        ({"price": 8}, "decided.terms"),
        ({"max_eirp_mdbm": 21_000}, "decided.terms"),
        ({"request": bytes(32)}, "decided.subject"),
    ):
        refused(verdict(world, forged(world, artifact, 1.3, ("holder", "ada"), **changes)), Reason.TERMS, clause)
    late = forged(
        world, artifact, 1.6, ("holder", "ada"), accept_by_ns=body_of(artifact.grant).accept_by_ns + 300_000_000
    )
    refused(verdict(world, late), Reason.TIMEOUT, "decided.vote_by")


def test_the_user_refuses_a_grant_without_its_decision(tmp_path: Path) -> None:
    """A holder that grants on its own: its user does not accept, and the log says why."""
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    sid = world.request("ada", 1.0, LOWER, 3.0, 9.0)
    holder = world.members["holder"].party

    def alone(step: Any) -> Any:
        (message,) = (one.data for one in world.members["ada"].outgoing if one.to == world.members["holder"].hash)
        raw = decode_message(message).record  # type: ignore[union-attr]
        admitted = prove(raw, holder.registry)
        found = holder.holder.judge_request(admitted, step.now.time)  # type: ignore[arg-type]
        assert not isinstance(found, Refusal), found
        return holder.holder.grant(step, found)

    world.do("holder", 1.1, alone, honest=False)
    world.members["ada"].outgoing.clear()
    refusals = world.carry(1.1)
    assert [(one.reason, one.clause) for one in refusals] == [(Reason.QUORUM, "decided.approval")]
    assert world.state("ada", sid) == UserState.REQUESTED


def test_the_auditor_names_a_grant_without_its_decision(tmp_path: Path) -> None:
    """Both parties agree on it, so neither refuses it; whoever reads the holder's log does."""
    world, sid = approved(tmp_path)
    folder = world.members["holder"].party.lineage.path
    given = body_of(artifact_of(world, "ada", sid).grant)

    def alone(step: Any) -> None:
        step.sign(replace(given, approval=None, nonce=bytes(16), sid=bytes(32)))

    world.do("holder", 1.3, alone, honest=False)
    world.members["holder"].party.lineage.close()
    audited = audit_lineage(folder, network=NETWORK, anchors=world.anchors)
    assert [one for one in audited.findings.problems if "decided.approval" in one]
    others = [one for one in audited.findings.problems if "decided" in one and "approval" not in one]
    assert others == []


def remade(world: ApprovalWorld, sid: bytes, sign: Callable[[Any], bytes], *behind: bytes) -> VerifiedPermit | Refusal:
    """The settlement with a list of members, a question and a certificate made anew, as colluding members would.

    Args: sign: what makes a record of the list; behind: credentials of its author that the artifact shows beside.
    """
    artifact = artifact_of(world, "ada", sid)
    assert artifact.decided is not None
    party = world.members["holder"].party
    ((_, name),) = party.lineage.items("outcome")
    outcome = party.record_of(name)
    assert outcome is not None
    asked = party.record_of(outcome.body.proposal)
    assert asked is not None
    group = world.members_list(epoch=2)
    listed = sign(group)
    proposal = signed(world, "holder", replace(asked.body, membership=digest(listed), epoch=2), 1.21)
    membership = membership_of(NETWORK, group)
    choice = approving(digest(proposal))
    votes = tuple(vote(world.members[one].key, membership, choice) for one in ("holder", "reg", "cara", "dora"))
    certificate = encode(Certificate(epoch=2, membership=membership.name, subject=choice, votes=votes))
    said = replace(outcome.body, proposal=digest(proposal), epoch=2, choice=choice, certificate=certificate)
    told = signed(world, "holder", said, 1.22)
    made = forged(world, artifact, 1.3, ("holder", "ada"), approval=digest(told))
    chains = (*(artifact.decided.chains or ()), *([Links(credentials=behind)] if behind else []))
    shown = replace(artifact.decided, records=(listed, proposal, told), chains=chains)
    return verdict(world, replace(made, decided=shown))


def test_a_list_of_members_is_an_authoritys_word_to_whoever_reads_the_artifact(tmp_path: Path) -> None:
    world, sid = approved(tmp_path)
    assert isinstance(remade(world, sid, lambda group: world.by_authority(group, 1.2)), VerifiedPermit)
    by_holder = remade(world, sid, lambda group: signed(world, "holder", group, 1.2))
    refused(by_holder, Reason.SCOPE, "capability.6")


def test_a_list_of_members_by_an_authority_below_the_rules_own_decides_nothing(tmp_path: Path) -> None:
    world, sid = approved(tmp_path)
    below = remade(world, sid, lambda group: by_subauthority(world, group, 1.2), world.root, subauthority(world))
    refused(below, Reason.SCOPE, "membership.author")
