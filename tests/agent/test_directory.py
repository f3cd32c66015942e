"""A directory speeds discovery and has no authority: what it hides, delays, repeats or invents changes nothing else."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.config.settings import OfferSection
from agent.directory.proofs import judged
from agent.directory.server import application
from agent.node.directories import ANSWERS_MAX, ASK_MAX_NS, ASK_NS, PUBLISH_AGAIN_NS, Directories, entry_of, take_entry
from agent.node.intents import answering, say_intent
from settlement.chain.codec import decode, encode
from settlement.chain.credentials import Registry
from settlement.chain.records import digest
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal
from settlement.market.choice import SpectrumWish
from settlement.market.directory import (
    ANSWER_LIMIT,
    INTENTS,
    OF_ONE_MAX,
    OFFERS,
    DirectoryAnswer,
    DirectoryEntry,
    DirectoryIndex,
    DirectoryQuery,
)
from settlement.pair.effects import AnswerIntent
from settlement.pair.table import UserState
from tests.settlement.market.classed import STORAGE, ask, classed, enrolled, offered, window
from tests.settlement.world import BAND, LOWER, NETWORK, NS, T0, UPPER, World

QUERY = DirectoryQuery(kind=OFFERS)


def town(folder: Path) -> tuple[World, DirectoryEntry]:
    """A holder's offer that reached nobody, as a directory has it."""
    world = enrolled(classed(folder), ("holder",), ("alice", "bob"))
    name = offered(world, "holder", BAND, "cbrs", ())
    entry = entry_of(world.members["holder"].party, name)
    assert entry is not None
    return world, entry


def index_of(world: World) -> DirectoryIndex:
    return DirectoryIndex(Registry(NETWORK, world.anchors))


def at_once(visit: Callable[[], None]) -> None:
    """Make a visit in the test's own thread: what a step finds is what the visit before it left."""
    visit()


def told(world: World, entry: DirectoryEntry, query: DirectoryQuery = QUERY, at_s: float = 0.5) -> str:
    party = world.members["alice"].party
    what: str = world.do("alice", at_s, lambda step: take_entry(step, party, entry, query))
    return what


@pytest.mark.feature("A8", "M2")
def test_an_offer_found_in_a_directory_is_settled_with_its_holder(tmp_path: Path) -> None:
    world, entry = town(tmp_path)
    index = index_of(world)
    assert index.add(entry.encoded(), T0) is None
    found = index.find(replace(QUERY, commodity="cbrs", band=LOWER, price_max=7), T0)
    assert found.entries == (entry,)
    assert told(world, found.entries[0]) == "taken"
    (name,) = world.members["alice"].party.user.offers
    assert ask(world, "alice", name, LOWER)[0].state == UserState.SETTLED


@pytest.mark.feature("A8")
@pytest.mark.parametrize(
    ("change", "hits"),
    [
        ({}, 1),
        ({"commodity": "storage"}, 0),
        ({"band": Band(low_hz=1, high_hz=2)}, 0),
        ({"band": Band(low_hz=BAND.low_hz, high_hz=BAND.high_hz, unit="bit/s")}, 0),
        ({"price_max": 6}, 0),
        ({"kind": INTENTS}, 0),
        ({"window": window(400, 10)}, 0),
    ],
)
def test_it_finds_by_class_band_window_and_price(tmp_path: Path, change: dict[str, Any], hits: int) -> None:
    world, entry = town(tmp_path)
    index = index_of(world)
    assert index.add(entry.encoded(), T0) is None
    assert len(index.find(replace(QUERY, **change), T0).entries) == hits
    assert not index.find(QUERY, T0 + 400 * NS).entries  # its window is over


def _forged(entry: DirectoryEntry) -> DirectoryEntry:
    return replace(entry, record=entry.record[:-1] + bytes([entry.record[-1] ^ 1]))


LIES: dict[str, tuple[Callable[[World, DirectoryEntry], DirectoryEntry], float, str]] = {
    "invents": (lambda _w, entry: _forged(entry), 0.5, "refused"),
    "delays": (lambda _w, entry: entry, 60.0, "refused"),
    "answers another question": (lambda _w, entry: entry, 0.5, "unasked"),
    "hands out what is no offer": (lambda w, entry: replace(entry, record=w.rule_raw), 0.5, "refused"),
    "hands out noise": (lambda _w, entry: replace(entry, record=b"\x00" * 64), 0.5, "refused"),
}


@pytest.mark.feature("A8")
@pytest.mark.parametrize("name", LIES)
def test_a_lie_of_a_directory_changes_nothing(tmp_path: Path, name: str) -> None:
    world, entry = town(tmp_path)
    lie, at_s, what = LIES[name]
    query = DirectoryQuery(kind=INTENTS) if what == "unasked" else QUERY
    party = world.members["alice"].party
    size = party.lineage.size
    assert told(world, lie(world, entry), query, at_s) in {what, "unknown", "seen"}
    assert not party.user.offers
    assert party.lineage.size == size  # nothing logged, nobody's share charged
    assert told(world, entry) == "taken"  # and the truth still counts


@pytest.mark.feature("A8")
def test_what_a_directory_repeats_counts_once(tmp_path: Path) -> None:
    world, entry = town(tmp_path)
    assert [told(world, entry, at_s=0.5 + n / 100) for n in range(5)] == ["taken", "seen", "seen", "seen", "seen"]
    assert len(world.members["alice"].party.user.offers) == 1


@pytest.mark.feature("A8")
def test_a_directory_that_hides_everything_leaves_another_to_be_asked(tmp_path: Path) -> None:
    world, entry = town(tmp_path)
    said = {"http://silent": (), "http://honest": (entry,), "http://broken": "http://broken: down"}
    asked: list[str] = []

    def find(url: str, _query: DirectoryQuery) -> Any:
        asked.append(url)
        return said[url]

    party = world.members["alice"].party
    several = Directories(list(said), (OFFERS,), put=lambda *_: "", ask=find, visit=at_once)
    assert several.turn(party, (), 0)
    world.do("alice", 0.5, lambda step: several.take(step, party))
    assert asked == list(said)
    assert several.shown().taken == 1
    assert several.why["http://broken"] == "http://broken: down"
    assert len(party.user.offers) == 1


@pytest.mark.feature("A8")
def test_a_node_publishes_each_of_its_offers_once(tmp_path: Path) -> None:
    world, entry = town(tmp_path)
    sent: list[DirectoryEntry] = []
    one = Directories(["http://a"], (), put=lambda _url, it: sent.append(it) or "", ask=lambda *_: (), visit=at_once)  # type: ignore[func-returns-value]
    for _ in range(3):
        one.turn(world.members["holder"].party, (), 0)
    assert sent == [entry]


@pytest.mark.feature("A8")
def test_what_a_directory_that_was_down_did_not_take_it_gets_once_it_is_up(tmp_path: Path) -> None:
    """Each offer was handed over once, whatever became of it: one made while a directory was down was never in it."""
    world, entry = town(tmp_path)
    party, sent, down = world.members["holder"].party, list[tuple[int, DirectoryEntry]](), [True]
    now_ns = 0
    one = Directories(
        ["http://a"],
        (),
        put=lambda _url, it: sent.append((now_ns, it)) or ("http://a: down" if down[0] else ""),  # type: ignore[func-returns-value]
        ask=lambda *_: (),
        visit=at_once,
    )
    for now_ns in range(0, 10 * PUBLISH_AGAIN_NS, PUBLISH_AGAIN_NS // 50):
        down[0] = now_ns < 5 * PUBLISH_AGAIN_NS
        one.turn(party, (), now_ns)
    assert sent == [(number * PUBLISH_AGAIN_NS, entry) for number in range(6)]


@pytest.mark.feature("A8")
def test_a_directory_that_is_down_for_hours_is_asked_seldom_and_as_often_as_before_once_it_is_up(
    tmp_path: Path,
) -> None:
    world, _ = town(tmp_path)
    party, asked, down = world.members["alice"].party, list[int](), [True]
    now_ns = 0
    one = Directories(
        ["http://a"],
        (OFFERS,),
        ask=lambda *_: asked.append(now_ns) or ("http://a: down" if down[0] else ()),  # type: ignore[func-returns-value]
        visit=at_once,
    )
    for now_ns in range(0, 3600 * ASK_NS, ASK_NS // 4):
        one.turn(party, (), now_ns)
    assert len(asked) < 3600 * ASK_NS // ASK_MAX_NS + 10
    down[0], up_ns = False, now_ns
    for now_ns in range(up_ns, up_ns + 60 * ASK_NS, ASK_NS // 4):
        one.turn(party, (), now_ns)
        world.do("alice", 0.5, lambda step: one.take(step, party))
    assert sum(at_ns >= up_ns + ASK_MAX_NS for at_ns in asked) >= 30 - 1


@pytest.mark.feature("A8")
def test_a_node_that_takes_nothing_in_asks_for_nothing_more(tmp_path: Path) -> None:
    """A node that waits for its neighbours' word on its log takes no answer; they piled up for as long as it waited."""
    world, entry = town(tmp_path)
    party = world.members["alice"].party
    one = Directories(["http://a"], (OFFERS,), ask=lambda *_: (entry,), visit=at_once)
    for second in range(3600):
        one.turn(party, (), second * ASK_NS)
    assert one._answers.qsize() == ANSWERS_MAX


@pytest.mark.feature("A8")
def test_the_service_over_http_takes_and_returns_the_signed_bytes(tmp_path: Path) -> None:
    world, entry = town(tmp_path)
    app = application(NETWORK, world.anchors)

    async def posted(path: str, content: bytes) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://d") as client:
            return await client.post(path, content=content)

    def post(path: str, *, content: bytes) -> httpx.Response:
        return asyncio.run(posted(path, content))

    late = post("/publish", content=entry.encoded())  # its window is in the past of this clock, or not
    assert late.status_code in {200, 422}
    for wrong in (b"", b"\xff" * 10, _forged(entry).encoded(), b"x" * 300_000):
        refused = post("/publish", content=wrong)
        assert refused.status_code in {413, 422}
        assert refused.text.strip()
    assert post("/find", content=b"nonsense").status_code == 422
    answer = post("/find", content=encode(QUERY))
    read = decode(DirectoryAnswer, answer.content, "answer", limit=ANSWER_LIMIT)
    assert isinstance(read, DirectoryAnswer)


@pytest.mark.feature("A8", "M2")
def test_who_asks_by_hand_sees_what_holds_and_why_the_rest_does_not(tmp_path: Path) -> None:
    world, entry = town(tmp_path)
    rows, broken = judged([entry, _forged(entry), replace(entry, record=world.rule_raw)], QUERY, NETWORK, world.anchors)
    assert [row["who"] for row in rows] == ["holder"]
    assert len(broken) == 2
    assert broken[0].startswith(Reason.SIGNATURE.value)


@pytest.mark.feature("A8")
def test_one_author_fills_its_own_share_alone(tmp_path: Path) -> None:
    world, entry = town(tmp_path)
    index = index_of(world)
    for n in range(OF_ONE_MAX + 5):
        name = offered(world, "holder", BAND, "cbrs", (), price=n)
        more = entry_of(world.members["holder"].party, name)
        assert more is not None
        assert index.add(more.encoded(), T0) is None
    assert len(index) == OF_ONE_MAX
    stranger = index.add(replace(entry, chain=(entry.chain[1],)).encoded(), T0)
    assert stranger is None or isinstance(stranger, Refusal)


# -- intents -----------------------------------------------------------------------------------------------------------


@pytest.mark.feature("A8", "M2")
def test_an_intent_is_answered_by_an_offer_cut_to_it(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, STORAGE), ("holder",), ("alice",))
    party = world.members["alice"].party
    wish = SpectrumWish(band=UPPER, window=window(), tier=2, commodity="cbrs")
    name = world.do("alice", 1.0, lambda step: say_intent(step, party, wish, wait_ms=3000))
    assert name is not None
    assert {one.reason for one in world.carry(1.1)} <= {Reason.REPLAY}  # schemas go round
    (asked,) = [one for one in world.members["holder"].effects if isinstance(one, AnswerIntent)]
    assert asked.user == world.members["alice"].hash
    held = OfferSection(
        low_hz=BAND.low_hz, high_hz=BAND.high_hz, commodity="cbrs", max_eirp_mdbm=1, for_s=60, reactive=True
    )
    other = held.model_copy(update={"commodity": "storage", "unit": "byte"})
    ((cut, end_ns),) = answering(asked, [(held, None), (other, None), (held, T0)])
    assert (cut.low_hz, cut.high_hz, end_ns) == (UPPER.low_hz, UPPER.high_hz, None)


@pytest.mark.feature("A8")
def test_an_intent_that_comes_too_late_is_refused_and_asks_for_nothing(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path), ("holder",), ("alice",))
    party = world.members["alice"].party
    wish = SpectrumWish(band=UPPER, window=window(), tier=2)
    world.do("alice", 1.0, lambda step: say_intent(step, party, wish, wait_ms=500))
    refusals = world.carry(2.0)
    assert {one.clause for one in refusals} == {"intent.answer_by"}
    assert not [one for one in world.members["holder"].effects if isinstance(one, AnswerIntent)]


@pytest.mark.feature("A8", "M2")
def test_a_directory_of_intents_reaches_a_holder_that_nobody_told(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path), ("holder",), ("alice",))
    party, holder = world.members["alice"].party, world.members["holder"].party
    wish = SpectrumWish(band=UPPER, window=window(), tier=2)
    name = world.do("alice", 1.0, lambda step: say_intent(step, party, wish, wait_ms=5000))
    world.members["alice"].outgoing = []
    entry = entry_of(party, name)
    assert entry is not None
    query = DirectoryQuery(kind=INTENTS)
    assert world.do("holder", 1.2, lambda step: take_entry(step, holder, entry, query)) == "taken"
    assert [one for one in world.members["holder"].effects if isinstance(one, AnswerIntent)]


@pytest.mark.feature("A8")
@pytest.mark.attack(65)
def test_no_author_hides_another_behind_entries_of_its_own(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path), ("holder", "mallory"), ("alice",))
    index = index_of(world)
    parties = {name: world.members[name].party for name in ("holder", "mallory")}
    honest = entry_of(parties["holder"], offered(world, "holder", BAND, "cbrs", ()))
    assert honest is not None
    assert index.add(honest.encoded(), T0) is None
    for _ in range(OF_ONE_MAX + 5):
        loud = entry_of(parties["mallory"], offered(world, "mallory", BAND, "cbrs", ()))
        assert loud is not None
        assert index.add(loud.encoded(), T0) is None
    found = index.find(QUERY, T0)
    assert honest in found.entries[:2]
    assert len(found.entries) == 64


@pytest.mark.feature("A8")
@pytest.mark.attack(65)
def test_what_lies_beside_an_entry_is_what_it_rests_on_and_nobody_changes_it(tmp_path: Path) -> None:
    world, entry = town(tmp_path)
    index = index_of(world)
    assert index.add(entry.encoded(), T0) is None
    for beside in ((b"x" * 60_000,), (b"x" * 60_000, b"y" * 60_000)):
        refusal = index.add(replace(entry, beside=beside).encoded(), T0)
        assert refusal is not None
        assert refusal.clause == "directory.beside"
    assert index.find(QUERY, T0).entries == (entry,)


@pytest.mark.feature("A8")
def test_an_answer_fits_whatever_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, entry = town(tmp_path)
    index = index_of(world)
    assert index.add(entry.encoded(), T0) is None
    monkeypatch.setattr("settlement.market.directory.ANSWER_LIMIT", len(entry.encoded()))
    assert index.find(QUERY, T0).entries == ()
    assert len(encode(index.find(QUERY, T0), limit=ANSWER_LIMIT)) < ANSWER_LIMIT


ROOT = "ab" * 32


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["serve"], 2, "give NODE, or --network and --anchor"),
        (["serve", "--network", "n"], 2, "give NODE, or --network and --anchor"),
        (["serve", "--network", "n", "--anchor", "zz"], 2, "64 hexadecimal digits"),
        (["serve", "nowhere", "--network", "n", "--anchor", ROOT], 2, "which of the two is meant"),
        (["find", "--network", "n", "--anchor", ROOT], 2, "give --url http://HOST:PORT"),
        (["find", "--url", "bananas", "--network", "n", "--anchor", ROOT], 2, "required: http://HOST:PORT"),
        (["find", "/nowhere"], 1, "no such file"),
    ],
)
def test_a_directory_is_not_served_or_asked_without_knowing_whose_words_count(
    words: list[str], code: int, said: str
) -> None:
    ended = CliRunner().invoke(app, ["directory", *words])
    assert ended.exit_code == code, ended.output
    assert said in " ".join(ended.output.split())


@pytest.mark.feature("A8")
def test_a_directory_of_another_network_says_which_one_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = town(tmp_path)
    service = application(NETWORK, world.anchors)

    async def asked(url: str, content: bytes) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=service)) as client:
            return await client.post(url, content=content)

    def here(url: str, content: bytes, **_: object) -> tuple[int, bytes]:
        answer = asyncio.run(asked(url, content))
        return answer.status_code, answer.content

    monkeypatch.setattr("agent.directory.client.posted", here)
    words = ["directory", "find", "--url", "http://d", "--anchor", digest(world.root).hex(), "--network"]
    other = CliRunner().invoke(app, [*words, "elsewhere & co"])
    assert other.exit_code == 1
    assert f"this is a directory of network {NETWORK!r}, not of 'elsewhere & co'" in " ".join(other.output.split())
    mine = CliRunner().invoke(app, [*words, NETWORK])
    assert (mine.exit_code, mine.output) == (0, "0 entries hold; 0 do not\n")


def test_a_port_that_is_taken_is_said_before_anything_else() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = CliRunner().invoke(app, ["directory", "serve", "--network", "n", "--anchor", ROOT, "--port", str(port)])
    assert ended.exit_code == 1
    assert "give another --port" in ended.output
    assert "Ctrl-C ends it" not in ended.output


@pytest.mark.attack(65)
def test_a_directory_remembers_nobody_whose_entry_it_does_not_list(tmp_path: Path) -> None:
    """Whoever may issue mints credentials without number; each entry of theirs would stay in a directory's memory."""
    world, entry = town(tmp_path)
    registry = Registry(NETWORK, world.anchors)
    index = DirectoryIndex(registry)
    assert index.add(entry.encoded(), T0) is None
    late = index.add(entry.encoded(), T0 + 400 * NS)
    assert late is not None
    assert registry.subjects() == ()
    assert len(index) == 0
