"""Twelve captures of cheap receivers at 433.92 MHz: the interval holds the share in use, or nothing is claimed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.sense.receivers import open_source
from agent.sense.session import SensePlan, survey_settings
from sensing.survey import ChannelReport, ChannelState, Survey
from tests.sensing.real import holds

FOLDER = Path(os.environ.get("BANDPACT_IQ", Path(__file__).parents[3] / "shared" / "iq")) / "ism"
SHARES = {
    "alectov1__gfile001": 0.14,
    "fineoffset__01__gfile002": 0.19,
    "generic_remote__01__gfile001": 0.17,
    "lacrosse__01__gfile006": 0.20,
    "oregon_scientific__03__20150830__gfile001": 0.0,
    "oregon_scientific__03__20150830__gfile011": 0.07,
    "silvercrest__01__gfile007": 0.17,
}


def heard(name: str) -> ChannelReport:
    path = FOLDER / f"{name}.sigmf-meta"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    source = open_source(f"file:{path}")
    settings = survey_settings(source, SensePlan(), source.tunings[0])
    assert settings is not None
    survey, end_ns = Survey(replace(settings, radar=False)), 0
    for look in source.looks():
        end_ns = survey.feed(look.iq, start_ns=look.start_ns, flags=look.flags).end_ns
    return survey.report(end_ns).channels[0]


@pytest.mark.feature("E1")
@pytest.mark.feature("E4")
@pytest.mark.parametrize("name", SHARES)
def test_the_interval_holds_the_share_or_nothing_is_claimed(name: str) -> None:
    channel = heard(name)
    assert channel.state is ChannelState.UNKNOWN or holds(channel, SHARES[name])
    assert channel.state is not ChannelState.FREE
