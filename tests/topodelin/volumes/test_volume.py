import numpy as np
import pytest

from topodelin.volumes import Volume, check_spacing


@pytest.mark.parametrize(
    "spacing", [(1e-6, 1e-6, 1e-6), (1.0, 0.3, 9e-5), (2e4, 1.0, 1.0), (300e-9, 0.1, 0.1)]
)
def test_a_spacing_in_metres_or_nanometres_is_asked_about(spacing: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"`spacing` must be in µm .*metres .*nm") as error:
        check_spacing(spacing)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="must be in µm"):
        Volume(np.zeros((2, 2, 2)), spacing)  # type: ignore[arg-type]


@pytest.mark.parametrize("spacing", [(1e-4, 1e-3, 1.0), (1e4, 1e4, 1e4), (4, 0.5, 0.5)])
def test_the_limits_themselves_are_accepted(spacing: tuple[float, ...]) -> None:
    assert check_spacing(spacing) == spacing


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_what_is_no_positive_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="three positive numbers"):
        check_spacing((1, value, 1))
