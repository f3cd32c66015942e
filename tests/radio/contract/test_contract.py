"""What every radio behind the port does: simulated, replayed, the Pluto driver on a simulated Pluto, and hardware."""

import itertools
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from radio.errors import RadioError, SettingRefused
from radio.ports import Radio, Receiver, RfState, RxFlag, RxSettings, Streamer
from tests.radio.contract.conftest import Subject
from tests.radio.plutobench import NOISE

pytestmark = [pytest.mark.feature("R2"), pytest.mark.feature("R1"), pytest.mark.timeout(60)]
NS = 10**9
STREAMED = 4_000
STREAM_SLACK_NS = 3_000_000


class TestReceiver:
    def test_blocks_are_whole_numbered_timed_and_read_only(self, receiver: tuple[Receiver, RxSettings]) -> None:
        made, settings = receiver
        numbers, ends_ns = [], []
        for samples in (1, 1000, 19_200):
            block = made.receive(samples)
            assert block.iq.shape == (samples, 2)
            assert block.iq.dtype == np.int16
            assert not block.iq.flags.writeable
            assert block.settings == settings
            assert np.abs(block.iq).max() <= block.full_scale
            assert block.start.earliest_ns <= block.start.latest_ns
            assert not block.flags & (RxFlag.STALE | RxFlag.SHORT | RxFlag.GAP)
            numbers.append(block.sequence)
            ends_ns.append(block.start.latest_ns + samples * NS // settings.sample_rate_hz)
        assert np.diff(numbers).tolist() == [1, 1]
        assert sorted(ends_ns) == ends_ns

    def test_what_cannot_be_tuned_is_refused(self, receiver: tuple[Receiver, RxSettings]) -> None:
        made, settings = receiver
        with pytest.raises(SettingRefused):
            made.tune_rx(replace(settings, center_hz=-1))


class TestStreamer:
    def test_blocks_follow_each_other_without_a_break_or_the_break_is_flagged(
        self, subject: Subject, radio: Radio
    ) -> None:
        assert isinstance(radio, Streamer)
        radio.tune_rx(subject.rx)
        blocks = list(itertools.islice(radio.stream(STREAMED), 12))
        assert np.diff([block.sequence for block in blocks]).min() >= 1
        for before, block in itertools.pairwise(blocks):
            assert block.iq.shape == (STREAMED, 2)
            assert block.settings == subject.rx
            if not block.flags & RxFlag.GAP:
                due_ns = before.start.earliest_ns + STREAMED * NS // subject.rx.sample_rate_hz
                slack_ns = before.start.latest_ns - before.start.earliest_ns + 2 * NS // subject.rx.sample_rate_hz
                assert block.sequence == before.sequence + 1
                assert abs(block.start.earliest_ns - due_ns) <= slack_ns + STREAM_SLACK_NS

    def test_what_it_sends_itself_is_flagged_and_the_stream_goes_on(self, subject: Subject, transmitter: Radio) -> None:
        assert isinstance(transmitter, Streamer)
        transmitter.tune_rx(subject.rx)
        transmitter.tune_tx(subject.tx)
        burst = np.full((19_200, 2), 4_000, np.int16)
        blocks = transmitter.stream(STREAMED)
        next(blocks)
        transmitter.send(burst)
        heard = list(itertools.islice(blocks, 40))
        assert any(RxFlag.OWN_TX in block.flags for block in heard)
        transmitter.mute()
        later = list(itertools.islice(blocks, 60))
        assert not any(RxFlag.OWN_TX in block.flags for block in later[-3:])

    def test_after_a_stream_was_left_blocks_can_be_asked_for(self, subject: Subject, radio: Radio) -> None:
        assert isinstance(radio, Streamer)
        radio.tune_rx(subject.rx)
        stream = radio.stream(STREAMED)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert len(radio.receive(1000).iq) == 1000


class TestReceivingRadio:
    def test_the_receiver_reads_back_what_it_holds(self, subject: Subject, radio: Radio) -> None:
        assert radio.tune_rx(subject.rx) == subject.rx
        assert radio.tune_rx(replace(subject.rx, gain_mdb=59_700)) == subject.rx

    @pytest.mark.parametrize("field", ["center_hz", "sample_rate_hz", "bandwidth_hz", "gain_mdb"])
    def test_a_setting_outside_the_ranges_is_refused(self, subject: Subject, radio: Radio, field: str) -> None:
        with pytest.raises(SettingRefused, match=field):
            radio.tune_rx(replace(subject.rx, **{field: -1}))

    def test_samples_are_younger_than_the_call(self, subject: Subject, radio: Radio) -> None:
        radio.tune_rx(subject.rx)
        for samples in (1000, 19_200):
            before_ns = time.monotonic_ns()
            block = radio.receive(samples)
            after_ns = time.monotonic_ns()
            assert before_ns <= block.start.earliest_ns
            assert block.start.latest_ns + (samples - 1) * NS // subject.rx.sample_rate_hz <= after_ns

    def test_an_impossible_number_of_samples_is_refused(self, subject: Subject, radio: Radio) -> None:
        radio.tune_rx(subject.rx)
        with pytest.raises(SettingRefused):
            radio.receive(0)

    def test_receiving_before_tuning_is_refused(self, subject: Subject) -> None:
        fresh = subject.open()
        with pytest.raises(SettingRefused, match="tune_rx"):
            fresh.receive(100)
        fresh.close()

    def test_the_device_has_an_identity_that_stays(self, subject: Subject, radio: Radio) -> None:
        again = subject.open()
        assert radio.device_id
        assert radio.device_id == again.device_id
        again.close()


@pytest.mark.feature("R9")
class TestTransmitting:
    def test_the_transmitter_reads_back_what_it_holds(self, subject: Subject, transmitter: Radio) -> None:
        assert transmitter.tune_tx(subject.tx) == subject.tx
        finer = replace(subject.tx, attenuation_mdb=subject.tx.attenuation_mdb + 100)
        assert transmitter.tune_tx(finer) == subject.tx

    @pytest.mark.parametrize("field", ["center_hz", "sample_rate_hz", "bandwidth_hz", "attenuation_mdb"])
    def test_a_refused_setting_leaves_it_silent(self, subject: Subject, transmitter: Radio, field: str) -> None:
        transmitter.mute()
        with pytest.raises(SettingRefused, match=field):
            transmitter.tune_tx(replace(subject.tx, **{field: -1}))
        assert transmitter.rf_state() is RfState.OFF

    def test_bursts_follow_one_another_and_sending_does_not_block(self, subject: Subject, transmitter: Radio) -> None:
        transmitter.tune_tx(subject.tx)
        burst = NOISE[:192_000]
        first, second = transmitter.send(burst), transmitter.send(burst)
        assert time.monotonic_ns() < second.start.latest_ns
        length_ns = len(burst) * NS // subject.tx.sample_rate_hz
        assert 0 <= second.start.latest_ns - first.start.latest_ns - length_ns < 50_000_000
        assert (first.samples, second.samples) == (len(burst), len(burst))
        assert transmitter.mute() is RfState.OFF
        if subject.emissions is not None:
            bursts = [one for one in subject.emissions() if one.kind == "burst"]
            assert first.start.earliest_ns - 1000 <= bursts[-1].start_ns <= first.start.latest_ns

    @pytest.mark.parametrize("iq", [np.zeros((0, 2), np.int16), np.zeros((4, 3), np.int16), np.zeros((4, 2), np.int32)])
    def test_what_is_no_burst_is_refused(self, transmitter: Radio, iq: Any) -> None:
        with pytest.raises(SettingRefused):
            transmitter.send(iq)

    def test_mute_is_read_back_and_nothing_radiates_after_it(self, subject: Subject, transmitter: Radio) -> None:
        transmitter.tune_tx(subject.tx)
        assert transmitter.rf_state() is RfState.ON
        transmitter.send(NOISE[:192_000])
        assert transmitter.mute() is RfState.OFF
        muted_ns = time.monotonic_ns()
        assert transmitter.rf_state() is RfState.OFF
        if subject.emissions is not None:
            found = subject.emissions()
            assert found
            assert not [one for one in found if one.end_ns > muted_ns]

    def test_mute_works_while_receiving_blocks(self, subject: Subject, transmitter: Radio) -> None:
        transmitter.tune_rx(subject.rx)
        transmitter.tune_tx(subject.tx)
        done: list[int] = []
        samples = subject.rx.sample_rate_hz // 2

        def receive() -> None:
            transmitter.receive(samples)
            done.append(time.monotonic_ns())

        thread = threading.Thread(target=receive)
        thread.start()
        assert transmitter.mute() is RfState.OFF
        muted_ns = time.monotonic_ns()
        thread.join()
        assert muted_ns < done[0]

    def test_own_transmission_is_flagged(self, subject: Subject, transmitter: Radio) -> None:
        transmitter.tune_rx(subject.rx)
        transmitter.tune_tx(subject.tx)
        transmitter.send(NOISE[:192_000])
        assert RxFlag.OWN_TX in transmitter.receive(1000).flags
        transmitter.mute()

    def test_closing_mutes(self, subject: Subject, transmitter: Radio) -> None:
        transmitter.tune_tx(subject.tx)
        transmitter.close()
        transmitter.close()
        after = subject.open()
        try:
            assert after.rf_state() is RfState.OFF
        except RadioError as exc:
            pytest.fail(str(exc))
        finally:
            after.close()
