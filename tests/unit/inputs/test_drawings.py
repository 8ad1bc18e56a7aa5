import numpy as np
import pytest

from lmrep.errors import InputError
from lmrep.inputs.drawings import DRAWINGS, draw, draw_tesla_coil


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_discharge():
    first = draw_tesla_coil(96)
    assert first.shape == (96, 96, 3) and first.dtype == np.uint8
    assert first.tobytes() == draw_tesla_coil(96).tobytes()
    assert not np.array_equal(first, draw_tesla_coil(96, seed=1))


def test_drawing_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    draw_tesla_coil(32)
    assert np.array_equal(before, np.random.get_state()[1])


def test_the_coil_is_bright_violet_arcs_above_a_copper_column_on_a_dark_ground():
    picture = draw_tesla_coil(128).astype(float) / 255
    assert np.median(picture) < 0.25 and picture.std() > 0.1
    sky = picture[:60]
    assert (sky.min(-1) > 0.8).mean() > 0.005  # white cores
    assert sky[..., 2].mean() > 1.3 * sky[..., 1].mean()  # violet light
    column = picture[76:98, 57:71].mean((0, 1))
    assert column[0] > column[1] > column[2]


def test_an_unknown_drawing_lists_the_known_ones():
    assert set(DRAWINGS) == {"tesla_coil"}
    with pytest.raises(InputError, match=r"'lamp' is not one of the drawings: tesla_coil"):
        draw("lamp")
