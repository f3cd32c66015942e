"""What a survey remembers of its blocks, and where it lies."""

import weakref

import numpy as np
import pytest

from sensing.decisions import TOGETHER_BLOCKS, BlockDecisions, DecidedBlocks, DecisionShelf, JudgedBlocks
from sensing.history import SHELF_BLOCKS, FloorHistory, LevelShelf
from sensing.results import SurveySettings
from sensing.survey import Survey
from sensing.tracker import Piece
from sensing.values import Channel

pytestmark = pytest.mark.feature("E2")


def test_levels_lie_together_and_are_what_they_were() -> None:
    shelf, rng = LevelShelf(), np.random.default_rng(1)
    given = [rng.integers(-30000, 30000, (blocks, 65)).astype(np.int16) for blocks in (22, 1, 64, 22)]
    kept = [shelf.put(one) for one in given]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(kept, given, strict=True))
    assert len({id(one.base) for one in kept}) == 1, "pieces of a second lie in one array"
    kept[1] -= np.int16(7)
    assert np.array_equal(kept[2], given[2]), "what is taken from one piece is not taken from the next"


def test_an_array_goes_with_the_last_of_its_pieces() -> None:
    shelf = LevelShelf()
    kept = [shelf.put(np.zeros((SHELF_BLOCKS // 2, 4), np.int16)) for _ in range(3)]
    first = weakref.ref(kept[0].base)
    del kept[0]
    assert first() is not None
    del kept[0]
    assert first() is None


def test_a_piece_larger_than_an_array_and_other_groups_have_arrays_of_their_own() -> None:
    shelf = LevelShelf()
    large = shelf.put(np.full((SHELF_BLOCKS + 1, 3), 5, np.int16))
    narrow = shelf.put(np.full((2, 1), 6, np.int16))
    assert large.shape == (SHELF_BLOCKS + 1, 3)
    assert (large == 5).all()
    assert narrow.shape == (2, 1)
    assert (narrow == 6).all()


def drawn(rng: np.random.Generator, lengths: list[int], channels: int = 2) -> DecidedBlocks:
    blocks = sum(lengths)

    def flags(*shape: int) -> np.ndarray:
        return rng.random(shape) < 0.5

    return DecidedBlocks(
        over_db=rng.normal(0, 9, (channels, blocks)).astype(np.float16),
        whole_db=rng.normal(0, 9, (channels, blocks)).astype(np.float16),
        lasting=flags(channels, blocks),
        bound=flags(blocks),
        clipped=flags(blocks),
        risen=flags(channels, len(lengths)),
    )


def put(shelf: DecisionShelf, decided: DecidedBlocks, lengths: list[int], start_ns: int) -> list[BlockDecisions]:
    firsts = np.cumsum([0, *lengths]).tolist()
    return shelf.put(decided, firsts, key=(0, 1), starts_ns=[start_ns + n for n in range(len(lengths))])


def test_decisions_read_together_are_those_that_were_put_whichever_arrays_they_lie_in() -> None:
    rng, shelf = np.random.default_rng(4), DecisionShelf()
    lots = [[22], [22, 7], [TOGETHER_BLOCKS], [1], [64, 64, 64]]
    given = [drawn(rng, lengths) for lengths in lots]
    kept = [
        one
        for n, (lot, lengths) in enumerate(zip(given, lots, strict=True))
        for one in put(shelf, lot, lengths, 10 * n)
    ]
    assert len({id(one.these) for one in kept}) == 3, "one array until it is full"
    del kept[1]  # what is left out between two that lie side by side
    seen = JudgedBlocks(kept, step_s=1e-4, sound={0: True}, uncertain=0)
    whole = np.concatenate([lot.over_db for lot in given], axis=1)
    energy = np.concatenate([lot.whole_db for lot in given], axis=1)
    lasting = np.concatenate([lot.lasting | lot.bound for lot in given], axis=1)
    clipped = np.concatenate([lot.clipped for lot in given])
    risen = np.concatenate(
        [np.repeat(lot.risen, lengths, axis=1) for lot, lengths in zip(given, lots, strict=True)], axis=1
    )
    left = np.ones(whole.shape[1], bool)
    left[22:44] = False
    for channel in range(2):
        found = seen.channel(channel, seen.outside([]))
        assert np.array_equal(found.over_db, whole[channel, left].astype(float))
        assert np.array_equal(found.whole_db, energy[channel, left].astype(float))
        assert np.array_equal(found.lasting, lasting[channel, left])
        assert np.array_equal(found.clipped, clipped[left])
        assert np.array_equal(found.risen, risen[channel, left])


def test_the_gaps_between_blocks_are_made_once_for_all_channels_and_anew_for_other_pieces() -> None:
    rng, shelf = np.random.default_rng(4), DecisionShelf()
    kept = [one for n in range(3) for one in put(shelf, drawn(rng, [5]), [5], round(1e9 * n))]
    seen = JudgedBlocks(kept, step_s=1e-4, sound={0: True}, uncertain=0)
    all_of, some = seen.outside([]), seen.outside([(0, 1)])
    found, fewer = seen.spacing(all_of), seen.spacing(some)
    assert found is not None
    assert fewer is not None
    assert seen.spacing(seen.outside([])) is found
    assert np.array_equal(found.gaps_s, np.diff(seen.channel(0, all_of).times_s))
    assert np.array_equal(fewer.gaps_s, np.diff(seen.channel(1, some).times_s))
    assert seen.spacing(np.zeros(3, bool)) is None


def piece(start_ns: int, shelf: DecisionShelf | None) -> Piece:
    made = Piece(start_ns=start_ns, levels=np.zeros((20, 65), np.int16), clipped=np.zeros(20, np.bool_))
    if shelf is not None:
        made.decided = put(shelf, drawn(np.random.default_rng(start_ns), [20]), [20], start_ns)[0]
    return made


def test_a_node_forgets_by_time_what_has_lost_its_levels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensing.history.FULL_BYTES", 100 * 20 * 65 * 2)
    history, shelf = FloorHistory(keep_ns=1600), DecisionShelf()
    for at_ns in range(0, 4000, 10):
        history.add(piece(at_ns, shelf if at_ns % 50 else None))
        if history.overfull:
            history.settle()
    assert 87 <= len(history.full) <= 100
    judged = [one.start_ns for one in history.judged()]
    assert judged == [at_ns for at_ns in range(2390, 4000, 10) if at_ns % 50], "nothing older, nothing left out"
    assert history.uncertain == 20 * len([at_ns for at_ns in range(2390, 4000, 10) if at_ns % 50 == 0])
    assert history.forgotten


def test_a_node_judges_anew_what_it_heard_lately_and_keeps_its_word_on_the_rest() -> None:
    history, shelf = FloorHistory(keep_ns=1600, again_ns=800), DecisionShelf()
    spans: list[int] = []
    for at_ns in range(0, 4000, 10):
        history.add(piece(at_ns, shelf))
        if history.overfull:
            history.settle()
        spans.append(history.full[-1].start_ns - history.full[0].start_ns)
    assert max(spans) <= 800
    assert 690 <= min(spans[100:]) <= 700, "an eighth at a time"
    assert [one.start_ns for one in history.judged()] == list(range(2390, 4000, 10))


def test_a_survey_puts_the_levels_of_its_looks_together() -> None:
    channel = Channel(low_hz=3_549_500_000, high_hz=3_550_500_000)
    settings = SurveySettings(center_hz=3.55e9, sample_rate_hz=2e6, full_scale=2048, channels=(channel,), keep_s=120.0)
    survey, rng = Survey(settings), np.random.default_rng(2)
    for number in range(8):
        survey.feed(rng.normal(0, 60, (20_000, 2)).astype(np.int16), start_ns=number * 20_000_000)
    pieces = list(survey._history.full)
    assert len(pieces) >= 8
    assert pieces[0].levels.base is not None
    assert len({id(one.levels.base) for one in pieces}) == 1
