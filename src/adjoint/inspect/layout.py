"""Where boxes stand in a layered drawing: longest-path layers, barycentre order, least-squares places.

The steps are those of Sugiyama, Tagawa and Toda (1981). Places within a layer solve a least-squares problem under the
order (each box wants to stand under its neighbours' mean) by pooling adjacent violators.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]
GAP, THREAD, RISE = 26.0, 16.0, 44.0                     # between boxes, between edges that pass by, between layers


class Placed:
    """places: upper left corners; ways: for each edge the points that it passes; width, height: of the whole."""

    def __init__(self, places: list[Point], ways: list[list[Point]], width: float, height: float) -> None:
        self.places, self.ways, self.width, self.height = places, ways, width, height


def layers_of(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each box: after all its inputs, and near its users."""
    after: list[list[int]] = [[] for _ in range(count)]
    before: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        after[a].append(b)
        before[b].append(a)
    waiting = [len(before[k]) for k in range(count)]
    ready = [k for k in range(count) if not waiting[k]]
    layer = [0] * count
    for k in ready:                                      # grows while it is walked
        for b in after[k]:
            layer[b] = max(layer[b], layer[k] + 1)
            waiting[b] -= 1
            if not waiting[b]:
                ready.append(b)
    if len(ready) != count:
        raise ValueError("layout: the edges form a circle")
    for k in reversed(ready):                            # down again where that makes no edge longer in all
        if after[k] and len(before[k]) <= len(after[k]):
            layer[k] = min(layer[b] for b in after[k]) - 1
    top = min(layer, default=0)
    return [depth - top for depth in layer]


def place(sizes: Sequence[Point], edges: Sequence[tuple[int, int]]) -> Placed:
    """Places for boxes of the given (width, height), so that edges run downwards and nothing overlaps."""
    if not sizes:
        return Placed([], [], 0.0, 0.0)
    layer = layers_of(len(sizes), edges)
    widths = [w for w, _ in sizes]
    rows: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for k, depth in enumerate(layer):
        rows[depth].append(k)
    links: list[tuple[int, int]] = []                    # between neighbouring layers
    chains: list[list[int]] = []
    threads: dict[tuple[int, int], int] = {}             # (box, layer) -> the point where its edges pass: they share it
    for a, b in edges:
        chain = [a]
        for depth in range(layer[a] + 1, layer[b]):
            point = threads.get((a, depth))
            if point is None:
                point = threads[a, depth] = len(widths)
                widths.append(THREAD)
                rows[depth].append(point)
                links.append((chain[-1], point))
            chain.append(point)
        links.append((chain[-1], b))
        chain.append(b)
        chains.append(chain)
    up: list[list[int]] = [[] for _ in widths]
    down: list[list[int]] = [[] for _ in widths]
    for a, b in dict.fromkeys(links):
        down[a].append(b)
        up[b].append(a)
    rank = _ranks(len(sizes), edges)
    rank.update({point: rank[a] for (a, _), point in threads.items()})
    rows = _ordered([sorted(row, key=rank.__getitem__) for row in rows], up, down)
    xs = _spread(rows, widths, up, down, len(sizes))
    _straighten(rows, xs, widths, down, len(sizes))
    heights = [max([sizes[k][1] for k in row if k < len(sizes)], default=0.0) for row in rows]
    tops: list[float] = []
    y = 0.0
    for number, (row, height) in enumerate(zip(rows, heights)):
        tops.append(y)
        crowd = max([len(down[k]) for k in row] + [len(up[k]) for k in rows[number + 1]] if number + 1 < len(rows) else [0])
        y += height + RISE + 2.0 * min(crowd, 20)
    left = min(xs[k] - widths[k] / 2 for k in range(len(widths)))
    where = {k: depth for depth, row in enumerate(rows) for k in row}
    places = [(xs[k] - widths[k] / 2 - left, tops[where[k]] + (heights[where[k]] - sizes[k][1]) / 2) for k in range(len(sizes))]
    ways = []
    for chain in chains:
        a, b = chain[0], chain[-1]
        way = [(_port(a, chain[1], down[a], xs, sizes) - left, places[a][1] + sizes[a][1])]
        for k in chain[1:-1]:
            depth = where[k]
            way += [(xs[k] - left, tops[depth]), (xs[k] - left, tops[depth] + heights[depth])]
        way.append((_port(b, chain[-2], up[b], xs, sizes) - left, places[b][1]))
        ways.append(way)
    right = max(xs[k] + widths[k] / 2 for k in range(len(widths))) - left
    return Placed(places, ways, right, tops[-1] + heights[-1])


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> dict[int, int]:
    """The order in which a walk from the ends meets the boxes, first operands first: so that they stand left."""
    before: list[list[int]] = [[] for _ in range(count)]
    used = set()
    for a, b in edges:
        before[b].append(a)
        used.add(a)
    rank: dict[int, int] = {}
    stack = [(k, False) for k in reversed(range(count)) if k not in used]
    while stack:
        k, done = stack.pop()
        if k in rank:
            continue
        if done:
            rank[k] = len(rank)
        else:
            stack.append((k, True))
            stack.extend((a, False) for a in reversed(before[k]))
    return rank


def _port(box: int, other: int, neighbours: list[int], xs: list[float], sizes: Sequence[Point]) -> float:
    """Where at the border of a box the edge to a neighbour begins: in the neighbours' order, a little apart."""
    order = sorted(neighbours, key=lambda k: xs[k])
    room = min(18.0, (sizes[box][0] - 24.0) / max(len(order), 1))
    return xs[box] + (order.index(other) - (len(order) - 1) / 2) * room


def _ordered(rows: list[list[int]], up: list[list[int]], down: list[list[int]]) -> list[list[int]]:
    """The rows in an order with few crossings: sweeps by barycentre; the best of them is kept."""
    best, fewest = [list(r) for r in rows], _crossings(rows, down)
    rows = [list(r) for r in rows]
    for sweep in range(16):
        downwards = sweep % 2 == 0
        neighbours = up if downwards else down
        for depth in range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1):
            other = {k: n for n, k in enumerate(rows[depth - 1] if downwards else rows[depth + 1])}
            here = {k: n for n, k in enumerate(rows[depth])}

            def wish(k: int, other: dict[int, int] = other, here: dict[int, int] = here) -> tuple[float, int]:
                near = [other[n] for n in neighbours[k]]
                return (sum(near) / len(near) if near else float(here[k]), here[k])

            rows[depth].sort(key=wish)
        crossed = _crossings(rows, down)
        if crossed < fewest:
            best, fewest = [list(r) for r in rows], crossed
        if not fewest:
            break
    return best


def _crossings(rows: list[list[int]], down: list[list[int]]) -> int:
    """How many links cross, counted with a Fenwick tree."""
    total = 0
    for upper, lower in pairwise(rows):
        at = {k: n for n, k in enumerate(lower)}
        tree = [0] * (len(lower) + 1)
        seen = 0
        for k in upper:
            ends = sorted(at[b] for b in down[k])
            for e in ends:                               # links before that end further right
                n, left = e + 1, 0
                while n:
                    left += tree[n]
                    n -= n & -n
                total += seen - left
            for e in ends:
                n = e + 1
                while n < len(tree):
                    tree[n] += 1
                    n += n & -n
            seen += len(ends)
    return total


def _spread(rows: list[list[int]], widths: list[float], up: list[list[int]], down: list[list[int]], boxes: int) -> list[float]:
    """The middle of everything, in the order given, near its neighbours."""
    xs = [0.0] * len(widths)
    for row in rows:
        total = 0.0
        for k in row:
            xs[k] = total + widths[k] / 2
            total += widths[k] + GAP
        for k in row:
            xs[k] -= total / 2
    pull, depth = [1.0] * len(widths), [0] * len(widths)  # what little leads to stands beside the main way
    for row in rows:
        for k in row:
            depth[k] = max([depth[n] + (k < boxes) for n in up[k]], default=0)
            if len(down[k]) == 1 and len(up[k]) <= 1:
                pull[k] = (0.001, 0.01, 0.3, 1.0)[min(depth[k], 3)]
    for sweep in range(60):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            wishes, weights = [], []
            for k in row:
                near = (up[k] if downwards else down[k]) or (down[k] if downwards else up[k])
                if sweep > 15:
                    near = [*up[k], *down[k]]
                total = sum(pull[n] for n in near)
                wishes.append(sum(xs[n] * pull[n] for n in near) / total if near else xs[k])
                weights.append(pull[k])
            for k, x in zip(row, _pool(row, wishes, weights, widths, boxes)):
                xs[k] = x
    return xs


def _straighten(rows: list[list[int]], xs: list[float], widths: list[float], down: list[list[int]], boxes: int) -> None:
    """Edges that pass many layers run straight as far as their neighbours leave room."""
    def free(k: int) -> tuple[float, float]:
        row, n = where[k]
        low = xs[row[n - 1]] + (widths[row[n - 1]] + widths[k]) / 2 + 3 if n else -math.inf
        high = xs[row[n + 1]] - (widths[row[n + 1]] + widths[k]) / 2 - 3 if n + 1 < len(row) else math.inf
        return low, high

    where = {k: (row, n) for row in rows for n, k in enumerate(row)}
    for _ in range(2):
        done: set[int] = set()
        for first in range(boxes, len(widths)):
            if first in done:
                continue
            chain = [first]
            while len(chain) < 10_000:
                following = [k for k in down[chain[-1]] if k >= boxes]
                if len(following) != 1 or following[0] in done:
                    break
                chain.append(following[0])
            done.update(chain)
            room = {k: free(k) for k in chain}
            at = 0
            while at < len(chain):                       # the longest stretch that has a common free place, again and again
                low, high = room[chain[at]]
                end = at + 1
                while end < len(chain) and max(low, room[chain[end]][0]) <= min(high, room[chain[end]][1]):
                    low, high = max(low, room[chain[end]][0]), min(high, room[chain[end]][1])
                    end += 1
                if low <= high:
                    x = sorted(xs[k] for k in chain[at:end])[(end - at) // 2]
                    for k in chain[at:end]:
                        xs[k] = min(max(x, low), high)
                at = end


def _pool(row: list[int], wishes: list[float], weights: list[float], widths: list[float], boxes: int) -> list[float]:
    """The places nearest to the wishes (least squares) that keep the order and the distances."""
    offsets = [0.0]
    for a, b in pairwise(row):
        gap = GAP if a < boxes and b < boxes else THREAD * 0.75
        offsets.append(offsets[-1] + (widths[a] + widths[b]) / 2 + gap)
    blocks: list[list[float]] = []                       # [mean, weight, count]
    for wish, weight, offset in zip(wishes, weights, offsets):
        blocks.append([wish - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, heavy, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * heavy) / (last[1] + heavy)
            last[1] += heavy
            last[2] += count
    means = [mean for mean, _, count in blocks for _ in range(int(count))]
    return [m + o for m, o in zip(means, offsets)]
