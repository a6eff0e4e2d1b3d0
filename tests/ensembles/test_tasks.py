"""Blocks, who takes them, and the desk that gives them out, with ranks that are threads."""

import queue
import threading
from collections import Counter
from types import SimpleNamespace

import pytest

from fpsolve.ensembles.tasks import Deal, Desk, blocks, ordered


def layout(members=range(2, 9), block=3, shape=(2, 1), steps=(10, 40)):
    return SimpleNamespace(members=members, block=block, shape=shape, steps=steps)


class Room:
    """Ranks that are threads of this process: a box for rank 0 and one for each other rank."""

    def __init__(self, size):
        self.size, self.boxes = size, [queue.Queue() for _ in range(size)]

    def rank(self, number):
        return SimpleNamespace(
            rank=number, size=self.size, threads=True, poll=self._poll,
            send=lambda message, to: self.boxes[to].put((number, message)),
            receive=lambda source: self.boxes[number].get(timeout=10)[1],
        )  # fmt: skip

    def _poll(self):
        try:
            return self.boxes[0].get_nowait()
        except queue.Empty:
            return None


def test_blocks_cover_every_member_once():
    found = blocks(layout())
    assert [(b.number, b.point, b.index, list(b.members)) for b in found] == [
        (0, 0, (0, 0), [2, 3, 4]), (1, 0, (0, 0), [5, 6, 7]), (2, 0, (0, 0), [8]),
        (3, 1, (1, 0), [2, 3, 4]), (4, 1, (1, 0), [5, 6, 7]), (5, 1, (1, 0), [8]),
    ]  # fmt: skip


def test_long_runs_come_first_and_what_is_only_verified_last():
    assert [block.number for block in ordered(layout(), {"1-2", "0-5"})] == [4, 5, 0, 2, 3, 1]


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_deal_gives_every_block_once(dynamic):
    deal, taken = Deal(blocks(layout()), 2, dynamic), []
    while (one := deal.take(len(taken) % 2)) is not None:
        taken.append(one.number)
    assert sorted(taken) == [0, 1, 2, 3, 4, 5]
    assert [deal.take(rank) for rank in (0, 1)] == [None, None]


def test_a_static_deal_is_dealt_in_turn():
    deal = Deal(blocks(layout()), 4, False)
    assert [deal.take(1).number, deal.take(1).number, deal.take(1)] == [1, 5, None]


@pytest.mark.parametrize(("dynamic", "quick"), [(True, 1), (False, 0)])
def test_the_desk_serves_every_rank_and_hears_all(dynamic, quick):
    """A rank that never pauses gets most of the blocks of a dynamic deal, its share of a static one."""
    room, many = Room(3), layout(members=range(30), block=1, shape=(), steps=(1,))
    deal, heard, taken = Deal(blocks(many), 3, dynamic), [], Counter()

    def work(number):
        desk = Desk(room.rank(number), deal, lambda rank, news: heard.append((rank, news)))
        while (block := desk.take()) is not None:
            if number == 2:
                threading.Event().wait(0.3 if dynamic else 0.0)
            taken[number] += 1
            desk.tell(block.number)
        desk.leave()

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    desk = Desk(room.rank(0), deal, lambda rank, news: heard.append((rank, news)))
    if not dynamic:
        while (block := desk.take()) is not None:
            taken[0] += 1
            desk.tell(block.number)
    desk.leave()
    assert sorted(news for _, news in heard) == list(range(30))
    assert (taken[1] > 20) if quick else set(taken.values()) == {10}


def test_a_stop_reaches_every_rank():
    room = Room(2)
    deal = Deal(blocks(layout()), 2, False)
    first = Desk(room.rank(0), deal, lambda *_: None)
    second = Desk(room.rank(1), deal, lambda *_: None)
    assert second.take().number == 1
    second.stop(), second.leave(), first.leave()
    assert first.take() is None
