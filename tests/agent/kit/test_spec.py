"""A trial's file: people's units are read to the last unit, and each mistake names file, line, key and mend."""

from pathlib import Path

import pytest

from agent.config.settings import ConfigError
from agent.kit.spec import read_trial
from tests.agent.kit.trials import TRIAL, written


@pytest.mark.feature("U9")
def test_people_write_units_and_records_get_whole_numbers(tmp_path: Path) -> None:
    trial = read_trial(written(tmp_path))
    assert trial.band == (3_550_000_000, 3_570_000_000)
    assert trial.authority.area == (369_500_000, -763_000_000, 20_000_000)
    assert (trial.authority.max_eirp, trial.authority.life) == (30_000, 30)
    holder, alice = trial.nodes
    assert alice.place == (369_530_000, -762_966_000)
    assert holder.listen == "tcp://127.0.0.1:4711"
    assert (holder.offers[0].length, holder.offers[0].eirp) == (300 * 10**9, 20_000)


@pytest.mark.parametrize(
    ("before", "after", "line", "key", "mend"),
    [
        ('band = "3550-3570MHz"', 'band = "3550-3570"', 2, "band", "with a unit"),
        ('band = "3550-3570MHz"', "band = 3550", 2, "band", "with a unit"),
        ('band = "3550-3570MHz"', 'band = "0-3570MHz"', 2, "band", "above 0 Hz"),
        ('band = "3550-3570MHz"', 'band = "3550-9999999MHz"', 2, "band", "up to 3000000 MHz"),
        ("20km", "99999km", 7, "authority.area", "no place on earth"),
        ('max_eirp = "30dBm"', 'max_eirp = "9999dBm"', 8, "authority.max_eirp", "1000 dBm"),
        ("[authority]", "[authoritiy]", 5, "authoritiy", "'authority' is missing"),
        ('for = "2min"', 'form = "2min"', 30, "nodes[1].wants[0].form", "'for' is missing"),
        ('listen = "127.0.0.1:4712"', 'listen = "0.0.0.0:4712"', 28, "nodes[1].listen", "as bind"),
        ('door = "127.0.0.1:4714"', 'door = "[::]:4714"', 29, "nodes[1].door", "as bind"),
        ("SIM-0002", "SIM\\n0002", 27, "nodes[1].radio.serial", "in one line"),
        ("20km", "20", 7, "authority.area", "20km"),
        ('max_eirp = "30dBm"', 'max_eirp = "30"', 8, "authority.max_eirp", "20dBm"),
        ('life = "30d"', 'life = "9000d"', 9, "authority.life", "7320d"),
        ('life = "30d"', 'life = "30"', 9, "authority.life", "60s or 10min"),
        ('life = "30d"', 'lives = "30d"', 9, "authority.lives", "not known"),
        ('place = "36.953N', 'place = "96.953N', 26, "nodes[1].place", "36.95"),
        ('role = "user"', 'role = "usher"', 25, "nodes[1].role", "'holder' or 'user'"),
        ('listen = "127.0.0.1:4712"', 'listen = "127.0.0.1"', 28, "nodes[1].listen", "192.0.2.7:4711"),
        ('eirp = "20dBm" }]\n', 'eirp = "20dBm", flavour = 1 }]\n', 21, "nodes[0].offers[0].flavour", "not known"),
    ],
)
def test_a_mistake_names_file_line_key_and_mend(
    tmp_path: Path, before: str, after: str, line: int, key: str, mend: str
) -> None:
    file = written(tmp_path, TRIAL.replace(before, after, 1))
    with pytest.raises(ConfigError) as caught:
        read_trial(file)
    said = str(caught.value)
    assert said.startswith(f"{file}:{line}: {key}: "), said
    assert mend in said, said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('name = "alice"', 'name = "h0lder"', "look alike"),
        ('name = "alice"', 'name = "Welcome"', "welcome's name"),
        ("SIM-0002", "SIM-0001", "share one radio"),
        ('door = "127.0.0.1:4714"', 'door = "127.0.0.1:4711"', "share tcp://127.0.0.1:4711"),
        ('door = "127.0.0.1:4714"', 'door = "127.0.0.1:4712"', "one address"),
        ("30442", "30441", ""),
        ('wants = [{ band = "3560-3570MHz"', 'wants = [{ band = "3560-3580MHz"', "outside the band"),
        ('for = "2min", eirp = "20dBm"', 'for = "2min", eirp = "29dBm"', "above what is allowed"),
        ('role = "user"', 'role = "holder"', "wants nothing"),
        ('uri = "ip:127.0.0.1:30442"', 'uri = "ip:192.168.2.1"', "simulated = false"),
        ('place = "36.953N 76.2966W"', 'place = "37.953N 76.2966W"', "outside the authority's area"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, before: str, after: str, said: str) -> None:
    file = written(tmp_path, TRIAL.replace(before, after, 1))
    if said:
        with pytest.raises(ConfigError, match=said):
            read_trial(file)
    else:
        read_trial(file)  # one address, two serial numbers: two units on one hub


SOAPY = 'radio = { driver = "soapy", uri = "driver=uhd", serial = "30AD", identity = "soapy b200 30AD" }'


@pytest.mark.feature("U9")
def test_a_node_of_any_driver_is_made_from_the_trials_file(tmp_path: Path) -> None:
    text = TRIAL.replace("simulated = true", "simulated = false")
    text = text.replace('radio = { uri = "ip:127.0.0.1:30442", serial = "SIM-0002" }', SOAPY)
    holder, alice = read_trial(written(tmp_path, text)).nodes
    assert (holder.radio.driver, holder.radio.device) == ("pluto", "pluto SIM-0001")
    assert (alice.radio.driver, alice.radio.device) == ("soapy", "soapy b200 30AD")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (SOAPY.replace(', identity = "soapy b200 30AD"', ""), "identity"),
        (SOAPY.replace("driver=uhd", "driver=lime"), "by hand"),
        (SOAPY.replace('"soapy"', '"hackrf"'), "none of"),
        (SOAPY, "simulated = false"),
    ],
)
def test_a_radio_that_the_kit_cannot_set_up_is_named(tmp_path: Path, after: str, said: str) -> None:
    text = TRIAL.replace('radio = { uri = "ip:127.0.0.1:30442", serial = "SIM-0002" }', after)
    with pytest.raises(ConfigError, match=said):
        read_trial(written(tmp_path, text))
