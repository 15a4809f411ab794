"""The packed tree against shapely's, the curve against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gisservice.catalog.index import Index, as_rows, as_runs, build_levels, hilbert_keys, level_sizes, search


def test_the_curve_visits_every_cell_of_a_grid_once_and_moves_one_step_at_a_time():
    side = 32
    corner = 2**31 - side // 2 * 2**20  # across the middle of the world, where all four quadrants meet
    cells = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    keys = hilbert_keys((cells * 2**27).astype(np.uint32))
    assert len(np.unique(keys)) == side * side
    steps = np.abs(np.diff(cells[np.argsort(keys)], axis=0)).sum(axis=1)
    assert (steps == 1).all()
    assert len(np.unique(hilbert_keys((cells * 2**20 + corner).astype(np.uint32)))) == side * side


def test_the_curve_spans_the_whole_key():
    corners = np.array([[0, 0], [2**32 - 1, 0]], dtype=np.uint32)
    assert hilbert_keys(corners).tolist() == [0, 2**64 - 1]


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 255, 256, 257, 5000])
def test_levels_hold_the_boxes_below_them(count):
    lower = np.random.default_rng(count).uniform(-1, 1, (count, 2))
    boxes = np.concatenate([lower, lower + 0.1], axis=1)
    levels = build_levels(boxes)
    assert [len(level) for level in levels] == level_sizes(count)
    if count:
        assert levels[-1].tolist() == [[*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]]


@given(
    st.integers(0, 700),
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.integers(-12, 12)] * 4).map(
        lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
    ),
)
def test_search_finds_what_an_independent_tree_finds(count, seed, whole_box):
    random = np.random.default_rng(seed)
    lower = random.integers(-10, 10, (count, 2)).astype(float)  # whole numbers: edges and corners do touch
    boxes = np.concatenate([lower, lower + random.integers(0, 4, (count, 2))], axis=1)
    boxes = boxes[np.argsort(hilbert_keys(((boxes[:, :2] + boxes[:, 2:] + 40) * 2**20).astype(np.uint32)))]
    bbox = tuple(float(value) for value in whole_box)
    runs, maybe = search(boxes, Index(boxes, build_levels(boxes)), bbox)
    sure = as_rows(runs)
    area = shapely.box(*bbox)
    expected = shapely.STRtree(shapely.box(*boxes.T)).query(area) if count else []
    assert sorted([*sure, *maybe]) == sorted(expected)
    assert (np.diff(sure) > 0).all() and (np.diff(maybe) > 0).all()
    inside = shapely.covers(area, shapely.box(*boxes.T))
    assert set(np.flatnonzero(inside)) <= set(sure)


def test_more_edges_than_ranks_and_one_of_them_far_away():
    random = np.random.default_rng(5)
    lower = np.concatenate([random.uniform(0, 0.1, (20_000, 2)), [[170.0, 80.0]]])
    boxes = np.concatenate([lower, lower + random.uniform(0, 0.001, lower.shape)], axis=1)
    boxes = boxes[np.argsort(hilbert_keys(((boxes[:, :2] + 1) * 2**24).astype(np.uint32)))]
    index = Index(boxes, build_levels(boxes))
    one, other = boxes[7], boxes[9_000]
    lowest, highest = np.minimum(one, other), np.maximum(one, other)
    for bbox in ((0.02, 0.03, 0.024, 0.035), (-200.0, -200.0, 400.0, 400.0), (0.05, 0.05, 0.05, 0.05),
                 tuple(one.tolist()), (one[2], one[3], one[2] + 0.01, one[3] + 0.01),
                 (lowest[0], lowest[1], highest[2], highest[3])):  # fmt: skip
        runs, maybe = search(boxes, index, bbox)
        meets = (
            (boxes[:, 0] <= bbox[2]) & (boxes[:, 1] <= bbox[3]) & (boxes[:, 2] >= bbox[0]) & (boxes[:, 3] >= bbox[1])
        )
        assert sorted([*as_rows(runs), *maybe]) == np.flatnonzero(meets).tolist()
        whole, rows, sure = index.search(bbox)
        assert meets[as_rows(whole)].all() and meets[rows[sure]].all()


@given(st.integers(0, 2**32 - 1))
def test_sure_rows_intersect_whatever_their_shape(seed):
    random = np.random.default_rng(seed)
    lines = shapely.linestrings(random.integers(0, 12, (60, 3, 2)).astype(float))
    boxes = shapely.bounds(lines)
    x, y = random.integers(0, 12, (2, 2))
    bbox = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    runs, _ = search(boxes, Index(boxes, build_levels(boxes)), bbox)
    assert shapely.intersects(lines[as_rows(runs)], shapely.box(*bbox)).all()


@given(st.lists(st.integers(0, 60), unique=True).map(sorted))
def test_rows_to_runs_and_back(rows):
    runs = as_runs(np.array(rows, dtype=np.int64))
    assert as_rows(runs).tolist() == rows
    assert all(after[0] > before[1] for before, after in zip(runs.tolist(), runs.tolist()[1:], strict=False))
