"""Tests of the permit that remains after its user has handed a part on."""

import pytest

from radio.remainder import HANDED_ON, kept_band, narrowed
from settlement.chain.scope import Band
from settlement.core.reasons import Refusal
from settlement.pair.artifact import VerifiedPermit, verify
from tests.settlement.handing.scene import MHZ, Scene
from tests.settlement.world import NETWORK, fix

pytestmark = pytest.mark.feature("M10")


def band(low: int, high: int) -> Band:
    return Band(low_hz=low * MHZ, high_hz=high * MHZ)


@pytest.mark.parametrize(
    ("handed", "kept"),
    [
        ([], band(3550, 3570)),
        ([band(3550, 3555)], band(3555, 3570)),
        ([band(3560, 3570)], band(3550, 3560)),
        ([band(3555, 3560)], band(3560, 3570)),
        ([band(3550, 3560), band(3560, 3565)], band(3565, 3570)),
        ([band(3550, 3570)], None),
        ([band(3550, 3560), band(3555, 3570)], None),
    ],
)
def test_the_widest_run_that_nothing_handed_on_touches(handed: list[Band], kept: Band | None) -> None:
    assert kept_band(band(3550, 3570), handed) == kept


def test_a_permit_is_less_until_what_was_handed_on_is_over(tmp_path: object) -> None:
    scene = Scene(tmp_path)  # type: ignore[arg-type]
    scene.settle()
    permit = verify(scene.artifact(scene.lease, "alice"), network=NETWORK, anchors=scene.world.anchors)
    assert isinstance(permit, VerifiedPermit), permit
    (handing,) = scene.party("alice").holder.handings.of(scene.lease)
    body = scene.party("alice").record_of(handing.handover).body
    assert narrowed(permit, [body], fix(20.0).time).cell.band == band(3555, 3560)
    assert narrowed(permit, [body], fix(50.1).time).cell.band == permit.cell.band


def test_a_permit_handed_on_whole_is_suspended(tmp_path: object) -> None:
    scene = Scene(tmp_path)  # type: ignore[arg-type]
    scene.settle(kind="transfer")
    permit = verify(scene.artifact(scene.lease, "alice"), network=NETWORK, anchors=scene.world.anchors)
    assert not isinstance(permit, Refusal)
    (handing,) = scene.party("alice").holder.handings.of(scene.lease)
    body = scene.party("alice").record_of(handing.handover).body
    assert narrowed(permit, [body], fix(20.0).time).suspended_for == HANDED_ON
