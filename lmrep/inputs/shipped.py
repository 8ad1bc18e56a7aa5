"""Pictures that scikit-image's wheel carries."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lmrep.errors import InputError

# Only those in the wheel: scikit-image would download its other pictures.
SHIPPED = (
    "astronaut", "brick", "camera", "cat", "cell", "chelsea", "clock", "coffee", "coins", "colorwheel", "grass",
    "gravel", "horse", "hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page",
    "retina", "rocket", "shepp_logan_phantom", "stereo_motorcycle", "text",
)  # fmt: skip


def load_skimage(name: str) -> npt.NDArray[np.float32]:
    """Returns a picture as float32 [height, width, 3] in [0, 1]: grey in three channels, transparency on white.

    Of a stereo pair, returns the left picture. Raises InputError if `name` is not in `SHIPPED`.
    """
    import skimage

    if name not in SHIPPED:
        raise InputError(f"'{name}' is not a picture that scikit-image ships: {', '.join(SHIPPED)}")
    loaded: Any = getattr(skimage.data, name)()  # scikit-image has no types
    convert: Any = skimage.util.img_as_float32
    image: npt.NDArray[np.float32] = convert(loaded[0] if isinstance(loaded, tuple) else loaded)
    if image.ndim == 2:
        image = np.stack([image] * 3, -1)
    if image.shape[-1] == 4:
        image = 1 - image[..., 3:] * (1 - image[..., :3])
    return image


def shipped_pixels(name: str) -> npt.NDArray[np.uint8]:
    """Returns the picture of `load_skimage` as uint8."""
    return np.round(load_skimage(name) * 255).astype(np.uint8)
