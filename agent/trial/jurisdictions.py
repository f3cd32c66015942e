"""Authorities of a trial's jurisdictions: each is below the trial's root, with its own key, nodes and rule."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.trial.spec import JurisdictionPlan, Terms
from settlement.chain.credentials import Subject
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Area, Window
from settlement.core.fixes import Fix
from settlement.records.authority import JurisdictionLink
from settlement.records.jurisdiction import Jurisdiction, JurisdictionTerms

PRICE_MOST = 1_000_000


@dataclass(slots=True)
class TrialJurisdiction:
    """One authority: its plan, key and credential, and the number of its last signed record."""

    plan: JurisdictionPlan
    key: SigningKey
    subject: Subject
    seq: int = 0
    previous: bytes | None = None

    @property
    def area(self) -> Area:
        """The area that belongs to the authority."""
        plan = self.plan
        return Area(
            lat_e7=round(plan.lat_deg * 1e7), lon_e7=round(plan.lon_deg * 1e7), radius_mm=round(plan.radius_m * 1000)
        )

    def link(self, network: str, terms: Terms, effective: Window, fix: Callable[[], Fix]) -> JurisdictionLink:
        """Return its signed rule with its credentials."""
        body = Jurisdiction(
            name=self.plan.name,
            clause=self.plan.clause,
            area=self.area,
            effective=effective,
            classes=(
                JurisdictionTerms(
                    commodity=terms.commodity,
                    max_eirp_mdbm=round(self.plan.max_eirp_dbm * 1000),
                    max_window_ns=effective.end_ns - effective.start_ns,
                    price_low=0,
                    price_high=PRICE_MOST,
                ),
            ),
            reconciliation=self.plan.reconciliation,
        )
        self.seq += 1
        frame = Frame(
            network=network,
            author=self.subject.hash,
            seq=self.seq,
            previous=self.previous,
            attestation=Attestation.of(fix()),
        )
        return JurisdictionLink(record=sign_record(self.key, frame, body), chain=self.subject.chain)
