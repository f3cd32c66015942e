"""With f of 3 f + 1 members faulty nobody sees two outcomes; with more it stops, or who voted twice is known."""

import pytest

from tests.settlement.quorum.byzantine import run

pytestmark = pytest.mark.feature("S9")
SEEDS = 250


@pytest.mark.parametrize("faulty", [1, 2])
def test_with_f_faulty_there_are_never_two_outcomes(faulty: int) -> None:
    came = [run(number, faulty=faulty) for number in range(SEEDS)]
    assert max(len(one.certified) for one in came) == 1
    assert sum(one.finished for one in came) > SEEDS // 3, "an auction is decided often enough for this to say anything"


@pytest.mark.parametrize("faulty", [1, 2])
def test_with_f_silent_and_nothing_lost_the_others_decide(faulty: int) -> None:
    """The auctioneer is not one of the silent ones."""
    assert all(run(number, faulty=faulty, silent=True).finished for number in range(SEEDS))


@pytest.mark.parametrize("faulty", [1, 2])
def test_with_one_more_silent_it_stops(faulty: int) -> None:
    came = [run(number, faulty=faulty, bad=faulty + 1, silent=True) for number in range(SEEDS)]
    assert not any(one.finished for one in came)


@pytest.mark.parametrize("faulty", [1, 2])
def test_with_one_more_faulty_two_outcomes_name_who_made_them(faulty: int) -> None:
    """Where more than f are faulty and two outcomes come, the two certificates name more than f that voted for both."""
    came = [run(number, faulty=faulty, bad=faulty + 1) for number in range(SEEDS)]
    twice = [one for one in came if len(one.certified) > 1]
    assert twice, "the adversary is strong enough to show it"
    assert all(len(one.double) > faulty for one in twice)


def test_honest_members_that_voted_twice_would_be_seen_to_certify_two_things() -> None:
    """The defence taken away: without one vote for each member the search finds two outcomes."""
    assert any(len(run(number, faulty=1, once=False).certified) > 1 for number in range(SEEDS))
