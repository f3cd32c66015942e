"""Many seeds of an auction with f faulty members of 3 f + 1; BYZANTINE_SEEDS says how many for each f."""

import os

import pytest

from tests.settlement.quorum.byzantine import run

SEEDS = int(os.environ.get("BYZANTINE_SEEDS", "10000"))


@pytest.mark.feature("S9")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("faulty", [1, 2])
def test_seeds_of_f_faulty_members(faulty: int) -> None:
    finished = 0
    for number in range(SEEDS):
        came = run(number, faulty=faulty)
        assert len(came.certified) <= 1, f"two outcomes, seed {number}"
        finished += came.finished
    print(f"f = {faulty}: {SEEDS} seeds, {finished} decided, never two outcomes")
    assert finished


@pytest.mark.feature("S9")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("faulty", [1, 2])
def test_seeds_of_one_more_faulty_member(faulty: int) -> None:
    twice = 0
    for number in range(SEEDS):
        assert not run(number, faulty=faulty, bad=faulty + 1, silent=True).finished, f"decided, seed {number}"
        came = run(number, faulty=faulty, bad=faulty + 1)
        twice += len(came.certified) > 1
        assert len(came.certified) <= 1 or len(came.double) > faulty, f"two outcomes and nobody named, seed {number}"
    print(f"f = {faulty}: {SEEDS} seeds with f + 1: silent ones stop it; two outcomes in {twice}, all named")
