import pytest

from tests.topodelin.report.drawings import line, nothing, together
from topodelin.report import stretches


def test_stretches_come_longest_first_with_a_place_on_the_neurite() -> None:
    short, long = line((0, 0, 0), (0, 0, 2)), line((5, 5, 0), (5, 5, 10))
    first, second = stretches(together(short, long))
    assert first.length_um == pytest.approx(10)
    assert first.place_um == pytest.approx((5, 5, 5))
    assert first.low_um == pytest.approx((5, 5, 0))
    assert first.high_um == pytest.approx((5, 5, 10))
    assert second.length_um == pytest.approx(2)


def test_the_place_of_a_bent_stretch_is_one_of_its_nodes() -> None:
    bent = together(line((0, 0, 0), (0, 8, 0)), line((0, 8, 0), (0, 8, 8)))
    places = [stretch.place_um for stretch in stretches(bent)]
    assert all(place in [tuple(p) for p in bent.positions.tolist()] for place in places)


def test_nothing_has_no_stretches() -> None:
    assert stretches(nothing()) == []


def test_equal_stretches_are_ordered_by_place() -> None:
    low, high = line((0, 0, 0), (0, 0, 4)), line((7, 0, 0), (7, 0, 4))
    assert stretches(together(high, low)) == stretches(together(low, high))
