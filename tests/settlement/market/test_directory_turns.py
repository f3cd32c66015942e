"""An issuer that credentials authors without number takes places of a directory from its own, and nobody else's."""

import math
from pathlib import Path
from unittest.mock import Mock

import pytest

from settlement.chain import bodies
from settlement.chain.credentials import Registry, issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, digest, sign_record
from settlement.chain.scope import Area, Cell, Corner, Window
from settlement.core.reasons import Reason
from settlement.market import directory
from settlement.market.directory import (
    ANSWER_MAX,
    AUTHORS_MAX,
    OF_ONE_BYTES,
    OFFERS,
    DirectoryEntry,
    DirectoryIndex,
    DirectoryQuery,
    _in_turns,
    _Listed,
    gives_way,
)
from tests.settlement.world import (
    AREA,
    BAND,
    HOLDER_ACTIONS,
    LAT,
    LON,
    NETWORK,
    NS,
    T0,
    World,
    claims,
    fix,
    held,
    scope,
    seed,
)

pytestmark = [pytest.mark.feature("A8"), pytest.mark.attack(65)]
QUERY = DirectoryQuery(kind=OFFERS)


class Crowd(World):
    """A world with issuers below the root, each with authors of its own."""

    def below(self, name: str, chain: tuple[bytes, ...], key: SigningKey, depth: int) -> tuple[bytes, ...]:
        """The chain of a new issuer (of `depth` more) or author."""
        actions = ("issue", *HOLDER_ACTIONS) if depth else HOLDER_ACTIONS
        issuer = held(Registry(NETWORK, self.anchors).admit_chain(chain))
        made = issue(
            key,
            issuer,
            bodies.Credential(level="operator", scope=scope(actions, depth=depth, tier=1)),
            claims(SigningKey.from_seed(seed(name)).public, name, issuer.name),
            network=NETWORK,
            fix=fix(-8),
            seq=next(self.numbers),
        )
        return (*chain, made)

    def entry(self, name: str, chain: tuple[bytes, ...], price: int = 7) -> DirectoryEntry:
        """An offer of an author's."""
        body = bodies.Declaration(
            cell=Cell(band=BAND, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 300 * NS)),
            commodity="cbrs", tier_low=2, tier_high=3, max_eirp_mdbm=30_000, price_form="fixed", price=price,
            rule=digest(self.rule_raw),
        )  # fmt: skip
        frame = Frame(
            network=NETWORK, author=digest(chain[-1]), seq=price, previous=bytes(32), attestation=Attestation.of(fix(0))
        )
        return DirectoryEntry(record=sign_record(SigningKey.from_seed(seed(name)), frame, body), chain=chain)


@pytest.fixture
def crowd(tmp_path: Path) -> Crowd:
    return Crowd(tmp_path)


def test_an_issuer_of_very_many_authors_takes_no_other_issuers_place(crowd: Crowd) -> None:
    index = DirectoryIndex(Registry(NETWORK, crowd.anchors))
    sub = crowd.below("sub", (crowd.root,), crowd.root_key, 1)
    sub_key = SigningKey.from_seed(seed("sub"))
    for n in range(AUTHORS_MAX):
        loud = crowd.entry(f"loud{n}", crowd.below(f"loud{n}", sub, sub_key, 0))
        assert index.add(loud.encoded(), T0) is None
    again = index.add(crowd.entry("late", crowd.below("late", sub, sub_key, 0)).encoded(), T0)
    assert again is not None
    assert again.reason is Reason.BUDGET, "its own are as many as there may be: they give nobody's place up"
    honest = [crowd.entry(name, crowd.below(name, (crowd.root,), crowd.root_key, 0)) for name in ("ada", "bert")]
    for one in honest:
        assert index.add(one.encoded(), T0) is None
    assert len(index) == AUTHORS_MAX
    for n in range(3):  # what is listed goes on being newer than what is honest
        index.add(crowd.entry(f"loud{100 + n}", crowd.below(f"loud{100 + n}", sub, sub_key, 0), price=50).encoded(), T0)
    found = index.find(QUERY, T0).entries
    assert len(found) == ANSWER_MAX
    assert set(honest) <= set(found[:4]), "issuers take turns in an answer"


def test_what_one_author_lists_takes_a_bounded_number_of_bytes(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    index = DirectoryIndex(Registry(NETWORK, crowd.anchors))
    chain = crowd.below("ada", (crowd.root,), crowd.root_key, 0)
    size = len(crowd.entry("ada", chain).encoded())
    assert size < OF_ONE_BYTES // 64
    monkeypatch.setattr("settlement.market.directory.OF_ONE_BYTES", 3 * size + 50)
    entries = [crowd.entry("ada", chain, price) for price in range(7, 13)]
    for one in entries:
        assert index.add(one.encoded(), T0) is None
    assert index.find(QUERY, T0).entries == tuple(reversed(entries[-3:]))


def round_about(east: int, corners: int = 5) -> Area:
    """An outline round where everybody is, moved a little to the east."""
    return Area(
        outline=tuple(
            Corner(
                lat_e7=LAT + round(100_000 * math.sin(math.tau * n / corners)),
                lon_e7=LON + east + round(100_000 * math.cos(math.tau * n / corners)),
            )
            for n in range(corners)
        )
    )


def test_a_question_is_held_against_few_outlines_whoever_asks(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes milliseconds, of which nobody signed the question."""
    index, compared = DirectoryIndex(Registry(NETWORK, crowd.anchors)), []
    chain = crowd.below("one", (crowd.root,), crowd.root_key, 0)
    for number in range(8):
        assert index.add(crowd.entry("one", chain, price=number).encoded(), T0) is None
    overlaps = Area.overlaps
    monkeypatch.setattr(Area, "overlaps", lambda here, there: compared.append(there) or overlaps(here, there))
    monkeypatch.setattr(directory, "COMPARED_MAX", 3)
    found = index.find(DirectoryQuery(kind=OFFERS, area=round_about(0)), T0)
    assert len(found.entries) == 3
    assert len([area for area in compared if area == AREA]) <= 3
    assert len(index.find(DirectoryQuery(kind=OFFERS, area=AREA), T0).entries) == 8, "circles cost nothing"


def paths(*names: str) -> dict[bytes, tuple[bytes, ...]]:
    """Authors by the letters of the way down to them: `rsa` is author a of issuer s under root r."""
    return {name.encode(): tuple(name[: n + 1].encode() for n in range(len(name))) for name in names}


@pytest.mark.parametrize(
    ("known", "fresh", "gone"),
    [
        (("ra", "rb"), "rc", None),  # three authors of one issuer each have a place or none
        (("rsa", "rsb"), "rc", "rsa"),  # of the issuer that has more, the one longest known
        (("rsa", "rsb"), "rsc", None),  # its own
        (("rsa", "rsb", "rta"), "rtb", None),  # two and two: nobody gives way to be one of the larger
        (("rsa", "rsb", "rsc", "rta"), "rtb", "rsa"),
        (("rsxa", "rsxb", "rsya", "rta"), "rtb", "rsxa"),  # and inside that issuer, of who has more below it
        (("rsxa", "rsxb", "rsya"), "rsz", "rsxa"),
        (("qa", "qb", "ra"), "rb", None),  # two roots
        (("qa", "qb", "qc", "ra"), "rb", "qa"),
        (("rs", "rsa", "rsb"), "rt", "rs"),  # an issuer that lists something itself is one of its authors
    ],
)
def test_who_gives_way(known: tuple[str, ...], fresh: str, gone: str | None) -> None:
    found = gives_way(paths(*known), paths(fresh)[fresh.encode()])
    assert found == (None if gone is None else gone.encode())


def test_in_an_answer_issuers_take_turns_whoever_has_more_authors() -> None:
    entry, body = Mock(), Mock()
    paths = [(b"root", b"crowd", bytes([number])) for number in range(20)]
    paths += [(b"root", b"crowd", b"\0"), (b"root", b"few", b"one"), (b"root", b"few", b"two")]
    listed = [_Listed(entry=entry, body=body, path=path, size=1) for path in paths]
    turns = [one.path[1] for one in _in_turns(listed)]
    assert turns[:4] == [b"crowd", b"few", b"crowd", b"few"]
    assert sorted(one.path for one in _in_turns(listed)) == sorted(paths)
